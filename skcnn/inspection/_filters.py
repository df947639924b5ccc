"""Filters of a convolutional layer."""

from math import ceil, sqrt

import numpy as np

from skcnn.inspection._inputs import find_classifier, find_layer
from skcnn.inspection._plotting import (
    SIGNED,
    add_colorbar,
    cell_size,
    draw_curves,
    draw_map,
    draw_picture,
    empty_like,
    fill_grid,
    is_signal,
    limits,
    make_axes,
    with_channels,
)


class FiltersDisplay:
    """Display of the filters of a convolutional layer, on a common scale.

    Filters with one channel are drawn with a colour map centred at 0. First-layer filters with three channels are drawn
    in colour, with grey for 0; all other filters have one tile for each channel, row by row. Filters of signals
    are drawn as curves or, with more than three channels, as a picture with one row for each channel.

    Use :meth:`from_estimator` to create one. All parameters are stored as attributes.

    Parameters
    ----------
    filters : ndarray of shape (n_filters, kernel_height, kernel_width, n_channels)
    layer : int, default=0
        Number of the convolution, from 0.

    Attributes
    ----------
    figure_ : matplotlib Figure
    bounding_ax_ : matplotlib Axes or None
        The axes that contain the others; None if an array of axes was passed.
    axes_ : ndarray of matplotlib Axes
        In rows and columns, None where unused.
    im_ : ndarray of matplotlib AxesImage
        Of the same shape; None for curves and where unused.
    line_ : ndarray of matplotlib Line2D
        Of the same shape: the curves, or that of the first channel; None for pictures.
    colorbar_ : matplotlib Colorbar or None

    Examples
    --------
    >>> from skcnn import ConvSigmoidClassifier
    >>> from skcnn.datasets import load_mnist_sample
    >>> from skcnn.inspection import FiltersDisplay
    >>> X, y = load_mnist_sample(return_X_y=True)
    >>> clf = ConvSigmoidClassifier(learning_rate="cosine", max_iter=20, random_state=0)
    >>> clf = clf.fit(X[:200], y[:200] > 4)
    >>> display = FiltersDisplay.from_estimator(clf)
    >>> display.filters.shape
    (16, 5, 5, 1)
    """

    def __init__(self, filters, *, layer=0):
        self.filters = filters
        self.layer = layer

    @classmethod
    def from_estimator(
        cls, estimator, *, layer=0, ax=None, n_cols=8, cmap=SIGNED, colorbar=True, im_kw=None, curve_kwargs=None
    ):
        """Draw the filters of a fitted classifier.

        Parameters
        ----------
        estimator : ConvSigmoidClassifier, Pipeline or search
            Fitted. A Pipeline must end in the classifier; of a search (GridSearchCV), the best estimator is used.
        layer : int, default=0
            Number of the convolution, from 0; negative numbers count from the last one.
        ax, n_cols, cmap, colorbar, im_kw, curve_kwargs
            See :meth:`plot`.

        Returns
        -------
        display : FiltersDisplay

        Raises
        ------
        NotFittedError
            If the classifier is not fitted.
        ValueError, TypeError
            If there is no such layer, or the estimator is of another kind.
        """
        classifier, _ = find_classifier(estimator)
        number = find_layer(classifier._network, layer)
        display = cls(np.moveaxis(classifier.coefs_[number], 1, -1).copy(), layer=number)
        return display.plot(ax, n_cols=n_cols, cmap=cmap, colorbar=colorbar, im_kw=im_kw, curve_kwargs=curve_kwargs)

    def plot(self, ax=None, *, n_cols=8, cmap=SIGNED, colorbar=True, im_kw=None, curve_kwargs=None):
        """Draw the filters.

        Parameters
        ----------
        ax : matplotlib Axes or array-like of Axes, default=None
            Axes to subdivide, or an array with one for each filter. None creates a figure.
        n_cols : int, default=8
            Number of filters in a row.
        cmap : str or matplotlib Colormap, default="RdBu_r"
            Colour map, centred at 0.
        colorbar : bool, default=True
            Whether to draw a colour bar, if a colour map is used.
        im_kw : dict, default=None
            Keyword arguments of `matplotlib.axes.Axes.imshow`.
        curve_kwargs : dict, default=None
            Keyword arguments of `matplotlib.axes.Axes.plot` for signals.

        Returns
        -------
        self : FiltersDisplay

        Raises
        ------
        TypeError
            If `n_cols` is not an integer.
        ValueError
            If `n_cols` is less than 1, or `ax` has too few axes or cannot be subdivided.
        """
        filters = with_channels(self.filters)
        n_filters, height, width, n_channels = filters.shape
        signal = is_signal((height, width))
        wide = n_channels > 3
        colored = n_channels == 3 and self.layer == 0 and not signal
        colorbar = colorbar and not colored and (not signal or wide)
        self.figure_, self.bounding_ax_, self.axes_ = make_axes(
            ax,
            fill_grid(n_filters, n_cols),
            f"Filters of convolution {self.layer + 1}",
            cell=(1.2, 0.9) if signal else cell_size(1.3 if wide else 0.9, (height, width)),
            extra=0.8 * colorbar,
        )
        self.im_, self.line_, self.colorbar_ = empty_like(self.axes_), empty_like(self.axes_), None
        bounds = limits(filters, signed=True)
        places = zip(*np.nonzero(self.axes_), strict=True)
        for values, place in zip(filters, places, strict=True):
            one = self.axes_[place]
            if signal and not wide:
                one.axhline(0, color="0.8", linewidth=0.5)
                self.line_[place] = draw_curves(one, values, bounds, curve_kwargs=curve_kwargs)
            elif colored:
                self.im_[place] = draw_picture(one, values, bounds, im_kw=im_kw)
            else:
                tiles = values.reshape(-1, n_channels).T if signal else tile(values)
                aspect = "auto" if signal else "equal"
                self.im_[place] = draw_map(one, tiles, bounds, cmap=cmap, im_kw=im_kw, aspect=aspect)
                one.set_facecolor("0.8")  # between the tiles: white would mean a weight of 0
        if colorbar:
            self.colorbar_ = add_colorbar(self.figure_, self.axes_, self.im_[0, 0], "Weight")
        return self


def tile(values):
    """Channels of shape (height, width, n_channels) as the tiles of one picture, masked between them."""
    height, width, n_channels = values.shape
    n_cols = ceil(sqrt(n_channels))
    n_rows = ceil(n_channels / n_cols)
    tiles = np.full((n_rows, height + 1, n_cols, width + 1), np.nan)
    for channel in range(n_channels):
        tiles[channel // n_cols, :-1, channel % n_cols, :-1] = values[:, :, channel]
    picture = tiles.reshape(n_rows * (height + 1), n_cols * (width + 1))[:-1, :-1]
    return np.ma.masked_invalid(picture)
