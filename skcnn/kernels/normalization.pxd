"""Normalisation of a filter's feature maps over a group of images, and its gradient, a filter at a time.

Of a convolution c of `n_positions` a lane, with w a lane's weight over the group's and sums over lanes and positions,

    mean = sum of w * c / n_positions;  variance = sum of w * (c - mean)**2 / n_positions
    chat = (c - mean) / sqrt(variance + epsilon);  y = scale * chat + shift

(Ioffe and Szegedy, 2015, for weighted images). Idle lanes weigh 0. Sums are taken in the network's type over SPAN
positions of a lane, and from there on in double precision.
"""

from libc.math cimport sqrt

from skcnn.kernels.lanes cimport LANES, floating

cdef enum:
    SPAN = 128

# Of a filter in a group, kept for the backward pass.
cdef struct Norm:
    double mean, variance


cdef inline double group_weight(const floating* weights) noexcept nogil:
    cdef double total = 0
    cdef Py_ssize_t lane
    for lane in range(LANES):
        total += weights[lane]
    return total


cdef inline void sum_squares(
    const floating* values, const floating* first, Py_ssize_t n_positions, double* sums_out, double* squares_out,
) noexcept nogil:
    """Of up to SPAN positions, each lane's values less its first one: their sums and those of their squares."""
    cdef floating sums[2 * LANES]
    cdef floating squares[2 * LANES]
    cdef floating origin[LANES]
    cdef Py_ssize_t n_parts = 2 if floating is float else 1  # as many as there are registers for
    cdef Py_ssize_t p = 0
    cdef Py_ssize_t part, lane
    cdef floating value
    for lane in range(LANES):
        origin[lane] = first[lane]
    for lane in range(n_parts * LANES):
        sums[lane] = 0
        squares[lane] = 0
    while p + n_parts <= n_positions:
        for part in range(n_parts):
            for lane in range(LANES):
                value = values[(p + part) * LANES + lane] - origin[lane]
                sums[part * LANES + lane] += value
                squares[part * LANES + lane] += value * value
        p += n_parts
    if p < n_positions:
        for lane in range(LANES):
            value = values[p * LANES + lane] - origin[lane]
            sums[lane] += value
            squares[lane] += value * value
    for part in range(n_parts):
        for lane in range(LANES):
            sums_out[lane] += sums[part * LANES + lane]
            squares_out[lane] += squares[part * LANES + lane]


cdef inline Norm measure(const floating* values, Py_ssize_t n_positions, const floating* weights) noexcept nogil:
    """Mean and variance of a filter's plane; 0 and 1 of a group without weight, whose values are to stay as they are.

    Each lane is measured from its first value, so that no digits are lost where all are far from 0.
    """
    cdef double sums[LANES]
    cdef double squares[LANES]
    cdef double total = group_weight(weights)
    cdef Py_ssize_t p = 0
    cdef Py_ssize_t lane
    cdef Norm norm
    norm.mean, norm.variance = 0, 1
    if total == 0:
        return norm
    norm.variance = 0
    for lane in range(LANES):
        sums[lane] = 0
        squares[lane] = 0
    while p < n_positions:
        sum_squares(values + p * LANES, values, min(<Py_ssize_t> SPAN, n_positions - p), sums, squares)
        p += SPAN
    for lane in range(LANES):
        # From here on the lane's own mean, and its variance about it.
        sums[lane] /= n_positions
        squares[lane] = squares[lane] / n_positions - sums[lane] * sums[lane]
        sums[lane] += values[lane]
        norm.mean += weights[lane] / total * sums[lane]
    for lane in range(LANES):
        norm.variance += weights[lane] / total * (squares[lane] + (sums[lane] - norm.mean) * (sums[lane] - norm.mean))
    norm.variance = max(norm.variance, 0.0)
    return norm


cdef inline void normalize(
    const floating* values, Py_ssize_t n_values, const Norm* norm, double epsilon, floating scale, floating shift,
    floating* out,
) noexcept nogil:
    """out = scale * (values - mean) / sqrt(variance + epsilon) + shift."""
    cdef floating mean = <floating> norm.mean
    cdef floating factor = <floating> (scale / sqrt(norm.variance + epsilon))
    cdef Py_ssize_t i
    for i in range(n_values):
        out[i] = (values[i] - mean) * factor + shift


