"""The gradient of the whole loss, against central differences in float64 and against plain NumPy.

A backward pass may agree with a reference that makes the same mistake, but not by accident with differences of the
forward pass. Differences are taken along every coordinate, on problems that are differentiable there (see
helpers/stacks.py).

Up to eight images of a last group are computed one by one, more of them in lanes: a batch of 19 is a group in lanes and
three single images.
"""

from itertools import product

import numpy as np
import pytest

from skcnn.kernels import ACTIVATIONS, MAX_LAYERS
from skcnn.network import Network
from tests.helpers import harness
from tests.helpers.differences import STEP, assert_gradient_of_the_whole_loss
from tests.helpers.harness import SMALL, assert_close, random_moves, random_problem, some_rows
from tests.helpers.marks import (
    equal_or_weighted,
    every_activation,
    every_dtype,
    every_loss,
    every_padding,
    every_shape,
    every_x_dtype,
    plain_or_standardize,
)
from tests.helpers.stacks import (
    KINDS,
    POOLS,
    ROUNDING,
    assert_same_parts,
    every_stack,
    make_stack,
    n_ties,
    shifted,
    smooth_problem,
    whole_numbers,
)

# Name: changes to a small network.
NETWORKS = {
    "1 output": {"n_outputs": 1},
    "3 outputs": {},
    "channels": {"image_shape": (5, 4, 2)},
    "signal": {"image_shape": (1, 14, 1), "kernel_size": ((1, 4),)},
    "rescale": {"rescale": 0.25},
    "no intercept": {"fit_intercept": False},
    "large pixels": {"input_scale": 4.0},
    "normalized": {"batch_norm": True},
    "normalized channels, no intercept": {"batch_norm": True, "fit_intercept": False, "image_shape": (5, 4, 2)},
    "normalized, two pixels left": {"batch_norm": True, "kernel_size": ((6, 4),)},
    "global average": {"global_pool": "average"},
    "global max": {"global_pool": "max"},
}
every_network = pytest.mark.parametrize("changes", NETWORKS.values(), ids=NETWORKS)
every_alpha = pytest.mark.parametrize("alpha", [0, 0.1], ids="alpha={}".format)
every_depth = pytest.mark.parametrize("n_layers", [2, 3], ids="{} layers".format)
every_kind = pytest.mark.parametrize("kind", KINDS)
ragged_pools = pytest.mark.parametrize("pools", ["2 x 2, ragged", "3 x 2, ragged"])

# ---- against differences ----


@every_network
@plain_or_standardize
@equal_or_weighted
@every_alpha
@every_loss
def test_differences(changes, standardize, weighted, alpha, loss):
    network = Network(**SMALL | changes, standardize=standardize)
    problem = random_problem(network, 19, weighted=weighted)
    assert_gradient_of_the_whole_loss(network, problem, loss=loss, alpha=alpha)


@every_depth
@pytest.mark.parametrize("pools", POOLS)
@every_padding
@every_activation
@every_kind
def test_differences_of_stacks(n_layers, pools, padding, activation, kind):
    network = make_stack(n_layers, pools, padding, kind, activation=activation)
    problem = smooth_problem(network, 19, step=STEP)
    assert_gradient_of_the_whole_loss(network, problem, loss="log_loss")


@pytest.mark.parametrize(
    ("n_layers", "pools", "activation"),
    [
        *product([1], ["3 x 2, ragged"], ACTIVATIONS),
        *product([2], ["no pools", "2 x 2, ragged"], ACTIVATIONS),
        *product([3], ["no pools"], ["sigmoid", "tanh"]),  # a step would move some of so many relus across 0
    ],
)
@every_padding
@every_kind
def test_differences_of_normalized_stacks(n_layers, pools, activation, padding, kind):
    """Images have weights, some of them 0, and are in groups of 9 and 10."""
    network = make_stack(n_layers, pools, padding, kind, activation=activation, batch_norm=True)
    problem = smooth_problem(network, 19, step=STEP, weighted=True)
    assert_gradient_of_the_whole_loss(network, problem, loss="log_loss", alpha=0.1)


