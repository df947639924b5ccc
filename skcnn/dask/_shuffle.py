"""Shuffling of dask collections, for data that is sorted by label."""

import numpy as np
from sklearn.utils import check_random_state

from skcnn.dask._chunks import align, as_array


def shuffle(X, y, sample_weight=None, *, random_state=None):
    """Shuffle samples across all chunks, lazily.

    Training takes chunks in random order and a replica's samples too, but it does not move samples between replicas, or
    with `persist=False` between chunks. Data that is sorted by label has to be shuffled before. Every chunk of the
    result has samples of all chunks: persist it, or write it to disk if it is to be used with `persist=False`. The time
    grows with the square of the number of chunks, so some tens of large ones are best.

    Parameters
    ----------
    X : dask array or data frame, or xarray.DataArray of a dask array
        Rows or images as in `DaskConvSigmoidClassifier.fit`.
    y : dask array, series or data frame, or array-like
        Their labels.
    sample_weight : dask array or series, or array-like, default=None
        Their weights.
    random_state : int, RandomState instance or None, default=None
        Source of the order. An int makes it repeat.

    Returns
    -------
    X, y : dask.array.Array
        In the same new order and with the lengths of the chunks of X.
    sample_weight : dask.array.Array
        Likewise, if there were weights.

    Raises
    ------
    TypeError, ValueError
        If X or y is not such a collection, they do not match, or chunks are of unknown length; `compute_chunk_sizes`
        settles it for arrays.

    Examples
    --------
    >>> import dask.array as da
    >>> import numpy as np
    >>> from skcnn.dask import shuffle
    >>> y = da.from_array(np.repeat([0, 1], 100), chunks=50)
    >>> X = da.zeros((200, 64), chunks=(50, 64))
    >>> X, y = shuffle(X, y, random_state=0)
    >>> [int(chunk.sum().compute()) for chunk in y.blocks]
    [27, 26, 22, 25]
    """
    X = as_array(X, "X")
    arrays = [X, align(y, X, "y")]
    if sample_weight is not None:
        arrays.append(align(sample_weight, X, "sample_weight"))
    if np.isnan(X.shape[0]):
        raise ValueError(
            "shuffle needs chunks of known length: X.compute_chunk_sizes() or to_dask_array(lengths=True)."
        )
    order = check_random_state(random_state).permutation(X.shape[0])
    chunks = np.split(order, np.cumsum(X.chunks[0])[:-1])
    indexer = [chunk.tolist() for chunk in chunks if len(chunk)]
    return tuple(array.shuffle(indexer, axis=0).rechunk({0: X.chunks[0]}) for array in arrays)
