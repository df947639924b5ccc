"""The training loop: fit_loop -> run_epoch -> the kernels' runs of mini-batches.

The problem (what is fitted, and to what) is apart from the state (what changes while it is).
"""

import warnings
from dataclasses import dataclass, field, replace
from math import inf, nan

import numpy as np
from sklearn.exceptions import ConvergenceWarning

from skcnn.kernels import LANES, SOLVERS, train_batches
from skcnn.network import Network, count_until_signals, restore_network

# Multiply-adds below which a thread costs more than it brings: some ten microseconds of work.
_THREAD_WORK = 5e5

# What batch_size="auto" means; chosen by benchmarks/defaults.py.
_AUTO_BATCH_SIZE = 32


@dataclass(frozen=True)
class Problem:
    """Data, targets and geometry: all that the loss is a function of besides the parameters."""

    X: np.ndarray  # (n_samples, n_features), uint8 or float
    targets: np.ndarray  # (n_samples, n_outputs), in the parameters' dtype
    sample_weight: np.ndarray  # (n_samples,), likewise
    network: Network
    objective: dict  # loss (its number), alpha


@dataclass(frozen=True)
class Plan:
    """How to train: the solver and when to stop."""

    solver: dict
    batch_size: int
    max_iter: int
    shuffle: bool
    tol: float
    n_iter_no_change: float
    verbose: bool
    n_threads: int


@dataclass
class State:
    """What training changes."""

    parameters: np.ndarray
    moments: np.ndarray  # (2, n_trainable) for Adam, (1, n_trainable) for SGD
    n_steps: int = 0  # solver steps since the moments were zero
    n_batches: int = 0  # batches in the running averages
    t: int = 0  # samples seen
    n_iter: int = 0  # epochs of this call
    loss_curve: list = field(default_factory=list)
    best_loss: float = inf
    n_no_improvement: int = 0

    @property
    def loss(self):
        return self.loss_curve[-1] if self.loss_curve else nan

    def record(self, loss, n_samples, tol):
        """Book an epoch, and whether it was better than the best so far by more than `tol`."""
        self.n_iter += 1
        self.t += n_samples
        self.loss_curve.append(loss)
        self.n_no_improvement = self.n_no_improvement + 1 if loss > self.best_loss - tol else 0
        self.best_loss = min(self.best_loss, loss)


def initial_state(estimator, network, classes, generator, dtype):
    """A new state; with `warm_start`, the one that the last fit ended in.

    Raises
    ------
    ValueError
        If the last fit had other classes or another network.
    """
    zeros = zero_moments(network, estimator.solver, dtype)
    if not (estimator.warm_start and hasattr(estimator, "_model")):
        return State(network.initial_parameters(estimator.init, generator, dtype), zeros)
    if not np.array_equal(classes, estimator.classes_):
        raise ValueError(f"warm_start needs the classes of the last fit, {estimator.classes_!r}; y has {classes!r}.")
    state, parameters = estimator._model
    last = restore_network(state)
    if network != last:
        raise ValueError(f"warm_start needs the network of the last fit, {last}; now it is {network}.")
    moments = estimator._moments
    kept = moments is not None and moments.shape == zeros.shape
    return State(
        parameters=parameters.astype(dtype),
        moments=moments.astype(dtype) if kept else zeros,
        n_steps=estimator._n_steps if kept else 0,
        n_batches=estimator._n_batches,
        t=estimator.t_,
        loss_curve=list(estimator.loss_curve_),
        best_loss=estimator.best_loss_,
        n_no_improvement=estimator._n_no_improvement,
    )


def zero_moments(network, solver, dtype):
    n_moments = 2 if solver == "adam" else 1
    return np.zeros((n_moments, network.n_trainable), dtype=dtype)


def fit_loop(problem, state, plan, generator, on_epoch=None):
    """Train until the loss stops to improve, or for `plan.max_iter` epochs.

    Parameters
    ----------
    problem : Problem
    state : State
        Changed in place.
    plan : Plan
    generator : numpy.random.RandomState
        Orders the samples of each epoch.
    on_epoch : callable, optional
        Called with the state before the first epoch and after each.

    Raises
    ------
    ValueError
        If the loss or a parameter is no longer finite.
    """
    try:
        converged = train(problem, state, plan, generator, on_epoch or (lambda state: None))
        if problem.network.standardize:
            settle_statistics(problem, state, plan.n_threads)
    except KeyboardInterrupt:
        check_finite(state.loss if state.loss_curve else 0.0, state.parameters, plan)
        warnings.warn("Training interrupted by user; the model is what it was then.", stacklevel=4)
        return
    if not converged:
        warnings.warn(
            f"Maximum iterations ({plan.max_iter}) reached and the optimization hasn't converged yet.",
            ConvergenceWarning,
            stacklevel=4,
        )


