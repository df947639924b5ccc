"""The training loop: fit_loop -> train -> run_epoch -> series of mini-batches in the kernels.

The problem (data, targets, network) is separate from the state (what training changes).
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from sklearn.exceptions import ConvergenceWarning

from skcnn.kernels import train_batches
from skcnn.losses import constant_loss, mean_loss
from skcnn.network import Network, count_until_signals, own
from skcnn.notices import warn
from skcnn.statistics import has_statistics, recompute_statistics, some_rows, update_running
from skcnn.targets import Labels

# The loss of the best constant if all labels are equal, up to rounding.
_ROUNDING = 1e-9

# Training rows on which the loss of a network with batch normalisation is computed.
_LOOKED_AT = 4096


@dataclass(frozen=True)
class Problem:
    """Data, targets and network: everything that the loss depends on besides the parameters."""

    X: np.ndarray  # (n_samples, n_features), uint8 or float
    targets: np.ndarray  # (n_samples, n_outputs), in the parameters' dtype
    sample_weight: np.ndarray  # (n_samples,), likewise
    rows: np.ndarray  # of X to train on, np.intp
    labels: Labels
    network: Network
    objective: dict  # loss (its number), alpha


class Order(NamedTuple):
    """The samples and settings of a series of mini-batches."""

    rows: np.ndarray  # (n_rows,), np.intp, of X
    moves: np.ndarray | None  # (n_rows, 3), np.intp: each image's shift in rows and columns, 1 to mirror it
    batch_size: int
    learning_rates: np.ndarray  # (n_batches,), np.float64
    averaging_weights: np.ndarray | None  # likewise; 0 before averaging begins


class Observer:
    """Follows the epochs and may end training."""

    def begin(self, state):
        """Called before an epoch."""

    def end(self, state):
        """Called after an epoch; True stops training."""
        return False


def fit_loop(problem, state, plan, generator, holdout=None, observer=None):
    """Train until nothing improves, the observer stops training, or `plan.max_iter` epochs have passed.

    Parameters
    ----------
    problem : Problem
    state : State
        Changed in place; its `final_parameters` are those of the model.
    plan : Plan
    generator : numpy.random.RandomState
        Draws the order, shifts and flips of the samples in each epoch.
    holdout : Holdout, optional
        The validation set.
    observer : Observer, optional

    Raises
    ------
    ValueError
        If the loss or a parameter is no longer finite.
    """
    state.statistics = state.parameters[problem.network.n_trainable :].copy()
    try:
        if state.best_parameters is not None:  # of an earlier fit, perhaps with another validation set
            _, state.best_score = holdout.evaluate(problem, state.best_parameters, plan.n_scoring_threads)
        ended = train(problem, state, plan, generator, holdout, observer or Observer())
        state.final_parameters = final_parameters(problem, state, plan)
        if not ended:
            warn(
                f"Maximum iterations ({plan.max_iter}) reached and the optimization hasn't converged yet.",
                ConvergenceWarning,
            )
        if state.loss_curve and not plan.incremental:
            warn_if_nothing_was_learnt(problem, state, plan)
    except KeyboardInterrupt:
        check_finite(state.loss if state.loss_curve else 0.0, state.parameters, plan)
        stopped_early = plan.early_stopping and state.best_parameters is not None
        state.final_parameters = (
            state.best_parameters if stopped_early else interrupted_parameters(problem, state, plan)
        )
        warn("Training interrupted by user; the model has the parameters of that moment.")


def warn_if_nothing_was_learnt(problem, state, plan):
    """Warn if the model's loss is no less than that of the best constant prediction, the classes' frequencies.

    The last epoch's loss includes the penalty and was taken while parameters still improved, so if it is small enough,
    the model's loss is as well. This does not hold for a model kept by early stopping, nor with batch normalisation,
    which uses other statistics in training: their loss is computed, with normalisation on some of the rows.
    Standardised logits cannot be nearly constant, so their loss is not compared.

    Raises
    ------
    ValueError
        If logits of the training set overflow the parameters' dtype.
    """
    if problem.network.standardize:
        return
    batch_norm, objective = problem.network.batch_norm, problem.objective["loss"]
    rows = some_rows(problem, _LOOKED_AT) if batch_norm else problem.rows
    targets, weights = problem.targets[rows], problem.sample_weight[rows]
    constant = constant_loss(targets, weights, objective)
    if constant < _ROUNDING or (state.loss < constant and not plan.early_stopping and not batch_norm):
        return
    logits = problem.network.logits(problem.X, state.final_parameters, plan.n_scoring_threads, rows)
    with np.errstate(over="ignore", invalid="ignore"):
        loss = mean_loss(logits.astype(np.float64), targets, weights, objective)
    check_finite(loss, state.final_parameters, plan)
    if loss >= constant:
        warn(
            f"The network learnt little or nothing: its loss on the training set, {loss:.4g}, is no less than "
            f"{constant:.4g}, that of predicting each class as often as it comes, whatever the image. Try "
            f"StandardScaler or rescale, another learning_rate_init, a smaller alpha, more epochs (max_iter, "
            f"n_iter_no_change) or more images, and have a look at X and y.",
            ConvergenceWarning,
        )


def final_parameters(problem, state, plan):
    """The parameters of the model if training ends in this state."""
    if plan.early_stopping and state.best_parameters is not None:
        return state.best_parameters
    return settled_parameters(problem, state, plan)


def settled_parameters(problem, state, plan, *, promptly=False):
    """The learnt parameters with the statistics for predictions, if `promptly` measured on fewer rows.

    Raises
    ------
    ValueError
        If the statistics are not finite in the parameters' dtype: values divided by them would be 0.
    """
    network = problem.network
    if plan.incremental and network.batch_norm:
        update_running(problem, state, plan, promptly=promptly)
    parameters = own(state.learnt_parameters(), state.parameters.dtype)
    if not plan.incremental:
        recompute_statistics(problem, parameters, plan.n_scoring_threads, promptly=promptly)
    if has_statistics(network):
        check_finite(0.0, parameters, plan)
    return parameters


def interrupted_parameters(problem, state, plan):
    """Parameters of the model after an interrupt, at once: with running statistics, and few rows for filters."""
    if problem.network.batch_norm:
        return settled_parameters(problem, state, plan, promptly=True)
    return state.learnt_parameters()


def train(problem, state, plan, generator, holdout, observer):
    """Train epoch after epoch; returns whether training ended as intended, not for lack of epochs."""
    workspace = problem.network.workspace(plan.batch_size, plan.n_threads, state.parameters.dtype)
    for _ in range(plan.max_iter):
        observer.begin(state)
        loss = run_epoch(problem, state, plan, generator, workspace)
        check_finite(loss, state.parameters, plan)
        # Evaluate before recording anything, so that an interrupt leaves as many scores as losses.
        learnt = validation = None
        if holdout is not None:
            learnt = state.learnt_parameters()
            validation = evaluate(problem, learnt, plan, holdout)
        state.record(loss, len(problem.rows), plan, learnt, validation)
        if plan.verbose:
            print(f"Iteration {state.n_iter}, loss = {loss:.8f}")
            if validation is not None:
                print(f"Validation score: {validation[1]:f}")
        if observer.end(state) or (state.n_no_improvement > plan.n_iter_no_change and reduce_or_stop(state, plan)):
            return True
    return plan.incremental or plan.anneals


def evaluate(problem, parameters, plan, holdout):
    """Loss and score on the validation set if training ended with these parameters."""
    recompute_statistics(problem, parameters, plan.n_scoring_threads)
    if has_statistics(problem.network):
        check_finite(0.0, parameters, plan)
    return holdout.evaluate(problem, parameters, plan.n_scoring_threads)


def reduce_or_stop(state, plan):
    """Reduce an adaptive learning rate after too many epochs without improvement; returns whether to stop instead."""
    message = (
        f"{'Validation score' if plan.early_stopping else 'Training loss'} did not improve more than "
        f"tol={plan.tol:f} for {plan.n_iter_no_change} consecutive epochs."
    )
    reduced = plan.may_reduce(state.t, state.n_reductions)
    if reduced:
        state.n_reductions += 1
        state.n_no_improvement = 0
        outcome = f"Setting learning rate to {plan.learning_rate(state.t, state.n_reductions):f}"
    else:
        outcome = "Learning rate too small. Stopping." if plan.schedule == "adaptive" else "Stopping."
    if plan.verbose:
        print(f"{message} {outcome}")
    return not reduced


def run_epoch(problem, state, plan, generator, workspace):
    """Run one pass over the samples; returns the weighted mean of the batches' losses, including the L2 penalty."""
    n_samples = len(problem.rows)
    rows = problem.rows[generator.permutation(n_samples)] if plan.shuffle else problem.rows
    moves = draw_moves(plan, n_samples, generator, state)
    n_batches = -(-n_samples // plan.batch_size)
    rates = plan.learning_rates(state, n_batches), plan.averaging_weights(state, n_samples)
    # Forward pass, gradient of the weights, gradient of the activations.
    batch_work = 3 * problem.network.n_multiply_adds * plan.batch_size
    n_run = plan.batch_size * count_until_signals(batch_work)
    total_loss = total_weight = 0.0
    for start in range(0, n_samples, n_run):
        run = slice(start, start + n_run)
        batches = slice(start // plan.batch_size, (start + n_run) // plan.batch_size)
        order = Order(
            rows[run],
            None if moves is None else moves[run],
            plan.batch_size,
            *(None if rate is None else rate[batches] for rate in rates),
        )
        loss, weight = train_batches(problem, order, plan.solver, state, workspace, plan.n_threads)
        total_loss += loss
        total_weight += weight
    return total_loss / total_weight


def draw_moves(plan, n_samples, generator, state):
    """Each image's shift in rows and columns in the next epoch, and whether it is mirrored: (n_samples, 3).

    None without shifts and flips. The seed includes the number of samples seen, because with an int as random_state
    every resumed call starts with the same generator.
    """
    if plan.random_shift == (0, 0) and not plan.random_flip:
        return None
    drawn = np.random.RandomState([generator.randint(2**31, dtype=np.int64), state.t % 2**32])
    moves = np.zeros((n_samples, 3), dtype=np.intp)
    for axis, most in enumerate(plan.random_shift):
        moves[:, axis] = drawn.randint(-most, most + 1, size=n_samples, dtype=np.intp)
    if plan.random_flip:
        moves[:, 2] = drawn.randint(2, size=n_samples, dtype=np.intp)
    return moves


def check_finite(loss, parameters, plan):
    if not np.isfinite(loss) or not np.isfinite(parameters).all():
        raise ValueError(
            f"Training diverged: the loss or a parameter is no longer finite. "
            f"Lower learning_rate_init={plan.solver['learning_rate']!r}, or scale X (see rescale)."
        )
