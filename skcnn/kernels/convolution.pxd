"""Valid cross-correlation of a group of images with a bank of filters, and its gradient, a row of outputs at a time.

`taps` are the offsets in x, in values, of a filter's elements (channel, kernel row, kernel column) from the pixel that
its first element looks at. With them, a filter of any shape over any number of channels is one flat list; behind its
`n_taps` the list goes on with zeros to a multiple of TAP_BLOCK. A row of outputs is a run of `run` = out_width * LANES
values for each filter, `stride` values apart from filter to filter.

A single image, not interleaved with others, is one run from its first output to its last, those between the end of a
row of outputs and the beginning of the next being of no use.
"""

from skcnn.kernels.blocks cimport SUM_BYTES, SUM_FILTERS, TILE_BYTES, TILE_FILTERS, TILE_SUMS
from skcnn.kernels.lanes cimport LANES, floating

cdef enum:
    # Taps whose gradients are summed in one pass over a run.
    TAP_BLOCK = 5


cdef inline void convolution_tile(
    const floating* x, const Py_ssize_t* taps, Py_ssize_t n_taps, const floating* filters, const floating* intercepts,
    Py_ssize_t n_filters, Py_ssize_t n_values, Py_ssize_t stride, floating* out,
) noexcept nogil:
    """`n_values` neighbouring outputs of `n_filters` filters; all sums stay in registers while the taps go by.

    For that, both numbers must be known when this is compiled into its caller, and the loop over taps must have no
    way around it (n_taps >= 1).
    """
    cdef floating total[TILE_SUMS]
    cdef Py_ssize_t tap = 0
    cdef Py_ssize_t f, p
    cdef floating weight
    cdef const floating* shifted
    for f in range(n_filters):
        for p in range(n_values):
            total[f * n_values + p] = intercepts[f]
    while True:
        shifted = x + taps[tap]
        for f in range(n_filters):
            weight = filters[f * n_taps + tap]
            for p in range(n_values):
                total[f * n_values + p] += weight * shifted[p]
        tap += 1
        if tap >= n_taps:
            break
    for f in range(n_filters):
        for p in range(n_values):
            out[f * stride + p] = total[f * n_values + p]


cdef inline void convolution_tiles(
    const floating* x, const Py_ssize_t* taps, Py_ssize_t n_taps, const floating* filters, const floating* intercepts,
    Py_ssize_t n_filters, Py_ssize_t n_values, Py_ssize_t run, Py_ssize_t stride, floating* out,
) noexcept nogil:
    """A whole run in tiles; the last one reaches back over the one before rather than past the end."""
    cdef Py_ssize_t p = 0
    cdef Py_ssize_t start
    while p < run:
        start = p if p + n_values <= run else run - n_values
        convolution_tile(x + start, taps, n_taps, filters, intercepts, n_filters, n_values, stride, out + start)
        p += n_values


cdef inline void convolution_block(
    const floating* x, const Py_ssize_t* taps, Py_ssize_t n_taps, const floating* filters, const floating* intercepts,
    Py_ssize_t n_filters, Py_ssize_t run, Py_ssize_t stride, floating* out,
) noexcept nogil:
    """A run of a block of filters; n_filters is a constant where this is called."""
    cdef Py_ssize_t n_values = TILE_BYTES // <Py_ssize_t> sizeof(floating)
    if run >= n_values:
        convolution_tiles(x, taps, n_taps, filters, intercepts, n_filters, n_values, run, stride, out)
    elif run >= LANES:
        convolution_tiles(x, taps, n_taps, filters, intercepts, n_filters, LANES, run, stride, out)
    else:  # one image, and a small one
        convolution_tiles(x, taps, n_taps, filters, intercepts, n_filters, 1, run, stride, out)


