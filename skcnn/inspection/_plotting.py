"""Grids of axes, and the pictures or curves that are drawn into them."""

from math import ceil

import numpy as np

from skcnn.extras import import_extra
from skcnn.validation import check_integer

# More axes would take minutes to draw and be too small to read.
_MOST_AXES = 600

SIGNED = "RdBu_r"
UNSIGNED = "viridis"


def style(artist, defaults, given):
    """Keyword arguments for a class of artists: the given ones, aliases resolved, over the defaults."""
    from matplotlib.cbook import normalize_kwargs

    return {**defaults, **normalize_kwargs(given or {}, artist)}


def make_axes(ax, used, title, *, cell, width_ratios=None, extra=0.0):
    """Make or choose axes in rows and columns.

    Parameters
    ----------
    ax : matplotlib Axes, array-like of Axes, or None
        One is subdivided; an array is used in its order, and surplus axes are switched off; None creates a figure.
    used : ndarray of bool of shape (n_rows, n_cols)
        Which cells have axes.
    title : str
        Title of the whole, unless an array of axes was passed.
    cell : tuple of (width, height)
        Size in inches of a column of ratio 1 and of a row, in a new figure.
    width_ratios : list of float, default=None
        Of the columns.
    extra : float, default=0.0
        Width in inches that is added for a colour bar.

    Returns
    -------
    figure : matplotlib Figure
    bounding_ax : matplotlib Axes or None
        The axes that contain the others; None if an array of axes was passed.
    axes : ndarray of object of shape (n_rows, n_cols)
        None where unused.
    """
    plt = import_extra("matplotlib.pyplot", "plot")
    from matplotlib.gridspec import GridSpecFromSubplotSpec

    n_rows, n_cols = used.shape
    n_used = int(used.sum())
    if n_used > _MOST_AXES:
        raise ValueError(f"This needs {n_used} axes, and at most {_MOST_AXES} can be drawn: pass fewer images.")
    axes = np.full(used.shape, None, dtype=object)
    if ax is not None and not isinstance(ax, plt.Axes):
        return use_axes(ax, used, axes)
    if ax is None:
        width, height = cell[0] * sum(width_ratios or [1] * n_cols) + extra, cell[1] * n_rows + 0.35
        # The compressed layout removes the gaps between axes of fixed aspect.
        figure = plt.figure(figsize=(max(width, 3.0), max(height, 1.0)), layout="compressed")
        figure.suptitle(title, fontsize="large")
        grid = figure.add_gridspec(max(n_rows, 1), max(n_cols, 1), width_ratios=width_ratios)
        ax = figure.add_subplot(grid[:, :])
    elif not ax.axison:
        raise ValueError("ax was subdivided before: pass the axes of that display instead, those in its `axes_`.")
    elif ax.get_subplotspec() is None:
        raise ValueError("ax must lie in a grid, as those of `plt.subplots` do, to be subdivided.")
    else:
        # The padding leaves room for titles of the inner axes.
        ax.set_title(title, fontsize="large", pad=18)
        size = {"nrows": max(n_rows, 1), "ncols": max(n_cols, 1), "width_ratios": width_ratios}
        grid = GridSpecFromSubplotSpec(subplot_spec=ax.get_subplotspec(), wspace=0.08, hspace=0.08, **size)
    ax.set_axis_off()
    for place in zip(*np.nonzero(used), strict=True):
        axes[place] = ax.figure.add_subplot(grid[place])
    return ax.figure, ax, axes


def use_axes(given, used, axes):
    """The result of `make_axes` for an array of axes that was passed."""
    given = [one for one in np.asarray(given, dtype=object).flat if one is not None]
    n_used = max(int(used.sum()), 1)
    if len(given) < n_used:
        raise ValueError(f"ax has {len(given)} axes, but must be one, or at least {n_used}.")
    axes[used] = given[: used.sum()]
    for one in given[used.sum() :]:
        one.set_axis_off()
    return given[0].figure, None, axes


def cell_size(width, shape, *, above=0.0):
    """(width, height) in inches of a cell for pictures of shape (height, width, ...), with `above` for a title."""
    return width, width * min(max(shape[0] / shape[1], 0.3), 3.0) + above


