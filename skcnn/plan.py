"""How to train: what an estimator's hyper-parameters ask for."""

from dataclasses import dataclass
from math import ceil, inf, pi, sqrt

import numpy as np

from skcnn.kernels import LANES, SOLVERS
from skcnn.notices import warn
from skcnn.validation import is_sequence

# Multiply-adds below which a thread costs more than it brings: some ten microseconds of work.
_THREAD_WORK = 5e5

# What batch_size="auto" means; chosen by benchmarks/defaults.py.
_AUTO_BATCH_SIZE = 32

# What max_iter="auto" means: epochs, but no fewer than make so many steps.
_EPOCHS, _EPOCHS_STEPS = 200, 1000

# What n_iter_no_change="auto" means: epochs, and more where they have fewer steps, by the root of how much fewer.
_PATIENCE, _PATIENCE_STEPS = 10, 200

# An adaptive learning rate is divided by the first, and not once it is at most the second; as MLPClassifier does.
_REDUCTION = 5.0
MOST_REDUCTIONS = 440  # from the largest number there is
_LEAST_RATE = 1e-6

# What average=True weighs a batch's parameters by: averages are about those of the last eighth of training.
_AVERAGE_WEIGHT = 8.0


@dataclass(frozen=True)
class Plan:
    """The solver, its learning rate, and when to stop."""

    solver: dict
    schedule: str  # "constant", "invscaling", "adaptive" or "cosine"
    power_t: float
    batch_size: int
    max_iter: int
    shuffle: bool
    random_shift: tuple  # rows and columns that an image may be moved by
    random_flip: bool  # whether half of the images are mirrored
    average: tuple | None  # samples seen when averages begin, weight of late batches; None for no averages
    tol: float
    n_iter_no_change: float
    early_stopping: bool
    incremental: bool  # partial_fit: one epoch, and nothing that ends a fit
    verbose: bool
    n_threads: int  # for a batch
    n_scoring_threads: int  # for a pass over many rows

    @property
    def anneals(self):
        """Whether the learning rate goes to 0, so that training always goes through all its epochs."""
        return self.schedule == "cosine"

    def learning_rate(self, t, n_reductions):
        """Of an epoch that starts after `t` samples, and after `n_reductions` of an adaptive rate.

        With "cosine", what its steps are parts of.
        """
        if self.schedule == "invscaling":
            return self.solver["learning_rate"] * (t + 1.0) ** -self.power_t
        return self.solver["learning_rate"] / _REDUCTION**n_reductions

    def learning_rates(self, state, n_batches):
        """Of each batch of the next epoch.

        Annealed, they go from the whole to 0 along half a period of the cosine: Loshchilov and Hutter (2017), SGDR,
        equation 5, without restarts.
        """
        rate = self.learning_rate(state.t, state.n_reductions)
        if not self.anneals:
            return np.full(n_batches, rate)
        passed = (state.n_iter + np.arange(n_batches) / n_batches) / self.max_iter
        return rate * (0.5 + 0.5 * np.cos(pi * passed))

    def averaging_weights(self, state, n_samples):
        """Of each batch of the next epoch, the weight of its parameters in the averages; None for no averages.

        0 is too early for them. With a weight of 1, the averages are means of all batches' parameters. A larger one
        forgets the first of them, at any time: Shamir and Zhang (2013), "Stochastic gradient descent for non-smooth
        optimization", section 4.
        """
        if self.average is None:
            return None
        begin, weight = self.average
        n_seen = np.arange(self.batch_size, n_samples + self.batch_size, self.batch_size)
        return np.where(state.t + np.minimum(n_seen, n_samples) >= begin, weight, 0.0)

    def may_reduce(self, t, n_reductions):
        """Whether the learning rate is to be reduced, where training would stop otherwise."""
        return self.schedule == "adaptive" and self.learning_rate(t, n_reductions) > _LEAST_RATE