cdef inline void convolution_forward(
    const floating* x, const Py_ssize_t* taps, Py_ssize_t n_taps, const floating* filters, const floating* intercepts,
    Py_ssize_t n_filters, Py_ssize_t run, Py_ssize_t stride, floating* out,
) noexcept nogil:
    """out[f, j] = intercepts[f] + sum over u, v, ch of x[ch, i + u, j + v] * filters[f, ch, u, v], in every lane.

    `x` begins at the pixel (0, i, 0), `out` at the output (0, i, 0).
    """
    cdef Py_ssize_t f = 0
    cdef Py_ssize_t n
    while f < n_filters:
        n = min(n_filters - f, <Py_ssize_t> TILE_FILTERS)
        if n == 4:
            convolution_block(x, taps, n_taps, filters + f * n_taps, intercepts + f, 4, run, stride, out + f * stride)
        elif n == 3:
            convolution_block(x, taps, n_taps, filters + f * n_taps, intercepts + f, 3, run, stride, out + f * stride)
        elif n == 2:
            convolution_block(x, taps, n_taps, filters + f * n_taps, intercepts + f, 2, run, stride, out + f * stride)
        else:
            convolution_block(x, taps, n_taps, filters + f * n_taps, intercepts + f, 1, run, stride, out + f * stride)
        f += n


# ---- the gradient: sums over all pixels of all images of a slot ----
#
# While they are summed, the gradients of a filter's taps and, last, of its intercept are kept as `sums_width` partial
# sums each; only convolution_backward_end adds these up. sums[filter, tap, partial sum] has the taps filled up to whole
# blocks; what is summed for the missing ones is never looked at.


