"""Networks of several layers: the whole loss's gradient against central differences and against plain NumPy; training
in mini-batches and prediction against the same.

A relu and a maximum have kinks, where a loss has no derivative and rounding decides for one side. The problems are such
that no step of a difference, and no rounding, comes so far (`smooth_problem`): nothing need be skipped. Where several
values of a pool are the largest because their windows are the same, they stay so, and there is a derivative.

A batch of 19 images is a group of lanes and three images one by one.
"""

from functools import partial
from itertools import product

import numpy as np
import pytest
from numpy.linalg import norm

from skcnn.kernels import MAX_LAYERS, batch_gradient, forward, train_batches
from skcnn.network import Network
from tests.helpers import reference
from tests.helpers.differences import STEP, TOLERANCE, differences, split_gradient
from tests.helpers.reference import LOSSES, SOLVER, assert_close, network_gradient, random_problem, read_only
from tests.helpers.stacks import KINDS, POOLS, make_stack, n_ties, smooth_problem, whole_numbers

# As far as rounding may move a value in float32.
ROUNDING = 1e-6

every_activation = pytest.mark.parametrize("activation", ["sigmoid", "tanh", "relu"])
every_padding = pytest.mark.parametrize("padding", ["valid", "same"])
every_pooling = pytest.mark.parametrize("pools", POOLS)
every_depth = pytest.mark.parametrize("n_layers", [2, 3], ids="{} layers".format)
every_dtype = pytest.mark.parametrize("dtype", ["float32", "float64"])

call_batch_gradient = partial(reference.call_batch_gradient, batch_gradient)
call_train_batches = partial(reference.call_train_batches, train_batches)


# ---- by differences ----


def assert_gradient_of_the_whole_loss(network, problem, **options):
    """The kernels' gradient is that of their loss, in every part; and no part of it vanishes."""
    parameters = problem["parameters"]
    trainable = parameters[: network.n_trainable]

    def evaluate():
        return call_batch_gradient(network, **problem, **options)

    # `trainable` is a view: what the differences change there, they change in `parameters`.
    (expected,) = differences(lambda _: evaluate()[0], trainable)
    actual, expected = split_gradient(network, evaluate()[1]), split_gradient(network, expected)
    for name, part in actual.items():
        if "intercepts" in name and not network.fit_intercept:
            assert not part.any()
        elif name == "intercepts" and network.standardize:
            # Standardised logits do not depend on their intercepts: the differences are the rounding errors of 0.
            assert not part.any()
            assert norm(expected[name]) < 1e-9
        else:
            assert norm(part - expected[name]) <= TOLERANCE * norm(expected[name]) + 1e-10
            assert norm(part) > 1e-4


@every_depth
@every_pooling
@every_padding
@every_activation
@pytest.mark.parametrize("kind", KINDS)
def test_whole_loss(n_layers, pools, padding, activation, kind):
    network = make_stack(n_layers, pools, padding, kind, activation=activation)
    problem = smooth_problem(network, 19, step=STEP)
    assert_gradient_of_the_whole_loss(network, problem, loss="log_loss")


@every_depth
@every_activation
@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("standardize", [False, True], ids=["plain", "standardize"])
@pytest.mark.parametrize("fit_intercept", [True, False], ids=["", "no intercepts"])
@pytest.mark.parametrize("weighted", [False, True], ids=["equal weights", "weighted"])
def test_whole_loss_of_every_kind(n_layers, activation, loss, standardize, fit_intercept, weighted):
    choices = {"standardize": standardize, "fit_intercept": fit_intercept, "rescale": 0.5}
    network = make_stack(n_layers, "2 x 2, ragged", "same", "channels", activation=activation, **choices)
    problem = smooth_problem(network, 19, step=STEP, weighted=weighted)
    assert_gradient_of_the_whole_loss(network, problem, loss=loss, alpha=0.1)


@every_depth
@every_padding
@every_activation
@pytest.mark.parametrize("pools", ["2 x 2, ragged", "3 x 2, ragged"])
@pytest.mark.parametrize("kind", KINDS)
def test_whole_loss_with_ties(n_layers, padding, activation, pools, kind):
    """Images of blocks: only one of a pool's largest values counts, or the gradient is too large."""
    network = make_stack(n_layers, pools, padding, kind, activation=activation)
    problem = smooth_problem(network, 19, step=STEP, ties=True)
    assert n_ties(network, problem) > 20
    assert_gradient_of_the_whole_loss(network, problem, loss="log_loss")


