"""Winograd's convolution with filters of 3 x 3: a tile of 4 x 4 outputs takes 36 products a channel, not 144.

A product of polynomials is determined by its values at a few points: it takes one product for each. Of x at 6 x 6
pixels and w at 3 x 3, the outputs at 4 x 4 are (Lavin and Gray, 2016, "Fast algorithms for convolutional neural
networks", equation 12), with matrices of powers of the points,

    out = A' ((G w G') * (B' x B)) A           summed over channels within the parentheses

As all of it is linear, the gradients are

    d_w = G' ((A d A') * (B' x B)) G           summed over tiles and images
    d_x = B ((G w G') * (A d A')) B'           summed over filters, and where tiles overlap

The points are 0, P, -P, Q, -Q and infinity. P = 3/4 and Q = 3/2 are exact in binary, and their rounding is half of
that of the usual 1 and 2: in float32, 6e-7 of the outputs' size, where that of plain sums is 1e-7.

A transform is of the columns of a tile, then of the rows of what comes of these, for LANES tiles at a time, which are
those of a group's images, or of neighbouring channels.
"""

from libc.string cimport memcpy, memset

from skcnn.kernels.blocks cimport SUM_BYTES
from skcnn.kernels.lanes cimport LANES, floating

cdef enum:
    TILE = 4  # outputs, along each side
    POINTS = 6  # and pixels that they see, along each side
    POSITIONS = 36  # POINTS * POINTS
    SIDE = 3  # of a filter

# What a transform multiplies by: its matrix.
cdef enum Transform:
    X  # B', of pixels
    D_X  # B, back to them
    FILTERS  # G
    D_FILTERS  # G', back to them
    OUTPUTS  # A', to outputs
    D_OUTPUTS  # A, of their gradient

cdef extern from *:
    """
    #define SKCNN_P 0.75
    #define SKCNN_Q 1.5
    """
    const double P "SKCNN_P"
    const double Q "SKCNN_Q"
    const double P2 "(SKCNN_P * SKCNN_P)"
    const double Q2 "(SKCNN_Q * SKCNN_Q)"
    const double P3 "(SKCNN_P * SKCNN_P * SKCNN_P)"
    const double Q3 "(SKCNN_Q * SKCNN_Q * SKCNN_Q)"
    # Products of a point's distances to the others, of which Lagrange's polynomials are divided by.
    const double AT_0 "(1 / (SKCNN_P * SKCNN_P * SKCNN_Q * SKCNN_Q))"
    const double AT_P "(0.5 / (SKCNN_P * SKCNN_P * (SKCNN_P * SKCNN_P - SKCNN_Q * SKCNN_Q)))"
    const double AT_Q "(0.5 / (SKCNN_Q * SKCNN_Q * (SKCNN_Q * SKCNN_Q - SKCNN_P * SKCNN_P)))"


cdef inline Py_ssize_t size_before(Transform transform) noexcept nogil:
    """Along each side."""
    return SIDE if transform == FILTERS else TILE if transform == D_OUTPUTS else POINTS


cdef inline Py_ssize_t size_after(Transform transform) noexcept nogil:
    return SIDE if transform == D_FILTERS else TILE if transform == OUTPUTS else POINTS


cdef inline Py_ssize_t apart(Py_ssize_t n_values) noexcept nogil:
    """From a position's values to the next one's: whole pages apart, all 36 would share one set of the cache."""
    return n_values + LANES


# ---- one side: columns of values in, LANES apart, columns out, `stride` values apart, `width` tiles at a time ----
#
# A point and its negative share sums: of a polynomial they need its even and its odd part, `p` at P and `q` at Q. Each
# loop fills one array: compilers would ask of two whether they overlap.


