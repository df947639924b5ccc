"""Multilabel targets and class weights."""

import numpy as np
import pandas as pd
import polars as pl
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.sparse import csr_matrix
from scipy.special import log_expit
from sklearn.exceptions import DataConversionWarning
from sklearn.model_selection import cross_val_score
from sklearn.utils.class_weight import compute_sample_weight

from skcnn import ConvSigmoidClassifier
from tests.helpers import reference


@pytest.fixture
def labelled(digits):
    """Digits with three labels: even, above 4, multiple of 3."""
    X, y = digits
    return X, np.column_stack([y % 2 == 0, y > 4, y % 3 == 0]).astype(int)


def test_each_label_has_its_own_sigmoid(quick, labelled):
    X, Y = labelled
    clf = quick(max_iter=60).fit(X, Y)
    assert_array_equal(clf.classes_, [0, 1, 2])
    assert clf.n_outputs_ == 3
    logits = clf.decision_function(X)
    assert_allclose(clf.predict_proba(X), reference.sigmoid(logits), rtol=1e-9)
    assert_allclose(clf.predict_log_proba(X), log_expit(logits), rtol=1e-9)
    assert_array_equal(clf.predict(X), (logits > 0).astype(int))
    assert clf.predict(X).dtype.kind == "i"
    assert clf.score(X, Y) == (clf.predict(X) == Y).all(axis=1).mean() > 0.9


def test_the_loss_sums_over_labels(quick, labelled):
    X, Y = labelled
    clf = quick(max_iter=3, batch_size=300, alpha=0.0).fit(X, Y, X_val=X, y_val=Y)
    expected, _ = reference.output_loss(clf.decision_function(X), Y.astype(float), np.ones(300), "log_loss")
    assert_allclose(clf.validation_loss_curve_[-1], expected)


@pytest.mark.parametrize(
    "convert",
    [
        csr_matrix,
        np.ndarray.tolist,
        np.asfortranarray,
        lambda Y: Y.astype(bool),
        lambda Y: Y.astype(">f8"),
        pd.DataFrame,
        lambda Y: pl.DataFrame(Y, schema=["a", "b", "c"]),
    ],
)
def test_indicators_of_any_kind(quick, labelled, convert):
    X, Y = labelled
    assert_array_equal(quick().fit(X, convert(Y))._parameters, quick().fit(X, Y)._parameters)


def test_two_labels_are_not_two_classes(quick, labelled):
    X, Y = labelled
    clf = quick().fit(X, Y[:, :2])
    assert clf.n_outputs_ == 2
    assert clf.predict(X).shape == clf.decision_function(X).shape == (300, 2)
    assert_array_equal(clf.predict(X), clf.decision_function(X) > 0)


def test_labels_that_no_sample_has(quick, digits):
    X, _ = digits
    Y = np.zeros((300, 2), dtype=int)
    assert not quick(max_iter=20).fit(X, Y).predict(X).any()


def test_several_labels_with_early_stopping_and_cross_validation(quick, labelled):
    X, Y = labelled
    clf = quick(max_iter=20, early_stopping=True, learning_rate_init=0.02)
    assert cross_val_score(clf, X, Y, cv=3).mean() > 0.5


def test_several_labels_in_chunks(quick, labelled):
    X, Y = labelled
    clf = quick(shuffle=False)
    for _ in range(5):
        clf.partial_fit(X, Y)
    assert_array_equal(clf._parameters, quick(shuffle=False).fit(X, Y)._parameters)
    with pytest.raises(ValueError, match="y must have 3 labels per sample; got 2"):
        clf.partial_fit(X, Y[:, :2])
    with pytest.raises(ValueError, match="y must be an indicator of 3 labels"):
        clf.partial_fit(X, Y[:, 0])


def test_labels_that_cannot_be_compared_with_the_classes(quick, digits):
    X, y = digits
    names = np.array(list("abcdefghij"), dtype=object)[y]
    clf = quick().partial_fit(X, names, classes=np.unique(names))
    with pytest.raises(ValueError, match=r"y has labels that are not among the classes \['a', .*\]: \[0, 1"):
        clf.partial_fit(X, y.astype(object))


def test_a_column_of_labels_is_one_label(quick, digits):
    X, y = digits
    with pytest.warns(DataConversionWarning, match="A column-vector y"):
        clf = quick().fit(X, y[:, np.newaxis])
    assert_array_equal(clf._parameters, quick().fit(X, y)._parameters)


@pytest.mark.parametrize(
    "columns", [lambda Y: Y + 1, lambda Y: 2 * Y - 1, lambda Y: Y.astype(str), lambda Y: Y[..., np.newaxis]]
)
def test_columns_that_are_no_indicator(quick, labelled, columns):
    X, Y = labelled
    with pytest.raises(ValueError, match=r"y must have one label per sample, or be an|Found array with dim 3"):
        quick().fit(X, columns(Y))


@pytest.mark.parametrize(
    ("classes", "message"),
    [
        ([], r"classes=\[\] must be a list or an array of labels"),
        (10, "classes=10 must be a list"),
        ({0, 1}, r"classes=\{0, 1\} must be a list"),
        ([0, None], "must be labels of one type"),
        ([0, np.nan], "must not hold NaN"),
        ([3], "one class only: 3"),
    ],
)
def test_bad_classes(quick, digits, classes, message):
    X, y = digits
    with pytest.raises(ValueError, match=message):
        quick().partial_fit(X, y, classes=classes)


def test_chunks_of_few_samples_and_many_classes_do_not_warn(quick, digits):
    X, _ = digits
    clf = quick().partial_fit(X[:10], np.arange(10), classes=np.arange(10))
    assert clf.partial_fit(X[10:20], np.arange(10)).t_ == 20


