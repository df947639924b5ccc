"""The compiled part: a group's forward and backward pass, whole runs of mini-batches, and a door to every kernel.

The functions of the first two sections do the work without the GIL; `compute_logits`, `batch_gradient` and
`train_batches` are what the package calls. The doors at the end let the tests call each kernel by itself; they take the
dimensions from the arrays they are given. Nothing here checks its arguments: skcnn.network and skcnn.training do.
"""

from libc.string cimport memset

from skcnn.kernels cimport activations, convolution, dense, lanes, losses, solvers, standardization
from skcnn.kernels.lanes cimport LANES, floating, pixel

# What Python calls these constants.
N_LANES = LANES
LOSSES = {"log_loss": losses.LOG_LOSS, "squared_error": losses.SQUARED_ERROR}
SOLVERS = {"adam": solvers.ADAM, "sgd": solvers.SGD}

cdef struct Network:
    # What the passes need to know of a skcnn.network.Network, its offsets into the parameter vector included.
    Py_ssize_t n_channels, height, width, n_filters, out_height, out_width, n_taps, n_hidden, n_outputs
    Py_ssize_t filters, filter_intercepts, weights, intercepts, running_means, running_variances, n_trainable
    const Py_ssize_t* taps
    double rescale
    bint fit_intercept, standardize

cdef struct Objective:
    int loss
    double alpha

cdef struct Workspace:
    # Where each array of scratch memory begins, in values; all are [..., lane]. The last three and `targets` hold
    # `n_groups` groups, the others one.
    Py_ssize_t x, hidden, d_hidden, targets, logits, d_logits, weights, size


cdef Network read_network(network) except *:
    """The C view of `network`, which must outlive it: it owns the taps."""
    cdef Network c
    cdef const Py_ssize_t[::1] taps = network.taps
    c.taps = &taps[0]
    c.n_taps = taps.shape[0]
    c.height, c.width, c.n_channels = network.image_shape
    c.n_filters = network.n_filters
    c.out_height, c.out_width = network.out_shape
    c.n_hidden = network.n_hidden
    c.n_outputs = network.n_outputs
    c.filters, c.filter_intercepts, c.weights, c.intercepts, c.running_means, c.running_variances = network.offsets
    c.n_trainable = network.n_trainable
    c.rescale = network.rescale
    c.fit_intercept = network.fit_intercept
    c.standardize = network.standardize
    return c


cdef Workspace carve(const Network* net, Py_ssize_t n_groups) noexcept nogil:
    cdef Workspace at
    at.x = 0
    at.hidden = at.x + net.n_channels * net.height * net.width * LANES
    at.d_hidden = at.hidden + net.n_hidden * LANES
    at.targets = at.d_hidden + net.n_hidden * LANES
    at.logits = at.targets + n_groups * net.n_outputs * LANES
    at.d_logits = at.logits + n_groups * net.n_outputs * LANES
    at.weights = at.d_logits + n_groups * net.n_outputs * LANES
    at.size = at.weights + n_groups * LANES
    return at


# ---- one group of at most LANES images ----


cdef inline Py_ssize_t group_size(Py_ssize_t n_rows, Py_ssize_t group) noexcept nogil:
    return min(LANES, n_rows - group * LANES)


cdef void forward_group(
    const Network* net, const floating* parameters, const floating* x, floating* hidden_out, floating* logits_out,
) noexcept nogil:
    """The one forward pass, of training and of prediction, up to the logits (not standardised)."""
    convolution.convolution_forward(
        x, parameters + net.filters, parameters + net.filter_intercepts, net.taps, net.n_taps,
        net.n_filters, net.width, net.out_height, net.out_width, hidden_out)
    activations.sigmoid_forward(net.n_hidden * LANES, hidden_out)
    dense.dense_forward(
        hidden_out, parameters + net.weights, parameters + net.intercepts, net.n_hidden, net.n_outputs, logits_out)


cdef void backward_group(
    const Network* net, const floating* parameters, const floating* x, const floating* hidden,
    const floating* d_logits, floating* d_hidden_out, floating* gradient_out,
) noexcept nogil:
    """Add the group's share to the gradient of the whole parameter vector."""
    dense.dense_backward_weights(
        hidden, d_logits, net.n_hidden, net.n_outputs, gradient_out + net.weights, gradient_out + net.intercepts)
    dense.dense_backward_hidden(parameters + net.weights, d_logits, net.n_hidden, net.n_outputs, d_hidden_out)
    activations.sigmoid_backward(hidden, net.n_hidden * LANES, d_hidden_out)
    convolution.convolution_backward(
        x, d_hidden_out, net.taps, net.n_taps, net.n_filters, net.width, net.out_height, net.out_width,
        gradient_out + net.filters, gradient_out + net.filter_intercepts)


