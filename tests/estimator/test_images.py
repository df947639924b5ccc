"""X as images of three or four axes, accepted wherever rows are."""

import re

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_array_equal
from sklearn.model_selection import cross_val_score


def test_images_are_their_rows(quick, digits):
    X, y = digits
    clf = quick().fit(X.reshape(300, 8, 8), y)
    expected = quick().fit(X, y)
    assert_array_equal(clf._parameters, expected._parameters)
    assert clf.n_features_in_ == 64
    for method in ("predict", "predict_proba", "predict_log_proba", "decision_function", "transform"):
        assert_array_equal(getattr(clf, method)(X.reshape(300, 8, 8)), getattr(expected, method)(X))
        assert_array_equal(getattr(clf, method)(X), getattr(expected, method)(X))
    assert clf.score(X.reshape(300, 8, 8, 1), y) == expected.score(X, y)


@pytest.mark.parametrize("shape", [(4, 16), (16, 4), (4, 4, 4), (8, 8, 1), (1, 64), (2, 16, 2)], ids=str)
@pytest.mark.parametrize("dtype", ["uint8", "float32", "float64", "int64", ">f4"])
def test_their_shape_is_taken_from_them(quick, digits, shape, dtype):
    X, y = (digits[0] * 16).astype(dtype), digits[1]
    parameters = {"rescale": 1 / 16, "kernel_size": 2}
    clf = quick(**parameters).fit(X.reshape(300, *shape), y)
    assert clf.image_shape_ == (*shape, 1)[:3]
    expected = quick(**parameters, image_shape=shape).fit(X, y)
    assert_array_equal(clf._parameters, expected._parameters)
    assert clf.coefs_[0].dtype == ("float32" if dtype in ("uint8", "float32", ">f4") else "float64")


def test_lists_of_images(quick, digits):
    X, y = digits
    images = X.reshape(300, 8, 8)
    expected = quick().fit(X, y)
    assert_array_equal(quick().fit(images.tolist(), y)._parameters, expected._parameters)
    assert_array_equal(expected.predict(list(images[:3])), expected.predict(X[:3]))


def test_transposed_and_strided_images(quick, digits):
    X, y = digits
    images = np.zeros((300, 16, 8))
    images[:, ::2] = X.reshape(300, 8, 8).swapaxes(1, 2)
    clf = quick().fit(images[:, ::2].swapaxes(1, 2), y)
    assert_array_equal(clf._parameters, quick().fit(X, y)._parameters)


def test_a_read_only_memory_map_of_images(quick, digits, tmp_path):
    X, y = (digits[0] * 16).astype(np.uint8), digits[1]
    np.save(tmp_path / "X.npy", X.reshape(300, 8, 8))
    images = np.load(tmp_path / "X.npy", mmap_mode="r")
    assert_array_equal(quick().fit(images, y)._parameters, quick().fit(X, y)._parameters)


def test_chunks_and_cross_validation(quick, digits):
    """The same results as with rows and `image_shape`."""
    X, y = digits
    images = X.reshape(300, 8, 4, 2)
    clf, rows = quick(), quick(image_shape=(8, 4, 2))
    clf.partial_fit(images[:100], y[:100], classes=np.arange(10)).partial_fit(X[100:], y[100:])
    rows.partial_fit(X[:100], y[:100], classes=np.arange(10)).partial_fit(X[100:], y[100:])
    assert clf.image_shape_ == (8, 4, 2)
    assert_array_equal(clf._parameters, rows._parameters)
    assert_array_equal(cross_val_score(quick(), images, y, cv=2), cross_val_score(rows, X, y, cv=2))


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (np.zeros((5, 4, 16)), r"X has images of shape \(4, 16\), but the network takes .* \(8, 8, 1\)"),
        (np.zeros((5, 8, 9)), r"X has images of shape \(8, 9\)"),
        (np.zeros((5, 8, 8, 2)), r"X has images of shape \(8, 8, 2\)"),
        (np.zeros((5, 8, 8, 1, 1)), "X has 5 axes; it takes rows, 2 axes, or images"),
        (np.full((5, 8, 8), np.nan), "NaN"),
        ([[[1, 2], [3]], [[4]]], "inhomogeneous"),
        (np.zeros((0, 8, 8)), r"0 sample\(s\)"),
    ],
)
def test_bad_images(fitted, images, message):
    with pytest.raises(ValueError, match=message):
        fitted.predict(images)


