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


include "groups.pxi"
include "images.pxi"
include "passes.pxi"
include "batches.pxi"


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
    const Py_ssize_t[::1] rows, shifts, network, Objective objective, const floating[::1] parameters,
    Py_ssize_t n_threads, floating[::1] workspace, floating[::1] gradient_out,
):
    """Loss of the batch `rows` at `parameters`; the gradient is written to `gradient_out`.

    `shifts` (n_rows, 2) are the rows and columns that each image is moved by, or None.

    Past its trainable parameters, `gradient_out` receives the batch's means and variances of the logits where the
    network standardises.
    """
    cdef Network net = read_network(network)
    cdef Py_ssize_t n_rows = rows.shape[0]
    cdef Workspace at = carve(&net, n_rows, n_threads, True, <floating> 0)
    cdef const Py_ssize_t[:, ::1] moves = shifts
    cdef Batch batch
    cdef double value
    cdef Mode mode
    with nogil:
        mode = flush_subnormals()
        batch.rows = &rows[0]
        batch.shifts = NULL if moves is None else &moves[0, 0]
        batch.n_rows = batch.n_left = n_rows
        batch.total_weight = sum_weights(&sample_weight[0], &rows[0], n_rows)
        value = run_batch(&X[0, 0], &targets[0, 0], &sample_weight[0], &batch, &net, objective.loss, &parameters[0],
                          &at, n_threads, &workspace[0])
        value += finish_slice(&net, objective.alpha / batch.total_weight, &parameters[0], 0, net.n_trainable,
                              left_gradients(n_rows, n_threads), at.gradient_stride, &workspace[0])
        memcpy(&gradient_out[0], &workspace[0], net.n_trainable * sizeof(floating))
        if net.standardize:
            memcpy(&gradient_out[net.n_trainable], &workspace[at.statistics], 2 * net.n_outputs * sizeof(floating))
        restore_subnormals(mode)
    return value


def train_batches(
    const pixel[:, ::1] X, const floating[:, ::1] targets, const floating[::1] sample_weight,
    const Py_ssize_t[::1] rows, shifts, Py_ssize_t batch_size, network, Objective objective, solvers.Solver solver,
    floating[::1] parameters, floating[:, ::1] moments, Py_ssize_t n_threads, floating[::1] workspace,
    Py_ssize_t n_steps, Py_ssize_t n_batches,
):
    """One solver step for each `batch_size` of `rows`, in their order; batches of zero weight are passed over.

    `shifts` as in `batch_gradient`.

    Parameters, moments and running averages are updated in place; `n_steps` have been taken since the moments were
    zero, and `n_batches` have gone into the running averages. Returns the sum over batches of loss times weight, the
    sum of weights, and both numbers as they are now.
    """
    cdef Network net = read_network(network)
    cdef Workspace at = carve(&net, batch_size, n_threads, True, <floating> 0)
    cdef Step step
    cdef Py_ssize_t n_rows = rows.shape[0]
    cdef Py_ssize_t i, start
    cdef double loss, total_loss = 0, total_weight = 0
    cdef Mode mode
    cdef const Py_ssize_t[:, ::1] moves = shifts
    cdef Batch batch
    step.solver = solver
    step.number = n_steps
    with nogil:
        mode = flush_subnormals()
        for i in range((n_rows + batch_size - 1) // batch_size):
            start = i * batch_size
            batch.rows = &rows[start]
            batch.shifts = NULL if moves is None else &moves[start, 0]
            batch.n_left = n_rows - start
            batch.n_rows = min(batch_size, batch.n_left)
            batch.total_weight = sum_weights(&sample_weight[0], batch.rows, batch.n_rows)
            if batch.total_weight == 0:
                continue
            loss = run_batch(&X[0, 0], &targets[0, 0], &sample_weight[0], &batch, &net, objective.loss,
                             &parameters[0], &at, n_threads, &workspace[0])
            if net.standardize and has_spread(&sample_weight[0], batch.rows, batch.n_rows):
                standardization.update_running(
                    &workspace[at.statistics], 2 * net.n_outputs, n_batches, &parameters[net.running_means])
                n_batches += 1
            step.number += 1
            loss += run_slices(&net, objective.alpha / batch.total_weight, &step, batch.n_rows, &at, n_threads,
                               &workspace[0], &moments[0, 0], &parameters[0])
            total_loss += loss * batch.total_weight
            total_weight += batch.total_weight
        restore_subnormals(mode)
    return total_loss, total_weight, step.number, n_batches


include "doors.pxi"
