"""The display of filters, and the axes that displays create or are given."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.exceptions import NotFittedError
from sklearn.pipeline import make_pipeline

from skcnn import ConvSigmoidClassifier
from skcnn.inspection import FiltersDisplay
from tests.inspection.conftest import fit_kind

pytestmark = pytest.mark.filterwarnings("ignore:The network learnt little:sklearn.exceptions.ConvergenceWarning")


def test_grey():
    clf, _ = fit_kind("grey")
    display = FiltersDisplay.from_estimator(clf, n_cols=2)
    assert_array_equal(display.filters[..., 0], clf.filters_)
    assert display.axes_.shape == (2, 2)
    assert display.axes_[1, 1] is None
    assert display.im_[1, 1] is None
    assert_array_equal(display.im_[1, 0].get_array(), clf.filters_[2])
    bound = np.abs(clf.filters_).max()
    assert display.im_[1, 0].get_clim() == (-bound, bound)
    assert display.figure_.get_suptitle() == "Filters of convolution 1"
    assert not display.bounding_ax_.axison
    assert not display.axes_[0, 0].get_xticks().size
    assert display.plot() is display


def test_colour():
    """Weights of 0 are grey."""
    clf, _ = fit_kind("colour, stack")
    display = FiltersDisplay.from_estimator(clf)
    bound = np.abs(clf.filters_).max()
    assert_allclose(display.im_[0, 1].get_array(), 0.5 + clf.filters_[1] / (2 * bound))
    assert display.colorbar_ is None


def test_tiles_of_further_layers():
    clf, _ = fit_kind("two channels, three layers")
    display = FiltersDisplay.from_estimator(clf, layer=-1)
    assert display.layer == 2
    tiles = display.im_[0, 1].get_array()
    assert tiles.shape == (7, 7)  # 4 channels of 3 x 3 pixels
    filters = clf.coefs_[2][1]
    for channel, (row, column) in enumerate([(0, 0), (0, 4), (4, 0), (4, 4)]):
        assert_array_equal(tiles[row : row + 3, column : column + 3], filters[channel])
    assert tiles.mask[3].all()
    assert tiles.mask[:, 3].all()
    assert tiles.mask.sum() == 13


def test_signals():
    clf, _ = fit_kind("signal")
    display = FiltersDisplay.from_estimator(clf, curve_kwargs={"c": "red"})
    assert_array_equal(display.line_[0, 2].get_ydata(), clf.coefs_[0][2, 0, 0])
    assert display.line_[0, 2].get_color() == "red"
    assert display.im_[0, 2] is None
    assert display.colorbar_ is None
    assert len({ax.get_ylim() for ax in display.axes_.flat}) == 1


def test_signals_of_many_channels():
    """Filters are pictures with a row for each channel."""
    X = np.random.default_rng(0).normal(size=(24, 1, 30, 5))
    clf = ConvSigmoidClassifier(2, max_iter=3, tol=1e9, n_iter_no_change=1, random_state=0).fit(X, np.arange(24) % 2)
    display = FiltersDisplay.from_estimator(clf)
    assert_array_equal(display.im_[0, 1].get_array(), clf.coefs_[0][1, :, 0])


def test_pipeline():
    clf, _ = fit_kind("grey")
    assert_array_equal(FiltersDisplay.from_estimator(make_pipeline(clf)).filters[..., 0], clf.filters_)


def test_errors():
    with pytest.raises(NotFittedError):
        FiltersDisplay.from_estimator(ConvSigmoidClassifier())
    with pytest.raises(ValueError, match=r"layer=1 must be an integer from -1 to 0: the network has 1 convolution\."):
        FiltersDisplay.from_estimator(fit_kind("grey")[0], layer=1)
    with pytest.raises(ValueError, match="n_cols=0 must be an integer of at least 1"):
        FiltersDisplay.from_estimator(fit_kind("grey")[0], n_cols=0)


def test_axes_are_subdivided(pyplot):
    display = FiltersDisplay(np.ones((3, 5, 5, 1)))
    figure, (left, right) = pyplot.subplots(1, 2)
    display.plot(right)
    assert display.figure_ is figure
    assert display.bounding_ax_ is right
    assert right.get_title() == "Filters of convolution 1"
    box = right.get_position()
    for ax in display.axes_.flat:
        assert box.x0 - 1e-9 <= ax.get_position().x0
    assert left.axison
    with pytest.raises(ValueError, match="subdivided before"):
        display.plot(right)


def test_given_axes(pyplot):
    display = FiltersDisplay(np.ones((3, 5, 5, 1)))
    figure, axes = pyplot.subplots(2, 2)
    display.plot(axes, n_cols=8, colorbar=False)
    assert display.figure_ is figure
    assert display.bounding_ax_ is None
    assert display.axes_.tolist() == [axes.ravel()[:3].tolist()]
    assert not axes[1, 1].axison
    display.plot(axes.ravel()[:3].tolist())
    again = FiltersDisplay(np.zeros((3, 5, 5, 1))).plot(display.plot(n_cols=2).axes_, n_cols=2)
    assert again.axes_[1].tolist() == [display.axes_[1, 0], None]
    with pytest.raises(ValueError, match="ax has 2 axes, but must be one, or at least 3"):
        display.plot(axes[0])


def test_axes_outside_a_grid(pyplot):
    ax = pyplot.figure().add_axes((0.1, 0.1, 0.5, 0.5))
    with pytest.raises(ValueError, match="must lie in a grid"):
        FiltersDisplay(np.ones((3, 5, 5, 1))).plot(ax)


def test_filters_that_are_all_0():
    assert FiltersDisplay(np.zeros((2, 3, 3, 1))).plot().im_[0, 0].get_clim() == (-1, 1)


def test_filters_without_channels_and_a_norm():
    matplotlib = pytest.importorskip("matplotlib")
    values = np.arange(12.0).reshape(3, 2, 2) - 6
    display = FiltersDisplay(values, layer=0).plot()
    assert_array_equal(display.im_[0, 1].get_array(), values[1])
    norm = matplotlib.colors.Normalize(-1, 1)
    assert FiltersDisplay(values, layer=0).plot(im_kw={"norm": norm}).im_[0, 0].norm is norm
    with pytest.raises(ValueError, match=r"3 or 4 axes to be drawn; got shape \(2, 2\)"):
        FiltersDisplay(values[0], layer=0).plot()