@every_activation
@pytest.mark.parametrize("global_pool", ["average", "max"])
@pytest.mark.parametrize("batch_norm", [False, True], ids=["plain", "normalized"])
@every_kind
@equal_or_weighted
def test_differences_of_global_pools(activation, global_pool, batch_norm, kind, weighted):
    choices = {"activation": activation, "global_pool": global_pool, "batch_norm": batch_norm}
    network = make_stack(2, "no pools", "same", kind, **choices)
    problem = smooth_problem(network, 19, step=STEP, weighted=weighted)
    assert_gradient_of_the_whole_loss(network, problem, loss="log_loss", alpha=0.1)


@every_depth
@every_activation
@every_loss
@plain_or_standardize
@pytest.mark.parametrize("fit_intercept", [True, False], ids=["", "no intercepts"])
@equal_or_weighted
def test_differences_of_every_loss_of_stacks(n_layers, activation, loss, standardize, fit_intercept, weighted):
    choices = {"standardize": standardize, "fit_intercept": fit_intercept, "rescale": 0.5}
    network = make_stack(n_layers, "2 x 2, ragged", "same", "channels", activation=activation, **choices)
    problem = smooth_problem(network, 19, step=STEP, weighted=weighted)
    assert_gradient_of_the_whole_loss(network, problem, loss=loss, alpha=0.1)


@every_depth
@every_padding
@every_activation
@ragged_pools
@every_kind
def test_differences_with_ties(n_layers, padding, activation, pools, kind):
    """With images of blocks, the gradient is too large unless only one of a pool's maxima counts."""
    network = make_stack(n_layers, pools, padding, kind, activation=activation)
    problem = smooth_problem(network, 19, step=STEP, ties=True)
    assert n_ties(network, problem) > 20
    assert_gradient_of_the_whole_loss(network, problem, loss="log_loss")


@equal_or_weighted
def test_a_group_without_weight_is_left_out(weighted):
    """A group of zero weight has no effect."""
    network = make_stack(2, "2 x 2", "same", activation="tanh", batch_norm=True)
    problem = random_problem(network, 32, weighted=weighted)
    problem["sample_weight"][:16] = 0
    value, gradient, _ = harness.batch_gradient(network, **problem, loss="log_loss")
    expected = harness.batch_gradient(network, **some_rows(problem, np.arange(16, 32)), loss="log_loss")
    np.testing.assert_allclose(value, expected[0], rtol=1e-14)
    assert_same_parts(network, gradient, expected[1])


@every_dtype
def test_a_group_without_weight_stays_finite(dtype):
    """Values of such a group do not grow from layer to layer."""
    network = Network((4, 4, 1), (4,) * MAX_LAYERS, ((3, 3),) * MAX_LAYERS, 2, None, "same", "relu", batch_norm=True)
    problem = random_problem(network, 32, dtype)
    problem["sample_weight"][:16] = 0
    value, gradient, _ = harness.batch_gradient(network, **problem, loss="log_loss")
    assert np.isfinite(value)
    assert np.isfinite(gradient).all()


@every_activation
@plain_or_standardize
def test_differences_of_blank_images(activation, standardize):
    """Without intercepts, all values of blank images are 0: at the relu's kink, and with ties in all pools."""
    network = make_stack(2, "2 x 2", "valid", activation=activation, fit_intercept=False, standardize=standardize)
    problem = smooth_problem(network, 19, step=STEP)
    problem["X"][:10] = 0
    assert_gradient_of_the_whole_loss(network, problem, loss="log_loss")


# ---- against plain NumPy, one layer ----


@every_network
@plain_or_standardize
@equal_or_weighted
@every_alpha
@every_loss
@pytest.mark.parametrize("n_samples", [1, 5, 15, 16, 17, 33], ids="batch of {}".format)
@every_dtype
def test_one_layer(changes, standardize, weighted, alpha, loss, n_samples, dtype):
    network = Network(**SMALL | changes, standardize=standardize)
    problem = random_problem(network, n_samples, dtype, weighted=weighted)
    value, gradient, statistics = harness.batch_gradient(network, **problem, loss=loss, alpha=alpha)
    expected, d_expected, expected_statistics = harness.expected_batch_gradient(
        network, **problem, loss=loss, alpha=alpha
    )
    # The squared error of a good prediction is the square of a small difference.
    assert_close(np.asarray(value, dtype), expected, factor=10)
    assert_close(gradient, d_expected)
    if standardize:
        assert_close(statistics, expected_statistics)
    else:
        assert np.isnan(statistics).all()


