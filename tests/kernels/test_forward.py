"""Prediction: logits and hidden activations against plain NumPy, for any number of rows."""

import numpy as np
import pytest

from skcnn.network import Network
from tests.helpers import harness, reference
from tests.helpers.harness import SMALL, assert_close, random_problem, read_only
from tests.helpers.marks import every_dtype, every_loss, every_x_dtype, plain_or_standardize
from tests.helpers.stacks import every_stack


@pytest.mark.parametrize("n_samples", [1, 8, 15, 16, 17, 33], ids="batch of {}".format)
@plain_or_standardize
@every_x_dtype
@every_dtype
def test_one_layer(n_samples, standardize, x_dtype, dtype):
    network = Network(**SMALL | {"image_shape": (6, 5, 2)}, rescale=0.5, standardize=standardize)
    problem = random_problem(network, n_samples, dtype)
    parameters, X = problem["parameters"], (3 * np.abs(problem["X"])).astype(x_dtype)
    logits, _ = harness.forward(network, parameters, X)
    assert_close(logits, harness.expected_forward(network, parameters, X)[0])
    # A row has the same bits in any lane and beside any other rows.
    order = np.random.default_rng(0).permutation(n_samples)
    np.testing.assert_array_equal(harness.forward(network, parameters, X[order])[0], logits[order])


@every_stack
@every_dtype
def test_stacks(network, dtype):
    """Logits and hidden activations of 1 to 40 rows; with more than 8, they have the same bits for any number."""
    problem = random_problem(network, 40, dtype)
    parameters, X = problem["parameters"], problem["X"]
    expected_logits, expected_hidden = harness.expected_forward(network, parameters, X)
    together, _ = harness.forward(network, parameters, X)
    for n_rows in range(40, 0, -1):
        logits, hidden = harness.forward(network, parameters, X[:n_rows], with_hidden=True)
        if n_rows > 8:
            np.testing.assert_array_equal(logits, together[:n_rows])
        assert_close(hidden, expected_hidden[:n_rows], factor=10)
        assert_close(logits, expected_logits[:n_rows], factor=10)


@every_loss
@plain_or_standardize
def test_training_and_prediction_share_one_forward_pass(loss, standardize):
    network = Network(**SMALL, standardize=standardize)
    problem = random_problem(network, 33, weighted=True)
    value, _, statistics = harness.batch_gradient(network, **problem, loss=loss)
    if standardize:
        # The stored statistics are the batch's own.
        problem["parameters"][network.n_trainable :] = statistics
    logits, _ = harness.forward(network, problem["parameters"], problem["X"])
    expected, _ = reference.output_loss(logits, problem["targets"], problem["sample_weight"], loss)
    np.testing.assert_allclose(value, expected, rtol=1e-14)


@pytest.mark.parametrize("n_threads", [1, 2])
@every_x_dtype
@every_dtype
def test_some_rows_in_several_runs(monkeypatch, n_threads, x_dtype, dtype):
    """Rows selected by number, in several runs, give the same bits as the rows themselves in a single run."""
    network = Network(**SMALL | {"image_shape": (6, 5, 2)}, rescale=0.5)
    problem = random_problem(network, 150, dtype)
    X = np.abs(4 * problem["X"]).astype(x_dtype)
    rows = np.random.default_rng(0).permutation(150)[:117].astype(np.intp)
    expected = network.forward(X[rows], problem["parameters"], 1, with_hidden=True)
    monkeypatch.setattr("skcnn.network._RUN_WORK", 1)
    actual = network.forward(read_only(X), problem["parameters"], n_threads, rows=read_only(rows), with_hidden=True)
    for one, other in zip(actual, expected, strict=True):
        np.testing.assert_array_equal(one, other)
