"""`n_jobs`: the same bits for any number of threads, and the number of threads (skcnn/threads.py)."""

import sys
from concurrent.futures import ThreadPoolExecutor

import joblib
import numpy as np
import pytest
from joblib import parallel_config
from numpy.testing import assert_array_equal
from threadpoolctl import threadpool_limits

from skcnn.network import Network
from skcnn.plan import useful_threads
from skcnn.threads import count_threads
from tests.helpers.marks import every_normalization, every_x_dtype
from tests.helpers.scripts import run_script
from tests.helpers.threads import NUMBERS, assert_same_bits, limited, needs_openmp


@pytest.fixture
def sixteen(monkeypatch):
    """Allow sixteen threads on any number of processors and for any amount of work."""
    monkeypatch.setattr("skcnn.plan._THREAD_WORK", 1)
    with limited(16):
        yield


# ---- the same bits ----


@pytest.mark.usefixtures("sixteen")
@every_normalization
@pytest.mark.parametrize(("loss", "solver"), [("log_loss", "adam"), ("squared_error", "sgd")])
@every_x_dtype
@pytest.mark.parametrize("batch_size", [1, 7, 20, 32, 100, 290, 300], ids="batches of {}".format)
def test_fit_and_predict(quick, digits, normalization, loss, solver, x_dtype, batch_size):
    if "standardize" in normalization and batch_size == 1:
        batch_size = 2  # the minimum
    n_samples = max(12, min(5 * batch_size + 3, 300))
    X, y = (digits[0][:n_samples] * 16).astype(x_dtype), digits[1][:n_samples]
    weights = np.random.default_rng(0).integers(0, 4, size=n_samples)
    choices = {
        "loss": loss, "solver": solver, "batch_size": batch_size, "rescale": 1 / 16, **normalization
    }  # fmt: skip

    def fitted(n_jobs):
        # Enough filters for more than one chunk of parameters.
        return quick(max_iter=3, n_filters=13, n_jobs=n_jobs, **choices).fit(X, y, sample_weight=weights)

    expected = fitted(1)
    for n_jobs in NUMBERS:
        clf = fitted(n_jobs)
        assert_same_bits(clf._parameters, expected._parameters)
        assert clf.loss_curve_ == expected.loss_curve_
        assert_same_bits(clf.decision_function(X), expected.decision_function(X))
        assert_same_bits(clf.predict_proba(X[:33]), expected.predict_proba(X[:33]))
        assert_array_equal(clf.predict(X), expected.predict(X))


@pytest.mark.usefixtures("sixteen")
def test_fits_with_threads_in_several_python_threads(quick, digits):
    expected = quick(n_jobs=1).fit(*digits)._parameters
    with ThreadPoolExecutor(3) as pool:
        for clf in pool.map(lambda n_jobs: quick(n_jobs=n_jobs).fit(*digits), [1, 2, 3] * 4):
            assert_same_bits(clf._parameters, expected)


@pytest.mark.usefixtures("sixteen")
@pytest.mark.parametrize("random_shift", [0, 2], ids="random_shift={}".format)
@every_normalization
@pytest.mark.parametrize("batch_size", [40, 100], ids="batches of {}".format)
def test_fit_and_predict_of_a_stack(quick, digits, random_shift, normalization, batch_size):
    X, y = (digits[0][:203] * 16).astype(np.uint8), digits[1][:203]
    stack = {"n_filters": (7, 9), "padding": "same", "pool_size": [2, 1], "activation": "relu", "rescale": 1 / 16}

    def fitted(n_jobs):
        clf = quick(
            **stack,
            **normalization,
            max_iter=3,
            random_shift=random_shift,
            global_pool="average" if normalization else None,
            batch_size=batch_size,
            n_jobs=n_jobs,
        )
        return clf.fit(X, y, X_val=X[:50], y_val=y[:50])

    expected = fitted(1)
    for n_jobs in NUMBERS:
        clf = fitted(n_jobs)
        assert_same_bits(clf._parameters, expected._parameters)
        assert clf.loss_curve_ == expected.loss_curve_
        assert clf.validation_loss_curve_ == expected.validation_loss_curve_
        assert_same_bits(clf.predict_proba(X), expected.predict_proba(X))
        assert_same_bits(clf.transform(X), expected.transform(X))


# ---- the number of threads ----


@needs_openmp
@pytest.mark.usefixtures("sixteen")
def test_count_threads():
    assert count_threads(None) == 1
    assert [count_threads(n_jobs) for n_jobs in (1, 2, 16, 17)] == [1, 2, 16, 16]
    assert count_threads(-1) == min(joblib.cpu_count(), 16)
    assert count_threads(-1000) == 1


@needs_openmp
@pytest.mark.usefixtures("sixteen")
def test_none_is_what_joblib_is_told():
    with parallel_config(n_jobs=3):
        assert [count_threads(n_jobs) for n_jobs in (None, 1, 5)] == [3, 1, 5]
    with parallel_config("threading", n_jobs=-1):
        assert count_threads(None) == min(joblib.cpu_count(), 16)
    assert count_threads(None) == 1


@needs_openmp
def test_threadpoolctl_limits():
    for limit in (1, 2, 5):
        with limited(limit):
            assert [count_threads(n_jobs) for n_jobs in (None, 1, 16)] == [1, 1, limit]
    with threadpool_limits(3), parallel_config(n_jobs=8):
        assert count_threads(None) == 3


@needs_openmp
def test_the_environment_limits():
    script = "from skcnn.threads import count_threads; print(*map(count_threads, (None, 1, 16)))"
    assert run_script(script, OMP_NUM_THREADS="3") == "1 1 3\n"


def test_no_more_threads_than_are_of_use():
    """Each thread has at least sixteen images, and more work than waking it up costs."""
    network = Network((28, 28, 1), (8,), ((5, 5),), 10)
    assert [useful_threads(8, network, batch_size) for batch_size in (1, 16, 17, 32, 128, 1000)] == [1, 1, 2, 2, 8, 8]
    assert useful_threads(8, Network((3, 3, 1), (2,), ((2, 2),), 1), 1000) == 1


NATIVE_THREADS = """
import os
import numpy as np
from skcnn import ConvSigmoidClassifier
from threadpoolctl import threadpool_limits

def fit(n_jobs):
    stop = {"max_iter": 3, "tol": 1e9, "n_iter_no_change": 1}
    return ConvSigmoidClassifier(64, learning_rate_init=0.002, **stop, batch_size=100, n_jobs=n_jobs).fit(X, y)

def n_started():
    return len(os.listdir("/proc/self/task")) - at_first

y = np.arange(300) % 3
X = np.random.default_rng(0).random((300, 64)) + y[:, np.newaxis]
at_first = len(os.listdir("/proc/self/task"))
with threadpool_limits(16, user_api="openmp"):
    clf = fit(1)
    print(n_started())
    clf.predict(X)
    print(n_started())
    clf.set_params(n_jobs=2).predict(X)
    print(n_started())
    fit(4)
    print(n_started())
"""


@needs_openmp
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="counts the threads in Linux's /proc")
def test_one_thread_starts_no_other():
    """The operating system's count: a pool of n threads is the caller and n - 1 others."""
    assert run_script(NATIVE_THREADS).split() == ["0", "0", "1", "3"]