# ---- class weights ----


@pytest.mark.parametrize("class_weight", [{0: 2.0, 3: 0.5}, {7: 0}, "balanced"])
def test_class_weights_are_sample_weights(quick, digits, rng, class_weight):
    X, y = digits
    expected = quick().fit(X, y, compute_sample_weight(class_weight, y))
    assert_array_equal(quick(class_weight=class_weight).fit(X, y)._parameters, expected._parameters)


def test_class_weights_multiply_sample_weights(quick, digits, rng):
    X, y = digits
    weights = rng.uniform(size=300)
    expected = quick().fit(X, y, weights * np.where(y == 3, 2.0, 1.0))
    assert_array_equal(quick(class_weight={3: 2.0}).fit(X, y, weights)._parameters, expected._parameters)


def test_class_weights_of_strings_that_look_like_numbers(quick, digits):
    X, y = digits
    expected = quick(class_weight={3: 2.0}).fit(X, y)
    assert_array_equal(quick(class_weight={"3": 2.0}).fit(X, y.astype(str))._parameters, expected._parameters)


def test_balanced_weighs_samples_not_rows(quick, digits):
    """A class of zero weight is ignored; a sample of weight 2 counts twice."""
    X, y = digits
    weights = np.where(y == 3, 0.0, 1.0 + (np.arange(300) % 2))
    totals = np.bincount(y, weights)
    factors = np.divide(weights.sum(), 10 * totals, out=np.zeros(10), where=totals > 0)
    expected = quick().fit(X, y, weights * factors[y])
    assert_array_equal(quick(class_weight="balanced").fit(X, y, weights)._parameters, expected._parameters)


def test_class_weights_of_strings_and_in_chunks(quick, digits):
    X, y = digits
    names = np.array([f"digit {i}" for i in range(10)])[y]
    expected = quick(class_weight={"digit 3": 2.0}, shuffle=False).fit(X, names)
    clf = quick(class_weight={"digit 3": 2.0}, shuffle=False)
    for _ in range(5):
        clf.partial_fit(X, names, classes=np.unique(names))
    assert_array_equal(clf._parameters, expected._parameters)


def test_balanced_finds_the_rare_class(digits):
    """One sample in ten is of the class, which a short fit without class weights never predicts."""
    X, y = digits[0], digits[1] == 8
    recalls = []
    for class_weight in (None, "balanced"):
        clf = ConvSigmoidClassifier(
            class_weight=class_weight,
            max_iter=15,
            n_iter_no_change=13,
            tol=1e9,
            random_state=0,
            learning_rate_init=2e-4,
        ).fit(X, y)
        recalls.append(clf.predict(X)[y].mean())
    assert recalls[0] < 0.1
    assert recalls[1] > 0.5


@pytest.mark.parametrize(
    ("class_weight", "error", "message"),
    [
        ("even", TypeError, "class_weight must be None, 'balanced' or a dict"),
        ([1, 2], TypeError, "class_weight must be None, 'balanced' or a dict"),
        ({0: -1.0}, ValueError, "class_weight of 0=-1.0 must be in"),
        ({0: "much"}, TypeError, "class_weight of 0 must be a number; got 'much'"),
        ({0: np.inf}, ValueError, "class_weight of 0=inf must be finite"),
        ({10: 1.0}, ValueError, r"class_weight has weights of \[10\], but the classes are"),
        ({3: 1e300}, ValueError, "sample_weight times class_weight must sum to at most"),
        (dict.fromkeys(range(10), 0.0), ValueError, "sample_weight times class_weight is zero for every sample"),
    ],
)
def test_bad_class_weights(quick, digits, class_weight, error, message):
    X, y = digits
    with pytest.raises(error, match=message):
        quick(class_weight=class_weight).fit(X.astype(np.float32), y)


def test_class_weights_of_several_labels(quick, labelled):
    with pytest.raises(ValueError, match="class_weight='balanced' is for single-label targets"):
        quick(class_weight="balanced").fit(*labelled)


# ---- the sum of the weights ----


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("total", [1e-30, 0.3, 1.0])
def test_weights_that_sum_to_little(quick, digits, dtype, total):
    """Weights that sum to 1, as AdaBoost's do, leave the strength of the penalty as it is without weights."""
    X, y = digits[0].astype(dtype), digits[1]
    expected = quick(alpha=0.1).fit(X, y)
    clf = quick(alpha=0.1).fit(X, y, sample_weight=np.full(300, total / 300))
    tolerance = 1e-3 if dtype == "float32" else 1e-9
    assert_allclose(clf.coefs_[0], expected.coefs_[0], rtol=tolerance, atol=tolerance)
    # Samples of weight 0 do not count.
    weights = np.arange(300) % 2 * (total / 150)
    part, whole = quick(alpha=0.1, shuffle=False), quick(alpha=0.1, shuffle=False)
    part.set_params(batch_size=150).fit(X[1::2], y[1::2])
    whole.set_params(batch_size=300).fit(X, y, sample_weight=weights)
    assert_allclose(whole.coefs_[0], part.coefs_[0], rtol=10 * tolerance, atol=10 * tolerance)


def test_a_single_sample_that_counts(quick, digits):
    """Its weight of 1 stands for one copy."""
    X, y = digits[0][:20], digits[1][:20]
    options = {"alpha": 0.1, "shuffle": False, "batch_size": 20}
    one, copy = (
        quick(**options).partial_fit(X[:n], y[:n], w, np.arange(10)) for n, w in ((20, np.eye(20)[0]), (1, None))
    )
    assert_allclose(one.coefs_[0], copy.coefs_[0], rtol=1e-9, atol=1e-12)
