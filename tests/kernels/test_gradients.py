"""Every gradient against central differences, in float64, and the gradient of the whole loss against plain NumPy too.

A backward pass may agree with a reference that makes the same mistake; it does not agree with differences of the
forward pass by accident. Nothing is skipped: differences are taken along every coordinate.
"""

from functools import partial

import numpy as np
import pytest
from numpy.linalg import norm

from skcnn.kernels import LANES, batch_gradient
from skcnn.kernels import compiled as _kernels
from skcnn.layers import Layer
from skcnn.network import Network
from tests.helpers import reference
from tests.helpers.differences import TOLERANCE, assert_same_gradient, differences, split_gradient
from tests.helpers.reference import LOSSES, SMALL, assert_close, network_gradient, random_problem

every_loss = pytest.mark.parametrize("loss", LOSSES)

call_batch_gradient = partial(reference.call_batch_gradient, batch_gradient)


# ---- kernels, by the gradient of sum(projection * output) ----


def random_arrays(*shapes):
    rng = np.random.default_rng(0)
    return [rng.normal(size=shape) for shape in shapes]


@pytest.mark.parametrize(
    ("image_shape", "kernel_size"),
    [((4, 3, 1), (2, 2)), ((3, 4, 2), (2, 3)), ((1, 7, 1), (1, 3)), ((3, 3, 1), (3, 3)), ((2, 3, 3), (1, 1))],
    ids=["grey", "channels", "signal", "kernel as large as the image", "kernel 1x1"],
)
@pytest.mark.parametrize("n_filters", [1, 2, 3], ids="{} filters".format)
def test_convolution(image_shape, kernel_size, n_filters):
    layer = Layer(image_shape, n_filters, kernel_size, (1, 1), "valid")
    height, width, n_channels = image_shape
    out_shape = (n_filters, *layer.conv_shape, LANES)
    x, filters, intercepts, projection = random_arrays(
        (n_channels, height, width, LANES), (n_filters, layer.n_taps), n_filters, out_shape
    )

    def project(filters, intercepts):
        out = np.empty(out_shape)
        _kernels.convolution_forward(x, filters, intercepts, layer.taps * LANES, out)
        return (projection * out).sum()

    d_filters, d_intercepts = np.zeros_like(filters), np.zeros_like(intercepts)
    sums = np.empty(_kernels.sums_size(len(d_filters), layer.n_taps, "float64"))
    _kernels.convolution_backward(x, projection, layer.taps * LANES, sums, d_filters, d_intercepts)
    expected = differences(project, filters, intercepts)
    assert_same_gradient(d_filters, expected[0])
    assert_same_gradient(d_intercepts, expected[1])


@pytest.mark.parametrize("n_outputs", [1, 3, 6], ids="{} outputs".format)
def test_dense(n_outputs):
    n_hidden = 7
    hidden, weights, intercepts, projection = random_arrays(
        (n_hidden, LANES), (n_outputs, n_hidden), n_outputs, (n_outputs, LANES)
    )

    def project(hidden, weights, intercepts):
        logits = np.empty((n_outputs, LANES))
        _kernels.dense_forward(hidden, weights, intercepts, logits)
        return (projection * logits).sum()

    d_hidden, d_weights, d_intercepts = np.empty_like(hidden), np.zeros_like(weights), np.zeros_like(intercepts)
    _kernels.dense_backward(hidden, weights, projection, d_weights, d_intercepts, d_hidden)
    for actual, expected in zip(
        (d_hidden, d_weights, d_intercepts), differences(project, hidden, weights, intercepts), strict=True
    ):
        assert_same_gradient(actual, expected)


@pytest.mark.parametrize("weighted", [False, True], ids=["equal weights", "weighted"])
def test_standardization(weighted):
    n_groups, n_outputs = 2, 3
    logits, projection = random_arrays(*2 * [(n_groups, n_outputs, LANES)])
    weights = np.random.default_rng(1).uniform(size=(n_groups, LANES)) if weighted else np.ones((n_groups, LANES))
    # A lane without weight does not move the statistics, and is standardised by them like any other.
    weights[1, 5:] = 0

    def standardize(logits):
        standardized, means, variances = logits.copy(), np.empty(n_outputs), np.empty(n_outputs)
        _kernels.standardize_forward(weights, standardized, means, variances)
        return standardized, variances

    standardized, variances = standardize(logits)
    d_logits = projection.copy()
    _kernels.standardize_backward(standardized, weights, variances, d_logits)
    assert_same_gradient(d_logits, *differences(lambda logits: (projection * standardize(logits)[0]).sum(), logits))


