"""Shared by all tests: small images, and fits that are quick."""

import os
import warnings

# Lets scikit-learn's check of array API input run instead of being skipped; read when SciPy is first imported.
os.environ.setdefault("SCIPY_ARRAY_API", "1")

import numpy as np
import pytest
from sklearn.datasets import load_digits
from sklearn.exceptions import ConvergenceWarning

from skcnn import ConvSigmoidClassifier


@pytest.fixture(scope="session")
def digits():
    """300 digits, pixels between 0 and 1, read-only as nothing should write to its input."""
    X, y = load_digits(return_X_y=True)
    X = X[:300] / 16
    X.flags.writeable = False
    return X, y[:300]


@pytest.fixture
def quick():
    """Makes classifiers that train for a few epochs and need not converge."""

    def make(**parameters):
        defaults = {"n_filters": 3, "kernel_size": 3, "max_iter": 5, "random_state": 0, "learning_rate_init": 0.01}
        return ConvSigmoidClassifier(**(defaults | parameters))

    return make


@pytest.fixture(autouse=True)
def _unconverged_is_fine(request):
    """Fits of a few epochs do not converge; a test of the warning asks for it with its marker."""
    if "convergence" in request.keywords:
        yield
        return
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        yield


@pytest.fixture
def fitted(quick, digits):
    X, y = digits
    return quick().fit(X, y)


@pytest.fixture
def rng():
    return np.random.RandomState(0)
