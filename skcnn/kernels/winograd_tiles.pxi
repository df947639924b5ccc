# Single tiles of Winograd's convolution (winograd.pxd), part of _kernels.pyx: read, written and added; and filters.
#
# Each transform is compiled once, for either kind of tiles.


cdef void transform_lanes(
    Tiles kind, Transform name, const floating* x, Py_ssize_t x_row, Py_ssize_t x_column, floating added,
    floating* out, Py_ssize_t out_row, Py_ssize_t out_column,
) noexcept nogil:
    """See winograd.transform_tiles."""
    if kind == winograd.COLUMNS:
        transform_of_kind(winograd.COLUMNS, name, x, x_row, x_column, added, out, out_row, out_column)
    else:
        transform_of_kind(winograd.SQUARES, name, x, x_row, x_column, added, out, out_row, out_column)


cdef inline void transform_of_kind(
    Tiles kind, Transform name, const floating* x, Py_ssize_t x_row, Py_ssize_t x_column, floating added,
    floating* out, Py_ssize_t out_row, Py_ssize_t out_column,
) noexcept nogil:
    if name == winograd.X:
        winograd.transform_tiles(kind, winograd.X, x, x_row, x_column, added, out, out_row, out_column)
    elif name == winograd.D_X:
        winograd.transform_tiles(kind, winograd.D_X, x, x_row, x_column, added, out, out_row, out_column)
    elif name == winograd.FILTERS:
        winograd.transform_tiles(kind, winograd.FILTERS, x, x_row, x_column, added, out, out_row, out_column)
    elif name == winograd.D_FILTERS:
        winograd.transform_tiles(kind, winograd.D_FILTERS, x, x_row, x_column, added, out, out_row, out_column)
    elif name == winograd.OUTPUTS:
        winograd.transform_tiles(kind, winograd.OUTPUTS, x, x_row, x_column, added, out, out_row, out_column)
    else:
        winograd.transform_tiles(kind, winograd.D_OUTPUTS, x, x_row, x_column, added, out, out_row, out_column)


cdef void read_tile(
    Tiles kind, Transform name, const floating* x, Py_ssize_t row, Py_ssize_t n_rows, Py_ssize_t n_columns,
    floating* out, Py_ssize_t stride,
) noexcept nogil:
    """A tile of a group's images, `row` values from row to row, with zeros beyond its `n_rows` and `n_columns`.

    Its values come out `stride` values apart.
    """
    cdef floating whole[winograd.POINTS * winograd.POINTS * LANES]
    cdef Py_ssize_t height = winograd.size_before(kind, name)
    cdef Py_ssize_t width = 1 if kind == winograd.COLUMNS else height
    cdef Py_ssize_t i
    if n_rows < height or n_columns < width:
        memset(whole, 0, sizeof(whole))
        for i in range(min(n_rows, height)):
            memcpy(whole + i * width * LANES, x + i * row, min(n_columns, width) * LANES * sizeof(floating))
        x, row = whole, width * LANES
    transform_lanes(kind, name, x, row, LANES, <floating> 0, out, winograd.row_apart(kind, stride), stride)


cdef void write_tile(
    Tiles kind, const floating* products, Py_ssize_t stride, floating added, Py_ssize_t row, Py_ssize_t n_rows,
    Py_ssize_t n_columns, floating* out,
) noexcept nogil:
    """A tile's outputs, as far as there are rows and columns."""
    cdef floating whole[winograd.TILE * winograd.TILE * LANES]
    cdef Py_ssize_t width = winograd.tile_width(kind)
    cdef bint inside = n_rows >= winograd.TILE and n_columns >= width
    cdef Py_ssize_t i
    transform_lanes(kind, winograd.OUTPUTS, products, winograd.row_apart(kind, stride), stride, added,
                    out if inside else whole, row if inside else width * LANES, LANES)
    if not inside:
        for i in range(min(n_rows, <Py_ssize_t> winograd.TILE)):
            memcpy(out + i * row, whole + i * width * LANES, min(n_columns, width) * LANES * sizeof(floating))


cdef void add_tile(
    Tiles kind, const floating* d_tile, Py_ssize_t stride, Py_ssize_t row, floating* d_x_out,
) noexcept nogil:
    """Accumulate a tile's share in the gradient of its pixels."""
    transform_lanes(kind, winograd.D_X, d_tile, winograd.row_apart(kind, stride), stride, <floating> 0, d_x_out, row,
                    LANES)


cdef void transform_filter(
    Tiles kind, const floating* filters, Py_ssize_t n_channels, Py_ssize_t n_elements, Py_ssize_t size,
    floating* out, Py_ssize_t stride,
) noexcept nogil:
    """Some elements of a filter that has `size` a channel, of at most LANES channels; all further ones are zeros."""
    cdef floating taps[winograd.SIDE * winograd.SIDE * LANES]
    cdef Py_ssize_t width = 1 if kind == winograd.COLUMNS else winograd.SIDE
    cdef Py_ssize_t ch, t
    memset(taps, 0, sizeof(taps))
    for ch in range(n_channels):
        for t in range(n_elements):
            taps[t * LANES + ch] = filters[ch * size + t]
    transform_lanes(kind, winograd.FILTERS, taps, width * LANES, LANES, <floating> 0, out,
                    winograd.row_apart(kind, stride), stride)


cdef void add_filter_gradient(
    Tiles kind, const floating* d_transformed, Py_ssize_t stride, Py_ssize_t n_channels, Py_ssize_t n_elements,
    Py_ssize_t size, floating* d_filters_out,
) noexcept nogil:
    cdef floating taps[winograd.SIDE * winograd.SIDE * LANES]
    cdef Py_ssize_t width = 1 if kind == winograd.COLUMNS else winograd.SIDE
    cdef Py_ssize_t ch, t
    transform_lanes(kind, winograd.D_FILTERS, d_transformed, winograd.row_apart(kind, stride), stride, <floating> 0,
                    taps, width * LANES, LANES)
    for ch in range(n_channels):
        for t in range(n_elements):
            d_filters_out[ch * size + t] += taps[t * LANES + ch]
