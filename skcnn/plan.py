"""The training plan of an estimator's hyper-parameters."""

from dataclasses import dataclass
from math import ceil, inf, pi, sqrt

import numpy as np

from skcnn.kernels import LANES, SOLVERS
from skcnn.notices import warn
from skcnn.validation import is_sequence

# Multiply-adds below which a thread costs more than it gains: about ten microseconds of work.
_THREAD_WORK = 5e5

# batch_size="auto", chosen by benchmarks/defaults.py.
_AUTO_BATCH_SIZE = 32

# max_iter="auto": epochs, or as many as make _EPOCHS_STEPS steps.
_EPOCHS, _EPOCHS_STEPS = 200, 1000

# n_iter_no_change="auto": epochs, times the root of (_PATIENCE_STEPS / steps in an epoch) if that is more than 1.
_PATIENCE, _PATIENCE_STEPS = 10, 200

# As in MLPClassifier, an adaptive learning rate is divided by _REDUCTION unless it is at most _LEAST_RATE.
_REDUCTION = 5.0
MOST_REDUCTIONS = 440  # with a few more, _REDUCTION**n would overflow
_LEAST_RATE = 1e-6

# Weight of a batch's parameters with average=True: the averages are about those of the last eighth of training.
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
    random_shift: tuple  # largest shift in rows and columns
    random_flip: bool  # whether half of the images are mirrored
    average: tuple | None  # samples seen when averaging begins, weight of later batches; None without averaging
    tol: float
    n_iter_no_change: float
    early_stopping: bool
    incremental: bool  # partial_fit: one epoch, without the final steps of a fit
    verbose: bool
    n_threads: int  # for a batch
    n_scoring_threads: int  # for a pass over many rows

    @property
    def anneals(self):
        """Whether the learning rate falls to 0, so that training always runs all epochs."""
        return self.schedule == "cosine"

    def learning_rate(self, t, n_reductions):
        """Learning rate of an epoch that starts after `t` samples and `n_reductions` of an adaptive rate.

        With "cosine", this is the initial rate.
        """
        if self.schedule == "invscaling":
            return self.solver["learning_rate"] * (t + 1.0) ** -self.power_t
        return self.solver["learning_rate"] / _REDUCTION**n_reductions

    def learning_rates(self, state, n_batches):
        """Learning rate of each batch of the next epoch.

        With "cosine", it falls from the initial rate to 0 along half a period: Loshchilov and Hutter (2017), SGDR,
        equation 5, without restarts.
        """
        rate = self.learning_rate(state.t, state.n_reductions)
        if not self.anneals:
            return np.full(n_batches, rate)
        passed = (state.n_iter + np.arange(n_batches) / n_batches) / self.max_iter
        return rate * (0.5 + 0.5 * np.cos(pi * passed))

    def averaging_weights(self, state, n_samples):
        """Weight of each batch's parameters in the averages, for the next epoch; None without averaging.

        It is 0 before averaging begins. A weight of 1 gives the mean over all batches, a larger one favours recent
        batches at any time: Shamir and Zhang (2013), "Stochastic gradient descent for non-smooth optimization",
        section 4.
        """
        if self.average is None:
            return None
        begin, weight = self.average
        n_seen = np.arange(self.batch_size, n_samples + self.batch_size, self.batch_size)
        return np.where(state.t + np.minimum(n_seen, n_samples) >= begin, weight, 0.0)

    def may_reduce(self, t, n_reductions):
        """Whether to reduce the learning rate when training would otherwise stop."""
        reducible = self.schedule == "adaptive" and n_reductions + 1 < MOST_REDUCTIONS
        return reducible and self.learning_rate(t, n_reductions) > _LEAST_RATE


def useful_threads(n_threads, network, batch_size):
    """At most `n_threads`, but no more than have a group of the batch each and enough work to pay for waking them."""
    n_groups = -(-batch_size // LANES)
    n_multiply_adds = 3 * network.n_multiply_adds * batch_size
    return max(1, min(n_threads, n_groups, int(n_multiply_adds // _THREAD_WORK)))


def largest_shift(random_shift, image_shape):
    """Largest shift (rows, columns) that keeps a part of the image in view: an int is clipped, a pair must fit."""
    most = image_shape[0] - 1, image_shape[1] - 1
    if not is_sequence(random_shift):
        return tuple(min(int(random_shift), side) for side in most)
    if random_shift[0] > most[0] or random_shift[1] > most[1]:
        raise ValueError(
            f"random_shift={random_shift!r} moves images out of view: (rows, columns) may be {most} for images of "
            f"{image_shape[0]} x {image_shape[1]}; image_shape sets the shape of a row."
        )
    return tuple(int(shift) for shift in random_shift)


def averaging(average):
    """Number of samples seen when averaging begins, and the weight of later batches; None without averaging."""
    if not average:
        return None
    return (1, _AVERAGE_WEIGHT) if isinstance(average, bool | np.bool_) else (int(average), 1.0)


def requested_batch_size(estimator):
    return _AUTO_BATCH_SIZE if estimator.batch_size == "auto" else int(estimator.batch_size)


def steps_per_epoch(estimator, n_samples):
    return ceil(n_samples / requested_batch_size(estimator))


def most_epochs(estimator, n_samples):
    """Largest number of epochs of a fit to `n_samples` samples."""
    if estimator.max_iter != "auto":
        return int(estimator.max_iter)
    return max(_EPOCHS, ceil(_EPOCHS_STEPS / steps_per_epoch(estimator, n_samples)))


def patience(estimator, n_samples):
    """Epochs without improvement after which training stops; infinite with "cosine"."""
    if estimator.learning_rate == "cosine":
        return inf
    if estimator.n_iter_no_change != "auto":
        return estimator.n_iter_no_change
    return ceil(_PATIENCE * max(1.0, sqrt(_PATIENCE_STEPS / steps_per_epoch(estimator, n_samples))))


def make_plan(estimator, network, n_samples, n_threads, *, incremental):
    """The plan of an estimator's hyper-parameters for `n_samples` samples."""
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
        # MLPClassifier's schedules apply to "sgd" only, as Adam adapts its steps itself.
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
