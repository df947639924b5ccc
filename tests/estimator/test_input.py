"""X is not copied without need, and its memory layout and location do not change results."""

import sys
import tracemalloc

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_array_equal

from skcnn import ConvSigmoidClassifier
from skcnn.images import read_images
from skcnn.model import find_largest_pixel
from skcnn.network import make_network
from tests.helpers.fits import fit_unconverged
from tests.helpers.marks import few_steps

pytestmark = few_steps

# New arrays, the targets, weights and labels of all rows, take about a megabyte; X takes twenty.
N_SAMPLES, SIDE = 20_000, 32


@pytest.fixture(scope="module")
def large():
    """20 MB of uint8 pixels."""
    rng = np.random.default_rng(0)
    X = np.frombuffer(rng.bytes(N_SAMPLES * SIDE**2), dtype=np.uint8).reshape(N_SAMPLES, -1)
    return X, np.arange(N_SAMPLES) % 2


def small_network(**parameters):
    """A network whose training takes next to no time."""
    return ConvSigmoidClassifier(
        n_filters=1,
        kernel_size=2,
        rescale=1 / 255,
        max_iter=2,
        tol=1e9,
        n_iter_no_change=1,
        random_state=0,
        batch_size=200,
        **parameters,
    )


def traced_peak(function, *args):
    """The function's result, and the peak memory of NumPy and Python during the call."""
    tracemalloc.start()
    try:
        result = function(*args)
        return result, tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


WAYS = {
    "plain": {},
    "standardize": {"standardize": True},
    # Both parts of the split are row numbers of X.
    "early stopping": {"early_stopping": True, "validation_fraction": 0.5},
}


@pytest.mark.parametrize("parameters", WAYS.values(), ids=WAYS)
@pytest.mark.parametrize("dtype", ["uint8", "float32", "float64"])
def test_no_copy(large, dtype, parameters):
    """Float X has fewer rows, so that it has the same size."""
    X, y = large
    n_samples = N_SAMPLES // np.dtype(dtype).itemsize
    X, y = X[:n_samples].astype(dtype), y[:n_samples]
    clf, peak = traced_peak(fit_unconverged, small_network(**parameters), X, y)
    assert clf.coefs_[0].dtype == ("float64" if dtype == "float64" else "float32")
    assert peak < 0.15 * X.nbytes
    scores, peak = traced_peak(clf.predict_proba, X)
    assert scores.shape == (n_samples, 2)
    assert peak < 0.15 * X.nbytes


def refuse(predict, X):
    with pytest.raises(ValueError, match="NaN"):
        predict(X)


def test_what_is_refused_is_not_copied(large):
    """The check for sequences of images must not convert X to Python objects."""
    X, y = large
    X = X[:10_000].astype(np.float32)
    clf = fit_unconverged(small_network(), X, y[:10_000])
    X[-1, -1] = np.nan
    _, peak = traced_peak(refuse, clf.predict, X)
    assert peak < X.nbytes


def test_a_copy_would_be_seen(large):
    """Other dtypes are copied, which shows that the test above can fail."""
    X, y = large
    X, y = X[:2000].astype(np.int16), y[:2000]
    _, peak = traced_peak(fit_unconverged, small_network(), X, y)
    assert peak > X.nbytes


@pytest.mark.parametrize("dtype", ["uint8", "float32", "float64"])
def test_memory_mapped(large, dtype, tmp_path):
    """A read-only memory map is not copied and gives the same bits."""
    n_samples = N_SAMPLES // np.dtype(dtype).itemsize
    X, y = large[0][:n_samples].astype(dtype), large[1][:n_samples]
    X.tofile(tmp_path / "X")
    mapped = np.memmap(tmp_path / "X", dtype=dtype, mode="r", shape=X.shape)
    clf, peak = traced_peak(fit_unconverged, small_network(), mapped, y)
    assert peak < 0.15 * X.nbytes
    scores, peak = traced_peak(clf.decision_function, mapped)
    assert peak < 0.15 * X.nbytes
    expected = fit_unconverged(small_network(), X, y)
    assert_array_equal(clf._parameters, expected._parameters)
    assert_array_equal(scores, expected.decision_function(X))


