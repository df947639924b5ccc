"""Hidden activations as features."""

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.pipeline import make_pipeline
from sklearn.svm import SVC

from skcnn import ConvSigmoidClassifier
from tests.helpers import reference
from tests.helpers.harness import assert_close


@pytest.mark.parametrize("n_samples", [1, 5, 8, 9, 16, 17, 40])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_hidden_layer(digits, n_samples, dtype):
    """The size, 7 x 6 outputs of 3 filters, does not fill the last square of a group."""
    X, y = digits[0].astype(dtype), digits[1]
    clf = ConvSigmoidClassifier(3, [(2, 3)], pool_size=1, max_iter=3, n_iter_no_change=1, tol=1e9, random_state=0)
    clf.fit(X, y)
    hidden = clf.transform(X[:n_samples])
    filters, intercepts = clf.coefs_[0].astype(float), clf.intercepts_[0].astype(float)
    images = X[:n_samples].astype(float).reshape(-1, 8, 8, 1)
    expected = reference.sigmoid(reference.correlate(images, filters, intercepts)).reshape(n_samples, -1)
    assert hidden.shape == (n_samples, 126)
    assert hidden.dtype == dtype
    assert_close(hidden, expected)
    assert_close(hidden @ clf.coefs_[1] + clf.intercepts_[1], clf.decision_function(X[:n_samples]), factor=10)


@pytest.mark.parametrize("n_jobs", [2, 3])
def test_any_number_of_threads(quick, digits, n_jobs):
    X, y = digits
    clf = quick().fit(X, y)
    assert_array_equal(clone(clf).set_params(n_jobs=n_jobs).fit(X, y).transform(X), clf.transform(X))


def test_feature_names(fitted):
    names = fitted.get_feature_names_out()
    assert names.tolist() == [f"convsigmoidclassifier{i}" for i in range(108)]


def test_frames(quick, digits):
    X, y = digits
    clf = quick().set_output(transform="pandas").fit(X, y)
    assert clf.transform(X).columns.tolist() == clf.get_feature_names_out().tolist()
    assert_array_equal(clf.transform(X).to_numpy(), quick().fit(X, y).transform(X))


def test_feeding_a_support_vector_machine(quick, digits):
    X, y = digits
    pipeline = make_pipeline(quick(max_iter=20), SVC()).fit(X[:200], y[:200])
    assert pipeline.score(X[200:], y[200:]) > 0.85
    assert_array_equal(quick().fit_transform(X, y), quick().fit(X, y).transform(X))


def test_not_fitted(quick, digits):
    with pytest.raises(NotFittedError):
        quick().transform(digits[0])
    with pytest.raises(NotFittedError):
        quick().get_feature_names_out()


def test_features_are_new_memory(fitted, digits):
    X, _ = digits
    first = fitted.transform(X[:5])
    copy = first.copy()
    fitted.transform(np.zeros((5, 64)))
    assert_array_equal(first, copy)