cdef inline void store_points(
    const floating* first, const floating* even_p, const floating* odd_p, const floating* even_q, const floating* odd_q,
    const floating* last, Py_ssize_t width, floating* out, Py_ssize_t stride,
) noexcept nogil:
    """Values at all points, the first one's and the last one's as they are."""
    cdef Py_ssize_t i
    for i in range(width):
        out[i] = first[i]
    for i in range(width):
        out[stride + i] = even_p[i] + odd_p[i]
    for i in range(width):
        out[2 * stride + i] = even_p[i] - odd_p[i]
    for i in range(width):
        out[3 * stride + i] = even_q[i] + odd_q[i]
    for i in range(width):
        out[4 * stride + i] = even_q[i] - odd_q[i]
    for i in range(width):
        out[5 * stride + i] = last[i]


cdef inline void load_points(
    const floating* v, Py_ssize_t width, floating* even_p, floating* odd_p, floating* even_q, floating* odd_q,
) noexcept nogil:
    """Of values at all points, sums and differences of those at P and -P, and at Q and -Q."""
    cdef Py_ssize_t i
    for i in range(width):
        even_p[i] = v[LANES + i] + v[2 * LANES + i]
    for i in range(width):
        odd_p[i] = v[LANES + i] - v[2 * LANES + i]
    for i in range(width):
        even_q[i] = v[3 * LANES + i] + v[4 * LANES + i]
    for i in range(width):
        odd_q[i] = v[3 * LANES + i] - v[4 * LANES + i]


cdef inline void to_points(
    Transform transform, const floating* v, Py_ssize_t width, floating* out, Py_ssize_t stride,
) noexcept nogil:
    """B', G or A, times v."""
    cdef floating even_p[LANES]
    cdef floating odd_p[LANES]
    cdef floating even_q[LANES]
    cdef floating odd_q[LANES]
    cdef floating first[LANES]
    cdef floating last[LANES]
    cdef Py_ssize_t i
    for i in range(width):
        if transform == X:
            first[i] = <floating> (P2 * Q2) * v[i] - <floating> (P2 + Q2) * v[2 * LANES + i] + v[4 * LANES + i]
            even_p[i] = v[4 * LANES + i] - <floating> Q2 * v[2 * LANES + i]
            even_q[i] = v[4 * LANES + i] - <floating> P2 * v[2 * LANES + i]
            odd_p[i] = <floating> P * (v[3 * LANES + i] - <floating> Q2 * v[LANES + i])
            odd_q[i] = <floating> Q * (v[3 * LANES + i] - <floating> P2 * v[LANES + i])
            last[i] = (<floating> (P2 * Q2) * v[LANES + i] - <floating> (P2 + Q2) * v[3 * LANES + i]
                       + v[5 * LANES + i])
        elif transform == FILTERS:
            first[i] = <floating> AT_0 * v[i]
            even_p[i] = <floating> AT_P * v[i] + <floating> (AT_P * P2) * v[2 * LANES + i]
            even_q[i] = <floating> AT_Q * v[i] + <floating> (AT_Q * Q2) * v[2 * LANES + i]
            odd_p[i] = <floating> (AT_P * P) * v[LANES + i]
            odd_q[i] = <floating> (AT_Q * Q) * v[LANES + i]
            last[i] = v[2 * LANES + i]
        else:
            first[i] = v[i]
            even_p[i] = v[i] + <floating> P2 * v[2 * LANES + i]
            even_q[i] = v[i] + <floating> Q2 * v[2 * LANES + i]
            odd_p[i] = <floating> P * v[LANES + i] + <floating> P3 * v[3 * LANES + i]
            odd_q[i] = <floating> Q * v[LANES + i] + <floating> Q3 * v[3 * LANES + i]
            last[i] = v[3 * LANES + i]
    store_points(first, even_p, odd_p, even_q, odd_q, last, width, out, stride)


