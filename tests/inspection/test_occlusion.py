"""The fall of a logit when a patch is covered."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.exceptions import NotFittedError

from skcnn import ConvSigmoidClassifier
from skcnn.inspection import OcclusionDisplay, _occlusion, occlusion
from tests.inspection.conftest import fit_kind

pytestmark = pytest.mark.filterwarnings("ignore:The network learnt little:sklearn.exceptions.ConvergenceWarning")


def class_scores(clf, X):
    """Logits with a column for each class."""
    scores = clf.decision_function(X)
    return np.stack([-scores, scores], axis=1) if scores.ndim == 1 else scores


def expected_drops(clf, X, column, patch, stride, baseline):
    """Drops from one prediction for each position; `column` has the class of each image."""
    height, width = X.shape[1:3]
    tops = range(0, height - patch[0] + 1, stride[0])
    lefts = range(0, width - patch[1] + 1, stride[1])
    drops = np.empty((len(X), len(tops), len(lefts)))
    for i, top in enumerate(tops):
        for j, left in enumerate(lefts):
            covered = X.copy()
            covered[:, top : top + patch[0], left : left + patch[1]] = baseline
            change = class_scores(clf, X) - class_scores(clf, covered)
            drops[:, i, j] = change[np.arange(len(X)), column]
    return drops


def test_drops(fitted_kind):
    clf, X = fitted_kind
    X = X[:3]
    height, width = X.shape[1:3]
    patch = min(3, height), min(3, width)
    tolerance = 1e-5 if X.dtype == np.float32 else 1e-12
    for column, target in enumerate(clf.classes_):
        drops = occlusion(clf, X, target=target, patch_size=3, stride=(2, 3), baseline=0.5)
        assert_allclose(drops, expected_drops(clf, X, column, patch, (2, 3), 0.5), atol=tolerance)
    column = class_scores(clf, X).argmax(axis=1)
    drops = occlusion(clf, X, patch_size=3, stride=2)
    assert_allclose(drops, expected_drops(clf, X, column, patch, (2, 2), 0), atol=tolerance)


def test_a_few_at_a_time(monkeypatch, stack):
    clf, X = stack
    whole = occlusion(clf, X[:2])
    monkeypatch.setattr(_occlusion, "_BLOCK", 7 * X[0].size)
    assert_allclose(occlusion(clf, X[:2]), whole, atol=1e-12)


def test_bytes():
    X = np.random.default_rng(0).integers(0, 256, size=(24, 9, 8), dtype=np.uint8)
    clf = ConvSigmoidClassifier(3, max_iter=3, tol=1e9, n_iter_no_change=1, random_state=0).fit(X, np.arange(24) % 2)
    drops = occlusion(clf, X[:2], target=1, patch_size=(2, 3), baseline=100)
    assert_allclose(drops, expected_drops(clf, X[:2], [1, 1], (2, 3), (1, 1), 100), atol=1e-5)
    assert np.isfinite(occlusion(clf, X[:2], baseline=-0.5)).all()


@pytest.mark.parametrize(
    ("parameters", "error", "message"),
    [
        ({"patch_size": (10, 1)}, ValueError, r"patch_size=\(10, 1\) must fit into images of 9 x 8 pixels"),
        ({"patch_size": 0}, ValueError, "patch_size=0 must be an integer of at least 1"),
        ({"patch_size": (1, 2, 3)}, ValueError, "must be an integer or a pair"),
        ({"patch_size": 2.0}, TypeError, "patch_size must be an integer"),
        ({"stride": 0}, ValueError, "stride=0"),
        ({"baseline": np.nan}, ValueError, "baseline=nan must be finite"),
        ({"baseline": "mean"}, TypeError, "baseline must be a number"),
        ({"target": 7}, ValueError, "target=7 must be None or one of the classes"),
    ],
)
def test_errors(stack, parameters, error, message):
    clf, X = stack
    with pytest.raises(error, match=message):
        occlusion(clf, X[:1], **parameters)


def test_not_fitted(stack):
    with pytest.raises(NotFittedError):
        occlusion(ConvSigmoidClassifier(), stack[1])


def test_display_of_pictures():
    clf, X = fit_kind("grey")
    display = OcclusionDisplay.from_estimator(clf, X[:2], target=1, patch_size=(4, 3), stride=2)
    drops = occlusion(clf, X[:2], target=1, patch_size=(4, 3), stride=2)
    assert_array_equal(display.drops, drops)
    assert drops.shape == (2, 3, 3)
    assert_array_equal(display.im_[1, 1].get_array(), drops[1])
    # Patches begin at 0, 2 and 4; the first is centred at row 1.5 and column 1.
    assert display.extent == (0, 6, 6.5, 0.5)
    assert display.im_[1, 1].get_extent() == [0, 6, 6.5, 0.5]
    assert display.axes_[0, 1].get_title() == "1"
    bound = np.abs(drops).max()
    assert display.im_[1, 0].get_clim() == (-bound, bound)
    assert display.plot() is display


def test_display_of_signals():
    clf, X = fit_kind("signal")
    display = OcclusionDisplay.from_estimator(clf, X[:2], patch_size=5)
    assert display.drops.shape == (2, 1, 36)
    assert display.im_[1, 0].get_extent()[:2] == [1.5, 37.5]
    assert_array_equal(display.line_[1, 0].get_ydata(), X[1, 0])
