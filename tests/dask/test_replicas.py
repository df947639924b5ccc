"""Several replicas: whole fits, and what all replicas agree on."""

import os
import warnings

import numpy as np
import pytest

da = pytest.importorskip("dask.array")
distributed = pytest.importorskip("distributed")

from skcnn import ConvSigmoidClassifier  # noqa: E402
from skcnn.dask import DaskConvSigmoidClassifier, _cluster, _passes  # noqa: E402

PARAMETERS = {"n_filters": 4, "max_iter": 2, "random_state": 0}


def fit(data, n_replicas=2, **parameters):
    return DaskConvSigmoidClassifier(**PARAMETERS | parameters, n_replicas=n_replicas).fit(*data)


@pytest.mark.parametrize(
    ("prepare", "tolerance"),
    [
        (lambda X: X, 1e-4),
        (lambda X: X / 255, 1e-11),
        (lambda X: X.reshape(-1, 14, 14, 4), 1e-4),
        (lambda X: X[:, np.newaxis, 280:380], 1e-4),
    ],
    ids=["bytes", "float64", "channels", "signals"],
)
def test_against_replicas_trained_here(client, chunked, prepare, tolerance):
    """A round an epoch without shuffling: replicas are local fits of one epoch, and the outer step their mean."""
    dX, dy, X, y = chunked
    X = prepare(X)
    given = {"shuffle": False, "average": False, "rounds_per_epoch": 1, "solver": "sgd", "momentum": 0.0}
    distributed = fit((da.from_array(X, chunks=(dX.chunks[0], *X.shape[1:])), dy), 2, **given)
    parameters, velocity = after_an_epoch(None, X, y, 1e-30), 0.0  # initial ones
    dtype = distributed._model.parameters.dtype
    assert dtype == (np.float64 if X.dtype == float else np.float32)
    for _ in range(2):
        ends = [after_an_epoch(parameters, X[rows], y[rows], 5e-3) for rows in (slice(500), slice(500, None))]
        d = np.mean(ends, axis=0) - parameters
        velocity = 0.5 * velocity + d
        parameters = (parameters + d + 0.5 * velocity).astype(dtype).astype(float)
    np.testing.assert_allclose(distributed._model.parameters, parameters, rtol=tolerance, atol=tolerance / 100)


