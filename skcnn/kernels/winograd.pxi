# Winograd's convolution of a group of images (winograd.pxd), part of _kernels.pyx. Single images have direct.pxi's.
#
# It goes a strip of tiles at a time, rows of pools of all filters:
#
#   prepare    transformed filters, once for a batch
#   read       a strip's tiles, transformed
#   multiply   their products with the filters
#   forward    a few filters' outputs
#   backward   the gradient of what the stage reads, and sums of that of the transformed filters
#   finish     from these to the gradient of the filters, once for each chunk of a batch (winograd_backward.pxi)
#
# Transformed arrays have a tile's positions apart. At each, the tiles are multiplied by filters as by a matrix, which
# is what correlate does: a tap is a channel of a segment, a filter of a segment, or a pixel of an image.


cdef inline Py_ssize_t tile_rows(const Strip* strip) noexcept nogil:
    return (strip.n_rows * strip.stage.pool_height + winograd.TILE - 1) // winograd.TILE


cdef inline Py_ssize_t margin_rows(const Stage* stage) noexcept nogil:
    """Rows of tiles beyond a strip's own that filters of several segments read."""
    return stage.n_segments - 1


cdef inline Py_ssize_t tile_row(const Stage* stage) noexcept nogil:
    """From a row of tiles to the next."""
    return stage.n_tile_columns * LANES


cdef inline Py_ssize_t padded_channels(const Stage* stage) noexcept nogil:
    return whole_lanes(stage.n_channels)


cdef inline Py_ssize_t filter_stride(const Stage* stage) noexcept nogil:
    """Transformed, a filter has so many values at a position: channels of each segment."""
    return stage.n_segments * padded_channels(stage)


cdef inline Py_ssize_t segment_size(const Stage* stage, Py_ssize_t segment) noexcept nogil:
    """Elements of a filter's segment in one channel."""
    if segment == stage.n_segments - 1:
        return stage.kernel_size - segment * winograd.TILE
    return winograd.TILE


# From a position's values to the next one's: of the transformed filters, and of a strip's tiles by channels, by
# filters, and by images with channels as lanes.


cdef inline Py_ssize_t weights_apart(const Stage* stage) noexcept nogil:
    return winograd.apart(stage.n_filters * filter_stride(stage))


cdef inline Py_ssize_t channels_apart(const Stage* stage) noexcept nogil:
    return winograd.apart(stage.n_channels * stage.tile_run)


cdef inline Py_ssize_t filters_apart(const Stage* stage) noexcept nogil:
    return winograd.apart(stage.n_filters * stage.tile_run)


cdef inline Py_ssize_t lanes_apart(const Stage* stage) noexcept nogil:
    return winograd.apart(padded_channels(stage) * stage.tile_run)


cdef void winograd_prepare(const Stage* stage, const floating* parameters, floating* transformed_out) noexcept nogil:
    """transformed_out[position, filter, segment, channel]"""
    cdef Py_ssize_t f, ch, segment
    cdef const floating* filter
    for f in range(stage.n_filters):
        for segment in range(stage.n_segments):
            filter = parameters + stage.filters + f * stage.n_taps + segment * winograd.TILE
            ch = 0
            while ch < stage.n_channels:
                transform_filter(
                    stage.tiles, filter + ch * stage.kernel_size, min(stage.n_channels - ch, <Py_ssize_t> LANES),
                    segment_size(stage, segment), stage.kernel_size,
                    transformed_out + f * filter_stride(stage) + segment * padded_channels(stage) + ch,
                    weights_apart(stage))
                ch += LANES


cdef inline Py_ssize_t readable_rows(const Stage* stage) noexcept nogil:
    return stage.out_height + stage.kernel_size // stage.kernel_width - 1


cdef inline Py_ssize_t readable_columns(const Stage* stage) noexcept nogil:
    return stage.out_width + stage.kernel_width - 1


cdef void winograd_read(const Strip* strip, const floating* x, floating* tiles_out) noexcept nogil:
    """tiles_out[position, channel, tile, lane], of all channels."""
    cdef const Stage* stage = strip.stage
    cdef Py_ssize_t width = winograd.tile_width(stage.tiles)
    cdef Py_ssize_t first = strip.row * stage.pool_height
    cdef Py_ssize_t ch, i, j
    for ch in range(stage.n_channels):
        for i in range(tile_rows(strip) + margin_rows(stage)):
            for j in range(stage.n_tile_columns):
                read_tile(
                    stage.tiles, winograd.X,
                    x + (ch * stage.plane + (first + i * winograd.TILE) * stage.row + j * width) * LANES,
                    stage.row * LANES, readable_rows(stage) - first - i * winograd.TILE,
                    readable_columns(stage) - j * width,
                    tiles_out + ch * stage.tile_run + i * tile_row(stage) + j * LANES, channels_apart(stage))


cdef void winograd_multiply(
    const Strip* strip, const floating* tiles, const floating* transformed, floating* products_out,
) noexcept nogil:
    """After winograd_read: products_out[position, filter, tile, lane], of all filters.

    Position by position: its tiles and filters stay in the first-level cache.
    """
    cdef const Stage* stage = strip.stage
    cdef floating zeros[TILE_FILTERS]
    cdef Py_ssize_t run = tile_rows(strip) * tile_row(stage)
    cdef Py_ssize_t stride = filter_stride(stage)
    cdef Py_ssize_t k, n
    cdef Py_ssize_t f
    memset(zeros, 0, sizeof(zeros))
    for k in range(winograd.tile_positions(stage.tiles)):
        f = 0
        while f < stage.n_filters:
            n = convolution.next_filters(stage.n_filters - f, <floating> 0)
            correlate(tiles + k * channels_apart(stage), &stage.channel_taps,
                      transformed + k * weights_apart(stage) + f * stride, zeros, n, run,
                      stage.tile_run, products_out + k * filters_apart(stage)
                      + f * stage.tile_run)
            f += n


cdef void winograd_forward(
    const Strip* strip, const floating* products, const floating* parameters, floating* out, Py_ssize_t stride,
) noexcept nogil:
    """After winograd_multiply: out[filter, row, column] of a few filters, `stride` values apart."""
    cdef const Stage* stage = strip.stage
    cdef Py_ssize_t n_rows = strip.n_rows * stage.pool_height
    cdef Py_ssize_t row = stage.out_width * LANES
    cdef Py_ssize_t width = winograd.tile_width(stage.tiles)
    cdef Py_ssize_t q, i, j
    cdef floating intercept
    for q in range(strip.n_filters):
        intercept = 0 if stage.epsilon else parameters[stage.intercepts + strip.filter + q]
        for i in range(tile_rows(strip)):
            for j in range(stage.n_tile_columns):
                write_tile(
                    stage.tiles, products + (strip.filter + q) * stage.tile_run + i * tile_row(stage) + j * LANES,
                    filters_apart(stage), intercept, row, n_rows - i * winograd.TILE, stage.out_width - j * width,
                    out + q * stride + i * winograd.TILE * row + j * width * LANES)
