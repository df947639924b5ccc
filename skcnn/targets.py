"""Conversion of labels to targets, with one column for each output, and of logits to labels."""

from dataclasses import dataclass

import numpy as np
from sklearn.exceptions import DataConversionWarning
from sklearn.utils.multiclass import check_classification_targets

from skcnn.notices import warn


@dataclass(frozen=True)
class Labels:
    """The meaning of the outputs.

    Parameters
    ----------
    classes : ndarray of shape (n_classes,)
        Sorted class labels; column numbers with multilabel targets.
    multilabel : bool
        Whether a sample may have any number of labels instead of one class.
    """

    classes: np.ndarray
    multilabel: bool

    @property
    def n_outputs(self):
        return 1 if len(self.classes) == 2 and not self.multilabel else len(self.classes)

    def encode(self, y, name="y"):
        """Boolean targets of shape (n_samples, n_outputs) for labels, which errors call `name`."""
        if is_multilabel(y) != self.multilabel:
            wanted = f"an indicator of {len(self.classes)} labels" if self.multilabel else "one label per sample"
            raise ValueError(f"{name} must be {wanted}, as the model was started with; got shape {y.shape}.")
        if self.multilabel:
            if y.shape[1] != len(self.classes):
                raise ValueError(f"{name} must have {len(self.classes)} labels per sample; got {y.shape[1]}.")
            return y != 0
        try:
            codes = np.minimum(np.searchsorted(self.classes, y), len(self.classes) - 1)
            known = self.classes[codes] == y
        except TypeError:  # labels that cannot be compared with the classes
            known = np.zeros(len(y), dtype=bool)
        if not known.all():
            unknown = list(dict.fromkeys(y[~known].tolist()))[:10]
            raise ValueError(f"{name} has labels that are not among the classes {self.classes.tolist()}: {unknown}.")
        return codes[:, np.newaxis] == (1 if self.n_outputs == 1 else np.arange(len(self.classes)))

    def smooth(self, targets, smoothing, dtype):
        """Smoothed targets (Szegedy et al., 2016, section 7) of boolean ones; each output of multilabel ones by itself.

        A part `smoothing` of a sample's label is spread evenly over the classes, or over 0 and 1.
        """
        low = smoothing / (2 if self.multilabel else len(self.classes))
        smoothed = np.full(targets.shape, low, dtype=dtype)
        smoothed[targets] = 1 - smoothing + low
        return smoothed

    def decode(self, logits):
        """The most probable class for each row of logits, or multilabel targets of labels of probability above 1/2."""
        if self.multilabel:
            return (logits > 0).astype(int)
        return self.classes[(logits[:, 0] > 0).astype(np.intp) if self.n_outputs == 1 else logits.argmax(axis=1)]

    def are_correct(self, logits, targets):
        """Whether `decode` finds all labels of each row."""
        if self.n_outputs == 1 or self.multilabel:
            return ((logits > 0) == targets).all(axis=1)
        return logits.argmax(axis=1) == targets.argmax(axis=1)


def check_labels(y, *, has_classes=False):
    """y as an array, with one axis unless it is multilabel; a ValueError if y does not hold labels.

    With `has_classes`, values of any kind are accepted, as `Labels.encode` will look them up among known classes.
    """
    y = y.toarray() if hasattr(y, "toarray") else y
    if y.dtype.kind in "iuf" and not y.dtype.isnative:
        y = y.astype(y.dtype.newbyteorder("="))
    if is_multilabel(y):
        if y.ndim != 2 or not ((y == 0) | (y == 1)).all():
            raise ValueError(
                "y must have one label per sample, or be an indicator of 0 and 1 with a column for each label; got "
                f"other values in shape {y.shape}."
            )
        return y
    if y.ndim == 2:
        warn("A column-vector y was passed when a 1d array was expected; it is taken as one.", DataConversionWarning)
        y = y.ravel()
    if not has_classes:
        check_classification_targets(y)
    return y


def is_multilabel(y):
    return y.ndim > 1 and y.shape[1] > 1


def find_labels(y):
    """The `Labels` of a checked y."""
    if is_multilabel(y):
        return Labels(np.arange(y.shape[1]), True)
    return make_labels(np.unique(y), "y")


def find_partial_labels(fitted, y, classes):
    """The `Labels` for `partial_fit`: those of `fitted` or, in the first call, of `classes` or a multilabel y."""
    if classes is not None:
        classes = check_classes(classes)
    if fitted is not None:
        labels = fitted._model.labels
    elif is_multilabel(y):
        labels = find_labels(y)
    elif classes is None:
        raise ValueError("classes must be passed in the first call of partial_fit: all classes that will occur.")
    else:
        labels = make_labels(classes, "classes")
    if classes is not None and not np.array_equal(classes, labels.classes):
        raise ValueError(f"classes={classes.tolist()} are not those of the model, {labels.classes.tolist()}.")
    return labels


def check_classes(classes):
    """The caller's classes, checked and sorted."""
    array = np.asarray(classes)
    if array.ndim != 1 or array.size == 0:
        raise ValueError(f"classes={classes!r} must be a list or an array of labels.")
    try:
        array = np.unique(array)
    except TypeError as error:
        raise ValueError(f"classes={classes!r} must be labels of one type that can be sorted.") from error
    if (array != array).any() or (array.dtype.kind in "fc" and not np.isfinite(array).all()):
        raise ValueError(f"classes={classes!r} must not hold NaN or infinity.")
    return array


def make_labels(classes, name):
    """The `Labels` of two or more sorted classes."""
    if len(classes) < 2:
        raise ValueError(f"{name} must have at least two classes; got one class only: {classes.tolist()[0]!r}.")
    return Labels(classes, False)
