"""The model that a fitted estimator predicts with, and the checkpoint from which a later call resumes."""

from dataclasses import dataclass, field, fields
from math import inf

import numpy as np

from skcnn.network import Network
from skcnn.targets import Labels

# By how much values within Winograd's algorithm may exceed the bound of its results: the rows of its transforms have
# absolute sums of up to 13 and 66, in two directions.
_MARGIN = 1e6


@dataclass(frozen=True, eq=False)
class Model:
    """Everything that a prediction needs, in one object: other threads never see a half-updated model.

    Parameters
    ----------
    network : Network
    parameters : ndarray of shape (n_parameters,)
        Made by skcnn.network.own.
    labels : Labels

    Attributes
    ----------
    folded : ndarray
        Parameters of `network.folded`, which predicts: `parameters` themselves or, with `batch_norm`, a read-only
        vector made from them.
    largest_pixel : float
        The largest absolute value in X with which no layer overflows, if nobody writes to the parameters.
    """

    network: Network
    parameters: np.ndarray
    labels: Labels
    folded: np.ndarray = field(init=False, repr=False)
    largest_pixel: float = field(init=False, repr=False)

    def __post_init__(self):
        folded = self.network.fold(self.parameters)
        if folded is not self.parameters:
            folded.flags.writeable = False
        object.__setattr__(self, "folded", folded)
        object.__setattr__(self, "largest_pixel", find_largest_pixel(self.network.folded, folded))

    def to_state(self):
        """The model as plain numbers and arrays, from which skcnn.saved restores it."""
        return {
            "network": self.network.to_state(),
            "parameters": np.array(self.parameters),
            "classes": self.labels.classes.copy(),
            "multilabel": self.labels.multilabel,
        }


def find_largest_pixel(network, parameters):
    """The largest absolute value of a pixel with which no sum of products before an activation can overflow.

    A sum that overflows on its way may end as an infinity of the wrong sign, which a bounded activation takes for a
    large number.
    """
    views = network.views(parameters)
    limit = float(np.finfo(parameters.dtype).max) / _MARGIN
    # A layer's input is at most `slope` times the largest pixel, plus `offset`.
    slope, offset, largest = abs(network.rescale), 0.0, inf
    with np.errstate(over="ignore"):
        for number in range(len(network.n_filters)):
            weight = float(np.abs(views[f"filters_{number}"]).sum(axis=(1, 2, 3), dtype=float).max())
            intercept = float(np.abs(views[f"filter_intercepts_{number}"]).max())
            slope, offset = slope * weight, offset * weight + intercept
            if not (offset < limit and slope < inf):  # NaN is neither
                return 0.0
            if slope > 0:
                largest = min(largest, (limit - offset) / slope)
            if network.activation != "relu":
                slope, offset = 0.0, 1.0
    return largest


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """What resumed training needs besides the model and the public history."""

    moments: np.ndarray | None  # of the solver, if they are kept: (2, n_trainable) for Adam, (1, n_trainable) for SGD
    # If the model has averaged parameters: the latest parameters (n_parameters,) and the averages (n_trainable,).
    parameters: np.ndarray | None
    averages: np.ndarray | None
    n_averaged: int  # steps in the averages
    n_steps: int  # solver steps since the moments were zero
    n_batches: int  # batches in the running averages
    n_reductions: int  # of an adaptive learning rate
    n_no_improvement: int  # epochs in a row
    best_score: float | None  # of the model on the validation set; with early stopping only
    split_seed: int | None  # of the held-out part of X

    def to_state(self):
        state = {part.name: getattr(self, part.name) for part in fields(self)}
        return {name: np.array(value) if isinstance(value, np.ndarray) else value for name, value in state.items()}
