"""The solvers' steps."""

import numpy as np
import pytest

from skcnn.kernels import compiled as _kernels
from tests.helpers.arrays import random_arrays
from tests.helpers.harness import assert_close, read_only, solver_of_kernels
from tests.helpers.marks import every_dtype, every_solver
from tests.helpers.reference import STEPS


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
        _kernels.solver_step(read_only(gradient), solver_of_kernels(solver), step, moments, parameters)
        expected, expected_moments = step_function(expected, gradient.astype(float), expected_moments, step, solver)
        assert_close(parameters, expected)
        assert_close(moments, expected_moments)


@every_dtype
@pytest.mark.parametrize("rate", [0.0, 0.3, 1.0])
def test_average(dtype, rate, new_output):
    """At a rate of 1, nothing of the old average remains, not even NaN."""
    parameters, before = random_arrays(dtype, 37, 37)
    averages = new_output(dtype, 37, fill=np.nan if rate == 1 else 0)
    if rate < 1:
        averages[:] = before
    _kernels.average(read_only(parameters), rate, averages)
    assert_close(averages, (1 - rate) * before.astype(float) + rate * parameters.astype(float))