def train(problem, state, plan, generator, on_epoch):
    """Epoch after epoch; whether the loss stopped to improve before `plan.max_iter` of them."""
    workspace = problem.network.workspace(plan.batch_size, plan.n_threads, state.parameters.dtype)
    n_samples = problem.X.shape[0]
    on_epoch(state)
    for _ in range(plan.max_iter):
        loss = run_epoch(problem, state, plan, generator, workspace)
        check_finite(loss, state.parameters, plan)
        state.record(loss, n_samples, plan.tol)
        if plan.verbose:
            print(f"Iteration {state.n_iter}, loss = {loss:.8f}")
        on_epoch(state)
        if state.n_no_improvement > plan.n_iter_no_change:
            if plan.verbose:
                print(
                    f"Training loss did not improve more than tol={plan.tol:f} "
                    f"for {plan.n_iter_no_change} consecutive epochs. Stopping."
                )
            return True
    return False


def run_epoch(problem, state, plan, generator, workspace):
    """One pass over the samples; the average of the batches' losses by weight, L2 included."""
    n_samples = problem.X.shape[0]
    rows = generator.permutation(n_samples) if plan.shuffle else np.arange(n_samples)
    rows = rows.astype(np.intp, copy=False)
    # Forward, to the weights and to the activations.
    batch_work = 3 * problem.network.n_multiply_adds * plan.batch_size
    n_run = plan.batch_size * count_until_signals(batch_work)
    total_loss = total_weight = 0.0
    for start in range(0, n_samples, n_run):
        loss, weight, state.n_steps, state.n_batches = train_batches(
            problem.X,
            problem.targets,
            problem.sample_weight,
            rows[start : start + n_run],
            plan.batch_size,
            problem.network,
            problem.objective,
            plan.solver,
            state.parameters,
            state.moments,
            plan.n_threads,
            workspace,
            state.n_steps,
            state.n_batches,
        )
        total_loss += loss
        total_weight += weight
    return total_loss / total_weight


def settle_statistics(problem, state, n_threads):
    """Replace the running averages by the means and variances of the training set's logits.

    While it trains, running averages are all there is, and they trail the parameters; at the end one forward pass gives
    the statistics of the parameters that are kept.
    """
    logits = (
        replace(problem.network, standardize=False).logits(problem.X, state.parameters, n_threads).astype(np.float64)
    )
    means = np.average(logits, axis=0, weights=problem.sample_weight)
    variances = np.average((logits - means) ** 2, axis=0, weights=problem.sample_weight)
    views = problem.network.views(state.parameters)
    views["running_means"][:] = means
    views["running_variances"][:] = variances


def check_finite(loss, parameters, plan):
    if not np.isfinite(loss) or not np.isfinite(parameters).all():
        raise ValueError(
            f"Training diverged: the loss or a parameter is no longer finite. "
            f"Lower learning_rate_init={plan.solver['learning_rate']!r}, or scale X (see rescale)."
        )


def useful_threads(n_threads, network, batch_size):
    """Of `n_threads`, as many as have a group of the batch each, and work enough to be worth waking up for."""
    n_groups = -(-batch_size // LANES)
    n_multiply_adds = 3 * network.n_multiply_adds * batch_size
    return max(1, min(n_threads, n_groups, int(n_multiply_adds // _THREAD_WORK)))


def make_plan(estimator, network, n_samples, n_threads):
    """The plan that an estimator's hyper-parameters ask for, on `n_samples` samples."""
    batch_size = _AUTO_BATCH_SIZE if estimator.batch_size == "auto" else int(estimator.batch_size)
    if estimator.batch_size != "auto" and batch_size > n_samples:
        warnings.warn(
            f"batch_size={batch_size} is larger than the {n_samples} samples: it is cut to them.", stacklevel=4
        )
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
    return Plan(
        solver=solver,
        batch_size=min(batch_size, n_samples),
        max_iter=int(estimator.max_iter),
        shuffle=bool(estimator.shuffle),
        tol=float(estimator.tol),
        n_iter_no_change=estimator.n_iter_no_change,
        verbose=bool(estimator.verbose),
        n_threads=useful_threads(n_threads, network, batch_size),
    )
