"""Winograd's convolution: a tile of 4 x 4 outputs of a filter of 3 x 3 takes 36 products a channel, not 144.

A product of polynomials is determined by its values at a few points: it takes one product for each. Of x at 6 x 6
pixels and w at 3 x 3, the outputs at 4 x 4 are (Lavin and Gray, 2016, "Fast algorithms for convolutional neural
networks", equation 12), with matrices of powers of the points,

    out = A' ((G w G') * (B' x B)) A           summed over channels within the parentheses

As all of it is linear, the gradients are

    d_w = G' ((A d A') * (B' x B)) G           summed over tiles and images
    d_x = B ((G w G') * (A d A')) B'           summed over filters, and where tiles overlap

A transform is of the columns of a tile, then of the rows of what comes of these (points6.pxd), for LANES tiles at a
time, which are those of a group's images, or of neighbouring channels.

Of signals, whose tiles are a column of 4 outputs, one side is all there is, and 8 pixels allow for 5 elements of a
filter (points8.pxd): 8 products instead of 20. A longer filter is a sum of segments, 4 elements each but for a fifth in
the last one. As that is how far tiles are apart, a segment's pixels are those of the next tile.
"""

from skcnn.kernels.blocks cimport VECTOR
from skcnn.kernels.lanes cimport LANES, floating
from skcnn.kernels.points6 cimport (
    D_FILTERS,
    D_OUTPUTS,
    D_X,
    FILTERS,
    OUTPUTS,
    Transform,
    X,
    after6,
    before6,
    from_points6,
    to_points6,
)
from skcnn.kernels.points8 cimport after8, before8, from_points8, to_points8

cdef enum:
    TILE = 4  # outputs, along a side
    SIDE = 3  # of the filters of square tiles
    POINTS = 6  # and pixels that a square tile sees, along each side
    COLUMN_POINTS = 8

# What tiles a stage has.
cdef enum Tiles:
    NO_TILES = 0
    SQUARES
    COLUMNS


cdef inline Py_ssize_t size_before(Tiles kind, Transform transform) noexcept nogil:
    """Along each side."""
    return before8(transform) if kind == COLUMNS else before6(transform)


cdef inline Py_ssize_t size_after(Tiles kind, Transform transform) noexcept nogil:
    return after8(transform) if kind == COLUMNS else after6(transform)


cdef inline Py_ssize_t tile_points(Tiles kind) noexcept nogil:
    """Pixels of a tile from top to bottom."""
    return COLUMN_POINTS if kind == COLUMNS else POINTS


cdef inline Py_ssize_t tile_positions(Tiles kind) noexcept nogil:
    return COLUMN_POINTS if kind == COLUMNS else POINTS * POINTS


cdef inline Py_ssize_t tile_width(Tiles kind) noexcept nogil:
    """Outputs from left to right."""
    return 1 if kind == COLUMNS else TILE


cdef inline Py_ssize_t row_apart(Tiles kind, Py_ssize_t stride) noexcept nogil:
    """From a tile's row of positions to the next, positions being `stride` values apart."""
    return stride if kind == COLUMNS else POINTS * stride


cdef inline Py_ssize_t apart(Py_ssize_t n_values) noexcept nogil:
    """From a position's values to the next one's: whole pages apart, all 36 would share one set of the cache."""
    return n_values + LANES


# The kind of tiles and the transform are constants wherever these are called.


cdef inline void transform_side(
    Tiles kind, Transform transform, const floating* x, Py_ssize_t x_stride, bint add, floating added, floating* out,
    Py_ssize_t out_stride,
) noexcept nogil:
    """One side of LANES tiles."""
    cdef floating v[COLUMN_POINTS * LANES]
    # Tiles at a time: of 6 values each 12 of 16 registers, of 8 values half.
    cdef Py_ssize_t least = 4 if kind == COLUMNS else 8
    cdef Py_ssize_t width = max(least, VECTOR // <Py_ssize_t> sizeof(floating))
    cdef bint to_points = transform == X or transform == FILTERS or transform == D_OUTPUTS
    cdef Py_ssize_t start = 0
    cdef Py_ssize_t i, j
    while start < LANES:
        for j in range(size_before(kind, transform)):
            for i in range(width):
                v[j * LANES + i] = x[j * x_stride + start + i]
        if kind == COLUMNS and to_points:
            to_points8(transform, v, width, out + start, out_stride)
        elif kind == COLUMNS:
            from_points8(transform, v, add, added, width, out + start, out_stride)
        elif to_points:
            to_points6(transform, v, width, out + start, out_stride)
        else:
            from_points6(transform, v, add, added, width, out + start, out_stride)
        start += width


cdef inline void transform_tiles(
    Tiles kind, Transform transform, const floating* x, Py_ssize_t x_row, Py_ssize_t x_column, floating added,
    floating* out, Py_ssize_t out_row, Py_ssize_t out_column,
) noexcept nogil:
    """LANES tiles; rows and columns lie as the strides say. What D_X makes is added."""
    cdef floating columns[POINTS * POINTS * LANES]
    cdef Py_ssize_t n_columns = before6(transform)
    cdef Py_ssize_t i, j
    if kind == COLUMNS:
        transform_side(COLUMNS, transform, x, x_row, True, added, out, out_row)
        return
    for j in range(n_columns):
        transform_side(SQUARES, transform, x + j * x_column, x_row, False, <floating> 0, columns + j * LANES,
                       n_columns * LANES)
    for i in range(after6(transform)):
        transform_side(SQUARES, transform, columns + i * n_columns * LANES, LANES, True, added, out + i * out_row,
                       out_column)
