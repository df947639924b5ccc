"""With one replica, the fit has the same bits as the local one, whatever the chunks."""

import numpy as np
import pytest

from skcnn import ConvSigmoidClassifier
from tests.helpers.fits import fit_unconverged

da = pytest.importorskip("dask.array")

from skcnn.dask import DaskConvSigmoidClassifier  # noqa: E402

HISTORY = ("loss_curve_", "validation_loss_curve_", "validation_scores_", "best_validation_score_", "n_iter_", "t_")


def assert_same(distributed, local, *, history=HISTORY):
    """Assert equal bits of parameters, the solver's state and the history."""
    np.testing.assert_array_equal(distributed._model.parameters, local._model.parameters)
    mine, theirs = distributed._checkpoint.to_state(), local._checkpoint.to_state()
    for name in mine:
        np.testing.assert_array_equal(mine[name], theirs[name], err_msg=name)
    assert {name: getattr(distributed, name) for name in history} == {name: getattr(local, name) for name in history}


def fit_both(chunked, local_data=None, data=None, persist=True, **parameters):
    dX, dy, X, y = chunked
    parameters = {"n_filters": 6, "max_iter": 3, "random_state": 0} | parameters
    local = ConvSigmoidClassifier(**parameters).fit(X, y, **(local_data or {}))
    distributed = DaskConvSigmoidClassifier(**parameters, n_replicas=1, persist=persist)
    return distributed.fit(dX, dy, **(data or {})), local


@pytest.mark.parametrize(
    "parameters",
    [
        {},
        {"n_filters": (4, 8)},
        {"standardize": True},
        {"batch_norm": True},
        {"batch_norm": True, "standardize": True, "early_stopping": True, "warm_start": True},
        {"random_shift": 2, "random_flip": True},
        {"early_stopping": True, "validation_fraction": 0.2},
        {"class_weight": "balanced"},
        {"class_weight": {3: 5.0}, "loss": "squared_error", "label_smoothing": 0.1},
        {"solver": "sgd", "learning_rate": "adaptive", "learning_rate_init": 0.1},
        {"solver": "sgd", "learning_rate": "invscaling", "momentum": 0.5, "nesterovs_momentum": False},
        {"learning_rate": "cosine", "average": False},
        {"average": 1500},
        {"shuffle": False, "batch_size": 100, "alpha": 0.1, "fit_intercept": False},
        {"rounds_per_epoch": 1000, "n_jobs": 2},
    ],
    ids=str,
)
def test_parameters(client, chunked, parameters):
    rounds = {"rounds_per_epoch": parameters.pop("rounds_per_epoch")} if "rounds_per_epoch" in parameters else {}
    dX, dy, X, y = chunked
    parameters = {"n_filters": 6, "max_iter": 3, "random_state": 0} | parameters
    local = ConvSigmoidClassifier(**parameters).fit(X, y)
    assert_same(DaskConvSigmoidClassifier(**parameters, **rounds, n_replicas=1).fit(dX, dy), local)


def test_weights_and_validation_set(client, chunked):
    dX, dy, X, y = chunked
    weights = np.random.RandomState(0).exponential(size=len(X)) * (np.arange(len(X)) % 3 > 0)
    chunks = dX.chunks[0]
    distributed, local = fit_both(
        chunked,
        {"sample_weight": weights, "X_val": X[:300], "y_val": y[:300], "sample_weight_val": weights[:300]},
        {
            "sample_weight": da.from_array(weights, chunks=(chunks,)),
            "X_val": dX[:300].rechunk({0: 70}),
            "y_val": dy[:300],
            "sample_weight_val": weights[:300],
        },
        class_weight="balanced",
    )
    assert_same(distributed, local)


@pytest.mark.parametrize("scale", [1e-4, 1e-2], ids=["distribution", "sum of 10"])
def test_small_weights(client, chunked, scale):
    weights = np.random.RandomState(0).uniform(size=1000) * 2 * scale
    assert_same(*fit_both(chunked, {"sample_weight": weights}, {"sample_weight": weights}))


