"""Where a fit may be started: from several threads and clients, from a task, from an event loop, in a search."""

import asyncio
import threading

import joblib
import numpy as np
import pytest
from sklearn.model_selection import GridSearchCV, cross_val_score

da = pytest.importorskip("dask.array")
distributed = pytest.importorskip("distributed")

from skcnn import ConvSigmoidClassifier  # noqa: E402
from skcnn.dask import DaskConvSigmoidClassifier  # noqa: E402

PARAMETERS = {"n_filters": 3, "max_iter": 2, "n_replicas": 2, "random_state": 0}


def chunks_of(X, y):
    return da.from_array(X, chunks=(250, -1)), da.from_array(y, chunks=250)


@pytest.fixture
def expected(client, digits):
    return DaskConvSigmoidClassifier(**PARAMETERS).fit(*chunks_of(*digits))._model.parameters.copy()


@pytest.mark.parametrize("of_their_own", [True, False])
def test_two_fits_at_once(cluster, client, digits, expected, of_their_own):
    """From two threads, with one client or one each."""
    clients = [distributed.Client(cluster, set_as_default=False) for _ in range(2)] if of_their_own else [client] * 2
    fitted = {}

    def fit(number):
        clf = DaskConvSigmoidClassifier(**PARAMETERS, client=clients[number])
        fitted[number] = clf.fit(*chunks_of(*digits))

    threads = [threading.Thread(target=fit, args=[number], daemon=True) for number in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    for clf in fitted.values():
        np.testing.assert_array_equal(clf._model.parameters, expected)
    assert len(fitted) == 2
    if of_their_own:
        for one in clients:
            one.close()


def fit_in_task(X, y):
    return DaskConvSigmoidClassifier(**PARAMETERS).fit(*chunks_of(X, y)).to_local()


@pytest.mark.parametrize("n_fits", [1, 3])
def test_within_tasks(client, digits, expected, n_fits):
    """More such tasks than threads: each gives its place to its own tasks."""
    futures = [client.submit(fit_in_task, *digits, pure=False) for _ in range(n_fits)]
    for future in futures:
        np.testing.assert_array_equal(future.result(timeout=60)._model.parameters, expected)


def test_asynchronous_client(cluster, digits, expected):
    """`fit` and `score` are awaited, and the event loop goes on meanwhile; predictions are lazy as ever."""

    async def run():
        ticks = 0

        async def tick():
            nonlocal ticks
            while True:
                ticks += 1
                await asyncio.sleep(0.005)

        async with distributed.Client(cluster.scheduler_address, asynchronous=True) as client:
            ticking = asyncio.create_task(tick())
            X, y = client.persist(list(chunks_of(*digits)))
            clf = await DaskConvSigmoidClassifier(**PARAMETERS, client=client).fit(X, y)
            score = await clf.score(X, y)
            predicted = await client.compute(clf.predict(X))
            ticking.cancel()
        return clf, score, predicted, ticks

    X, y = digits
    clf, score, predicted, ticks = asyncio.run(run())
    np.testing.assert_array_equal(clf._model.parameters, expected)
    assert score == clf.to_local().score(X, y) == np.mean(predicted == y)
    assert ticks > 10


def test_errors_of_an_asynchronous_fit(cluster, digits):
    async def run():
        async with distributed.Client(cluster.scheduler_address, asynchronous=True) as client:
            await DaskConvSigmoidClassifier(n_replicas=0, client=client).fit(*chunks_of(*digits))

    with pytest.raises(ValueError, match="n_replicas=0"):
        asyncio.run(run())


def test_a_search_over_the_local_class(client, digits):
    """joblib's Dask backend: equal scores, and one thread a task unless n_jobs says otherwise."""
    X, y = digits[0][:300], digits[1][:300]
    search = GridSearchCV(
        ConvSigmoidClassifier(max_iter=3, tol=1e9, n_iter_no_change=1, random_state=0), {"n_filters": [2, 3]}, cv=3
    )
    here = search.fit(X, y).cv_results_["split0_test_score"]
    with joblib.parallel_config("dask"):
        there = search.fit(X, y).cv_results_["split0_test_score"]
    np.testing.assert_array_equal(here, there)
    assert search.best_estimator_.score(X, y) > 0.5


def test_threads_in_a_search(client):
    from skcnn.threads import count_threads

    with joblib.parallel_config("dask"):
        counted = joblib.Parallel()(joblib.delayed(count_threads)(n_jobs) for n_jobs in (None, 1, -1))
    assert counted == [1, 1, 1]


def test_cross_validation_of_the_distributed_class(client, digits):
    """Over arrays, which scikit-learn splits; each fit uses the cluster."""
    X, y = digits
    scores = cross_val_score(DaskConvSigmoidClassifier(**PARAMETERS | {"max_iter": 6}), X, y, cv=3)
    assert (scores > 0.4).all()
