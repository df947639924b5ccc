"""The activations: sigmoid and tanh, by an exponential that vectorises, and relu."""

from libc.stdint cimport int32_t, int64_t, uint32_t, uint64_t

from skcnn.kernels.lanes cimport LANES, floating

cdef union Bits32:
    int32_t integer
    float real

cdef union Bits64:
    int64_t integer
    double real

cdef enum Activation:
    SIGMOID = 0
    TANH = 1
    RELU = 2

cdef enum:
    # A bit that the integer k below never has, unless x is NaN: k & FENCE is 0, which compilers do not find out (the
    # test of the sigmoid's accuracy would tell).
    FENCE = 0x00100000


cdef inline floating exponential(floating x) noexcept nogil:
    """exp(x) = 2**n * exp(r), with n the integer nearest to x / ln 2 and |r| <= ln(2) / 2; NaN stays NaN.

    exp(r) = 1 + r + r**2 * q(r), where q interpolates at the Chebyshev nodes of that interval; the error is 1e-8 in
    single precision, 2e-17 in double precision. ln 2 is subtracted in two parts (Cody and Waite), the first with
    trailing zeros, so that n times it is exact; as the compiler may reorder sums, it is kept from merging the two by a
    bit operation between them that changes nothing. Rounding is the addition of 1.5 * 2**23 or 1.5 * 2**52, which
    leaves no bits for a fraction: the last bits of the sum are k, n plus the bias of exponents, of which 2**n is made.
    Unlike calls of rint and ldexp, both vectorise with every instruction set, and unlike a conversion to an integer,
    they are defined for NaN. Integers wrap (hence unsigned), for NaN makes k any number.

    2**n must be a normal number: |x| <= 87 in single precision, 708 in double precision.
    """
    cdef floating r, series
    cdef int32_t k, n
    cdef Bits32 bits32
    cdef Bits64 bits64
    if floating is float:
        bits32.real = x * <float> 1.44269504088896341 + <float> 12583039.0
        k = bits32.integer
        n = <int32_t> (<uint32_t> k - <uint32_t> 0x4B40007F)
        bits32.real = x - <float> n * <float> 0.693359375
        bits32.integer ^= k & FENCE
        r = bits32.real + <float> n * <float> 2.12194440054690583e-4
        series = <float> 0.00139261761199355789
        series = series * r + <float> 0.0083631730745137109
        series = series * r + <float> 0.041666554662050534
        series = series * r + <float> 0.166665770255979882
        series = series * r + <float> 0.5
        series = series * r + <float> 1.0
        series = series * r + <float> 1.0
        bits32.integer = <int32_t> (<uint32_t> k << 23)
        return series * bits32.real
    else:
        bits64.real = x * 1.44269504088896341 + 6755399441056767.0
        k = <int32_t> (<uint32_t> bits64.integer)
        n = <int32_t> (<uint32_t> k - <uint32_t> 1023)
        bits64.real = x - <double> n * 0.693147180369123816490
        bits64.integer ^= k & FENCE
        r = bits64.real - <double> n * 1.90821492927058770002e-10
        series = 2.51003758325612337e-8
        series = series * r + 2.76200758799833666e-7
        series = series * r + 2.75572684803100255e-6
        series = series * r + 2.48015213223686933e-5
        series = series * r + 1.98412698630405453e-4
        series = series * r + 1.38888889171967191e-3
        series = series * r + 8.33333333333006445e-3
        series = series * r + 4.16666666666241619e-2
        series = series * r + 1.66666666666666675e-1
        series = series * r + 0.5
        series = series * r + 1.0
        series = series * r + 1.0
        bits64.integer = <int64_t> (<uint64_t> k << 52)
        return series * bits64.real


cdef inline floating clamp(floating x) noexcept nogil:
    """x, but no further from 0 than that two exponentials of it, plus 1 each, can be multiplied; NaN stays NaN."""
    cdef floating limit = <floating> 43.0 if floating is float else <floating> 354.0
    x = limit if x > limit else x
    return -limit if x < -limit else x


cdef inline void logistic(
    const floating* values, Py_ssize_t n_values, floating steepness, floating height, floating base, floating* out,
) noexcept nogil:
    """out = base + height / (1 + exp(-steepness * values)), all three constants; may be the same array.

    Divisions take longest, so that two values share one: 1 / a = b / (a * b), 1 / b = a / (a * b). In a group they are
    of one lane: an image's bits do not depend on its neighbours.
    """
    cdef Py_ssize_t half = n_values // (2 * LANES) * LANES if n_values % LANES == 0 else n_values // 2
    cdef Py_ssize_t i
    cdef floating a, b, inverse
    for i in range(half):
        # A bare 1 would be a double in C, and the division with it.
        a = <floating> 1 + exponential(-clamp(steepness * values[i]))
        b = <floating> 1 + exponential(-clamp(steepness * values[half + i]))
        inverse = height / (a * b)
        out[i] = base + b * inverse
        out[half + i] = base + a * inverse
    for i in range(2 * half, n_values):
        out[i] = base + height / (<floating> 1 + exponential(-clamp(steepness * values[i])))


cdef inline void activate(
    int activation, const floating* values, Py_ssize_t n_values, floating* out,
) noexcept nogil:
    """out = 1 / (1 + exp(-values)), tanh(values) = 2 / (1 + exp(-2 * values)) - 1 or max(values, 0).

    May be the same array. NaN stays NaN.
    """
    cdef Py_ssize_t i
    if activation == SIGMOID:
        logistic(values, n_values, <floating> 1, <floating> 1, <floating> 0, out)
    elif activation == TANH:
        logistic(values, n_values, <floating> 2, <floating> 2, <floating> -1, out)
    else:
        for i in range(n_values):
            out[i] = <floating> 0 if values[i] < 0 else values[i]


cdef inline void activate_backward(
    int activation, const floating* values, Py_ssize_t n_values, const floating* d_values, floating* d_out,
) noexcept nogil:
    """The gradient of x, given that of values = activation(x); may be the same array.

    SIGMOID    d_out = d_values * values * (1 - values)
    TANH       d_out = d_values * (1 - values**2)
    RELU       d_out = d_values where values > 0, and 0 elsewhere
    """
    cdef Py_ssize_t i
    if activation == SIGMOID:
        for i in range(n_values):
            d_out[i] = d_values[i] * values[i] * (<floating> 1 - values[i])
    elif activation == TANH:
        for i in range(n_values):
            d_out[i] = d_values[i] * (<floating> 1 - values[i] * values[i])
    else:
        for i in range(n_values):
            d_out[i] = d_values[i] if values[i] > 0 else <floating> 0
