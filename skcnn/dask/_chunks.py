"""X, y and weights as chunks: what a user passes, checked and aligned, and the tasks that read it."""

import warnings
from dataclasses import dataclass
from math import isnan, prod
from typing import NamedTuple

import dask
import dask.array as da
import numpy as np
from dask.core import flatten, get_dependencies
from distributed.client import futures_of
from sklearn.utils.validation import validate_data

from skcnn.images import DTYPES, check_given_shape, read_images
from skcnn.targets import check_labels
from skcnn.validation import read_weights


class Samples(NamedTuple):
    """Images with labels and weights, checked but for what needs all of the data."""

    X: np.ndarray  # (n_samples, n_features), of one of skcnn.images.DTYPES
    y: np.ndarray
    weights: np.ndarray | None  # float64


@dataclass(frozen=True)
class Chunks:
    """Dask arrays with the same chunks along the first axis, and their only chunk along the others."""

    X: da.Array
    y: da.Array
    weights: da.Array | None
    dtype: np.dtype  # in which X is read
    given_shape: tuple | None  # of images that are no rows
    names: tuple = ("X", "y", "sample_weight")

    @property
    def arrays(self):
        return self.X, self.y, self.weights


def is_lazy(values):
    """Whether the values are a dask collection, perhaps within xarray."""
    return dask.is_dask_collection(_unwrap(values))


def read_chunks(probe, X, y, sample_weight=None, *, reset, names=("X", "y", "sample_weight")):
    """The chunks of dask collections.

    Parameters
    ----------
    probe : ConvSigmoidClassifier
        Receives, with `reset`, the number and names of the columns of X; otherwise they must match.
    X : dask array or data frame
    y, sample_weight : dask collection or array-like
        Collections with the chunks of X; arrays are split like X.
    reset : bool
    names : tuple of str
        Of the three in errors.

    Returns
    -------
    chunks : Chunks
    """
    X = _unwrap(X)
    if not is_lazy(X):
        lazy = names[1] if is_lazy(y) else names[2]
        raise TypeError(f"{lazy} is a dask collection and {names[0]} is not: pass both as dask collections.")
    array = as_array(X, names[0])
    try:
        note_columns(probe, X, prod(array.shape[1:]), reset=reset)
    except ValueError as error:
        if reset:
            raise
        raise ValueError(f"{names[0]} and {names[1]} do not go with X and y: {error}") from error
    return Chunks(
        X=array,
        y=align(y, array, names[1], names[0]),
        weights=None if sample_weight is None else align(sample_weight, array, names[2], names[0]),
        dtype=native if (native := array.dtype.newbyteorder("=")) in DTYPES else np.dtype(DTYPES[0]),
        given_shape=array.shape[1:] if array.ndim > 2 else None,
        names=names,
    )


def split_arrays(X, y, sample_weight, given_shape, n_chunks, *, mixed):
    """Chunks of arrays in memory, which `read_images` has checked; if `mixed`, each of samples drawn from all."""
    bounds = np.linspace(0, len(X), n_chunks + 1).astype(int)
    order = slice(None)
    if mixed:
        order = np.random.RandomState(0).permutation(len(X))
        for part in map(slice, bounds[:-1], bounds[1:]):
            order[part].sort()
    lengths = tuple(np.diff(bounds).tolist())

    def chunked(values):
        return da.from_array(values[order], chunks=(lengths, *values.shape[1:]), name=False)  # no hash

    weights = None if sample_weight is None else chunked(sample_weight)
    return Chunks(chunked(X), chunked(y), weights, X.dtype, given_shape)


def as_array(values, name):
    """A dask array of two to four axes, in chunks of whole samples."""
    array = _to_array(values)
    if not isinstance(array, da.Array):
        raise TypeError(f"{name} must be a dask array or data frame; got {type(array).__name__}.")
    if not 2 <= array.ndim <= 4:
        raise ValueError(f"{name} has {array.ndim} axes; it takes rows, 2 axes, or images, 3 or 4 with the channels.")
    if any(n_blocks > 1 for n_blocks in array.numblocks[1:]):
        whole = dict.fromkeys(range(1, array.ndim), -1)
        raise ValueError(
            f"{name} has chunks of parts of images: its blocks are {array.numblocks} along its axes, and only the "
            f"first may have several; {name}.rechunk({whole}) joins the others."
        )
    return array


def note_columns(probe, X, n_features, *, reset):
    """Number and names of the columns of X, set in the probe or compared with its own."""
    columns = X._meta if hasattr(X, "columns") else np.broadcast_to(0.0, (1, n_features))
    validate_data(probe, columns, reset=reset, skip_check_array=True)


def _unwrap(values):
    """The data of an xarray.DataArray, other values as they are."""
    return values.data if hasattr(values, "dims") and hasattr(values, "data") else values


def _to_array(values):
    """The values, with frames and series as dask arrays."""
    values = _unwrap(values)
    if not hasattr(values, "to_dask_array"):
        return values
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Dask currently has limited support for converting pandas extension dtypes")
        return values.to_dask_array()


