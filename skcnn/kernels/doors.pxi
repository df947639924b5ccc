# Doors to the kernels, part of _kernels.pyx: the tests and the benchmarks call each by itself. Lanes are the last axis,
# dimensions are taken from the arrays.


def gather(
    const pixel[:, ::1] X, const Py_ssize_t[::1] rows, double rescale, Py_ssize_t height, Py_ssize_t width,
    Py_ssize_t start, floating[:, :, :, ::1] x_out,
):
    """Into planes that are larger than the images, `start` positions from their beginning."""
    cdef Py_ssize_t n_channels = x_out.shape[0]
    cdef Py_ssize_t row = x_out.shape[2]
    lanes.gather(&X[0, 0], &rows[0], rows.shape[0], n_channels * height * width, n_channels, width, row,
                 x_out.shape[1] * row, <floating> rescale, &x_out[0, 0, 0, 0] + start * LANES)


def shift_image(const pixel[:, :, ::1] image, Py_ssize_t down, Py_ssize_t right, pixel[:, :, ::1] out):
    lanes.shift_image(&image[0, 0, 0], image.shape[0], image.shape[1], image.shape[2], down, right, &out[0, 0, 0])


def convolution_forward(
    const floating[:, :, :, ::1] x, const floating[:, ::1] filters, const floating[::1] intercepts,
    const Py_ssize_t[::1] taps, floating[:, :, :, ::1] out,
):
    cdef Py_ssize_t run = out.shape[2] * LANES
    cdef Py_ssize_t f = 0
    cdef Py_ssize_t n, i
    while f < filters.shape[0]:
        n = convolution.even_part(filters.shape[0] - f, <Py_ssize_t> TILE_FILTERS)
        for i in range(out.shape[1]):
            correlate(&x[0, i, 0, 0], &taps[0], filters.shape[1], &filters[f, 0], &intercepts[f], n, run,
                      out.shape[1] * run, &out[f, i, 0, 0])
        f += n


def convolution_backward(
    const floating[:, :, :, ::1] x, const floating[:, :, :, ::1] d_out, const Py_ssize_t[::1] taps,
    floating[::1] sums, floating[:, ::1] d_filters_out, floating[::1] d_intercepts_out,
):
    """`sums` are scratch memory of sums_size(n_filters, n_taps) values."""
    cdef Py_ssize_t run = d_out.shape[2] * LANES
    cdef Py_ssize_t n_taps = d_filters_out.shape[1]
    cdef Py_ssize_t sums_stride = convolution.sums_size(1, n_taps, <floating> 0)
    cdef Py_ssize_t n_most = max(<Py_ssize_t> 1, ROWS_BYTES // (SUM_FILTERS * run * <Py_ssize_t> sizeof(floating)))
    cdef Py_ssize_t f = 0
    cdef Py_ssize_t n, i, n_rows
    sums[:] = 0
    while f < d_out.shape[0]:
        n = min(d_out.shape[0] - f, <Py_ssize_t> SUM_FILTERS)
        i = 0
        while i < d_out.shape[1]:
            n_rows = convolution.even_part(d_out.shape[1] - i, n_most)
            correlate_backward(
                &x[0, i, 0, 0], &taps[0], n_taps, &d_out[f, i, 0, 0], n, n_rows, run, x.shape[2] * LANES, run,
                d_out.shape[1] * run, &sums[f * sums_stride])
            i += n_rows
        f += n
    convolution.convolution_backward_end(&sums[0], n_taps, d_out.shape[0], &d_filters_out[0, 0],
                                         &d_intercepts_out[0])


def sums_size(Py_ssize_t n_filters, Py_ssize_t n_taps, dtype):
    if dtype == "float32":
        return convolution.sums_size(n_filters, n_taps, <float> 0)
    return convolution.sums_size(n_filters, n_taps, <double> 0)


def turn_filters(const floating[:, :, ::1] filters, floating[::1] turned_out):
    """`filters` are (n_filters, n_channels, size); behind them turned, `turned_out` receives n_channels zeros."""
    convolution.turn_filters(&filters[0, 0, 0], filters.shape[0], filters.shape[1], filters.shape[2], &turned_out[0])


def max_pool_forward(
    const floating[:, :, ::1] values, Py_ssize_t pool_height, Py_ssize_t pool_width, floating[:, :, ::1] out,
    uint16_t[:, :, ::1] places_out,
):
    """Lanes are the last axis, 16 or 1 of them."""
    cdef Py_ssize_t row = values.shape[1] * values.shape[2]
    cdef Py_ssize_t i
    for i in range(out.shape[0]):
        pooling.max_pool_forward(&values[i * pool_height, 0, 0], row, pool_height, pool_width, out.shape[1],
                                 out.shape[2], &out[i, 0, 0], &places_out[i, 0, 0])


def max_pool_backward(
    const floating[:, :, ::1] d_out, const uint16_t[:, :, ::1] places, Py_ssize_t pool_height, Py_ssize_t pool_width,
    floating[:, :, ::1] d_values_out,
):
    """What no pool has is left as it is."""
    cdef Py_ssize_t row = d_values_out.shape[1] * d_values_out.shape[2]
    cdef Py_ssize_t i
    for i in range(d_out.shape[0]):
        pooling.max_pool_backward(&d_out[i, 0, 0], &places[i, 0, 0], row, pool_height, pool_width, d_out.shape[1],
                                  d_out.shape[2], &d_values_out[i * pool_height, 0, 0])


def activate(int activation, floating[::1] values_out):
    activations.activate(activation, &values_out[0], values_out.shape[0], &values_out[0])


def activate_backward(int activation, const floating[::1] values, floating[::1] d_values_out):
    activations.activate_backward(activation, &values[0], values.shape[0], &d_values_out[0], &d_values_out[0])


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
