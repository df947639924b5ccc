"""Faults of workers and of data: the outcome is that of a fit without them, or an error that names the data.

Each test has a cluster of its own, of two processes with nannies.
"""

import faulthandler
import os
import signal
import threading
import time
import warnings

import dask
import numpy as np
import pytest

from tests.dask.conftest import assert_nothing_left

da = pytest.importorskip("dask.array")
distributed = pytest.importorskip("distributed")

from skcnn.dask import DaskConvSigmoidClassifier, _cluster, _progress  # noqa: E402

pytestmark = pytest.mark.skipif(os.name != "posix", reason="sends signals to processes")

# Seconds after which a test that hangs ends the whole run, far more than any needs.
LIMIT = 180

PARAMETERS = {"n_filters": 4, "n_replicas": 2, "max_iter": 3, "random_state": 0}


@pytest.fixture
def own_cluster():
    with (
        # Otherwise a cluster gives up a worker that a busy machine takes more than 15 seconds to start again.
        dask.config.set({"distributed.deploy.lost-worker-timeout": "120s"}),
        distributed.LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=":0", silence_logs=50) as cluster,
        distributed.Client(cluster) as client,
    ):
        yield client


@pytest.fixture(autouse=True)
def in_bounded_time():
    faulthandler.dump_traceback_later(LIMIT, exit=True)
    yield
    faulthandler.cancel_dump_traceback_later()


@pytest.fixture
def after_round(monkeypatch):
    """A function that has an action done once, when a number of rounds have ended."""
    original = _progress.Progress.update

    def plan(n_rounds, action):
        rounds = []

        def update(self, *args):
            rounds.append(args)
            if len(rounds) == n_rounds:
                action()
            return original(self, *args)

        monkeypatch.setattr(_progress.Progress, "update", update)
        return rounds

    return plan


def kill(client, *numbers):
    pids = sorted(client.run(os.getpid).values())
    for number in numbers:
        os.kill(pids[number], signal.SIGKILL)


def knows(key, dask_scheduler):
    return key in dask_scheduler.tasks


def wait_for(condition):
    while not condition():  # `in_bounded_time`
        time.sleep(0.05)


def arrays_of(clf):
    return clf._model.parameters


@pytest.fixture(scope="module")
def expected(cluster, digits):
    """Parameters of an undisturbed fit, in memory and chunk by chunk."""
    X, y = digits
    fitted = {}
    with distributed.Client(cluster) as client, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for persist in (True, False):
            clf = DaskConvSigmoidClassifier(**PARAMETERS, persist=persist, client=client)
            fitted[persist] = arrays_of(clf.fit(da.from_array(X, chunks=(125, -1)), da.from_array(y, chunks=125)))
    return fitted


@pytest.fixture
def data(digits):
    X, y = digits
    return da.from_array(X, chunks=(125, -1)), da.from_array(y, chunks=125)


@pytest.mark.parametrize("persist", [True, False])
@pytest.mark.parametrize("number", [0, 1])
def test_a_worker_is_killed(own_cluster, after_round, data, expected, number, persist):
    """Each of the workers, with the samples that it holds: the same bits, and nothing is left."""
    rounds = after_round(5, lambda: kill(own_cluster, number))
    clf = DaskConvSigmoidClassifier(**PARAMETERS, persist=persist).fit(*data)
    assert len(rounds) >= 12
    np.testing.assert_array_equal(arrays_of(clf), expected[persist])
    assert_nothing_left(own_cluster)


def test_both_workers_are_killed(own_cluster, after_round, data, expected):
    after_round(2, lambda: kill(own_cluster, 0, 1))
    clf = DaskConvSigmoidClassifier(**PARAMETERS).fit(*data)
    np.testing.assert_array_equal(arrays_of(clf), expected[True])
    assert_nothing_left(own_cluster)


