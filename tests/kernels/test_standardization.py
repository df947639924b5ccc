"""The standardisation of the logits over a batch, and its gradient."""

import numpy as np
import pytest

from skcnn.kernels import LANES
from skcnn.kernels import compiled as _kernels
from tests.helpers import reference
from tests.helpers.arrays import doubles, random_arrays
from tests.helpers.differences import assert_same_gradient, differences
from tests.helpers.harness import assert_close, read_only
from tests.helpers.marks import equal_or_weighted, every_dtype, every_n_outputs


def to_groups(array):
    """An array (n_groups * LANES, n_outputs) as (n_groups, n_outputs, LANES)."""
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
    # Lanes beyond the batch are idle, with weights and gradients of 0.
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


@equal_or_weighted
def test_gradient_by_differences(weighted):
    n_groups, n_outputs = 2, 3
    logits, projection = random_arrays(float, *2 * [(n_groups, n_outputs, LANES)])
    weights = np.random.default_rng(1).uniform(size=(n_groups, LANES)) if weighted else np.ones((n_groups, LANES))
    # Lanes of zero weight do not change the statistics, but are standardised with them.
    weights[1, 5:] = 0

    def standardize(logits):
        standardized, means, variances = logits.copy(), np.empty(n_outputs), np.empty(n_outputs)
        _kernels.standardize_forward(weights, standardized, means, variances)
        return standardized, variances

    standardized, variances = standardize(logits)
    d_logits = projection.copy()
    _kernels.standardize_backward(standardized, weights, variances, d_logits)
    assert_same_gradient(d_logits, *differences(lambda logits: (projection * standardize(logits)[0]).sum(), logits))
