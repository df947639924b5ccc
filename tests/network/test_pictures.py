"""Filters as an SVG: positions and colours."""

import re
from xml.etree import ElementTree

import numpy as np
import pytest

from skcnn.pictures import draw_filters

SVG = "{http://www.w3.org/2000/svg}"


def draw(filters):
    """Title and filter elements of the picture, which must be well-formed."""
    root = ElementTree.fromstring(draw_filters(np.asarray(filters, dtype="float32")))
    return root.find(f"{SVG}title").text, root.findall(f"{SVG}g")


def pixels(group):
    """Colours of pixels by (row, column)."""
    found = {}
    for path in group.iter(f"{SVG}path"):
        for column, row in re.findall(r"M(\d+) (\d+)h1v1h-1z", path.get("d")):
            found[int(row), int(column)] = path.get("fill")
    return found


def test_a_grey_filter_goes_from_blue_over_white_to_red():
    _, (group,) = draw(np.reshape([-2, 0, 2, 1, -1, 0], (1, 2, 3, 1)))
    drawn = pixels(group)
    assert len(drawn) == 6
    assert (drawn[0, 0], drawn[0, 1], drawn[0, 2]) == ("#2166ac", "#f7f7f7", "#b2182b")
    assert drawn[1, 2] == drawn[0, 1]
    assert len({*drawn.values()}) == 5


def test_all_filters_are_on_one_scale():
    _, groups = draw(np.reshape([4.0, 0, 0, 0, 2, 0, 0, 0], (2, 2, 2, 1)))
    assert pixels(groups[0])[0, 0] == "#b2182b"
    assert pixels(groups[1])[0, 0] != "#b2182b"


def test_three_channels_are_drawn_in_their_colours():
    filters = np.zeros((1, 2, 1, 3))
    filters[0, 0, 0] = 3, -3, 0
    _, (group,) = draw(filters)
    assert pixels(group) == {(0, 0): "#ff0080", (1, 0): "#808080"}


def test_other_channels_are_averaged():
    filters = np.zeros((1, 2, 1, 2))
    filters[0, 0, 0] = 1, -1
    _, (group,) = draw(filters)
    assert set(pixels(group).values()) == {"#f7f7f7"}


def test_a_signals_filter_is_a_curve():
    _, (group,) = draw(np.reshape([0, 1, -1, 0], (1, 1, 4, 1)))
    points = [tuple(map(float, point.split(","))) for point in group.find(f"{SVG}polyline").get("points").split()]
    heights = [y for _, y in points]
    assert len(points) == 4
    assert heights[0] == heights[3] == 22
    assert heights[1] < 22 < heights[2]


@pytest.mark.parametrize(("n_filters", "title"), [(1, "1"), (32, "32"), (33, "32 of 33")])
def test_the_first_of_many_filters(n_filters, title):
    text, groups = draw(np.ones((n_filters, 2, 2, 1)))
    assert len(groups) == min(n_filters, 32)
    assert text == f"Filters of convolution 1: {title}"


def test_filters_of_zeros():
    _, (group,) = draw(np.zeros((1, 2, 2, 1)))
    assert set(pixels(group).values()) == {"#f7f7f7"}