cdef inline void from_points(
    Transform transform, const floating* v, bint add, floating added, Py_ssize_t width, floating* out,
    Py_ssize_t stride,
) noexcept nogil:
    """B, to be added to `out` or not, G' or A', times v; and `added` to outputs."""
    cdef floating even_p[LANES]
    cdef floating odd_p[LANES]
    cdef floating even_q[LANES]
    cdef floating odd_q[LANES]
    cdef Py_ssize_t i
    load_points(v, width, even_p, odd_p, even_q, odd_q)
    if transform == D_X:
        for i in range(width):
            out[i] = (out[i] if add else <floating> 0) + <floating> (P2 * Q2) * v[i]
        for i in range(width):
            out[stride + i] = (out[stride + i] if add else <floating> 0) + (
                <floating> (P2 * Q2) * v[5 * LANES + i] - <floating> (Q2 * P) * odd_p[i]
                - <floating> (P2 * Q) * odd_q[i])
        for i in range(width):
            out[2 * stride + i] = (out[2 * stride + i] if add else <floating> 0) - (
                <floating> (P2 + Q2) * v[i] + <floating> Q2 * even_p[i] + <floating> P2 * even_q[i])
        for i in range(width):
            out[3 * stride + i] = (out[3 * stride + i] if add else <floating> 0) + (
                <floating> P * odd_p[i] + <floating> Q * odd_q[i] - <floating> (P2 + Q2) * v[5 * LANES + i])
        for i in range(width):
            out[4 * stride + i] = (out[4 * stride + i] if add else <floating> 0) + (v[i] + even_p[i] + even_q[i])
        for i in range(width):
            out[5 * stride + i] = (out[5 * stride + i] if add else <floating> 0) + v[5 * LANES + i]
    elif transform == D_FILTERS:
        for i in range(width):
            out[i] = <floating> AT_0 * v[i] + <floating> AT_P * even_p[i] + <floating> AT_Q * even_q[i]
        for i in range(width):
            out[stride + i] = <floating> (AT_P * P) * odd_p[i] + <floating> (AT_Q * Q) * odd_q[i]
        for i in range(width):
            out[2 * stride + i] = (<floating> (AT_P * P2) * even_p[i] + <floating> (AT_Q * Q2) * even_q[i]
                                   + v[5 * LANES + i])
    else:
        for i in range(width):
            out[i] = v[i] + even_p[i] + even_q[i] + added
        for i in range(width):
            out[stride + i] = <floating> P * odd_p[i] + <floating> Q * odd_q[i] + added
        for i in range(width):
            out[2 * stride + i] = <floating> P2 * even_p[i] + <floating> Q2 * even_q[i] + added
        for i in range(width):
            out[3 * stride + i] = <floating> P3 * odd_p[i] + <floating> Q3 * odd_q[i] + v[5 * LANES + i] + added