LAYOUTS = {
    "Fortran order": np.asfortranarray,
    "every second column": lambda X: np.repeat(X, 2, axis=1)[:, ::2],
    "every second row": lambda X: np.repeat(X, 2, axis=0)[::2],
    "rows backwards": lambda X: X[::-1].copy()[::-1],
    "columns backwards": lambda X: X[:, ::-1].copy()[:, ::-1],
    "part of a wider array": lambda X: np.pad(X, 1)[1:-1, 1:-1],
    "unaligned": lambda X: np.frombuffer(b"x" + X.tobytes(), X.dtype, offset=1).reshape(X.shape),
}


@pytest.mark.parametrize("rearrange", LAYOUTS.values(), ids=LAYOUTS)
@pytest.mark.parametrize("dtype", ["uint8", "float32", "float64"])
def test_layout(quick, digits, rearrange, dtype):
    X, y = (digits[0] * 16).astype(dtype), digits[1]
    same = rearrange(X)
    assert_array_equal(same, X)
    same.flags.writeable = False
    expected, clf = quick(rescale=1 / 16).fit(X, y), quick(rescale=1 / 16).fit(same, y)
    assert clf._parameters.dtype == expected._parameters.dtype
    assert_array_equal(clf._parameters, expected._parameters)
    assert_array_equal(clf.decision_function(same), expected.decision_function(X))


@pytest.mark.parametrize("kind", ["f4", "f8", "u2", "i4"])
def test_byte_order(quick, digits, kind):
    """Another byte order, as in files of other machines, changes neither results nor the dtype of training."""
    X, y = digits[0] * 16, digits[1]
    expected, clf = (quick(rescale=1 / 16).fit(X.astype(order + kind), y) for order in "<>")
    assert clf._parameters.dtype == expected._parameters.dtype
    assert_array_equal(clf._parameters, expected._parameters)
    assert_array_equal(clf.decision_function(X.astype(">" + kind)), expected.decision_function(X.astype("<" + kind)))


@pytest.mark.parametrize("kind", ["f4", "f8"])
def test_named_native_byte_order(quick, digits, kind):
    """As in arrays that zarr reads, whose buffers name the order."""
    X, y = digits[0].astype(kind), digits[1]
    named = X.view(X.dtype.newbyteorder("<" if sys.byteorder == "little" else ">"))
    assert memoryview(named).format != memoryview(X).format
    for given, same in [(named, X), (named.reshape(-1, 8, 8), X.reshape(-1, 8, 8))]:
        clf, expected = quick(rescale=1 / 16).fit(given, y), quick(rescale=1 / 16).fit(same, y)
        assert_array_equal(clf._parameters, expected._parameters)
        for rows in (1, 20):
            assert_array_equal(clf.predict_proba(given[:rows]), expected.predict_proba(same[:rows]))


@pytest.mark.parametrize("dtype", ["uint8", "float32", "float64"])
def test_rows_to_predict_are_not_copied(dtype):
    X = np.arange(1200).reshape(-1, 6) % 7
    clf = fit_unconverged(small_network(image_shape=(2, 3)), X, X[:, 0] > 3)
    rows = X.astype(dtype)
    assert read_images(clf, rows, reset=False)[0] is rows
    assert_array_equal(clf.predict_proba(rows[:1]), clf.predict_proba(rows.tolist()[:1]))


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_row_that_is_not_finite_is_no_row_to_predict(value):
    X = np.arange(1200.0).reshape(-1, 6) % 7
    clf = fit_unconverged(small_network(image_shape=(2, 3)), X, X[:, 0] > 3)
    X[50, 2] = value
    with pytest.raises(ValueError, match="Input X contains"):
        clf.predict(X)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("activation", ["sigmoid", "relu"])
