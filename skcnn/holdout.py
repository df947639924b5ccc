"""The validation set: a held-out part of the training set, or the set passed by the caller."""

from dataclasses import dataclass, replace
from math import isfinite

import numpy as np
from sklearn.model_selection import train_test_split

from skcnn.images import check_squares, read_images
from skcnn.losses import mean_loss
from skcnn.targets import check_labels
from skcnn.validation import check_sample_weight


@dataclass(frozen=True)
class Holdout:
    """Samples that are scored after each epoch and never trained on."""

    X: np.ndarray  # (n_samples, n_features)
    targets: np.ndarray  # (n_samples, n_outputs)
    sample_weight: np.ndarray  # (n_samples,), without class weights
    rows: np.ndarray | None  # of these arrays; None for all

    def evaluate(self, problem, parameters, n_threads):
        """Weighted mean loss, without penalty, smoothing and class weights, and weighted accuracy."""
        rows = slice(None) if self.rows is None else self.rows
        logits = problem.network.logits(self.X, parameters, n_threads, self.rows).astype(np.float64)
        targets, weights = self.targets[rows] > 0.5, self.sample_weight[rows]  # undo the smoothing
        with np.errstate(all="ignore"):
            loss = mean_loss(logits, targets, weights, problem.objective["loss"])
        if not (np.isfinite(logits).all() and isfinite(loss)):
            name = "X_val" if self.rows is None else "X"
            raise ValueError(
                f"{name} holds values too large for {parameters.dtype.name}, in which this model computes."
            )
        correct = problem.labels.are_correct(logits, targets)
        return loss, float(np.average(correct, weights=weights))


def hold_out(fraction, seed, problem, weights, *, is_part=False):
    """The problem without the held-out rows, and these as a `Holdout`; `weights` do not include class weights.

    The split is stratified by class, except with multilabel targets, and where a part of the data, `is_part`, has too
    few samples of a class. A part may hold out a single sample, and samples without weight.

    Raises
    ------
    ValueError
        If there are too few samples, or all weights of either side are zero.
    """
    labels, n_samples = problem.labels, len(problem.rows)
    try:
        learnt, held = _split_rows(fraction, seed, problem, is_part)
    except ValueError as error:
        raise ValueError(
            f"early_stopping=True cannot hold out validation_fraction={fraction} of {n_samples} samples"
            f"{' of a replica' if is_part else ''} in {len(labels.classes)} classes: {error} Take another fraction, or "
            "pass X_val and y_val."
        ) from error
    if len(held) < 2 and not is_part:
        raise ValueError(
            f"The validation set is too small: validation_fraction={fraction} of {n_samples} samples holds out "
            f"{len(held)}, and at least two are needed."
        )
    learnt.sort()
    held.sort()
    if not is_part:
        check_weights_of_split(problem.sample_weight[learnt].any(), weights[held].any())
    return replace(problem, rows=learnt), Holdout(problem.X, problem.targets, weights, held)


def _split_rows(fraction, seed, problem, is_part):
    """The rows to learn from and the rows to hold out."""
    labels, targets = problem.labels, problem.targets
    classes = None
    if not labels.multilabel:
        classes = targets[:, 0] if labels.n_outputs == 1 else targets.argmax(axis=1)
    options = {"test_size": fraction, "random_state": seed}
    try:
        return train_test_split(problem.rows, stratify=classes, **options)
    except ValueError:
        if not is_part:
            raise
        return train_test_split(problem.rows, **options)


def check_weights_of_split(learnt, held):
    """Check that there is weight among the samples to learn from and among those that are held out."""
    for has_weight, name in ((learnt, "left to learn from"), (held, "held out to validate with")):
        if not has_weight:
            raise ValueError(f"sample_weight is zero for every sample that early_stopping=True has {name}.")


def read_validation_set(estimator, network, labels, dtype, X_val, y_val, sample_weight_val):
    """The caller's validation set as a `Holdout`, or None if there is none.

    Raises
    ------
    ValueError, TypeError
        If X_val or y_val is missing, or the set does not match the training set.
    """
    if X_val is None and y_val is None and sample_weight_val is None:
        return None
    if X_val is None or y_val is None:
        missing = " and ".join(name for name, value in (("X_val", X_val), ("y_val", y_val)) if value is None)
        raise ValueError(f"A validation set is X_val and y_val, perhaps with sample_weight_val; {missing} is missing.")
    try:
        X_val, y_val, _ = read_images(estimator, X_val, y_val, reset=False, image_shape=network.image_shape)
        y_val = check_labels(y_val, has_classes=True)
    except (TypeError, ValueError) as error:
        kind = TypeError if isinstance(error, TypeError) else ValueError
        raise kind(f"X_val and y_val do not go with X and y: {error}") from error
    check_squares(X_val, network.rescale, dtype, "X_val")
    weights = check_sample_weight(sample_weight_val, X_val.shape[0], dtype, name="sample_weight_val")
    return Holdout(X_val, labels.encode(y_val, "y_val"), weights, None)
