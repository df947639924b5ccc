"""Winograd's transforms of a tile of one column: 4 outputs, 8 pixels, up to 5 elements of a filter (winograd.pxd).

The points are 0, infinity, and three pairs of a point and its negative, which share sums: of a polynomial they need its
even and its odd part. With 1/2, 1 and 2 as points, rounding in float32 is about six times that of plain sums.
"""

from skcnn.kernels.lanes cimport LANES, floating
from skcnn.kernels.points6 cimport D_FILTERS, D_OUTPUTS, D_X, FILTERS, OUTPUTS, Transform, X

cdef enum:
    PAIRS = 3

cdef extern from *:
    """
    #define SKCNN_A 0.25
    #define SKCNN_B 1.0
    #define SKCNN_C 4.0
    #define SKCNN_ABC (SKCNN_A * SKCNN_B * SKCNN_C)
    /* Inverse products of a point's distances to the others, by which Lagrange's polynomials are multiplied. */
    #define SKCNN_IA (0.5 / (SKCNN_A * (SKCNN_A - SKCNN_B) * (SKCNN_A - SKCNN_C)))
    #define SKCNN_IB (0.5 / (SKCNN_B * (SKCNN_B - SKCNN_A) * (SKCNN_B - SKCNN_C)))
    #define SKCNN_IC (0.5 / (SKCNN_C * (SKCNN_C - SKCNN_A) * (SKCNN_C - SKCNN_B)))
    static const double skcnn_one[3] = {1, 1, 1};
    static const double skcnn_point[3] = {0.5, 1, 2};
    static const double skcnn_square[3] = {SKCNN_A, SKCNN_B, SKCNN_C};
    static const double skcnn_product[3] = {SKCNN_B * SKCNN_C, SKCNN_C * SKCNN_A, SKCNN_A * SKCNN_B};
    static const double skcnn_sum[3] = {SKCNN_B + SKCNN_C, SKCNN_C + SKCNN_A, SKCNN_A + SKCNN_B};
    static const double skcnn_inverse[3] = {SKCNN_IA, SKCNN_IB, SKCNN_IC};
    static const double skcnn_inverse_2[3] = {SKCNN_IA * SKCNN_A, SKCNN_IB * SKCNN_B, SKCNN_IC * SKCNN_C};
    static const double skcnn_inverse_4[3] = {
        SKCNN_IA * SKCNN_A * SKCNN_A, SKCNN_IB * SKCNN_B * SKCNN_B, SKCNN_IC * SKCNN_C * SKCNN_C};
    """
    # With the squares of the points: their product, sum of products of two, and sum.
    const double ABC "SKCNN_ABC"
    const double PAIRWISE "(SKCNN_A * SKCNN_B + SKCNN_B * SKCNN_C + SKCNN_C * SKCNN_A)"
    const double TOTAL "(SKCNN_A + SKCNN_B + SKCNN_C)"
    # Of each pair: 1, its point, and that squared; product and sum of the other two squares; the inverse product, alone
    # and times the point's second and fourth power.
    const double* ONE "skcnn_one"
    const double* POINT "skcnn_point"
    const double* SQUARE "skcnn_square"
    const double* PRODUCT "skcnn_product"
    const double* SUM "skcnn_sum"
    const double* INVERSE "skcnn_inverse"
    const double* INVERSE_2 "skcnn_inverse_2"
    const double* INVERSE_4 "skcnn_inverse_4"


cdef inline Py_ssize_t before8(Transform transform) noexcept nogil:
    """Values that a transform takes."""
    return 5 if transform == FILTERS else 4 if transform == D_OUTPUTS else 8


cdef inline Py_ssize_t after8(Transform transform) noexcept nogil:
    """Values that come of it."""
    return 5 if transform == D_FILTERS else 4 if transform == OUTPUTS else 8


# ---- columns of values in, LANES apart, columns out, `stride` values apart, `width` tiles at a time ----


