"""The logistic sigmoid, 1 / (1 + exp(-x)), by an exponential that vectorises."""

from libc.stdint cimport int32_t, int64_t, uint32_t, uint64_t

from skcnn.kernels.lanes cimport floating

cdef union Bits32:
    int32_t integer
    float real

cdef union Bits64:
    int64_t integer
    double real

cdef enum:
    # A bit that the integer k below never has, whatever x is: k & FENCE is 0, which compilers do not find out (the
    # test of the sigmoid's accuracy would tell).
    FENCE = 0x40000000


cdef inline floating exponential(floating x) noexcept nogil:
    """exp(x) = 2**n * exp(r), with n the integer nearest to x / ln 2 and |r| <= ln(2) / 2; NaN stays NaN.

    exp(r) is its Taylor series, cut where the next term is below half a unit in the last place: r**8 / 8! < 2**-27,
    r**14 / 14! < 2**-57. ln 2 is subtracted in two parts (Cody and Waite), the first with trailing zeros, so that
    n times it is exact; as the compiler may reorder sums, it is kept from merging the two by a bit operation between
    them that changes nothing. Rounding is truncation of a positive number k, n plus the exponent's bias, and 2**n is
    put together from its bits: unlike calls of rint and ldexp, both vectorise with every instruction set. Integers
    wrap (hence unsigned), for NaN makes k any number. x is clamped to where 1 / exp(x) is a normal number.
    """
    cdef floating r, series
    cdef int32_t k, n
    cdef Bits32 bits32
    cdef Bits64 bits64
    if floating is float:
        x = <float> 87.0 if x > <float> 87.0 else x
        x = <float> -87.0 if x < <float> -87.0 else x
        k = <int32_t> (x * <float> 1.44269504088896341 + <float> 127.5)
        n = <int32_t> (<uint32_t> k - <uint32_t> 127)
        bits32.real = x - <float> n * <float> 0.693359375
        bits32.integer ^= k & FENCE
        r = bits32.real + <float> n * <float> 2.12194440054690583e-4
        series = <float> (1.0 / 5040.0)
        series = series * r + <float> (1.0 / 720.0)
        series = series * r + <float> (1.0 / 120.0)
        series = series * r + <float> (1.0 / 24.0)
        series = series * r + <float> (1.0 / 6.0)
        series = series * r + <float> 0.5
        series = series * r + <float> 1.0
        series = series * r + <float> 1.0
        bits32.integer = <int32_t> (<uint32_t> k << 23)
        return series * bits32.real
    else:
        x = 708.0 if x > 708.0 else x
        x = -708.0 if x < -708.0 else x
        k = <int32_t> (x * 1.44269504088896341 + 1023.5)
        n = <int32_t> (<uint32_t> k - <uint32_t> 1023)
        bits64.real = x - <double> n * 0.693147180369123816490
        bits64.integer ^= k & FENCE
        r = bits64.real - <double> n * 1.90821492927058770002e-10
        series = 1.0 / 6227020800.0
        series = series * r + 1.0 / 479001600.0
        series = series * r + 1.0 / 39916800.0
        series = series * r + 1.0 / 3628800.0
        series = series * r + 1.0 / 362880.0
        series = series * r + 1.0 / 40320.0
        series = series * r + 1.0 / 5040.0
        series = series * r + 1.0 / 720.0
        series = series * r + 1.0 / 120.0
        series = series * r + 1.0 / 24.0
        series = series * r + 1.0 / 6.0
        series = series * r + 0.5
        series = series * r + 1.0
        series = series * r + 1.0
        bits64.integer = <int64_t> (<uint64_t> k << 52)
        return series * bits64.real


cdef inline floating sigmoid(floating x) noexcept nogil:
    # A bare 1 would be a double in C, and the division with it.
    return <floating> 1 / (<floating> 1 + exponential(-x))


cdef inline void sigmoid_forward(Py_ssize_t n_values, floating* values_out) noexcept nogil:
    """values_out = 1 / (1 + exp(-values_out)), in place."""
    cdef Py_ssize_t i
    for i in range(n_values):
        values_out[i] = sigmoid(values_out[i])


cdef inline void sigmoid_backward(const floating* values, Py_ssize_t n_values, floating* d_values_out) noexcept nogil:
    """Of value = 1 / (1 + exp(-x)), in place: d_values_out *= value * (1 - value)."""
    cdef Py_ssize_t i
    for i in range(n_values):
        d_values_out[i] = d_values_out[i] * values[i] * (<floating> 1 - values[i])