def after_an_epoch(parameters, X, y, learning_rate):
    """Parameters after an epoch of the local class, from the given ones or its initial ones."""
    clf = ConvSigmoidClassifier(
        4, random_state=0, shuffle=False, average=False, solver="sgd", momentum=0.0, max_iter=1, warm_start=True
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if parameters is not None:
            clf.set_params(learning_rate_init=1e-30).fit(X, y)
            clf._model.parameters[:] = parameters
        clf.set_params(learning_rate_init=learning_rate).fit(X, y)
    return clf._model.parameters.astype(float)


def test_the_same_bits_for_workers_and_threads(cluster, chunked):
    dX, dy, _, _ = chunked
    with distributed.Client(cluster):
        two = fit((dX, dy), 3, n_filters=(4, 8))
    with (
        distributed.LocalCluster(n_workers=1, threads_per_worker=4, dashboard_address=":0") as one_worker,
        distributed.Client(one_worker),
    ):
        one = fit((dX, dy), 3, n_filters=(4, 8))
        three_threads = fit((dX, dy), 3, n_filters=(4, 8), n_jobs=3)
    np.testing.assert_array_equal(one._model.parameters, two._model.parameters)
    np.testing.assert_array_equal(three_threads._model.parameters, two._model.parameters)
    assert one.loss_curve_ == two.loss_curve_


@pytest.mark.parametrize("n_replicas", [1, 3])
def test_the_next_base_is_made_by_replicas_or_a_task(client, chunked, monkeypatch, n_replicas):
    """With the same bits."""
    by_replicas = fit(chunked[:2], n_replicas)
    monkeypatch.setattr(_passes, "_FEW", 0)
    np.testing.assert_array_equal(fit(chunked[:2], n_replicas)._model.parameters, by_replicas._model.parameters)


def test_many_replicas_are_merged_by_a_tree(client, chunked, monkeypatch):
    """With the result of merging all at once, up to rounding."""
    parameters = {"max_iter": 2, "batch_size": 5, "rounds_per_epoch": 2, "average": False, "solver": "sgd"}
    by_tree = fit(chunked[:2], 40, **parameters)
    assert by_tree.n_replicas_ == 40
    monkeypatch.setattr(_cluster, "FAN_IN", 100)
    at_once = fit(chunked[:2], 40, **parameters)
    np.testing.assert_allclose(by_tree._model.parameters, at_once._model.parameters, rtol=1e-5, atol=1e-6)
    assert by_tree.loss_curve_ == pytest.approx(at_once.loss_curve_, rel=1e-6)


@pytest.mark.parametrize("n_replicas", [1, 2])
def test_workers_without_data(client, chunked, n_replicas):
    """All chunks are on one worker, or there are fewer replicas than workers."""
    dX, dy, _, _ = chunked
    expected = fit((dX, dy), n_replicas)
    worker = sorted(client.nthreads())[1:]
    there = client.persist([dX, dy], workers=worker)
    distributed.wait(there)
    np.testing.assert_array_equal(fit(there, n_replicas)._model.parameters, expected._model.parameters)
    del there


def test_automatic_number(client, digits):
    """One for each worker, but at least 5000 samples each."""
    X, y = digits
    assert fit((da.from_array(X, chunks=(500, -1)), da.from_array(y, chunks=500)), "auto").n_replicas_ == 1
    X, y = np.tile(X, (10, 1))[:, :16], np.tile(y, 10)
    chunks = da.from_array(X, chunks=(5000, -1)), da.from_array(y, chunks=5000)
    assert fit(chunks, "auto", max_iter=1).n_replicas_ == 2


@pytest.mark.parametrize("persist", [True, False])
@pytest.mark.parametrize(
    "parameters",
    [{"standardize": True}, {"batch_norm": True}, {"n_filters": (4, 4), "batch_norm": True, "standardize": True}],
    ids=str,
)
def test_statistics_are_those_of_all_data(client, chunked, parameters, persist):
    """Predictions use means and variances over all replicas' samples: the local measurement has the same."""
    dX, dy, X, y = chunked
    clf = fit((dX, dy), 3, persist=persist, average=False, **parameters)
    network, found = clf._network, clf._model.parameters
    expected = ConvSigmoidClassifier(**PARAMETERS | parameters | {"warm_start": True, "average": False})
    vars(expected).update(
        {name: value for name, value in vars(clf.to_local()).items() if name.endswith("_") or name[0] == "_"}
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected.set_params(max_iter=1, learning_rate_init=1e-30).fit(X, y)  # measures, and does not learn
    views, found = network.views(expected._model.parameters), network.views(found)
    for name in views:
        np.testing.assert_allclose(found[name], views[name], rtol=2e-3, atol=1e-4, err_msg=name)


@pytest.mark.parametrize("persist", [True, False])
def test_validation_set(client, chunked, persist):
    """Scores are those of the local class with the same model."""
    dX, dy, X, y = chunked
    clf = DaskConvSigmoidClassifier(**PARAMETERS | {"average": False}, n_replicas=2, persist=persist)
    weights = np.arange(1000) / 1024  # exact in float32
    clf.fit(dX, dy, X_val=dX[::-1], y_val=dy[::-1], sample_weight_val=weights[::-1])
    assert clf.validation_scores_[-1] == pytest.approx(clf.to_local().score(X, y, weights), rel=1e-12)
    assert 0 < clf.validation_loss_curve_[-1] < clf.validation_loss_curve_[0]
    assert clf.score(dX, dy, da.from_array(weights, chunks=(dX.chunks[0],))) == pytest.approx(
        clf.to_local().score(X, y, weights), rel=1e-12
    )


def test_early_stopping_holds_out_of_every_replica(client, chunked):
    clf = fit(chunked[:2], 2, early_stopping=True, max_iter=4)
    assert len(clf.validation_scores_) == 4
    assert clf.best_validation_score_ == max(clf.validation_scores_)
    assert clf.t_ == 4 * 900


def test_early_stopping_with_a_replica_without_weight(client, chunked):
    """It has nothing to hold out; the others have, unless no replica has any."""
    dX, dy, _, _ = chunked
    weights = np.where(np.arange(1000) < 500, 0.0, 1.0)
    clf = DaskConvSigmoidClassifier(**PARAMETERS, n_replicas=2, early_stopping=True, shuffle=False)
    assert np.isfinite(clf.fit(dX, dy, weights).validation_scores_).all()
    with pytest.raises(ValueError, match="zero for every sample that early_stopping=True has left to learn from"):
        clf.fit(dX, dy, np.where(np.arange(1000) == 3, 1.0, 0.0))


def test_early_stopping_with_replicas_of_a_sample(client, chunked):
    dX, dy, _, _ = chunked
    with pytest.raises(ValueError, match=r"cannot hold out .* of 1 samples of a replica"):
        fit((dX[:20], dy[:20]), 20, early_stopping=True)


def test_early_stopping_with_a_rare_class(client, chunked):
    """A part of the data may have one sample of a class, of which no share can be held out."""
    dX, _, _, y = chunked
    y = np.where(np.arange(1000) == 7, 11, y)
    clf = fit((dX, da.from_array(y, chunks=(dX.chunks[0],))), 4, early_stopping=True)
    assert 11 in clf.classes_


@pytest.mark.parametrize("persist", [True, False])
def test_class_weights_are_those_of_all_data(client, chunked, persist):
    """Weights that "balanced" means are computed over all replicas, and a dict means the same."""
    dX, dy, _, y = chunked
    weights = {label: len(y) / (10 * count) for label, count in enumerate(np.bincount(y).tolist())}
    balanced, given = (fit((dX, dy), 3, class_weight=value, persist=persist) for value in ("balanced", weights))
    np.testing.assert_array_equal(balanced._model.parameters, given._model.parameters)
    assert not np.array_equal(fit((dX, dy), 3, persist=persist)._model.parameters, given._model.parameters)


@pytest.mark.parametrize("targets", ["classes", "labels"])
def test_weights_that_sum_to_one(client, chunked, targets):
    """They are raised for all replicas alike, as for one."""
    dX, dy, _, _ = chunked
    if targets == "labels":
        dy = da.stack([dy > 4, dy % 2 == 1], axis=1).astype(int).rechunk({1: -1})
    plain, weighted = (
        DaskConvSigmoidClassifier(**PARAMETERS, n_replicas=2).fit(dX, dy, weights)
        for weights in (np.ones(1000), np.full(1000, 1e-3))
    )
    np.testing.assert_allclose(weighted._model.parameters, plain._model.parameters, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("persist", [True, False])
def test_a_replica_of_zero_weight(client, chunked, persist):
    """It learns nothing and counts for nothing."""
    dX, dy, X, y = chunked
    weights = np.where(np.arange(1000) < 500, 0.0, 1.0)
    clf = DaskConvSigmoidClassifier(**PARAMETERS | {"shuffle": False, "max_iter": 8}, n_replicas=2, persist=persist)
    assert clf.fit(dX, dy, weights).score(X[500:], y[500:]) > 0.7
    assert np.isfinite(clf.loss_curve_).all()


@pytest.mark.parametrize("lengths", [(1000,), (500, 500), (700, 300)], ids=str)
def test_shares_are_those_of_the_weight(client, digits, lengths):
    """Also if a chunk is cut: the result is that of the replica that has all of the weight."""
    X, y = digits
    data = da.from_array(X, chunks=(lengths, -1)), da.from_array(y, chunks=(lengths,))
    weights = np.where(np.arange(1000) < 500, 0.0, 1.0)
    given = {"shuffle": False, "rounds_per_epoch": 1, "max_iter": 1, "average": False}
    clf = DaskConvSigmoidClassifier(**PARAMETERS | given, n_replicas=2).fit(*data, weights)
    start = DaskConvSigmoidClassifier(**PARAMETERS | given | {"learning_rate_init": 1e-30}, n_replicas=2)
    before = start.fit(*data, weights)._model.parameters
    alone = ConvSigmoidClassifier(**{k: v for k, v in (PARAMETERS | given).items() if k != "rounds_per_epoch"})
    d = alone.fit(X[500:], y[500:])._model.parameters - before
    np.testing.assert_allclose(clf._model.parameters, before + 1.5 * d, rtol=1e-4, atol=1e-5)


def test_a_group_of_replicas_without_weight(client, digits):
    """All that one task merges may have no weight."""
    X, y = digits
    data = da.from_array(X, chunks=(100, -1)), da.from_array(y, chunks=100)
    weights = np.where(np.arange(1000) < 500, 0.0, 1.0)
    clf = DaskConvSigmoidClassifier(**PARAMETERS | {"shuffle": False, "batch_size": 5}, n_replicas=40)
    assert np.isfinite(clf.fit(*data, weights).loss_curve_).all()


def test_a_warm_start_keeps_the_held_out_samples(client, chunked):
    """Whatever `random_state`; other replicas, which would hold out others, are refused."""
    dX, dy, _, _ = chunked
    clf = DaskConvSigmoidClassifier(3, max_iter=1, n_replicas=2, early_stopping=True, warm_start=True).fit(dX, dy)
    seed = clf._checkpoint.split_seed
    assert clf.fit(dX, dy)._checkpoint.split_seed == seed
    with pytest.raises(ValueError, match="needs the replicas of the last fit, 2; now there are 3"):
        clf.set_params(n_replicas=3).fit(dX, dy)


@pytest.mark.parametrize("dtype", ["uint8", "float32", "float64"])
@pytest.mark.parametrize("persist", [True, False])
def test_few_samples(client, persist, dtype):
    """Small arrays come to a worker within one message, where they begin at any byte."""
    rng = np.random.RandomState(0)
    for n in (2, 3, 5, 7):
        X, y = (rng.uniform(size=(n, 5, 4)) * 255).astype(dtype), np.arange(n) % 2
        data = da.from_array(X, chunks=(1, 5, 4)), da.from_array(y, chunks=1)
        clf = DaskConvSigmoidClassifier(2, max_iter=2, n_replicas=2, persist=persist, random_state=0)
        clf.fit(*data, X_val=data[0], y_val=data[1])
        np.testing.assert_array_equal(clf.predict_proba(data[0]).compute(), clf.predict_proba(X))


def test_labels_that_a_replica_lacks(client, digits):
    X, y = digits
    order = np.argsort(y > 7, kind="stable")
    X, y = X[order], y[order]
    assert y[:500].max() < 8
    clf = fit((da.from_array(X, chunks=(500, -1)), da.from_array(y, chunks=500)), 2, shuffle=False, max_iter=8)
    np.testing.assert_array_equal(clf.classes_, range(10))
    assert clf.score(X, y) > 0.6


def test_warm_start_goes_on(client, chunked):
    dX, dy, _, _ = chunked
    clf = DaskConvSigmoidClassifier(**PARAMETERS, n_replicas=2, warm_start=True).fit(dX, dy)
    loss = clf.loss_
    clf.fit(dX, dy)
    assert len(clf.loss_curve_) == 4
    assert clf.loss_ < loss
    assert clf.t_ == 4000


def test_tasks_have_the_threads_of_their_worker(chunked, monkeypatch):
    """n_jobs=None is the worker's threads over its replicas, although Dask sets OMP_NUM_THREADS to 1."""
    from skcnn.dask._cluster import Cluster, Threads

    with (
        distributed.LocalCluster(n_workers=1, threads_per_worker=4, dashboard_address=":0") as cluster,
        distributed.Client(cluster) as client,
    ):
        counted = client.gather(client.map(lambda threads: threads.here(), [Threads(None, n) for n in (1, 2, 3, 9)]))
        assert counted == [4, 2, 1, 1]
        n_jobs = client.gather(client.map(lambda threads: threads.here(), [Threads(n, 2) for n in (1, 3, -1)]))
        assert n_jobs[:2] == [1, 3]
        assert 1 <= n_jobs[2] <= os.cpu_count()
        with Cluster(client) as tasks:
            assert tasks.threads(3) == Threads(None, 3)
