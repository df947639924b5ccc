"""Helpers for the tests of threads."""

import os
from functools import partial

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from threadpoolctl import threadpool_limits

from skcnn.kernels import max_threads

# Numbers of threads, some larger than the numbers of processors, groups or chunks.
NUMBERS = (2, 3, 4, 16)

limited = partial(threadpool_limits, user_api="openmp")
with limited(2):
    HAS_OPENMP = max_threads() == 2
# Where a build must have OpenMP, its tests fail without it.
needs_openmp = pytest.mark.skipif(
    not HAS_OPENMP and "SKCNN_EXPECT_OPENMP" not in os.environ, reason="skcnn was built without OpenMP"
)


def assert_same_bits(actual, expected):
    """Check for equal bits, which tells zeros of both signs and NaNs of different payloads apart."""
    actual, expected = np.asarray(actual), np.asarray(expected)
    assert (actual.dtype, actual.shape) == (expected.dtype, expected.shape)
    assert_array_equal(actual.view(f"u{actual.itemsize}"), expected.view(f"u{expected.itemsize}"))