def fill_grid(n, n_cols):
    """Which cells are used when `n` items fill rows of at most `n_cols`."""
    check_integer("n_cols", n_cols, 1)
    n_cols = min(n, n_cols)
    n_rows = ceil(n / n_cols)
    return (np.arange(n_rows * n_cols) < n).reshape(n_rows, n_cols)


def bare(ax):
    """Remove ticks and draw a thin frame."""
    ax.set(xticks=[], yticks=[])
    for spine in ax.spines.values():
        spine.set(linewidth=0.5, color="0.6")


def is_signal(shape):
    """Whether (height, width, ...) is a single row or column, which is drawn as a curve."""
    return 1 in shape[:2] and max(shape[:2]) > 1


def with_channels(images):
    """Images as (n_images, height, width, n_channels), from an array that may lack the axis of one channel."""
    images = np.asarray(images)
    if images.ndim not in (3, 4):
        raise ValueError(f"images and filters must have 3 or 4 axes to be drawn; got shape {images.shape}.")
    return images if images.ndim == 4 else images[..., np.newaxis]


def limits(values, *, signed=False):
    """Lower and upper end of a scale, symmetric about 0 if it is signed."""
    low, high = float(np.min(values)), float(np.max(values))
    if signed:
        high = max(abs(low), abs(high)) or 1.0
        return -high, high
    return low, high if high > low else low + 1.0


def draw_picture(ax, image, bounds, *, cmap="gray", im_kw=None, **options):
    """Draw a picture (height, width, n_channels): three channels in colour, the mean of others with a colour map."""
    from matplotlib.image import AxesImage

    image = np.asarray(image, dtype=np.float64)
    if image.shape[2] == 3:
        image = np.clip((image - bounds[0]) / (bounds[1] - bounds[0]), 0, 1)
        artist = ax.imshow(image, **style(AxesImage, {"interpolation": "nearest", **options}, im_kw))
    else:
        artist = draw_map(ax, image.mean(axis=2), bounds, cmap=cmap, im_kw=im_kw, **options)
    bare(ax)
    return artist


def draw_map(ax, values, bounds, *, cmap, im_kw=None, **options):
    """Draw values (height, width) with a colour map."""
    from matplotlib.image import AxesImage

    defaults = {"cmap": cmap, "interpolation": "nearest", **options}
    if "norm" not in (im_kw or {}):
        defaults |= {"vmin": bounds[0], "vmax": bounds[1]}
    artist = ax.imshow(values, **style(AxesImage, defaults, im_kw))
    bare(ax)
    return artist


def draw_curves(ax, signal, bounds, *, curve_kwargs=None, **options):
    """Draw a signal, one row or column (height, width, n_channels), as a curve per channel; returns the first."""
    from matplotlib.lines import Line2D

    signal = np.asarray(signal).reshape(-1, signal.shape[2])
    if len(colors := options.pop("colors", ())):
        ax.set_prop_cycle(color=colors)
    lines = ax.plot(signal, **style(Line2D, {"linewidth": 1.0, **options}, curve_kwargs))
    margin = 0.05 * (bounds[1] - bounds[0])
    ax.set(xlim=(-0.5, len(signal) - 0.5), ylim=(bounds[0] - margin, bounds[1] + margin))
    bare(ax)
    return lines[0]


def draw_image(ax, image, bounds, *, im_kw=None, curve_kwargs=None):
    """Draw an image as a picture, or a signal as curves."""
    if is_signal(image.shape):
        return draw_curves(ax, image, bounds, curve_kwargs=curve_kwargs)
    return draw_picture(ax, image, bounds, im_kw=im_kw)


def empty_like(axes):
    """An array of None for the artists of the axes."""
    return np.full(axes.shape, None, dtype=object)


def add_colorbar(figure, axes, artist, label):
    """Add one colour bar, to the right of all axes."""
    shown = [ax for ax in axes.flat if ax is not None]
    bar = figure.colorbar(artist, ax=shown, fraction=0.03, pad=0.02, aspect=25)
    bar.set_label(label)
    bar.outline.set_linewidth(0.5)
    return bar
