# The way back through Winograd's convolution, part of _kernels.pyx; see winograd.pxi.


cdef inline Py_ssize_t swapped_row(const Stage* stage) noexcept nogil:
    return stage.swapped_width * LANES


cdef void swap_channels(const Stage* stage, const floating* x, floating* out) noexcept nogil:
    """What a stage reads, with lanes and channels exchanged: out[block of channels, image, row, column, channel].

    Rows and columns go on with zeros to the end of the last tiles.
    """
    cdef floating square[LANES * LANES]
    cdef floating exchanged[LANES * LANES]
    cdef Py_ssize_t map = stage.swapped_height * swapped_row(stage)
    cdef Py_ssize_t ch = 0
    cdef Py_ssize_t n, i, j, c, lane
    cdef const floating* pixel
    while ch < stage.n_channels:
        n = min(stage.n_channels - ch, <Py_ssize_t> LANES)
        for lane in range(LANES):
            lanes.clear_border(0, readable_rows(stage), readable_columns(stage) * LANES, swapped_row(stage), map,
                               out + lane * map)
        if n < LANES:
            memset(square, 0, sizeof(square))
        for i in range(readable_rows(stage)):
            for j in range(readable_columns(stage)):
                for c in range(n):
                    pixel = x + ((ch + c) * stage.plane + i * stage.row + j) * LANES
                    portable.prefetch(pixel + PREFETCH_COLUMNS * LANES)
                    for lane in range(LANES):
                        square[c * LANES + lane] = pixel[lane]
                lanes.transpose(square, exchanged)
                for lane in range(LANES):
                    for c in range(LANES):
                        out[lane * map + i * swapped_row(stage) + j * LANES + c] = exchanged[lane * LANES + c]
        ch += LANES
        out += LANES * map


cdef void read_gradient(const Strip* strip, const floating* d, floating* d_tiles_out) noexcept nogil:
    """d_tiles_out[position, filter, tile, lane], with zeros on both sides of the strip's tiles."""
    cdef const Stage* stage = strip.stage
    cdef Py_ssize_t width = winograd.tile_width(stage.tiles)
    cdef Py_ssize_t first = strip.row * stage.pool_height
    cdef Py_ssize_t n_margin = margin_rows(stage) * tile_row(stage)
    cdef Py_ssize_t f, i, j, k
    cdef floating* tiles
    for f in range(stage.n_filters):
        for k in range(winograd.tile_positions(stage.tiles) if n_margin else 0):
            tiles = d_tiles_out + k * filters_apart(stage) + f * stage.tile_run
            memset(tiles, 0, n_margin * sizeof(floating))
            memset(tiles + n_margin + tile_rows(strip) * tile_row(stage), 0, n_margin * sizeof(floating))
        for i in range(tile_rows(strip)):
            for j in range(stage.n_tile_columns):
                read_tile(
                    stage.tiles, winograd.D_OUTPUTS,
                    d + (f * stage.d_plane + (first + i * winograd.TILE) * stage.row + j * width) * LANES,
                    stage.row * LANES, stage.out_height - first - i * winograd.TILE, stage.out_width - j * width,
                    d_tiles_out + f * stage.tile_run + n_margin + i * tile_row(stage) + j * LANES,
                    filters_apart(stage))


cdef void read_swapped(const Strip* strip, const floating* swapped, floating* tiles_out) noexcept nogil:
    """tiles_out[position, tile, image, channel]"""
    cdef const Stage* stage = strip.stage
    cdef Py_ssize_t stride = padded_channels(stage)
    cdef Py_ssize_t row = swapped_row(stage)
    cdef Py_ssize_t first = strip.row * stage.pool_height
    cdef Py_ssize_t ch = 0
    cdef Py_ssize_t i, j, lane
    while ch < stride:
        for lane in range(LANES):
            for i in range(tile_rows(strip) + margin_rows(stage)):
                for j in range(stage.n_tile_columns):
                    transform_lanes(
                        stage.tiles, winograd.X,
                        swapped + (first + i * winograd.TILE) * row + j * winograd.tile_width(stage.tiles) * LANES,
                        row, LANES, <floating> 0,
                        tiles_out + (i * tile_row(stage) + j * LANES + lane) * stride + ch,
                        winograd.row_apart(stage.tiles, lanes_apart(stage)), lanes_apart(stage))
            swapped += stage.swapped_height * row
        ch += LANES


