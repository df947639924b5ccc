"""Collections: frames, xarray, images, chunks that are empty or of unknown length, and what does not fit together."""

import warnings

import numpy as np
import pytest

dask = pytest.importorskip("dask")
da = pytest.importorskip("dask.array")

from skcnn import ConvSigmoidClassifier  # noqa: E402
from skcnn.dask import DaskConvSigmoidClassifier, shuffle  # noqa: E402

PARAMETERS = {"n_filters": 3, "max_iter": 2, "random_state": 0}


def make(n_replicas=1, **parameters):
    return DaskConvSigmoidClassifier(**PARAMETERS | parameters, n_replicas=n_replicas)


def local_fit(X, y, *args, **parameters):
    return ConvSigmoidClassifier(**PARAMETERS | parameters).fit(X, y, *args)


def assert_same(distributed, local):
    np.testing.assert_array_equal(distributed._model.parameters, local._model.parameters)


@pytest.fixture
def small(digits):
    X, y = digits
    return X[:200], y[:200]


def unknown(array):
    """The same array with chunks of unknown length."""
    unknown = array[da.from_array(np.ones(len(array), bool), chunks=(array.chunks[0],))]
    assert np.isnan(unknown.shape[0])
    return unknown


@pytest.mark.parametrize("persist", [True, False])
def test_unknown_lengths(client, small, persist):
    X, y = small
    dX, dy = unknown(da.from_array(X, chunks=(60, -1))), unknown(da.from_array(y, chunks=60))
    clf = make(shuffle=False, batch_size=20, persist=persist).fit(dX, dy)
    local = local_fit(X, y, shuffle=False, batch_size=20)
    assert_same(clf, local)
    predicted = clf.predict(dX)
    assert np.isnan(predicted.shape[0])
    np.testing.assert_array_equal(predicted.compute(), local.predict(X))
    assert clf.score(dX, dy) == local.score(X, y)


@pytest.mark.parametrize("persist", [True, False])
@pytest.mark.parametrize("n_replicas", [1, 3])
def test_empty_chunks(client, small, n_replicas, persist):
    X, y = small
    lengths = (0, 80, 0, 0, 120, 0)
    dX, dy = da.from_array(X, chunks=(lengths, -1)), da.from_array(y, chunks=(lengths,))
    filled = da.from_array(X, chunks=((80, 120), -1)), da.from_array(y, chunks=((80, 120),))
    parameters = {"shuffle": False, "persist": persist}
    clf = make(n_replicas, **parameters).fit(dX, dy, X_val=dX, y_val=dy)
    assert_same(clf, make(n_replicas, **parameters).fit(*filled))
    assert clf.score(dX, dy) == clf.score(X, y) == clf.validation_scores_[-1]
    for method in ("predict", "predict_proba", "transform"):
        lazy = getattr(clf, method)(dX)
        assert lazy.compute().dtype == lazy.dtype == getattr(clf, method)(X).dtype
    np.testing.assert_array_equal(
        clf.predict_proba(dX).compute(), clf.predict_proba(dX.rechunk(((80, 120), -1))).compute()
    )


def test_data_frames(client, small):
    dd = pytest.importorskip("dask.dataframe", exc_type=ImportError)  # without pyarrow
    pd = pytest.importorskip("pandas")
    X, y = small
    frame = pd.DataFrame(X, columns=[f"pixel {i}" for i in range(X.shape[1])])
    series = pd.Series(y.astype(str))
    dX, dy = dd.from_pandas(frame, npartitions=3), dd.from_pandas(series, npartitions=3)
    clf, local = make().fit(dX, dy), local_fit(frame, series)
    assert_same(clf, local)
    np.testing.assert_array_equal(clf.feature_names_in_, frame.columns)
    np.testing.assert_array_equal(clf.predict(dX).compute(), local.predict(frame))
    assert clf.score(dX, dy) == local.score(frame, series)
    with pytest.raises(ValueError, match="feature names should match"):
        clf.predict(dX.rename(columns={"pixel 3": "other"}))
    np.testing.assert_array_equal(clf.to_local().predict(frame), local.predict(frame))


