"""What networks that normalise predict with: means and variances of the training set, where a batch has its own."""

import numpy as np

from skcnn.kernels import LANES, measure_norms
from skcnn.network import count_until_signals, own, split_runs

# Past so many batches, running statistics forget the first of them geometrically, by a tenth a batch.
_RUNNING_BATCHES = 10


def has_statistics(network):
    return network.standardize or network.batch_norm


def recompute_statistics(problem, parameters, n_threads, n_rows=None):
    """Replace the statistics in a parameter vector by those of the training set, of these very parameters.

    Running averages, if there are any, trail the parameters; and averages of parameters have none.

    Parameters
    ----------
    problem : Problem
    parameters : ndarray of shape (n_parameters,)
        Its statistics are written to; in float32 they may overflow.
    n_threads : int
    n_rows : int, default=None
        Measure so many of the training set's rows, drawn at random; None is all.
    """
    rows = problem.rows
    if n_rows is not None and len(rows) > n_rows:
        rows = np.random.RandomState(0).choice(rows, n_rows, replace=False)
    # Of filters first: the logits are those of normalised maps.
    if problem.network.batch_norm:
        measure_filters(problem, rows, parameters, n_threads)
    if problem.network.standardize:
        measure_logits(problem, rows, parameters, n_threads)


def measure_logits(problem, rows, parameters, n_threads):
    logits = problem.network.logits(problem.X, parameters, n_threads, rows, standardized=False).astype(np.float64)
    weights = problem.sample_weight[rows]
    if not weights.any():
        return
    means = np.average(logits, axis=0, weights=weights)
    variances = np.average((logits - means) ** 2, axis=0, weights=weights)
    views = problem.network.views(parameters)
    with np.errstate(over="ignore"):
        views["running_means"][:] = means
        views["running_variances"][:] = variances


def measure_filters(problem, rows, parameters, n_threads):
    """Means and variances of each filter, the layers before it normalised by groups of images as in training.

    That takes one pass, as many as there are layers would be exact; Wu and Johnson (2021), "Rethinking 'batch' in
    BatchNorm", section 3, found no difference. Rows are grouped in an order of no meaning: as they come, those of a
    group may be of one class.
    """
    network = problem.network
    rows = np.random.RandomState(0).permutation(rows)
    total, all_norms = 0.0, np.zeros((sum(network.n_filters), 2))
    norms = np.empty_like(all_norms)
    for start, stop in split_runs(len(rows), LANES * count_until_signals(LANES * network.n_multiply_adds)):
        run = rows[start:stop]
        weight = measure_norms(network.compiled, problem.X, problem.sample_weight, run, parameters, n_threads, norms)
        if weight > 0:
            total += weight
            merge_norms(all_norms, norms, weight / total)
    if total == 0:
        return
    views = network.views(parameters)
    ends = np.cumsum(network.n_filters)[:-1]
    with np.errstate(over="ignore"):
        for number, of_layer in enumerate(np.split(all_norms, ends)):
            views[f"means_{number}"][:], views[f"variances_{number}"][:] = of_layer.T


def merge_norms(norms_out, norms, part):
    """Means and variances (n_norms, 2) of both sets of images, `part` of whose weight the second one has.

    Chan, Golub and LeVeque (1983), equation 2.1, as in the kernels.
    """
    differences = norms[:, 0] - norms_out[:, 0]
    norms_out += part * (norms - norms_out)
    norms_out[:, 1] += part * (1 - part) * differences**2


def update_running(problem, state, plan, n_rows=None):
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
