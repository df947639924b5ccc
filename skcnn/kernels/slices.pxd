"""From the slots' gradients to new parameters, a slice of the parameter vector at a time."""

from skcnn.kernels cimport losses, solvers
from skcnn.kernels.geometry cimport Layer, Network
from skcnn.kernels.lanes cimport floating

cdef struct Step:
    solvers.Solver solver
    Py_ssize_t number  # counts from 1


cdef inline void add(const floating* values, Py_ssize_t n_values, floating* sums_out) noexcept nogil:
    cdef Py_ssize_t i
    for i in range(n_values):
        sums_out[i] += values[i]


cdef inline double penalize(
    double strength, Py_ssize_t part, Py_ssize_t part_size, Py_ssize_t start, Py_ssize_t stop,
    const floating* parameters, floating* gradient_out,
) noexcept nogil:
    """What of the L2 penalty of a part of the parameter vector falls into the slice."""
    cdef Py_ssize_t first = max(start, part)
    cdef Py_ssize_t last = min(stop, part + part_size)
    if first >= last:
        return 0
    return losses.penalty_and_gradient(parameters + first, last - first, strength, gradient_out + first)


cdef inline void hold(
    Py_ssize_t part, Py_ssize_t part_size, Py_ssize_t start, Py_ssize_t stop, floating* gradient_out,
) noexcept nogil:
    """No gradient for what of a part of the parameter vector falls into the slice."""
    cdef Py_ssize_t i
    for i in range(max(start, part), min(stop, part + part_size)):
        gradient_out[i] = 0


cdef inline double finish_slice(
    const Network* net, double strength, const floating* parameters, Py_ssize_t start, Py_ssize_t stop,
    Py_ssize_t n_gradients, Py_ssize_t gradient_stride, floating* gradients,
) noexcept nogil:
    """Of the parameters from `start` to `stop`: add the slots' gradients to the first one, and the L2 penalty's.

    Returns the slice's penalty.
    """
    cdef Py_ssize_t slot, i
    cdef const Layer* layer
    cdef double value = 0
    for slot in range(1, n_gradients):
        add(gradients + slot * gradient_stride + start, stop - start, gradients + start)
    for i in range(net.n_layers):
        layer = &net.layers[i]
        value += penalize(
            strength, layer.filters, layer.n_filters * layer.n_taps, start, stop, parameters, gradients)
        if not net.fit_intercept:
            hold(layer.intercepts, layer.n_filters, start, stop, gradients)
    value += penalize(strength, net.weights, net.n_outputs * net.n_hidden, start, stop, parameters, gradients)
    # Standardising takes the output intercepts out again: their gradient is 0, of which only rounding noise is left,
    # that Adam would scale to whole steps.
    if net.standardize or not net.fit_intercept:
        hold(net.intercepts, net.n_outputs, start, stop, gradients)
    return value
