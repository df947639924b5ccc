"""The losses of a group of logits, and the L2 penalty."""

from libc.math cimport exp, fabs, log1p

from skcnn.kernels.activations cimport sigmoid
from skcnn.kernels.lanes cimport LANES, floating

cdef enum Loss:
    LOG_LOSS = 0
    SQUARED_ERROR = 1


cdef inline double softplus(double z) noexcept nogil:
    """log(1 + exp(z)), without overflow and exact in both tails."""
    return (z if z > 0 else 0) + log1p(exp(-fabs(z)))


cdef inline double loss_and_gradient(
    const floating* logits, const floating* targets, const floating* weights,
    Py_ssize_t n_outputs, int loss, double total_weight, floating* d_logits_out,
) noexcept nogil:
    """One group's share of a batch's loss, and its gradient; the batch's weights sum to `total_weight`.

    With p = 1 / (1 + exp(-z)), an output costs

        LOG_LOSS         softplus(z) - t * z    = -t * log(p) - (1 - t) * log(1 - p)    dz = p - t
        SQUARED_ERROR    (p - t)**2 / 2                                                 dz = (p - t) * p * (1 - p)

    The loss is the sum over outputs, averaged over the batch by weight.
    """
    cdef Py_ssize_t k, lane, at
    cdef floating p, error
    cdef double total = 0
    cdef double value
    for k in range(n_outputs):
        for lane in range(LANES):
            at = k * LANES + lane
            p = sigmoid(logits[at])
            error = p - targets[at]
            if loss == LOG_LOSS:
                value = softplus(logits[at]) - targets[at] * logits[at]
            else:
                value = 0.5 * error * error
                error = error * p * (<floating> 1 - p)
            d_logits_out[at] = <floating> (error * (weights[lane] / total_weight))
            total += weights[lane] / total_weight * value
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
