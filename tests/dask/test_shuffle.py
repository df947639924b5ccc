"""Data that is sorted by label: the warning, and the shuffle that it names."""

import warnings

import numpy as np
import pytest

da = pytest.importorskip("dask.array")

from skcnn.dask import DaskConvSigmoidClassifier, shuffle  # noqa: E402


def fit(data, n_replicas, **parameters):
    clf = DaskConvSigmoidClassifier(**{"n_filters": 4, "max_iter": 2, "random_state": 0} | parameters)
    return clf.set_params(n_replicas=n_replicas).fit(*data)


def test_samples_of_a_chunk_are_mixed_before_it_is_cut(client, digits):
    """Sorted data in one chunk, or in memory, is as good as shuffled data."""
    X, y = digits
    order = np.argsort(y, kind="stable")
    for data in [(da.from_array(X[order], chunks=-1), da.from_array(y[order], chunks=-1)), (X[order], y[order])]:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            clf = fit(data, 2, max_iter=8)
        assert not [one for one in caught if "label frequencies" in str(one.message)]
        assert clf.score(X, y) > 0.8


def sorted_data(digits):
    X, y = digits
    order = np.argsort(y, kind="stable")
    return da.from_array(X[order], chunks=(200, -1)), da.from_array(y[order], chunks=200)


@pytest.mark.parametrize("persist", [True, False])
def test_sorted_data_warns_and_shuffled_data_does_not(client, digits, persist):
    what = "replicas' parts of the data" if persist else "chunks"
    X, y = sorted_data(digits)
    with pytest.warns(UserWarning, match=f"of .* {what} have other label frequencies"):
        fit((X, y), 3, persist=persist, max_iter=1)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        fit(shuffle(X, y, random_state=0), 3, persist=persist, max_iter=1)
    assert not [one for one in caught if "label frequencies" in str(one.message)]


def test_one_replica_in_memory_needs_no_shuffling(client, digits):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        fit(sorted_data(digits), 1)
    assert not [one for one in caught if "label frequencies" in str(one.message)]


def test_shuffle_keeps_samples_together(client, digits):
    X, y = digits
    weights = np.arange(1000.0)
    shuffled = shuffle(da.from_array(X, chunks=(300, -1)), da.from_array(y, chunks=300), weights, random_state=0)
    assert all(array.chunks[0] == (300, 300, 300, 100) for array in shuffled)
    X_new, y_new, weights_new = (array.compute() for array in shuffled)
    order = weights_new.astype(int)
    np.testing.assert_array_equal(np.sort(order), range(1000))
    assert not np.array_equal(order, range(1000))
    np.testing.assert_array_equal(X_new, X[order])
    np.testing.assert_array_equal(y_new, y[order])
