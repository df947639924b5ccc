"""Predictions: lazy arrays with the values of the local class, and arrays at once."""

import copy

import dask
import numpy as np
import pytest
from sklearn.exceptions import NotFittedError

da = pytest.importorskip("dask.array")

from skcnn import ConvSigmoidClassifier  # noqa: E402
from skcnn.dask import DaskConvSigmoidClassifier  # noqa: E402

METHODS = ("predict", "predict_proba", "predict_log_proba", "decision_function", "transform")


def fitted(X, y, **parameters):
    """The same model in both classes, without a cluster."""
    local = ConvSigmoidClassifier(4, max_iter=1, tol=1e9, n_iter_no_change=1, random_state=0, **parameters).fit(X, y)
    clf = DaskConvSigmoidClassifier(4)
    vars(clf).update(copy.deepcopy(vars(local)))
    return clf, local


TARGETS = {
    "ten classes": lambda y: y,
    "two classes": lambda y: y > 4,
    "strings": lambda y: y.astype(str),
    "several labels": lambda y: np.stack([y > 4, y % 2 == 0], axis=1).astype(int),
}


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("kind", TARGETS)
def test_values_shapes_and_types(digits, kind, method):
    """What the lazy array says of itself is what it computes, and the same as the local class's."""
    X, y = digits
    X, y = X[:200], TARGETS[kind](y[:200])
    clf, local = fitted(X, y)
    lazy = getattr(clf, method)(da.from_array(X, chunks=(90, -1)))
    expected = getattr(local, method)(X)
    assert isinstance(lazy, da.Array)
    assert lazy.shape == expected.shape
    assert lazy.chunks[0] == (90, 90, 20)
    computed = lazy.compute(scheduler="threads")
    assert lazy.dtype == computed.dtype == expected.dtype
    assert lazy._meta.shape == (0,) * expected.ndim
    np.testing.assert_array_equal(computed, expected)
    np.testing.assert_array_equal(getattr(clf, method)(X), expected)


@pytest.mark.parametrize("shape", [(28, 28), (28, 14, 2)])
def test_images(digits, shape):
    X, y = digits
    images = X.reshape(-1, *shape)
    clf, local = fitted(images, y)
    lazy = da.from_array(images, chunks=(300, *shape))
    np.testing.assert_array_equal(clf.predict(lazy).compute(scheduler="threads"), local.predict(images))
    assert clf.predict_proba(lazy).chunks == ((300, 300, 300, 100), (10,))
    with pytest.raises(ValueError, match="the network takes images of shape"):
        clf.predict(da.zeros((10, 14, 56), chunks=(5, 14, 56)))


def test_nothing_is_computed(digits):
    X, y = digits
    clf, _ = fitted(X, y)

    def fail(block):
        raise AssertionError("this was computed")

    lazy = da.from_array(X, chunks=(500, -1)).map_blocks(fail, dtype=X.dtype, meta=X[:0])
    for method in METHODS:
        getattr(clf, method)(lazy)


def test_the_model_is_one_task(digits):
    """It is not in the task of each chunk, and two predictions share it."""
    X, y = digits
    clf, _ = fitted(X, y)
    lazy = da.from_array(X, chunks=(10, -1))
    graph = {}
    for values in dask.optimize(clf.predict(lazy), clf.predict_proba(lazy)):
        graph.update(values.__dask_graph__())
    assert len([key for key in graph if "ConvSigmoid" in str(key)]) == 1


def test_before_the_fit():
    lazy = da.zeros((10, 64), chunks=5)
    clf = DaskConvSigmoidClassifier()
    for method in METHODS:
        with pytest.raises(NotFittedError):
            getattr(clf, method)(lazy)
    with pytest.raises(NotFittedError):
        clf.score(lazy, da.zeros(10, chunks=5))


def test_wrong_width(digits):
    X, y = digits
    clf, _ = fitted(X, y)
    with pytest.raises(ValueError, match="783 features"):
        clf.predict(da.from_array(X[:, 1:], chunks=(500, -1)))


def test_score_of_a_bad_chunk(client, digits):
    X, y = digits
    clf, _ = fitted(X.astype(float), y)
    bad = X.astype(float)
    bad[700] = np.nan
    with pytest.raises(ValueError, match=r"Chunk 1 of X: .*NaN"):
        clf.score(da.from_array(bad, chunks=(500, -1)), da.from_array(y, chunks=500))
    with pytest.raises(ValueError, match="no samples of positive weight"):
        clf.score(da.from_array(bad, chunks=(500, -1)), da.from_array(y, chunks=500), np.zeros(1000))


def test_set_output(digits):
    """A frame for arrays, as locally; dask arrays remain dask arrays."""
    pd = pytest.importorskip("pandas")
    X, y = digits
    clf, _ = fitted(X, y)
    clf.set_output(transform="pandas")
    assert isinstance(clf.transform(X), pd.DataFrame)
    assert isinstance(clf.transform(da.from_array(X, chunks=(500, -1))), da.Array)
