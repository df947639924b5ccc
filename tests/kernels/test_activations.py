"""The activations: accuracy, NaN and infinities, and gradients."""

import numpy as np
import pytest
from scipy.special import expit

from skcnn.kernels import ACTIVATIONS, LANES
from skcnn.kernels import compiled as _kernels
from tests.helpers import reference
from tests.helpers.differences import assert_same_gradient, differences
from tests.helpers.harness import assert_close, read_only
from tests.helpers.marks import every_activation, every_dtype

# The kernel clamps the exponent to these, so that two such reciprocals can be multiplied; the tanh's is twice x.
LIMITS = {"float32": 43, "float64": 354}


def activated(activation, x):
    values = x.copy()
    _kernels.activate(ACTIVATIONS[activation], values)
    return values


# ---- forward ----


@every_dtype
@pytest.mark.parametrize("order", ["sorted", "shuffled"])
@pytest.mark.parametrize("activation", ["sigmoid", "tanh"])
def test_accurate_to_four_units_in_the_last_place(activation, dtype, order):
    """The sigmoid's error is relative to each value, that of tanh, 2 * sigmoid - 1, in units of the largest values."""
    limit = LIMITS[dtype]
    x = np.concatenate([np.linspace(-end, end, 100_001) for end in (1, 20, limit)]).astype(dtype)
    if order == "shuffled":  # pairs of values share a division; this makes other pairs
        np.random.default_rng(0).shuffle(x)
    exact = x.astype(np.longdouble)
    expected = expit(exact) if activation == "sigmoid" else np.tanh(exact)
    unit = np.spacing(expected.astype(dtype)) if activation == "sigmoid" else np.finfo(dtype).eps
    errors = np.abs(activated(activation, x) - expected) / unit
    worst = errors.argmax()
    assert errors[worst] < 4, f"{float(errors[worst]):.1f} units in the last place at x = {x[worst]}"


@every_dtype
@every_activation
@pytest.mark.parametrize("n_positions", [1, 2, 3, 8, 33])
def test_lanes_do_not_depend_on_each_other(activation, dtype, n_positions):
    """Values that share a division are of one image of a group."""
    rng = np.random.default_rng(0)
    x, others = rng.normal(size=(2, n_positions, LANES)).astype(dtype)
    expected = activated(activation, x.ravel()).reshape(x.shape)
    for lane in range(LANES):
        others[:, lane], kept = x[:, lane], others[:, lane].copy()
        actual = activated(activation, others.ravel()).reshape(x.shape)
        np.testing.assert_array_equal(actual[:, lane], expected[:, lane])
        others[:, lane] = kept


@every_dtype
def test_relu_is_exact(dtype):
    x = np.random.default_rng(0).normal(size=1001).astype(dtype)
    x[:4] = [0, np.finfo(dtype).tiny, -np.finfo(dtype).tiny, -np.finfo(dtype).max]
    np.testing.assert_array_equal(activated("relu", x), np.maximum(x, 0))


@every_dtype
@every_activation
@pytest.mark.parametrize("n_values", [1, 2, 3, 64])
def test_extremes(activation, dtype, n_values):
    least = {"sigmoid": expit(-float(LIMITS[dtype])), "tanh": -1, "relu": 0}[activation]
    middle = 0.5 if activation == "sigmoid" else 0
    expected = {np.nan: np.nan, 0: middle, -1000: least, -1e30: least, -np.inf: least}
    expected |= {np.inf: np.inf, 1e30: 1e30} if activation == "relu" else {np.inf: 1, 1e30: 1}
    for x, value in expected.items():
        values = activated(activation, np.full(n_values, x, dtype))
        np.testing.assert_allclose(values, np.full(n_values, value), rtol=4 * np.finfo(dtype).eps)


@every_dtype
@every_activation
@pytest.mark.parametrize("n_values", [1, 2, 3, 16, 33])
def test_any_length(activation, dtype, n_values):
    """Forward and backward, any number of values is processed, and none beyond them."""
    forward, backward = reference.ACTIVATIONS[activation]
    x, d_x = np.random.default_rng(0).normal(size=(2, n_values)).astype(dtype)
    whole, d_whole = np.full((2, n_values + 16), np.nan, dtype)
    whole[:n_values], d_whole[:n_values] = x, d_x
    _kernels.activate(ACTIVATIONS[activation], whole[:n_values])
    assert_close(whole[:n_values], forward(x.astype(float)))
    _kernels.activate_backward(ACTIVATIONS[activation], read_only(whole[:n_values]), d_whole[:n_values])
    assert_close(d_whole[:n_values], backward(whole[:n_values].astype(float), d_x.astype(float)))
    assert np.isnan(whole[n_values:]).all()
    assert np.isnan(d_whole[n_values:]).all()


@every_dtype
@every_activation
def test_does_not_fall(activation, dtype):
    """Activations rise with their arguments, up to rounding, as max-pooling before the activation requires."""
    x = np.sort(np.random.default_rng(0).normal(scale=5, size=10_000)).astype(dtype)
    assert np.diff(activated(activation, x)).min() >= -4 * np.finfo(dtype).eps


# ---- backward ----


@every_activation
def test_gradient(activation):
    """Compared with differences; no argument is so close to 0 that a step crosses the relu's kink."""
    x, projection = 3 * np.random.default_rng(0).normal(size=(2, 40))
    assert np.abs(x).min() > 1e-3
    values, d_x = activated(activation, x), projection.copy()
    _kernels.activate_backward(ACTIVATIONS[activation], values, d_x)
    assert_same_gradient(d_x, *differences(lambda x: (projection * activated(activation, x)).sum(), x))


@every_dtype
def test_gradient_of_relu_at_its_kink(dtype):
    """The gradient is 0 at 0 and below; infinite and very small values are not special."""
    tiny = np.finfo(dtype).tiny
    values, d_x = np.array([0, tiny, 1, np.inf, -0.0], dtype), np.full(5, 2, dtype)
    _kernels.activate_backward(ACTIVATIONS["relu"], values, d_x)
    np.testing.assert_array_equal(d_x, [0, 2, 2, 2, 0])


@every_dtype
@pytest.mark.parametrize("activation", ["sigmoid", "tanh"])
def test_gradient_of_saturated_values(activation, dtype):
    x = np.array([-np.inf, -1e4, 1e4, np.inf], dtype)
    d_x = np.ones(4, dtype)
    _kernels.activate_backward(ACTIVATIONS[activation], activated(activation, x), d_x)
    np.testing.assert_allclose(d_x, 0, atol=1e-15)