# ---- one batch ----


cdef double plain_batch(
    const pixel* X, const floating* targets, const floating* sample_weight, const Py_ssize_t* rows, Py_ssize_t n_rows,
    double total_weight, const Network* net, int loss, const floating* parameters, floating* workspace,
    floating* gradient_out,
) noexcept nogil:
    """Loss of a batch, group by group: each goes forward and straight back. The gradient is accumulated."""
    cdef Workspace at = carve(net, 1)
    cdef floating* x = workspace + at.x
    cdef floating* hidden = workspace + at.hidden
    cdef floating* group_targets = workspace + at.targets
    cdef floating* logits = workspace + at.logits
    cdef floating* d_logits = workspace + at.d_logits
    cdef floating* weights = workspace + at.weights
    cdef Py_ssize_t g, start, size
    cdef double value = 0
    for g in range((n_rows + LANES - 1) // LANES):
        start = g * LANES
        size = group_size(n_rows, g)
        lanes.gather(X, rows + start, size, net.n_channels, net.height * net.width, <floating> net.rescale, x)
        lanes.gather_outputs(targets, sample_weight, rows + start, size, net.n_outputs, group_targets, weights)
        forward_group(net, parameters, x, hidden, logits)
        value += losses.loss_and_gradient(
            logits, group_targets, weights, net.n_outputs, loss, total_weight, d_logits)
        backward_group(net, parameters, x, hidden, d_logits, workspace + at.d_hidden, gradient_out)
    return value


cdef double standardized_batch(
    const pixel* X, const floating* targets, const floating* sample_weight, const Py_ssize_t* rows, Py_ssize_t n_rows,
    double total_weight, const Network* net, int loss, const floating* parameters, floating* workspace,
    floating* gradient_out, floating* statistics_out,
) noexcept nogil:
    """The same where the logits are standardised over the whole batch, whose means and variances are returned too.

    All logits are needed before any gradient, so the groups go forward twice: activations are computed again rather
    than kept for the whole batch, however large it is.
    """
    cdef Py_ssize_t n_groups = (n_rows + LANES - 1) // LANES
    cdef Py_ssize_t stride = net.n_outputs * LANES
    cdef Workspace at = carve(net, n_groups)
    cdef floating* x = workspace + at.x
    cdef floating* hidden = workspace + at.hidden
    cdef floating* batch_targets = workspace + at.targets
    cdef floating* logits = workspace + at.logits
    cdef floating* d_logits = workspace + at.d_logits
    cdef floating* weights = workspace + at.weights
    cdef Py_ssize_t g, size
    cdef double value = 0
    for g in range(n_groups):
        size = group_size(n_rows, g)
        lanes.gather(X, rows + g * LANES, size, net.n_channels, net.height * net.width, <floating> net.rescale, x)
        lanes.gather_outputs(targets, sample_weight, rows + g * LANES, size, net.n_outputs,
                             batch_targets + g * stride, weights + g * LANES)
        forward_group(net, parameters, x, hidden, logits + g * stride)
    standardization.standardize_batch(
        weights, n_groups, net.n_outputs, logits, statistics_out, statistics_out + net.n_outputs)
    for g in range(n_groups):
        value += losses.loss_and_gradient(logits + g * stride, batch_targets + g * stride, weights + g * LANES,
                                          net.n_outputs, loss, total_weight, d_logits + g * stride)
    standardization.standardize_backward(
        logits, weights, statistics_out + net.n_outputs, n_groups, net.n_outputs, d_logits)
    for g in range(n_groups):
        size = group_size(n_rows, g)
        if n_groups > 1:
            lanes.gather(X, rows + g * LANES, size, net.n_channels, net.height * net.width, <floating> net.rescale, x)
            forward_group(net, parameters, x, hidden, logits + g * stride)
        backward_group(net, parameters, x, hidden, d_logits + g * stride, workspace + at.d_hidden, gradient_out)
    return value


cdef double whole_batch(
    const pixel* X, const floating* targets, const floating* sample_weight, const Py_ssize_t* rows, Py_ssize_t n_rows,
    double total_weight, const Network* net, const Objective* objective, const floating* parameters,
    floating* workspace, floating* gradient_out, floating* statistics_out,
) noexcept nogil:
    """Loss and gradient of a batch, L2 penalty included; the gradient is overwritten."""
    cdef double value, strength = objective.alpha / total_weight
    memset(gradient_out, 0, net.n_trainable * sizeof(floating))
    if net.standardize:
        value = standardized_batch(X, targets, sample_weight, rows, n_rows, total_weight, net, objective.loss,
                                   parameters, workspace, gradient_out, statistics_out)
    else:
        value = plain_batch(X, targets, sample_weight, rows, n_rows, total_weight, net, objective.loss,
                            parameters, workspace, gradient_out)
    value += losses.penalty_and_gradient(
        parameters + net.filters, net.n_filters * net.n_taps, strength, gradient_out + net.filters)
    value += losses.penalty_and_gradient(
        parameters + net.weights, net.n_outputs * net.n_hidden, strength, gradient_out + net.weights)
    if not net.fit_intercept:
        memset(gradient_out + net.filter_intercepts, 0, net.n_filters * sizeof(floating))
    # Standardising takes the output intercepts out again: their gradient is 0, of which only rounding noise is left,
    # that Adam would scale to whole steps.
    if net.standardize or not net.fit_intercept:
        memset(gradient_out + net.intercepts, 0, net.n_outputs * sizeof(floating))
    return value


cdef bint has_spread(const floating* sample_weight, const Py_ssize_t* rows, Py_ssize_t n_rows) noexcept nogil:
    """Whether two rows or more have weight: a single one has no deviation."""
    cdef Py_ssize_t i, n_weighted = 0
    for i in range(n_rows):
        n_weighted += sample_weight[rows[i]] > 0
    return n_weighted > 1


cdef double sum_weights(const floating* sample_weight, const Py_ssize_t* rows, Py_ssize_t n_rows) noexcept nogil:
    cdef double total = 0
    cdef Py_ssize_t i
    for i in range(n_rows):
        total += sample_weight[rows[i]]
    return total


# ---- what the package calls ----


def workspace_size(network, Py_ssize_t n_rows):
    """Values of scratch memory for batches of up to `n_rows` rows."""
    cdef Network net = read_network(network)
    return carve(&net, (n_rows + LANES - 1) // LANES if net.standardize else 1).size


def compute_logits(
    const pixel[:, ::1] X, network, const floating[::1] parameters, floating[::1] workspace,
    floating[:, ::1] logits_out,
):
    """Logits of every row, standardised by the running averages where the network standardises."""
    cdef Network net = read_network(network)
    cdef Py_ssize_t n_samples = X.shape[0]
    cdef Py_ssize_t g, start, size, lane, k
    cdef Py_ssize_t rows[LANES]
    cdef Workspace at = carve(&net, 1)
    cdef floating* x = &workspace[at.x]
    cdef floating* hidden = &workspace[at.hidden]
    cdef floating* logits = &workspace[at.logits]
    with nogil:
        for g in range((n_samples + LANES - 1) // LANES):
            start = g * LANES
            size = group_size(n_samples, g)
            for lane in range(size):
                rows[lane] = start + lane
            lanes.gather(&X[0, 0], rows, size, net.n_channels, net.height * net.width, <floating> net.rescale, x)
            forward_group(&net, &parameters[0], x, hidden, logits)
            if net.standardize:
                standardization.standardize_running(
                    &parameters[net.running_means], &parameters[net.running_variances], net.n_outputs, logits)
            for lane in range(size):
                for k in range(net.n_outputs):
                    logits_out[start + lane, k] = logits[k * LANES + lane]


def batch_gradient(
    const pixel[:, ::1] X, const floating[:, ::1] targets, const floating[::1] sample_weight,
    const Py_ssize_t[::1] rows, network, Objective objective, const floating[::1] parameters,
    floating[::1] workspace, floating[::1] gradient_out,
):
    """Loss of the batch `rows` at `parameters`; the gradient is written to `gradient_out`.

    Past its trainable parameters, `gradient_out` receives the batch's means and variances of the logits where the
    network standardises.
    """
    cdef Network net = read_network(network)
    cdef double total_weight, value
    with nogil:
        total_weight = sum_weights(&sample_weight[0], &rows[0], rows.shape[0])
        value = whole_batch(
            &X[0, 0], &targets[0, 0], &sample_weight[0], &rows[0], rows.shape[0], total_weight, &net, &objective,
            &parameters[0], &workspace[0], &gradient_out[0], &gradient_out[0] + net.n_trainable)
    return value


def train_batches(
    const pixel[:, ::1] X, const floating[:, ::1] targets, const floating[::1] sample_weight,
    const Py_ssize_t[::1] rows, Py_ssize_t batch_size, network, Objective objective, solvers.Solver solver,
    floating[::1] parameters, floating[:, ::1] moments, floating[::1] gradient, floating[::1] workspace,
    Py_ssize_t n_steps, Py_ssize_t n_batches,
):
    """One solver step for each `batch_size` of `rows`, in their order; batches of zero weight are passed over.

    Parameters, moments and running averages are updated in place; `n_steps` have been taken since the moments were
    zero, and `n_batches` have gone into the running averages. Returns the sum over batches of loss times weight, the
    sum of weights, and both numbers as they are now.
    """
    cdef Network net = read_network(network)
    cdef Py_ssize_t n_rows = rows.shape[0]
    cdef Py_ssize_t n_statistics = 2 * net.n_outputs
    cdef Py_ssize_t batch, start, size
    cdef double batch_weight, loss, total_loss = 0, total_weight = 0
    cdef floating* statistics = &gradient[0] + net.n_trainable
    with nogil:
        for batch in range((n_rows + batch_size - 1) // batch_size):
            start = batch * batch_size
            size = min(batch_size, n_rows - start)
            batch_weight = sum_weights(&sample_weight[0], &rows[start], size)
            if batch_weight == 0:
                continue
            loss = whole_batch(
                &X[0, 0], &targets[0, 0], &sample_weight[0], &rows[start], size, batch_weight, &net, &objective,
                &parameters[0], &workspace[0], &gradient[0], statistics)
            total_loss += loss * batch_weight
            total_weight += batch_weight
            if net.standardize and has_spread(&sample_weight[0], &rows[start], size):
                standardization.update_running(statistics, n_statistics, n_batches, &parameters[net.running_means])
                n_batches += 1
            n_steps += 1
            if solver.kind == solvers.ADAM:
                solvers.adam_step(&gradient[0], net.n_trainable, &solver, n_steps, &moments[0, 0], &moments[1, 0],
                                  &parameters[0])
            else:
                solvers.sgd_step(&gradient[0], net.n_trainable, &solver, &moments[0, 0], &parameters[0])
    return total_loss, total_weight, n_steps, n_batches


# ---- doors to the kernels, for the tests; lanes are the last axis ----


def gather(const pixel[:, ::1] X, const Py_ssize_t[::1] rows, double rescale, floating[:, :, :, ::1] x_out):
    lanes.gather(&X[0, 0], &rows[0], rows.shape[0], x_out.shape[0], x_out.shape[1] * x_out.shape[2],
                 <floating> rescale, &x_out[0, 0, 0, 0])


def convolution_forward(
    const floating[:, :, :, ::1] x, const floating[:, ::1] filters, const floating[::1] intercepts,
    const Py_ssize_t[::1] taps, floating[:, :, :, ::1] out,
):
    convolution.convolution_forward(
        &x[0, 0, 0, 0], &filters[0, 0], &intercepts[0], &taps[0], taps.shape[0], out.shape[0], x.shape[2],
        out.shape[1], out.shape[2], &out[0, 0, 0, 0])


def convolution_backward(
    const floating[:, :, :, ::1] x, const floating[:, :, :, ::1] d_out, const Py_ssize_t[::1] taps,
    floating[:, ::1] d_filters_out, floating[::1] d_intercepts_out,
):
    convolution.convolution_backward(
        &x[0, 0, 0, 0], &d_out[0, 0, 0, 0], &taps[0], taps.shape[0], d_out.shape[0], x.shape[2],
        d_out.shape[1], d_out.shape[2], &d_filters_out[0, 0], &d_intercepts_out[0])


def sigmoid_forward(floating[::1] values_out):
    activations.sigmoid_forward(values_out.shape[0], &values_out[0])


def sigmoid_backward(const floating[::1] values, floating[::1] d_values_out):
    activations.sigmoid_backward(&values[0], values.shape[0], &d_values_out[0])


def dense_forward(
    const floating[:, ::1] hidden, const floating[:, ::1] weights, const floating[::1] intercepts,
    floating[:, ::1] logits_out,
):
    dense.dense_forward(&hidden[0, 0], &weights[0, 0], &intercepts[0], weights.shape[1], weights.shape[0],
                        &logits_out[0, 0])


def dense_backward(
    const floating[:, ::1] hidden, const floating[:, ::1] weights, const floating[:, ::1] d_logits,
    floating[:, ::1] d_weights_out, floating[::1] d_intercepts_out, floating[:, ::1] d_hidden_out,
):
    dense.dense_backward_weights(&hidden[0, 0], &d_logits[0, 0], weights.shape[1], weights.shape[0],
                                 &d_weights_out[0, 0], &d_intercepts_out[0])
    dense.dense_backward_hidden(&weights[0, 0], &d_logits[0, 0], weights.shape[1], weights.shape[0],
                                &d_hidden_out[0, 0])


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
