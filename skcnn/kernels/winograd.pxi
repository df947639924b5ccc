# Winograd's convolution of a group of images (winograd.pxd), part of _kernels.pyx. Single images have direct.pxi's.
#
# It goes a strip of tiles at a time, rows of pools of all filters:
#
#   prepare    transformed filters, once for a batch
#   read       a strip's tiles, transformed
#   multiply   their products with the filters
#   forward    a few filters' outputs
#   backward   the gradient of what the stage reads, and sums of that of the transformed filters
#   finish     from these to the gradient of the filters, once for each chunk of a batch
#
# Transformed arrays have a tile's 36 positions apart. At each, the tiles are multiplied by filters as by a matrix,
# which is what correlate does: a tap is a channel, a filter, or a pixel of an image.


cdef inline Py_ssize_t tile_rows(const Strip* strip) noexcept nogil:
    return (strip.n_rows * strip.stage.pool_height + winograd.TILE - 1) // winograd.TILE


cdef inline Py_ssize_t filter_stride(const Stage* stage) noexcept nogil:
    """Transformed, a filter has so many channels."""
    return whole_lanes(stage.n_channels)


# From a position's values to the next one's: of the transformed filters, and of a strip's tiles by channels, by
# filters, and by images with channels as lanes.


cdef inline Py_ssize_t weights_apart(const Stage* stage) noexcept nogil:
    return winograd.apart(stage.n_filters * filter_stride(stage))


cdef inline Py_ssize_t channels_apart(const Stage* stage) noexcept nogil:
    return winograd.apart(stage.n_channels * stage.tile_run)


cdef inline Py_ssize_t filters_apart(const Stage* stage) noexcept nogil:
    return winograd.apart(stage.n_filters * stage.tile_run)


cdef inline Py_ssize_t lanes_apart(const Stage* stage) noexcept nogil:
    return winograd.apart(filter_stride(stage) * stage.tile_run)


cdef void winograd_prepare(const Stage* stage, const floating* parameters, floating* transformed_out) noexcept nogil:
    """transformed_out[position, filter, channel]"""
    cdef Py_ssize_t stride = filter_stride(stage)
    cdef Py_ssize_t f, ch
    for f in range(stage.n_filters):
        ch = 0
        while ch < stage.n_channels:
            winograd.transform_filter(
                parameters + stage.filters + f * stage.n_taps + ch * stage.kernel_size,
                min(stage.n_channels - ch, <Py_ssize_t> LANES), transformed_out + f * stride + ch,
                weights_apart(stage))
            ch += LANES


cdef void winograd_read(const Strip* strip, const floating* x, floating* tiles_out) noexcept nogil:
    """tiles_out[position, channel, tile, lane], of all channels."""
    cdef const Stage* stage = strip.stage
    cdef Py_ssize_t first = strip.row * stage.pool_height
    cdef Py_ssize_t ch, i, j
    for ch in range(stage.n_channels):
        for i in range(tile_rows(strip)):
            for j in range(stage.n_tile_columns):
                winograd.read_tile(
                    winograd.X,
                    x + (ch * stage.plane + (first + i * winograd.TILE) * stage.row + j * winograd.TILE) * LANES,
                    stage.row * LANES, stage.out_height + 2 - first - i * winograd.TILE,
                    stage.out_width + 2 - j * winograd.TILE,
                    tiles_out + ch * stage.tile_run + (i * stage.n_tile_columns + j) * LANES,
                    channels_apart(stage))


cdef void winograd_multiply(
    const Strip* strip, const floating* tiles, const floating* transformed, floating* products_out,
) noexcept nogil:
    """After winograd_read: products_out[position, filter, tile, lane], of all filters.

    Position by position: its tiles and filters stay in the first-level cache.
    """
    cdef const Stage* stage = strip.stage
    cdef floating zeros[TILE_FILTERS]
    cdef Py_ssize_t run = tile_rows(strip) * stage.n_tile_columns * LANES
    cdef Py_ssize_t stride = filter_stride(stage)
    cdef Py_ssize_t k, n
    cdef Py_ssize_t f
    memset(zeros, 0, sizeof(zeros))
    for k in range(winograd.POSITIONS):
        f = 0
        while f < stage.n_filters:
            n = convolution.even_part(stage.n_filters - f, <Py_ssize_t> TILE_FILTERS)
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
    cdef Py_ssize_t q, i, j
    cdef floating intercept
    for q in range(strip.n_filters):
        intercept = 0 if stage.epsilon else parameters[stage.intercepts + strip.filter + q]
        for i in range(tile_rows(strip)):
            for j in range(stage.n_tile_columns):
                winograd.write_tile(
                    products + (strip.filter + q) * stage.tile_run + (i * stage.n_tile_columns + j) * LANES,
                    filters_apart(stage), intercept, row, n_rows - i * winograd.TILE,
                    stage.out_width - j * winograd.TILE,
                    out + q * stride + i * winograd.TILE * row + j * winograd.TILE * LANES)