def test_workers_join(own_cluster, after_round, data, expected):
    after_round(3, lambda: own_cluster.cluster.scale(4))
    clf = DaskConvSigmoidClassifier(**PARAMETERS).fit(*data)
    assert clf.n_replicas_ == 2
    np.testing.assert_array_equal(arrays_of(clf), expected[True])
    assert_nothing_left(own_cluster)


def test_scaled_to_none_and_up_again(own_cluster, after_round, data, expected, monkeypatch):
    """The fit waits, says so, and ends with the same bits."""
    monkeypatch.setattr(_cluster, "_PATIENCE", 0.5)
    cluster = own_cluster.cluster

    def action():
        cluster.scale(0)
        threading.Timer(3, cluster.scale, [2]).start()

    after_round(5, action)
    with pytest.warns(UserWarning, match="The cluster has had no workers for 0.5 seconds"):
        clf = DaskConvSigmoidClassifier(**PARAMETERS).fit(*data)
    np.testing.assert_array_equal(arrays_of(clf), expected[True])
    assert_nothing_left(own_cluster)


def test_without_workers_at_first(own_cluster, data, expected, monkeypatch):
    monkeypatch.setattr(_cluster, "_PATIENCE", 0.5)
    own_cluster.cluster.scale(0)
    wait_for(lambda: not own_cluster.nthreads())
    threading.Timer(3, own_cluster.cluster.scale, [2]).start()
    with pytest.warns(UserWarning, match="The cluster has had no workers for 0.5 seconds"):
        clf = DaskConvSigmoidClassifier(**PARAMETERS).fit(*data)
    np.testing.assert_array_equal(arrays_of(clf), expected[True])


def test_adapts(own_cluster, data, expected):
    """A fit has the cluster start workers, and when it ends they stop: it holds nothing."""
    own_cluster.cluster.scale(0)
    wait_for(lambda: not own_cluster.nthreads())
    own_cluster.cluster.adapt(minimum=0, maximum=2, interval="100ms", wait_count=1)
    clf = DaskConvSigmoidClassifier(**PARAMETERS).fit(*data)
    np.testing.assert_array_equal(arrays_of(clf), expected[True])
    wait_for(lambda: not own_cluster.nthreads())


@pytest.mark.parametrize("persist", [True, False])
def test_restarted_client(own_cluster, after_round, data, expected, persist):
    after_round(5, own_cluster.restart)
    clf = DaskConvSigmoidClassifier(**PARAMETERS, persist=persist).fit(*data)
    np.testing.assert_array_equal(arrays_of(clf), expected[persist])
    assert_nothing_left(own_cluster)


@pytest.mark.parametrize("name", ["count-labels", "read-chunk", "survey", "count-rows"])
def test_restarted_before_training(own_cluster, data, expected, monkeypatch, name):
    """While data is counted and loaded: tasks that are waited for are lost once, and submitted again."""
    waited = []
    original = _cluster.Cluster.wait

    def wait(self, futures):
        if str(futures[0].key[0]).startswith(f"skcnn-{name}-"):
            waited.append(futures[0].key[0])
            if len(waited) == 1:
                wait_for(lambda: own_cluster.run_on_scheduler(knows, futures[0].key))
                own_cluster.restart()
                assert all(future.cancelled() for future in futures)
        return original(self, futures)

    monkeypatch.setattr(_cluster.Cluster, "wait", wait)
    clf = DaskConvSigmoidClassifier(**PARAMETERS).fit(*data)
    assert len(set(waited)) == 2
    np.testing.assert_array_equal(arrays_of(clf), expected[True])
    assert_nothing_left(own_cluster)


def test_restarted_with_a_validation_set_in_memory(own_cluster, after_round, data, digits):
    """The set is put on the cluster again."""
    validation = {"X_val": digits[0][:100], "y_val": digits[1][:100]}
    undisturbed = DaskConvSigmoidClassifier(**PARAMETERS).fit(*data, **validation)
    after_round(5, own_cluster.restart)
    clf = DaskConvSigmoidClassifier(**PARAMETERS).fit(*data, **validation)
    np.testing.assert_array_equal(arrays_of(clf), arrays_of(undisturbed))
    assert clf.validation_scores_ == undisturbed.validation_scores_


