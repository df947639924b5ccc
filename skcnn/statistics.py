"""Statistics for predictions: means and variances of the training set in place of those of a batch."""

import numpy as np

from skcnn.kernels import LANES, measure_norms
from skcnn.network import count_until_signals, own, split_runs

# Largest number of rows to measure filters on: each layer takes a pass, with a validation set after every epoch. The
# standard deviation of this many normal values has a relative error of 0.5 %.
_MOST_ROWS = 16384

# Largest number of rows to measure on after an interrupt, when the user waits.
_FEW_ROWS = 1024

# Groups of rows measured together, by at most as many threads. It is fixed, as it determines how sums are rounded.
_GROUPS = 8

# Weight of the old running statistics after a batch.
_MOMENTUM = 0.9


def has_statistics(network):
    return network.standardize or network.batch_norm


def recompute_statistics(passes, parameters, *, promptly=False):
    """Replace the statistics in a parameter vector by those of the training set with exactly these parameters.

    Running statistics lag behind the parameters, and averaged parameters have none.

    Parameters
    ----------
    passes : LocalPasses
    parameters : ndarray of shape (n_parameters,)
        Its statistics are overwritten; in float32 they may overflow.
    promptly : bool, default=False
        Whether to measure on fewer rows.
    """
    network = passes.network
    views = network.views(parameters)
    with np.errstate(over="ignore"):
        # Filters first, as the logits depend on the normalised maps.
        if network.batch_norm:
            for number in range(len(network.stages)):
                norms = passes.measure_filters(number, parameters, _FEW_ROWS if promptly else _MOST_ROWS)
                views[f"means_{number}"][:], views[f"variances_{number}"][:] = norms.T
        if network.standardize:
            norms = passes.measure_logits(parameters, _FEW_ROWS if promptly else None)
            views["running_means"][:], views["running_variances"][:] = norms.T


def some_rows(problem, n_rows):
    """At most `n_rows` rows of the training set, drawn at random from those with positive weight."""
    rows = problem.rows[problem.sample_weight[problem.rows] > 0]
    if len(rows) > n_rows:
        rows = np.sort(np.random.RandomState(0).choice(rows, n_rows, replace=False))
    return rows


@np.errstate(over="ignore", invalid="ignore")  # what is not finite is found by check_finite
def measure_logits(problem, rows, parameters, n_threads):
    """Mean and variance of each logit: (n_outputs, 2)."""
    logits = problem.network.logits(problem.X, parameters, n_threads, rows, standardized=False).astype(np.float64)
    weights = problem.sample_weight[rows]
    means = np.average(logits, axis=0, weights=weights)
    return np.stack([means, np.average((logits - means) ** 2, axis=0, weights=weights)], axis=1)


@np.errstate(over="ignore", invalid="ignore")
def measure_filters(problem, number, rows, parameters, n_threads):
    """Mean and variance of each filter of a layer, with the layers before normalised as in predictions.

    One pass for all layers, normalised by groups of images as in training, would be cheaper. But if images differ much
    in brightness or scale, groups differ from the whole set, and such statistics make predictions worthless: the
    accuracy on the PigCVP series is 0.14 with them, and 0.94 with these.

    Returns
    -------
    norms : ndarray of shape (n_filters, 2)
    """
    network = problem.network
    norms = np.zeros((network.n_filters[number], 2))
    of_run, total = np.empty_like(norms), 0.0
    for start, stop in split_runs(len(rows), _GROUPS * LANES * count_until_signals(LANES * network.n_multiply_adds)):
        samples = problem.X, problem.sample_weight, rows[start:stop]
        weight = measure_norms(network.compiled, number, *samples, parameters, n_threads, of_run)
        total += weight
        merge_norms(norms, of_run, weight / total)
    return norms


@np.errstate(over="ignore", invalid="ignore")
def merge_norms(norms_out, norms, part):
    """Merge means and variances (n_norms, 2) of two sets of images; `part` is the second set's share of the weight.

    Chan, Golub and LeVeque (1983), equation 2.1, as in the kernels.
    """
    differences = norms[:, 0] - norms_out[:, 0]
    norms_out += part * (norms - norms_out)
    norms_out[:, 1] += part * (1 - part) * differences**2


def update_running(passes, state, plan, *, promptly=False):
    """Merge the statistics of a stream's chunk into the running ones.

    They are measured with the model's present parameters (or averages), layer by layer, each with the merged statistics
    of the layers before. A chunk counts once for each of its batches.
    """
    network = passes.network
    n_batches = -(-passes.n_samples // plan.batch_size)
    n_seen = max(n_batches, -(-state.t // plan.batch_size))
    part = max(n_batches / n_seen, 1 - _MOMENTUM**n_batches)
    n_rows = _FEW_ROWS if promptly else _MOST_ROWS
    learnt = own(state.learnt_parameters(), state.parameters.dtype)
    learnt[network.n_trainable :] = state.statistics
    views = network.views(learnt)

    def put_together(means, variances, measured):
        norms = np.stack([means, variances], axis=1).astype(np.float64)
        merge_norms(norms, measured, part)
        means[:], variances[:] = norms.T

    with np.errstate(over="ignore"):
        for number in range(len(network.stages)):
            measured = passes.measure_filters(number, learnt, n_rows)
            put_together(views[f"means_{number}"], views[f"variances_{number}"], measured)
        if network.standardize:
            put_together(views["running_means"], views["running_variances"], passes.measure_logits(learnt, n_rows))
    state.parameters[network.n_trainable :] = learnt[network.n_trainable :]
