"""Every compiled kernel, prediction and runs of mini-batches against plain NumPy, over many shapes.

Arrays of the kernels end in the lane axis. Inputs are read-only, as memory-mapped ones are; outputs begin larger arrays
of NaN, and must be filled to their last value and not a value further.
"""

from functools import partial

import numpy as np
import pytest
from scipy.special import expit

from skcnn.kernels import LANES, batch_gradient, forward, train_batches
from skcnn.kernels import compiled as _kernels
from skcnn.layers import Layer
from skcnn.network import Network, aligned_empty
from tests.helpers import reference
from tests.helpers.reference import LOSSES, SMALL, SOLVER, STEPS, assert_close, random_problem, read_only

DTYPES = ("float32", "float64")
X_DTYPES = ("uint8", *DTYPES)

# Name: image_shape (height, width, n_channels), kernel_size.
SHAPES = {
    "square": ((7, 7, 1), (3, 3)),
    "wide, 2 channels": ((4, 9, 2), (2, 3)),
    "tall, 3 channels": ((9, 4, 3), (3, 2)),
    "signal": ((1, 20, 1), (1, 5)),
    "signal, 3 channels": ((1, 13, 3), (1, 4)),
    "upright signal": ((9, 1, 2), (3, 1)),
    "kernel as large as the image": ((4, 5, 2), (4, 5)),
    "kernel 1x1": ((3, 4, 3), (1, 1)),
    "out_width 1": ((6, 4, 1), (3, 4)),
    "out_width 2": ((5, 5, 1), (2, 4)),
    "out_width 5": ((5, 9, 1), (5, 5)),
    "digit": ((28, 28, 1), (5, 5)),
    "one pixel": ((1, 1, 1), (1, 1)),
}
every_shape = pytest.mark.parametrize(("image_shape", "kernel_size"), SHAPES.values(), ids=SHAPES)
every_dtype = pytest.mark.parametrize("dtype", DTYPES)
every_n_outputs = pytest.mark.parametrize("n_outputs", [1, 3, 5, 6, 10, 11], ids="{} outputs".format)
every_loss = pytest.mark.parametrize("loss", LOSSES)
every_way = pytest.mark.parametrize("standardize", [False, True], ids=["plain", "standardize"])

call_batch_gradient = partial(reference.call_batch_gradient, batch_gradient)
call_train_batches = partial(reference.call_train_batches, train_batches)


def random_arrays(dtype, *shapes):
    rng = np.random.default_rng(0)
    return [read_only(rng.normal(size=shape).astype(dtype)) for shape in shapes]


def doubles(*arrays):
    return [array.astype(float) for array in arrays]


def to_lanes(array):
    """The first axis, samples, becomes the last."""
    return read_only(np.ascontiguousarray(np.moveaxis(array, 0, -1)))


def from_lanes(array):
    return np.moveaxis(array, -1, 0)


@pytest.fixture
def new_output():
    """Make an array for a kernel to fill; in the end, the NaN behind each of them must still be there."""
    margins = []

    def new(dtype, *shape, fill=np.nan):
        size = int(np.prod(shape))
        whole = aligned_empty(size + 4 * LANES, dtype)
        whole[:size], whole[size:] = fill, np.nan
        margins.append(whole[size:])
        return whole[:size].reshape(shape)

    yield new
    assert np.isnan(np.concatenate(margins)).all()


# ---- lanes ----


@every_shape
@pytest.mark.parametrize("x_dtype", X_DTYPES)
@every_dtype
@pytest.mark.parametrize("n_rows", [1, 15, 16])
def test_gather(image_shape, kernel_size, x_dtype, dtype, n_rows, new_output):
    rng = np.random.default_rng(0)
    n_samples, rescale = 20, 1 / 255
    images = rng.uniform(0, 256, size=(n_samples, *image_shape)).astype(x_dtype)
    rows = rng.integers(n_samples, size=n_rows)
    rows[-1] = rows[0]
    height, width, n_channels = image_shape
    row, start = width + 2, width + 3  # with zeros around
    x = new_output(dtype, n_channels, height + 2, row, LANES)
    x[:] = 0
    _kernels.gather(read_only(images.reshape(n_samples, -1)), read_only(rows), rescale, height, width, start, x)
    expected = np.zeros((LANES, n_channels, height + 2, row), dtype)
    expected[:n_rows, :, 1:-1, 1:-1] = np.moveaxis(images[rows], -1, 1).astype(dtype) * np.dtype(dtype).type(rescale)
    np.testing.assert_array_equal(from_lanes(x), expected)