def test_frame_of_labels_in_a_column(client, small):
    dd = pytest.importorskip("dask.dataframe", exc_type=ImportError)  # without pyarrow
    pd = pytest.importorskip("pandas")
    X, y = small
    frame = dd.from_pandas(pd.DataFrame(X).assign(label=y), npartitions=2)
    clf = make().fit(frame.drop(columns="label"), frame["label"])
    np.testing.assert_array_equal(clf.classes_, np.unique(y))


def test_xarray(client, small):
    xarray = pytest.importorskip("xarray")
    X, y = small
    images = xarray.DataArray(da.from_array(X.reshape(-1, 28, 28), chunks=(70, -1, -1)), dims=("time", "row", "column"))
    labels = xarray.DataArray(da.from_array(y, chunks=70), dims="time")
    clf = make().fit(images, labels)
    assert clf.image_shape_ == (28, 28, 1)
    assert_same(clf, local_fit(X.reshape(-1, 28, 28), y))
    assert clf.predict(images).chunks == ((70, 70, 60),)
    assert clf.score(images, labels) == clf.score(X, y)


@pytest.mark.parametrize("dtype", ["uint8", "float32", "float64"])
def test_zarr(client, small, tmp_path, dtype):
    pytest.importorskip("zarr")
    X, y = small[0].astype(dtype), small[1]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        da.from_array(X, chunks=(50, -1)).to_zarr(str(tmp_path / "X.zarr"))
        dX = da.from_zarr(str(tmp_path / "X.zarr"))
    clf = make(persist=False, shuffle=False, batch_size=50).fit(dX, da.from_array(y, chunks=50))
    assert_same(clf, local_fit(X, y, shuffle=False, batch_size=50))


def test_labels_and_weights_in_memory(client, small):
    X, y = small
    weights = np.linspace(0.1, 2, 200)
    clf = make().fit(da.from_array(X, chunks=(60, -1)), y.tolist(), weights)
    assert_same(clf, local_fit(X, y, weights))


def test_chunks_that_differ_are_aligned(client, small):
    X, y = small
    clf = make().fit(da.from_array(X, chunks=(60, -1)), da.from_array(y[:, np.newaxis], chunks=(45, 1))[:, 0])
    assert_same(clf, local_fit(X, y))


def test_column_of_labels(client, small):
    X, y = small
    clf = make().fit(da.from_array(X, chunks=(60, -1)), da.from_array(y[:, np.newaxis], chunks=(60, 1)))
    assert_same(clf, local_fit(X, y))


# ---- what does not fit together ----


def chunks_of(X, n=50):
    return da.from_array(X, chunks=(n, *X.shape[1:]))


