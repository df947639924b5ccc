# Doors to the kernels, part of _kernels.pyx: the tests and the benchmarks call each by itself. Lanes are the last axis,
# dimensions are taken from the arrays.


def gather(const pixel[:, ::1] X, const Py_ssize_t[::1] rows, double rescale, floating[:, :, :, ::1] x_out):
    lanes.gather(&X[0, 0], &rows[0], rows.shape[0], x_out.shape[0], x_out.shape[1] * x_out.shape[2],
                 <floating> rescale, &x_out[0, 0, 0, 0])


def convolution_forward(
    const floating[:, :, :, ::1] x, const floating[:, ::1] filters, const floating[::1] intercepts,
    const Py_ssize_t[::1] taps, floating[:, :, :, ::1] out,
):
    cdef Py_ssize_t run = out.shape[2] * LANES
    cdef Py_ssize_t i
    for i in range(out.shape[1]):
        convolution.convolution_forward(&x[0, i, 0, 0], &taps[0], filters.shape[1], &filters[0, 0], &intercepts[0],
                                        out.shape[0], run, out.shape[1] * run, &out[0, i, 0, 0])


def convolution_backward(
    const floating[:, :, :, ::1] x, const floating[:, :, :, ::1] d_out, const Py_ssize_t[::1] taps,
    floating[::1] sums, floating[:, ::1] d_filters_out, floating[::1] d_intercepts_out,
):
    """`sums` are scratch memory of sums_size(n_filters, n_taps) values."""
    cdef Py_ssize_t run = d_out.shape[2] * LANES
    cdef Py_ssize_t n_filters = d_out.shape[0]
    cdef Py_ssize_t n_taps = d_filters_out.shape[1]
    cdef Py_ssize_t i
    sums[:] = 0
    for i in range(d_out.shape[1]):
        convolution.convolution_backward(&x[0, i, 0, 0], &taps[0], n_taps, &d_out[0, i, 0, 0], n_filters, run,
                                         d_out.shape[1] * run, &sums[0])
    convolution.convolution_backward_end(&sums[0], n_taps, n_filters, &d_filters_out[0, 0],
                                         &d_intercepts_out[0])


def sums_size(Py_ssize_t n_filters, Py_ssize_t n_taps, dtype):
    if dtype == "float32":
        return convolution.sums_size(n_filters, n_taps, <float> 0)
    return convolution.sums_size(n_filters, n_taps, <double> 0)


def sigmoid_forward(floating[::1] values_out):
    activations.sigmoid_forward(&values_out[0], values_out.shape[0], &values_out[0])


def sigmoid_backward(const floating[::1] values, floating[::1] d_values_out):
    activations.sigmoid_backward(&values[0], values.shape[0], &d_values_out[0])


def dense_forward(
    const floating[:, ::1] hidden, const floating[:, ::1] weights, const floating[::1] intercepts,
    floating[:, ::1] logits_out,
):
    dense.dense_intercepts_forward(&intercepts[0], weights.shape[0], &logits_out[0, 0])
    dense.dense_forward(&hidden[0, 0], &weights[0, 0], weights.shape[1], weights.shape[1], weights.shape[0],
                        &logits_out[0, 0])


def dense_backward(
    const floating[:, ::1] hidden, const floating[:, ::1] weights, const floating[:, ::1] d_logits,
    floating[:, ::1] d_weights_out, floating[::1] d_intercepts_out, floating[:, ::1] d_hidden_out,
):
    cdef Py_ssize_t n_outputs = weights.shape[0]
    cdef Py_ssize_t n_hidden = weights.shape[1]
    dense.dense_intercepts_backward(&d_logits[0, 0], n_outputs, &d_intercepts_out[0])
    dense.dense_backward_weights(&hidden[0, 0], &d_logits[0, 0], n_hidden, n_hidden, n_outputs, &d_weights_out[0, 0])
    dense.dense_backward_hidden(&weights[0, 0], &d_logits[0, 0], n_hidden, n_outputs, n_hidden, &d_hidden_out[0, 0])


def standardize_forward(
    const floating[:, ::1] weights, floating[:, :, ::1] logits_out, floating[::1] means_out,
    floating[::1] variances_out,
):
    standardization.standardize_batch(&weights[0, 0], logits_out.shape[0], logits_out.shape[1],
                                      &logits_out[0, 0, 0], &means_out[0], &variances_out[0])


def standardize_backward(
    const floating[:, :, ::1] standardized, const floating[:, ::1] weights, const floating[::1] variances,
    floating[:, :, ::1] d_logits_out,
):
    standardization.standardize_backward(&standardized[0, 0, 0], &weights[0, 0], &variances[0],
                                         d_logits_out.shape[0], d_logits_out.shape[1], &d_logits_out[0, 0, 0])


def loss_and_gradient(
    const floating[:, ::1] logits, const floating[:, ::1] targets, const floating[::1] weights, int loss,
    double total_weight, floating[:, ::1] d_logits_out,
):
    return losses.loss_and_gradient(&logits[0, 0], &targets[0, 0], &weights[0], logits.shape[0], loss,
                                    total_weight, &d_logits_out[0, 0])


def solver_step(
    const floating[::1] gradient, solvers.Solver solver, Py_ssize_t step, floating[:, ::1] moments,
    floating[::1] parameters_out,
):
    if solver.kind == solvers.ADAM:
        solvers.adam_step(&gradient[0], gradient.shape[0], &solver, step, &moments[0, 0], &moments[1, 0],
                          &parameters_out[0])
    else:
        solvers.sgd_step(&gradient[0], gradient.shape[0], &solver, &moments[0, 0], &parameters_out[0])
