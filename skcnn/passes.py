"""Passes over the data: train for an epoch, score a validation set, measure statistics and losses."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from skcnn.images import largest_value
from skcnn.kernels import train_batches
from skcnn.losses import constant_loss, mean_loss
from skcnn.network import Network, count_until_signals
from skcnn.statistics import measure_filters, measure_logits, some_rows
from skcnn.targets import Labels

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

    def part(self, first, last):
        """The batches from number `first` to `last`, exclusively."""
        rows = slice(first * self.batch_size, last * self.batch_size)
        return Order(
            self.rows[rows],
            None if self.moves is None else self.moves[rows],
            self.batch_size,
            self.learning_rates[first:last],
            None if self.averaging_weights is None else self.averaging_weights[first:last],
        )


class LocalPasses:
    """Passes over data in this process, for skcnn.training.

    Parameters
    ----------
    problem : Problem
    plan : Plan
    generator : numpy.random.RandomState
        Draws the order, shifts and flips of the samples in each epoch.
    holdout : Holdout, optional
        The validation set.
    """

    def __init__(self, problem, plan, generator, holdout=None):
        self.problem = problem
        self.plan = plan
        self.generator = generator
        self.holdout = holdout
        self.workspace = None

    @property
    def network(self):
        return self.problem.network

    @property
    def n_samples(self):
        """Number of samples in an epoch."""
        return len(self.problem.rows)

    @property
    def largest_pixel(self):
        """The largest absolute value of the images that the model is made for."""
        return largest_value(self.problem.X)

    @property
    def validates(self):
        """Whether there is a validation set."""
        return self.holdout is not None

    def train_epoch(self, state):
        """Run one pass over the samples; returns the weighted mean of the batches' losses, including the L2 penalty."""
        if self.workspace is None:
            self.workspace = make_workspace(self.network, self.plan, state)
        order = draw_order(self.problem, state, self.plan, self.generator)
        total_loss, total_weight = run_batches(self.problem, order, self.plan, state, self.workspace)
        return total_loss / total_weight

    def announce(self, line):
        """Print a line about the training."""
        print(line)

    def validate(self, parameters):
        """Loss and score on the validation set."""
        return self.holdout.evaluate(self.problem, parameters, self.plan.n_scoring_threads)

    def measure_filters(self, number, parameters, n_rows):
        """Mean and variance of each filter of a layer on at most `n_rows` of the rows: (n_filters, 2)."""
        rows = some_rows(self.problem, n_rows)
        return measure_filters(self.problem, number, rows, parameters, self.plan.n_scoring_threads)

    def measure_logits(self, parameters, n_rows=None):
        """Mean and variance of each logit on at most `n_rows` of the rows, or on all: (n_outputs, 2)."""
        rows = self.problem.rows if n_rows is None else some_rows(self.problem, n_rows)
        return measure_logits(self.problem, rows, parameters, self.plan.n_scoring_threads)

    def constant_loss(self):
        """The loss of the best constant prediction, and how to compute that of the model, on the same rows."""
        problem, objective = self.problem, self.problem.objective["loss"]
        # With normalisation, the model's loss must always be computed, so that fewer rows have to do.
        rows = some_rows(problem, _LOOKED_AT) if self.network.batch_norm else problem.rows
        targets, weights = problem.targets[rows], problem.sample_weight[rows]

        def loss_of(parameters):
            logits = self.network.logits(problem.X, parameters, self.plan.n_scoring_threads, rows)
            with np.errstate(over="ignore", invalid="ignore"):
                return mean_loss(logits.astype(np.float64), targets, weights, objective)

        return constant_loss(targets, weights, objective), loss_of


def make_workspace(network, plan, state):
    return network.workspace(plan.batch_size, plan.n_threads, state.parameters.dtype)


def draw_order(problem, state, plan, generator):
    """The `Order` of the next epoch."""
    n_samples = len(problem.rows)
    return Order(
        problem.rows[generator.permutation(n_samples)] if plan.shuffle else problem.rows,
        draw_moves(plan, n_samples, generator, state),
        plan.batch_size,
        plan.learning_rates(state, -(-n_samples // plan.batch_size)),
        plan.averaging_weights(state, n_samples),
    )


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


def run_batches(problem, order, plan, state, workspace):
    """Train on the batches of an order; returns the sums of their losses times weights, and of their weights."""
    # Forward pass, gradient of the weights, gradient of the activations.
    batch_work = 3 * problem.network.n_multiply_adds * plan.batch_size
    n_run = count_until_signals(batch_work)
    total_loss = total_weight = 0.0
    for first in range(0, len(order.learning_rates), n_run):
        run = order.part(first, first + n_run)
        loss, weight = train_batches(problem, run, plan.solver, state, workspace, plan.n_threads)
        total_loss += loss
        total_weight += weight
    return total_loss, total_weight
