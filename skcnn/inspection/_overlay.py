"""Signed maps beside or behind their images, for the displays of class evidence and occlusion."""

import numpy as np

from skcnn.inspection._plotting import (
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

# Greys of a signal's channels, which stand out from the coloured map behind.
_CURVES = ("0.1", "0.45", "0.65")


def draw_overlays(display, maps, extent, titles, label, title, ax, n_cols, cmap, colorbar, im_kw, curve_kwargs):
    """Draw a map for each image, below the picture or behind the curve of a signal.

    Parameters
    ----------
    display : object
        Has `images`, of shape (n_samples, height, width, n_channels), and receives `figure_`, `bounding_ax_`, `axes_`,
        `im_` (maps and pictures), `line_` and `colorbar_`.
    maps : ndarray of shape (n_samples, map_height, map_width)
    extent : tuple of (left, right, bottom, top)
        Position of the maps, in pixels of the images.
    titles : list of str
        One for each image.
    label, title : str
        Of the colour bar and of the whole figure.
    """
    images = with_channels(display.images)
    bounds, image_bounds = limits(maps, signed=True), limits(images)
    signal = is_signal(images.shape[1:])
    if signal:
        used, cell = np.ones((len(images), 1), dtype=bool), (6.0, 1.2)
    else:
        used, cell = fill_grid(len(images), n_cols).repeat(2, axis=0), cell_size(1.3, images.shape[1:], above=0.12)
    display.figure_, display.bounding_ax_, display.axes_ = make_axes(ax, used, title, cell=cell, extra=0.8 * colorbar)
    display.im_, display.line_, display.colorbar_ = empty_like(used), empty_like(used), None
    options = {"cmap": cmap, "im_kw": im_kw}
    for number, (image, values) in enumerate(zip(images, maps, strict=True)):
        if signal:
            place = upper = number, 0
            _draw_behind_curve(display, place, image, values, extent, bounds, image_bounds, options, curve_kwargs)
        else:
            row, column = divmod(number, used.shape[1])
            upper, place = (2 * row, column), (2 * row + 1, column)
            display.im_[upper] = draw_picture(display.axes_[upper], image, image_bounds)
            display.im_[place] = draw_map(display.axes_[place], values, bounds, extent=extent, **options)
            _outline(display.axes_[place], image)
        display.axes_[upper].set_title(titles[number], fontsize="small", pad=3)
    if colorbar:
        display.colorbar_ = add_colorbar(display.figure_, display.axes_, display.im_[place], label)
    return display


def _draw_behind_curve(display, place, image, values, extent, bounds, image_bounds, options, curve_kwargs):
    ax = display.axes_[place]
    display.line_[place] = draw_curves(ax, image, image_bounds, curve_kwargs=curve_kwargs, colors=_CURVES)
    left, right, bottom, top = extent
    if image.shape[1] == 1:  # a column is drawn from left to right, its top first
        left, right = top, bottom
    xlim, ylim = ax.get_xlim(), ax.get_ylim()
    display.im_[place] = draw_map(
        ax, values.reshape(1, -1), bounds, extent=(left, right, *ylim), aspect="auto", **options
    )
    ax.set(xlim=xlim, ylim=ylim)


def _outline(ax, image):
    """Frame a map like its image, and draw the outlines of a grey image over it."""
    height, width, n_channels = image.shape
    low, high = image.min(), image.max()
    if n_channels == 1 and min(height, width) > 1 and high > low:
        ax.contour(
            image[:, :, 0], levels=[(float(low) + float(high)) / 2], colors="0.25", linewidths=0.6, linestyles="solid"
        )
    ax.set(xlim=(-0.5, width - 0.5), ylim=(height - 0.5, -0.5))
