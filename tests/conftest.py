"""Fixtures of all tests: small images and quick fits."""

import os
import signal

# Enables scikit-learn's check of array API input; SciPy reads it at its first import.
os.environ.setdefault("SCIPY_ARRAY_API", "1")
# Figures need no display.
os.environ.setdefault("MPLBACKEND", "agg")

import numpy as np
import pytest
from sklearn.datasets import load_digits

from skcnn import ConvSigmoidClassifier, training
from tests.helpers.marks import few_steps


@pytest.fixture(scope="session")
def digits():
    """300 digits with pixels between 0 and 1, read-only because nothing should write to its input."""
    X, y = load_digits(return_X_y=True)
    X = X[:300] / 16
    X.flags.writeable = False
    return X, y[:300]


@pytest.fixture
def quick():
    """Makes classifiers that train for `max_iter` epochs, a few by default, and then count as converged.

    No epoch can improve by `tol`, so patience runs out with the last epoch. With fewer than three epochs there is a
    ConvergenceWarning.
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


@pytest.fixture(autouse=True, scope="session")
def _interrupts():
    """Ctrl-C works in tests that run in the background of a shell as well, which ignores it there."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(autouse=True)
def _first_interrupt(monkeypatch):
    """An interrupt in one test is no second one after that in another."""
    monkeypatch.setattr(training._interrupt, "seconds", -np.inf)


def pytest_collection_modifyitems(items):
    """Ignore the warning that little was learnt in tests with `quick`, whose fits take few steps."""
    for item in items:
        if "quick" in getattr(item, "fixturenames", ()):
            item.add_marker(few_steps)
