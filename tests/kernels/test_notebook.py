"""The notebook that skcnn began with: its network and data, the kernels' results for them, and its seven mistakes.

Three 5x5 filters on the first 200 MNIST images, sigmoid, one dense unit, standardisation over the batch, sigmoid,
squared error; weights drawn from U(0, 1), no intercepts, label 1 for digits over 4.
"""

import numpy as np
import pytest

from skcnn import ConvSigmoidClassifier
from skcnn.datasets import load_mnist_sample
from skcnn.kernels import LANES
from skcnn.kernels import compiled as _kernels
from skcnn.network import Network
from tests.helpers import harness, reference
from tests.helpers.differences import split_gradient
from tests.helpers.harness import assert_close
from tests.helpers.marks import every_dtype
from tests.helpers.reference import im2col, sigmoid, sigmoid_backward, standardize

NETWORK = Network((28, 28, 1), (3,), ((5, 5),), 1, rescale=1 / 255, fit_intercept=False, standardize=True)


@pytest.fixture(scope="module")
def digits():
    sample = load_mnist_sample()
    return sample.data[: sample.n_train], sample.target[: sample.n_train]


@pytest.fixture(scope="module")
def problem(digits):
    X, y = digits
    return {
        "parameters": NETWORK.initial_parameters("uniform", np.random.RandomState(0), np.float64),
        "X": X,
        "targets": (y > 4).astype(float)[:, np.newaxis],
        "sample_weight": np.ones(len(X)),
    }


@pytest.fixture(scope="module")
def forward(problem):
    """The notebook's arrays by name, from the forward pass."""
    views = NETWORK.views(problem["parameters"])
    patches = im2col(problem["X"].reshape(-1, 28, 28) / 255, 5, 5)
    activations = sigmoid(np.einsum("npuv,fuv->nfp", patches, views["filters_0"][:, 0]))
    hidden = activations.reshape(len(patches), -1)
    logits = hidden @ views["weights"].T
    standardized, _, variances = standardize(logits, problem["sample_weight"])
    return {
        "patches": patches,
        "activations": activations,
        "hidden": hidden,
        "logits": logits,
        "standardized": standardized,
        "std": np.sqrt(variances + 1e-12),
    }


@pytest.fixture(scope="module")
def errors(problem, forward):
    """Gradients from the backward pass: of standardised logits, of logits, and of the convolution."""
    p = sigmoid(forward["standardized"])
    d_standardized = sigmoid_backward(p, p - problem["targets"]) / len(p)
    d_logits = reference.standardize_backward(forward["logits"], problem["sample_weight"], d_standardized)
    d_hidden = d_logits @ NETWORK.views(problem["parameters"])["weights"]
    activations = forward["activations"]
    return {
        "d_standardized": d_standardized,
        "d_logits": d_logits,
        "d_correlated": sigmoid_backward(activations, d_hidden.reshape(activations.shape)),
    }


@pytest.fixture(scope="module")
def gradient(problem):
    """The kernels' gradient by parameter names."""
    return split_gradient(NETWORK, harness.batch_gradient(NETWORK, **problem, loss="squared_error")[1])


def relative_difference(a, b):
    return np.linalg.norm(a - b) / np.linalg.norm(b)


# ---- the system ----


def test_images(digits, problem):
    _, y = digits
    counts = dict(zip(*np.unique(y, return_counts=True), strict=True))
    order = (1, 9, 7, 4, 3, 0, 2, 6, 8, 5)
    assert [counts[digit] for digit in order] == [26, 23, 21, 21, 21, 21, 20, 19, 15, 13]
    assert problem["targets"].sum() == 91
    assert (problem["targets"] == 0).sum() == 109


def test_shapes(forward):
    shapes = {name: array.shape for name, array in forward.items()}
    assert shapes["patches"] == (200, 576, 5, 5)
    assert shapes["activations"] == (200, 3, 576)
    assert shapes["hidden"] == (200, 1728)
    assert shapes["logits"] == shapes["standardized"] == (200, 1)


