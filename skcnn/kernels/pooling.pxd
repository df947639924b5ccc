"""Max-pooling of a row of pools, and its gradient.

A pool's first maximum wins, in the order of its rows; NaN counts as larger than anything, as in NumPy.
"""

from libc.stdint cimport uint16_t

from skcnn.kernels.lanes cimport LANES, floating


cdef inline void pool_forward(
    const floating* values, Py_ssize_t row, Py_ssize_t pool_height, Py_ssize_t pool_width, Py_ssize_t n_lanes,
    floating* out, uint16_t* indices_out,
) noexcept nogil:
    """One pool, whose rows are `row` values apart; n_lanes is a constant."""
    cdef floating best[LANES]
    cdef int indices[LANES]
    cdef Py_ssize_t u, v, lane
    cdef int index = 0
    cdef const floating* pixel
    for lane in range(n_lanes):
        best[lane] = values[lane]
        indices[lane] = 0
    for u in range(pool_height):
        for v in range(pool_width):
            pixel = values + u * row + v * n_lanes
            for lane in range(n_lanes):
                # Two choices rather than an `or`, which would not vectorise; the second takes NaN.
                indices[lane] = index if pixel[lane] > best[lane] else indices[lane]
                indices[lane] = index if pixel[lane] != pixel[lane] else indices[lane]
                best[lane] = pixel[lane] if pixel[lane] > best[lane] else best[lane]
                best[lane] = pixel[lane] if pixel[lane] != pixel[lane] else best[lane]
            index += 1
    for lane in range(n_lanes):
        out[lane] = best[lane]
        indices_out[lane] = <uint16_t> indices[lane]


cdef inline void max_pool_forward(
    const floating* values, Py_ssize_t row, Py_ssize_t pool_height, Py_ssize_t pool_width, Py_ssize_t n_pools,
    Py_ssize_t n_lanes, floating* out, uint16_t* indices_out,
) noexcept nogil:
    """out[j] = max over u, v of values[u, j * pool_width + v], and its index u * pool_width + v in the pool."""
    cdef Py_ssize_t j
    for j in range(n_pools):
        if n_lanes == LANES:
            pool_forward(values + j * pool_width * LANES, row, pool_height, pool_width, LANES, out + j * LANES,
                         indices_out + j * LANES)
        else:
            pool_forward(values + j * pool_width, row, pool_height, pool_width, 1, out + j, indices_out + j)


cdef inline void pool_backward(
    const floating* d_out, const uint16_t* indices, Py_ssize_t row, Py_ssize_t pool_height, Py_ssize_t pool_width,
    Py_ssize_t n_lanes, floating* d_values_out,
) noexcept nogil:
    """One pool's gradients; n_lanes is a constant.

    d_out is copied first: loaded on a condition, between stores that might change it, it would keep clang from vectors.
    """
    cdef floating d[LANES]
    cdef Py_ssize_t u, v, lane
    cdef int index = 0
    cdef floating* d_pixel
    for lane in range(n_lanes):
        d[lane] = d_out[lane]
    for u in range(pool_height):
        for v in range(pool_width):
            d_pixel = d_values_out + u * row + v * n_lanes
            for lane in range(n_lanes):
                d_pixel[lane] = d[lane] if indices[lane] == index else <floating> 0
            index += 1


cdef inline void max_pool_backward(
    const floating* d_out, const uint16_t* indices, Py_ssize_t row, Py_ssize_t pool_height, Py_ssize_t pool_width,
    Py_ssize_t n_pools, Py_ssize_t n_lanes, floating* d_values_out,
) noexcept nogil:
    """Of out[j] = max over u, v of values[u, j * pool_width + v]: d_values[its index] = d_out[j], and 0 elsewhere."""
    cdef Py_ssize_t j
    for j in range(n_pools):
        if n_lanes == LANES:
            pool_backward(d_out + j * LANES, indices + j * LANES, row, pool_height, pool_width, LANES,
                          d_values_out + j * pool_width * LANES)
        else:
            pool_backward(d_out + j, indices + j, row, pool_height, pool_width, 1, d_values_out + j * pool_width)


# ---- over a whole feature map ----


cdef inline void global_average_forward(
    const floating* values, Py_ssize_t n_positions, Py_ssize_t n_lanes, floating* out,
) noexcept nogil:
    """out = mean over all positions of values, in every lane; n_lanes is a constant."""
    cdef floating total[LANES]
    cdef floating inverse = <floating> 1 / <floating> n_positions
    cdef floating rest = 0
    cdef Py_ssize_t n_values = n_positions * n_lanes
    cdef Py_ssize_t p = 0
    cdef Py_ssize_t i
    for i in range(LANES):
        total[i] = 0
    while p + LANES <= n_values:
        for i in range(LANES):
            total[i] += values[p + i]
        p += LANES
    if n_lanes == LANES:
        for i in range(LANES):
            out[i] = total[i] * inverse
        return
    while p < n_values:
        rest += values[p]
        p += 1
    for i in range(LANES):
        rest += total[i]
    out[0] = rest * inverse


cdef inline void global_max_forward(
    const floating* values, Py_ssize_t n_positions, Py_ssize_t n_lanes, floating* out, floating* maxima_out,
) noexcept nogil:
    """out = max over all positions of values, in every lane, and the first position that has it, as a number.

    NaN counts as larger than anything; n_lanes is a constant.
    """
    cdef floating best[LANES]
    cdef floating at[LANES]
    cdef Py_ssize_t p, lane
    cdef floating position
    cdef const floating* pixel
    for lane in range(n_lanes):
        best[lane] = values[lane]
        at[lane] = 0
    for p in range(n_positions):
        pixel = values + p * n_lanes
        position = <floating> p
        for lane in range(n_lanes):
            at[lane] = position if pixel[lane] > best[lane] else at[lane]
            at[lane] = position if pixel[lane] != pixel[lane] else at[lane]
            best[lane] = pixel[lane] if pixel[lane] > best[lane] else best[lane]
            best[lane] = pixel[lane] if pixel[lane] != pixel[lane] else best[lane]
    for lane in range(n_lanes):
        out[lane] = best[lane]
        maxima_out[lane] = at[lane]


cdef inline void global_average_backward(
    const floating* d_out, Py_ssize_t n_all, Py_ssize_t n_positions, Py_ssize_t n_lanes, floating* d_values_out,
) noexcept nogil:
    """Of out = mean over n_all positions of values: d_values = d_out / n_all, for `n_positions` of them."""
    cdef floating part[LANES]
    cdef Py_ssize_t p, lane
    for lane in range(n_lanes):
        part[lane] = d_out[lane] / <floating> n_all
    for p in range(n_positions):
        for lane in range(n_lanes):
            d_values_out[p * n_lanes + lane] = part[lane]


cdef inline void global_max_backward(
    const floating* d_out, const floating* maxima, Py_ssize_t first, Py_ssize_t n_positions, Py_ssize_t n_lanes,
    floating* d_values_out,
) noexcept nogil:
    """Of out = max of values: d_values = d_out at the first maximum, and 0 elsewhere, for `n_positions` from `first`.
    """
    cdef Py_ssize_t p, lane
    cdef floating position
    for p in range(n_positions):
        position = <floating> (first + p)
        for lane in range(n_lanes):
            d_values_out[p * n_lanes + lane] = d_out[lane] if maxima[lane] == position else <floating> 0
