# Hooks to the kernels, part of _kernels.pyx: the tests and the benchmarks call each by itself. Lanes are the last axis
# of arrays; feature maps are (channel or filter, row, column, lane), as flat as a kernel takes them.


cdef int expect(bint fits, str what) except -1:
    if not fits:
        raise ValueError(f"These arrays do not go together: {what}.")
    return 0


def batch_gradient(problem, order, parameters, Memory workspace not None, Py_ssize_t n_threads, gradient_out):
    """Loss of the batch of all rows of `order` at `parameters`; the gradient is written to `gradient_out`.

    Arguments as for `train_batches`. Past its trainable parameters, `gradient_out` (n_parameters,) receives the batch's
    means and variances of the logits where the network standardises.
    """
    cdef CompiledNetwork network = take_network(problem.network.compiled)
    cdef tuple samples = (problem.X, problem.targets, problem.sample_weight)
    cdef tuple indices = (order.rows, order.moves)
    cdef Objective objective = problem.objective
    cdef Views views = Views()
    cdef Network* net = &network.net
    cdef Batch batch
    cdef Scratch at
    cdef void* values = views.take("parameters", parameters, FLOATS | DOUBLES, net.n_parameters, ONE_AXIS, False)
    cdef int type = views.type
    cdef void* gradient = views.take("gradient_out", gradient_out, type, net.n_parameters, ONE_AXIS, True)
    take_problem(views, net, samples, indices, objective, type, &batch)
    expect(batch.n_rows > 0, "there are no rows")
    at = take_workspace(net, batch.n_rows, n_threads, type, workspace)
    if type == FLOATS:
        return gradient_of_batch(&batch, &at, <float*> values, <float*> workspace.data, <float*> gradient)
    return gradient_of_batch(&batch, &at, <double*> values, <double*> workspace.data, <double*> gradient)


cdef double gradient_of_batch(
    Batch* batch, const Scratch* at, floating* parameters, floating* scratch, floating* gradient_out,
) noexcept:
    cdef const Network* net = at.net
    cdef Py_ssize_t n_weighted
    cdef Mode mode = flush_subnormals()
    batch.total_weight = weigh(batch, <const floating*> batch.sample_weight, &n_weighted)
    cdef Work work
    cdef History history
    history.alone_until = history.pause_factor = 0
    work.batch, work.at, work.step, work.history = batch, at, NULL, &history
    run_batches(&work, 0, parameters, scratch)
    cdef double value = work.loss
    value += finish_gradient(at, solvers.ADAM, batch.alpha / batch.total_weight, 0, net.n_trainable,
                             left_gradients(batch, at), parameters, scratch + at.gradients)
    memcpy(gradient_out, scratch + at.gradients, net.n_trainable * sizeof(floating))
    if net.standardize:
        memcpy(gradient_out + net.running_means, scratch + at.statistics, 2 * net.n_outputs * sizeof(floating))
    restore_subnormals(mode)
    return value


# ---- the other kernels; dimensions are taken from the arrays ----


def gather(
    const pixel[:, ::1] X, const Py_ssize_t[::1] rows, double rescale, Py_ssize_t height, Py_ssize_t width,
    Py_ssize_t start, floating[:, :, :, ::1] x_out,
):
    """Into planes (n_channels, rows, columns, lanes) larger than the images, `start` positions from their beginning."""
    cdef Py_ssize_t n_channels = x_out.shape[0]
    cdef Py_ssize_t row = x_out.shape[2]
    cdef Py_ssize_t plane = x_out.shape[1] * row
    cdef Py_ssize_t own_rows[LANES]
    cdef Py_ssize_t i
    expect(x_out.shape[3] == LANES and 1 <= rows.shape[0] <= LANES, "lanes")
    expect(0 < width <= row and 0 < height <= x_out.shape[1] and X.shape[1] == n_channels * height * width, "images")
    expect(0 <= start <= plane - (height - 1) * row - width, "start")
    for i in range(rows.shape[0]):
        own_rows[i] = rows[i]
        expect(0 <= own_rows[i] < X.shape[0], "rows")
    lanes.gather(&X[0, 0], own_rows, rows.shape[0], X.shape[1], n_channels, width, row, plane, <floating> rescale,
                 &x_out[0, 0, 0, 0] + start * LANES)


