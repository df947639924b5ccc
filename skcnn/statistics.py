"""What networks that normalise predict with: means and variances of the training set, where a batch has its own."""

import numpy as np

from skcnn.kernels import LANES, measure_norms
from skcnn.network import count_until_signals, own, split_runs

# Rows of a large training set that filters are measured on. There is a pass for each layer, and one after each epoch
# where scores are followed; a standard deviation of so many normal values has an error of half a hundredth.
_MOST_ROWS = 16384

# All that is measured on when training is interrupted, and nobody wants to wait.
_FEW_ROWS = 1024

# Groups of rows that are measured together, by as many threads at most: their number decides how sums are rounded.
_GROUPS = 8

# What running statistics keep of those before a batch.
_MOMENTUM = 0.9


def has_statistics(network):
    return network.standardize or network.batch_norm


def recompute_statistics(problem, parameters, n_threads, *, promptly=False):
    """Replace the statistics in a parameter vector by those of the training set, of these very parameters.

    Running averages, if there are any, trail the parameters; and averages of parameters have none.

    Parameters
    ----------
    problem : Problem
    parameters : ndarray of shape (n_parameters,)
        Its statistics are written to; in float32 they may overflow.
    n_threads : int
    promptly : bool, default=False
        Whether to measure on some of the rows only.
    """
    network = problem.network
    views = network.views(parameters)
    with np.errstate(over="ignore"):
        # Filters first: the logits are those of normalised maps.
        if network.batch_norm:
            rows = some_rows(problem, _FEW_ROWS if promptly else _MOST_ROWS)
            for number in range(len(network.stages)):
                norms = measure_filters(problem, number, rows, parameters, n_threads)
                views[f"means_{number}"][:], views[f"variances_{number}"][:] = norms.T
        if network.standardize:
            rows = some_rows(problem, _FEW_ROWS) if promptly else problem.rows
            views["running_means"][:], views["running_variances"][:] = measure_logits(
                problem, rows, parameters, n_threads
            ).T


def some_rows(problem, n_rows):
    """So many rows of the training set at most, drawn at random of those that weigh anything."""
    rows = problem.rows[problem.sample_weight[problem.rows] > 0]
    if len(rows) > n_rows:
        rows = np.sort(np.random.RandomState(0).choice(rows, n_rows, replace=False))
    return rows


def measure_logits(problem, rows, parameters, n_threads):
    """Mean and variance of each logit: (n_outputs, 2)."""
    logits = problem.network.logits(problem.X, parameters, n_threads, rows, standardized=False).astype(np.float64)
    weights = problem.sample_weight[rows]
    means = np.average(logits, axis=0, weights=weights)
    return np.stack([means, np.average((logits - means) ** 2, axis=0, weights=weights)], axis=1)


def measure_filters(problem, number, rows, parameters, n_threads):
    """Mean and variance of each of a layer's filters, the layers before normalised as they are in predictions.

    One pass for all layers, each normalised by its groups of images as in training, would be cheaper. Where images
    differ much in brightness or scale, groups do from all of them, and predictions by such statistics are worthless:
    of PigCVP's series, 0.14 are right where these have 0.94.

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


def merge_norms(norms_out, norms, part):
    """Means and variances (n_norms, 2) of both sets of images, `part` of whose weight the second one has.

    Chan, Golub and LeVeque (1983), equation 2.1, as in the kernels.
    """
    differences = norms[:, 0] - norms_out[:, 0]
    norms_out += part * (norms - norms_out)
    norms_out[:, 1] += part * (1 - part) * differences**2


def update_running(problem, state, plan, *, promptly=False):
    """Put the statistics of a chunk of a stream, all there is of it now, together with the running ones.

    They are those of the parameters that the model has now, averages if there are such, and layer by layer by what has
    come of the layers before. A chunk counts as often as it has batches.
    """
    network = problem.network
    n_batches = -(-len(problem.rows) // plan.batch_size)
    n_seen = max(n_batches, -(-state.t // plan.batch_size))
    part = max(n_batches / n_seen, 1 - _MOMENTUM**n_batches)
    rows = some_rows(problem, _FEW_ROWS if promptly else _MOST_ROWS)
    learnt = own(state.learnt_parameters(), state.parameters.dtype)
    learnt[network.n_trainable :] = state.statistics
    views = network.views(learnt)

    def put_together(means, variances, measured):
        norms = np.stack([means, variances], axis=1).astype(np.float64)
        merge_norms(norms, measured, part)
        means[:], variances[:] = norms.T

    with np.errstate(over="ignore"):
        for number in range(len(network.stages)):
            measured = measure_filters(problem, number, rows, learnt, plan.n_scoring_threads)
            put_together(views[f"means_{number}"], views[f"variances_{number}"], measured)
        if network.standardize:
            measured = measure_logits(problem, rows, learnt, plan.n_scoring_threads)
            put_together(views["running_means"], views["running_variances"], measured)
    state.parameters[network.n_trainable :] = learnt[network.n_trainable :]
