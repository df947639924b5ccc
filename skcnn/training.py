"""The training loop: fit_loop -> run_epoch -> the kernels' runs of mini-batches.

The problem (what is fitted, and to what) is apart from the state (what changes while it is).
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

# The loss of the best constant where no label ever changes, but for rounding.
_ROUNDING = 1e-9

# Rows of the training set that a network that normalises is judged by.
_LOOKED_AT = 4096


@dataclass(frozen=True)
class Problem:
    """Data, targets and geometry: all that the loss is a function of besides the parameters."""

    X: np.ndarray  # (n_samples, n_features), uint8 or float
    targets: np.ndarray  # (n_samples, n_outputs), in the parameters' dtype
    sample_weight: np.ndarray  # (n_samples,), likewise
    rows: np.ndarray  # of X, np.intp: those to learn from
    labels: Labels
    network: Network
    objective: dict  # loss (its number), alpha


class Order(NamedTuple):
    """What a run of mini-batches goes through."""

    rows: np.ndarray  # (n_rows,), np.intp, of X
    moves: np.ndarray | None  # (n_rows, 3), np.intp: rows and columns that each image is moved by, if it is mirrored
    batch_size: int
    learning_rates: np.ndarray  # (n_batches,), np.float64
    averaging_weights: np.ndarray | None  # likewise, of their parameters in the averages; 0 is too early


class Observer:
    """Is told of every epoch, and may end training."""

    def begin(self, state):
        """Before an epoch."""

    def end(self, state):
        """After an epoch; True is to stop."""
        return False


def fit_loop(problem, state, plan, generator, holdout=None, observer=None):
    """Train until nothing improves, the observer says so, or for `plan.max_iter` epochs.

    Parameters
    ----------
    problem : Problem
    state : State
        Changed in place; with early stopping it ends with the best parameters.
    plan : Plan
    generator : numpy.random.RandomState
        Orders and shifts the samples of each epoch.
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
        if state.best_parameters is not None:  # of an earlier fit, whose validation set may have been another
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
        warn("Training interrupted by user; the model is what it was then.")


def warn_if_nothing_was_learnt(problem, state, plan):
    """Where the model's loss is no less than that of the best constant prediction, the classes' frequencies.

    The last epoch's loss has the penalty besides, and is of parameters that were still improving: where it is small
    enough, so is that of its model, but not of one that early stopping kept. Standardised logits cannot be near a
    constant: what their loss is worth is another matter. And where filters are normalised, by groups while they train,
    the loss of training tells nothing of the model: some of the training set is looked at.

    Raises
    ------
    ValueError
        If logits of the training set are beyond the parameters' dtype.
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
    """The parameters of a model whose training ends in this state."""
    if plan.early_stopping and state.best_parameters is not None:
        return state.best_parameters
    return settled_parameters(problem, state, plan)


def settled_parameters(problem, state, plan, *, promptly=False):
    """Those learnt so far, with the statistics that they predict with, `promptly` those of some rows.

    Raises
    ------
    ValueError
        If these are not finite in the parameters' dtype: whatever they divide would be 0.
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
    """Those of a model that has to be had at once; logits have running statistics, filters need some rows."""
    if problem.network.batch_norm:
        return settled_parameters(problem, state, plan, promptly=True)
    return state.learnt_parameters()


def train(problem, state, plan, generator, holdout, observer):
    """Epoch after epoch; whether it ended for another reason than `plan.max_iter`."""
    workspace = problem.network.workspace(plan.batch_size, plan.n_threads, state.parameters.dtype)
    for _ in range(plan.max_iter):
        observer.begin(state)
        loss = run_epoch(problem, state, plan, generator, workspace)
        check_finite(loss, state.parameters, plan)
        # Before either is recorded: an interrupt on the way leaves as many scores as losses.
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
    """Loss and score of the parameters on the validation set as if training ended here."""
    recompute_statistics(problem, parameters, plan.n_scoring_threads)
    if has_statistics(problem.network):
        check_finite(0.0, parameters, plan)
    return holdout.evaluate(problem, parameters, plan.n_scoring_threads)


def reduce_or_stop(state, plan):
    """Whether to stop after too many epochs without improvement, an adaptive learning rate being as low as it gets."""
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
    """One pass over the samples; the average of the batches' losses by weight, L2 included."""
    n_samples = len(problem.rows)
    rows = problem.rows[generator.permutation(n_samples)] if plan.shuffle else problem.rows
    moves = draw_moves(plan, n_samples, generator, state)
    n_batches = -(-n_samples // plan.batch_size)
    rates = plan.learning_rates(state, n_batches), plan.averaging_weights(state, n_samples)
    # Forward, to the weights and to the activations.
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
    """Rows and columns to move each image by in the next epoch, and whether to mirror it: (n_samples, 3).

    None where none is to move. An int as random_state makes the same generator for every call that goes on from the
    last, and the number of samples seen moves of its own for each of them.
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
