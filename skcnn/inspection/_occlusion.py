"""Occlusion: the fall of a class's logit when a patch of the image is covered."""

import numpy as np

from skcnn.inspection._inputs import Inputs, grid_edges
from skcnn.inspection._overlay import draw_overlays
from skcnn.inspection._plotting import SIGNED
from skcnn.validation import check_integer, check_real, is_sequence

# Values of covered images held in memory at once.
_BLOCK = 2**20


def occlusion(estimator, X, *, target=None, patch_size=4, stride=1, baseline=0):
    """Compute how much the logit of a class falls when a patch covers a part of the image, for each patch position.

    Each position takes one prediction: Zeiler and Fergus (2014), "Visualizing and understanding convolutional
    networks", section 4.2.

    Parameters
    ----------
    estimator : ConvSigmoidClassifier, Pipeline or search
        Fitted. A Pipeline must end in the classifier, and its other steps transform X; of a search (GridSearchCV), the
        best estimator is used.
    X : array-like of shape (n_samples, n_features) or (n_samples, height, width[, n_channels])
        Images as in `fit`.
    target : label or array-like of shape (n_samples,), default=None
        The class to explain, for all samples or one for each; with multilabel targets, the label's column number. None
        is the most probable class or label of each uncovered image.
    patch_size : int or tuple of (height, width), default=4
        Size of the patch in pixels. An int is clipped to the sides of the image; a pair must fit.
    stride : int or tuple of (rows, columns), default=1
        Pixels from one position to the next.
    baseline : float, default=0
        Value of covered pixels, in the units of the classifier's own input: after a StandardScaler, 0 is the mean
        image.

    Returns
    -------
    drops : ndarray of shape (n_samples, n_rows, n_columns)
        Fall of the logit for each position of the patch, from the upper left corner; negative where the logit rises.

    Raises
    ------
    NotFittedError
        If the classifier is not fitted.
    ValueError, TypeError
        If X does not match the training data, a target is not a class, a number is out of bounds, or the estimator is
        of another kind.

    Examples
    --------
    >>> from skcnn import ConvSigmoidClassifier
    >>> from skcnn.datasets import load_mnist_sample
    >>> from skcnn.inspection import occlusion
    >>> X, y = load_mnist_sample(return_X_y=True)
    >>> clf = ConvSigmoidClassifier(learning_rate="cosine", max_iter=20, random_state=0)
    >>> clf = clf.fit(X[:200], y[:200])
    >>> occlusion(clf, X[200:205], stride=2).shape
    (5, 13, 13)
    """
    return _cover(Inputs(estimator, X), target, patch_size, stride, baseline)[0]