# ---- backward ----


cdef void swap_channels(const Stage* stage, const floating* x, floating* out) noexcept nogil:
    """What a stage reads, with lanes and channels exchanged: out[block of channels, image, row, column, channel].

    Rows and columns go on with zeros to the end of the last tiles.
    """
    cdef floating square[LANES * LANES]
    cdef floating exchanged[LANES * LANES]
    cdef Py_ssize_t height = stage.n_tile_rows * winograd.TILE + 2
    cdef Py_ssize_t width = stage.n_tile_columns * winograd.TILE + 2
    cdef Py_ssize_t map = height * width * LANES
    cdef Py_ssize_t ch = 0
    cdef Py_ssize_t n, i, j, c, lane
    memset(out, 0, filter_stride(stage) * map * sizeof(floating))
    memset(square, 0, sizeof(square))
    while ch < stage.n_channels:
        n = min(stage.n_channels - ch, <Py_ssize_t> LANES)
        if n < LANES:
            memset(square, 0, sizeof(square))
        for i in range(stage.out_height + 2):
            for j in range(stage.out_width + 2):
                for c in range(n):
                    for lane in range(LANES):
                        square[c * LANES + lane] = x[((ch + c) * stage.plane + i * stage.row + j) * LANES + lane]
                lanes.transpose(square, exchanged)
                for lane in range(LANES):
                    for c in range(LANES):
                        out[lane * map + (i * width + j) * LANES + c] = exchanged[lane * LANES + c]
        ch += LANES
        out += LANES * map


cdef void read_gradient(const Strip* strip, const floating* d, floating* d_tiles_out) noexcept nogil:
    """d_tiles_out[position, filter, tile, lane]"""
    cdef const Stage* stage = strip.stage
    cdef Py_ssize_t first = strip.row * stage.pool_height
    cdef Py_ssize_t f, i, j
    for f in range(stage.n_filters):
        for i in range(tile_rows(strip)):
            for j in range(stage.n_tile_columns):
                winograd.read_tile(
                    winograd.D_OUTPUTS,
                    d + (f * stage.d_plane + (first + i * winograd.TILE) * stage.row + j * winograd.TILE) * LANES,
                    stage.row * LANES, stage.out_height - first - i * winograd.TILE,
                    stage.out_width - j * winograd.TILE,
                    d_tiles_out + f * stage.tile_run + (i * stage.n_tile_columns + j) * LANES,
                    filters_apart(stage))


cdef void read_swapped(const Strip* strip, const floating* swapped, floating* tiles_out) noexcept nogil:
    """tiles_out[position, tile, image, channel]"""
    cdef const Stage* stage = strip.stage
    cdef Py_ssize_t stride = filter_stride(stage)
    cdef Py_ssize_t height = stage.n_tile_rows * winograd.TILE + 2
    cdef Py_ssize_t width = stage.n_tile_columns * winograd.TILE + 2
    cdef Py_ssize_t first = strip.row * stage.pool_height
    cdef Py_ssize_t ch = 0
    cdef Py_ssize_t i, j, lane
    while ch < stride:
        for lane in range(LANES):
            for i in range(tile_rows(strip)):
                for j in range(stage.n_tile_columns):
                    winograd.transform_tiles(
                        winograd.X, swapped + ((first + i * winograd.TILE) * width + j * winograd.TILE) * LANES,
                        width * LANES, LANES, <floating> 0,
                        tiles_out + ((i * stage.n_tile_columns + j) * LANES + lane) * stride + ch,
                        winograd.POINTS * lanes_apart(stage), lanes_apart(stage))
            swapped += height * width * LANES
        ch += LANES


cdef void add_pixel_gradient(const Strip* strip, const floating* tiles, floating* d_x_out) noexcept nogil:
    """tiles[position, channel, tile, lane], to the gradient of what the stage reads."""
    cdef const Stage* stage = strip.stage
    cdef Py_ssize_t row = stage.d_x_row * LANES
    cdef Py_ssize_t ch, i, j
    d_x_out += strip.row * stage.pool_height * row
    for ch in range(stage.n_channels):
        for i in range(tile_rows(strip)):
            for j in range(stage.n_tile_columns):
                winograd.add_tile(
                    tiles + ch * stage.tile_run + (i * stage.n_tile_columns + j) * LANES,
                    lanes_apart(stage), row,
                    d_x_out + ch * stage.d_x_plane * LANES + (i * row + j * LANES) * winograd.TILE)