# ---- convolution ----


@every_shape
@pytest.mark.parametrize("n_filters", [1, 2, 3, 5], ids="{} filters".format)
@every_dtype
def test_convolution(image_shape, kernel_size, n_filters, dtype, new_output):
    layer = Layer(image_shape, n_filters, kernel_size, (1, 1), "valid")
    images, filters, intercepts, d_out = random_arrays(
        dtype,
        (LANES, *image_shape),
        (n_filters, image_shape[2], *kernel_size),
        n_filters,
        (LANES, n_filters, *layer.conv_shape),
    )
    x, taps, flat = to_lanes(np.moveaxis(images, -1, 1)), read_only(layer.taps * LANES), (n_filters, layer.n_taps)
    out = new_output(dtype, n_filters, *layer.conv_shape, LANES)
    # The gradients accumulate: what was there stays in the sum.
    d_filters, d_intercepts = new_output(dtype, *flat, fill=0.5), new_output(dtype, n_filters, fill=-0.5)
    _kernels.convolution_forward(x, filters.reshape(flat), intercepts, taps, out)
    sums = new_output(dtype, _kernels.sums_size(n_filters, layer.n_taps, dtype))
    _kernels.convolution_backward(x, to_lanes(d_out), taps, sums, d_filters, d_intercepts)
    assert_close(from_lanes(out), reference.correlate(*doubles(images, filters, intercepts)))
    expected = reference.correlate_backward(*doubles(images, d_out, filters))
    assert_close(d_filters, 0.5 + expected[0].reshape(flat))
    assert_close(d_intercepts, -0.5 + expected[1])


# ---- dense ----


@pytest.mark.parametrize("n_hidden", [1, 3, 4, 5, 30], ids="{} hidden".format)
@every_n_outputs
@every_dtype
def test_dense(n_hidden, n_outputs, dtype, new_output):
    hidden, weights, intercepts, d_logits = random_arrays(
        dtype, (LANES, n_hidden), (n_outputs, n_hidden), n_outputs, (LANES, n_outputs)
    )
    logits, d_hidden = new_output(dtype, n_outputs, LANES), new_output(dtype, n_hidden, LANES)
    # The parameters' gradients accumulate.
    d_weights, d_intercepts = new_output(dtype, n_outputs, n_hidden, fill=0.5), new_output(dtype, n_outputs, fill=-0.5)
    _kernels.dense_forward(to_lanes(hidden), weights, intercepts, logits)
    _kernels.dense_backward(to_lanes(hidden), weights, to_lanes(d_logits), d_weights, d_intercepts, d_hidden)
    assert_close(from_lanes(logits), reference.dense(*doubles(hidden, weights, intercepts)))
    expected = reference.dense_backward(*doubles(hidden, weights, d_logits))
    assert_close(d_weights, 0.5 + expected[0])
    assert_close(d_intercepts, -0.5 + expected[1])
    assert_close(from_lanes(d_hidden), expected[2])


# ---- standardisation ----


def to_groups(array):
    """(n_groups * LANES, n_outputs) to (n_groups, n_outputs, LANES)."""
    return np.ascontiguousarray(array.reshape(-1, LANES, array.shape[1]).swapaxes(1, 2))


def from_groups(array):
    return array.swapaxes(1, 2).reshape(-1, array.shape[1])


