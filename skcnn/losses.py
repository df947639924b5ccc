"""Losses of predictions without penalty, for validation and checks; the kernels have those for training."""

from math import frexp, ldexp

import numpy as np

from skcnn.kernels import LOSSES


def mean_loss(logits, targets, sample_weight, loss):
    """Weighted mean of the losses summed over outputs; `loss` is its number in LOSSES, targets may be smoothed.

    Parameters
    ----------
    logits, targets : ndarray of shape (n_samples, n_outputs)
    sample_weight : ndarray of shape (n_samples,)
    """
    if loss == LOSSES["log_loss"]:
        losses = np.log1p(np.exp(-np.abs(logits))) + np.maximum(logits, 0) - targets * logits
    else:
        losses = (0.5 + 0.5 * np.tanh(0.5 * logits) - targets) ** 2 / 2
    unit = ldexp(1.0, frexp(sample_weight.max())[1])  # the products of losses and weights might overflow
    return float(np.average(losses.sum(axis=1), weights=sample_weight / unit))


def constant_loss(targets, sample_weight, loss):
    """The `mean_loss` of the best constant prediction, the mean targets."""
    total = sample_weight.sum(dtype=np.float64)
    # Without copies in float64, which would be the most memory of a fit to many small images.
    means = np.einsum("ij,i->j", targets, sample_weight, dtype=np.float64) / total
    mean_squares = np.einsum("ij,ij,i->j", targets, targets, sample_weight, dtype=np.float64) / total
    return loss_of_means(means, mean_squares, loss)


def loss_of_means(means, mean_squares, loss):
    """`constant_loss` for targets with these means, and means of squares, of each output: (n_outputs,)."""
    if loss != LOSSES["log_loss"]:
        return float((mean_squares - means**2).sum() / 2)
    both = np.stack([means, 1 - means]).clip(0, 1)
    return float(-(both * np.log(both, where=both > 0, out=np.zeros_like(both))).sum())
