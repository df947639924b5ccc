"""From the gradients of a batch's chunks to new parameters, a chunk of the parameter vector at a time."""

from libc.float cimport FLT_MIN

from skcnn.kernels cimport losses, solvers
from skcnn.kernels.lanes cimport floating
from skcnn.kernels.scratch cimport Scratch
from skcnn.kernels.stages cimport Span

cdef struct Step:
    solvers.Solver solver
    void* moments  # of the type that the network computes in, as are the averages
    void* averages  # of the trained parameters, or NULL
    const double* learning_rates  # of this batch and those after it
    const double* averaging_weights  # likewise, of its parameters in the averages; 0 is too early for them
    double averaging_rate  # the part of the averages that this batch's parameters take the place of
    Py_ssize_t n_averaged  # steps in the averages
    Py_ssize_t number  # counts from 1 since the moments were zero
    Py_ssize_t n_batches  # in the running statistics
    double loss, weight  # sums over batches, of loss times weight and of weight


cdef inline void count_averaged(Step* step) noexcept nogil:
    """This step in the averages: a mean of all, or of late ones if their weight is larger; until they begin, itself."""
    cdef double weight = step.averaging_weights[0]
    step.n_averaged = step.n_averaged + 1 if weight > 0 else 0
    step.averaging_rate = min(1.0, weight / step.n_averaged) if weight > 0 else 1.0


cdef inline void add(const floating* values, Py_ssize_t n_values, floating* sums_out) noexcept nogil:
    cdef Py_ssize_t i
    for i in range(n_values):
        sums_out[i] += values[i]


cdef inline Py_ssize_t overlap(
    const Span* span, Py_ssize_t start, Py_ssize_t stop, Py_ssize_t* first_out,
) noexcept nogil:
    """Where those of the parameters from `start` to `stop` begin that are a span's, and how many they are."""
    first_out[0] = max(start, span.start)
    return max(0, min(stop, span.stop) - first_out[0])


cdef inline double finish_gradient(
    const Scratch* at, int solver, double strength, Py_ssize_t start, Py_ssize_t stop, Py_ssize_t n_gradients,
    const floating* parameters, floating* gradients,
) noexcept nogil:
    """Of the parameters from `start` to `stop`: add all gradients to the first one, and the L2 penalty's.

    What is not trained has no gradient. For Adam, whose training is not to depend on the scale of X, the penalty is on
    the first filters times that scale. Returns these parameters' penalty.
    """
    cdef const Span* span
    cdef Py_ssize_t number, first, n_common, i
    cdef double value = 0
    cdef double scale
    for number in range(1, n_gradients):
        add(gradients + number * at.gradient_stride + start, stop - start, gradients + start)
    for number in range(at.net.n_spans):
        span = &at.net.spans[number]
        n_common = overlap(span, start, stop, &first)
        if span.penalized and n_common:
            scale = span.input_scale if solver == solvers.ADAM else 1
            value += losses.penalty_and_gradient(
                parameters + first, n_common, strength * scale * scale, gradients + first)
        if not span.trained:
            for i in range(first, first + n_common):
                gradients[i] = 0
    return value


cdef inline void step_spans(
    const Scratch* at, const Step* step, Py_ssize_t start, Py_ssize_t stop, const floating* gradient,
    floating* parameters_out,
) noexcept nogil:
    """The solver's step of the parameters from `start` to `stop`, and what they add to the averages.

    Adam's steps, which do not depend on how large gradients are, have a rate for each span. What is not trained has a
    gradient of 0, and stays.
    """
    cdef floating* moments = <floating*> step.moments
    cdef floating* averages = <floating*> step.averages
    cdef const Span* span
    cdef Py_ssize_t number, first, n_common
    cdef double rate = step.learning_rates[0]
    cdef solvers.Solver solver = solvers.solver_of_step(&step.solver, rate, step.number)
    cdef double correction = solver.learning_rate / rate if rate else 1.0
    for number in range(at.net.n_spans):
        span = &at.net.spans[number]
        n_common = overlap(span, start, stop, &first)
        if not n_common:
            continue
        if solver.kind == solvers.ADAM:
            solver.learning_rate = min(rate * span.rate, max(rate, span.largest_rate)) / span.input_scale * correction
            # No less than what float32 holds, unless it was asked for.
            solver.epsilon = max(step.solver.epsilon * span.input_scale, min(step.solver.epsilon, <double> FLT_MIN))
            solvers.adam_step(gradient + first, n_common, &solver, moments + first,
                              moments + at.net.n_trainable + first, parameters_out + first)
        else:
            solvers.sgd_step(gradient + first, n_common, &solver, moments + first, parameters_out + first)
    if averages != NULL:
        solvers.average(parameters_out + start, stop - start, step.averaging_rate, averages + start)
