"""How the tests call the compiled kernels, and what they compare with.

This is the one file that knows the order of the arguments of `forward`, `batch_gradient` and `train_batches`. Each has
its expected value beside it, by the plain NumPy of reference.py: the same arguments, and the same results in float64.

`parameters` are the vector of a `skcnn.network.Network`, whose running averages come last. A solver is a dict of
hyper-parameters whose "kind" is its name.
"""

import numpy as np

from skcnn import kernels, training
from skcnn.state import State
from skcnn.training import Order, Problem
from tests.helpers import reference

# What fit_intercept is about.
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
# The least network there is something to test of, but for its number of outputs.
SMALL = {"image_shape": (6, 5, 1), "n_filters": (3,), "kernel_size": ((3, 2),), "n_outputs": 3}

# ---- problems, and comparison ----


def random_problem(network, n_samples, dtype="float64", *, weighted=False, seed=0):
    """Parameters, rows of X, targets between 0 and 1, and sample weights (some of them 0), as keyword arguments."""
    rng = np.random.default_rng(seed)
    parameters = rng.normal(scale=0.5, size=network.n_parameters)
    views = network.views(parameters)
    for name in views:
        if "variances" in name:
            views[name][:] **= 2
        if name.startswith("scales"):  # of both signs, and not so small that what they scale hardly matters
            views[name][:] += np.copysign(0.5, views[name])
        if not network.fit_intercept and name.startswith(INTERCEPTS):
            views[name][:] = 0
    # Powers of two, so that the weighted mean of a lone logit is that logit to the bit.
    weights = rng.choice([0.5, 1.0, 2.0, 4.0], size=n_samples) * (np.arange(n_samples) % 4 != 1)
    problem = {
        "parameters": parameters,
        "X": rng.normal(size=(n_samples, network.n_features)),
        "targets": rng.uniform(size=(n_samples, network.n_outputs)),
        "sample_weight": weights if weighted else np.ones(n_samples),
    }
    return {name: array.astype(dtype) for name, array in problem.items()}


def some_rows(problem, rows):
    """The problem of these rows, in this order."""
    return {name: array if name == "parameters" else array[rows] for name, array in problem.items()}


def random_moves(network, n_samples, seed=0):
    """(down, right, mirrored), as far as a row and a column of each image stays; (0, 0, 0) is among them."""
    rng = np.random.default_rng(seed)
    moves = [rng.integers(1 - side, side, size=n_samples) for side in network.image_shape[:2]]
    moves = np.stack([*moves, rng.integers(2, size=n_samples)], axis=1)
    moves[0] = 0
    return moves.astype(np.intp)


def learning_rates(solver, epoch, n_batches):
    """Those of each batch, falling."""
    return solver["learning_rate"] * np.linspace(1.0, 0.5, n_batches) / (1 + epoch)


def options_of_step(network, solver, learning_rate):
    """The solver's, with Adam's learning rate and epsilon of each parameter."""
    if solver["kind"] == "sgd":
        return solver | {"learning_rate": learning_rate}
    arrays = [one for one, *_ in network.layout if not one.statistic]
    rates = np.concatenate([np.full(one.size, one.learning_rate(learning_rate)) for one in arrays])
    scales = np.concatenate([np.full(one.size, one.input_scale) for one in arrays])
    return solver | {"learning_rate": rates, "epsilon": solver["epsilon"] * scales}


def averaging_weights(epoch, n_batches):
    """Of each batch in the averages: the first is too early for them, late ones weigh more from epoch to epoch."""
    weights = np.full(n_batches, 1.0 + epoch)
    weights[: epoch == 0] = 0.0
    return weights


def read_only(array):
    """A view that nobody can write to."""
    view = array.view()
    view.flags.writeable = False
    return view


def assert_close(actual, expected, factor=1):
    """Largest error, relative to the array's scale, below 1e-5 in float32 and 1e-12 in float64, times `factor`."""
    tolerance = {"float32": 1e-5, "float64": 1e-12}[actual.dtype.name] * factor
    scale = np.abs(expected).max(initial=0)
    np.testing.assert_allclose(actual, expected, rtol=0, atol=tolerance * scale, equal_nan=False)


# ---- as the kernels take it ----


def fenced_workspace(network, n_rows, n_threads, dtype, fill=np.nan, alone_until=0.0):
    """Scratch memory full of a value; and what is behind it, NaN, which nothing may write to."""
    size = network.workspace(n_rows, n_threads, dtype).n_bytes
    workspace = kernels.Memory(size + 16384)
    workspace.alone_until = alone_until
    whole = np.frombuffer(workspace, dtype)
    whole[:] = np.nan
    whole[: size // whole.itemsize] = fill
    return workspace, whole[size // whole.itemsize :]


def solver_of_kernels(solver):
    """A solver's kind as the kernels take it, a number."""
    return solver | {"kind": kernels.SOLVERS[solver["kind"]]}


def problem_of_kernels(network, X, targets, sample_weight, loss, alpha):
    """Its arrays read-only."""
    arrays = map(read_only, (X, targets, sample_weight))
    objective = {"loss": kernels.LOSSES[loss], "alpha": alpha}
    return Problem(*arrays, rows=None, labels=None, network=network, objective=objective)


def images_of(network, X):
    return X.astype(float).reshape(-1, *network.image_shape) * network.rescale


def choices_of(network):
    """What the plain network is told of its layers."""
    return {
        "activation": network.activation,
        "padding": network.padding,
        "pool_size": network.pool_size,
        "global_pool": network.global_pool,
    }


# ---- prediction ----


def forward(network, parameters, X, *, rows=None, n_threads=1, with_hidden=False):
    """Logits (n_rows, n_outputs) and hidden activations (n_rows, n_hidden), None unless asked for.

    Both were NaN before.
    """
    n_rows = len(X) if rows is None else len(rows)
    logits = np.full((n_rows, network.n_outputs), np.nan, parameters.dtype)
    hidden = np.full((n_rows, network.n_hidden), np.nan, parameters.dtype) if with_hidden else None
    rows = None if rows is None else read_only(rows)
    predicting = read_only(network.fold(parameters))
    kernels.forward(network.folded.compiled, read_only(X), rows, predicting, (logits, hidden), n_threads)
    return logits, hidden


def expected_forward(network, parameters, X):
    """Logits and hidden activations."""
    views = network.views(parameters.astype(float))
    if network.batch_norm:
        views = reference.fold(views)
    hidden, logits, *_ = reference.forward(views, images_of(network, X), **choices_of(network))
    if network.standardize:
        logits = (logits - views["running_means"]) / np.sqrt(views["running_variances"] + 1e-12)
    return logits, hidden


# ---- the loss and its gradient ----


def n_of_logits(network):
    """Statistics of the logits, which come last."""
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

    Both arrays were NaN before; the second is empty if the network does not standardise. The workspace was NaN too, or
    full of another `fill`.
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
    """The same, with means and variances of any network."""
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


# ---- runs of mini-batches ----


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
    """Parameters and their averages after an epoch in each of `orders`; the sums of loss times weight and of weight;
    number of steps.

    The kernels are called for one epoch at a time, each with its own of the `moves`.
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
    """The same."""
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
    """Rows and moves of each run of mini-batches that the package trains from now on, in a list."""
    runs = []
    original = training.train_batches

    def watched(problem, order, *rest):
        runs.append((order.rows.copy(), None if order.moves is None else order.moves.copy()))
        return original(problem, order, *rest)

    monkeypatch.setattr(training, "train_batches", watched)
    return runs
