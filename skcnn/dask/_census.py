"""The census: rows, labels and weights of each chunk, what follows of them for all, and the deal to replicas."""

import warnings
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from sklearn.utils.multiclass import check_classification_targets

from skcnn.notices import warn
from skcnn.targets import Labels, is_multilabel, make_labels
from skcnn.validation import read_weights

# Distance of a part's label frequencies from those of all, beyond chance, at which training suffers.
_SKEW = 0.1


class Count(NamedTuple):
    """What a task returns of a chunk's labels and weights."""

    n_rows: int
    classes: np.ndarray
    n_positive: np.ndarray  # rows of positive weight with each class or label
    weights: np.ndarray  # summed weight of each
    total: float  # summed weight of all rows
    largest: float
    n_labels: int | None  # columns of multilabel targets
    n_weighted: int  # rows of positive weight


def count_labels(number, y, weights, names):
    """The `Count` of a chunk; errors name it."""
    try:
        return _count(np.asarray(y), weights, names)
    except (TypeError, ValueError) as error:
        raise ValueError(f"Chunk {number} of {names[1]}: {error}") from error


def _count(y, weights, names):
    n_rows = len(y)
    weights = np.ones(n_rows) if weights is None else read_weights(weights, n_rows, names[2])
    positive = weights > 0
    rest = float(weights.sum()), float(weights.max(initial=0.0))
    if is_multilabel(y):
        if y.ndim != 2 or not ((y == 0) | (y == 1)).all():
            raise ValueError(f"several columns must hold 0 and 1 alone; got other values in shape {y.shape}.")
        has = y != 0
        found = np.arange(y.shape[1]), has[positive].sum(axis=0), weights @ has
        return Count(n_rows, *found, *rest, y.shape[1], int(positive.sum()))
    y = y.ravel()
    if y.dtype.kind == "f" and not np.isfinite(y).all():
        raise ValueError("there are labels that are NaN or infinite.")
    classes, codes = np.unique(y, return_inverse=True)
    n_positive, totals = (np.bincount(codes, values, minlength=len(classes)) for values in (positive, weights))
    return Count(n_rows, classes, n_positive, totals, *rest, None, int(positive.sum()))


@dataclass(frozen=True)
class Census:
    """Labels and weights of all chunks."""

    labels: Labels
    lengths: np.ndarray  # (n_chunks,) rows of each chunk
    weights: np.ndarray  # (n_chunks, n_classes) summed weight of each class or label in each chunk
    n_positive: np.ndarray  # (n_classes,) rows of positive weight
    totals: np.ndarray  # (n_chunks,) summed weight
    largest: float  # weight
    n_weighted: int


def take_census(counts, names, *, one_class=False):
    """The census of all chunks' counts.

    Raises
    ------
    ValueError
        If chunks have labels of different kinds, or all have one class, unless a validation set may.
    """
    filled = [count for count in counts if count.n_rows]
    if not filled:
        raise ValueError(f"{names[0]} has no samples: all of its {len(counts)} chunks are empty.")
    n_labels = {count.n_labels for count in filled}
    if len(n_labels) > 1:
        raise ValueError(f"chunks of {names[1]} have different numbers of columns: {sorted(map(str, n_labels))}.")
    if filled[0].n_labels is not None:
        labels = Labels(filled[0].classes, True)
    else:
        classes = _all_classes([count.classes for count in filled], names[1])
        with warnings.catch_warnings():  # there are as many classes as samples
            warnings.simplefilter("ignore")
            check_classification_targets(classes)
        labels = Labels(classes, False) if one_class else make_labels(classes, names[1])
    weights, n_positive = np.zeros((len(counts), len(labels.classes))), np.zeros(len(labels.classes))
    for row, count in zip(weights, counts, strict=True):
        if count.n_rows:
            codes = np.searchsorted(labels.classes, count.classes)
            row[codes] = count.weights
            n_positive[codes] += count.n_positive
    return Census(
        labels=labels,
        lengths=np.array([count.n_rows for count in counts]),
        weights=weights,
        n_positive=n_positive,
        totals=np.array([count.total for count in counts]),
        largest=max(count.largest for count in counts),
        n_weighted=sum(count.n_weighted for count in counts),
    )


def _all_classes(found, name):
    """The classes of all chunks, of those of each."""
    kinds = {classes.dtype.kind for classes in found}
    if kinds & set("US") and kinds & set("biuf"):  # np.concatenate would make strings of numbers
        raise ValueError(f"{name} has labels of types that cannot be sorted: some chunks have strings, others numbers.")
    try:
        return np.unique(np.concatenate(found))
    except TypeError as error:
        raise ValueError(f"{name} has labels of types that cannot be sorted: {error}") from error


# ---- the deal ----


class Piece(NamedTuple):
    """Rows of a chunk."""

    chunk: int
    start: int
    stop: int


def deal(lengths, n_parts, order):
    """Pieces of chunks for each part, with equal numbers of rows, up to one; chunks are taken in this order.

    A part has whole chunks but for its first and last.
    """
    ends = np.cumsum([lengths[chunk] for chunk in order])
    bounds = np.array([int(ends[-1]) * part // n_parts for part in range(n_parts + 1)])
    parts = [[] for _ in range(n_parts)]
    for chunk, end in zip(order, ends.tolist(), strict=True):
        start = begin = end - int(lengths[chunk])
        part = int(np.searchsorted(bounds, begin, side="right")) - 1
        while start < end:
            stop = min(end, int(bounds[part + 1]))
            parts[part].append(Piece(int(chunk), start - begin, stop - begin))
            start, part = stop, part + 1
    return parts


def part_weights(census, parts):
    """Summed weight of each class in each part, as far as it is known: (n_parts, n_classes), and of all: (n_parts,).

    A piece has its share of its chunk's.
    """
    weights, totals = np.zeros((len(parts), census.weights.shape[1])), np.zeros(len(parts))
    for number, pieces in enumerate(parts):
        for chunk, start, stop in pieces:
            share = (stop - start) / census.lengths[chunk]
            weights[number] += share * census.weights[chunk]
            totals[number] += share * census.totals[chunk]
    return weights, totals


def warn_if_skewed(weights, n_rows, what):
    """Warn if parts of the data differ in their label frequencies by more than `_SKEW` and what is left to chance.

    Parameters
    ----------
    weights : ndarray of shape (n_parts, n_classes)
    n_rows : ndarray of shape (n_parts,)
    what : str
        What the parts are.
    """
    totals = weights.sum(axis=1)
    used = totals > 0
    if used.sum() < 2:
        return
    frequencies = weights[used] / totals[used, np.newaxis]
    all_together = weights.sum(axis=0) / weights.sum()
    distances = abs(frequencies - all_together).sum(axis=1) / 2
    # The mean of this distance, half the sum of c deviations, for n labels drawn at random is at most sqrt(c / n) / 2.
    by_chance = np.sqrt(weights.shape[1] / n_rows[used])
    skewed = distances > _SKEW + by_chance
    if skewed.any():
        warn(
            f"{skewed.sum()} of {used.sum()} {what} have other label frequencies than all the data (the distance is up "
            f"to {distances[skewed].max():.2f} of 1), as if it were sorted by label: a model learns less from that. "
            "skcnn.dask.shuffle(X, y) mixes it.",
        )
