"""Predictions for dask collections: lazy arrays, and the score."""

from math import prod

import dask
import dask.array as da
import numpy as np

from skcnn.dask._chunks import as_array, note_columns, read_chunks
from skcnn.dask._cluster import Cluster
from skcnn.images import check_given_shape


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
        model=dask.delayed(without_names(estimator), pure=True, traverse=False),
        method=method,
        tail=tail,
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


def without_names(estimator):
    """A copy of the estimator without names of columns, which blocks do not have."""
    copy = object.__new__(type(estimator))
    vars(copy).update({name: value for name, value in vars(estimator).items() if name != "feature_names_in_"})
    return copy


def score(estimator, client, X, y, sample_weight):
    """Weighted accuracy of a fitted local estimator on dask collections."""
    check_columns(estimator, X, as_array(X, "X"))
    estimator = without_names(estimator)
    with Cluster(client) as cluster:
        chunks = read_chunks(estimator, X, y, sample_weight, reset=False)
        model = cluster.submit("model", identity, estimator)
        numbers = list(range(len(chunks.X)))
        futures = cluster.compute(
            "score", score_chunk, numbers, chunks.X, chunks.y, chunks.weights, [model] * len(numbers)
        )
        results = cluster.results_of_chunks(futures, "X")
    total = sum(weight for weight, _ in results)
    if total == 0:
        raise ValueError("X has no samples of positive weight to score.")
    return float(sum(correct for _, correct in results) / total)


# ---- tasks ----


def identity(value):
    return value


def apply(block, model, method, tail, dtype=None):
    """A method's values for a block, which may be empty."""
    if len(block) == 0:
        return np.empty((0, *tail), dtype)
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
