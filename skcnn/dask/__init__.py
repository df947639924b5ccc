"""Training and prediction on a Dask cluster."""

from skcnn.dask._classifier import DaskConvSigmoidClassifier
from skcnn.dask._shuffle import shuffle

__all__ = ["DaskConvSigmoidClassifier", "shuffle"]
