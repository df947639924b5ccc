"""Calls of the compiled kernels, and their expected results.

This is the only file that knows the order of the arguments of `forward`, `batch_gradient` and `train_batches`. Next to
each is its expected value by the plain NumPy of reference.py, with the same arguments and results in float64.

`parameters` is the vector of a `skcnn.network.Network`, with statistics last. A solver is a dict of hyper-parameters
whose "kind" is its name.
"""

import numpy as np

from skcnn import kernels, passes
from skcnn.passes import Order, Problem
from skcnn.state import State
from tests.helpers import reference

# Names of the parameters that fit_intercept concerns, or their beginnings.
INTERCEPTS = ("filter_intercepts_", "shifts_", "intercepts")
LOSSES = ("log_loss", "squared_error")
SOLVER = {
    "kind": "adam",
    "learning_rate": 0.05,
    "beta_1": 0.9,
    "beta_2": 0.999,
    "epsilon": 1e-8,
    "momentum": 0.9,
    "nesterovs_momentum": True,
}
# The smallest network worth testing, apart from its number of outputs.
SMALL = {"image_shape": (6, 5, 1), "n_filters": (3,), "kernel_size": ((3, 2),), "n_outputs": 3}

# ---- problems and comparison ----


def random_problem(network, n_samples, dtype="float64", *, weighted=False, seed=0):
    """Parameters, rows of X, targets between 0 and 1 and sample weights (some of them 0), as keyword arguments."""
    rng = np.random.default_rng(seed)
    parameters = rng.normal(scale=0.5, size=network.n_parameters)
    views = network.views(parameters)
    for name in views:
        if "variances" in name:
            views[name][:] **= 2
        if name.startswith("scales"):  # of both signs, and not too small to matter
            views[name][:] += np.copysign(0.5, views[name])
        if not network.fit_intercept and name.startswith(INTERCEPTS):
            views[name][:] = 0
    # Powers of two, so that the weighted mean of a single logit equals it to the bit.
    weights = rng.choice([0.5, 1.0, 2.0, 4.0], size=n_samples) * (np.arange(n_samples) % 4 != 1)
    problem = {
        "parameters": parameters,
        "X": rng.normal(size=(n_samples, network.n_features)),
        "targets": rng.uniform(size=(n_samples, network.n_outputs)),
        "sample_weight": weights if weighted else np.ones(n_samples),
    }
    return {name: array.astype(dtype) for name, array in problem.items()}


def some_rows(problem, rows):
    """The problem restricted to rows, in their order."""
    return {name: array if name == "parameters" else array[rows] for name, array in problem.items()}


def random_moves(network, n_samples, seed=0):
    """(down, right, mirrored) of each image, keeping at least one row and column; (0, 0, 0) is among them."""
    rng = np.random.default_rng(seed)
    moves = [rng.integers(1 - side, side, size=n_samples) for side in network.image_shape[:2]]
    moves = np.stack([*moves, rng.integers(2, size=n_samples)], axis=1)
    moves[0] = 0
    return moves.astype(np.intp)


def learning_rates(solver, epoch, n_batches):
    """Falling learning rates, one for each batch."""
    return solver["learning_rate"] * np.linspace(1.0, 0.5, n_batches) / (1 + epoch)


def options_of_step(network, solver, learning_rate):
    """The solver's options, with Adam's learning rate and epsilon for each parameter."""
    if solver["kind"] == "sgd":
        return solver | {"learning_rate": learning_rate}
    arrays = [one for one, *_ in network.layout if not one.statistic]
    rates = np.concatenate([np.full(one.size, one.learning_rate(learning_rate)) for one in arrays])
    scales = np.concatenate([np.full(one.size, one.input_scale) for one in arrays])
    return solver | {"learning_rate": rates, "epsilon": solver["epsilon"] * scales}


def averaging_weights(epoch, n_batches):
    """Weight of each batch in the averages: 0 for the first one, and growing from epoch to epoch for late ones."""
    weights = np.full(n_batches, 1.0 + epoch)
    weights[: epoch == 0] = 0.0
    return weights


def read_only(array):
    """A read-only view."""
    view = array.view()
    view.flags.writeable = False
    return view


