"""Filters as an inline SVG, which notebooks show without further libraries."""

from collections import defaultdict

import numpy as np

# Only the first ones are shown.
_MOST_FILTERS = 32
_SIDE = 44  # of a filter's picture, in pixels
_GAP = 4
# Blue, white and red for weights below, at and above 0, as in the displays.
_COLOURS = np.array([[33, 102, 172], [247, 247, 247], [178, 24, 43]])


def draw_filters(filters):
    """An SVG of a row of filters, on a common scale.

    Parameters
    ----------
    filters : ndarray of shape (n_filters, kernel_height, kernel_width, n_channels)
        Three channels are drawn in colour, with grey for 0; the mean of others from blue, below 0, over white to red;
        one-channel filters of a signal, with a single row, as curves.
    """
    shown = filters[:_MOST_FILTERS].astype(np.float64)
    largest = np.abs(shown).max() or 1.0
    draw = _draw_curve if filters.shape[1] == 1 and filters.shape[2] > 1 and filters.shape[3] == 1 else _draw_image
    width = len(shown) * (_SIDE + _GAP) - _GAP
    drawn = "".join(
        f'<g transform="translate({i * (_SIDE + _GAP)} 0)">{draw(one / largest)}</g>' for i, one in enumerate(shown)
    )
    number = f"{len(shown)} of {len(filters)}" if len(shown) < len(filters) else str(len(filters))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{_SIDE}" viewBox="0 0 {width} {_SIDE}" '
        f'role="img" style="margin: 0.5em 0; max-width: 100%; height: auto" shape-rendering="crispEdges">'
        f"<title>Filters of convolution 1: {number}</title>{drawn}</svg>"
    )


def _draw_image(values):
    """A filter with values between -1 and 1, one path for each colour."""
    if values.shape[2] == 3:
        colours = (values + 1) / 2 * 255
    else:
        mean = values.mean(axis=2)
        colours = np.stack([np.interp(mean, (-1, 0, 1), channel) for channel in _COLOURS.T], axis=-1)
    squares = defaultdict(list)
    for i, row in enumerate(np.rint(colours).astype(int).tolist()):
        for j, (red, green, blue) in enumerate(row):
            squares[f"#{red:02x}{green:02x}{blue:02x}"].append(f"M{j} {i}h1v1h-1z")
    scale = _SIDE / max(values.shape[:2])
    paths = "".join(f'<path fill="{colour}" d="{"".join(parts)}"/>' for colour, parts in squares.items())
    return f'<g transform="scale({scale:.4g})">{paths}</g>'


def _draw_curve(values):
    x = np.linspace(1, _SIDE - 1, values.shape[1])
    y = _SIDE / 2 - values[0, :, 0] * (_SIDE / 2 - 2)
    points = " ".join(f"{a:.1f},{b:.1f}" for a, b in zip(x, y, strict=True))
    middle = _SIDE // 2
    return (
        f'<path stroke="#999" d="M0 {middle}H{_SIDE}"/>'
        f'<polyline points="{points}" fill="none" stroke="#2166ac" stroke-width="2" shape-rendering="auto"/>'
    )