cdef inline void sum_products(
    const floating* values, const floating* d_values, Py_ssize_t n_positions, floating mean, double* sums_out,
    double* products_out,
) noexcept nogil:
    """Of up to SPAN positions, each lane's sums of d_values and of d_values * (values - mean)."""
    cdef floating sums[2 * LANES]
    cdef floating products[2 * LANES]
    cdef Py_ssize_t n_parts = 2 if floating is float else 1
    cdef Py_ssize_t p = 0
    cdef Py_ssize_t part, lane
    for lane in range(n_parts * LANES):
        sums[lane] = 0
        products[lane] = 0
    while p + n_parts <= n_positions:
        for part in range(n_parts):
            for lane in range(LANES):
                sums[part * LANES + lane] += d_values[(p + part) * LANES + lane]
                products[part * LANES + lane] += (
                    d_values[(p + part) * LANES + lane] * (values[(p + part) * LANES + lane] - mean))
        p += n_parts
    if p < n_positions:
        for lane in range(LANES):
            sums[lane] += d_values[p * LANES + lane]
            products[lane] += d_values[p * LANES + lane] * (values[p * LANES + lane] - mean)
    for part in range(n_parts):
        for lane in range(LANES):
            sums_out[lane] += sums[part * LANES + lane]
            products_out[lane] += products[part * LANES + lane]


cdef inline void normalize_backward_sums(
    const floating* values, const floating* d_values, Py_ssize_t n_rows, Py_ssize_t width, Py_ssize_t d_row,
    const Norm* norm, double epsilon, double* d_scale_out, double* d_shift_out,
) noexcept nogil:
    """Of y = scale * chat + shift, with d_values the gradient of y, in rows of `width` positions, `d_row` apart:

    d_scale_out = sum of d_values * chat
    d_shift_out = sum of d_values
    """
    cdef double sums[LANES]
    cdef double products[LANES]
    cdef Py_ssize_t i, p, lane
    for lane in range(LANES):
        sums[lane] = 0
        products[lane] = 0
    for i in range(n_rows):
        p = 0
        while p < width:
            sum_products(values + (i * width + p) * LANES, d_values + (i * d_row + p) * LANES,
                         min(<Py_ssize_t> SPAN, width - p), <floating> norm.mean, sums, products)
            p += SPAN
    d_scale_out[0] = d_shift_out[0] = 0
    for lane in range(LANES):
        d_scale_out[0] += products[lane]
        d_shift_out[0] += sums[lane]
    d_scale_out[0] /= sqrt(norm.variance + epsilon)


cdef inline void normalize_backward(
    const floating* values, const floating* weights, Py_ssize_t n_positions, Py_ssize_t n_rows, Py_ssize_t width,
    Py_ssize_t d_row, const Norm* norm, double epsilon, floating scale, double d_scale, double d_shift,
    floating* d_values_out,
) noexcept nogil:
    """From the gradient of y to that of c, in place, for some of the rows that have `n_positions` a lane together:

    d_c = scale / sqrt(variance + epsilon) * (d_y - w / n_positions * (d_shift + chat * d_scale))
    """
    cdef double total = group_weight(weights)
    cdef double inverse = 1 / sqrt(norm.variance + epsilon)
    cdef floating factor = <floating> (scale * inverse)
    cdef floating mean = <floating> norm.mean
    cdef floating offsets[LANES]
    cdef floating slopes[LANES]
    cdef double share
    cdef Py_ssize_t i, p, lane, at
    cdef const floating* row
    cdef floating* d_row_out
    for lane in range(LANES):
        share = scale * inverse * weights[lane] / (total * n_positions) if total > 0 else 0
        offsets[lane] = <floating> (share * d_shift)
        slopes[lane] = <floating> (share * d_scale * inverse)
    for i in range(n_rows):
        row = values + i * width * LANES
        d_row_out = d_values_out + i * d_row * LANES
        for p in range(width):
            for lane in range(LANES):
                at = p * LANES + lane
                d_row_out[at] = factor * d_row_out[at] - offsets[lane] - slopes[lane] * (row[at] - mean)


# ---- the statistics of many groups ----


cdef inline void merge(
    double weight, const Norm* norms, Py_ssize_t n_norms, double* weight_out, Norm* norms_out,
) noexcept nogil:
    """The norms of two sets of images together: Chan, Golub and LeVeque (1983), equation 2.1."""
    cdef Py_ssize_t f
    cdef double part, difference
    if weight == 0:
        return
    weight_out[0] += weight
    part = weight / weight_out[0]
    for f in range(n_norms):
        difference = norms[f].mean - norms_out[f].mean
        norms_out[f].mean += part * difference
        norms_out[f].variance += part * (norms[f].variance - norms_out[f].variance
                                         + (1 - part) * difference * difference)
