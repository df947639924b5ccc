"""Misclassified samples, the most confident mistakes first."""

import numpy as np
from sklearn.utils import Bunch, check_consistent_length, column_or_1d

from skcnn.fitted import FittedNetwork
from skcnn.images import as_rows, check_image_shape
from skcnn.inspection._inputs import Inputs, unwrap
from skcnn.inspection._plotting import (
    cell_size,
    draw_image,
    empty_like,
    fill_grid,
    is_signal,
    limits,
    make_axes,
    style,
    with_channels,
)
from skcnn.validation import check_integer


def misclassified(y_true, y_pred, *, classes=None):
    """Find the misclassified samples, the most confident mistakes first.

    Parameters
    ----------
    y_true : array-like of shape (n_samples,) or (n_samples, n_labels)
        True labels, or multilabel targets.
    y_pred : array-like of shape (n_samples,), (n_samples, n_classes) or (n_samples, n_labels)
        Predicted labels, or probabilities as returned by `predict_proba`.
    classes : array-like of shape (n_classes,), default=None
        Classes of the columns of probabilities; None is the sorted labels of `y_true`.

    Returns
    -------
    mistakes : Bunch
        `indices` has the indices of the misclassified samples, `y_pred` the labels predicted for them, and `confidence`
        the probability of the wrong label (with multilabel targets, the largest error among the labels). If `y_pred`
        holds labels, `confidence` is None, and the samples are in their original order.

    Raises
    ------
    ValueError
        If shapes, types or classes do not match, or probabilities are not between 0 and 1.

    Examples
    --------
    >>> from skcnn.inspection import misclassified
    >>> p = [[0.9, 0.1], [0.4, 0.6], [0.2, 0.8]]
    >>> mistakes = misclassified(["cat", "cat", "cat"], p, classes=["cat", "dog"])
    >>> mistakes.indices, mistakes.y_pred, mistakes.confidence
    (array([2, 1]), array(['dog', 'dog'], dtype='<U3'), array([0.8, 0.6]))
    """
    y_true, y_pred = as_array(y_true), as_array(y_pred)
    check_consistent_length(y_true, y_pred)
    if y_true.ndim == 2 and y_true.shape[1] > 1:
        return _several_labels(y_true, y_pred)
    y_true = column_or_1d(y_true)
    if y_pred.ndim == 1 or y_pred.shape[1:] == (1,):
        labels, confidence = _check_labels(y_true, column_or_1d(y_pred)), None
        indices = np.flatnonzero(labels != y_true)
    else:
        classes = np.unique(y_true) if classes is None else np.asarray(classes)
        if y_pred.shape[1:] != classes.shape:
            raise ValueError(
                f"y_pred of shape {y_pred.shape} must have a column for each of the classes {classes.tolist()}; pass "
                "`classes` if some are not in y_true."
            )
        _check_probabilities(y_pred)
        if len(unknown := np.setdiff1d(y_true, classes)) or len(np.unique(classes)) < len(classes):
            raise ValueError(
                f"classes={classes.tolist()} must be distinct and hold all labels of y_true; these are missing: "
                f"{unknown.tolist()}."
            )
        codes = y_pred.argmax(axis=1)
        labels, confidence = classes[codes], y_pred.max(axis=1)
        indices = np.flatnonzero(labels != y_true)
        indices = indices[np.argsort(-confidence[indices], kind="stable")]
        confidence = confidence[indices]
    return Bunch(indices=indices, y_pred=labels[indices], confidence=confidence)


def _predict(estimator, X):
    """Probabilities, of shape (n_samples, n_labels) with multilabel targets, or labels without `predict_proba`."""
    if not hasattr(estimator, "predict_proba"):
        return estimator.predict(X)
    p = estimator.predict_proba(X)
    return np.column_stack([of_label[:, 1] for of_label in p]) if isinstance(p, list) else p


def as_array(labels):
    """Labels or probabilities, perhaps a sparse indicator, as an array."""
    return np.asarray(labels.toarray() if hasattr(labels, "toarray") else labels)


def _check_labels(y_true, y_pred):
    """Check that predictions are labels like the true ones, and not the probabilities of one class."""
    if len(y_true) and _is_text(y_true) != _is_text(y_pred):
        raise ValueError(f"y_pred of {y_pred.dtype} must hold labels of the type of y_true, {y_true.dtype}.")
    if y_pred.dtype.kind == "f" and not (np.isin(y_pred, y_true) | (y_pred == np.round(y_pred))).all():
        raise ValueError(
            "y_pred must be labels, or probabilities with a column for each class; got fractions of shape "
            f"{y_pred.shape}. Of two classes, pass both columns of predict_proba(X)."
        )
    return y_pred


def _is_text(labels):
    """Whether labels are strings, which data frames hold as objects."""
    return labels.dtype.kind in "UST" or (labels.dtype == object and all(isinstance(one, str) for one in labels))