def shift_image(const pixel[:, :, ::1] image, Py_ssize_t down, Py_ssize_t right, pixel[:, :, ::1] out):
    cdef Py_ssize_t height = image.shape[0]
    cdef Py_ssize_t width = image.shape[1]
    expect(out.shape[0] == height and out.shape[1] == width and out.shape[2] == image.shape[2], "images")
    expect(-width < right < width and -height <= down + 1 and down - 1 <= height, "shifts")
    lanes.shift_image(&image[0, 0, 0], height, width, image.shape[2], down, right, &out[0, 0, 0])


def mirror_image(pixel[:, :, ::1] image):
    lanes.mirror_image(&image[0, 0, 0], image.shape[0], image.shape[1], image.shape[2])


def average(const floating[::1] parameters, double rate, floating[::1] averages_out):
    expect(parameters.shape[0] == averages_out.shape[0], "parameters")
    solvers.average(&parameters[0], parameters.shape[0], rate, &averages_out[0])


def flip_filters(const floating[:, :, ::1] filters, floating[::1] flipped_out):
    """`filters` are (n_filters, n_channels, size); behind the flipped ones, `flipped_out` receives n_channels zeros."""
    expect(flipped_out.shape[0] >= filters.shape[0] * filters.shape[1] * filters.shape[2] + filters.shape[1], "filters")
    convolution.flip_filters(&filters[0, 0, 0], filters.shape[0], filters.shape[1], filters.shape[2], &flipped_out[0])


def max_pool_forward(
    const floating[:, :, ::1] values, Py_ssize_t pool_height, Py_ssize_t pool_width, floating[:, :, ::1] out,
    uint16_t[:, :, ::1] indices_out,
):
    """Lanes are the last axis, 16 or 1 of them."""
    cdef Py_ssize_t row = values.shape[1] * values.shape[2]
    cdef Py_ssize_t i
    check_pools(values.shape, out.shape, indices_out.shape, pool_height, pool_width)
    for i in range(out.shape[0]):
        pooling.max_pool_forward(&values[i * pool_height, 0, 0], row, pool_height, pool_width, out.shape[1],
                                 out.shape[2], &out[i, 0, 0], &indices_out[i, 0, 0])


def max_pool_backward(
    const floating[:, :, ::1] d_out, const uint16_t[:, :, ::1] indices, Py_ssize_t pool_height, Py_ssize_t pool_width,
    floating[:, :, ::1] d_values_out,
):
    cdef Py_ssize_t row = d_values_out.shape[1] * d_values_out.shape[2]
    cdef Py_ssize_t i
    check_pools(d_values_out.shape, d_out.shape, indices.shape, pool_height, pool_width)
    for i in range(d_out.shape[0]):
        pooling.max_pool_backward(&d_out[i, 0, 0], &indices[i, 0, 0], row, pool_height, pool_width, d_out.shape[1],
                                  d_out.shape[2], &d_values_out[i * pool_height, 0, 0])


cdef int check_pools(
    const Py_ssize_t* values, const Py_ssize_t* pools, const Py_ssize_t* indices, Py_ssize_t pool_height,
    Py_ssize_t pool_width,
) except -1:
    """Of shapes."""
    cdef int i
    expect(pool_height >= 1 and pool_width >= 1 and <double> pool_height * pool_width <= MAX_POOL, "pools")
    expect(<double> pools[0] * pool_height <= values[0], "rows")
    expect(<double> pools[1] * pool_width <= values[1], "columns")
    expect(values[2] in (1, LANES) and pools[2] == values[2], "lanes")
    for i in range(3):
        expect(indices[i] == pools[i], "indices")
    return 0


def activate(int activation, floating[::1] values_out):
    activations.activate(activation, &values_out[0], values_out.shape[0], &values_out[0])


def activate_backward(int activation, const floating[::1] values, floating[::1] d_values_out):
    expect(values.shape[0] == d_values_out.shape[0], "values")
    activations.activate_backward(activation, &values[0], values.shape[0], &d_values_out[0], &d_values_out[0])


cdef int check_dense(
    const floating[:, ::1] hidden, const floating[:, ::1] weights, const floating[::1] intercepts,
    const floating[:, ::1] logits,
) except -1:
    expect(hidden.shape[0] == weights.shape[1] >= 1 and weights.shape[0] == intercepts.shape[0] >= 1, "weights")
    expect(logits.shape[0] == weights.shape[0] and hidden.shape[1] == logits.shape[1] == LANES, "logits")
    return 0


