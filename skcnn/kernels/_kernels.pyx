"""The compiled part: whole runs of mini-batches, prediction, and for the tests a hook to every kernel.

`forward` and `train_batches` are what the package calls. They check their arguments (_buffers.pyx); all that comes
behind works without the GIL, and checks nothing.

The included files are parts of this module for one reason: their functions are compiled once, while those of a .pxd are
compiled into every caller. From the innermost: direct.pxi and winograd.pxi, the convolutions; arrays.pxi, forward.pxi
and backward.pxi, a network's passes; batches.pxi, the groups of a batch; training.pxi, runs of batches by several
threads; norms.pxi, what normalised networks predict with; hooks.pxi and hooks_convolution.pxi, for the tests and the
benchmarks.
"""

from cpython.mem cimport PyMem_Free, PyMem_Malloc
from cython.parallel cimport prange, threadid
from libc.stdint cimport uint8_t, uint16_t
from libc.string cimport memcpy, memset

from skcnn.kernels cimport (
    activations,
    convolution,
    dense,
    lanes,
    losses,
    normalization,
    pooling,
    portable,
    solvers,
    standardization,
    team,
    winograd,
)
from skcnn.kernels._buffers cimport (
    ANY_LENGTH,
    BYTES,
    DOUBLES,
    FLOATS,
    MOVE_SIZE,
    ONE_AXIS,
    Memory,
    Views,
    on_cache_line,
)
from skcnn.kernels._network cimport CompiledNetwork
from skcnn.kernels.blocks cimport SUM_FILTERS, TILE_FILTERS
from skcnn.kernels.chunks cimport Step, add, count_averaged, finish_gradient, step_spans
from skcnn.kernels.convolution cimport Taps
from skcnn.kernels.lanes cimport CACHE_LINE, LANES, floating, pixel
from skcnn.kernels.normalization cimport Norm
from skcnn.kernels.portable cimport Mode, flush_subnormals, restore_subnormals
from skcnn.kernels.scratch cimport (
    PARAMETER_CHUNK,
    Scratch,
    block_rows,
    carve,
    count_chunks,
    count_groups,
    count_parameter_chunks,
    flat_run,
    group_lanes,
    group_size,
    group_start,
    strip_rows,
    whole_lanes,
)
from skcnn.kernels.stages cimport GLOBAL_AVERAGE, MAX_POOL, Network, Stage, Strip
from skcnn.kernels.team cimport History, Team
from skcnn.kernels.winograd cimport Tiles, Transform

cdef enum:
    # Rows of a filter that go forward together, after pooling.
    ROW_BLOCK = 4
    # Bytes of images that are fetched ahead, at most.
    PREFETCH_BYTES = 1 << 18
    # Pixels ahead that feature maps are fetched, where 16 channels are read at a time.
    PREFETCH_COLUMNS = 4
    MAX_THREADS = 4096

# Of a batch, and of training; sizes of scratch memory, and counts, might overflow beyond.
cdef double MOST_OUTPUTS = 2.0**44
cdef double MOST_STEPS = 2.0**60
cdef double MOST_BYTES = 2.0**60

# What Python calls these constants.
LOSSES = {"log_loss": losses.LOG_LOSS, "squared_error": losses.SQUARED_ERROR}
SOLVERS = {"adam": solvers.ADAM, "sgd": solvers.SGD}

cdef struct Objective:
    int loss
    double alpha


include "direct.pxi"
include "winograd_tiles.pxi"
include "winograd.pxi"
include "winograd_backward.pxi"
include "arrays.pxi"
include "forward.pxi"
include "backward.pxi"
include "batches.pxi"
include "training.pxi"
include "norms.pxi"


# ---- arguments ----


cdef int check_threads(Py_ssize_t n_threads) except -1:
    if not 1 <= n_threads <= MAX_THREADS:
        raise ValueError(f"n_threads={n_threads} must be between 1 and {MAX_THREADS}.")
    return 0


cdef int take_images(Views views, const Network* net, X, Batch* batch) except -1:
    """X of (n_samples, n_features), all of its rows."""
    batch.X = views.take("X", X, BYTES | FLOATS | DOUBLES, ANY_LENGTH, net.n_features, False)
    batch.pixels = views.type
    batch.row_bytes = net.n_features * (1 if views.type == BYTES else 4 if views.type == FLOATS else 8)
    batch.rows = batch.moves = NULL
    batch.n_rows = batch.n_left = views.length
    return 0


