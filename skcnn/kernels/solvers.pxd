"""One step of each solver along the gradient of the whole parameter vector."""

from libc.math cimport pow, sqrt, sqrtf

from skcnn.kernels.lanes cimport floating

cdef enum SolverKind:
    ADAM = 0
    SGD = 1

cdef struct Solver:
    int kind
    double learning_rate  # of the step
    double beta_1
    double beta_2
    double epsilon
    double momentum
    bint nesterovs_momentum


cdef inline Solver solver_of_step(const Solver* solver, double learning_rate, Py_ssize_t step) noexcept nogil:
    """The solver at a step, which counts from 1.

    Adam's rate is learning_rate * sqrt(1 - beta_2**step) / (1 - beta_1**step).
    """
    cdef Solver this = solver[0]
    this.learning_rate = learning_rate
    if solver.kind == ADAM:
        this.learning_rate *= sqrt(1 - pow(solver.beta_2, <double> step)) / (1 - pow(solver.beta_1, <double> step))
    return this


cdef inline void adam_step(
    const floating* gradient, Py_ssize_t n_parameters, const Solver* solver, floating* first_moment,
    floating* second_moment, floating* parameters_out,
) noexcept nogil:
    """Kingma and Ba (2015), Algorithm 1 in its efficient order; `solver` is that of the step.

    Epsilon is added to the root of the second moment, as in scikit-learn's MLPClassifier.
    """
    cdef floating rate = <floating> solver.learning_rate
    cdef floating beta_1 = <floating> solver.beta_1
    cdef floating beta_2 = <floating> solver.beta_2
    cdef floating rest_1 = <floating> (1 - solver.beta_1)
    cdef floating rest_2 = <floating> (1 - solver.beta_2)
    cdef floating epsilon = <floating> solver.epsilon
    cdef Py_ssize_t i
    for i in range(n_parameters):
        first_moment[i] = beta_1 * first_moment[i] + rest_1 * gradient[i]
        second_moment[i] = beta_2 * second_moment[i] + rest_2 * gradient[i] * gradient[i]
        if floating is float:
            parameters_out[i] -= rate * first_moment[i] / (sqrtf(second_moment[i]) + epsilon)
        else:
            parameters_out[i] -= rate * first_moment[i] / (sqrt(second_moment[i]) + epsilon)


cdef inline void sgd_step(
    const floating* gradient, Py_ssize_t n_parameters, const Solver* solver,
    floating* velocity, floating* parameters_out,
) noexcept nogil:
    """velocity = momentum * velocity - learning_rate * gradient; with Nesterov's momentum it looks one step ahead."""
    cdef floating rate = <floating> solver.learning_rate
    cdef floating momentum = <floating> solver.momentum
    cdef Py_ssize_t i
    for i in range(n_parameters):
        velocity[i] = momentum * velocity[i] - rate * gradient[i]
        if solver.nesterovs_momentum:
            parameters_out[i] += momentum * velocity[i] - rate * gradient[i]
        else:
            parameters_out[i] += velocity[i]


cdef inline void average(
    const floating* parameters, Py_ssize_t n_parameters, double rate, floating* averages_out,
) noexcept nogil:
    """averages_out = (1 - rate) * averages_out + rate * parameters; with a rate of 1 it is the parameters."""
    cdef Py_ssize_t i
    cdef floating part = <floating> rate
    for i in range(n_parameters):
        averages_out[i] = parameters[i] if part == 1 else averages_out[i] + part * (parameters[i] - averages_out[i])