@pytest.mark.parametrize("n_rows", [1, 50])
def test_values_with_which_layers_may_overflow(dtype, activation, n_rows):
    """Sums may end as infinities of the wrong sign, which a bounded activation would take for large numbers."""
    X = (np.arange(1200).reshape(-1, 6) % 7).astype(dtype)
    clf = fit_unconverged(small_network(image_shape=(2, 3), activation=activation), X, X[:, 0] > 3)
    largest = clf._model.largest_pixel
    assert np.finfo(dtype).max / 1e7 < largest < np.finfo(dtype).max / 1e2
    X[:, 2] = -0.99 * largest
    assert np.isfinite(clf.predict_proba(X[:n_rows])).all()
    X[0, 2] = -1.01 * largest
    for rows in (X[:n_rows], X[:n_rows].tolist()):
        with pytest.raises(ValueError, match=f"X holds values too large for {dtype}, in which .*may overflow from "):
            clf.predict_proba(rows)


@pytest.mark.parametrize(
    ("activation", "weights", "expected"),
    [("sigmoid", (4, 1), 1 / 4), ("sigmoid", (4, 100), 1 / 4), ("relu", (4, 1), 1 / 4), ("relu", (4, 100), 1 / 400)],
)
def test_largest_pixel_of_a_stack(activation, weights, expected):
    """As a part of what a sum may be, with weights of the two layers; a sigmoid's output is at most 1."""
    clf = ConvSigmoidClassifier((1, 1), kernel_size=1, image_shape=(2, 3), padding="same", activation=activation)
    network = make_network(clf, 6, 1)
    parameters = np.zeros(network.n_parameters)
    filters = [network.views(parameters)[f"filters_{number}"] for number in range(2)]
    filters[0][:], filters[1][:] = weights
    limit = np.finfo(float).max / 1e6
    assert find_largest_pixel(network, parameters) == pytest.approx(expected * limit)
    filters[1][:] = 1.01 * limit  # too large for an input of 1, which a sigmoid's can be
    expected = 0 if activation == "sigmoid" else 1 / 4.04
    assert find_largest_pixel(network, parameters) == pytest.approx(expected)
    for filter in filters:  # whose sum with the other layer's, or the scale, is infinite
        filter[:] = np.finfo(float).max
    assert find_largest_pixel(make_network(clf, 6, 1, pixel_scale=(3.0, 1.0)), parameters) == 0


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_logits_that_overflow(dtype):
    """The largest pixel bounds what activations read; the logits have a check of their own."""
    X = (np.arange(1200).reshape(-1, 6) % 7).astype(dtype)
    clf = fit_unconverged(small_network(image_shape=(2, 3), activation="relu"), X, X[:, 0] > 3)
    clf.filters_[:], clf.coefs_[-1][:] = 1, np.finfo(dtype).max / 1e7
    for rows in (X, X[:1]):
        with pytest.raises(ValueError, match=f"X holds values too large for {dtype}, in which this model computes"):
            clf.predict_proba(rows * 1e10)


def test_another_thread_fits_other_images_meanwhile(digits, quick):
    X, y = digits
    clf = quick().fit(X, y)

    class Images:
        def __array__(self, dtype=None, copy=None):
            clf.fit(X[:, :49], y)
            return X[:, :49]

    with pytest.raises(ValueError, match="X has 49 features, but the network takes 64"):
        clf.predict(Images())
    assert clf.predict(X[:, :49]).shape == y.shape


def test_another_thread_stores_another_model_meanwhile(digits, quick):
    """A value that is too large for the model that predicts is refused, whatever the next one could do with it."""
    X, y = digits[0].astype(np.float32), digits[1]
    clf, other = quick().fit(X, y), quick().fit(X, y)
    object.__setattr__(clf._model, "largest_pixel", 10.0)

    class Images:
        def __array__(self, dtype=None, copy=None):
            clf._model = other._model
            return X * 20

    with pytest.raises(ValueError, match="X holds values too large for float32"):
        clf.predict(Images())
    assert clf.predict(X * 20).shape == y.shape


@pytest.mark.parametrize("with_names", [True, False])
def test_attributes_of_other_threads_are_kept(digits, quick, with_names):
    """They may come at any time, so that `fit` changes the attributes in place, even if it removes names of columns."""
    X, y = digits
    clf = quick().fit(pd.DataFrame(X).add_prefix("pixel") if with_names else X, y)
    attributes = vars(clf)
    for call in (clf.fit, clf.partial_fit):
        call(X, y)
        assert vars(clf) is attributes
        assert not hasattr(clf, "feature_names_in_")