@pytest.mark.parametrize("kind", ["float32", "float64", ">f4", ">f8", "int64", "images", "colour"])
def test_kinds_of_images(client, chunked, kind):
    _, _, X, y = chunked
    X, y = X[:300], y[:300]
    if kind == "images":
        X = X.reshape(-1, 28, 28)
    elif kind == "colour":
        X = X.reshape(-1, 14, 14, 4)
    else:
        X = (X / 255).astype(kind) if "f" in kind else X.astype(kind)
    local = ConvSigmoidClassifier(4, max_iter=2, random_state=0).fit(X, y)
    chunks = da.from_array(X, chunks=(90, *X.shape[1:])), da.from_array(y, chunks=70)
    distributed = DaskConvSigmoidClassifier(4, max_iter=2, random_state=0, n_replicas=1).fit(*chunks)
    assert_same(distributed, local)
    assert distributed.image_shape_ == local.image_shape_
    assert distributed.rescale_ == local.rescale_


@pytest.mark.parametrize("kind", ["two classes", "strings", "several labels"])
def test_kinds_of_labels(client, chunked, kind):
    dX, _, X, y = chunked
    y = {"two classes": y > 4, "strings": y.astype(str), "several labels": np.stack([y > 4, y % 2 == 0, y < 3], 1)}[
        kind
    ]
    y = y.astype(int) if kind == "several labels" else y
    local = ConvSigmoidClassifier(4, max_iter=2, random_state=0).fit(X, y)
    dy = da.from_array(y, chunks=(250, *y.shape[1:]))
    distributed = DaskConvSigmoidClassifier(4, max_iter=2, random_state=0, n_replicas=1).fit(dX, dy)
    assert_same(distributed, local)
    np.testing.assert_array_equal(distributed.classes_, local.classes_)
    np.testing.assert_array_equal(distributed.predict(dX).compute(), local.predict(X))
    assert distributed.score(dX, dy) == local.score(X, y)


def test_arrays_in_memory(client, chunked):
    _, _, X, y = chunked
    local = ConvSigmoidClassifier(4, max_iter=2, random_state=0).fit(X, y)
    assert_same(DaskConvSigmoidClassifier(4, max_iter=2, random_state=0, n_replicas=1).fit(X, y), local)


def test_chunk_by_chunk_without_shuffling(client, digits):
    """`persist=False` trains on chunks in turn: as the local fit without shuffling, for whole batches."""
    X, y = digits
    parameters = {
        "n_filters": 4,
        "max_iter": 2,
        "random_state": 0,
        "shuffle": False,
        "batch_size": 50,
        "batch_norm": True,
    }
    local = ConvSigmoidClassifier(**parameters).fit(X, y)
    chunks = da.from_array(X, chunks=(150, -1)), da.from_array(y, chunks=150)
    distributed = DaskConvSigmoidClassifier(**parameters, n_replicas=1, persist=False).fit(*chunks)
    assert_same(distributed, local, history=())
    np.testing.assert_allclose(distributed.loss_curve_, local.loss_curve_, rtol=1e-13)


def test_one_chunk_at_a_time_with_shuffling(client, digits):
    X, y = digits
    local = ConvSigmoidClassifier(4, max_iter=2, random_state=0, random_shift=1).fit(X, y)
    chunk = da.from_array(X, chunks=-1), da.from_array(y, chunks=-1)
    clf = DaskConvSigmoidClassifier(4, max_iter=2, random_state=0, random_shift=1, n_replicas=1, persist=False)
    assert_same(clf.fit(*chunk), local)


def test_warm_start(client, chunked):
    """Also with a RandomState, which goes on as in local fits."""
    dX, dy, X, y = chunked
    fits = []
    for clf, data in (
        (ConvSigmoidClassifier(4, warm_start=True), (X, y)),
        (DaskConvSigmoidClassifier(4, warm_start=True, n_replicas=1), (dX, dy)),
    ):
        clf.set_params(random_state=np.random.RandomState(1), max_iter=2)
        fits.append(fit_unconverged(fit_unconverged(clf, *data), *data))
    assert_same(fits[1], fits[0])
    assert len(fits[0].loss_curve_) == 4


@pytest.mark.parametrize("weights", [{}, {"class_weight": {0: 9.0}}], ids=str)
def test_nothing_is_learnt(client, chunked, weights):
    """The same warning, from the same loss."""
    _, dy, X, y = chunked
    X = np.zeros_like(X)
    said = []
    for clf, data in (
        (ConvSigmoidClassifier(2, max_iter=2, random_state=0, alpha=10.0, **weights), (X, y)),
        (
            DaskConvSigmoidClassifier(2, max_iter=2, random_state=0, alpha=10.0, **weights, n_replicas=1),
            (da.from_array(X, chunks=(250, -1)), dy),
        ),
    ):
        with pytest.warns(UserWarning, match="learnt little or nothing") as caught:
            clf.fit(*data)
        said.append([str(one.message) for one in caught])
    assert said[0] == said[1]
