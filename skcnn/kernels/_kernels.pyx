"""The compiled part: a group's forward and backward pass, whole runs of mini-batches, and a door to every kernel.

`forward`, `batch_gradient` and `train_batches` are what the package calls; what comes before does the work
without the GIL. Nothing here checks its arguments: skcnn.network and skcnn.training do.
"""

from cpython.mem cimport PyMem_Free, PyMem_Malloc
from cython.parallel cimport prange, threadid
from libc.stdint cimport uint16_t
from libc.string cimport memcpy, memset

from skcnn.kernels cimport activations, convolution, dense, lanes, losses, pooling, solvers, standardization
from skcnn.kernels.blocks cimport SUM_FILTERS, TILE_FILTERS
from skcnn.kernels.geometry cimport MAX_LAYERS, Layer, Network
from skcnn.kernels.lanes cimport CACHE_LINE, LANES, floating, pixel
from skcnn.kernels.slices cimport Step, add, finish_slice
from skcnn.kernels.subnormals cimport Mode, flush_subnormals, restore_subnormals
from skcnn.kernels.workspace cimport (
    FEW_IMAGES,
    ROWS_BYTES,
    SLICE,
    Group,
    Workspace,
    block_rows,
    carve,
    carve_group,
    count_groups,
    count_slices,
    count_slots,
    flat_run,
    group_size,
    image_stride,
)

cdef extern from *:
    """
    #ifdef _OPENMP
      #include <omp.h>
    #else
      #define omp_get_max_threads() 1
    #endif
    """
    int omp_get_max_threads() nogil

cdef enum:
    # Rows of a filter that go forward together, after pooling.
    ROW_BLOCK = 4
    # Bytes of images that are fetched ahead, at most.
    PREFETCH_BYTES = 1 << 18

# What Python calls these constants.
N_LANES = LANES
N_MAX_LAYERS = MAX_LAYERS
N_TAP_BLOCK = convolution.TAP_BLOCK
ACTIVATIONS = {"sigmoid": activations.SIGMOID, "tanh": activations.TANH, "relu": activations.RELU}
LOSSES = {"log_loss": losses.LOG_LOSS, "squared_error": losses.SQUARED_ERROR}
SOLVERS = {"adam": solvers.ADAM, "sgd": solvers.SGD}

cdef struct Objective:
    int loss
    double alpha

cdef enum Pass:
    BOTH
    FORWARD
    BACKWARD


