"""Fits observed by a test, and fits that end before they converge."""

import pytest
from sklearn.exceptions import ConvergenceWarning

from skcnn.fitting import fit
from skcnn.training import Observer


class Watcher(Observer):
    """Calls a function with the state after each epoch; its result says whether to stop."""

    def __init__(self, end):
        self.end = end


def fit_watched(clf, X, y, end, **data):
    fit(clf, X, y, **data, observer=Watcher(end))
    return clf


def fit_unconverged(clf, X, y, *args, **data):
    """Fit and check for the warning that the fit has not converged."""
    with pytest.warns(ConvergenceWarning, match="Maximum iterations"):
        return clf.fit(X, y, *args, **data)