@every_activation
@pytest.mark.parametrize("standardize", [False, True], ids=["plain", "standardize"])
def test_whole_loss_of_blank_images(activation, standardize):
    """Without intercepts their values are 0 whatever the filters, at the relu's kink, and whole pools are ties."""
    network = make_stack(2, "2 x 2", "valid", activation=activation, fit_intercept=False, standardize=standardize)
    problem = smooth_problem(network, 19, step=STEP)
    problem["X"][:10] = 0
    assert_gradient_of_the_whole_loss(network, problem, loss="log_loss")


# ---- against plain NumPy ----

NETWORKS = {
    "two layers": Network((9, 8, 1), (3, 4), ((3, 3), (2, 2)), 3, ((2, 2), (1, 1)), activation="relu"),
    "three layers, tanh": Network(
        (11, 13, 2), (2, 5, 3), ((3, 2), (2, 3), (2, 2)), 1, ((2, 1), (1, 2), (2, 2)), "same", "tanh"
    ),
    "many filters": Network((7, 6, 1), (13, 9), ((3, 3), (3, 3)), 2, ((1, 1), (2, 2)), "same", "relu"),
    "many channels": Network((5, 6, 11), (6, 7), ((2, 2), (1, 1)), 11, ((1, 2), (1, 1)), "valid", "tanh"),
    "even kernels": Network((8, 9, 1), (4, 2), ((4, 2), (2, 4)), 2, ((3, 2), (2, 2)), "same", "sigmoid"),
    "signal": Network((1, 37, 2), (4, 3), ((1, 5), (1, 4)), 3, ((1, 3), (1, 2)), "same", "relu"),
    "upright signal": Network((41, 1, 1), (2, 3), ((5, 1), (2, 1)), 1, ((2, 1), (3, 1)), "valid", "tanh"),
    "pools of everything": Network((6, 5, 1), (3, 4), ((3, 3), (2, 2)), 2, ((2, 1), (2, 5)), "same", "relu"),
    "one layer, pools": Network((9, 7, 2), (5,), ((3, 3),), 3, ((2, 3),), "same", "relu"),
    "rows of a digit": Network((28, 28, 1), (5, 6), ((3, 3), (3, 3)), 4, ((2, 2), (2, 2)), "same", "relu"),
    "no pools": Network((12, 6, 1), (3, 2, 2), ((3, 3), (3, 3), (2, 2)), 2, None, "same", "relu"),
    "standardize": Network((8, 7, 1), (3, 2), ((3, 2), (2, 2)), 3, ((2, 2), (1, 1)), standardize=True),
    "no intercepts": Network((8, 7, 1), (3, 2), ((3, 2), (2, 2)), 3, ((2, 2), (1, 2)), "same", "tanh", 2.0, False),
}
every_network = pytest.mark.parametrize("network", NETWORKS.values(), ids=NETWORKS)


def random_shifts(network, n_samples, seed=0):
    """As many as leave a row and a column of each image; (0, 0) is among them."""
    rng = np.random.default_rng(seed)
    shifts = np.stack([rng.integers(1 - side, side, size=n_samples) for side in network.image_shape[:2]], axis=1)
    shifts[0] = 0
    return shifts.astype(np.intp)


def shifted(network, problem, shifts):
    images = reference.shift_images(problem["X"].reshape(-1, *network.image_shape), shifts)
    return problem | {"X": images.reshape(problem["X"].shape)}


def assert_same_parts(network, gradient, expected, factor=10):
    """Part by part, for those of the first layers may be small."""
    expected = split_gradient(network, expected)
    for name, part in split_gradient(network, gradient).items():
        if np.any(expected[name]):
            assert_close(part, expected[name], factor)
        else:
            assert not part.any()


@every_network
@pytest.mark.parametrize("moved", [False, True], ids=["", "shifted"])
@every_dtype
@pytest.mark.parametrize("n_samples", [1, 5, 8, 9, 15, 16, 17, 33], ids="batch of {}".format)
def test_batch_gradient(network, moved, dtype, n_samples):
    shifts = random_shifts(network, n_samples) if moved else None
    weighted = n_samples > 1
    problem = smooth_problem(network, n_samples, dtype, step=ROUNDING, shifts=shifts, weighted=weighted)
    options = {"loss": "log_loss", "alpha": 0.1}
    value, gradient = call_batch_gradient(network, **problem, **options, shifts=shifts)
    plain = shifted(network, problem, shifts) if moved else problem
    expected, d_expected, statistics = network_gradient(network, **plain, **options)
    assert_close(np.asarray(value, dtype), expected, factor=10)
    assert_same_parts(network, gradient, d_expected.astype(dtype))
    if network.standardize and n_samples > 1:
        assert_close(gradient[network.n_trainable :], statistics)