def test_images_that_contradict_image_shape(quick, digits):
    X, y = digits
    with pytest.raises(ValueError, match=r"X has images of shape \(8, 8\), but the network takes .* \(4, 16, 1\)"):
        quick(image_shape=(4, 16)).fit(X.reshape(300, 8, 8), y)
    assert quick(image_shape=(8, 8)).fit(X.reshape(300, 8, 8), y).image_shape_ == (8, 8, 1)


# ---- input that resembles images ----


def as_objects(images):
    array = np.empty(len(images), dtype=object)
    array[:] = list(images)
    return array


@pytest.mark.parametrize("call", ["fit", "partial_fit", "predict"])
@pytest.mark.parametrize(
    "make",
    [as_objects, lambda images: as_objects(images)[:, np.newaxis], pd.Series, lambda images: pd.DataFrame({0: images})],
    ids=["array", "column", "Series", "DataFrame"],
)
def test_a_sequence_of_arrays(quick, call, make):
    images, y = np.random.default_rng(0).random((20, 8, 8)), np.arange(20) % 2
    X = make(list(images))
    clf = quick(max_iter=3).fit(images, y)
    arguments = () if call == "predict" else (y,)
    with pytest.raises(ValueError, match=r"X is a sequence of arrays, each of shape \(8, 8\); .*np.stack\(list"):
        getattr(clf, call)(X, *arguments)
    stacked = np.stack(list(X[0] if isinstance(X, pd.DataFrame) else X.ravel() if X.ndim > 1 else X))
    np.testing.assert_array_equal(clf.predict(stacked), clf.predict(images))


@pytest.mark.parametrize("make", [list, as_objects, pd.Series])
def test_images_of_different_shapes(quick, make):
    rng = np.random.default_rng(0)
    X = make([rng.random((8, 8 - i % 2)) for i in range(20)])
    with pytest.raises(ValueError, match=r"X has images of different shapes, \(8, 7\) and \(8, 8\) among them"):
        quick().fit(X, np.arange(20) % 2)


@pytest.mark.parametrize(
    ("shape", "better"),
    [
        ((1, 8, 8), "np.moveaxis(X, 1, -1) instead"),
        ((3, 9, 7), "np.moveaxis(X, 1, -1) instead"),
        ((3, 40), "np.moveaxis(X, 1, -1)[:, np.newaxis], if these are signals"),
    ],
    ids=str,
)
def test_channels_first(quick, shape, better):
    X, y = np.random.default_rng(0).random((20, *shape)), np.arange(20) % 2
    with pytest.warns(UserWarning, match=re.escape(better)):
        clf = quick().fit(X, y)
    assert clf.image_shape_ == (*shape, 1)[:3]
    quick(image_shape=clf.image_shape_).fit(X, y)  # no warning with an explicit shape
    moved = np.moveaxis(X, 1, -1)
    assert quick().fit(moved if len(shape) == 3 else moved[:, np.newaxis], y).image_shape_[2] == shape[0]


@pytest.mark.parametrize("kind", [np.array, pd.DataFrame])
def test_flattened_colours(quick, kind):
    X, y = np.random.default_rng(0).integers(256, size=(20, 192), dtype=np.uint8), np.arange(20) % 2
    with pytest.warns(UserWarning, match=re.escape("flattened colour images, pass image_shape=(8, 8, 3)")):
        assert quick().fit(kind(X), y).image_shape_ == (1, 192, 1)
    for shape in (8, 8, 3), (1, 192):
        quick(image_shape=shape).fit(kind(X), y)  # no warning with an explicit shape
    quick().fit(X / 1.0, y)  # signals are rarely bytes


def test_a_stream_is_warned_once(quick):
    X, y = np.random.default_rng(0).random((20, 3, 8, 8)), np.arange(20) % 2
    with pytest.warns(UserWarning, match="If channels come first"):
        clf = quick().partial_fit(X, y, classes=[0, 1])
    clf.partial_fit(X, y)  # a warning would be an error


@pytest.mark.parametrize("shape", [(8, 8), (1, 40), (8, 8, 3), (1, 40, 12), (3, 3, 3), (4, 30), (1, 8, 1)], ids=str)
def test_channels_that_are_not_first(quick, shape):
    quick().fit(np.random.default_rng(0).random((20, *shape)), np.arange(20) % 2)
