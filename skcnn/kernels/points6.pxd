"""Winograd's transforms of one side of a square tile: 4 outputs, 6 pixels, 3 elements of a filter (winograd.pxd).

The points are 0, P, -P, Q, -Q and infinity. P = 3/4 and Q = 3/2 are exact in binary, and their rounding is half of
that of the usual 1 and 2: in float32, 6e-7 of the outputs' size, where that of plain sums is 1e-7.
"""

from skcnn.kernels.lanes cimport LANES, floating

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


cdef inline Py_ssize_t before6(Transform transform) noexcept nogil:
    """Values that a transform takes."""
    return 3 if transform == FILTERS else 4 if transform == D_OUTPUTS else 6


cdef inline Py_ssize_t after6(Transform transform) noexcept nogil:
    """Values that come of it."""
    return 3 if transform == D_FILTERS else 4 if transform == OUTPUTS else 6


# ---- columns of values in, LANES apart, columns out, `stride` values apart, `width` tiles at a time ----
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


cdef inline void to_points6(
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


cdef inline void from_points6(
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