@every_padding
@pytest.mark.parametrize("pools", ["2 x 2, ragged", "3 x 2, ragged"])
@pytest.mark.parametrize("kind", KINDS)
@every_dtype
@pytest.mark.parametrize("n_samples", [5, 16, 37], ids="batch of {}".format)
def test_the_first_of_several_largest_values_has_the_gradient(padding, pools, kind, dtype, n_samples):
    """Their windows differ, so that it matters which one it is; and so does what is exactly at the relu's kink."""
    network = make_stack(2, pools, padding, kind, activation="relu")
    problem = whole_numbers(network, random_problem(network, n_samples, dtype))
    assert n_ties(network, problem) > n_samples // 2
    _, gradient = call_batch_gradient(network, **problem, loss="log_loss")
    _, expected, _ = network_gradient(network, **problem, loss="log_loss")
    assert_same_parts(network, gradient, expected.astype(dtype))


@every_network
@every_dtype
@pytest.mark.parametrize("n_samples", [3, 20, 50], ids="batch of {}".format)
def test_the_gradient_does_not_depend_on_what_the_workspace_held(network, dtype, n_samples):
    """Padding is made of zeros, not found; and largest values are compared with none that nobody wrote."""
    problem = random_problem(network, n_samples, dtype, weighted=True)
    shifts = random_shifts(network, n_samples)
    value, gradient = call_batch_gradient(network, **problem, loss="log_loss", shifts=shifts)
    for fill in (-1e30, 1e30):
        other, other_gradient = call_batch_gradient(network, **problem, loss="log_loss", shifts=shifts, fill=fill)
        assert other == value
        np.testing.assert_array_equal(other_gradient, gradient)


@pytest.mark.parametrize("x_dtype", ["uint8", "float32", "float64"])
@every_dtype
@pytest.mark.parametrize("n_samples", [3, 16, 40], ids="batch of {}".format)
@pytest.mark.parametrize("n_threads", [1, 2])
@pytest.mark.parametrize("standardize", [False, True], ids=["plain", "standardize"])
def test_shifted_rows_of_any_type(x_dtype, dtype, n_samples, n_threads, standardize):
    """The same bits as of images that were shifted before, in any order, some of them twice."""
    network = Network((6, 9, 2), (3, 2), ((3, 3), (2, 2)), 2, ((2, 2), (1, 1)), standardize=standardize, rescale=0.01)
    problem = random_problem(network, 50, dtype, weighted=True)
    rng = np.random.default_rng(1)
    problem["X"] = rng.integers(256, size=problem["X"].shape).astype(x_dtype)
    rows, shifts = rng.integers(50, size=n_samples), random_shifts(network, n_samples)
    options = {"loss": "log_loss", "n_threads": n_threads}
    value, gradient = call_batch_gradient(network, **problem, **options, rows=rows, shifts=shifts)
    chosen = {name: array if name == "parameters" else array[rows] for name, array in problem.items()}
    expected, d_expected = call_batch_gradient(network, **shifted(network, chosen, shifts), **options)
    assert value == expected
    np.testing.assert_array_equal(gradient, d_expected)


@every_dtype
@pytest.mark.parametrize("n_filters", [(1, 2), (3, 4), (5, 1), (7, 6), (2, 11)], ids=str)
@pytest.mark.parametrize("height", [1, 2, 3])
def test_images_by_themselves_of_any_width(n_filters, dtype, height):
    """Forward and back, an image is one run: of every length up to that of two whole tiles."""
    for width, padding in product(range(3, 36), ["valid", "same"]):
        kernels = (min(height, 2), 3), (1, 1 + width % 3 if width > 5 else 1)
        network = Network((height, width, 1), n_filters, kernels, 1, None, padding, "tanh")
        problem = random_problem(network, 1, dtype)
        _, gradient = call_batch_gradient(network, **problem, loss="log_loss")
        _, expected, _ = network_gradient(network, **problem, loss="log_loss")
        assert_same_parts(network, gradient, expected.astype(dtype))