@pytest.mark.parametrize("n_samples", [3, 15, 16, 17, 33], ids="batch of {}".format)
@every_n_outputs
@every_dtype
def test_standardize(n_samples, n_outputs, dtype, new_output):
    n_groups = -(-n_samples // LANES)
    logits, d_logits = random_arrays(dtype, *2 * [(n_groups * LANES, n_outputs)])
    weights = np.random.default_rng(1).uniform(0.5, 2, size=n_groups * LANES).astype(dtype)
    logits = 3 * logits + 2
    # Lanes past the batch are idle: they weigh 0, and nothing asks for their gradient.
    d_logits = d_logits * (np.arange(len(weights)) < n_samples)[:, np.newaxis]
    weights[n_samples:] = 0
    grouped_weights = read_only(weights.reshape(n_groups, LANES))
    standardized, d_out = (new_output(dtype, n_groups, n_outputs, LANES) for _ in range(2))
    means, variances = (new_output(dtype, n_outputs) for _ in range(2))
    standardized[:], d_out[:] = to_groups(logits), to_groups(d_logits)
    _kernels.standardize_forward(grouped_weights, standardized, means, variances)
    _kernels.standardize_backward(read_only(standardized), grouped_weights, read_only(variances), d_out)
    batch = doubles(logits[:n_samples], weights[:n_samples])
    expected = reference.standardize(*batch)
    for actual, wanted in zip((from_groups(standardized)[:n_samples], means, variances), expected, strict=True):
        assert_close(actual, wanted)
    d_expected = reference.standardize_backward(*batch, d_logits[:n_samples].astype(float))
    assert_close(from_groups(d_out)[:n_samples], d_expected)
    assert not from_groups(d_out)[n_samples:].any()


@every_dtype
def test_equal_logits_standardize_to_zero(dtype):
    logits, d_logits = np.full((1, 1, LANES), 2, dtype), np.ones((1, 1, LANES), dtype)
    weights, (means, variances) = np.ones((1, LANES), dtype), np.ones((2, 1), dtype)
    _kernels.standardize_forward(weights, logits, means, variances)
    np.testing.assert_array_equal(logits, 0)
    np.testing.assert_array_equal([means, variances], [[2], [0]])
    _kernels.standardize_backward(logits, weights, variances, d_logits)
    np.testing.assert_array_equal(d_logits, 0)


# ---- losses ----


@every_loss
@every_n_outputs
@every_dtype
@pytest.mark.parametrize("scale", [1, 10])
def test_loss_and_gradient(loss, n_outputs, dtype, scale, new_output):
    rng = np.random.default_rng(0)
    logits = (scale * rng.normal(size=(LANES, n_outputs))).astype(dtype)
    targets = rng.integers(2, size=(LANES, n_outputs)).astype(dtype)
    weights = (rng.uniform(size=LANES) * (np.arange(LANES) < 13)).astype(dtype)
    d_logits = new_output(dtype, n_outputs, LANES)
    # The batch weighs twice what this group does.
    total_weight = 2 * float(weights.sum(dtype=float))
    fixed = to_lanes(logits), to_lanes(targets), read_only(weights), LOSSES.index(loss), total_weight
    value = _kernels.loss_and_gradient(*fixed, d_logits)
    expected, d_expected = reference.output_loss(*doubles(logits, targets, weights), loss)
    assert_close(np.asarray(value, dtype), expected / 2)
    assert_close(from_lanes(d_logits), d_expected / 2)


@every_loss
@every_dtype
@pytest.mark.parametrize("logit", [-1e30, -1000, -100, 0, 100, 1000, 1e30])
@pytest.mark.parametrize("target", [0, 0.5, 1])
def test_loss_of_extreme_logits(loss, dtype, logit, target):
    logits, targets, weights = (np.full((1, LANES), value, dtype) for value in (logit, target, 1))
    d_logits = np.full((1, LANES), np.nan, dtype)
    value = _kernels.loss_and_gradient(logits, targets, weights[0], LOSSES.index(loss), float(LANES), d_logits)
    p = expit(logit)
    if loss == "log_loss":
        expected, d_expected = np.logaddexp(0, logit) - target * logit, p - target
    else:
        expected, d_expected = (p - target) ** 2 / 2, (p - target) * p * (1 - p)
    np.testing.assert_allclose(value, expected, rtol=1e-6, atol=1e-30)
    np.testing.assert_allclose(d_logits, np.full((1, LANES), d_expected / LANES), rtol=1e-6, atol=1e-30)


# ---- solvers ----

ADAM, SGD = 0, 1
SOLVERS = {
    "adam": {"kind": ADAM},
    "adam, other settings": {"kind": ADAM, "beta_1": 0.5, "beta_2": 0.9, "epsilon": 1e-3},
    "sgd": {"kind": SGD, "nesterovs_momentum": False},
    "sgd, no momentum": {"kind": SGD, "momentum": 0.0},
    "sgd, nesterov": {"kind": SGD, "momentum": 0.7},
}
every_solver = pytest.mark.parametrize("solver", [SOLVER | changes for changes in SOLVERS.values()], ids=SOLVERS)


@every_solver
@every_dtype
@pytest.mark.parametrize("n_parameters", [1, 17])
def test_solver_steps(solver, dtype, n_parameters, new_output):
    step_function, n_moments = STEPS[solver["kind"]]
    start, *gradients = random_arrays(dtype, *8 * [n_parameters])
    parameters, moments = new_output(dtype, n_parameters), new_output(dtype, n_moments, n_parameters, fill=0)
    parameters[:] = start
    expected, expected_moments = start.astype(float), np.zeros((n_moments, n_parameters))
    for step, gradient in enumerate(gradients, start=1):
        _kernels.solver_step(gradient, solver, step, moments, parameters)
        expected, expected_moments = step_function(expected, gradient.astype(float), expected_moments, step, solver)
        assert_close(parameters, expected)
        assert_close(moments, expected_moments)


# ---- prediction ----


def predict_logits(network, parameters, X):
    logits = np.full((len(X), network.n_outputs), np.nan, parameters.dtype)
    forward(read_only(X), None, network, read_only(parameters), 1, logits, None)
    return logits


@pytest.mark.parametrize("n_samples", [1, 8, 15, 16, 17, 33], ids="batch of {}".format)
@every_way
@pytest.mark.parametrize("x_dtype", X_DTYPES)
@every_dtype
def test_forward(n_samples, standardize, x_dtype, dtype):
    network = Network(**SMALL | {"image_shape": (6, 5, 2)}, rescale=0.5, standardize=standardize)
    problem = random_problem(network, n_samples, dtype)
    parameters, X = problem["parameters"], (3 * np.abs(problem["X"])).astype(x_dtype)
    logits = predict_logits(network, parameters, X)
    views = network.views(parameters.astype(float))
    images = X.reshape(-1, *network.image_shape) * 0.5
    hidden = reference.sigmoid(reference.correlate(images, views["filters_0"], views["filter_intercepts_0"]))
    expected = reference.dense(hidden.reshape(n_samples, -1), views["weights"], views["intercepts"])
    if standardize:
        expected = (expected - views["running_means"]) / np.sqrt(views["running_variances"] + 1e-12)
    assert_close(logits, expected)
    # Whatever its lane and its neighbours, a row has the same bits.
    order = np.random.default_rng(0).permutation(n_samples)
    np.testing.assert_array_equal(predict_logits(network, parameters, X[order]), logits[order])


@every_loss
@every_way
def test_training_and_prediction_share_one_forward_pass(loss, standardize):
    network = Network(**SMALL, standardize=standardize)
    problem = random_problem(network, 33, weighted=True)
    value, gradient = call_batch_gradient(network, **problem, loss=loss)
    if standardize:
        # Running averages that are the batch's own statistics.
        problem["parameters"][network.n_trainable :] = gradient[network.n_trainable :]
    logits = predict_logits(network, problem["parameters"], problem["X"])
    expected, _ = reference.output_loss(logits, problem["targets"], problem["sample_weight"], loss)
    np.testing.assert_allclose(value, expected, rtol=1e-14)


@pytest.mark.parametrize("n_threads", [1, 2])
@pytest.mark.parametrize("x_dtype", X_DTYPES)
@every_dtype
def test_some_rows_in_several_runs(monkeypatch, n_threads, x_dtype, dtype):
    """By their numbers, with hidden activations: the same bits as of these rows by themselves, in one run."""
    network = Network(**SMALL | {"image_shape": (6, 5, 2)}, rescale=0.5)
    problem = random_problem(network, 150, dtype)
    X = np.abs(4 * problem["X"]).astype(x_dtype)
    rows = np.random.default_rng(0).permutation(150)[:117].astype(np.intp)
    expected = network.forward(X[rows], problem["parameters"], 1, with_hidden=True)
    monkeypatch.setattr("skcnn.network._RUN_WORK", 1)
    actual = network.forward(read_only(X), problem["parameters"], n_threads, rows=read_only(rows), with_hidden=True)
    for one, other in zip(actual, expected, strict=True):
        np.testing.assert_array_equal(one, other)


# ---- whole networks of every shape; up to eight images of a last group go one by one, more of them as lanes ----


@every_shape
@pytest.mark.parametrize("n_filters", [1, 3, 5, 8], ids="{} filters".format)
@pytest.mark.parametrize("n_outputs", [1, 6], ids="{} outputs".format)
@every_dtype
@pytest.mark.parametrize("n_samples", [3, 8, 9, 24], ids="batch of {}".format)
def test_batch_gradient_of_every_shape(image_shape, kernel_size, n_filters, n_outputs, dtype, n_samples):
    network = Network(image_shape, (n_filters,), (kernel_size,), n_outputs)
    problem = random_problem(network, n_samples, dtype, weighted=True)
    value, gradient = call_batch_gradient(network, **problem, loss="log_loss", alpha=0.3)
    expected, d_expected, _ = reference.network_gradient(network, **problem, loss="log_loss", alpha=0.3)
    assert_close(np.asarray(value, dtype), expected)
    assert_close(gradient[: network.n_trainable], d_expected)


# ---- runs of mini-batches ----

NETWORKS = {
    "plain": {},
    "standardize": {"standardize": True},
    "no intercept, 2 channels": {"fit_intercept": False, "image_shape": (6, 5, 2)},
}


@every_solver
@every_loss
@pytest.mark.parametrize("changes", NETWORKS.values(), ids=NETWORKS)
@every_dtype
def test_train_batches(solver, changes, loss, dtype):
    n_samples, batch_size = 43, 12
    network = Network(**SMALL | changes)
    problem = random_problem(network, n_samples, dtype, weighted=True)
    orders = [np.random.default_rng(epoch).permutation(n_samples) for epoch in range(4)]
    # The first epoch's second batch weighs nothing. Every epoch's last batch is incomplete.
    problem["sample_weight"][orders[0][batch_size : 2 * batch_size]] = 0
    options = {"orders": orders, "batch_size": batch_size, "solver": solver, "loss": loss, "alpha": 0.2}
    parameters, *sums, n_steps = call_train_batches(network, **problem, **options)
    expected, *expected_sums, expected_n_steps = reference.train(network, **problem, **options)
    # Adam divides by the root of squared gradients: where these are small, errors grow.
    assert_close(parameters, expected, factor=100)
    assert_close(np.asarray(sums, dtype), expected_sums)
    # Past ten of them, so that the running averages come to forget.
    assert n_steps == expected_n_steps == 4 * 4 - 1


def test_a_batch_of_zero_weight_changes_nothing():
    network = Network(**SMALL, standardize=True)
    problem = random_problem(network, 5)
    problem["sample_weight"][:] = 0
    options = {"orders": [np.arange(5)], "batch_size": 5, "solver": SOLVER, "loss": "log_loss", "alpha": 1.0}
    parameters, *sums = call_train_batches(network, **problem, **options)
    assert sums == [0, 0, 0]
    np.testing.assert_array_equal(parameters, problem["parameters"])