def align(values, X, name, name_of_X="X"):
    """A dask array with the chunks of X along the first axis."""
    values = _to_array(values)
    known = not any(map(isnan, X.chunks[0]))
    if not isinstance(values, da.Array):
        values = np.asarray(values)
        if not known:
            raise ValueError(
                f"{name_of_X} has chunks of unknown length, so that {name} cannot be split like it: pass {name} as a "
                f"dask collection with the same chunks, or call {name_of_X}.compute_chunk_sizes() before."
            )
        if values.ndim == 0 or len(values) != len(X):
            raise ValueError(f"{name_of_X} has {len(X)} samples, and {name} is of shape {values.shape}.")
        return da.from_array(values, chunks=(X.chunks[0], *((side,) for side in values.shape[1:])))
    if known and not any(map(isnan, values.chunks[0])):
        if values.shape[0] != X.shape[0]:
            raise ValueError(f"{name_of_X} has {X.shape[0]} samples, and {name} has {values.shape[0]}.")
        values = values.rechunk({0: X.chunks[0]})
    if values.numblocks[0] != X.numblocks[0]:
        raise ValueError(
            f"{name_of_X} has {X.numblocks[0]} chunks and {name} has {values.numblocks[0]}, of unknown lengths: they "
            "must have the same chunks."
        )
    return values.rechunk(dict.fromkeys(range(1, values.ndim), -1)) if values.ndim > 1 else values


# ---- tasks ----


@dataclass(frozen=True)
class Reader:
    """Reads chunks.

    Parameters
    ----------
    probe : ConvSigmoidClassifier
        Has the number of columns.
    names : tuple of str
        Of X, y and weights, in errors.
    dtype : numpy dtype
        In which X is read.
    image_shape : tuple of int, optional
        The shape that images must have.
    """

    probe: object
    names: tuple
    dtype: np.dtype
    image_shape: tuple | None = None

    def read(self, number, X, y, weights):
        """The `Samples` of a chunk, or None if it is empty; errors name it."""
        if len(X) == 0:
            return None
        try:
            if self.image_shape is not None and X.ndim > 2:
                check_given_shape(X.shape[1:], self.image_shape)
            X, y, _ = read_images(self.probe, X, y, reset=False)
            if X.dtype != self.dtype:
                raise ValueError(f"it is of type {X.dtype}, and all together are said to be of type {self.dtype}.")
            if weights is not None:
                weights = read_weights(weights, len(X), self.names[2])
            return Samples(X, check_labels(y, has_classes=True), weights)
        except (TypeError, ValueError) as error:
            kind = TypeError if isinstance(error, TypeError) else ValueError
            raise kind(f"Chunk {number} of {self.names[0]}: {error}") from error


@dataclass(frozen=True)
class LazyChunk:
    """A chunk with its own part of the graphs, which a task computes itself, so that it is in memory while used."""

    number: int
    blocks: tuple  # (graph, key) of X, y and weights, or None
    reader: Reader

    def load(self):
        try:
            values = [None if block is None else dask.get(*block) for block in self.blocks]
        except Exception as error:
            raise RuntimeError(
                f"Chunk {self.number} of {self.reader.names[0]} could not be computed: {error!r}"
            ) from error
        return self.reader.read(self.number, *values)


def lazy_chunks(chunks, reader):
    """A LazyChunk for each chunk.

    Raises
    ------
    ValueError
        If chunks are in the cluster's memory already.
    """
    blocks = []
    for array in chunks.arrays:
        if array is None:
            blocks.append([None] * chunks.X.numblocks[0])
            continue
        if futures_of(array):
            raise ValueError(
                "persist=False computes each chunk within the task that uses it, and there are chunks that are in the "
                "cluster's memory already: pass persist=True, or collections that were not persisted."
            )
        graph = dict(dask.optimize(array)[0].__dask_graph__())
        blocks.append([(_part(graph, key), key) for key in flatten(array.__dask_keys__())])
    return [LazyChunk(number, parts, reader) for number, parts in enumerate(zip(*blocks, strict=True))]


def _part(graph, key):
    """The part of a graph that a key needs."""
    part, waiting = {}, [key]
    while waiting:
        key = waiting.pop()
        if key not in part:
            part[key] = graph[key]
            waiting.extend(get_dependencies(graph, key))
    return part


def cut(samples, piece, *, mixed):
    """A Piece of the Samples of a chunk, or of None; if `mixed`, of them in random order."""
    number, start, stop = piece
    n_rows = 0 if samples is None else len(samples.X)
    if stop > n_rows:
        raise ValueError(f"Chunk {number} has {n_rows} samples; there were {stop} or more when they were counted.")
    if stop - start == n_rows:
        return samples
    rows = slice(start, stop)
    if mixed:
        rows = np.sort(np.random.RandomState(0).permutation(n_rows)[rows])
    return Samples(*(None if values is None else values[rows] for values in samples))


def join_pieces(samples, pieces, mixed):
    """Pieces of several Samples, a piece of each."""
    parts = [cut(*pair, mixed=mixed) for pair in zip(samples, pieces, strict=True)]
    return parts[0] if len(parts) == 1 else Samples(*map(_join, zip(*parts, strict=True)))


def _join(parts):
    return None if parts[0] is None else np.concatenate(parts)
