"""The state of a fitted model: its size and its files."""

import pickle
from pathlib import Path

import numpy as np
import pytest
import skops.io
from numpy.testing import assert_allclose, assert_array_equal

from skcnn import ConvSigmoidClassifier
from tests.helpers.marks import few_steps

pytestmark = few_steps

SNAPSHOT = Path(__file__).parent / "snapshot.pkl"


@pytest.fixture(scope="module")
def large():
    """A model with about 230 kB of parameters."""
    rng = np.random.RandomState(0)
    return rng.uniform(size=(64, 784)).astype(np.float32), np.arange(64) % 10


def large_model(**parameters):
    return ConvSigmoidClassifier(10, pool_size=1, max_iter=3, n_iter_no_change=1, tol=1e9, random_state=0, **parameters)


@pytest.mark.parametrize("parameters", [{}, {"early_stopping": True, "validation_fraction": 0.2}, {"solver": "sgd"}])
def test_a_pickle_is_little_more_than_the_parameters(large, parameters):
    clf = large_model(**parameters).fit(*large)
    assert clf._parameters.nbytes > 100_000
    assert len(pickle.dumps(clf)) < 1.2 * clf._parameters.nbytes


def test_a_pickle_goes_on_where_the_model_was(large):
    X, y = large
    clf = large_model(warm_start=True).fit(X, y)
    clf.partial_fit(X[:32], y[:32])
    again = pickle.loads(pickle.dumps(clf))
    assert_array_equal(again.partial_fit(X, y)._parameters, clf.partial_fit(X, y)._parameters)


def test_a_pickle_for_other_threads_and_dtypes(large):
    X, y = large
    again = pickle.loads(pickle.dumps(large_model(n_jobs=2).fit(X, y))).set_params(n_jobs=1)
    expected = large_model().fit(X, y)
    assert_array_equal(again.predict_proba(X), expected.predict_proba(X))
    assert_allclose(again.predict_proba(X.astype(float)), expected.predict_proba(X), rtol=1e-5)


def test_state_is_plain(large):
    """A state has arrays, numbers and strings, and lists, tuples and dicts of them."""

    def is_plain(value):
        if isinstance(value, dict):
            return all(map(is_plain, value)) and all(map(is_plain, value.values()))
        if isinstance(value, list | tuple):
            return all(map(is_plain, value))
        return value is None or type(value) in (np.ndarray, int, float, bool, str)

    clf = large_model(warm_start=True, early_stopping=True, validation_fraction=0.2).fit(*large)
    assert {name for name, value in clf.__getstate__().items() if not is_plain(value)} == set()


def test_skops(large, tmp_path):
    X, y = large
    clf = large_model(early_stopping=True, validation_fraction=0.2).fit(X, y)
    skops.io.dump(clf, tmp_path / "model.skops")
    assert skops.io.get_untrusted_types(file=tmp_path / "model.skops") == ["skcnn.classifier.ConvSigmoidClassifier"]
    again = skops.io.load(tmp_path / "model.skops", trusted=["skcnn.classifier.ConvSigmoidClassifier"])
    assert_array_equal(again.predict_proba(X), clf.predict_proba(X))
    assert again.validation_scores_ == clf.validation_scores_


def test_a_model_of_the_first_version(digits):
    """Later versions must read snapshot.pkl: `python -P tests/training/test_state.py` wrote it with NumPy 1.26."""
    X, _ = digits
    with SNAPSHOT.open("rb") as file:
        models = pickle.load(file)
    assert [clf.n_layers_ for clf, _ in models] == [3, 4]
    for clf, expected in models:
        assert_allclose(clf.predict_proba(X[:20]), expected, rtol=1e-5)
        assert len(clf.summary().rows) > clf.n_layers_
        assert clf.partial_fit(X[:20], clf.classes_[np.arange(20) % 10]).t_ > 0


def write_snapshot():
    from sklearn.datasets import load_digits

    X, y = load_digits(return_X_y=True)
    X = (X[:300] / 16).astype(np.float32)
    stack = {"padding": "same", "pool_size": [2, (1, 2)], "activation": "relu", "random_shift": (0, 1)}
    models = []
    for clf in (ConvSigmoidClassifier(2, 3), ConvSigmoidClassifier((2, 3), 3, **stack)):
        clf.set_params(tol=0.1, random_state=0, warm_start=True)
        clf.fit(X, y[:300], X_val=X[:50], y_val=y[:50])
        models.append((clf, clf.predict_proba(X[:20])))
    with SNAPSHOT.open("wb") as file:
        pickle.dump(models, file, protocol=4)


if __name__ == "__main__":
    write_snapshot()
