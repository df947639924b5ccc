"""What networks that normalise predict with: means and variances of the training set, where a batch has its own."""

import numpy as np

from skcnn.kernels import LANES, measure_norms
from skcnn.network import count_until_signals, own, split_runs

# Rows of a large training set that filters are measured on. There is a pass for each layer, and where scores are
# followed after each epoch; deviations are exact to half a hundredth even if a row were a single value.
_MOST_ROWS = 16384

# Past so many batches, running statistics forget the first of them geometrically, by a tenth a batch.
_RUNNING_BATCHES = 10


def has_statistics(network):
    return network.standardize or network.batch_norm


def recompute_statistics(problem, parameters, n_threads, n_rows=_MOST_ROWS):
    """Replace the statistics in a parameter vector by those of the training set, of these very parameters.

    Running averages, if there are any, trail the parameters; and averages of parameters have none.

    Parameters
    ----------
    problem : Problem
    parameters : ndarray of shape (n_parameters,)
        Its statistics are written to; in float32 they may overflow.
    n_threads : int
    n_rows : int
        Filters are measured on so many of the training set's rows at most, drawn at random; logits on all.
    """
    # Filters first: the logits are those of normalised maps.
    if problem.network.batch_norm:
        rows = problem.rows[problem.sample_weight[problem.rows] > 0]
        if len(rows) > n_rows:
            rows = np.sort(np.random.RandomState(0).choice(rows, n_rows, replace=False))
        measure_filters(problem, rows, parameters, n_threads)
    if problem.network.standardize:
        measure_logits(problem, parameters, n_threads)


def measure_logits(problem, parameters, n_threads):
    rows = problem.rows
    logits = problem.network.logits(problem.X, parameters, n_threads, rows, standardized=False).astype(np.float64)
    weights = problem.sample_weight[rows]
    means = np.average(logits, axis=0, weights=weights)
    variances = np.average((logits - means) ** 2, axis=0, weights=weights)
    views = problem.network.views(parameters)
    with np.errstate(over="ignore"):
        views["running_means"][:] = means
        views["running_variances"][:] = variances


def measure_filters(problem, rows, parameters, n_threads):
    """Means and variances of each filter, layer by layer: those before are normalised as they will be in predictions.

    One pass, in which each layer is normalised by its groups of images as in training, would be cheaper. Where images
    differ much in brightness or scale, groups do from all of them, and predictions by such statistics are worthless:
    of PigCVP's series, 0.14 are right where these have 0.94.
    """
    network = problem.network
    views = network.views(parameters)
    n_run = LANES * count_until_signals(LANES * network.n_multiply_adds)
    for number, n_filters in enumerate(network.n_filters):
        total, all_norms, norms = 0.0, np.zeros((n_filters, 2)), np.empty((n_filters, 2))
        for start, stop in split_runs(len(rows), n_run):
            samples = problem.X, problem.sample_weight, rows[start:stop]
            weight = measure_norms(network.compiled, number, *samples, parameters, n_threads, norms)
            if weight > 0:
                total += weight
                merge_norms(all_norms, norms, weight / total)
        with np.errstate(over="ignore"):
            views[f"means_{number}"][:], views[f"variances_{number}"][:] = all_norms.T


def merge_norms(norms_out, norms, part):
    """Means and variances (n_norms, 2) of both sets of images, `part` of whose weight the second one has.

    Chan, Golub and LeVeque (1983), equation 2.1, as in the kernels.
    """
    differences = norms[:, 0] - norms_out[:, 0]
    norms_out += part * (norms - norms_out)
    norms_out[:, 1] += part * (1 - part) * differences**2


def update_running(problem, state, plan, n_rows=_MOST_ROWS):
    """Average the filters' statistics of a chunk of a stream, all there is of it now, into the running ones.

    They are those of the parameters that the model has now, averages if there are such; a chunk counts as many times
    as it has batches.
    """
    network = problem.network
    learnt = own(state.learnt_parameters(), state.parameters.dtype)
    recompute_statistics(problem, learnt, plan.n_scoring_threads, n_rows)
    n_batches = -(-len(problem.rows) // plan.batch_size)
    n_seen = max(n_batches, -(-state.t // plan.batch_size))
    rate = min(1.0, n_batches / min(n_seen, _RUNNING_BATCHES))
    views, measured = network.views(state.parameters), network.views(learnt)
    for number in range(len(network.stages)):
        for name in (f"means_{number}", f"variances_{number}"):
            views[name][:] += rate * (measured[name] - views[name])