cdef inline void transform_column(
    Transform transform, const floating* x, Py_ssize_t x_stride, bint add, floating added, floating* out,
    Py_ssize_t out_stride,
) noexcept nogil:
    cdef floating v[POINTS * LANES]
    # Of six values each, 12 of 16 registers.
    cdef Py_ssize_t width = max(<Py_ssize_t> 8, SUM_BYTES // <Py_ssize_t> sizeof(floating))
    cdef Py_ssize_t start = 0
    cdef Py_ssize_t i, j
    while start < LANES:
        for j in range(size_before(transform)):
            for i in range(width):
                v[j * LANES + i] = x[j * x_stride + start + i]
        if transform == X or transform == FILTERS or transform == D_OUTPUTS:
            to_points(transform, v, width, out + start, out_stride)
        else:
            from_points(transform, v, add, added, width, out + start, out_stride)
        start += width


# ---- both sides ----


cdef inline void transform_tiles(
    Transform transform, const floating* x, Py_ssize_t x_row, Py_ssize_t x_column, floating added, floating* out,
    Py_ssize_t out_row, Py_ssize_t out_column,
) noexcept nogil:
    """LANES tiles; the transform is a constant. Rows and columns lie as the strides say."""
    cdef floating columns[POSITIONS * LANES]
    cdef Py_ssize_t n_columns = size_before(transform)
    cdef Py_ssize_t i, j
    for j in range(n_columns):
        transform_column(
            transform, x + j * x_column, x_row, False, <floating> 0, columns + j * LANES, n_columns * LANES)
    for i in range(size_after(transform)):
        transform_column(transform, columns + i * n_columns * LANES, LANES, True, added, out + i * out_row, out_column)


cdef inline void read_tile(
    Transform transform, const floating* x, Py_ssize_t row, Py_ssize_t n_rows, Py_ssize_t n_columns, floating* out,
    Py_ssize_t stride,
) noexcept nogil:
    """A tile of a group's images, `row` values from row to row, with zeros beyond its `n_rows` and `n_columns`.

    Its values come out `stride` values apart.
    """
    cdef floating whole[POSITIONS * LANES]
    cdef Py_ssize_t size = size_before(transform)
    cdef Py_ssize_t i
    if n_rows < size or n_columns < size:
        memset(whole, 0, sizeof(whole))
        for i in range(min(n_rows, size)):
            memcpy(whole + i * size * LANES, x + i * row, min(n_columns, size) * LANES * sizeof(floating))
        x, row = whole, size * LANES
    transform_tiles(transform, x, row, LANES, <floating> 0, out, POINTS * stride, stride)


cdef inline void write_tile(
    const floating* products, Py_ssize_t stride, floating added, Py_ssize_t row, Py_ssize_t n_rows,
    Py_ssize_t n_columns, floating* out,
) noexcept nogil:
    """A tile's outputs, as far as there are rows and columns."""
    cdef floating whole[TILE * TILE * LANES]
    cdef bint inside = n_rows >= TILE and n_columns >= TILE
    cdef Py_ssize_t i
    transform_tiles(OUTPUTS, products, POINTS * stride, stride, added, out if inside else whole,
                    row if inside else TILE * LANES, LANES)
    if not inside:
        for i in range(min(n_rows, <Py_ssize_t> TILE)):
            memcpy(out + i * row, whole + i * TILE * LANES,
                   min(n_columns, <Py_ssize_t> TILE) * LANES * sizeof(floating))


cdef inline void add_tile(const floating* d_tile, Py_ssize_t stride, Py_ssize_t row, floating* d_x_out) noexcept nogil:
    """Accumulate a tile's share in the gradient of its pixels."""
    transform_tiles(D_X, d_tile, POINTS * stride, stride, <floating> 0, d_x_out, row, LANES)


# ---- filters: neighbouring channels take the lanes' place ----


cdef inline void transform_filter(
    const floating* filters, Py_ssize_t n_channels, floating* out, Py_ssize_t stride,
) noexcept nogil:
    """A filter (n_channels, SIDE, SIDE) of at most LANES channels; further ones are zeros."""
    cdef floating taps[SIDE * SIDE * LANES]
    cdef Py_ssize_t ch, t
    memset(taps, 0, sizeof(taps))
    for ch in range(n_channels):
        for t in range(SIDE * SIDE):
            taps[t * LANES + ch] = filters[ch * SIDE * SIDE + t]
    transform_tiles(FILTERS, taps, SIDE * LANES, LANES, <floating> 0, out, POINTS * stride, stride)


cdef inline void add_filter_gradient(
    const floating* d_transformed, Py_ssize_t stride, Py_ssize_t n_channels, floating* d_filters_out,
) noexcept nogil:
    cdef floating taps[SIDE * SIDE * LANES]
    cdef Py_ssize_t ch, t
    transform_tiles(D_FILTERS, d_transformed, POINTS * stride, stride, <floating> 0, taps, SIDE * LANES, LANES)
    for ch in range(n_channels):
        for t in range(SIDE * SIDE):
            d_filters_out[ch * SIDE * SIDE + t] += taps[t * LANES + ch]
