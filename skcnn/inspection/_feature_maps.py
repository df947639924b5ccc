"""Feature maps of a convolutional layer."""

import numpy as np

from skcnn.inspection._inputs import Inputs, find_layer
from skcnn.inspection._plotting import (
    SIGNED,
    UNSIGNED,
    add_colorbar,
    cell_size,
    draw_curves,
    draw_image,
    draw_map,
    empty_like,
    fill_grid,
    is_signal,
    limits,
    make_axes,
    with_channels,
)


def feature_maps(estimator, X, *, layer=-1):
    """Compute the feature maps of a convolutional layer, activated and pooled, as the next layer reads them.

    With `global_pool`, the last layer's maps are returned before that pooling.

    Parameters
    ----------
    estimator : ConvSigmoidClassifier, Pipeline or search
        Fitted. A Pipeline must end in the classifier, and its other steps transform X; of a search (GridSearchCV), the
        best estimator is used.
    X : array-like of shape (n_samples, n_features) or (n_samples, height, width[, n_channels])
        Images as in `fit`.
    layer : int, default=-1
        Number of the convolution, from 0; negative numbers count from the last one.

    Returns
    -------
    maps : ndarray of shape (n_samples, height, width, n_filters)

    Raises
    ------
    NotFittedError
        If the classifier is not fitted.
    ValueError, TypeError
        If X does not match the training data, there is no such layer, or the estimator is of another kind.

    Examples
    --------
    >>> from skcnn import ConvSigmoidClassifier
    >>> from skcnn.datasets import load_mnist_sample
    >>> from skcnn.inspection import feature_maps
    >>> X, y = load_mnist_sample(return_X_y=True)
    >>> clf = ConvSigmoidClassifier((8, 16), learning_rate="cosine", max_iter=20, random_state=0)
    >>> clf = clf.fit(X[:200], y[:200] > 4)
    >>> feature_maps(clf, X[:5]).shape
    (5, 7, 7, 16)
    >>> feature_maps(clf, X[:5], layer=0).shape
    (5, 14, 14, 8)
    """
    inputs = Inputs(estimator, X)
    return inputs.feature_maps(find_layer(inputs.network, layer))