cdef inline Py_ssize_t sums_width(floating zero) noexcept nogil:
    """Partial sums of a gradient, a constant for each float type."""
    return max(<Py_ssize_t> 8, SUM_BYTES // <Py_ssize_t> sizeof(floating))


cdef inline Py_ssize_t sums_taps(Py_ssize_t n_taps) noexcept nogil:
    """Gradients of a filter: of its taps, filled up to whole blocks, and of its intercept."""
    return (n_taps + TAP_BLOCK - 1) // TAP_BLOCK * TAP_BLOCK + 1


cdef inline Py_ssize_t sums_size(Py_ssize_t n_filters, Py_ssize_t n_taps, floating zero) noexcept nogil:
    return n_filters * sums_taps(n_taps) * sums_width(zero)


cdef inline void convolution_backward_taps(
    const floating* x, const Py_ssize_t* taps, const floating* d_out,
    Py_ssize_t n_filters, Py_ssize_t run, Py_ssize_t d_stride, Py_ssize_t sums_stride, floating* sums_out,
) noexcept nogil:
    """A run's share in TAP_BLOCK taps of `n_filters` filters, a constant."""
    cdef Py_ssize_t width = sums_width(<floating> 0)
    cdef floating total[SUM_FILTERS * TAP_BLOCK * LANES]
    cdef floating d[SUM_FILTERS * LANES]
    cdef floating pixels[LANES]
    cdef const floating* shifted[TAP_BLOCK]
    cdef Py_ssize_t p = 0
    cdef Py_ssize_t f, t, i
    for t in range(TAP_BLOCK):
        shifted[t] = x + taps[t]
    for f in range(n_filters):
        for t in range(TAP_BLOCK):
            for i in range(width):
                total[(f * TAP_BLOCK + t) * width + i] = sums_out[f * sums_stride + t * width + i]
    while True:
        for f in range(n_filters):
            for i in range(width):
                d[f * width + i] = d_out[f * d_stride + p + i]
        for t in range(TAP_BLOCK):
            for i in range(width):
                pixels[i] = shifted[t][p + i]
            for f in range(n_filters):
                for i in range(width):
                    total[(f * TAP_BLOCK + t) * width + i] += d[f * width + i] * pixels[i]
        p += width
        if p >= run:
            break
    for f in range(n_filters):
        for t in range(TAP_BLOCK):
            for i in range(width):
                sums_out[f * sums_stride + t * width + i] = total[(f * TAP_BLOCK + t) * width + i]


cdef inline void convolution_backward_intercept(
    const floating* d_out, Py_ssize_t run, floating* sums_out,
) noexcept nogil:
    cdef Py_ssize_t width = sums_width(<floating> 0)
    cdef floating total[LANES]
    cdef Py_ssize_t p = 0
    cdef Py_ssize_t i
    for i in range(width):
        total[i] = sums_out[i]
    while True:
        for i in range(width):
            total[i] += d_out[p + i]
        p += width
        if p >= run:
            break
    for i in range(width):
        sums_out[i] = total[i]


cdef inline void convolution_backward_block(
    const floating* x, const Py_ssize_t* taps, Py_ssize_t n_taps, const floating* d_out,
    Py_ssize_t n_filters, Py_ssize_t run, Py_ssize_t d_stride, floating* sums_out,
) noexcept nogil:
    """A run of a block of filters; n_filters is a constant where this is called."""
    cdef Py_ssize_t width = sums_width(<floating> 0)
    cdef Py_ssize_t sums_stride = sums_taps(n_taps) * width
    cdef Py_ssize_t tap = 0
    cdef Py_ssize_t f
    while tap < n_taps:
        convolution_backward_taps(x, taps + tap, d_out, n_filters, run, d_stride, sums_stride,
                                  sums_out + tap * width)
        tap += TAP_BLOCK
    for f in range(n_filters):
        convolution_backward_intercept(d_out + f * d_stride, run, sums_out + (f + 1) * sums_stride - width)


cdef inline void convolution_backward(
    const floating* x, const Py_ssize_t* taps, Py_ssize_t n_taps, const floating* d_out,
    Py_ssize_t n_filters, Py_ssize_t run, Py_ssize_t d_stride, floating* sums_out,
) noexcept nogil:
    """Of out[f, j] = intercepts[f] + sum of x[ch, i + u, j + v] * filters[f, ch, u, v], accumulated in partial sums:

    d_filters[f, ch, u, v] += sum over j, lanes of d_out[f, j] * x[ch, i + u, j + v]
    d_intercepts[f] += sum over j, lanes of d_out[f, j]
    """
    cdef Py_ssize_t width = sums_width(<floating> 0)
    cdef Py_ssize_t sums_stride = sums_taps(n_taps) * width
    cdef Py_ssize_t n_block = SUM_FILTERS * SUM_BYTES // (width * <Py_ssize_t> sizeof(floating))
    cdef Py_ssize_t f = 0
    cdef Py_ssize_t n
    while f < n_filters:
        n = min(n_filters - f, n_block)
        if n == 4:
            convolution_backward_block(x, taps, n_taps, d_out + f * d_stride, 4, run, d_stride,
                                       sums_out + f * sums_stride)
        elif n == 3:
            convolution_backward_block(x, taps, n_taps, d_out + f * d_stride, 3, run, d_stride,
                                       sums_out + f * sums_stride)
        elif n == 2:
            convolution_backward_block(x, taps, n_taps, d_out + f * d_stride, 2, run, d_stride,
                                       sums_out + f * sums_stride)
        else:
            convolution_backward_block(x, taps, n_taps, d_out + f * d_stride, 1, run, d_stride,
                                       sums_out + f * sums_stride)
        f += n


cdef inline void convolution_backward_end(
    const floating* sums, Py_ssize_t n_taps, Py_ssize_t n_filters, floating* d_filters_out, floating* d_intercepts_out,
) noexcept nogil:
    """Add up the partial sums; the gradients are accumulated."""
    cdef Py_ssize_t width = sums_width(<floating> 0)
    cdef Py_ssize_t n_sums = sums_taps(n_taps)
    cdef Py_ssize_t f, t, i
    cdef floating total
    for f in range(n_filters):
        for t in range(n_taps + 1):
            total = 0
            for i in range(width):
                total += sums[(f * n_sums + (t if t < n_taps else n_sums - 1)) * width + i]
            if t < n_taps:
                d_filters_out[f * n_taps + t] += total
            else:
                d_intercepts_out[f] += total
