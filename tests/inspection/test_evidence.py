"""Evidence sums to the logit, and its maps are drawn where their pixels are."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.exceptions import NotFittedError

from skcnn import ConvSigmoidClassifier
from skcnn.inspection import ClassEvidenceDisplay, class_evidence, feature_maps
from skcnn.inspection._inputs import map_extent
from skcnn.network import Network
from tests.helpers.stacks import every_stack
from tests.inspection.conftest import fit_kind

pytestmark = pytest.mark.filterwarnings("ignore:The network learnt little:sklearn.exceptions.ConvergenceWarning")


def sums(found):
    return found.evidence.sum(axis=(1, 2)) + found.offset


def assert_logits(found, logits):
    tolerance = 1e-5 if logits.dtype == np.float32 else 1e-11
    assert_allclose(sums(found), logits, rtol=tolerance, atol=tolerance)


def test_sums_to_decision_function(fitted_kind):
    clf, X = fitted_kind
    scores = clf.decision_function(X)
    scores = np.stack([-scores, scores], axis=1) if scores.ndim == 1 else scores
    for column, target in enumerate(clf.classes_):
        found = class_evidence(clf, X, target=target)
        assert found.evidence.shape == feature_maps(clf, X).shape[:3]
        assert_logits(found, scores[:, column])
        assert_array_equal(found.target, [target] * len(X))
    found = class_evidence(clf, X)
    assert_logits(found, scores.max(axis=1))
    assert_array_equal(found.target, clf.classes_[scores.argmax(axis=1)])
    if not clf._model.labels.multilabel:
        assert_array_equal(found.target, clf.predict(X))


def test_each_position():
    clf, X = fit_kind("grey")
    maps = feature_maps(clf, X)
    weights = clf.coefs_[-1].reshape(3, *maps.shape[1:3], 3)
    found = class_evidence(clf, X, target=2)
    assert_allclose(found.evidence, sum(maps[..., f] * weights[f, :, :, 2] for f in range(3)), atol=1e-14)
    assert_array_equal(found.offset, np.full(len(X), clf.intercepts_[-1][2]))


def test_of_a_maximum_one_position_counts():
    clf, X = fit_kind("normalized, max")
    found = class_evidence(clf, X, target=1)
    maps = feature_maps(clf, X)
    expected = np.zeros_like(found.evidence)
    for sample, of_sample in enumerate(maps):
        for f, values in enumerate(np.moveaxis(of_sample, -1, 0)):
            at = np.unravel_index(values.argmax(), values.shape)
            expected[sample][at] += values[at] * clf.coefs_[-1][f, 1]
    assert_allclose(found.evidence, expected, atol=1e-14)


def test_a_target_for_each():
    for kind in ("grey", "strings", "two classes"):
        clf, X = fit_kind(kind)
        targets = clf.classes_[np.arange(len(X)) % len(clf.classes_)]
        found = class_evidence(clf, X, target=targets)
        assert_array_equal(found.target, targets)
        for sample, target in enumerate(targets):
            one = class_evidence(clf, X[[sample]], target=target)
            assert_allclose(found.evidence[[sample]], one.evidence, rtol=1e-5, atol=1e-6)
            assert_allclose(found.offset[[sample]], one.offset)
        assert class_evidence(clf, X[:2], target=list(targets[:2])).target.tolist() == targets[:2].tolist()
    with pytest.raises(ValueError, match=r"target of shape \(3,\) must be a label, or one for each of 2 samples"):
        class_evidence(clf, X[:2], target=targets[:3])


@pytest.mark.parametrize("target", [3, "0", [3] * 24, 1.5])
def test_no_such_target(target):
    clf, X = fit_kind("grey")
    with pytest.raises(ValueError, match=r"must be None or one of the classes \[0, 1, 2\]"):
        class_evidence(clf, X, target=target)


def test_strings_and_not_fitted():
    clf, X = fit_kind("strings")
    assert class_evidence(clf, X, target="bee").target.tolist() == ["bee"] * len(X)
    with pytest.raises(ValueError, match=r"target=1 must be None or one of the classes \['ant', 'bee', 'cat'\]"):
        class_evidence(clf, X, target=1)
    with pytest.raises(NotFittedError):
        class_evidence(ConvSigmoidClassifier(), X)


@every_stack
def test_where_maps_stand(network):
    """A value is at the centre of its receptive field, including padding."""
    network = replace(network, global_pool=None, batch_norm=False)
    n_maps = len(network.stages)
    for axis, (low, high) in enumerate(zip(("top", "left"), ("bottom", "right"), strict=True)):
        left, right, bottom, top = map_extent(network, n_maps - 1)
        edges = {"left": left, "right": right, "bottom": bottom, "top": top}
        n_cells = network.stages[-1].out_shape[axis]
        width = (edges[high] - edges[low]) / n_cells
        for cell in (0, n_cells - 1):
            first, last = cell, cell
            for stage in reversed(network.stages):
                first, last = first * stage.pool_size[axis], last * stage.pool_size[axis] + stage.pool_size[axis] - 1
                before = stage.convolution.pads[axis][0]
                first, last = first - before, last - before + stage.convolution.kernel_size[axis] - 1
            assert edges[low] + (cell + 0.5) * width == pytest.approx((first + last) / 2)


def test_extent_of_plain_networks():
    assert map_extent(Network((28, 28, 1), (3,), ((5, 5),), 1), 0) == (1.5, 25.5, 25.5, 1.5)
    same = Network((28, 28, 1), (3,), ((3, 3),), 1, ((2, 2),), "same")
    assert map_extent(same, 0) == (-0.5, 27.5, 27.5, -0.5)


def test_display_of_pictures():
    clf, X = fit_kind("strings")
    display = ClassEvidenceDisplay.from_estimator(clf, X[:5], target="bee", n_cols=3)
    found = class_evidence(clf, X[:5], target="bee")
    assert_array_equal(display.evidence, found.evidence)
    assert_array_equal(display.offset, found.offset)
    assert display.axes_.shape == display.im_.shape == (4, 3)
    assert display.axes_[2, 2] is display.axes_[3, 2] is None
    bound = np.abs(found.evidence).max()
    for sample, (row, column) in enumerate([(0, 0), (0, 1), (0, 2), (2, 0), (2, 1)]):
        assert_array_equal(display.im_[row, column].get_array(), X[sample])
        of_map = display.im_[row + 1, column]
        assert_array_equal(of_map.get_array(), found.evidence[sample])
        assert of_map.get_clim() == (-bound, bound)
        assert of_map.get_extent() == list(display.extent)
        assert display.axes_[row + 1, column].get_xlim() == (-0.5, 7.5)
        assert display.axes_[row + 1, column].get_ylim() == (8.5, -0.5)
        logit = clf.decision_function(X[sample : sample + 1])[0, 1]
        assert display.axes_[row, column].get_title() == f"bee: logit {logit:.1f}"
    assert display.colorbar_.mappable.get_clim() == (-bound, bound)


@pytest.mark.parametrize("kind", ["signal", "upright signal, two channels"])
def test_display_of_signals(kind):
    clf, X = fit_kind(kind)
    display = ClassEvidenceDisplay.from_estimator(clf, X[:2])
    assert display.axes_.shape == (2, 1)
    assert_array_equal(display.line_[1, 0].get_ydata(), X[1].reshape(40, -1)[:, 0])
    assert len(display.axes_[1, 0].lines) == X[1].size // 40
    assert_array_equal(display.im_[1, 0].get_array(), display.evidence[1].reshape(1, -1))
    along = display.extent[:2] if kind == "signal" else display.extent[:1:-1]
    assert display.im_[1, 0].get_extent()[:2] == list(along)
    assert display.axes_[1, 0].get_xlim() == (-0.5, 39.5)


def test_colour_and_given_axes(pyplot, stack):
    clf, X = stack
    _, axes = pyplot.subplots(2, 2)
    display = ClassEvidenceDisplay.from_estimator(clf, X[:2], ax=axes, colorbar=False, im_kw={"alpha": 0.5})
    assert display.axes_.tolist() == axes.tolist()
    assert display.im_[0, 0].get_array().shape == (9, 8, 3)
    assert display.im_[1, 0].get_alpha() == 0.5
    assert display.colorbar_ is None
