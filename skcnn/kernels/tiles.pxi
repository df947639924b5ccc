# How a convolution by Winograd's algorithm (winograd.pxd) divides what a stage reads, part of _network.pyx.


cdef Py_ssize_t padded_channels(const Stage* stage) noexcept:
    return (stage.n_channels + LANES - 1) // LANES * LANES


cdef Tiles possible_tiles(const Stage* stage) noexcept:
    if stage.kernel_width == SIDE and stage.kernel_size == SIDE * SIDE:
        return SQUARES
    if stage.kernel_width == 1 and stage.kernel_size >= SIDE and stage.width == 1:
        return COLUMNS
    return NO_TILES


cdef bint tiles_pay(const Stage* stage) noexcept:
    """A product of a channel and a filter at one position counts as 1 here, the transforms of a tile as measured."""
    cdef double products = <double> stage.n_channels * stage.n_filters
    cdef double transforms = (COLUMN_COST if stage.tiles == COLUMNS else SQUARE_COST) * (
        <double> stage.n_channels + stage.n_filters)
    return (stage.n_tile_rows * stage.n_tile_columns
            * (tile_positions(stage.tiles) * stage.n_segments * products + transforms)
            < stage.out_height * stage.out_width * stage.kernel_size * products)


cdef void divide_into_tiles(Stage* stage, bint allowed) noexcept:
    """Whether a stage's convolution is Winograd's, and its strips: rows of pools that are whole tiles, or all rows.

    By geometry alone. The first stage, whose gradient has no memory but for a few filters, has few channels.
    """
    cdef Py_ssize_t n_rows = TILE
    cdef Py_ssize_t few = FEW_TILES
    cdef Py_ssize_t halo_height, halo_width, above, before
    stage.tiles = possible_tiles(stage)
    stage.n_segments = max(<Py_ssize_t> 1, (stage.kernel_size + 2) // TILE) if stage.tiles == COLUMNS else 1
    stage.n_tile_rows = (stage.out_height + TILE - 1) // TILE
    stage.n_tile_columns = (stage.out_width + tile_width(stage.tiles) - 1) // tile_width(stage.tiles)
    # A group's gradient of what it reads: as far as tiles reach, or without padding.
    stage.d_x_row, stage.d_x_plane, stage.d_x_start = stage.width, stage.height * stage.width, 0
    if not (allowed and stage.tiles and tiles_pay(stage)):
        stage.tiles = NO_TILES
        return
    # Pooling may drop what tiles would reach.
    halo_height = tile_points(stage.tiles) - TILE
    halo_width = halo_height if stage.tiles == SQUARES else 0
    above, before = stage.start // stage.row, stage.start % stage.row
    stage.swapped_height = (stage.n_tile_rows + stage.n_segments - 1) * TILE + halo_height
    stage.swapped_width = stage.n_tile_columns * tile_width(stage.tiles) + halo_width
    stage.d_x_row = max(stage.swapped_width, before + stage.width)
    stage.d_x_plane = max(stage.swapped_height, above + stage.height) * stage.d_x_row
    stage.d_x_start = above * stage.d_x_row + before
    if stage.tiles == COLUMNS:
        few = FEW_COLUMNS
    while n_rows % stage.pool_height:
        n_rows += TILE
    while n_rows // TILE * stage.n_tile_columns < few and n_rows < stage.out_height:
        n_rows *= 2
    stage.tile_strip = min(n_rows // stage.pool_height, stage.pooled_height)
    # With as many tiles on both sides as further segments read.
    n_rows = (stage.tile_strip * stage.pool_height + TILE - 1) // TILE + 2 * (stage.n_segments - 1)
    stage.tile_run = n_rows * stage.n_tile_columns * LANES


# ---- what its products sum over ----


cdef Py_ssize_t channel_taps(const Stage* stage) noexcept:
    """Channels of each segment; of several segments, those are among them that fill up the lanes."""
    return stage.n_channels if stage.n_segments == 1 else stage.n_segments * padded_channels(stage)


cdef Py_ssize_t count_tile_offsets(const Stage* stage) noexcept:
    if not stage.tiles:
        return 0
    return channel_taps(stage) + stage.n_segments * stage.n_filters + stage.tile_run


cdef Py_ssize_t* begin_taps(
    Py_ssize_t n_taps, Py_ssize_t filter_stride, Py_ssize_t tap_stride, Py_ssize_t* offsets, Taps* taps_out,
) noexcept:
    taps_out.n_taps, taps_out.offsets = n_taps, offsets
    taps_out.filter_stride, taps_out.tap_stride = filter_stride, tap_stride
    return offsets + n_taps


cdef Py_ssize_t* lay_tile_taps(Stage* stage, Py_ssize_t* offsets) noexcept:
    """Sums over channels, over filters, and over the pixels of a strip's tiles."""
    cdef Py_ssize_t n_channels = padded_channels(stage)
    cdef Py_ssize_t n_taps = channel_taps(stage)
    cdef Py_ssize_t row = stage.n_tile_columns * LANES
    cdef Py_ssize_t* end = begin_taps(n_taps, stage.n_segments * n_channels, 1, offsets, &stage.channel_taps)
    cdef Py_ssize_t t
    for t in range(n_taps):
        # Where there is no channel, whose weights are zeros, the last one's pixels do.
        offsets[t] = t // n_channels * row + min(t % n_channels, stage.n_channels - 1) * stage.tile_run
    offsets = end
    n_taps = stage.n_filters * stage.n_segments
    end = begin_taps(n_taps, 1, n_channels, offsets, &stage.filter_taps)
    for t in range(n_taps):
        offsets[t] = t // stage.n_segments * stage.tile_run + (
            stage.n_segments - 1 - t % stage.n_segments) * row
    offsets = end
    end = begin_taps(stage.tile_run, stage.tile_run, 1, offsets, &stage.pixel_taps)
    for t in range(stage.tile_run):
        offsets[t] = t * n_channels
    return end