def dense_forward(
    const floating[:, ::1] hidden, const floating[:, ::1] weights, const floating[::1] intercepts,
    floating[:, ::1] logits_out,
):
    check_dense(hidden, weights, intercepts, logits_out)
    dense.dense_intercepts_forward(&intercepts[0], weights.shape[0], &logits_out[0, 0])
    dense.dense_forward(&hidden[0, 0], &weights[0, 0], weights.shape[1], weights.shape[1], weights.shape[0],
                        &logits_out[0, 0])


def dense_backward(
    const floating[:, ::1] hidden, const floating[:, ::1] weights, const floating[:, ::1] d_logits,
    floating[:, ::1] d_weights_out, floating[::1] d_intercepts_out, floating[:, ::1] d_hidden_out,
):
    cdef Py_ssize_t n_outputs = weights.shape[0]
    cdef Py_ssize_t n_hidden = weights.shape[1]
    check_dense(hidden, weights, d_intercepts_out, d_logits)
    check_dense(d_hidden_out, d_weights_out, d_intercepts_out, d_logits)
    dense.dense_intercepts_backward(&d_logits[0, 0], n_outputs, &d_intercepts_out[0])
    dense.dense_backward_weights(&hidden[0, 0], &d_logits[0, 0], n_hidden, n_hidden, n_outputs, &d_weights_out[0, 0])
    dense.dense_backward_hidden(&weights[0, 0], &d_logits[0, 0], n_hidden, n_outputs, n_hidden, LANES,
                                &d_hidden_out[0, 0])


cdef int check_groups(
    const floating[:, ::1] weights, const floating[:, :, ::1] logits, const floating[::1] statistics,
) except -1:
    expect(weights.shape[0] == logits.shape[0] and weights.shape[1] == logits.shape[2] == LANES, "groups")
    expect(statistics.shape[0] == logits.shape[1], "outputs")
    return 0


def standardize_forward(
    const floating[:, ::1] weights, floating[:, :, ::1] logits_out, floating[::1] means_out,
    floating[::1] variances_out,
):
    check_groups(weights, logits_out, means_out)
    check_groups(weights, logits_out, variances_out)
    standardization.standardize_batch(&weights[0, 0], logits_out.shape[0], logits_out.shape[1],
                                      &logits_out[0, 0, 0], &means_out[0], &variances_out[0])


def standardize_backward(
    const floating[:, :, ::1] standardized, const floating[:, ::1] weights, const floating[::1] variances,
    floating[:, :, ::1] d_logits_out,
):
    check_groups(weights, standardized, variances)
    check_groups(weights, d_logits_out, variances)
    standardization.standardize_backward(&standardized[0, 0, 0], &weights[0, 0], &variances[0],
                                         d_logits_out.shape[0], d_logits_out.shape[1], &d_logits_out[0, 0, 0])


def loss_and_gradient(
    const floating[:, ::1] logits, const floating[:, ::1] targets, const floating[::1] weights, int loss,
    double total_weight, floating[:, ::1] d_logits_out,
):
    expect(logits.shape[0] == targets.shape[0] == d_logits_out.shape[0], "outputs")
    expect(logits.shape[1] == targets.shape[1] == weights.shape[0] == d_logits_out.shape[1] == LANES, "lanes")
    return losses.loss_and_gradient(&logits[0, 0], &targets[0, 0], &weights[0], logits.shape[0], loss,
                                    total_weight, &d_logits_out[0, 0])


def solver_step(
    const floating[::1] gradient, solvers.Solver solver, Py_ssize_t step, floating[:, ::1] moments,
    floating[::1] parameters_out,
):
    expect(moments.shape[0] == (2 if solver.kind == solvers.ADAM else 1), "moments")
    expect(moments.shape[1] == gradient.shape[0] == parameters_out.shape[0] >= 1, "parameters")
    solver = solvers.solver_of_step(&solver, solver.learning_rate, step)
    if solver.kind == solvers.ADAM:
        solvers.adam_step(&gradient[0], gradient.shape[0], &solver, &moments[0, 0], &moments[1, 0], &parameters_out[0])
    else:
        solvers.sgd_step(&gradient[0], gradient.shape[0], &solver, &moments[0, 0], &parameters_out[0])