cdef int take_problem(
    Views views, const Network* net, tuple samples, tuple order, Objective objective, int values, Batch* batch,
) except -1:
    """What is to be learnt, in `values` of a type: (X, targets, sample_weight), of which `order` has (rows, moves)."""
    cdef Py_ssize_t n_samples
    X, targets, sample_weight = samples
    rows, moves = order
    take_images(views, net, X, batch)
    n_samples = batch.n_rows
    batch.targets = views.take("targets", targets, values, n_samples, net.n_outputs, False)
    batch.sample_weight = views.take("sample_weight", sample_weight, values, n_samples, ONE_AXIS, False)
    batch.rows = views.take_rows("rows", rows, n_samples)
    batch.n_rows = batch.n_left = views.length
    if moves is not None:
        batch.moves = views.take_moves("moves", moves, batch.n_rows, net)
    batch.loss, batch.alpha = objective.loss, objective.alpha
    return 0


cdef int take_rates(Views views, tuple rates, Py_ssize_t n_batches, Step* step) except -1:
    """A learning rate for each batch, and the weight of its parameters in the averages."""
    learning_rates, averaging_weights = rates
    step.learning_rates = <const double*> views.take(
        "learning_rates", learning_rates, DOUBLES, n_batches, ONE_AXIS, False)
    if averaging_weights is not None:
        step.averaging_weights = <const double*> views.take(
            "averaging_weights", averaging_weights, DOUBLES, n_batches, ONE_AXIS, False)
    return 0


cdef CompiledNetwork take_network(network):
    if not isinstance(network, CompiledNetwork):
        raise TypeError(f"network must be a CompiledNetwork; got {type(network).__name__}.")
    return network


cdef Scratch take_workspace(
    const Network* net, Py_ssize_t n_rows, Py_ssize_t n_threads, int values, Memory workspace,
) except *:
    """Where everything lies in a workspace, for batches of up to `n_rows` rows."""
    cdef Scratch at
    cdef Py_ssize_t n_bytes = workspace_size(net, n_rows, n_threads, values, &at)
    if workspace.n_bytes < n_bytes:
        raise ValueError(f"workspace has {workspace.n_bytes} bytes, and these batches need {n_bytes}.")
    at.shared = workspace.data
    return at


cdef Py_ssize_t workspace_size(
    const Network* net, Py_ssize_t n_rows, Py_ssize_t n_threads, int values, Scratch* at_out,
) except -1:
    """Bytes of scratch memory for learning from batches of up to `n_rows` rows."""
    check_threads(n_threads)
    if n_rows < 0 or <double> n_rows * net.n_outputs > MOST_OUTPUTS:
        raise ValueError(f"A batch of {n_rows} rows cannot be learnt from.")
    if values == FLOATS:
        at_out[0] = carve(net, n_rows, n_threads, True, <float> 0)
        return count_bytes(at_out, sizeof(float))
    at_out[0] = carve(net, n_rows, n_threads, True, <double> 0)
    return count_bytes(at_out, sizeof(double))


cdef Py_ssize_t measuring_size(const Network* net, Py_ssize_t n_threads, int values, Scratch* at_out) except -1:
    """Bytes of scratch memory for measuring groups of rows, which go forward only."""
    check_threads(n_threads)
    if values == FLOATS:
        at_out[0] = carve(net, LANES, n_threads, False, <float> 0)
        return count_bytes(at_out, sizeof(float))
    at_out[0] = carve(net, LANES, n_threads, False, <double> 0)
    return count_bytes(at_out, sizeof(double))


cdef Py_ssize_t count_bytes(const Scratch* at, Py_ssize_t itemsize) except -1:
    if <double> at.size * itemsize >= MOST_BYTES:
        raise MemoryError("This network needs more memory than can be addressed.")
    return at.size * itemsize


# ---- what the package calls ----


def max_threads():
    """Threads that OpenMP would use now, limits of its environment and of threadpoolctl included; 1 without OpenMP."""
    return portable.omp_get_max_threads()


def end_threads():
    """End the threads that OpenMP keeps for the calling one; whether there are none now."""
    return portable.end_threads()


def make_workspace(CompiledNetwork network not None, Py_ssize_t n_rows, Py_ssize_t n_threads, Py_ssize_t itemsize):
    """Scratch memory to learn from batches of up to `n_rows` rows, in values of `itemsize` bytes."""
    cdef Scratch at
    if itemsize not in (sizeof(float), sizeof(double)):
        raise ValueError(f"itemsize={itemsize} must be that of float32 or float64.")
    return Memory(workspace_size(
        &network.net, n_rows, n_threads, FLOATS if itemsize == sizeof(float) else DOUBLES, &at))