@every_shape
@pytest.mark.parametrize("n_filters", [1, 3, 5, 8], ids="{} filters".format)
@pytest.mark.parametrize("n_outputs", [1, 6], ids="{} outputs".format)
@every_dtype
@pytest.mark.parametrize("n_samples", [3, 8, 9, 24], ids="batch of {}".format)
def test_every_shape(image_shape, kernel_size, n_filters, n_outputs, dtype, n_samples):
    network = Network(image_shape, (n_filters,), (kernel_size,), n_outputs)
    problem = random_problem(network, n_samples, dtype, weighted=True)
    value, gradient, _ = harness.batch_gradient(network, **problem, loss="log_loss", alpha=0.3)
    expected, d_expected, _ = harness.expected_batch_gradient(network, **problem, loss="log_loss", alpha=0.3)
    assert_close(np.asarray(value, dtype), expected)
    assert_close(gradient, d_expected)


@every_x_dtype
@every_dtype
@plain_or_standardize
def test_some_rows_of_any_type(x_dtype, dtype, standardize):
    network = Network(**SMALL | {"image_shape": (4, 5, 2)}, rescale=1 / 255, standardize=standardize)
    problem = random_problem(network, 40, dtype, weighted=True)
    problem["X"] = np.random.default_rng(1).integers(256, size=problem["X"].shape).astype(x_dtype)
    # Rows in any order, some of them twice.
    rows = np.random.default_rng(2).integers(40, size=35)
    value, gradient, _ = harness.batch_gradient(network, **problem, loss="log_loss", rows=rows)
    expected, d_expected, _ = harness.expected_batch_gradient(network, **some_rows(problem, rows), loss="log_loss")
    assert_close(np.asarray(value, dtype), expected)
    assert_close(gradient, d_expected)


@pytest.mark.parametrize("n_samples", [3, 40])
@pytest.mark.parametrize("n_threads", [1, 2])
def test_subnormal_numbers_count_as_zero_in_the_kernels_only(n_samples, n_threads):
    """Subnormal numbers would make a saturated network a hundred times slower; the caller's mode stays unchanged."""
    network = Network(**SMALL)
    problem = random_problem(network, n_samples, "float32")
    network.views(problem["parameters"])["intercepts"][:] = -86.0
    problem["targets"][:] = 0
    _, gradient, _ = harness.batch_gradient(network, **problem, loss="log_loss", n_threads=n_threads)
    magnitudes = np.abs(gradient)
    assert not magnitudes[magnitudes < np.finfo(np.float32).tiny].any()
    assert np.float32(1e-40) * np.float32(0.5) > 0


# ---- against plain NumPy, several layers ----


@every_stack
@pytest.mark.parametrize("moved", [False, True], ids=["", "shifted"])
@every_dtype
@pytest.mark.parametrize("n_samples", [1, 5, 8, 9, 15, 16, 17, 33], ids="batch of {}".format)
def test_stacks(network, moved, dtype, n_samples):
    moves = random_moves(network, n_samples) if moved else None
    weighted = n_samples > 1
    problem = smooth_problem(network, n_samples, dtype, step=ROUNDING, moves=moves, weighted=weighted)
    options = {"loss": "log_loss", "alpha": 0.1}
    value, gradient, statistics = harness.batch_gradient(network, **problem, **options, moves=moves)
    plain = shifted(network, problem, moves) if moved else problem
    expected, d_expected, expected_statistics = harness.expected_batch_gradient(network, **plain, **options)
    assert_close(np.asarray(value, dtype), expected, factor=10)
    assert_same_parts(network, gradient, d_expected.astype(dtype))
    if network.standardize and n_samples > 1:
        assert_close(statistics, expected_statistics)


