"""The dense layer and its gradients."""

import numpy as np
import pytest

from skcnn.kernels import LANES
from skcnn.kernels import compiled as _kernels
from tests.helpers import reference
from tests.helpers.arrays import doubles, from_lanes, random_arrays, to_lanes
from tests.helpers.differences import assert_same_gradient, differences
from tests.helpers.harness import assert_close, read_only
from tests.helpers.marks import every_dtype, every_n_outputs


@pytest.mark.parametrize("n_hidden", [1, 3, 4, 5, 30], ids="{} hidden".format)
@every_n_outputs
@every_dtype
def test_dense(n_hidden, n_outputs, dtype, new_output):
    hidden, weights, intercepts, d_logits = map(
        read_only, random_arrays(dtype, (LANES, n_hidden), (n_outputs, n_hidden), n_outputs, (LANES, n_outputs))
    )
    logits, d_hidden = new_output(dtype, n_outputs, LANES), new_output(dtype, n_hidden, LANES)
    # Gradients of parameters accumulate.
    d_weights, d_intercepts = new_output(dtype, n_outputs, n_hidden, fill=0.5), new_output(dtype, n_outputs, fill=-0.5)
    _kernels.dense_forward(to_lanes(hidden), weights, intercepts, logits)
    _kernels.dense_backward(to_lanes(hidden), weights, to_lanes(d_logits), d_weights, d_intercepts, d_hidden)
    assert_close(from_lanes(logits), reference.dense(*doubles(hidden, weights, intercepts)))
    expected = reference.dense_backward(*doubles(hidden, weights, d_logits))
    assert_close(d_weights, 0.5 + expected[0])
    assert_close(d_intercepts, -0.5 + expected[1])
    assert_close(from_lanes(d_hidden), expected[2])


@pytest.mark.parametrize("n_outputs", [1, 3, 6], ids="{} outputs".format)
def test_gradients_by_differences(n_outputs):
    n_hidden = 7
    hidden, weights, intercepts, projection = random_arrays(
        float, (n_hidden, LANES), (n_outputs, n_hidden), n_outputs, (n_outputs, LANES)
    )

    def project(hidden, weights, intercepts):
        logits = np.empty((n_outputs, LANES))
        _kernels.dense_forward(hidden, weights, intercepts, logits)
        return (projection * logits).sum()

    d_hidden, d_weights, d_intercepts = np.empty_like(hidden), np.zeros_like(weights), np.zeros_like(intercepts)
    _kernels.dense_backward(hidden, weights, projection, d_weights, d_intercepts, d_hidden)
    expected = differences(project, hidden, weights, intercepts)
    for actual, wanted in zip((d_hidden, d_weights, d_intercepts), expected, strict=True):
        assert_same_gradient(actual, wanted)