def bad_cases(X, y):
    dX, dy = chunks_of(X), chunks_of(y)
    nan = X.astype(float)
    nan[120, 3] = np.nan
    negative = np.ones(200)
    negative[60] = -1
    late = y.astype(float)
    late[199] = np.nan
    masked = np.ma.array(X, mask=np.zeros(X.shape, bool))
    masked[120, 3] = np.ma.masked
    return {
        "split images": ((dX.rechunk((50, 392)), dy), r"chunks of parts of images: .* X\.rechunk\(\{1: -1\}\)"),
        "one axis": ((dX[:, 0], dy), "X has 1 axes"),
        "five axes": ((chunks_of(X.reshape(-1, 2, 2, 14, 14)), dy), "X has 5 axes"),
        "lengths": ((dX, dy[:150]), "X has 200 samples, and y has 150"),
        "lengths of arrays": ((dX, y[:150]), "X has 200 samples, and y is of shape"),
        "lengths of weights": ((dX, dy, np.ones(3)), "X has 200 samples, and sample_weight is of shape"),
        "numbers of chunks": ((unknown(dX), unknown(chunks_of(y, 100))), "X has 4 chunks and y has 2"),
        "labels in memory": ((unknown(dX), y), "chunks of unknown length, so that y cannot be split"),
        "nan": ((chunks_of(nan), dy), "Chunk 2 of X: .*NaN"),
        "dates": ((chunks_of(X.astype("M8[s]")), dy), "X must be numbers; got datetime64"),
        "dates in a chunk": (
            (
                dX.map_blocks(lambda block, block_id: block.astype("M8[s]") if block_id[0] == 2 else block, dtype="u1"),
                dy,
            ),
            "Chunk 2 of X: X must be numbers; got datetime64",
        ),
        "dates as weights": ((dX, dy, chunks_of(y.astype("m8[s]"))), "sample_weight must be numbers; got timedelta64"),
        "masked": ((da.from_array(masked, chunks=(50, -1), asarray=False), dy), "Chunk 2 of X: X has masked values"),
        "negative weight": ((dX, dy, negative), "Chunk 1 of y: sample_weight must not be negative"),
        "no weight": ((dX, dy, np.zeros(200)), "sample_weight is zero for every sample"),
        "nan label": ((dX, chunks_of(late)), "Chunk 3 of y: .*NaN"),
        "continuous": ((dX, chunks_of(y + 0.5)), "Unknown label type: continuous"),
        "one class": ((dX, da.zeros(200, chunks=50, dtype=int)), "y must have at least two classes; got one class"),
        "kinds of labels": ((dX, chunks_of(np.array([1] * 50 + ["a"] * 150, dtype=object))), "types that cannot be"),
        "strings and numbers": (
            (dX, dy.map_blocks(lambda block, block_id: block.astype(str) if block_id[0] else block, dtype=object)),
            "types that cannot be sorted: some chunks have strings, others numbers",
        ),
        "columns": ((dX, chunks_of(np.stack([y, y], 1))), "Chunk 0 of y: several columns must hold 0 and 1"),
        "numbers of columns": (
            (
                dX,
                chunks_of(np.stack([y > 3, y > 4], 1).astype(int)).map_blocks(
                    lambda block, block_id: np.repeat(block, 1 + block_id[0], axis=1), dtype=int, chunks=(50, 2)
                ),
            ),
            r"chunks of y have different numbers of columns: \['2', '4', '6', '8'\]",
        ),
        "empty": ((dX[:0], dy[:0]), "X has no samples: all of its 1 chunks are empty"),
        "shape": ((chunks_of(X.reshape(-1, 28, 28)), dy, None, {"image_shape": (14, 56)}), "takes images of shape"),
        "kernel": ((dX, dy, None, {"kernel_size": [(40, 3)]}), "kernel_size"),
        "n_replicas": ((dX, dy, None, {"n_replicas": 0}), "n_replicas=0 must be an integer of at least 1"),
        "too many": ((dX, dy, None, {"n_replicas": 201}), "n_replicas=201 is more than the 200 samples"),
        "rounds": ((dX, dy, None, {"rounds_per_epoch": 0}), "rounds_per_epoch=0"),
        "validation": ((dX, dy, None, {"early_stopping": True, "persist": False}), "needs a validation set"),
        "class weight": ((dX, dy, None, {"class_weight": {99: 2}}), r"class_weight has weights of \[99\]"),
    }


NAMES = list(bad_cases(np.zeros((200, 784), np.uint8), np.arange(200) % 2))


@pytest.mark.parametrize("name", NAMES)
def test_bad_data(client, small, name):
    """A clear error, and an earlier fit remains."""
    X, y = small
    (dX, dy, *rest), message = bad_cases(X, y)[name]
    weights, parameters = (*rest, None, None)[:2]
    clf = make(2).fit(chunks_of(X), chunks_of(y))
    before = clf._model
    with pytest.raises(ValueError, match=message):
        clf.set_params(**parameters or {}).fit(dX, dy, weights)
    assert clf._model is before


def test_rows_of_a_chunk_that_do_not_match(client, small):
    X, y = small
    dX = unknown(da.from_array(X, chunks=((50, 60, 90), -1)))
    dy = unknown(da.from_array(y, chunks=((50, 50, 100),)))
    with pytest.raises(ValueError, match=r"Chunk 1 of X: .*inconsistent numbers of samples"):
        make(2).fit(dX, dy)