cdef inline void to_points8(
    Transform transform, const floating* v, Py_ssize_t width, floating* out, Py_ssize_t stride,
) noexcept nogil:
    """B', G or A, times v."""
    cdef floating even[PAIRS * LANES]
    cdef floating odd[PAIRS * LANES]
    cdef floating first[LANES]
    cdef floating last[LANES]
    cdef Py_ssize_t k, i
    for i in range(width):
        if transform == X:
            first[i] = (v[6 * LANES + i] - <floating> TOTAL * v[4 * LANES + i]
                        + <floating> PAIRWISE * v[2 * LANES + i] - <floating> ABC * v[i])
            last[i] = (v[7 * LANES + i] - <floating> TOTAL * v[5 * LANES + i]
                       + <floating> PAIRWISE * v[3 * LANES + i] - <floating> ABC * v[LANES + i])
        elif transform == FILTERS:
            first[i] = <floating> (-1 / ABC) * v[i]
            last[i] = v[4 * LANES + i]
        else:
            first[i] = v[i]
            last[i] = v[3 * LANES + i]
    for k in range(PAIRS):
        for i in range(width):
            if transform == X:
                even[k * LANES + i] = (v[6 * LANES + i] - <floating> SUM[k] * v[4 * LANES + i]
                                       + <floating> PRODUCT[k] * v[2 * LANES + i])
                odd[k * LANES + i] = <floating> POINT[k] * (
                    v[5 * LANES + i] - <floating> SUM[k] * v[3 * LANES + i] + <floating> PRODUCT[k] * v[LANES + i])
            elif transform == FILTERS:
                even[k * LANES + i] = (<floating> INVERSE[k] * v[i] + <floating> INVERSE_2[k] * v[2 * LANES + i]
                                       + <floating> INVERSE_4[k] * v[4 * LANES + i])
                odd[k * LANES + i] = <floating> (INVERSE[k] * POINT[k]) * (
                    v[LANES + i] + <floating> SQUARE[k] * v[3 * LANES + i])
            else:
                even[k * LANES + i] = v[i] + <floating> SQUARE[k] * v[2 * LANES + i]
                odd[k * LANES + i] = <floating> POINT[k] * (v[LANES + i] + <floating> SQUARE[k] * v[3 * LANES + i])
    for i in range(width):
        out[i] = first[i]
    for k in range(PAIRS):
        for i in range(width):
            out[(2 * k + 1) * stride + i] = even[k * LANES + i] + odd[k * LANES + i]
        for i in range(width):
            out[(2 * k + 2) * stride + i] = even[k * LANES + i] - odd[k * LANES + i]
    for i in range(width):
        out[7 * stride + i] = last[i]


cdef inline floating weigh(const floating* values, const double* weights, Py_ssize_t i) noexcept nogil:
    """Sum over pairs of the i-th values times weights, which are constants."""
    return (<floating> weights[0] * values[i] + <floating> weights[1] * values[LANES + i]
            + <floating> weights[2] * values[2 * LANES + i])


cdef inline void put(const floating* values, bint add, Py_ssize_t width, floating* out) noexcept nogil:
    cdef Py_ssize_t i
    for i in range(width):
        out[i] = out[i] + values[i] if add else values[i]


cdef inline void from_points8(
    Transform transform, const floating* v, bint add, floating added, Py_ssize_t width, floating* out,
    Py_ssize_t stride,
) noexcept nogil:
    """B, to be added to `out` or not, G' or A', times v; and `added` to outputs."""
    cdef floating even[PAIRS * LANES]
    cdef floating odd[PAIRS * LANES]  # times the point
    cdef floating total[8 * LANES]
    cdef const floating* last = v + 7 * LANES
    cdef Py_ssize_t k, i
    for k in range(PAIRS):
        for i in range(width):
            even[k * LANES + i] = v[(2 * k + 1) * LANES + i] + v[(2 * k + 2) * LANES + i]
            odd[k * LANES + i] = <floating> POINT[k] * (v[(2 * k + 1) * LANES + i] - v[(2 * k + 2) * LANES + i])
    for i in range(width):
        if transform == D_X:
            total[i] = <floating> -ABC * v[i]
            total[LANES + i] = weigh(odd, PRODUCT, i) - <floating> ABC * last[i]
            total[2 * LANES + i] = weigh(even, PRODUCT, i) + <floating> PAIRWISE * v[i]
            total[3 * LANES + i] = <floating> PAIRWISE * last[i] - weigh(odd, SUM, i)
            total[4 * LANES + i] = -(weigh(even, SUM, i) + <floating> TOTAL * v[i])
            total[5 * LANES + i] = weigh(odd, ONE, i) - <floating> TOTAL * last[i]
            total[6 * LANES + i] = weigh(even, ONE, i) + v[i]
            total[7 * LANES + i] = last[i]
        elif transform == D_FILTERS:
            total[i] = weigh(even, INVERSE, i) - <floating> (1 / ABC) * v[i]
            total[LANES + i] = weigh(odd, INVERSE, i)
            total[2 * LANES + i] = weigh(even, INVERSE_2, i)
            total[3 * LANES + i] = weigh(odd, INVERSE_2, i)
            total[4 * LANES + i] = weigh(even, INVERSE_4, i) + last[i]
        else:
            total[i] = weigh(even, ONE, i) + v[i] + added
            total[LANES + i] = weigh(odd, ONE, i) + added
            total[2 * LANES + i] = weigh(even, SQUARE, i) + added
            total[3 * LANES + i] = weigh(odd, SQUARE, i) + last[i] + added
    for k in range(after8(transform)):
        put(total + k * LANES, add and transform == D_X, width, out + k * stride)
