"""Time series that aeon brings, and those who classify them: series are (n_series, n_channels, n_samples)."""

import warnings

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin

# The names of the sets, and what aeon calls their loaders; a version may lack some.
LOADERS = {
    "ItalyPowerDemand": "load_italy_power_demand",
    "ArrowHead": "load_arrow_head",
    "GunPoint": "load_gunpoint",
    "OSULeaf": "load_osuleaf",
    "ACSF1": "load_acsf1",
    "BasicMotions": "load_basic_motions",
}


def load_series(name, split):
    """X and y of a split, "TRAIN" or "TEST", or None."""
    import aeon.datasets

    if not hasattr(aeon.datasets, LOADERS[name]):
        return None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # that it will not have some of them for ever
        return getattr(aeon.datasets, LOADERS[name])(split=split)


def as_images(X):
    """What ConvSigmoidClassifier takes: images of one row, with as many channels; float32 is the faster type."""
    return X.transpose(0, 2, 1)[:, np.newaxis].astype(np.float32)


class OfSeries(ClassifierMixin, BaseEstimator):
    """A ConvSigmoidClassifier of series.

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