@every_padding
@ragged_pools
@every_kind
@every_dtype
@pytest.mark.parametrize("n_samples", [5, 16, 37], ids="batch of {}".format)
def test_the_first_of_several_largest_values_has_the_gradient(padding, pools, kind, dtype, n_samples):
    """Their windows differ, so the choice matters, and so does the treatment of values at the relu's kink."""
    network = make_stack(2, pools, padding, kind, activation="relu")
    problem = whole_numbers(network, random_problem(network, n_samples, dtype))
    assert n_ties(network, problem) > n_samples // 2
    _, gradient, _ = harness.batch_gradient(network, **problem, loss="log_loss")
    _, expected, _ = harness.expected_batch_gradient(network, **problem, loss="log_loss")
    assert_same_parts(network, gradient, expected.astype(dtype))


@every_stack
@every_dtype
@pytest.mark.parametrize("n_samples", [3, 20, 50], ids="batch of {}".format)
def test_the_gradient_does_not_depend_on_what_the_workspace_held(network, dtype, n_samples):
    """Padding is written as zeros, and maxima never involve values that were not written."""
    problem = random_problem(network, n_samples, dtype, weighted=True)
    options = {"loss": "log_loss", "moves": random_moves(network, n_samples)}
    expected = harness.batch_gradient(network, **problem, **options)
    for fill in (-1e30, 1e30):
        for one, other in zip(harness.batch_gradient(network, **problem, **options, fill=fill), expected, strict=True):
            np.testing.assert_array_equal(one, other)


@every_x_dtype
@every_dtype
@pytest.mark.parametrize("n_samples", [3, 16, 40], ids="batch of {}".format)
@pytest.mark.parametrize("n_threads", [1, 2])
@plain_or_standardize
def test_shifted_rows_of_any_type(x_dtype, dtype, n_samples, n_threads, standardize):
    """The bits are those of images shifted beforehand, with rows in any order, some of them twice."""
    network = Network((6, 9, 2), (3, 2), ((3, 3), (2, 2)), 2, ((2, 2), (1, 1)), standardize=standardize, rescale=0.01)
    problem = random_problem(network, 50, dtype, weighted=True)
    rng = np.random.default_rng(1)
    problem["X"] = rng.integers(256, size=problem["X"].shape).astype(x_dtype)
    rows, moves = rng.integers(50, size=n_samples), random_moves(network, n_samples)
    options = {"loss": "log_loss", "n_threads": n_threads}
    actual = harness.batch_gradient(network, **problem, **options, rows=rows, moves=moves)
    expected = harness.batch_gradient(network, **shifted(network, some_rows(problem, rows), moves), **options)
    for one, other in zip(actual, expected, strict=True):
        np.testing.assert_array_equal(one, other)


@every_dtype
@pytest.mark.parametrize("n_filters", [(1, 2), (3, 4), (5, 1), (7, 6), (2, 11)], ids=str)
@pytest.mark.parametrize("height", [1, 2, 3])
def test_images_by_themselves_of_any_width(n_filters, dtype, height):
    """A single image is one run, forward and backward, of every length up to two complete tiles."""
    for width, padding in product(range(3, 36), ["valid", "same"]):
        kernels = (min(height, 2), 3), (1, 1 + width % 3 if width > 5 else 1)
        # Compared relative to the whole gradient, with several outputs, because sums may nearly cancel in float32.
        network = Network((height, width, 1), n_filters, kernels, 3, None, padding, "tanh")
        problem = random_problem(network, 1, dtype)
        _, gradient, _ = harness.batch_gradient(network, **problem, loss="log_loss")
        _, expected, _ = harness.expected_batch_gradient(network, **problem, loss="log_loss")
        assert_close(gradient, expected.astype(dtype), factor=10)


def test_as_many_layers_as_there_may_be():
    network = Network((5, 4, 1), (2,) * MAX_LAYERS, ((2, 3),) * MAX_LAYERS, 2, None, "same", "tanh")
    problem = random_problem(network, 19)
    value, gradient, _ = harness.batch_gradient(network, **problem, loss="log_loss")
    expected, d_expected, _ = harness.expected_batch_gradient(network, **problem, loss="log_loss")
    np.testing.assert_allclose(value, expected)
    assert_same_parts(network, gradient, d_expected, factor=100)
