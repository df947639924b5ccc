# The direct convolution: the products of all taps, summed in registers. Part of _kernels.pyx, because its large kernels
# are compiled once rather than into every caller.
#
# These functions are what the passes ask of a convolution, on as many rows of as many filters as the caller likes;
# Winograd's has others of its own (winograd.pxi):
#
#   prepare            the flipped filters, once for each chunk of a batch, where the input's gradient is asked for
#   forward            rows of the convolution, `row` and `stride` say how they lie
#   backward_weights   their share in the gradient of the filters, as partial sums
#   backward_data      the gradient of what the stage reads
#
# The rows of a group of images are separate runs, or a single one where nothing lies between them, as in signals. Those
# of a single image (n_lanes is 1) are one run, from the first output to the last; what it computes between two rows is
# never read.


cdef void correlate_most(
    const floating* x, const Taps* taps, const floating* filters, const floating* intercepts, Py_ssize_t run,
    Py_ssize_t stride, floating* out,
) noexcept nogil:
    """The usual number of filters by itself, which has all registers."""
    convolution.convolution_block(
        x, taps, filters, intercepts, convolution.tile_filters(<floating> 0), run, stride, out)


cdef void correlate(
    const floating* x, const Taps* taps, const floating* filters, const floating* intercepts, Py_ssize_t n_filters,
    Py_ssize_t run, Py_ssize_t stride, floating* out,
) noexcept nogil:
    if n_filters == convolution.tile_filters(<floating> 0):
        correlate_most(x, taps, filters, intercepts, run, stride, out)
    else:
        convolution.convolution_forward(x, taps, filters, intercepts, n_filters, run, stride, out)


cdef void correlate_backward(
    const floating* x, const Py_ssize_t* offsets, Py_ssize_t n_taps, const floating* d_out, Py_ssize_t n_filters,
    Py_ssize_t n_rows, Py_ssize_t run, Py_ssize_t x_row, Py_ssize_t d_row, Py_ssize_t d_stride, floating* sums_out,
) noexcept nogil:
    convolution.convolution_backward(
        x, offsets, n_taps, d_out, n_filters, n_rows, run, x_row, d_row, d_stride, sums_out)


cdef inline void direct_prepare(const Stage* stage, const floating* parameters, floating* flipped_out) noexcept nogil:
    convolution.flip_filters(
        parameters + stage.filters, stage.n_filters, stage.n_channels, stage.kernel_size, flipped_out)


cdef inline Py_ssize_t direct_row(const Stage* stage, Py_ssize_t n_lanes) noexcept nogil:
    """From a row of the convolution to the next, in values."""
    return stage.row if n_lanes == 1 else stage.out_width * LANES


cdef inline Py_ssize_t direct_stride(const Strip* strip, Py_ssize_t n_lanes) noexcept nogil:
    """From a filter's rows of the convolution to the next filter's."""
    cdef Py_ssize_t n_rows = strip.n_rows * strip.stage.pool_height
    if n_lanes == 1:
        return (n_rows - 1) * strip.stage.row + strip.stage.out_width
    return n_rows * strip.stage.out_width * LANES


cdef inline void direct_forward(
    const Strip* strip, Py_ssize_t n_lanes, const floating* x, const floating* parameters, floating* out,
) noexcept nogil:
    """out[f, i, j] = intercepts[f] + sum over u, v, ch of x[ch, i + u, j + v] * filters[f, ch, u, v].

    Without intercepts where normalisation is to come: what it adds comes last.
    """
    cdef const Stage* stage = strip.stage
    cdef const floating* filters = parameters + stage.filters + strip.filter * stage.n_taps
    cdef floating zeros[TILE_FILTERS]
    cdef const floating* intercepts = parameters + stage.intercepts + strip.filter
    cdef Py_ssize_t stride = direct_stride(strip, n_lanes)
    cdef Py_ssize_t run = stage.out_width * LANES
    cdef Py_ssize_t i
    if stage.epsilon:
        memset(zeros, 0, sizeof(zeros))
        intercepts = &zeros[0]
    x += strip.row * stage.pool_height * stage.row * n_lanes
    if n_lanes == 1:
        correlate(x, &stage.image_taps, filters, intercepts, strip.n_filters, stride, stride, out)
        return
    if stage.row == stage.out_width:
        correlate(x, &stage.taps, filters, intercepts, strip.n_filters, strip.n_rows * stage.pool_height * run, stride,
                  out)
        return
    for i in range(strip.n_rows * stage.pool_height):
        correlate(x + i * stage.row * LANES, &stage.taps, filters, intercepts, strip.n_filters, run, stride,
                  out + i * run)