cdef Network read_network(network) except *:
    """The C view of `network`, which must outlive it: it owns the taps."""
    cdef Network c
    cdef Layer* layer
    cdef const Py_ssize_t[::1] taps = network.taps
    cdef const Py_ssize_t[::1] pixel_taps = network.pixel_taps
    cdef Py_ssize_t n_taps = 0
    c.n_layers = c.n_maps = c.n_places = c.n_turned = c.n_sums = 0
    for geometry in network.geometry:
        layer = &c.layers[c.n_layers]
        (
            layer.n_channels, layer.height, layer.width, layer.row, layer.plane, layer.start, layer.n_taps,
            layer.n_filters, layer.out_height, layer.out_width, layer.pool_height, layer.pool_width,
            layer.pooled_height, layer.pooled_width, layer.d_plane, layer.d_start,
            layer.filters, layer.intercepts,
        ) = geometry
        layer.pooled = layer.pool_height * layer.pool_width > 1
        layer.taps, layer.pixel_taps = &taps[n_taps], &pixel_taps[n_taps]
        n_taps += convolution.sums_taps(layer.n_taps) - 1
        layer.d_taps, layer.pixel_d_taps = &taps[n_taps], &pixel_taps[n_taps]
        n_taps += layer.n_filters * (layer.n_taps // layer.n_channels)
        layer.maps, layer.places, layer.turned, layer.sums = c.n_maps, c.n_places, c.n_turned, c.n_sums
        c.n_maps += layer.n_channels * layer.plane
        c.n_places += layer.n_filters * layer.pooled_height * layer.pooled_width
        c.n_turned += layer.n_filters * layer.n_taps + layer.n_channels if c.n_layers else 0
        c.n_sums += layer.n_filters * convolution.sums_taps(layer.n_taps)
        c.n_layers += 1
    # What the dense layer reads lies close together.
    layer = &c.layers[c.n_layers]
    layer.maps, layer.start = c.n_maps, 0
    layer.row = c.layers[c.n_layers - 1].pooled_width
    layer.plane = layer.row * c.layers[c.n_layers - 1].pooled_height
    c.n_features = network.n_features
    c.n_hidden = network.n_hidden
    c.n_maps += c.n_hidden
    c.n_outputs = network.n_outputs
    c.weights, c.intercepts, c.running_means, c.running_variances = network.dense_offsets
    c.n_trainable = network.n_trainable
    c.activation = network.activation_code
    c.rescale = network.rescale
    c.fit_intercept = network.fit_intercept
    c.standardize = network.standardize
    return c


include "passes.pxi"


# ---- one batch ----


cdef double run_slot(
    const pixel* X, const floating* targets, const floating* sample_weight, const Py_ssize_t* rows, Py_ssize_t n_rows,
    Py_ssize_t n_left, double total_weight, const Network* net, int loss, const floating* parameters, Pass passing,
    Py_ssize_t slot, const Workspace* at, floating* thread, floating* batch, floating* gradient_out,
) noexcept nogil:
    """The groups of a slot, one after the other; their share of the loss.

    `rows` go on after the batch's `n_rows`, to `n_left`.
    """
    cdef Py_ssize_t n_groups = count_groups(n_rows)
    cdef Py_ssize_t n_slots = count_slots(n_groups)
    cdef Group group = carve_group(net, 1 if passing == BOTH else n_groups)
    cdef floating* known = thread + at.group if passing == BOTH else batch
    cdef floating* sums = thread + at.sums
    cdef Py_ssize_t width = convolution.sums_width(<floating> 0)
    cdef const Layer* layer
    cdef Py_ssize_t n_ahead = PREFETCH_BYTES // (net.n_features * <Py_ssize_t> sizeof(pixel))
    cdef Py_ssize_t g, i, size, output
    cdef double value = 0
    cdef Mode mode = flush_subnormals()
    if passing != FORWARD:
        memset(gradient_out, 0, net.n_trainable * sizeof(floating))
        memset(sums, 0, net.n_sums * width * sizeof(floating))
        turn_all_filters(net, parameters, thread + at.turned)
    for g in range(slot * n_groups // n_slots, (slot + 1) * n_groups // n_slots):
        size = group_size(n_rows, g)
        output = 0 if passing == BOTH else g * net.n_outputs * LANES
        if passing != BACKWARD or n_groups > 1:  # else all is as FORWARD left it
            gather_and_forward(X, rows + g * LANES, size, size <= FEW_IMAGES, net, parameters, at, thread,
                               known + group.logits + output)
            if n_rows + (g + 1) * LANES <= n_left and n_rows <= n_ahead:
                # The same place in the next batch: most likely the same thread will come by.
                lanes.prefetch_rows(X, rows + n_rows + g * LANES, LANES, net.n_features)
        if passing != BACKWARD:
            lanes.gather_outputs(
                targets, sample_weight, rows + g * LANES, size, net.n_outputs, known + group.targets + output,
                known + group.weights + (0 if passing == BOTH else g * LANES))
        if passing == BOTH:
            value += losses.loss_and_gradient(known + group.logits, known + group.targets, known + group.weights,
                                              net.n_outputs, loss, total_weight, known + group.d_logits)
        if passing != FORWARD:
            backward(net, size, parameters, known + group.d_logits + output, at, thread, gradient_out)
    if passing != FORWARD:
        for i in range(net.n_layers):
            layer = &net.layers[i]
            convolution.convolution_backward_end(
                sums + layer.sums * width, layer.n_taps, layer.n_filters, gradient_out + layer.filters,
                gradient_out + layer.intercepts)
    restore_subnormals(mode)
    return value


cdef double run_slots(
    const pixel* X, const floating* targets, const floating* sample_weight, const Py_ssize_t* rows, Py_ssize_t n_rows,
    Py_ssize_t n_left, double total_weight, const Network* net, int loss, const floating* parameters, Pass passing,
    const Workspace* at, Py_ssize_t n_threads, floating* workspace,
) noexcept nogil:
    """All slots of a batch; the loss. Their gradients are left in the workspace, added up if there is one thread."""
    cdef Py_ssize_t n_slots = count_slots(count_groups(n_rows))
    cdef Py_ssize_t slot
    cdef floating* threads = workspace + at.threads
    cdef floating* batch = workspace + at.batch
    cdef double* partials = <double*> (workspace + at.partials)
    cdef double value = 0
    if n_threads == 1 or n_slots == 1:
        for slot in range(n_slots):
            partials[slot] = run_slot(
                X, targets, sample_weight, rows, n_rows, n_left, total_weight, net, loss, parameters, passing, slot, at,
                threads, batch, workspace + (at.gradient_stride if slot else 0))
            if slot and passing != FORWARD:
                add(workspace + at.gradient_stride, net.n_trainable, workspace)
    else:
        for slot in prange(n_slots, schedule="static", num_threads=<int> n_threads):
            partials[slot] = run_slot(
                X, targets, sample_weight, rows, n_rows, n_left, total_weight, net, loss, parameters, passing, slot, at,
                threads + threadid() * at.thread_stride, batch, workspace + slot * at.gradient_stride)
    for slot in range(n_slots):
        value += partials[slot]
    return value


cdef double run_batch(
    const pixel* X, const floating* targets, const floating* sample_weight, const Py_ssize_t* rows, Py_ssize_t n_rows,
    Py_ssize_t n_left, double total_weight, const Network* net, int loss, const floating* parameters,
    const Workspace* at, Py_ssize_t n_threads, floating* workspace,
) noexcept nogil:
    """Loss of a batch; the slots' gradients are left in the workspace, and its statistics, if it is standardised.

    Without standardisation each group goes forward and straight back. With it, all logits are needed before any
    gradient, so the groups go forward twice: activations are computed again rather than kept for the whole batch,
    however large it is.
    """
    cdef Py_ssize_t n_groups = count_groups(n_rows)
    cdef Group group = carve_group(net, n_groups)
    cdef floating* batch = workspace + at.batch
    cdef floating* statistics = workspace + at.statistics
    cdef Py_ssize_t g, output
    cdef double value = 0
    if not net.standardize:
        return run_slots(X, targets, sample_weight, rows, n_rows, n_left, total_weight, net, loss, parameters, BOTH,
                         at, n_threads, workspace)
    run_slots(X, targets, sample_weight, rows, n_rows, n_left, total_weight, net, loss, parameters, FORWARD,
              at, n_threads, workspace)
    standardization.standardize_batch(batch + group.weights, n_groups, net.n_outputs, batch + group.logits,
                                      statistics, statistics + net.n_outputs)
    for g in range(n_groups):
        output = g * net.n_outputs * LANES
        value += losses.loss_and_gradient(
            batch + group.logits + output, batch + group.targets + output, batch + group.weights + g * LANES,
            net.n_outputs, loss, total_weight, batch + group.d_logits + output)
    standardization.standardize_backward(
        batch + group.logits, batch + group.weights, statistics + net.n_outputs, n_groups, net.n_outputs,
        batch + group.d_logits)
    run_slots(X, targets, sample_weight, rows, n_rows, n_left, total_weight, net, loss, parameters, BACKWARD,
              at, n_threads, workspace)
    return value


# ---- from the slots' gradients to new parameters, a slice at a time ----


cdef double run_slice(
    const Network* net, double strength, const Step* step, Py_ssize_t slice, Py_ssize_t n_gradients,
    Py_ssize_t gradient_stride, floating* gradients, floating* moments, floating* parameters_out,
) noexcept nogil:
    """Finish the slice's gradient and take the solver's step along it; the slice's penalty."""
    cdef Py_ssize_t start = slice * SLICE
    cdef Py_ssize_t stop = min(start + SLICE, net.n_trainable)
    cdef Mode mode = flush_subnormals()
    cdef double value = finish_slice(
        net, strength, parameters_out, start, stop, n_gradients, gradient_stride, gradients)
    if step.solver.kind == solvers.ADAM:
        solvers.adam_step(gradients + start, stop - start, &step.solver, step.number, moments + start,
                          moments + net.n_trainable + start, parameters_out + start)
    else:
        solvers.sgd_step(gradients + start, stop - start, &step.solver, moments + start, parameters_out + start)
    restore_subnormals(mode)
    return value


cdef double run_slices(
    const Network* net, double strength, const Step* step, Py_ssize_t n_rows, const Workspace* at,
    Py_ssize_t n_threads, floating* workspace, floating* moments, floating* parameters_out,
) noexcept nogil:
    """The solver's step after a batch; the L2 penalty."""
    cdef Py_ssize_t n_slices = count_slices(net.n_trainable)
    cdef Py_ssize_t slice
    cdef double* partials = <double*> (workspace + at.partials)
    cdef double value = 0
    if n_threads == 1 or n_slices == 1:
        for slice in range(n_slices):
            partials[slice] = run_slice(net, strength, step, slice, left_gradients(n_rows, n_threads),
                                        at.gradient_stride, workspace, moments, parameters_out)
    else:
        for slice in prange(n_slices, schedule="static", num_threads=<int> n_threads):
            partials[slice] = run_slice(net, strength, step, slice, left_gradients(n_rows, n_threads),
                                        at.gradient_stride, workspace, moments, parameters_out)
    for slice in range(n_slices):
        value += partials[slice]
    return value


cdef inline Py_ssize_t left_gradients(Py_ssize_t n_rows, Py_ssize_t n_threads) noexcept nogil:
    """Gradients that run_slots leaves in the workspace after a batch of n_rows."""
    return 1 if n_threads == 1 else count_slots(count_groups(n_rows))


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


def max_threads():
    """Threads that OpenMP would use now, limits of its environment and of threadpoolctl included; 1 without OpenMP."""
    return omp_get_max_threads()


def workspace_size(network, Py_ssize_t n_rows, Py_ssize_t n_threads, Py_ssize_t itemsize):
    """Values, of `itemsize` bytes, of scratch memory for batches of up to `n_rows` rows."""
    cdef Network net = read_network(network)
    if itemsize == sizeof(float):
        return carve(&net, n_rows, n_threads, True, <float> 0).size
    return carve(&net, n_rows, n_threads, True, <double> 0).size


def forward(
    const pixel[:, ::1] X, rows, network, const floating[::1] parameters, Py_ssize_t n_threads,
    floating[:, ::1] logits_out, hidden_out,
):
    """Logits of the rows of X, standardised by the running averages where the network standardises.

    `rows` are indices, or None for all; the hidden activations go to `hidden_out` (n_rows, n_hidden) if not None.
    """
    cdef Network net = read_network(network)
    cdef const Py_ssize_t[::1] order = rows
    cdef floating[:, ::1] hidden = hidden_out
    cdef Py_ssize_t n_rows = logits_out.shape[0]
    cdef Py_ssize_t n_groups = count_groups(n_rows)
    cdef Workspace at = carve(&net, min(n_rows, <Py_ssize_t> LANES), n_threads, False, <floating> 0)
    cdef const Py_ssize_t* order_at = NULL if order is None else &order[0]
    cdef floating* hidden_at = NULL if hidden is None else &hidden[0, 0]
    cdef char* memory = <char*> PyMem_Malloc(at.size * sizeof(floating) + CACHE_LINE)
    cdef floating* threads
    cdef Py_ssize_t g
    if memory == NULL:
        raise MemoryError
    threads = <floating*> (memory + CACHE_LINE - <size_t> memory % CACHE_LINE) + at.threads
    with nogil:
        if n_threads == 1 or n_groups == 1:
            for g in range(n_groups):
                predict_group(&X[0, 0], order_at, n_rows, g, &net, &parameters[0], &at, threads, &logits_out[0, 0],
                              hidden_at)
        else:
            for g in prange(n_groups, schedule="dynamic", num_threads=<int> n_threads):
                predict_group(&X[0, 0], order_at, n_rows, g, &net, &parameters[0], &at,
                              threads + threadid() * at.thread_stride, &logits_out[0, 0], hidden_at)
    PyMem_Free(memory)


def batch_gradient(
    const pixel[:, ::1] X, const floating[:, ::1] targets, const floating[::1] sample_weight,
    const Py_ssize_t[::1] rows, network, Objective objective, const floating[::1] parameters,
    Py_ssize_t n_threads, floating[::1] workspace, floating[::1] gradient_out,
):
    """Loss of the batch `rows` at `parameters`; the gradient is written to `gradient_out`.

    Past its trainable parameters, `gradient_out` receives the batch's means and variances of the logits where the
    network standardises.
    """
    cdef Network net = read_network(network)
    cdef Py_ssize_t n_rows = rows.shape[0]
    cdef Workspace at = carve(&net, n_rows, n_threads, True, <floating> 0)
    cdef double total_weight, value
    cdef Mode mode
    with nogil:
        mode = flush_subnormals()
        total_weight = sum_weights(&sample_weight[0], &rows[0], n_rows)
        value = run_batch(&X[0, 0], &targets[0, 0], &sample_weight[0], &rows[0], n_rows, n_rows, total_weight, &net,
                          objective.loss, &parameters[0], &at, n_threads, &workspace[0])
        value += finish_slice(&net, objective.alpha / total_weight, &parameters[0], 0, net.n_trainable,
                              left_gradients(n_rows, n_threads), at.gradient_stride, &workspace[0])
        memcpy(&gradient_out[0], &workspace[0], net.n_trainable * sizeof(floating))
        if net.standardize:
            memcpy(&gradient_out[net.n_trainable], &workspace[at.statistics], 2 * net.n_outputs * sizeof(floating))
        restore_subnormals(mode)
    return value


def train_batches(
    const pixel[:, ::1] X, const floating[:, ::1] targets, const floating[::1] sample_weight,
    const Py_ssize_t[::1] rows, Py_ssize_t batch_size, network, Objective objective, solvers.Solver solver,
    floating[::1] parameters, floating[:, ::1] moments, Py_ssize_t n_threads, floating[::1] workspace,
    Py_ssize_t n_steps, Py_ssize_t n_batches,
):
    """One solver step for each `batch_size` of `rows`, in their order; batches of zero weight are passed over.

    Parameters, moments and running averages are updated in place; `n_steps` have been taken since the moments were
    zero, and `n_batches` have gone into the running averages. Returns the sum over batches of loss times weight, the
    sum of weights, and both numbers as they are now.
    """
    cdef Network net = read_network(network)
    cdef Workspace at = carve(&net, batch_size, n_threads, True, <floating> 0)
    cdef Step step
    cdef Py_ssize_t n_rows = rows.shape[0]
    cdef Py_ssize_t batch, start, size
    cdef double batch_weight, loss, total_loss = 0, total_weight = 0
    cdef Mode mode
    step.solver = solver
    step.number = n_steps
    with nogil:
        mode = flush_subnormals()
        for batch in range((n_rows + batch_size - 1) // batch_size):
            start = batch * batch_size
            size = min(batch_size, n_rows - start)
            batch_weight = sum_weights(&sample_weight[0], &rows[start], size)
            if batch_weight == 0:
                continue
            loss = run_batch(
                &X[0, 0], &targets[0, 0], &sample_weight[0], &rows[start], size, n_rows - start, batch_weight, &net,
                objective.loss, &parameters[0], &at, n_threads, &workspace[0])
            if net.standardize and has_spread(&sample_weight[0], &rows[start], size):
                standardization.update_running(
                    &workspace[at.statistics], 2 * net.n_outputs, n_batches, &parameters[net.running_means])
                n_batches += 1
            step.number += 1
            loss += run_slices(&net, objective.alpha / batch_weight, &step, size, &at, n_threads, &workspace[0],
                               &moments[0, 0], &parameters[0])
            total_loss += loss * batch_weight
            total_weight += batch_weight
        restore_subnormals(mode)
    return total_loss, total_weight, step.number, n_batches


include "doors.pxi"