@every_loss
def test_output_loss(loss):
    logits, targets = random_arrays((3, LANES), (3, LANES))
    weights = np.arange(LANES, dtype=float)
    options = LOSSES.index(loss), 2 * weights.sum()
    d_logits, scratch = np.empty_like(logits), np.empty_like(logits)
    _kernels.loss_and_gradient(logits, targets, weights, *options, d_logits)
    expected = differences(
        lambda logits: _kernels.loss_and_gradient(logits, targets, weights, *options, scratch), logits
    )
    assert_same_gradient(d_logits, *expected)


# ---- the whole loss, by every parameter ----

# Name: changes to a small network.
NETWORKS = {
    "1 output": {"n_outputs": 1},
    "3 outputs": {},
    "channels": {"image_shape": (5, 4, 2)},
    "signal": {"image_shape": (1, 14, 1), "kernel_size": ((1, 4),)},
    "rescale": {"rescale": 0.25},
    "no intercept": {"fit_intercept": False},
}
every_network = pytest.mark.parametrize("changes", NETWORKS.values(), ids=NETWORKS)
every_standardize = pytest.mark.parametrize("standardize", [False, True], ids=["plain", "standardize"])
every_weighted = pytest.mark.parametrize("weighted", [False, True], ids=["equal weights", "weighted"])
every_alpha = pytest.mark.parametrize("alpha", [0, 0.1], ids="alpha={}".format)


@every_network
@every_standardize
@every_weighted
@every_alpha
@every_loss
def test_whole_loss(changes, standardize, weighted, alpha, loss):
    network = Network(**SMALL | changes, standardize=standardize)
    problem = random_problem(network, 19, weighted=weighted)
    parameters = problem.pop("parameters")
    trainable = parameters[: network.n_trainable]

    def evaluate():
        return call_batch_gradient(network, parameters, **problem, loss=loss, alpha=alpha)

    # `trainable` is a view: what the differences change there, they change in `parameters`.
    (expected,) = differences(lambda _: evaluate()[0], trainable)
    actual, expected = split_gradient(network, evaluate()[1]), split_gradient(network, expected)
    for name, part in actual.items():
        if "intercepts" in name and not network.fit_intercept:
            assert not part.any()
        else:
            # Standardised logits do not depend on their intercepts: that gradient is the rounding errors of 0.
            assert norm(part - expected[name]) <= TOLERANCE * norm(expected[name]) + 1e-10


@every_network
@every_standardize
@every_weighted
@every_alpha
@every_loss
@pytest.mark.parametrize("n_samples", [1, 5, 15, 16, 17, 33], ids="batch of {}".format)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_batch_gradient(changes, standardize, weighted, alpha, loss, n_samples, dtype):
    network = Network(**SMALL | changes, standardize=standardize)
    problem = random_problem(network, n_samples, dtype, weighted=weighted)
    value, gradient = call_batch_gradient(network, **problem, loss=loss, alpha=alpha)
    expected, d_expected, statistics = network_gradient(network, **problem, loss=loss, alpha=alpha)
    gradient, rest = np.split(gradient, [network.n_trainable])
    # The squared error of a good guess is a small difference's square.
    assert_close(np.asarray(value, dtype), expected, factor=10)
    assert_close(gradient, d_expected)
    if standardize:
        assert_close(rest, statistics)
    else:
        assert np.isnan(rest).all()


@pytest.mark.parametrize("n_samples", [3, 40])
@pytest.mark.parametrize("n_threads", [1, 2])
def test_subnormal_numbers_count_as_zero_in_the_kernels_only(n_samples, n_threads):
    """They make a saturated network a hundred times slower; to the caller they are what they were."""
    network = Network(**SMALL)
    problem = random_problem(network, n_samples, "float32")
    network.views(problem["parameters"])["intercepts"][:] = -86.0
    problem["targets"][:] = 0
    _, gradient = call_batch_gradient(network, **problem, loss="log_loss", n_threads=n_threads)
    magnitudes = np.abs(gradient[: network.n_trainable])
    assert not magnitudes[magnitudes < np.finfo(np.float32).tiny].any()
    assert np.float32(1e-40) * np.float32(0.5) > 0


@pytest.mark.parametrize("x_dtype", ["uint8", "float32", "float64"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@every_standardize
def test_batch_gradient_of_some_rows_of_any_type(x_dtype, dtype, standardize):
    network = Network(**SMALL | {"image_shape": (4, 5, 2)}, rescale=1 / 255, standardize=standardize)
    problem = random_problem(network, 40, dtype, weighted=True)
    problem["X"] = np.random.default_rng(1).integers(256, size=problem["X"].shape).astype(x_dtype)
    # In any order, some of them twice.
    rows = np.random.default_rng(2).integers(40, size=35)
    value, gradient = call_batch_gradient(network, **problem, loss="log_loss", rows=rows)
    chosen = {name: array if name == "parameters" else array[rows] for name, array in problem.items()}
    expected, d_expected, _ = network_gradient(network, **chosen, loss="log_loss")
    assert_close(np.asarray(value, dtype), expected)
    assert_close(gradient[: network.n_trainable], d_expected)