cdef inline void direct_backward_weights(
    const Strip* strip, Py_ssize_t n_lanes, const floating* x, const floating* d, Py_ssize_t d_stride,
    floating* sums_out,
) noexcept nogil:
    """d_filters[f, ch, u, v] += sum over i, j of d[f, i, j] * x[ch, i + u, j + v]
    d_intercepts[f] += sum over i, j of d[f, i, j]

    `d` begins at the strip and has rows as long as those of x, `d_stride` values from filter to filter; a single
    image's has zeros between them. `sums_out` begins at the stage's sums.
    """
    cdef const Stage* stage = strip.stage
    cdef Py_ssize_t row = stage.row * n_lanes
    cdef Py_ssize_t n_rows = strip.n_rows * stage.pool_height
    x += strip.row * stage.pool_height * row
    sums_out += strip.filter * convolution.sums_size(1, stage.n_taps, <floating> 0)
    if n_lanes == 1:
        correlate_backward(x, stage.image_taps.offsets, stage.n_taps, d, strip.n_filters, 1,
                           (n_rows - 1) * row + stage.out_width, 0, 0, d_stride, sums_out)
    elif stage.row == stage.out_width:
        correlate_backward(x, stage.taps.offsets, stage.n_taps, d, strip.n_filters, 1, n_rows * row, 0, 0, d_stride,
                           sums_out)
    else:
        correlate_backward(x, stage.taps.offsets, stage.n_taps, d, strip.n_filters, n_rows, stage.out_width * LANES,
                           row, row, d_stride, sums_out)


cdef inline void direct_backward_data(
    const Stage* stage, Py_ssize_t n_lanes, const floating* flipped, const floating* d, floating* strip_out,
    floating* d_x_out,
) noexcept nogil:
    """d_x[ch, i, j] = sum over f, u, v of d[f, i - u, j - v] * filters[f, ch, u, v], without padding.

    It is the forward pass with flipped filters over `d`, which zeros surround.
    """
    cdef Py_ssize_t n_taps = stage.n_filters * stage.kernel_size
    cdef Py_ssize_t n_positions = stage.height * stage.width
    cdef const floating* zeros = flipped + stage.n_channels * n_taps
    cdef Py_ssize_t run = (stage.height - 1) * stage.row + stage.width
    cdef Py_ssize_t ch = 0
    cdef Py_ssize_t n, q, i
    while ch < stage.n_channels:
        n = convolution.next_filters(stage.n_channels - ch, <floating> 0)
        if n_lanes == 1:
            correlate(d, &stage.image_d_taps, flipped + ch * n_taps, zeros, n, run, run, strip_out)
            for q in range(n):
                for i in range(stage.height):
                    memcpy(d_x_out + ((ch + q) * stage.height + i) * stage.width,
                           strip_out + q * run + i * stage.row, stage.width * sizeof(floating))
        elif stage.row == stage.width:
            correlate(d, &stage.d_taps, flipped + ch * n_taps, zeros, n, n_positions * LANES, n_positions * LANES,
                      d_x_out + ch * n_positions * LANES)
        else:
            for i in range(stage.height):
                correlate(d + i * stage.row * LANES, &stage.d_taps, flipped + ch * n_taps, zeros, n,
                          stage.width * LANES, n_positions * LANES,
                          d_x_out + (ch * n_positions + i * stage.width) * LANES)
        ch += n