def test_as_many_layers_as_there_may_be():
    network = Network((5, 4, 1), (2,) * MAX_LAYERS, ((2, 3),) * MAX_LAYERS, 2, None, "same", "tanh")
    problem = random_problem(network, 19)
    value, gradient = call_batch_gradient(network, **problem, loss="log_loss")
    expected, d_expected, _ = network_gradient(network, **problem, loss="log_loss")
    np.testing.assert_allclose(value, expected)
    assert_same_parts(network, gradient, d_expected, factor=100)


# ---- runs of mini-batches ----

every_solver = pytest.mark.parametrize("kind", [0, 1], ids=["adam", "sgd"])


@every_network
@every_solver
@every_dtype
def test_train_batches(network, kind, dtype):
    """Of 20: a group of lanes and four images one by one, then three, in one workspace; and all over again."""
    n_samples = 43
    problem = smooth_problem(network, n_samples, dtype, step=ROUNDING, weighted=True)
    orders = [np.random.default_rng(epoch).permutation(n_samples) for epoch in range(2)]
    options = {"orders": orders, "batch_size": 20, "loss": "log_loss", "alpha": 0.2}
    # Steps so small that no value comes to another side of a kink in float32 than in float64.
    options["solver"] = SOLVER | {"kind": kind, "learning_rate": 1e-3, "epsilon": 1e-4}
    parameters, *sums = call_train_batches(network, **problem, **options)[:3]
    expected, *expected_sums = reference.train(network, **problem, **options)[:3]
    moved = expected - problem["parameters"]
    assert_close(parameters - problem["parameters"].astype(dtype), moved, factor=1000)
    assert_close(np.asarray(sums, dtype), expected_sums)


@every_network
@pytest.mark.parametrize("batch_size", [1, 7, 16, 20, 32, 43], ids="batches of {}".format)
@every_dtype
def test_train_batches_with_shifts(network, batch_size, dtype):
    """Each epoch's own, in the order of its samples: the same bits as of images that were shifted before."""
    n_samples, solver = 43, SOLVER | {"learning_rate": 0.01}
    problem = random_problem(network, n_samples, dtype)
    orders = [np.random.default_rng(epoch).permutation(n_samples) for epoch in range(2)]
    shifts = [random_shifts(network, n_samples, epoch) for epoch in range(2)]
    options = {"batch_size": batch_size, "solver": solver, "loss": "log_loss"}
    parameters, *sums = call_train_batches(network, **problem, **options, orders=orders, shifts=shifts)
    # Both epochs' images, each in its order, behind one another.
    parts = [
        shifted(network, {name: array[order] for name, array in problem.items() if name != "parameters"}, moves)
        for order, moves in zip(orders, shifts, strict=True)
    ]
    whole = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    orders = [np.arange(n_samples), np.arange(n_samples) + n_samples]
    whole["parameters"] = problem["parameters"]
    expected, *expected_sums = call_train_batches(network, **whole, **options, orders=orders)
    np.testing.assert_array_equal(parameters, expected)
    assert sums == expected_sums


# ---- prediction ----


@every_network
@every_dtype
def test_forward(network, dtype):
    """Logits and hidden activations of 1 to 40 rows; among many rows, a row has the same bits in any place."""
    problem = random_problem(network, 40, dtype)
    views = network.views(problem["parameters"].astype(float))
    maps = problem["X"].astype(float).reshape(-1, *network.image_shape) * network.rescale
    for number, layer in enumerate(network.layers):
        filters = views[f"filters_{number}"], views[f"filter_intercepts_{number}"]
        maps, _ = reference.layer_forward(maps, *filters, network.activation, network.padding, layer.pool_size)
    hidden = np.moveaxis(maps, -1, 1).reshape(40, -1)
    logits = reference.dense(hidden, views["weights"], views["intercepts"])
    if network.standardize:
        logits = (logits - views["running_means"]) / np.sqrt(views["running_variances"] + 1e-12)
    together = None
    for n_rows in range(40, 0, -1):
        out = np.full((n_rows, network.n_outputs), np.nan, dtype)
        hidden_out = np.full((n_rows, network.n_hidden), np.nan, dtype)
        X = read_only(problem["X"][:n_rows])
        forward(X, None, network, read_only(problem["parameters"]), 1, out, hidden_out)
        together = out if together is None else together
        if n_rows > 8:
            np.testing.assert_array_equal(out, together[:n_rows])
        assert_close(hidden_out, hidden[:n_rows], factor=10)
        assert_close(out, logits[:n_rows], factor=10)
