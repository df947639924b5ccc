"""Means and variances of filters over a training set, against plain NumPy."""

import numpy as np
import pytest

from skcnn.kernels import measure_norms
from skcnn.network import Network
from tests.helpers import harness, reference
from tests.helpers.harness import assert_close, random_problem, read_only
from tests.helpers.marks import every_dtype, every_shape, every_x_dtype
from tests.helpers.threads import NUMBERS, assert_same_bits

STACK = Network(
    (6, 5, 2), (3, 7, 2), ((3, 2), (2, 2), (3, 2)), 2, ((2, 2), (1, 1), (1, 2)), "same", "relu", batch_norm=True
)


def measure(network, number, parameters, X, sample_weight, rows=None, n_threads=1):
    """Sum of the weights, and norms (n_filters, 2) of a stage."""
    rows = np.arange(len(X)) if rows is None else rows
    norms = np.full((network.n_filters[number], 2), np.nan)
    arrays = map(read_only, (X, sample_weight, rows, parameters))
    return measure_norms(network.compiled, number, *arrays, n_threads, norms), norms


def expected_norms(network, number, parameters, X, sample_weight):
    """The expected values, with the stages before folded."""
    views = network.views(parameters.astype(float))
    folded = reference.fold(views)
    maps, weights = harness.images_of(network, X), sample_weight.astype(float)
    for below, stage in enumerate(network.stages[:number]):
        layer = reference.layer_parameters(folded, below)
        maps, _ = reference.layer_forward(maps, layer, network.activation, network.padding, stage.pool_size)
    layer, how = {"filters": views[f"filters_{number}"]}, (network.activation, network.padding)
    _, (_, convolved, _) = reference.layer_forward(maps, layer, *how, network.stages[number].pool_size)
    return weights.sum(), np.transpose(reference.filter_statistics(convolved, weights))


@every_dtype
@every_x_dtype
@pytest.mark.parametrize("number", [0, 1, 2])
@pytest.mark.parametrize("n_samples", [1, 5, 16, 17, 40, 300], ids="{} rows".format)
def test_norms(n_samples, number, x_dtype, dtype):
    problem = random_problem(STACK, n_samples, dtype, weighted=True)
    problem["X"] = np.random.default_rng(1).integers(256, size=problem["X"].shape).astype(x_dtype)
    del problem["targets"]
    weight, norms = measure(STACK, number, **problem)
    expected_weight, expected = expected_norms(STACK, number, **problem)
    assert weight == pytest.approx(expected_weight)
    assert_close(norms.astype(dtype), expected)


@every_shape
@every_dtype
def test_every_shape(image_shape, kernel_size, dtype):
    network = Network(image_shape, (5,), (kernel_size,), 2, batch_norm=True)
    problem = random_problem(network, 20, dtype)
    del problem["targets"]
    for actual, expected in zip(measure(network, 0, **problem), expected_norms(network, 0, **problem), strict=True):
        assert_close(np.asarray(actual, dtype), expected)


@every_dtype
def test_variances_of_values_far_from_zero(dtype):
    """A mean a thousand times as large as the deviation costs only three digits."""
    network = Network((1, 400, 1), (3,), ((1, 3),), 1, batch_norm=True)
    problem = random_problem(network, 40, dtype)
    problem["X"] += 1000
    del problem["targets"]
    _, norms = measure(network, 0, **problem)
    _, expected = expected_norms(network, 0, **problem)
    np.testing.assert_allclose(norms, expected, rtol=1e-3 if dtype == "float32" else 1e-9)


@every_dtype
def test_constant_images_have_no_variance(dtype):
    """Variances are 0 up to the last digits, in which the sums of different tiles may differ."""
    network = Network((3, 9, 1), (4,), ((3, 3),), 1, batch_norm=True)
    problem = random_problem(network, 24, dtype)
    problem["X"][:] = 0.1
    del problem["targets"]
    assert (measure(network, 0, **problem)[1][:, 1] < 1e-12).all()


def test_without_any_weight():
    problem = random_problem(STACK, 40)
    problem["sample_weight"][:] = 0
    del problem["targets"]
    weight, norms = measure(STACK, 1, **problem)
    assert weight == 0
    assert not norms.any()


@every_dtype
def test_rows(dtype):
    """Rows may be in any order, some of them twice."""
    problem = random_problem(STACK, 40, dtype, weighted=True)
    del problem["targets"]
    rows = np.random.default_rng(0).integers(40, size=55)
    some = {name: array if name == "parameters" else array[rows] for name, array in problem.items()}
    assert_same_bits(measure(STACK, 1, **problem, rows=rows)[1], measure(STACK, 1, **some)[1])


@every_dtype
@pytest.mark.parametrize("n_samples", [1, 17, 65, 330, 1100], ids="{} rows".format)
def test_any_number_of_threads(n_samples, dtype):
    problem = random_problem(STACK, n_samples, dtype, weighted=True)
    del problem["targets"]
    weight, norms = measure(STACK, 1, **problem)
    for n_threads in NUMBERS:
        other_weight, other = measure(STACK, 1, **problem, n_threads=n_threads)
        assert other_weight == weight
        assert_same_bits(other, norms)


def problem_arrays(problem):
    return problem["X"], problem["sample_weight"], np.arange(len(problem["X"])), problem["parameters"]


def test_what_cannot_be_measured():
    problem = random_problem(STACK, 5)
    del problem["targets"]
    with pytest.raises(ValueError, match="There is nothing to measure"):
        measure(STACK, 1, **problem, rows=np.arange(0))
    plain = problem | {"parameters": STACK.fold(problem["parameters"])}
    with pytest.raises(ValueError, match="There is nothing to measure"):
        measure(STACK.folded, 1, **plain)
    for number in (-1, 3):
        with pytest.raises(ValueError, match="There is nothing to measure"):
            measure_norms(STACK.compiled, number, *problem_arrays(problem), 1, np.empty((7, 2)))


def test_a_network_that_normalises_does_not_predict_by_itself():
    problem = random_problem(STACK, 5)
    outputs = np.empty((5, 2)), None
    with pytest.raises(ValueError, match="its folded network does"):
        harness.kernels.forward(STACK.compiled, problem["X"], None, problem["parameters"], outputs, 1)


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("X", lambda X: X[:, :-1].copy()),
        ("X", lambda X: X.astype(int)),
        ("sample_weight", lambda weights: weights[:-1].copy()),
        ("sample_weight", lambda weights: weights.astype("float32")),
        ("parameters", lambda parameters: parameters[:-1].copy()),
        ("rows", lambda rows: rows + 1),
        ("rows", lambda rows: rows - 1),
        ("norms", lambda norms: norms[:-1].copy()),
        ("norms", lambda norms: norms.astype("float32")),
        ("norms", read_only),
    ],
)
def test_arrays_that_do_not_fit(name, change):
    problem = random_problem(STACK, 5)
    del problem["targets"]
    arrays = problem | {"rows": np.arange(5), "norms": np.empty((7, 2))}
    arrays[name] = change(arrays[name])
    order = (arrays[one] for one in ("X", "sample_weight", "rows", "parameters"))
    with pytest.raises((ValueError, TypeError)):
        measure_norms(STACK.compiled, 1, *order, 1, arrays["norms"])