def forward(
    CompiledNetwork network not None, X, rows, parameters, outputs, Py_ssize_t n_threads, bint standardized=True,
):
    """Logits of rows of X, standardised by the running averages if the network standardises and `standardized` is True.

    Parameters
    ----------
    network : CompiledNetwork
    X : ndarray of shape (n_samples, n_features), uint8, float32 or float64
    rows : ndarray of shape (n_rows,), intp, or None for all
    parameters : ndarray of shape (n_parameters,), float32 or float64
    outputs : tuple of (logits, hidden)
        Arrays of shape (n_rows, n_outputs) and (n_rows, n_hidden), in the parameters' type, to be written to; the
        second may be None.
    n_threads : int
    standardized : bool

    Raises
    ------
    ValueError, TypeError
        If an array is not as described, a row is none of X, or the network normalises convolutions: its `folded` one
        predicts.
    """
    cdef Views views = Views()
    cdef Network* net = &network.net
    cdef Batch batch
    cdef void* values = views.take("parameters", parameters, FLOATS | DOUBLES, net.n_parameters, ONE_AXIS, False)
    cdef int type = views.type
    cdef void* logits
    cdef void* hidden = NULL
    if net.normalize:
        raise ValueError("A network that normalises does not predict: its folded network does.")
    logits_out, hidden_out = outputs
    take_images(views, net, X, &batch)
    if rows is not None:
        batch.rows = views.take_rows("rows", rows, batch.n_rows)
        batch.n_rows = batch.n_left = views.length
    logits = views.take("logits", logits_out, type, batch.n_rows, net.n_outputs, True)
    if hidden_out is not None:
        hidden = views.take("hidden", hidden_out, type, batch.n_rows, net.n_hidden, True)
    check_threads(n_threads)
    if type == FLOATS:
        predict_rows(&batch, net, n_threads, standardized, <float*> values, <float*> logits, <float*> hidden)
    else:
        predict_rows(&batch, net, n_threads, standardized, <double*> values, <double*> logits, <double*> hidden)


cdef int predict_rows(
    const Batch* batch, const Network* net, Py_ssize_t n_threads, bint standardized, const floating* parameters,
    floating* logits_out, floating* hidden_out,
) except -1:
    """In scratch memory of its own."""
    cdef Scratch at = carve(net, min(batch.n_rows, <Py_ssize_t> LANES), n_threads, False, <floating> 0)
    cdef char* memory = <char*> PyMem_Malloc(count_bytes(&at, sizeof(floating)) + CACHE_LINE)
    if memory == NULL:
        raise MemoryError
    at.standardized = standardized and net.standardize
    with nogil:
        at.shared = on_cache_line(memory)
        predict_groups(batch, &at, parameters, <floating*> at.shared, logits_out, hidden_out)
    PyMem_Free(memory)
    return 0


def measure_norms(
    CompiledNetwork network not None, Py_ssize_t number, X, sample_weight, rows, parameters, Py_ssize_t n_threads,
    norms_out,
):
    """Mean and variance of each filter of a stage of a network that normalises, over rows of X.

    The stages before are normalised by those among the parameters.

    Parameters
    ----------
    network : CompiledNetwork
    number : int
        Of the stage.
    X : ndarray of shape (n_samples, n_features), uint8, float32 or float64
    sample_weight : ndarray of shape (n_samples,), in the parameters' type
    rows : ndarray of shape (n_rows,), intp
        One or more.
    parameters : ndarray of shape (n_parameters,), float32 or float64
    n_threads : int
    norms_out : ndarray of shape (n_filters, 2), float64
        To be written to: means and variances.

    Returns
    -------
    weight : float
        The sum of the rows' weights; where it is 0, so are the norms.

    Raises
    ------
    ValueError, TypeError
        If an array is not as described, or a row is none of X.
    """
    cdef Views views = Views()
    cdef Network* net = &network.net
    cdef Batch batch
    cdef Scratch at
    cdef void* values = views.take("parameters", parameters, FLOATS | DOUBLES, net.n_parameters, ONE_AXIS, False)
    cdef int type = views.type
    cdef void* norms
    take_images(views, net, X, &batch)
    batch.sample_weight = views.take("sample_weight", sample_weight, type, batch.n_rows, ONE_AXIS, False)
    batch.rows = views.take_rows("rows", rows, batch.n_rows)
    batch.n_rows = batch.n_left = views.length
    if not net.normalize or not 0 <= number < net.n_stages or batch.n_rows == 0:
        raise ValueError("There is nothing to measure: no row, no such stage, or a network that does not normalise.")
    cdef Py_ssize_t n_norms = net.stages[number].n_filters
    norms = views.take("norms_out", norms_out, DOUBLES, n_norms, 2, True)
    cdef Py_ssize_t n_chunks = count_chunks(count_groups(batch.n_rows))
    cdef Memory workspace = Memory(measuring_size(net, n_threads, type, &at))
    at.shared = workspace.data
    cdef Memory of_chunks = Memory(n_chunks * (sizeof(double) + n_norms * sizeof(Norm)))
    cdef double* weights = <double*> of_chunks.data
    cdef double weight
    with nogil:
        if type == FLOATS:
            weight = measure_chunks(&batch, &at, number, <float*> values, <float*> workspace.data, weights,
                                    <Norm*> (weights + n_chunks), <Norm*> norms)
        else:
            weight = measure_chunks(&batch, &at, number, <double*> values, <double*> workspace.data, weights,
                                    <Norm*> (weights + n_chunks), <Norm*> norms)
    return weight


