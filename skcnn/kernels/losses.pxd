"""The losses of a group of logits, and the L2 penalty."""

from libc.math cimport fabs

from skcnn.kernels.activations cimport exponential
from skcnn.kernels.lanes cimport LANES, floating

cdef enum Loss:
    LOG_LOSS = 0
    SQUARED_ERROR = 1


cdef inline void sigmoids(const floating* logits, floating* exponentials_out, floating* p_out) noexcept nogil:
    """Of one output's logits z: exp(-|z|), and p = 1 / (1 + exp(-z)) by it, exact in both tails."""
    cdef floating limit = <floating> 87.0 if floating is float else <floating> 708.0
    cdef Py_ssize_t lane
    cdef floating z, e, inverse
    for lane in range(LANES):
        z = <floating> fabs(logits[lane])
        z = limit if z > limit else z
        e = exponential(-z)
        inverse = <floating> 1 / (<floating> 1 + e)
        exponentials_out[lane] = e
        p_out[lane] = inverse if logits[lane] >= 0 else e * inverse


cdef inline void log1p(const floating* y, floating* out) noexcept nogil:
    """log(1 + y) of 0 <= y <= 1, by log((1 + s) / (1 - s)) = 2 * (s + s**3 / 3 + s**5 / 5 + ...), s = y / (2 + y).

    As s <= 1 / 3, seven terms are exact to 2e-8, seventeen to 2e-18.
    """
    cdef Py_ssize_t n_terms = 7 if floating is float else 17
    cdef floating s[LANES]
    cdef floating coefficient
    cdef Py_ssize_t term, lane
    for lane in range(LANES):
        s[lane] = y[lane] / (y[lane] + <floating> 2)
        out[lane] = 0
    for term in range(n_terms):
        coefficient = <floating> 1 / <floating> (2 * (n_terms - term) - 1)
        for lane in range(LANES):
            out[lane] = out[lane] * s[lane] * s[lane] + coefficient
    for lane in range(LANES):
        out[lane] = out[lane] * s[lane] * <floating> 2


cdef inline double loss_and_gradient(
    const floating* logits, const floating* targets, const floating* weights,
    Py_ssize_t n_outputs, int loss, double total_weight, floating* d_logits_out,
) noexcept nogil:
    """One group's share of a batch's loss, and its gradient; the batch's weights sum to `total_weight`.

    With p = 1 / (1 + exp(-z)), an output costs

        LOG_LOSS         log(1 + exp(z)) - t * z = -t * log(p) - (1 - t) * log(1 - p)   dz = p - t
        SQUARED_ERROR    (p - t)**2 / 2                                                 dz = (p - t) * p * (1 - p)

    The loss is the sum over outputs, averaged over the batch by weight.
    """
    cdef floating e[LANES]
    cdef floating p[LANES]
    cdef floating values[LANES]
    cdef Py_ssize_t k, lane, at
    cdef floating z, error
    cdef double share, total = 0
    for k in range(n_outputs):
        at = k * LANES
        sigmoids(logits + at, e, p)
        if loss == LOG_LOSS:
            log1p(e, values)
            for lane in range(LANES):
                z = logits[at + lane]
                values[lane] += (z if z > 0 else <floating> 0) - targets[at + lane] * z
                d_logits_out[at + lane] = p[lane] - targets[at + lane]
        else:
            for lane in range(LANES):
                error = p[lane] - targets[at + lane]
                values[lane] = <floating> 0.5 * error * error
                d_logits_out[at + lane] = error * p[lane] * (<floating> 1 - p[lane])
        for lane in range(LANES):
            share = weights[lane] / total_weight
            d_logits_out[at + lane] = <floating> (d_logits_out[at + lane] * share)
            total += share * values[lane]
    return total


cdef inline double penalty_and_gradient(
    const floating* coefficients, Py_ssize_t n_coefficients, double strength, floating* d_coefficients_out,
) noexcept nogil:
    """strength / 2 * ||coefficients||**2, its gradient added to `d_coefficients_out`."""
    cdef Py_ssize_t i
    cdef floating factor = <floating> strength
    cdef double total = 0
    if strength == 0:
        return 0
    for i in range(n_coefficients):
        d_coefficients_out[i] += factor * coefficients[i]
        total += coefficients[i] * coefficients[i]
    return 0.5 * strength * total