def test_wrong_types(client, small):
    X, y = small
    with pytest.raises(TypeError, match="y is a dask collection and X is not"):
        make().fit(X, chunks_of(y))
    with pytest.raises(TypeError, match="sample_weight is a dask collection and X is not"):
        make().fit(X, y, da.ones(200, chunks=50))
    with pytest.raises(TypeError, match="X must be a dask array or data frame; got Delayed"):
        make().fit(dask.delayed(X), chunks_of(y))
    with pytest.raises(TypeError, match="persist must be True or False; got 1"):
        make(persist=1).fit(chunks_of(X), chunks_of(y))
    with pytest.raises(ValueError, match=r"Chunk 0 of X: it is of type float64, and .* uint8"):
        make().fit(da.map_blocks(lambda block: block / 255, chunks_of(X), dtype="u1", meta=X[:0]), chunks_of(y))


def test_bad_validation_sets(client, small):
    X, y = small
    dX, dy = chunks_of(X), chunks_of(y)
    for given, message in [
        ({"X_val": dX}, "A validation set is X_val and y_val"),
        ({"X_val": dX[:, :-1], "y_val": dy}, "X_val and y_val do not go with X and y: X has 783 features"),
        ({"X_val": dX, "y_val": dy + 5}, "y_val has labels that are not among the classes"),
        ({"X_val": dX, "y_val": chunks_of(np.stack([y > 3, y > 4], 1))}, "y_val must be one label per sample"),
        ({"X_val": dX, "y_val": dy[:10]}, "X_val has 200 samples, and y_val has 10"),
        ({"X_val": X, "y_val": y[:10]}, "inconsistent numbers of samples"),
    ]:
        with pytest.raises(ValueError, match=message):
            make(2).fit(dX, dy, **given)


def test_persisted_data_and_chunk_by_chunk(client, small):
    X, y = small
    dX = chunks_of(X).persist()
    with pytest.raises(ValueError, match="persist=False computes each chunk within the task"):
        make(persist=False).fit(dX, chunks_of(y))
    del dX


def test_shuffling_unknown_lengths(client, small):
    X, y = small
    with pytest.raises(ValueError, match="chunks of known length"):
        shuffle(unknown(chunks_of(X)), unknown(chunks_of(y)))


@pytest.mark.parametrize("persist", [True, False])
@pytest.mark.parametrize("which", ["X", "X_val"])
def test_pixels_whose_squares_overflow(client, digits, persist, which):
    """In one chunk, of which the worker that reads it says so."""
    X, y = digits[0][:200].astype(np.float32), digits[1][:200]
    large = X.copy()
    large[150] = 2e19
    data = [da.from_array(large if which == name else X, chunks=(50, -1)) for name in ("X", "X_val")]
    dy = da.from_array(y, chunks=50)
    clf = DaskConvSigmoidClassifier(3, max_iter=1, persist=persist)
    with pytest.raises(ValueError, match=f"{which} holds values too large for training in float32: up to 2e[+]19"):
        clf.fit(data[0], dy, X_val=data[1], y_val=dy)
    assert not hasattr(clf, "classes_")


@pytest.mark.parametrize("persist", [True, False])
@pytest.mark.parametrize("factor", [2.0**-118, 2.0**62], ids=["vanish", "overflow"])
def test_scale_of_pixels_whose_squares_leave_float32(client, small, persist, factor):
    """The same scale, hence the same model, as of pixels up to 16."""
    X, y = small[0] / np.float32(256), small[1]
    dX, dy = da.from_array(X * np.float32(factor), chunks=(50, -1)), da.from_array(y, chunks=50)
    clf = make(2, persist=persist, shuffle=False, rescale=16 / factor).fit(dX, dy)
    expected = make(2, persist=persist, shuffle=False, rescale=16).fit(da.from_array(X, chunks=(50, -1)), dy)
    assert_same(clf, expected)
