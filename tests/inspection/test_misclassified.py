"""The most confident mistakes and their display."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.sparse import csr_array
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.svm import LinearSVC

from skcnn import ConvSigmoidClassifier
from skcnn.inspection import MisclassifiedDisplay, misclassified
from tests.inspection.conftest import fit_kind

pytestmark = pytest.mark.filterwarnings("ignore:The network learnt little:sklearn.exceptions.ConvergenceWarning")

P = np.array([[0.9, 0.1, 0.0], [0.2, 0.3, 0.5], [0.1, 0.2, 0.7], [0.1, 0.5, 0.4], [0.5, 0.25, 0.25]])
Y = np.array(["a", "b", "b", "b", "c"])


def test_probabilities():
    found = misclassified(Y, P)
    assert found.indices.tolist() == [2, 1, 4]
    assert found.y_pred.tolist() == ["c", "c", "a"]
    assert found.confidence.tolist() == [0.7, 0.5, 0.5]


def test_labels_stay_in_their_order():
    found = misclassified(Y, ["a", "c", "c", "b", "a"])
    assert found.indices.tolist() == [1, 2, 4]
    assert found.y_pred.tolist() == ["c", "c", "a"]
    assert found.confidence is None


def test_several_labels():
    y = np.array([[0, 1, 1], [1, 0, 0], [0, 0, 0], [1, 1, 1]])
    p = np.array([[0.2, 0.7, 0.9], [0.4, 0.8, 0.1], [0.1, 0.1, 0.95], [0.9, 0.9, 0.9]])
    found = misclassified(y, p)
    assert found.indices.tolist() == [2, 1]
    assert found.y_pred.tolist() == [[0, 0, 1], [0, 1, 0]]
    assert_allclose(found.confidence, [0.95, 0.8])
    assert misclassified(csr_array(y), p).indices.tolist() == [2, 1]
    found = misclassified(y, (p > 0.5).astype(int))
    assert found.indices.tolist() == [1, 2]
    assert found.confidence is None


def test_errors():
    with pytest.raises(ValueError, match=r"must have a column for each of the classes \['a', 'b'\]"):
        misclassified(Y[:4], P[:4])
    assert misclassified(Y[:4], P[:4], classes=["a", "b", "c"]).indices.tolist() == [2, 1]
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        misclassified(Y[:4], P)


@pytest.mark.parametrize(
    ("y_true", "y_pred", "classes", "message"),
    [
        ([0, 1, 1], [0.2, 0.7, 0.1], None, r"got fractions of shape \(3,\)\. Of two classes, pass both columns"),
        ([0, 1, 1], ["0", "1", "1"], None, "y_pred of <U1 must hold labels of the type of y_true, int64"),
        (["a", "b"], [0, 1], None, "y_pred of int64 must hold labels of the type of y_true, <U1"),
        ([0, 1], [[0.5, 0.5], [np.nan, 0.5]], None, "must be probabilities, from 0 to 1; some are not"),
        ([0, 1], [[3.0, -1.0], [0.1, 0.5]], None, "must be probabilities, from 0 to 1; some are not"),
        ([[0, 1], [1, 0]], [[3.0, -1.0], [0.1, 0.5]], None, "must be probabilities, from 0 to 1; some are not"),
        ([0, 12], [[0.5, 0.5], [0.5, 0.5]], [0, 1], r"these are missing: \[12\]"),
        ([0, 0], [[0.5, 0.5], [0.5, 0.5]], [0, 0], r"classes=\[0, 0\] must be distinct"),
    ],
)
def test_what_would_make_wrong_mistakes(y_true, y_pred, classes, message):
    with pytest.raises(ValueError, match=message):
        misclassified(y_true, y_pred, classes=classes)


def test_objects_are_labels_and_rounded_probabilities_are_probabilities():
    assert misclassified(np.array(["a", "b"], dtype=object), ["a", "a"]).indices.tolist() == [1]
    assert misclassified(["a", "b"], np.array(["b", "b"], dtype=object)).indices.tolist() == [0]
    with pytest.raises(ValueError, match="y_pred of object must hold labels of the type of y_true, int64"):
        misclassified([0, 1], np.array(["0", "1"], dtype=object))
    more_than_one = np.nextafter(np.float32(1), np.float32(2))
    assert misclassified([0, 1], [[more_than_one, 0], [1, 0]]).indices.tolist() == [1]
    assert misclassified([], []).indices.tolist() == []


def test_labels_of_halves():
    assert misclassified([0.5, 1.5], [0.5, 0.5]).indices.tolist() == [1]
    with pytest.raises(ValueError, match=r"y_pred of shape \(3,\) must have the shape of y_true, \(3, 2\)"):
        misclassified(np.eye(3, 2), [0, 1, 1])


def half_wrong(clf, X):
    """Labels that make every other prediction wrong."""
    codes = np.searchsorted(clf.classes_, clf.predict(X))
    codes[::2] = (codes[::2] + 1) % len(clf.classes_)
    return clf.classes_[codes]


def wrong_of(clf, X, y):
    p = clf.predict_proba(X)
    wrong = np.flatnonzero(clf.predict(X) != y)
    return wrong[np.argsort(-p.max(axis=1)[wrong], kind="stable")], p


@pytest.mark.parametrize("kind", ["grey", "two classes", "colour, stack", "strings"])
def test_display_of_an_estimator(kind):
    clf, X = fit_kind(kind)
    y = half_wrong(clf, X)
    wrong, p = wrong_of(clf, X, y)
    assert len(wrong) == 12
    display = MisclassifiedDisplay.from_estimator(clf, X, y, n_images=7, n_cols=4)
    assert_array_equal(display.indices, wrong[:7])
    assert_array_equal(display.images, X[wrong[:7]].reshape(7, *clf.image_shape_))
    assert_allclose(display.confidence, p[wrong[:7]].max(axis=1))
    assert display.axes_.shape == (2, 4)
    assert display.im_[1, 3] is None
    last = wrong[6]
    if kind != "colour, stack":
        assert_array_equal(display.im_[1, 2].get_array(), X[last])
    expected = f"{y[last]}\ntaken for {clf.predict(X[[last]])[0]} ({p[last].max():.2f})"
    assert display.text_[1, 2] is display.axes_[1, 2].title
    assert display.text_[1, 2].get_text() == expected
    assert display.figure_.get_suptitle() == f"{len(wrong)} of 24 misclassified, the 7 most confident"


def test_display_of_labels():
    clf, X = fit_kind("labels")
    y = np.zeros((len(X), 3), dtype=int)
    y[:, :2] = 1
    display = MisclassifiedDisplay.from_estimator(clf, X, y)
    text = display.text_[0, 0].get_text()
    assert text.startswith("0+1\ntaken for ")


def test_display_of_signals():
    _, X = fit_kind("signal")
    display = MisclassifiedDisplay.from_predictions(np.zeros(3), [0, 1, 1], X[:3].reshape(3, 40))
    assert_array_equal(display.line_[0, 1].get_ydata(), X[2, 0])
    assert display.text_[0, 1].get_text() == "0.0\ntaken for 1"
    assert display.figure_.get_suptitle() == "2 of 3 misclassified"


def test_frames_and_pipelines():
    pandas = pytest.importorskip("pandas")
    clf, X = fit_kind("grey")
    frame = pandas.DataFrame(X.reshape(len(X), -1)).rename(columns=str)
    y = half_wrong(clf, X)
    whole = make_pipeline(FunctionTransformer(lambda X: np.asarray(X).reshape(-1, 9, 8)), clf)
    whole[0].fit(frame)
    display = MisclassifiedDisplay.from_estimator(whole, frame, pandas.Series(y))
    wrong, _ = wrong_of(clf, X, y)
    assert_array_equal(display.indices, wrong[:25])
    assert_array_equal(display.images[..., 0], X[wrong[:25]])


def test_another_classifier():
    X = np.random.default_rng(0).normal(size=(30, 9))
    y = np.arange(30) % 3
    clf = LogisticRegression().fit(X, y)
    display = MisclassifiedDisplay.from_estimator(clf, X, y)
    assert_array_equal(display.indices, wrong_of(clf, X, y)[0][:25])
    assert display.images.shape[1:] == (3, 3, 1)
    display = MisclassifiedDisplay.from_estimator(clf, X, y, image_shape=(1, 3, 3))
    assert display.images.shape[1:] == (1, 3, 3)


def test_a_classifier_without_probabilities():
    X = np.random.default_rng(0).normal(size=(30, 9))
    y = np.arange(30) % 3
    clf = LinearSVC(random_state=0).fit(X, y)
    display = MisclassifiedDisplay.from_estimator(clf, X, y)
    assert_array_equal(display.indices, np.flatnonzero(clf.predict(X) != y)[:25])
    assert display.confidence is None


def test_a_classifier_with_a_list_of_probabilities():
    X = np.random.default_rng(0).normal(size=(30, 9))
    y = np.stack([np.arange(30) % 2, np.arange(30) % 3 == 0], axis=1).astype(int)
    clf = KNeighborsClassifier(3).fit(X, y)
    display = MisclassifiedDisplay.from_estimator(clf, X, y)
    assert display.n_mistakes == (clf.predict(X) != y).any(axis=1).sum()


def test_no_mistakes():
    display = MisclassifiedDisplay.from_predictions(Y, Y, np.ones((5, 4)))
    assert display.axes_.shape == (0, 0)
    assert display.figure_.get_suptitle() == "0 of 5 misclassified"
    assert display.plot() is display


def test_bad_input():
    with pytest.raises(ValueError, match="n_images=0"):
        MisclassifiedDisplay.from_predictions(Y, Y, np.ones((5, 4)), n_images=0)
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        MisclassifiedDisplay.from_predictions(Y, Y, np.ones((4, 4)))
    with pytest.raises(ValueError, match=r"X of shape \(5,\) must be rows"):
        MisclassifiedDisplay.from_predictions(Y, Y, np.ones(5))
    with pytest.raises(NotFittedError):
        MisclassifiedDisplay.from_estimator(ConvSigmoidClassifier(), np.ones((5, 4)), Y)


def test_display_of_mistakes_that_nobody_has_counted():
    display = MisclassifiedDisplay(np.zeros((2, 4, 4)), ["a", "b"], ["b", "a"]).plot()
    assert display.figure_.get_suptitle() == "2 mistakes"


def test_styles():
    styles = {"im_kw": {"cmap": "magma"}, "text_kw": {"size": 5, "color": "red"}}
    display = MisclassifiedDisplay.from_predictions(Y, P, np.eye(5, 4), **styles)
    assert display.im_[0, 0].get_cmap().name == "magma"
    assert display.text_[0, 0].get_fontsize() == 5
    assert display.text_[0, 0].get_color() == "red"