def assert_close(actual, expected, factor=1):
    """Check that errors relative to the array's scale are below 1e-5 (float32) or 1e-12 (float64) times `factor`."""
    tolerance = {"float32": 1e-5, "float64": 1e-12}[actual.dtype.name] * factor
    scale = np.abs(expected).max(initial=0)
    np.testing.assert_allclose(actual, expected, rtol=0, atol=tolerance * scale, equal_nan=False)


# ---- arguments of the kernels ----


def fenced_workspace(network, n_rows, n_threads, dtype, fill=np.nan, alone_until=0.0):
    """Scratch memory filled with a value, and NaN behind it, which nothing may overwrite."""
    size = network.workspace(n_rows, n_threads, dtype).n_bytes
    workspace = kernels.Memory(size + 16384)
    workspace.alone_until = alone_until
    whole = np.frombuffer(workspace, dtype)
    whole[:] = np.nan
    whole[: size // whole.itemsize] = fill
    return workspace, whole[size // whole.itemsize :]


def solver_of_kernels(solver):
    """A solver with its kind as a number, for the kernels."""
    return solver | {"kind": kernels.SOLVERS[solver["kind"]]}


def problem_of_kernels(network, X, targets, sample_weight, loss, alpha):
    """A Problem with read-only arrays."""
    arrays = map(read_only, (X, targets, sample_weight))
    objective = {"loss": kernels.LOSSES[loss], "alpha": alpha}
    return Problem(*arrays, rows=None, labels=None, network=network, objective=objective)


def images_of(network, X):
    return X.astype(float).reshape(-1, *network.image_shape) * network.rescale


def choices_of(network):
    """The settings of the layers for the plain NumPy network."""
    return {
        "activation": network.activation,
        "padding": network.padding,
        "pool_size": network.pool_size,
        "global_pool": network.global_pool,
    }


# ---- prediction ----


def forward(network, parameters, X, *, rows=None, n_threads=1, with_hidden=False):
    """Logits (n_rows, n_outputs), and hidden activations (n_rows, n_hidden), or None unless `with_hidden`.

    Both arrays hold NaN before.
    """
    n_rows = len(X) if rows is None else len(rows)
    logits = np.full((n_rows, network.n_outputs), np.nan, parameters.dtype)
    hidden = np.full((n_rows, network.n_hidden), np.nan, parameters.dtype) if with_hidden else None
    rows = None if rows is None else read_only(rows)
    predicting = read_only(network.fold(parameters))
    kernels.forward(network.folded.compiled, read_only(X), rows, predicting, (logits, hidden), n_threads)
    return logits, hidden


def expected_forward(network, parameters, X):
    """Expected logits and hidden activations."""
    views = network.views(parameters.astype(float))
    if network.batch_norm:
        views = reference.fold(views)
    hidden, logits, *_ = reference.forward(views, images_of(network, X), **choices_of(network))
    if network.standardize:
        logits = (logits - views["running_means"]) / np.sqrt(views["running_variances"] + 1e-12)
    return logits, hidden


# ---- the loss and its gradient ----


def n_of_logits(network):
    """Number of statistics of the logits, which are last in the vector."""
    return 2 * network.n_outputs if network.standardize else 0


def batch_gradient(
    network,
    parameters,
    X,
    targets,
    sample_weight,
    *,
    loss,
    alpha=0.0,
    rows=None,
    moves=None,
    n_threads=1,
    fill=np.nan,
):
    """Loss of a batch, its gradient (n_trainable,), and the logits' means and variances as one vector.

    Both arrays hold NaN before; the second is empty unless the network standardises. The workspace is filled with
    `fill`, NaN by default.
    """
    rows = np.arange(len(X)) if rows is None else rows
    whole = np.full(network.n_parameters, np.nan, dtype=parameters.dtype)
    problem = problem_of_kernels(network, X, targets, sample_weight, loss, alpha)
    order = Order(read_only(rows), moves, len(rows), None, None)
    workspace, fence = fenced_workspace(network, len(rows), n_threads, parameters.dtype, fill)
    value = kernels.compiled.batch_gradient(problem, order, read_only(parameters), workspace, n_threads, whole)
    assert np.isnan(fence).all()
    gradient, of_filters, of_logits = np.split(
        whole, [network.n_trainable, network.n_parameters - n_of_logits(network)]
    )
    assert np.isnan(of_filters).all()
    return value, gradient, of_logits


def expected_batch_gradient(network, parameters, X, targets, sample_weight, *, loss, alpha=0.0, solver="adam"):
    """The expected values, with means and variances for any network."""
    views = network.views(parameters.astype(float))
    trainable = {one.name: views[one.name] for one, *_ in network.layout if not one.statistic}
    value, gradient, statistics = reference.loss_and_gradient(
        trainable,
        images_of(network, X),
        targets.astype(float),
        sample_weight.astype(float),
        loss=loss,
        alpha=alpha,
        standardized=network.standardize,
        fit_intercept=network.fit_intercept,
        input_scale=network.input_scale if solver == "adam" else 1.0,
        **choices_of(network),
    )
    return value, np.concatenate([part.ravel() for part in gradient.values()]), np.concatenate(statistics)


# ---- series of mini-batches ----


def train_batches(
    network,
    parameters,
    X,
    targets,
    sample_weight,
    *,
    orders,
    batch_size,
    solver,
    loss,
    alpha=0.0,
    moves=None,
    n_threads=1,
    alone_until=0.0,
):
    """Parameters and averages after an epoch in each of `orders`, sums of loss times weight and of weight, and number
    of steps.

    The kernels are called once for each epoch, with its own element of `moves`.
    """
    moments = np.zeros((reference.STEPS[solver["kind"]][1], network.n_trainable), parameters.dtype)
    averages = np.full(network.n_trainable, np.nan, parameters.dtype)
    state = State(parameters.copy(), moments, averages=averages)
    problem = problem_of_kernels(network, X, targets, sample_weight, loss, alpha)
    workspace, fence = fenced_workspace(network, batch_size, n_threads, parameters.dtype, alone_until=alone_until)
    total_loss = total_weight = 0
    for epoch, (rows, own) in enumerate(zip(orders, moves or [None] * len(orders), strict=True)):
        n_batches = -(-len(rows) // batch_size)
        rates = learning_rates(solver, epoch, n_batches), averaging_weights(epoch, n_batches)
        order = Order(read_only(rows), own, batch_size, *map(read_only, rates))
        loss_sum, weight_sum = kernels.train_batches(
            problem, order, solver_of_kernels(solver), state, workspace, n_threads
        )
        total_loss, total_weight = total_loss + loss_sum, total_weight + weight_sum
    assert np.isnan(fence).all()
    return np.append(state.parameters, state.averages), total_loss, total_weight, state.n_steps


def expected_train_batches(
    network, parameters, X, targets, sample_weight, *, orders, batch_size, solver, loss, alpha=0.0
):
    """The expected values."""
    step_function, n_moments = reference.STEPS[solver["kind"]]
    moments = np.zeros((n_moments, network.n_trainable))
    parameters, total_loss, total_weight, step = parameters.astype(float), 0.0, 0.0, 0
    trainable, running = np.split(parameters, [network.n_trainable])
    averages, n_averaged = np.full(network.n_trainable, np.nan), 0
    for epoch, order in enumerate(orders):
        n_batches = -(-len(order) // batch_size)
        rates = learning_rates(solver, epoch, n_batches), averaging_weights(epoch, n_batches)
        for start, rate, averaging in zip(range(0, len(order), batch_size), *rates, strict=True):
            rows = order[start : start + batch_size]
            weight = sample_weight[rows].sum()
            if weight == 0:
                continue
            batch = X[rows], targets[rows], sample_weight[rows]
            value, gradient, statistics = expected_batch_gradient(
                network, parameters, *batch, loss=loss, alpha=alpha, solver=solver["kind"]
            )
            step += 1
            options = options_of_step(network, solver, rate)
            trainable[:], moments = step_function(trainable, gradient, moments, step, options)
            n_averaged = n_averaged + 1 if averaging else 0
            part = min(1, averaging / n_averaged) if averaging else 1
            averages = trainable.copy() if part == 1 else averages + part * (trainable - averages)
            if network.standardize:
                running[-len(statistics) :] += (statistics - running[-len(statistics) :]) / min(step, 10)
            total_loss, total_weight = total_loss + value * weight, total_weight + weight
    return np.append(parameters, averages), total_loss, total_weight, step


def watch_train_batches(monkeypatch):
    """A list to which each call of `train_batches` in the package will add its rows and moves."""
    runs = []
    original = passes.train_batches

    def watched(problem, order, *rest):
        runs.append((order.rows.copy(), None if order.moves is None else order.moves.copy()))
        return original(problem, order, *rest)

    monkeypatch.setattr(passes, "train_batches", watched)
    return runs