def _cover(inputs, target, patch_size, stride, baseline):
    """Drops, classes, and the extent of the map of drops in pixels."""
    images = inputs.images.astype(inputs.parameters.dtype, copy=False)
    _, *sides, _ = images.shape
    patch, steps = check_patch(patch_size, sides), check_pair("stride", stride)
    baseline = check_real("baseline", baseline, -np.inf, np.inf, "()")
    tops, lefts = (range(0, sides[axis] - patch[axis] + 1, steps[axis]) for axis in (0, 1))
    places = [(top, left) for top in tops for left in lefts]
    before = inputs.logits()
    outputs, signs, classes = inputs.find_outputs(before, target)
    drops = np.empty((len(images), len(places)), dtype=before.dtype)
    n_held = max(1, _BLOCK // inputs.network.n_features)
    for number, image in enumerate(images):
        for start in range(0, len(places), n_held):
            some = places[start : start + n_held]
            covered = np.repeat(image[np.newaxis], len(some), axis=0)
            for one, (top, left) in zip(covered, some, strict=True):
                one[top : top + patch[0], left : left + patch[1]] = baseline
            after = inputs.logits(covered.reshape(len(some), -1))[:, outputs[number]]
            drops[number, start : start + n_held] = signs[number] * (before[number, outputs[number]] - after)
    (top, bottom), (left, right) = (
        grid_edges((size - 1) / 2, step, len(starts))
        for size, step, starts in zip(patch, steps, (tops, lefts), strict=True)
    )
    return drops.reshape(len(images), len(tops), len(lefts)), classes, (left, right, bottom, top)


def check_patch(patch_size, sides):
    """(height, width) of the patch: an int is clipped to the sides, a pair must fit."""
    patch = check_pair("patch_size", patch_size)
    if not is_sequence(patch_size):
        return tuple(min(size, side) for size, side in zip(patch, sides, strict=True))
    if any(size > side for size, side in zip(patch, sides, strict=True)):
        raise ValueError(f"patch_size={patch_size!r} must fit into images of {sides[0]} x {sides[1]} pixels.")
    return patch


def check_pair(name, value):
    """A pair of positive integers; an int stands for both."""
    pair = value if is_sequence(value) else (value, value)
    if len(pair) != 2:
        raise ValueError(f"{name}={value!r} must be an integer or a pair of them.")
    return tuple(check_integer(name, one, 1) for one in pair)


class OcclusionDisplay:
    """Display of occlusion: red where covering a patch lowers the logit of the class, blue where it raises it.

    The map is drawn below the picture, to the same scale and with the outlines of a grey picture, or behind the curve
    of a signal. Each value is at the centre of its patch.

    Use :meth:`from_estimator` to create one. All parameters are stored as attributes.

    Parameters
    ----------
    drops : ndarray of shape (n_samples, n_rows, n_columns)
        As returned by :func:`occlusion`.
    target : ndarray of shape (n_samples,)
        The class explained for each image.
    images : ndarray of shape (n_samples, height, width, n_channels)
    extent : tuple of (left, right, bottom, top)
        Position of the maps, in pixels of the images.

    Attributes
    ----------
    figure_ : matplotlib Figure
    bounding_ax_ : matplotlib Axes or None
        The axes that contain the others; None if an array of axes was passed.
    axes_ : ndarray of matplotlib Axes
        Rows of pictures alternate with rows of their maps; signals are in one column. None where unused.
    im_ : ndarray of matplotlib AxesImage
        Of the same shape: pictures and maps.
    line_ : ndarray of matplotlib Line2D
        Of the same shape: the curve of each signal, or of its first channel.
    colorbar_ : matplotlib Colorbar or None

    Examples
    --------
    >>> from skcnn import ConvSigmoidClassifier
    >>> from skcnn.datasets import load_mnist_sample
    >>> from skcnn.inspection import OcclusionDisplay
    >>> X, y = load_mnist_sample(return_X_y=True)
    >>> clf = ConvSigmoidClassifier(learning_rate="cosine", max_iter=20, random_state=0)
    >>> clf = clf.fit(X[:200], y[:200])
    >>> display = OcclusionDisplay.from_estimator(clf, X[200:205], stride=2)
    >>> display.drops.shape
    (5, 13, 13)
    """

    def __init__(self, drops, target, images, extent):
        self.drops = drops
        self.target = target
        self.images = images
        self.extent = extent

    @classmethod
    def from_estimator(
        cls,
        estimator,
        X,
        *,
        target=None,
        patch_size=4,
        stride=1,
        baseline=0,
        ax=None,
        n_cols=8,
        cmap=SIGNED,
        colorbar=True,
        im_kw=None,
        curve_kwargs=None,
    ):
        """Compute and draw the occlusion of images for a fitted classifier.

        Parameters
        ----------
        estimator : ConvSigmoidClassifier, Pipeline or search
            Fitted. A Pipeline must end in the classifier, and its other steps transform X; of a search (GridSearchCV),
            the best estimator is used.
        X : array-like of shape (n_samples, n_features) or (n_samples, height, width[, n_channels])
            Images to draw.
        target, patch_size, stride, baseline
            As in :func:`occlusion`.
        ax, n_cols, cmap, colorbar, im_kw, curve_kwargs
            See :meth:`plot`.

        Returns
        -------
        display : OcclusionDisplay

        Raises
        ------
        NotFittedError, ValueError, TypeError
            As in :func:`occlusion`.
        """
        inputs = Inputs(estimator, X)
        drops, classes, extent = _cover(inputs, target, patch_size, stride, baseline)
        display = cls(drops, classes, inputs.pictures, extent)
        return display.plot(ax, n_cols=n_cols, cmap=cmap, colorbar=colorbar, im_kw=im_kw, curve_kwargs=curve_kwargs)

    def plot(self, ax=None, *, n_cols=8, cmap=SIGNED, colorbar=True, im_kw=None, curve_kwargs=None):
        """Draw the maps.

        Parameters
        ----------
        ax : matplotlib Axes or array-like of Axes, default=None
            Axes to subdivide, or an array with one for each picture and map, or for each signal. None creates a figure.
        n_cols : int, default=8
            Number of pictures in a row.
        cmap : str or matplotlib Colormap, default="RdBu_r"
            Colour map of the maps, centred at 0.
        colorbar : bool, default=True
            Whether to draw a colour bar.
        im_kw : dict, default=None
            Keyword arguments of `matplotlib.axes.Axes.imshow` for the maps.
        curve_kwargs : dict, default=None
            Keyword arguments of `matplotlib.axes.Axes.plot` for signals.

        Returns
        -------
        self : OcclusionDisplay

        Raises
        ------
        TypeError
            If `n_cols` is not an integer.
        ValueError
            If `n_cols` is less than 1, or `ax` has too few axes or cannot be subdivided.
        """
        titles = [str(one) for one in self.target]
        title = "Fall of the class's logit where a patch is covered"
        styles = (ax, n_cols, cmap, colorbar, im_kw, curve_kwargs)
        return draw_overlays(self, np.asarray(self.drops), self.extent, titles, "Fall of the logit", title, *styles)
