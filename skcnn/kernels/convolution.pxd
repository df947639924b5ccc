"""Valid cross-correlation of a group of images with a bank of filters, and its gradient.

`taps` are the offsets in x, in values, of a filter's elements (channel, kernel row, kernel column) from the pixel that
its first element looks at. With them, a filter of any shape over any number of channels is one flat list.
"""

from skcnn.kernels.lanes cimport LANES, floating

cdef enum:
    # Output values of one filter whose sums stay in registers while the taps go by.
    TILE = 2 * LANES
    # Taps whose gradients are summed in one pass over a run.
    TAP_BLOCK = 5


cdef inline void convolution_tile(
    const floating* x, const Py_ssize_t* taps, Py_ssize_t n_taps,
    const floating* weights, floating intercept, Py_ssize_t size, floating* out,
) noexcept nogil:
    """The first `size` <= TILE values of one filter."""
    cdef floating total[TILE]
    cdef Py_ssize_t tap, p
    cdef floating weight
    cdef const floating* shifted
    for p in range(size):
        total[p] = intercept
    for tap in range(n_taps):
        shifted = x + taps[tap]
        weight = weights[tap]
        for p in range(size):
            total[p] += weight * shifted[p]
    for p in range(size):
        out[p] = total[p]


cdef inline void convolution_tile_pair(
    const floating* x, const Py_ssize_t* taps, Py_ssize_t n_taps,
    const floating* weights, const floating* intercepts, Py_ssize_t plane, floating* out,
) noexcept nogil:
    """A whole tile of two neighbouring filters, `plane` values apart in `out`: each pixel loaded serves both."""
    cdef floating first[TILE]
    cdef floating second[TILE]
    cdef Py_ssize_t tap, p
    cdef floating weight_first, weight_second
    cdef const floating* shifted
    for p in range(TILE):
        first[p] = intercepts[0]
    for p in range(TILE):
        second[p] = intercepts[1]
    for tap in range(n_taps):
        shifted = x + taps[tap]
        weight_first = weights[tap]
        weight_second = weights[n_taps + tap]
        for p in range(TILE):
            first[p] += weight_first * shifted[p]
            second[p] += weight_second * shifted[p]
    for p in range(TILE):
        out[p] = first[p]
    for p in range(TILE):
        out[plane + p] = second[p]


cdef inline void convolution_forward(
    const floating* x, const floating* filters, const floating* intercepts,
    const Py_ssize_t* taps, Py_ssize_t n_taps, Py_ssize_t n_filters,
    Py_ssize_t width, Py_ssize_t out_height, Py_ssize_t out_width, floating* out,
) noexcept nogil:
    """out[f, i, j] = intercepts[f] + sum over u, v, ch of x[ch, i + u, j + v] * filters[f, ch, u, v], in every lane."""
    cdef Py_ssize_t run = out_width * LANES
    cdef Py_ssize_t plane = out_height * run
    cdef Py_ssize_t i, f, p, start
    cdef const floating* row
    cdef floating* out_row
    for i in range(out_height):
        row = x + i * width * LANES
        f = 0
        while f < n_filters:
            out_row = out + f * plane + i * run
            if run < TILE:
                convolution_tile(row, taps, n_taps, filters + f * n_taps, intercepts[f], LANES, out_row)
                f += 1
                continue
            p = 0
            while p < run:
                # The last tile of a run reaches back over the one before rather than past the end.
                start = p if p + TILE <= run else run - TILE
                if f + 1 < n_filters:
                    convolution_tile_pair(row + start, taps, n_taps, filters + f * n_taps, intercepts + f, plane,
                                          out_row + start)
                else:
                    convolution_tile(row + start, taps, n_taps, filters + f * n_taps, intercepts[f], TILE,
                                     out_row + start)
                p += TILE
            f += 2


cdef inline void convolution_backward_run(
    const floating* x, const Py_ssize_t* taps, Py_ssize_t n_taps, const floating* d_row, Py_ssize_t run,
    floating* d_weights_out,
) noexcept nogil:
    """Add one run's share of the gradients of the first min(n_taps, TAP_BLOCK) taps to `d_weights_out`."""
    cdef floating total[TAP_BLOCK]
    cdef const floating* shifted[TAP_BLOCK]
    cdef Py_ssize_t t, p
    for t in range(TAP_BLOCK):
        total[t] = 0
        shifted[t] = x + taps[t if t < n_taps else 0]
    for p in range(run):
        for t in range(TAP_BLOCK):
            total[t] += d_row[p] * shifted[t][p]
    for t in range(TAP_BLOCK if n_taps > TAP_BLOCK else n_taps):
        d_weights_out[t] += total[t]


cdef inline void convolution_backward(
    const floating* x, const floating* d_out, const Py_ssize_t* taps, Py_ssize_t n_taps, Py_ssize_t n_filters,
    Py_ssize_t width, Py_ssize_t out_height, Py_ssize_t out_width, floating* d_filters_out, floating* d_intercepts_out,
) noexcept nogil:
    """Of out[f, i, j] = intercepts[f] + sum of x[ch, i + u, j + v] * filters[f, ch, u, v], accumulated:

    d_filters_out[f, ch, u, v] += sum over i, j, lanes of d_out[f, i, j] * x[ch, i + u, j + v]
    d_intercepts_out[f] += sum over i, j, lanes of d_out[f, i, j]
    """
    cdef Py_ssize_t run = out_width * LANES
    cdef Py_ssize_t i, f, tap, p
    cdef floating total
    cdef const floating* row
    cdef const floating* d_row
    for i in range(out_height):
        row = x + i * width * LANES
        for f in range(n_filters):
            d_row = d_out + (f * out_height + i) * run
            tap = 0
            while tap < n_taps:
                convolution_backward_run(row, taps + tap, n_taps - tap, d_row, run, d_filters_out + f * n_taps + tap)
                tap += TAP_BLOCK
            total = 0
            for p in range(run):
                total += d_row[p]
            d_intercepts_out[f] += total
