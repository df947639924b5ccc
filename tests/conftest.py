"""Shared by all tests: small images, and fits that are quick."""

import os

# Lets scikit-learn's check of array API input run instead of being skipped; read when SciPy is first imported.
os.environ.setdefault("SCIPY_ARRAY_API", "1")
# Figures need no screen.
os.environ.setdefault("MPLBACKEND", "agg")

import numpy as np
import pytest
from sklearn.datasets import load_digits

from skcnn import ConvSigmoidClassifier
from tests.helpers.marks import few_steps


@pytest.fixture(scope="session")
def digits():
    """300 digits, pixels between 0 and 1, read-only as nothing should write to its input."""
    X, y = load_digits(return_X_y=True)
    X = X[:300] / 16
    X.flags.writeable = False
    return X, y[:300]


@pytest.fixture
def quick():
    """Makes classifiers that train for a few epochs, `max_iter` of them, and then count as converged.

    A `tol` that no epoch can beat makes every epoch after the first one without improvement; patience runs out with
    the last of them. With fewer than three epochs there is a ConvergenceWarning.
    """

    def make(max_iter=5, **parameters):
        stop = {"tol": 1e9, "n_iter_no_change": max(1, max_iter - 2) if isinstance(max_iter, int) else 1}
        defaults = {"n_filters": 3, "kernel_size": 3, "pool_size": 1, "random_state": 0, "learning_rate_init": 0.01}
        return ConvSigmoidClassifier(**(defaults | stop | {"max_iter": max_iter} | parameters))

    return make


@pytest.fixture
def fitted(quick, digits):
    X, y = digits
    return quick().fit(X, y)


@pytest.fixture
def rng():
    return np.random.RandomState(0)


def pytest_collection_modifyitems(items):
    """Fits of a few steps, of which `quick` makes classifiers, say that they learnt nothing where they did not."""
    for item in items:
        if "quick" in getattr(item, "fixturenames", ()):
            item.add_marker(few_steps)
