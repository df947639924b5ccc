"""Predictions for dask collections: lazy arrays, and the score."""

import asyncio
from math import prod

import dask
import dask.array as da
import numpy as np

from skcnn.dask._chunks import as_array, is_lazy, note_columns, read_chunks
from skcnn.dask._cluster import Cluster, is_asynchronous, open_client
from skcnn.images import check_given_shape


class LazyPredictions:
    """Mixin for predictions that are lazy for dask collections, before a local class, which is for arrays.

    It is not one of scikit-learn's transformers, so that `set_output` leaves dask arrays as they are.
    """

    def decision_function(self, X):
        """As in the local class. For a dask collection, a dask array, of which nothing has been computed.

        Parameters
        ----------
        X : dask array, dask data frame, xarray.DataArray or array-like
            Images as in `fit`.

        Returns
        -------
        scores : dask.array.Array or ndarray of shape (n_samples,), (n_samples, n_classes) or (n_samples, n_labels)
            Logits; for two classes, of `classes_[1]`.
        """
        if not is_lazy(X):
            return super().decision_function(X)
        n_outputs = self.n_outputs_
        return self._lazily("decision_function", X, () if n_outputs == 1 else (n_outputs,))

    def predict(self, X):
        """As in the local class. For a dask collection, a dask array, of which nothing has been computed.

        Parameters
        ----------
        X : dask array, dask data frame, xarray.DataArray or array-like
            Images as in `fit`.

        Returns
        -------
        y : dask.array.Array or ndarray of shape (n_samples,) or (n_samples, n_labels)
            Labels from `classes_`, or a column of 0 and 1 for each label.
        """
        if not is_lazy(X):
            return super().predict(X)
        labels = self._fitted_model().labels
        if labels.multilabel:
            return self._lazily("predict", X, (len(labels.classes),), int)
        return self._lazily("predict", X, (), labels.classes.dtype)

    def predict_log_proba(self, X):
        """As in the local class. For a dask collection, a dask array, of which nothing has been computed.

        Parameters
        ----------
        X : dask array, dask data frame, xarray.DataArray or array-like
            Images as in `fit`.

        Returns
        -------
        log_p : dask.array.Array or ndarray of shape (n_samples, n_classes) or (n_samples, n_labels)
            Logarithms of `predict_proba`.
        """
        if not is_lazy(X):
            return super().predict_log_proba(X)
        return self._lazily("predict_log_proba", X, (len(self.classes_),))

    def predict_proba(self, X):
        """As in the local class. For a dask collection, a dask array, of which nothing has been computed.

        Parameters
        ----------
        X : dask array, dask data frame, xarray.DataArray or array-like
            Images as in `fit`.

        Returns
        -------
        p : dask.array.Array or ndarray of shape (n_samples, n_classes) or (n_samples, n_labels)
            Columns in the order of `classes_`.
        """
        if not is_lazy(X):
            return super().predict_proba(X)
        return self._lazily("predict_proba", X, (len(self.classes_),))

    def transform(self, X):
        """As in the local class. For a dask collection, a dask array, of which nothing has been computed.

        Parameters
        ----------
        X : dask array, dask data frame, xarray.DataArray or array-like
            Images as in `fit`.

        Returns
        -------
        hidden : dask.array.Array or ndarray of shape (n_samples, n_hidden)
            Hidden activations. `set_output` is for arrays alone.
        """
        if not is_lazy(X):
            return super().transform(X)
        return self._lazily("transform", X, (self._network.n_hidden,))

    def _lazily(self, method, X, tail, dtype=None):
        return predict_lazily(self.to_local(), method, X, tail, dtype or self._parameters.dtype)

    def score(self, X, y, sample_weight=None):
        """Accuracy, computed by the workers for dask collections.

        Parameters
        ----------
        X, y, sample_weight : as in `fit`
            Images, their labels and weights.

        Returns
        -------
        score : float
            Weighted share of the samples that are predicted right, of all labels of multilabel targets; with an
            asynchronous client, an awaitable of it.
        """
        if not any(map(is_lazy, (X, y, sample_weight))):
            return super().score(X, y, sample_weight)
        self._fitted_model()
        if is_asynchronous(self.client):
            return asyncio.to_thread(self._score, X, y, sample_weight)
        return self._score(X, y, sample_weight)

    def _score(self, X, y, sample_weight):
        with open_client(self.client) as client:
            return score(self.to_local(), client, X, y, sample_weight)


def predict_lazily(estimator, method, X, tail, dtype):
    """A dask array of a method's values, computed chunk by chunk.

    Parameters
    ----------
    estimator : ConvSigmoidClassifier
        A fitted local one. It is one task of the graph, and other tasks receive its value.
    method : str
    X : dask collection
    tail : tuple of int
        Shape of a sample's values.
    dtype : numpy dtype
    """
    array = as_array(X, "X")
    check_columns(estimator, X, array)
    axes = range(1, array.ndim)
    return da.map_blocks(
        apply,
        array,
        model=as_task(estimator),
        method=method,
        tail=tail,
        values_dtype=dtype,
        dtype=dtype,
        chunks=(array.chunks[0], *((side,) for side in tail)),
        drop_axis=list(axes),
        new_axis=list(range(1, 1 + len(tail))) or None,
        meta=np.empty((0,) * (1 + len(tail)), dtype),
    )


def check_columns(estimator, X, array):
    """Check number and names of columns, or the shape of images, before anything is computed."""
    if array.ndim > 2:
        check_given_shape(array.shape[1:], estimator.image_shape_)
    note_columns(estimator, X, prod(array.shape[1:]), reset=False)


def as_task(estimator):
    """The estimator as a task of its own in a graph, of which other tasks receive the value."""
    return dask.delayed(without_names(estimator), pure=True, traverse=False)


def without_names(estimator):
    """A copy of the estimator without names of columns, which blocks do not have."""
    copy = object.__new__(type(estimator))
    vars(copy).update({name: value for name, value in vars(estimator).copy().items() if name != "feature_names_in_"})
    return copy


def score(estimator, client, X, y, sample_weight):
    """Weighted accuracy of a fitted local estimator on dask collections."""
    check_columns(estimator, X, as_array(X, "X"))
    with Cluster(client) as cluster:
        chunks = read_chunks(without_names(estimator), X, y, sample_weight, reset=True)

        def score_chunks():
            futures = cluster.map_blocks("score", score_chunk, *chunks.arrays, model=as_task(estimator))
            return cluster.results_of_chunks(futures, "X")

        results = cluster.attempt(score_chunks)
    total = sum(weight for weight, _ in results)
    if total == 0:
        raise ValueError("X has no samples of positive weight to score.")
    return float(sum(correct for _, correct in results) / total)


# ---- tasks ----


def apply(block, model, method, tail, values_dtype):
    """A method's values for a block, which may be empty."""
    if len(block) == 0:
        return np.empty((0, *tail), values_dtype)
    return getattr(model, method)(block)


def score_chunk(number, X, y, weights, model):
    """Summed weight of a chunk's samples, and of those that are predicted right."""
    if len(X) == 0:
        return 0.0, 0.0
    try:
        total = float(len(X) if weights is None else np.sum(weights))
        return total, total * float(model.score(X, np.asarray(y), weights)) if total else 0.0
    except (TypeError, ValueError) as error:
        raise ValueError(f"Chunk {number} of X: {error}") from error
