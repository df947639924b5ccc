"""Valid cross-correlation of a group of images with a bank of filters, and its gradient, a row of outputs at a time.

A tap is one element of a filter (channel, kernel row, kernel column). `offsets` say how far from the pixel that the
first tap reads each of them reads, in values of x: with them, a filter of any shape over any number of channels is one
flat list; behind its `n_taps` the list goes on with zeros to a multiple of TAP_BLOCK. A row of outputs is a run of
`run` = out_width * LANES values for each filter, `stride` values apart from filter to filter.

A single image, not interleaved with others, is one run from its first output to its last, those between the end of a
row of outputs and the beginning of the next being of no use.
"""

from libc.string cimport memset

from skcnn.kernels.blocks cimport PRODUCTS, REGISTERS, SUM_FILTERS, SUM_TAPS, TILE_FILTERS, VECTOR
from skcnn.kernels.lanes cimport LANES, floating

cdef enum:
    # Taps are filled up to a multiple of this: whole blocks of sum_taps.
    TAP_BLOCK = 15
    MOST_TAPS = 5  # in such a block
    FEW_FILTERS = 3  # whose weights have registers
    # The compiler unrolls loops of 7 rounds at most, and keeps sums in registers only if it does.
    MOST_ROUNDS = 6
    TILE_SUMS = REGISTERS * VECTOR // 4  # in values, of either type

# The taps of some filters: where each reads x, and its weights, `filters[f * filter_stride + tap * tap_stride]`.
cdef struct Taps:
    Py_ssize_t n_taps
    const Py_ssize_t* offsets
    Py_ssize_t filter_stride, tap_stride


cdef inline Py_ssize_t even_part(Py_ssize_t n_left, Py_ssize_t n_most) noexcept nogil:
    """The next part of `n_left` that are to be done in as few parts of at most `n_most` as may be, and as equal."""
    cdef Py_ssize_t n_parts = (n_left + n_most - 1) // n_most
    return (n_left + n_parts - 1) // n_parts


cdef inline Py_ssize_t tile_filters(floating zero) noexcept nogil:
    """Filters that convolution_forward takes at most, a constant for each float type."""
    return TILE_FILTERS if sum_vectors(zero) <= 2 else 2


cdef inline Py_ssize_t next_filters(Py_ssize_t n_left, floating zero) noexcept nogil:
    """How many filters convolution_forward is to take next."""
    return even_part(n_left, tile_filters(zero))