cdef void multiply_backward(
    const Strip* strip, const floating* d_tiles, const floating* transformed, floating* tiles, floating* sums,
    floating* d_transformed_out,
) noexcept nogil:
    """At one position: the filters' gradient, of `tiles` by images and channels, and instead of these the pixels'.

    Either may be NULL: the transformed filters, or their gradient. `sums` is memory for TILE_FILTERS filters.
    """
    cdef const Stage* stage = strip.stage
    cdef floating zeros[TILE_FILTERS]
    cdef Py_ssize_t stride = filter_stride(stage)
    cdef Py_ssize_t run = tile_rows(strip) * stage.n_tile_columns * LANES
    cdef Taps pixel_taps = stage.pixel_taps
    cdef Py_ssize_t f = 0
    cdef Py_ssize_t ch = 0
    cdef Py_ssize_t n
    pixel_taps.n_taps = run
    memset(zeros, 0, sizeof(zeros))
    while f < stage.n_filters and d_transformed_out != NULL:
        n = convolution.even_part(stage.n_filters - f, <Py_ssize_t> TILE_FILTERS)
        correlate(tiles, &pixel_taps, d_tiles + f * stage.tile_run, zeros, n, stride, stride, sums)
        add(sums, n * stride, d_transformed_out + f * stride)
        f += n
    while ch < stage.n_channels and transformed != NULL:
        n = convolution.even_part(stage.n_channels - ch, <Py_ssize_t> TILE_FILTERS)
        correlate(d_tiles, &stage.filter_taps, transformed + ch, zeros, n, run, stage.tile_run,
                  tiles + ch * stage.tile_run)
        ch += n


cdef void winograd_backward(
    const Scratch* at, const Stage* stage, const floating* x, const floating* d, const floating* transformed,
    floating* thread, floating* d_x_out,
) noexcept nogil:
    """The filters' gradient is added to the stage's part of at.d_transformed.

    Without `x` there is none of it, and without `d_x_out` none of what is read.
    """
    cdef floating* tiles = thread + at.tiles
    cdef floating* d_tiles = thread + at.d_tiles
    cdef floating* d_transformed = thread + at.d_transformed + stage.transformed
    cdef Py_ssize_t k
    cdef Strip strip
    strip.stage, strip.row = stage, 0
    if x != NULL:
        swap_channels(stage, x, thread + at.swapped)
    if d_x_out != NULL:
        memset(d_x_out, 0, stage.n_channels * stage.d_x_plane * LANES * sizeof(floating))
    while strip.row < stage.pooled_height:
        strip.n_rows = min(stage.pooled_height - strip.row, stage.tile_strip)
        read_gradient(&strip, d, d_tiles)
        if x != NULL:
            read_swapped(&strip, thread + at.swapped, tiles)
        for k in range(winograd.POSITIONS):
            multiply_backward(
                &strip, d_tiles + k * filters_apart(stage),
                transformed + k * weights_apart(stage) if d_x_out != NULL else NULL,
                tiles + k * lanes_apart(stage), thread + at.strip,
                d_transformed + k * weights_apart(stage) if x != NULL else NULL)
        if d_x_out != NULL:
            add_pixel_gradient(&strip, tiles, d_x_out)
        strip.row += strip.n_rows


cdef void winograd_finish(const Stage* stage, const floating* d_transformed, floating* gradient_out) noexcept nogil:
    """From the sums of winograd_backward to the gradient of the filters."""
    cdef Py_ssize_t stride = filter_stride(stage)
    cdef Py_ssize_t f, ch
    for f in range(stage.n_filters):
        ch = 0
        while ch < stage.n_channels:
            winograd.add_filter_gradient(
                d_transformed + f * stride + ch, weights_apart(stage),
                min(stage.n_channels - ch, <Py_ssize_t> LANES),
                gradient_out + stage.filters + f * stage.n_taps + ch * stage.kernel_size)
            ch += LANES


cdef void sum_intercepts(const Stage* stage, const floating* d, floating* gradient_out) noexcept nogil:
    cdef floating total[LANES]
    cdef floating value
    cdef Py_ssize_t f, i, j, lane
    for f in range(stage.n_filters):
        memset(total, 0, sizeof(total))
        for i in range(stage.out_height):
            for j in range(stage.out_width):
                for lane in range(LANES):
                    total[lane] += d[(f * stage.d_plane + i * stage.row + j) * LANES + lane]
        value = 0
        for lane in range(LANES):
            value += total[lane]
        gradient_out[stage.intercepts + f] += value