def useful_threads(n_threads, network, batch_size):
    """Of `n_threads`, as many as have a group of the batch each, and work enough to be worth waking up for."""
    n_groups = -(-batch_size // LANES)
    n_multiply_adds = 3 * network.n_multiply_adds * batch_size
    return max(1, min(n_threads, n_groups, int(n_multiply_adds // _THREAD_WORK)))


def largest_shift(random_shift, image_shape):
    """Rows and columns to move an image by at most, a part of it always staying: an int is clipped, a pair must fit."""
    most = image_shape[0] - 1, image_shape[1] - 1
    if not is_sequence(random_shift):
        return tuple(min(int(random_shift), side) for side in most)
    if random_shift[0] > most[0] or random_shift[1] > most[1]:
        raise ValueError(
            f"random_shift={random_shift!r} moves images out of sight: (rows, columns) may be {most} for images of "
            f"{image_shape[0]} x {image_shape[1]}; image_shape says what a row is."
        )
    return tuple(int(shift) for shift in random_shift)


def averaging(average):
    """Samples that must be seen for a batch to be averaged, and the weight of late ones; None for no averages."""
    if not average:
        return None
    return (1, _AVERAGE_WEIGHT) if isinstance(average, bool | np.bool_) else (int(average), 1.0)


def requested_batch_size(estimator):
    return _AUTO_BATCH_SIZE if estimator.batch_size == "auto" else int(estimator.batch_size)


def steps_per_epoch(estimator, n_samples):
    return ceil(n_samples / requested_batch_size(estimator))


def most_epochs(estimator, n_samples):
    """That a fit to so many samples takes."""
    if estimator.max_iter != "auto":
        return int(estimator.max_iter)
    return max(_EPOCHS, ceil(_EPOCHS_STEPS / steps_per_epoch(estimator, n_samples)))


def patience(estimator, n_samples):
    """Epochs without improvement before training stops; annealing goes on to its end."""
    if estimator.learning_rate == "cosine":
        return inf
    if estimator.n_iter_no_change != "auto":
        return estimator.n_iter_no_change
    return ceil(_PATIENCE * max(1.0, sqrt(_PATIENCE_STEPS / steps_per_epoch(estimator, n_samples))))


def make_plan(estimator, network, n_samples, n_threads, *, incremental):
    """The plan that an estimator's hyper-parameters ask for, on `n_samples` samples."""
    batch_size = requested_batch_size(estimator)
    if not incremental and estimator.batch_size != "auto" and batch_size > n_samples:
        warn(f"batch_size={batch_size} is larger than the {n_samples} samples: it is clipped to them.")
    if estimator.standardize and min(batch_size, n_samples) == 1:
        raise ValueError(
            "standardize=True needs batches of two samples or more, as one has no deviation; "
            f"batch_size={estimator.batch_size!r} with {n_samples} samples makes batches of one."
        )
    solver = {
        "kind": SOLVERS[estimator.solver],
        "learning_rate": float(estimator.learning_rate_init),
        "beta_1": float(estimator.beta_1),
        "beta_2": float(estimator.beta_2),
        "epsilon": float(estimator.epsilon),
        "momentum": float(estimator.momentum),
        "nesterovs_momentum": bool(estimator.nesterovs_momentum),
    }
    anneals = estimator.learning_rate == "cosine"
    return Plan(
        solver=solver,
        # MLPClassifier's schedules are for "sgd" alone, Adam's steps being adapted anyway.
        schedule="constant" if estimator.solver == "adam" and not anneals else estimator.learning_rate,
        power_t=float(estimator.power_t),
        batch_size=min(batch_size, n_samples),
        max_iter=1 if incremental else most_epochs(estimator, n_samples),
        shuffle=bool(estimator.shuffle),
        random_shift=largest_shift(estimator.random_shift, network.image_shape),
        random_flip=bool(estimator.random_flip),
        average=averaging(estimator.average),
        tol=float(estimator.tol),
        n_iter_no_change=patience(estimator, n_samples),
        early_stopping=bool(estimator.early_stopping),
        incremental=incremental,
        verbose=bool(estimator.verbose),
        n_threads=useful_threads(n_threads, network, batch_size),
        n_scoring_threads=n_threads,
    )