def test_restarted_with_persisted_data(own_cluster, after_round, data):
    """What the caller had persisted cannot be loaded again: an error says so, and the earlier fit remains."""
    clf = DaskConvSigmoidClassifier(**PARAMETERS).fit(*data)
    before = arrays_of(clf).copy()
    X, y = (values.persist() for values in data)
    after_round(2, own_cluster.restart)
    with pytest.raises(RuntimeError, match="persist"):
        clf.fit(X, y)
    np.testing.assert_array_equal(arrays_of(clf), before)
    del X, y
    assert_nothing_left(own_cluster)


def raising(block, block_info=None):
    if block_info[0]["chunk-location"][0] == 3:
        raise OSError("the disk is gone")
    return block


def deadly(block, block_info=None):
    if block_info[0]["chunk-location"][0] == 3:
        os.kill(os.getpid(), signal.SIGKILL)
    return block


def deadly_later(block, flag, block_info=None):
    return deadly(block, block_info) if os.path.exists(flag) else block


def test_a_chunk_that_kills_during_training(own_cluster, after_round, data, tmp_path):
    X, y = data
    flag = tmp_path / "flag"
    after_round(2, flag.touch)
    with pytest.raises(RuntimeError, match=r"A task \(.*\) with chunk.* 3.* of X killed 4 workers"):
        DaskConvSigmoidClassifier(**PARAMETERS, persist=False).fit(
            X.map_blocks(deadly_later, flag=str(flag), dtype=X.dtype), y
        )
    assert_nothing_left(own_cluster)


@pytest.mark.parametrize("persist", [True, False])
@pytest.mark.parametrize(
    ("function", "message"),
    [
        (raising, "Chunk 3 of X could not be computed: OSError.*the disk is gone"),
        (deadly, r"Chunk .*3.* of X killed 4 workers"),
    ],
)
def test_a_chunk_that_fails(own_cluster, data, function, message, persist):
    X, y = data
    clf = DaskConvSigmoidClassifier(**PARAMETERS, persist=persist).fit(X, y)
    before = arrays_of(clf).copy()
    with pytest.raises(RuntimeError, match=message):
        clf.fit(X.map_blocks(function, dtype=X.dtype), y)
    np.testing.assert_array_equal(arrays_of(clf), before)
    assert_nothing_left(own_cluster)


def test_interrupted(own_cluster, after_round, data):
    """Ctrl-C: tasks are cancelled, and the model has the parameters of the last round that had ended."""
    after_round(6, lambda: os.kill(os.getpid(), signal.SIGINT))
    with pytest.warns(UserWarning, match="Training interrupted by user"):
        clf = DaskConvSigmoidClassifier(**PARAMETERS | {"max_iter": 1000}).fit(*data)
    assert clf.n_iter_ == 1
    assert np.isfinite(arrays_of(clf)).all()
    assert clf.score(*data) > 0.15
    assert_nothing_left(own_cluster)


@pytest.mark.parametrize("n_waits", [1, 2, 3, 4])
def test_interrupted_while_loading(own_cluster, data, monkeypatch, n_waits):
    """An interrupt before training leaves the earlier fit, and nothing on the cluster."""
    clf = DaskConvSigmoidClassifier(**PARAMETERS).fit(*data)
    before = arrays_of(clf).copy()
    waits = []

    def wait(self, futures):
        waits.append(len(futures))
        if len(waits) == n_waits:
            os.kill(os.getpid(), signal.SIGINT)
        return original(self, futures)

    original = _cluster.Cluster.wait
    monkeypatch.setattr(_cluster.Cluster, "wait", wait)
    with pytest.raises(KeyboardInterrupt):
        clf.fit(*data)
    np.testing.assert_array_equal(arrays_of(clf), before)
    assert_nothing_left(own_cluster)