cdef inline Py_ssize_t tile_values(Py_ssize_t n_filters, floating zero) noexcept nogil:
    """Outputs of each of `n_filters` filters in a tile; see convolution_tile for what takes which register."""
    cdef Py_ssize_t n_vectors = sum_vectors(zero)
    cdef Py_ssize_t n_free = REGISTERS - PRODUCTS
    if n_filters <= FEW_FILTERS:
        n_free = (n_free - n_filters - n_vectors) // n_filters
    else:
        n_free = (n_free - 1) // (n_filters + 1)
    return min(n_free // n_vectors, <Py_ssize_t> MOST_ROUNDS) * sums_width(zero)


cdef inline void convolution_tile(
    const floating* x, const Taps* taps, const floating* filters, const floating* intercepts, Py_ssize_t n_filters,
    Py_ssize_t n_values, Py_ssize_t stride, floating* out,
) noexcept nogil:
    """`n_values` neighbouring outputs of `n_filters` filters; all sums stay in registers while the taps go by.

    For that, both numbers must be known when this is compiled into its caller, and the loop over taps must have no
    way around it (there is one at least).
    """
    cdef floating total[TILE_SUMS]
    cdef floating pixels[TILE_SUMS]
    cdef floating weights[TILE_FILTERS]
    cdef floating weight
    cdef Py_ssize_t size = min(n_values, sums_width(<floating> 0))
    cdef Py_ssize_t filter_stride = taps.filter_stride
    cdef Py_ssize_t tap_stride = taps.tap_stride
    cdef Py_ssize_t n_taps = taps.n_taps
    cdef Py_ssize_t tap = 0
    cdef Py_ssize_t f, p, i
    cdef const floating* shifted
    for f in range(n_filters):
        for p in range(n_values):
            total[f * n_values + p] = intercepts[f]
    while True:
        shifted = x + taps.offsets[tap]
        if n_filters <= FEW_FILTERS:  # weights stay in registers, else pixels do
            for f in range(n_filters):
                weights[f] = filters[f * filter_stride]
            for p in range(n_values // size):
                for i in range(size):
                    pixels[i] = shifted[p * size + i]
                for f in range(n_filters):
                    for i in range(size):
                        total[f * n_values + p * size + i] += weights[f] * pixels[i]
        else:
            for p in range(n_values // size):
                for i in range(size):
                    pixels[p * size + i] = shifted[p * size + i]
            for f in range(n_filters):
                weight = filters[f * filter_stride]
                for p in range(n_values // size):
                    for i in range(size):
                        total[f * n_values + p * size + i] += weight * pixels[p * size + i]
        filters += tap_stride
        tap += 1
        if tap >= n_taps:
            break
    for f in range(n_filters):
        for p in range(n_values):
            out[f * stride + p] = total[f * n_values + p]


cdef inline void convolution_units(
    const floating* x, const Taps* taps, const floating* filters, const floating* intercepts, Py_ssize_t n_filters,
    Py_ssize_t n_most, Py_ssize_t n_units, Py_ssize_t unit, Py_ssize_t stride, floating* out,
) noexcept nogil:
    """A tile of `n_units` <= `n_most` units; all but n_units are constants."""
    if n_units == 1:
        convolution_tile(x, taps, filters, intercepts, n_filters, unit, stride, out)
    elif n_most >= 2 and n_units == 2:
        convolution_tile(x, taps, filters, intercepts, n_filters, 2 * unit, stride, out)
    elif n_most >= 3 and n_units == 3:
        convolution_tile(x, taps, filters, intercepts, n_filters, 3 * unit, stride, out)
    elif n_most >= 4 and n_units == 4:
        convolution_tile(x, taps, filters, intercepts, n_filters, 4 * unit, stride, out)
    elif n_most >= 5 and n_units == 5:
        convolution_tile(x, taps, filters, intercepts, n_filters, 5 * unit, stride, out)
    elif n_most >= 6:
        convolution_tile(x, taps, filters, intercepts, n_filters, 6 * unit, stride, out)


cdef inline void convolution_block(
    const floating* x, const Taps* taps, const floating* filters, const floating* intercepts, Py_ssize_t n_filters,
    Py_ssize_t run, Py_ssize_t stride, floating* out,
) noexcept nogil:
    """A run of a block of filters, a constant number, in tiles as large as may be and as equal.

    They are made of units of LANES values, or of half as many if more sums fit so. What is left behind the last unit,
    which only a single image's run has, is done by a tile that reaches back.
    """
    cdef Py_ssize_t n_values = tile_values(n_filters, <floating> 0)
    cdef Py_ssize_t unit = LANES if n_values % LANES < LANES // 2 else LANES // 2
    cdef Py_ssize_t n_most = min(<Py_ssize_t> MOST_ROUNDS, n_values // unit)
    cdef Py_ssize_t n_units = run // unit
    cdef Py_ssize_t n_left = run
    cdef Py_ssize_t n
    while n_units:
        n = even_part(n_units, n_most) if n_most > 1 else 1
        convolution_units(x, taps, filters, intercepts, n_filters, n_most, n, unit, stride, out)
        x += n * unit
        out += n * unit
        n_left -= n * unit
        n_units -= n
    if n_left and run >= unit:
        n_left -= unit
        convolution_tile(x + n_left, taps, filters, intercepts, n_filters, unit, stride, out + n_left)
    elif n_left:  # one image, and a small one
        for n in range(n_left):
            convolution_tile(x + n, taps, filters, intercepts, n_filters, 1, stride, out + n)


cdef inline void convolution_forward(
    const floating* x, const Taps* taps, const floating* filters, const floating* intercepts, Py_ssize_t n_filters,
    Py_ssize_t run, Py_ssize_t stride, floating* out,
) noexcept nogil:
    """out[f, j] = intercepts[f] + sum over u, v, ch of x[ch, i + u, j + v] * filters[f, ch, u, v], in every lane.

    `x` begins at the pixel (0, i, 0), `out` at the output (0, i, 0); there are at most tile_filters of them.
    """
    cdef Py_ssize_t n_most = tile_filters(<floating> 0)
    if n_most >= 6 and n_filters == 6:
        convolution_block(x, taps, filters, intercepts, 6, run, stride, out)
    elif n_most >= 5 and n_filters == 5:
        convolution_block(x, taps, filters, intercepts, 5, run, stride, out)
    elif n_most >= 4 and n_filters == 4:
        convolution_block(x, taps, filters, intercepts, 4, run, stride, out)
    elif n_most >= 3 and n_filters == 3:
        convolution_block(x, taps, filters, intercepts, 3, run, stride, out)
    elif n_filters == 2:
        convolution_block(x, taps, filters, intercepts, 2, run, stride, out)
    else:
        convolution_block(x, taps, filters, intercepts, 1, run, stride, out)


# ---- the gradient of what a layer reads: a correlation again, of the gradient with the flipped filters ----


cdef inline void flip_filters(
    const floating* filters, Py_ssize_t n_filters, Py_ssize_t n_channels, Py_ssize_t size, floating* flipped_out,
) noexcept nogil:
    """flipped_out[ch, f, size - 1 - t] = filters[f, ch, t], t counting a filter's `size` elements of one channel.

    Behind them come n_channels zeros, for what the forward pass takes for intercepts. With d surrounded by zeros,

        x_gradient[ch, i, j] = sum over f, u, v of d[f, i - u, j - v] * filters[f, ch, u, v]

    is convolution_forward with them.
    """
    cdef Py_ssize_t f, ch, t
    for f in range(n_filters):
        for ch in range(n_channels):
            for t in range(size):
                flipped_out[(ch * n_filters + f) * size + size - 1 - t] = filters[(f * n_channels + ch) * size + t]
    memset(flipped_out + n_channels * n_filters * size, 0, n_channels * sizeof(floating))


# ---- the gradient of the filters: sums over all pixels of all images of a chunk ----
#
# While they are summed, the gradients of a filter's taps and, last, of its intercept are kept as `sums_width` partial
# sums each; convolution_backward_sums adds these up. sums[filter, tap, partial sum] has the taps filled up to whole
# blocks; what is summed for the missing ones is never looked at.


cdef inline Py_ssize_t sums_width(floating zero) noexcept nogil:
    """Partial sums of a gradient, a constant for each float type."""
    return max(<Py_ssize_t> 8, VECTOR // <Py_ssize_t> sizeof(floating))


cdef inline Py_ssize_t sum_vectors(floating zero) noexcept nogil:
    """Vectors that the partial sums of a gradient are."""
    return sums_width(zero) * <Py_ssize_t> sizeof(floating) // VECTOR


cdef inline Py_ssize_t sum_filters(floating zero) noexcept nogil:
    """Filters whose gradients are summed in one pass over a run, a constant for each float type."""
    return SUM_FILTERS if sum_vectors(zero) == 1 else 1


cdef inline Py_ssize_t sum_taps(floating zero) noexcept nogil:
    """And taps."""
    return SUM_TAPS if sum_vectors(zero) == 1 else 5 if sum_vectors(zero) == 2 else 3


cdef inline Py_ssize_t sums_taps(Py_ssize_t n_taps) noexcept nogil:
    """Gradients of a filter: of its taps, filled up to whole blocks, and of its intercept."""
    return (n_taps + TAP_BLOCK - 1) // TAP_BLOCK * TAP_BLOCK + 1


cdef inline Py_ssize_t sums_size(Py_ssize_t n_filters, Py_ssize_t n_taps, floating zero) noexcept nogil:
    return n_filters * sums_taps(n_taps) * sums_width(zero)


cdef inline void convolution_backward_taps(
    const floating* x, const Py_ssize_t* offsets, const floating* d_out, Py_ssize_t n_filters, Py_ssize_t n_rows,
    Py_ssize_t run, Py_ssize_t x_row, Py_ssize_t d_row, Py_ssize_t d_stride, Py_ssize_t sums_stride, floating* sums_out,
) noexcept nogil:
    """The runs' share in a block of taps of `n_filters` filters, a constant."""
    cdef Py_ssize_t width = sums_width(<floating> 0)
    cdef Py_ssize_t n_taps = sum_taps(<floating> 0)
    cdef floating total[SUM_FILTERS * MOST_TAPS * LANES]
    cdef floating d[SUM_FILTERS * LANES]
    cdef floating pixels[LANES]
    cdef const floating* shifted[MOST_TAPS]
    cdef Py_ssize_t p, f, t, i
    for t in range(n_taps):
        shifted[t] = x + offsets[t]
    for f in range(n_filters):
        for t in range(n_taps):
            for i in range(width):
                total[(f * n_taps + t) * width + i] = sums_out[f * sums_stride + t * width + i]
    while True:
        p = 0
        while True:
            for f in range(n_filters):
                for i in range(width):
                    d[f * width + i] = d_out[f * d_stride + p + i]
            for t in range(n_taps):
                for i in range(width):
                    pixels[i] = shifted[t][p + i]
                for f in range(n_filters):
                    for i in range(width):
                        total[(f * n_taps + t) * width + i] += d[f * width + i] * pixels[i]
            p += width
            if p + width > run:
                break
        n_rows -= 1
        if n_rows == 0:
            break
        d_out += d_row
        for t in range(n_taps):
            shifted[t] += x_row
    for f in range(n_filters):
        for t in range(n_taps):
            for i in range(width):
                sums_out[f * sums_stride + t * width + i] = total[(f * n_taps + t) * width + i]


cdef inline void convolution_backward_intercepts(
    const floating* d_out, Py_ssize_t n_filters, Py_ssize_t n_rows, Py_ssize_t run, Py_ssize_t d_row,
    Py_ssize_t d_stride, Py_ssize_t sums_stride, floating* sums_out,
) noexcept nogil:
    """Of all filters of a block at once: additions to a single sum would wait for each other."""
    cdef Py_ssize_t width = sums_width(<floating> 0)
    cdef floating total[SUM_FILTERS * LANES]
    cdef Py_ssize_t p, f, i
    for f in range(n_filters):
        for i in range(width):
            total[f * width + i] = sums_out[f * sums_stride + i]
    while True:
        p = 0
        while True:
            for f in range(n_filters):
                for i in range(width):
                    total[f * width + i] += d_out[f * d_stride + p + i]
            p += width
            if p + width > run:
                break
        n_rows -= 1
        if n_rows == 0:
            break
        d_out += d_row
    for f in range(n_filters):
        for i in range(width):
            sums_out[f * sums_stride + i] = total[f * width + i]


cdef inline void convolution_backward_rest(
    const floating* x, const Py_ssize_t* offsets, Py_ssize_t n_taps, const floating* d_out, Py_ssize_t n_values,
    floating* sums_out,
) noexcept nogil:
    """What is left behind the last whole vector of a single image's run, of one filter."""
    cdef Py_ssize_t width = sums_width(<floating> 0)
    cdef Py_ssize_t tap, p
    cdef floating total
    for tap in range(n_taps):
        total = 0
        for p in range(n_values):
            total += d_out[p] * x[offsets[tap] + p]
        sums_out[tap * width] += total
    total = 0
    for p in range(n_values):
        total += d_out[p]
    sums_out[(sums_taps(n_taps) - 1) * width] += total


cdef inline void convolution_backward_block(
    const floating* x, const Py_ssize_t* offsets, Py_ssize_t n_taps, const floating* d_out, Py_ssize_t n_filters,
    Py_ssize_t n_rows, Py_ssize_t run, Py_ssize_t x_row, Py_ssize_t d_row, Py_ssize_t d_stride, floating* sums_out,
) noexcept nogil:
    """Runs of a block of filters; n_filters is a constant where this is called."""
    cdef Py_ssize_t width = sums_width(<floating> 0)
    cdef Py_ssize_t sums_stride = sums_taps(n_taps) * width
    cdef Py_ssize_t whole = run - run % width
    cdef Py_ssize_t tap = 0
    cdef Py_ssize_t f
    while tap < n_taps and whole:
        convolution_backward_taps(x, offsets + tap, d_out, n_filters, n_rows, whole, x_row, d_row, d_stride,
                                  sums_stride, sums_out + tap * width)
        tap += sum_taps(<floating> 0)
    if whole:
        convolution_backward_intercepts(
            d_out, n_filters, n_rows, whole, d_row, d_stride, sums_stride, sums_out + sums_stride - width)
    for f in range(n_filters):
        if whole < run:
            convolution_backward_rest(
                x + whole, offsets, n_taps, d_out + f * d_stride + whole, run - whole, sums_out + f * sums_stride)


cdef inline void convolution_backward(
    const floating* x, const Py_ssize_t* offsets, Py_ssize_t n_taps, const floating* d_out, Py_ssize_t n_filters,
    Py_ssize_t n_rows, Py_ssize_t run, Py_ssize_t x_row, Py_ssize_t d_row, Py_ssize_t d_stride, floating* sums_out,
) noexcept nogil:
    """Of out[f, i, j] = intercepts[f] + sum of x[ch, i + u, j + v] * filters[f, ch, u, v], accumulated in partial sums:

    d_filters[f, ch, u, v] += sum over i, j, lanes of d_out[f, i, j] * x[ch, i + u, j + v]
    d_intercepts[f] += sum over i, j, lanes of d_out[f, i, j]

    for `n_rows` rows, `x_row` and `d_row` values apart; a single image is one row.
    """
    cdef Py_ssize_t width = sums_width(<floating> 0)
    cdef Py_ssize_t sums_stride = sums_taps(n_taps) * width
    cdef Py_ssize_t n_block = sum_filters(<floating> 0)
    cdef Py_ssize_t f = 0
    cdef Py_ssize_t n
    while f < n_filters:
        n = even_part(n_filters - f, n_block)
        if n_block >= 4 and n == 4:
            convolution_backward_block(x, offsets, n_taps, d_out + f * d_stride, 4, n_rows, run, x_row, d_row, d_stride,
                                       sums_out + f * sums_stride)
        elif n_block >= 3 and n == 3:
            convolution_backward_block(x, offsets, n_taps, d_out + f * d_stride, 3, n_rows, run, x_row, d_row, d_stride,
                                       sums_out + f * sums_stride)
        elif n_block >= 2 and n == 2:
            convolution_backward_block(x, offsets, n_taps, d_out + f * d_stride, 2, n_rows, run, x_row, d_row, d_stride,
                                       sums_out + f * sums_stride)
        else:
            convolution_backward_block(x, offsets, n_taps, d_out + f * d_stride, 1, n_rows, run, x_row, d_row, d_stride,
                                       sums_out + f * sums_stride)
        f += n


cdef inline void convolution_backward_sums(
    const floating* sums, Py_ssize_t n_taps, Py_ssize_t n_filters, floating* d_filters_out, floating* d_intercepts_out,
) noexcept nogil:
    """Add up the partial sums; the gradients are accumulated. `d_intercepts_out` may be NULL."""
    cdef Py_ssize_t width = sums_width(<floating> 0)
    cdef Py_ssize_t n_sums = sums_taps(n_taps)
    cdef Py_ssize_t f, t, i
    cdef floating total
    for f in range(n_filters):
        for t in range(n_taps + (d_intercepts_out != NULL)):
            total = 0
            for i in range(width):
                total += sums[(f * n_sums + (t if t < n_taps else n_sums - 1)) * width + i]
            if t < n_taps:
                d_filters_out[f * n_taps + t] += total
            else:
                d_intercepts_out[f] += total