class FeatureMapsDisplay:
    """Display of feature maps: each image and, beside it, the maps of all filters, on a common scale.

    Maps of signals are drawn as curves.

    Use :meth:`from_estimator` to create one. All parameters are stored as attributes.

    Parameters
    ----------
    maps : ndarray of shape (n_samples, height, width, n_filters)
        As returned by :func:`feature_maps`.
    images : ndarray of shape (n_samples, image_height, image_width, n_channels)
    layer : int, default=0
        Number of the convolution, from 0.

    Attributes
    ----------
    figure_ : matplotlib Figure
    bounding_ax_ : matplotlib Axes or None
        The axes that contain the others; None if an array of axes was passed.
    axes_ : ndarray of matplotlib Axes
        In rows and columns, with the images in the first column; None where unused.
    im_ : ndarray of matplotlib AxesImage
        Of the same shape; None for curves and where unused.
    line_ : ndarray of matplotlib Line2D
        Of the same shape: the curves, or that of the first channel; None for pictures.
    colorbar_ : matplotlib Colorbar or None

    Examples
    --------
    >>> from skcnn import ConvSigmoidClassifier
    >>> from skcnn.datasets import load_mnist_sample
    >>> from skcnn.inspection import FeatureMapsDisplay
    >>> X, y = load_mnist_sample(return_X_y=True)
    >>> clf = ConvSigmoidClassifier(learning_rate="cosine", max_iter=20, random_state=0)
    >>> clf = clf.fit(X[:200], y[:200] > 4)
    >>> display = FeatureMapsDisplay.from_estimator(clf, X[:2])
    >>> display.maps.shape
    (2, 12, 12, 16)
    """

    def __init__(self, maps, images, *, layer=0):
        self.maps = maps
        self.images = images
        self.layer = layer

    @classmethod
    def from_estimator(
        cls, estimator, X, *, layer=-1, ax=None, n_cols=8, cmap=None, colorbar=True, im_kw=None, curve_kwargs=None
    ):
        """Compute and draw the feature maps of a fitted classifier.

        Parameters
        ----------
        estimator : ConvSigmoidClassifier, Pipeline or search
            Fitted. A Pipeline must end in the classifier, and its other steps transform X; of a search (GridSearchCV),
            the best estimator is used.
        X : array-like of shape (n_samples, n_features) or (n_samples, height, width[, n_channels])
            Images to draw.
        layer : int, default=-1
            Number of the convolution, from 0; negative numbers count from the last one.
        ax, n_cols, cmap, colorbar, im_kw, curve_kwargs
            See :meth:`plot`.

        Returns
        -------
        display : FeatureMapsDisplay

        Raises
        ------
        NotFittedError, ValueError, TypeError
            As in :func:`feature_maps`.
        """
        inputs = Inputs(estimator, X)
        number = find_layer(inputs.network, layer)
        display = cls(inputs.feature_maps(number), inputs.pictures, layer=number)
        return display.plot(ax, n_cols=n_cols, cmap=cmap, colorbar=colorbar, im_kw=im_kw, curve_kwargs=curve_kwargs)

    def plot(self, ax=None, *, n_cols=8, cmap=None, colorbar=True, im_kw=None, curve_kwargs=None):
        """Draw the maps.

        Parameters
        ----------
        ax : matplotlib Axes or array-like of Axes, default=None
            Axes to subdivide, or an array with one for each image and map, each image before its maps. None creates a
            figure.
        n_cols : int, default=8
            Number of maps in a row.
        cmap : str or matplotlib Colormap, default=None
            Colour map of the maps. None is "viridis", or "RdBu_r", centred at 0, if there are negative values.
        colorbar : bool, default=True
            Whether to draw a colour bar; there is none for curves.
        im_kw : dict, default=None
            Keyword arguments of `matplotlib.axes.Axes.imshow` for the maps.
        curve_kwargs : dict, default=None
            Keyword arguments of `matplotlib.axes.Axes.plot` for the maps of signals.

        Returns
        -------
        self : FeatureMapsDisplay

        Raises
        ------
        TypeError
            If `n_cols` is not an integer.
        ValueError
            If `n_cols` is less than 1, or `ax` has too few axes or cannot be subdivided.
        """
        maps, images = np.asarray(self.maps), with_channels(self.images)
        signed = bool((maps < 0).any())
        bounds, image_bounds = limits(maps, signed=signed), limits(images)
        signal = is_signal(images.shape[1:])
        used = place_maps(len(maps), maps.shape[-1], n_cols)
        colorbar = colorbar and not signal
        self.figure_, self.bounding_ax_, self.axes_ = make_axes(
            ax,
            used,
            f"Feature maps of convolution {self.layer + 1}",
            cell=(1.2, 0.75) if signal else cell_size(0.9, maps.shape[1:]),
            width_ratios=[1.4 if signal else 1] + [1] * (used.shape[1] - 1),
            extra=0.8 * colorbar,
        )
        self.im_, self.line_, self.colorbar_ = empty_like(self.axes_), empty_like(self.axes_), None
        artists = self.line_ if signal else self.im_
        cmap = cmap or (SIGNED if signed else UNSIGNED)
        places = zip(*np.nonzero(used), strict=True)
        for image, of_image in zip(images, maps, strict=True):
            place = next(places)
            artists[place] = draw_image(self.axes_[place], image, image_bounds)
            for values in np.moveaxis(of_image, -1, 0):
                place = next(places)
                one = self.axes_[place]
                if signal:
                    artists[place] = draw_curves(
                        one, values[..., np.newaxis], bounds, curve_kwargs=curve_kwargs, color="tab:green"
                    )
                else:
                    artists[place] = draw_map(one, values, bounds, cmap=cmap, im_kw=im_kw)
        if colorbar:
            self.colorbar_ = add_colorbar(self.figure_, self.axes_, artists[0, 1], "Activation")
        return self


def place_maps(n_samples, n_filters, n_cols):
    """Which cells are used: a column of images and, beside each, its maps in rows of at most `n_cols`."""
    of_maps = fill_grid(n_filters, n_cols)
    of_image = np.arange(len(of_maps))[:, np.newaxis] == 0
    return np.tile(np.hstack([of_image, of_maps]), (n_samples, 1))
