"""What a fitted estimator holds: the model that predicts, and the checkpoint that a later call resumes from."""

from dataclasses import dataclass, field, fields

import numpy as np

from skcnn.network import Network
from skcnn.targets import Labels


@dataclass(frozen=True, eq=False)
class Model:
    """All that a prediction needs, in one: another thread never meets one half of an old model.

    Parameters
    ----------
    network : Network
    parameters : ndarray of shape (n_parameters,)
        Of skcnn.network.own.
    labels : Labels

    Attributes
    ----------
    folded : ndarray
        Parameters of `network.folded`, which predicts: `parameters` themselves, or where convolutions are normalised
        made of them, and read-only.
    """

    network: Network
    parameters: np.ndarray
    labels: Labels
    folded: np.ndarray = field(init=False, repr=False)

    def __post_init__(self):
        folded = self.network.fold(self.parameters)
        if folded is not self.parameters:
            folded.flags.writeable = False
        object.__setattr__(self, "folded", folded)

    def to_state(self):
        """It as plain numbers and arrays, of which skcnn.saved makes the same model."""
        return {
            "network": self.network.to_state(),
            "parameters": np.array(self.parameters),
            "classes": self.labels.classes.copy(),
            "multilabel": self.labels.multilabel,
        }


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """What training needs to go on, besides the model and the public history."""

    moments: np.ndarray | None  # of the solver, if they are kept: (2, n_trainable) for Adam, (1, n_trainable) for SGD
    # Where the model's parameters are averages: those they are averages of (n_parameters,), and they (n_trainable,).
    parameters: np.ndarray | None
    averages: np.ndarray | None
    n_averaged: int  # steps in the averages
    n_steps: int  # solver steps since the moments were zero
    n_batches: int  # batches in the running averages
    n_reductions: int  # of an adaptive learning rate
    n_no_improvement: int  # epochs in a row
    best_score: float | None  # of the validation set, of these parameters; with early stopping only
    split_seed: int | None  # of the part of X that is held out

    def to_state(self):
        state = {part.name: getattr(self, part.name) for part in fields(self)}
        return {name: np.array(value) if isinstance(value, np.ndarray) else value for name, value in state.items()}