def train_batches(problem, order, solvers.Solver solver, state, Memory workspace not None, Py_ssize_t n_threads):
    """One solver step for each batch of rows, in their order; batches of zero weight are passed over.

    Parameters
    ----------
    problem : skcnn.training.Problem
        X : ndarray of shape (n_samples, n_features), uint8, float32 or float64; targets (n_samples, n_outputs) and
        sample_weight (n_samples,) in the parameters' type; objective, a dict of loss (its number) and alpha; network.
    order : skcnn.training.Order
        rows : ndarray of shape (n_rows,), intp, of X, targets and sample_weight; moves (n_rows, 3), intp, the rows and
        columns that each image is moved by and whether it is mirrored, or None; batch_size; learning_rates (n_batches,)
        and averaging_weights (n_batches,), float64: of a batch's parameters in the averages, 0 where it is too early
        for these; None where nothing is averaged.
    solver : dict of kind (its number), learning_rate, beta_1, beta_2, epsilon, momentum and nesterovs_momentum
        The learning rates are those of `order`.
    state : skcnn.state.State
        parameters : ndarray of shape (n_parameters,), float32 or float64, and moments (2, n_trainable), or
        (1, n_trainable) with "sgd", likewise, and averages (n_trainable,), or None: updated in place, as are n_steps
        (since the moments were zero), n_batches (that have gone into the running statistics) and n_averaged (steps in
        the averages).
    workspace : Memory
        Of `make_workspace`, for batches of `batch_size` rows or more.
    n_threads : int

    Returns
    -------
    loss, weight : float
        Sums over batches, of loss times weight and of weight.

    Raises
    ------
    ValueError, TypeError
        If any of it is not as described, or a row or a move is none of X.
    """
    # All attributes first: no Python runs between the first array that is taken and the end of the work.
    cdef CompiledNetwork network = take_network(problem.network.compiled)
    cdef tuple samples = (problem.X, problem.targets, problem.sample_weight)
    cdef tuple indices = (order.rows, order.moves)
    cdef tuple rates = (order.learning_rates, order.averaging_weights)
    cdef Objective objective = problem.objective
    cdef Py_ssize_t batch_size = order.batch_size
    cdef Step step
    cdef Py_ssize_t n_steps = state.n_steps
    cdef Py_ssize_t n_batches = state.n_batches
    cdef Py_ssize_t n_averaged = state.n_averaged
    parameters, moments, averages = state.parameters, state.moments, state.averages
    cdef Views views = Views()
    cdef Network* net = &network.net
    cdef Batch batch
    cdef Scratch at
    cdef Work work
    cdef void* values = views.take("parameters", parameters, FLOATS | DOUBLES, net.n_parameters, ONE_AXIS, True)
    cdef int type = views.type
    cdef Py_ssize_t n_moments = 2 if solver.kind == solvers.ADAM else 1
    memset(&step, 0, sizeof(Step))
    step.solver, step.number, step.n_batches, step.n_averaged = solver, n_steps, n_batches, n_averaged
    step.moments = views.take("moments", moments, type, n_moments, net.n_trainable, True)
    take_problem(views, net, samples, indices, objective, type, &batch)
    if batch_size < 1 or min(n_steps, n_batches, n_averaged) < 0 or max(n_steps, n_batches, n_averaged) >= MOST_STEPS:
        raise ValueError(f"batch_size={batch_size}, n_steps={n_steps}, n_batches={n_batches}, n_averaged={n_averaged}: "
                         "none of them may be negative, nor a batch empty.")
    take_rates(views, rates, batch.n_rows // batch_size + (batch.n_rows % batch_size > 0), &step)
    if step.averaging_weights != NULL:
        step.averages = views.take("averages", averages, type, net.n_trainable, ONE_AXIS, True)
    at = take_workspace(net, min(batch_size, batch.n_rows), n_threads, type, workspace)
    work.batch, work.at, work.step, work.history = &batch, &at, &step, &workspace.history
    with nogil:
        if type == FLOATS:
            run_batches(&work, batch_size, <float*> values, <float*> workspace.data)
        else:
            run_batches(&work, batch_size, <double*> values, <double*> workspace.data)
    state.n_steps, state.n_batches, state.n_averaged = step.number, step.n_batches, step.n_averaged
    return step.loss, step.weight


include "hooks.pxi"
include "hooks_convolution.pxi"