cdef void add_pixel_gradient(const Strip* strip, const floating* tiles, floating* d_x_out) noexcept nogil:
    """tiles[position, channel, tile, lane], to the gradient of what the stage reads."""
    cdef const Stage* stage = strip.stage
    cdef Py_ssize_t row = stage.d_x_row * LANES
    cdef Py_ssize_t ch, i, j
    d_x_out += strip.row * stage.pool_height * row
    for ch in range(stage.n_channels):
        for i in range(tile_rows(strip) + margin_rows(stage)):
            for j in range(stage.n_tile_columns):
                add_tile(
                    stage.tiles, tiles + ch * stage.tile_run + i * tile_row(stage) + j * LANES, lanes_apart(stage), row,
                    d_x_out + ch * stage.d_x_plane * LANES + i * winograd.TILE * row
                    + j * winograd.tile_width(stage.tiles) * LANES)


cdef void multiply_for_filters(
    const Strip* strip, bint first, const floating* d_tiles, const floating* tiles, floating* sums,
    floating* d_transformed_out,
) noexcept nogil:
    """At one position: the filters' gradient, of `tiles` by images and channels, added to what is there if not `first`.

    `sums` is memory for TILE_FILTERS filters.
    """
    cdef const Stage* stage = strip.stage
    cdef floating zeros[TILE_FILTERS]
    cdef Py_ssize_t stride = padded_channels(stage)
    cdef Taps pixel_taps = stage.pixel_taps
    cdef Py_ssize_t segment, f, q, n
    cdef floating* out
    pixel_taps.n_taps = tile_rows(strip) * tile_row(stage)
    memset(zeros, 0, sizeof(zeros))
    d_tiles += margin_rows(stage) * tile_row(stage)
    for segment in range(stage.n_segments):
        f = 0
        while f < stage.n_filters:
            n = convolution.next_filters(stage.n_filters - f, <floating> 0)
            out = d_transformed_out + f * filter_stride(stage) + segment * stride
            correlate(tiles + segment * tile_row(stage) * stride, &pixel_taps, d_tiles + f * stage.tile_run, zeros, n,
                      stride, filter_stride(stage) if first else stride, out if first else sums)
            for q in range(0 if first else n):
                add(sums + q * stride, stride, out + q * filter_stride(stage))
            f += n


cdef void multiply_for_pixels(
    const Strip* strip, const floating* d_tiles, const floating* transformed, floating* tiles_out,
) noexcept nogil:
    """At one position: the pixels' gradient."""
    cdef const Stage* stage = strip.stage
    cdef floating zeros[TILE_FILTERS]
    cdef Py_ssize_t run = (tile_rows(strip) + margin_rows(stage)) * tile_row(stage)
    cdef Py_ssize_t ch = 0
    cdef Py_ssize_t n
    memset(zeros, 0, sizeof(zeros))
    while ch < stage.n_channels:
        n = convolution.next_filters(stage.n_channels - ch, <floating> 0)
        correlate(d_tiles, &stage.filter_taps, transformed + ch, zeros, n, run, stage.tile_run,
                  tiles_out + ch * stage.tile_run)
        ch += n


cdef void winograd_backward(
    const Scratch* at, const Stage* stage, bint first, const floating* x, const floating* d,
    const floating* transformed, floating* thread, floating* d_x_out,
) noexcept nogil:
    """The filters' gradient goes to the stage's part of at.d_transformed, and is added to what is there if not `first`.

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
        # Where both are wanted, the pixels' gradient takes the tiles' place.
        for k in range(winograd.tile_positions(stage.tiles)):
            if x != NULL:
                multiply_for_filters(
                    &strip, first and strip.row == 0, d_tiles + k * filters_apart(stage),
                    tiles + k * lanes_apart(stage), thread + at.strip, d_transformed + k * weights_apart(stage))
            if d_x_out != NULL:
                multiply_for_pixels(&strip, d_tiles + k * filters_apart(stage), transformed + k * weights_apart(stage),
                                    tiles + k * lanes_apart(stage))
        if d_x_out != NULL:
            add_pixel_gradient(&strip, tiles, d_x_out)
        strip.row += strip.n_rows


cdef void winograd_finish(const Stage* stage, const floating* d_transformed, floating* gradient_out) noexcept nogil:
    """From the sums of winograd_backward to the gradient of the filters."""
    cdef Py_ssize_t f, ch, segment
    cdef floating* filter
    for f in range(stage.n_filters):
        for segment in range(stage.n_segments):
            filter = gradient_out + stage.filters + f * stage.n_taps + segment * winograd.TILE
            ch = 0
            while ch < stage.n_channels:
                add_filter_gradient(
                    stage.tiles, d_transformed + f * filter_stride(stage) + segment * padded_channels(stage) + ch,
                    weights_apart(stage), min(stage.n_channels - ch, <Py_ssize_t> LANES),
                    segment_size(stage, segment), stage.kernel_size, filter + ch * stage.kernel_size)
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