def test_patches_and_correlation_are_the_same_forward_pass(problem, forward):
    images = problem["X"].reshape(-1, *NETWORK.image_shape) / 255
    correlated = reference.correlate(images, NETWORK.views(problem["parameters"])["filters_0"], np.zeros(3))
    assert_close(sigmoid(correlated).reshape(200, 3, 576), forward["activations"])


@every_dtype
def test_loss_and_gradient(problem, dtype):
    problem = {name: array if name == "X" else array.astype(dtype) for name, array in problem.items()}
    value, gradient, _ = harness.batch_gradient(NETWORK, **problem, loss="squared_error")
    expected, d_expected, _ = harness.expected_batch_gradient(NETWORK, **problem, loss="squared_error")
    # Standardising logits in the hundreds to the order of 1 loses two digits.
    assert_close(np.asarray(value, dtype), expected, factor=100)
    assert_close(gradient, d_expected, factor=100)


def test_gradient_of_the_filters_by_patches(forward, errors, gradient):
    by_patches = np.einsum("nfp,npuv->fuv", errors["d_correlated"].reshape(200, 3, 576), forward["patches"])
    assert_close(gradient["filters_0"][:, 0], by_patches, factor=100)


# ---- its mistakes ----


def test_both_layers_learn(problem, gradient):
    """The notebook did not update the dense weights, although a step of them alone lowers the loss."""
    before = harness.batch_gradient(NETWORK, **problem, loss="squared_error")[0]
    stepped = problem["parameters"].copy()
    NETWORK.views(stepped)["weights"][:] -= gradient["weights"]
    assert harness.batch_gradient(NETWORK, **problem | {"parameters": stepped}, loss="squared_error")[0] < before


def test_standardization_has_a_derivative(forward, errors):
    """Without it, the gradient keeps two directions in which the standardised logits cannot move."""
    # 200 images are 12 groups and a half.
    full = np.zeros((2, 13 * LANES))
    full[:, :200] = forward["standardized"][:, 0], errors["d_standardized"][:, 0]
    standardized, d_logits = np.ascontiguousarray(full.reshape(2, 13, 1, LANES))
    weights = (np.arange(13 * LANES) < 200).astype(float).reshape(13, LANES)
    _kernels.standardize_backward(standardized, weights, forward["std"] ** 2 - 1e-12, d_logits)
    kept = d_logits.ravel()[:200]
    dropped = (errors["d_standardized"] / forward["std"])[:, 0]
    zhat = forward["standardized"][:, 0]
    assert_close(kept, errors["d_logits"][:, 0])
    for direction in (np.ones(200), zhat):
        assert abs(kept @ direction) < 1e-12 * np.abs(kept).sum()
        assert abs(dropped @ direction) > 0.01 * np.abs(dropped).sum()


def test_a_product_of_averages_is_not_the_average_of_products(forward, errors, gradient):
    own = errors["d_correlated"].reshape(200, 3, 576)
    averages = 200 * np.einsum("fp,puv->fuv", own.mean(axis=0), forward["patches"].mean(axis=0))
    assert relative_difference(averages, gradient["filters_0"][:, 0]) > 0.1


def test_resize_mixes_filters_and_positions(forward):
    one = forward["hidden"][0]
    for f in range(3):
        feature_map = forward["activations"][0, f].reshape(24, 24)
        np.testing.assert_array_equal(one.reshape(3, 24, 24)[f], feature_map)
        assert relative_difference(np.resize(one, (24, 24, 3))[..., f], feature_map) > 0.01


def test_each_image_has_its_own_error(forward, errors, gradient):
    """The notebook multiplied the first image's patches by the sum of all errors."""
    summed = errors["d_correlated"].reshape(200, 3, 576).sum(axis=0)
    first = np.einsum("fp,puv->fuv", summed, forward["patches"][0])
    assert relative_difference(first, gradient["filters_0"][:, 0]) > 0.1


def test_each_tap_has_its_own_update(gradient):
    """The notebook collected one value after the loops, the same for every tap."""
    assert gradient["filters_0"].shape == (3, 1, 5, 5)
    assert len(np.unique(gradient["filters_0"])) == 75


def test_the_learning_rate_has_a_name():
    names = ConvSigmoidClassifier().get_params()
    assert "learning_rate_init" in names
    assert "lr" not in names
