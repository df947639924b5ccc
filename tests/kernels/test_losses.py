"""The losses of logits and their gradients."""

import numpy as np
import pytest
from scipy.special import expit

from skcnn.kernels import LANES, LOSSES
from skcnn.kernels import compiled as _kernels
from tests.helpers import reference
from tests.helpers.arrays import doubles, from_lanes, random_arrays, to_lanes
from tests.helpers.differences import assert_same_gradient, differences
from tests.helpers.harness import assert_close, read_only
from tests.helpers.marks import every_dtype, every_loss, every_n_outputs


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
    # The batch has twice the weight of this group.
    total_weight = 2 * float(weights.sum(dtype=float))
    fixed = to_lanes(logits), to_lanes(targets), read_only(weights), LOSSES[loss], total_weight
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
    value = _kernels.loss_and_gradient(logits, targets, weights[0], LOSSES[loss], float(LANES), d_logits)
    p = expit(logit)
    if loss == "log_loss":
        expected, d_expected = np.logaddexp(0, logit) - target * logit, p - target
    else:
        expected, d_expected = (p - target) ** 2 / 2, (p - target) * p * (1 - p)
    np.testing.assert_allclose(value, expected, rtol=1e-6, atol=1e-30)
    np.testing.assert_allclose(d_logits, np.full((1, LANES), d_expected / LANES), rtol=1e-6, atol=1e-30)


@every_loss
def test_gradient_by_differences(loss):
    logits, targets = random_arrays(float, (3, LANES), (3, LANES))
    weights = np.arange(LANES, dtype=float)
    options = LOSSES[loss], 2 * weights.sum()
    d_logits, scratch = np.empty_like(logits), np.empty_like(logits)
    _kernels.loss_and_gradient(logits, targets, weights, *options, d_logits)
    expected = differences(
        lambda logits: _kernels.loss_and_gradient(logits, targets, weights, *options, scratch), logits
    )
    assert_same_gradient(d_logits, *expected)
