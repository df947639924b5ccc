"""Series of mini-batches: parameters and sums after some epochs against plain NumPy."""

import numpy as np
import pytest

from skcnn.network import Network
from tests.helpers import harness
from tests.helpers.harness import SMALL, SOLVER, assert_close, random_moves, random_problem, some_rows
from tests.helpers.marks import every_dtype, every_loss, every_solver
from tests.helpers.stacks import ROUNDING, every_stack, shifted, smooth_problem

NETWORKS = {
    "plain": {},
    "standardize": {"standardize": True},
    "no intercept, 2 channels": {"fit_intercept": False, "image_shape": (6, 5, 2)},
    "large pixels": {"input_scale": 4.0},
}


def random_orders(n_samples, n_epochs):
    return [np.random.default_rng(epoch).permutation(n_samples) for epoch in range(n_epochs)]


@every_solver
@every_loss
@pytest.mark.parametrize("changes", NETWORKS.values(), ids=NETWORKS)
@every_dtype
def test_one_layer(solver, changes, loss, dtype):
    n_samples, batch_size = 43, 12
    network = Network(**SMALL | changes)
    problem = random_problem(network, n_samples, dtype, weighted=True)
    orders = random_orders(n_samples, 4)
    # The second batch of the first epoch has no weight. The last batch of every epoch is incomplete.
    problem["sample_weight"][orders[0][batch_size : 2 * batch_size]] = 0
    options = {"orders": orders, "batch_size": batch_size, "solver": solver, "loss": loss, "alpha": 0.2}
    parameters, *sums, n_steps = harness.train_batches(network, **problem, **options)
    expected, *expected_sums, expected_n_steps = harness.expected_train_batches(network, **problem, **options)
    # Adam divides by the root of squared gradients, so errors grow for small gradients.
    assert_close(parameters, expected, factor=100)
    assert_close(np.asarray(sums, dtype), expected_sums)
    # More than ten steps, after which running averages start to forget.
    assert n_steps == expected_n_steps == 4 * 4 - 1


def test_a_batch_of_zero_weight_changes_nothing():
    network = Network(**SMALL, standardize=True)
    problem = random_problem(network, 5)
    problem["sample_weight"][:] = 0
    options = {"orders": [np.arange(5)], "batch_size": 5, "solver": SOLVER, "loss": "log_loss", "alpha": 1.0}
    parameters, *sums = harness.train_batches(network, **problem, **options)
    assert sums == [0, 0, 0]
    np.testing.assert_array_equal(parameters[: network.n_parameters], problem["parameters"])


def test_a_batch_with_weight_on_one_row_leaves_the_statistics():
    """A single row has no deviation; the parameters take their step."""
    network = Network(**SMALL, standardize=True)
    problem = random_problem(network, 5)
    problem["sample_weight"][1:] = 0
    options = {"orders": [np.arange(5)], "batch_size": 5, "solver": SOLVER, "loss": "log_loss", "alpha": 1.0}
    parameters, *_, n_steps = harness.train_batches(network, **problem, **options)
    first, last = network.n_trainable, network.n_parameters
    np.testing.assert_array_equal(parameters[first:last], problem["parameters"][first:])
    assert n_steps == 1
    assert (parameters[:first] != problem["parameters"][:first]).any()


@every_dtype
def test_learning_rates_beyond_the_largest_of_a_parameter(dtype):
    """Those that were asked for are taken."""
    network = Network(**SMALL)
    problem = random_problem(network, 12, dtype)
    options = {"orders": random_orders(12, 2), "batch_size": 6, "loss": "log_loss", "alpha": 0.2}
    options["solver"] = SOLVER | {"kind": "adam", "learning_rate": 0.5}
    parameters = harness.train_batches(network, **problem, **options)[0]
    assert_close(parameters, harness.expected_train_batches(network, **problem, **options)[0], factor=100)


@every_stack
@pytest.mark.parametrize("kind", ["adam", "sgd"])
@every_dtype
def test_stacks(network, kind, dtype):
    """Batches of 20 are a group in lanes and four single images, the last batch three; one workspace serves all."""
    n_samples = 43
    problem = smooth_problem(network, n_samples, dtype, step=ROUNDING, weighted=True)
    options = {"orders": random_orders(n_samples, 2), "batch_size": 20, "loss": "log_loss", "alpha": 0.2}
    # With small steps, no value is on different sides of a kink in float32 and float64.
    options["solver"] = SOLVER | {"kind": kind, "learning_rate": 1e-3, "epsilon": 1e-4}
    parameters, *sums = harness.train_batches(network, **problem, **options)[:3]
    expected, *expected_sums = harness.expected_train_batches(network, **problem, **options)[:3]
    start = np.append(problem["parameters"], problem["parameters"][: network.n_trainable])
    assert_close(parameters - start.astype(dtype), expected - start, factor=1000)
    assert_close(np.asarray(sums, dtype), expected_sums)


@every_stack
@pytest.mark.parametrize("batch_size", [1, 7, 16, 20, 32, 43], ids="batches of {}".format)
@every_dtype
def test_shifts(network, batch_size, dtype):
    """Each epoch has its own shifts, in the order of its samples; the bits are those of images shifted beforehand."""
    n_samples, solver = 43, SOLVER | {"learning_rate": 0.01}
    problem = random_problem(network, n_samples, dtype)
    orders = random_orders(n_samples, 2)
    moves = [random_moves(network, n_samples, epoch) for epoch in range(2)]
    options = {"batch_size": batch_size, "solver": solver, "loss": "log_loss"}
    parameters, *sums = harness.train_batches(network, **problem, **options, orders=orders, moves=moves)
    # The images of both epochs in their orders, concatenated.
    parts = [shifted(network, some_rows(problem, order), own) for order, own in zip(orders, moves, strict=True)]
    whole = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    whole["parameters"] = problem["parameters"]
    orders = [np.arange(n_samples), np.arange(n_samples) + n_samples]
    expected, *expected_sums = harness.train_batches(network, **whole, **options, orders=orders)
    np.testing.assert_array_equal(parameters, expected)
    assert sums == expected_sums