def _check_probabilities(p):
    # A float32 probability may be rounded to slightly more than 1.
    if not ((p >= -1e-6) & (p <= 1 + 1e-6)).all():
        raise ValueError("y_pred with a column for each class must be probabilities, from 0 to 1; some are not.")


def _several_labels(y_true, y_pred):
    if y_pred.shape != y_true.shape:
        raise ValueError(f"y_pred of shape {y_pred.shape} must have the shape of y_true, {y_true.shape}.")
    _check_probabilities(y_pred)
    labels = (y_pred > 0.5).astype(int)
    wrong = labels != y_true
    confidence = np.where(wrong, np.abs(y_pred - y_true), 0).max(axis=1)
    indices = np.flatnonzero(wrong.any(axis=1))
    indices = indices[np.argsort(-confidence[indices], kind="stable")]
    is_sure = not np.isin(y_pred, (0, 1)).all()
    return Bunch(indices=indices, y_pred=labels[indices], confidence=confidence[indices] if is_sure else None)


class MisclassifiedDisplay:
    """Display of misclassified images with their labels, the most confident mistakes first.

    Use :meth:`from_estimator` or :meth:`from_predictions` to create one. All parameters are stored as attributes.

    Parameters
    ----------
    images : ndarray of shape (n_images, height, width, n_channels)
    y_true, y_pred : ndarray of shape (n_images,) or (n_images, n_labels)
        True and predicted labels of these images.
    indices : ndarray of shape (n_images,), default=None
        Indices of the images among the samples.
    confidence : ndarray of shape (n_images,), default=None
        Probability of the wrong labels.
    n_mistakes, n_samples : int, default=None
        Number of mistakes, shown or not, and of samples, for the title.

    Attributes
    ----------
    figure_ : matplotlib Figure
    bounding_ax_ : matplotlib Axes or None
        The axes that contain the others; None if an array of axes was passed.
    axes_ : ndarray of matplotlib Axes
        In rows and columns, None where unused; of shape (0, 0) if there are no mistakes.
    im_ : ndarray of matplotlib AxesImage
        Of the same shape; None for curves and where unused.
    line_ : ndarray of matplotlib Line2D
        Of the same shape: the curve of each signal, or of its first channel; None for pictures.
    text_ : ndarray of matplotlib Text
        Of the same shape: the labels.

    Examples
    --------
    >>> from skcnn import ConvSigmoidClassifier
    >>> from skcnn.datasets import load_mnist_sample
    >>> from skcnn.inspection import MisclassifiedDisplay
    >>> X, y = load_mnist_sample(return_X_y=True)
    >>> clf = ConvSigmoidClassifier(learning_rate="cosine", max_iter=20, random_state=0)
    >>> clf = clf.fit(X[:200], y[:200])
    >>> display = MisclassifiedDisplay.from_estimator(clf, X[200:], y[200:], n_images=10)
    >>> display.images.shape
    (10, 28, 28, 1)
    """

    def __init__(self, images, y_true, y_pred, *, indices=None, confidence=None, n_mistakes=None, n_samples=None):
        self.images = images
        self.y_true = y_true
        self.y_pred = y_pred
        self.indices = indices
        self.confidence = confidence
        self.n_mistakes = n_mistakes
        self.n_samples = n_samples

    @classmethod
    def from_estimator(
        cls,
        estimator,
        X,
        y,
        *,
        image_shape=None,
        n_images=25,
        ax=None,
        n_cols=5,
        im_kw=None,
        curve_kwargs=None,
        text_kw=None,
    ):
        """Find and draw the mistakes of a fitted classifier.

        Parameters
        ----------
        estimator : classifier, Pipeline or search
            Fitted. Without `predict_proba`, the first mistakes of `predict` are drawn.
        X : array-like of shape (n_samples, n_features) or (n_samples, height, width[, n_channels])
            Images. For a ConvSigmoidClassifier in a Pipeline, X itself is drawn if the other steps transform pixels one
            by one, as scalers do, and the transformed X otherwise. For other classifiers, the shape of the images is
            found as in ConvSigmoidClassifier.
        y : array-like of shape (n_samples,) or (n_samples, n_labels)
            The true labels.
        image_shape : tuple of (height, width) or (height, width, n_channels), default=None
            Shape of the image in a row of X; not used for a ConvSigmoidClassifier, which has its own.
        n_images : int, default=25
            Largest number of images drawn.
        ax, n_cols, im_kw, curve_kwargs, text_kw
            See :meth:`plot`.

        Returns
        -------
        display : MisclassifiedDisplay

        Raises
        ------
        NotFittedError
            If the classifier is not fitted.
        ValueError, TypeError
            If X or y does not match the classifier.
        """
        images = X
        if isinstance(unwrap(estimator)[0], FittedNetwork):
            images = Inputs(estimator, X).pictures
            image_shape = images.shape[1:]
        return cls.from_predictions(
            y,
            _predict(estimator, X),
            images,
            classes=estimator.classes_,
            image_shape=image_shape,
            n_images=n_images,
            ax=ax,
            n_cols=n_cols,
            im_kw=im_kw,
            curve_kwargs=curve_kwargs,
            text_kw=text_kw,
        )

    @classmethod
    def from_predictions(
        cls,
        y_true,
        y_pred,
        X,
        *,
        classes=None,
        image_shape=None,
        n_images=25,
        ax=None,
        n_cols=5,
        im_kw=None,
        curve_kwargs=None,
        text_kw=None,
    ):
        """Find and draw the mistakes in predictions.

        Parameters
        ----------
        y_true, y_pred, classes
            As in :func:`misclassified`. With predicted labels instead of probabilities, the first mistakes are drawn.
        X : array-like of shape (n_samples, n_features) or (n_samples, height, width[, n_channels])
            Images.
        image_shape : tuple of (height, width) or (height, width, n_channels), default=None
            Shape of the image in a row of X, as in ConvSigmoidClassifier.
        n_images : int, default=25
            Largest number of images drawn.
        ax, n_cols, im_kw, curve_kwargs, text_kw
            See :meth:`plot`.

        Returns
        -------
        display : MisclassifiedDisplay

        Raises
        ------
        ValueError, TypeError
            If X, labels and predictions do not match.
        """
        n_images = check_integer("n_images", n_images, 1)
        rows, given_shape = as_rows(X)
        rows = np.asarray(rows)
        if rows.ndim != 2:
            raise ValueError(f"X of shape {rows.shape} must be rows, 2 axes, or images, 3 or 4 with the channels.")
        shape = check_image_shape(image_shape, rows.shape[1], given_shape)
        check_consistent_length(rows, y_true)
        mistakes = misclassified(y_true, y_pred, classes=classes)
        indices = mistakes.indices[:n_images]
        display = cls(
            rows[indices].reshape(-1, *shape),
            as_array(y_true)[indices],
            mistakes.y_pred[:n_images],
            indices=indices,
            confidence=None if mistakes.confidence is None else mistakes.confidence[:n_images],
            n_mistakes=len(mistakes.indices),
            n_samples=len(rows),
        )
        return display.plot(ax, n_cols=n_cols, im_kw=im_kw, curve_kwargs=curve_kwargs, text_kw=text_kw)

    def plot(self, ax=None, *, n_cols=5, im_kw=None, curve_kwargs=None, text_kw=None):
        """Draw the images.

        Parameters
        ----------
        ax : matplotlib Axes or array-like of Axes, default=None
            Axes to subdivide, or an array with one for each image. None creates a figure.
        n_cols : int, default=5
            Number of images in a row.
        im_kw : dict, default=None
            Keyword arguments of `matplotlib.axes.Axes.imshow`.
        curve_kwargs : dict, default=None
            Keyword arguments of `matplotlib.axes.Axes.plot` for signals.
        text_kw : dict, default=None
            Keyword arguments of `matplotlib.axes.Axes.set_title` for the labels.

        Returns
        -------
        self : MisclassifiedDisplay

        Raises
        ------
        TypeError
            If `n_cols` is not an integer.
        ValueError
            If `n_cols` is less than 1, or `ax` has too few axes or cannot be subdivided.
        """
        from matplotlib.text import Text

        images = with_channels(self.images)
        n_images = len(images)
        signal = is_signal(images.shape[1:])
        used = fill_grid(n_images, n_cols) if n_images else np.zeros((0, 0), dtype=bool)
        cell = (2.2, 1.4) if signal else cell_size(1.3, images.shape[1:], above=0.4)
        self.figure_, self.bounding_ax_, self.axes_ = make_axes(ax, used, self._title(n_images), cell=cell)
        self.im_, self.line_, self.text_ = (empty_like(self.axes_) for _ in range(3))
        artists = self.line_ if signal else self.im_
        bounds = limits(images) if n_images else None
        for number, place in enumerate(zip(*np.nonzero(used), strict=True)):
            one = self.axes_[place]
            artists[place] = draw_image(one, images[number], bounds, im_kw=im_kw, curve_kwargs=curve_kwargs)
            self.text_[place] = one.set_title(
                self._label(number), **style(Text, {"fontsize": "small", "pad": 3}, text_kw)
            )
        return self

    def _label(self, number):
        true, predicted = spell_labels(self.y_true[number]), spell_labels(self.y_pred[number])
        sure = "" if self.confidence is None else f" ({self.confidence[number]:.2f})"
        return f"{true}\ntaken for {predicted}{sure}"

    def _title(self, n_images):
        if self.n_mistakes is None:
            return f"{n_images} mistakes"
        of_samples = "" if self.n_samples is None else f" of {self.n_samples}"
        title = f"{self.n_mistakes}{of_samples} misclassified"
        if n_images < self.n_mistakes:
            title += f", the first {n_images}" if self.confidence is None else f", the {n_images} most confident"
        return title


def spell_labels(label):
    """A label as text, or the column numbers of an indicator's labels."""
    if np.ndim(label) == 0:
        return str(label)
    return "+".join(str(number) for number in np.flatnonzero(label)) or "none"
