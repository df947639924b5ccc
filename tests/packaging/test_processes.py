"""Threads and processes: after a fork, and in the workers of a search."""

import os
import subprocess
import sys

import joblib
import pytest
from joblib import Parallel, delayed, parallel_config
from numpy.testing import assert_array_equal
from sklearn.model_selection import GridSearchCV

from skcnn.threads import count_threads
from tests.helpers.cases import cases
from tests.helpers.scripts import run_script
from tests.helpers.threads import assert_same_bits, needs_openmp

needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="this operating system has no fork")

# ---- forks ----

FORK = """
import multiprocessing, os, signal, sys, traceback, warnings
import numpy as np
from skcnn import ConvSigmoidClassifier
from skcnn.kernels import end_threads
from skcnn.threads import count_threads
from threadpoolctl import threadpool_limits

y = np.arange(300) % 3
X = np.random.default_rng(0).random((300, 64)) + y[:, np.newaxis]
threadpool_limits(4, user_api="openmp")

def fit(n_jobs):
    return ConvSigmoidClassifier(
        learning_rate_init=0.02, max_iter=3, tol=1e9, n_iter_no_change=1, batch_size=100, random_state=0, n_jobs=n_jobs
    ).fit(X, y)

def check(_):
    signal.alarm(30)  # kills a process that hangs
    assert [count_threads(n_jobs) for n_jobs in (None, 1, 4)] == [1, 1, n_threads]
    assert np.array_equal(parent.decision_function(X), expected)
    child = fit(4)
    assert np.array_equal(child.decision_function(X), expected)
    assert np.array_equal(child._parameters, parent._parameters)
    assert child.loss_curve_ == parent.loss_curve_

# The parent's own are ended before the fork where OpenMP can do that; otherwise a child does without.
n_threads = 4 if end_threads() else 1
parent = fit(4)
expected = parent.decision_function(X)

def fork():
    pid = os.fork()
    if not pid:
        status = 1
        try:
            check(None)
            status = 0
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(status)
    print("child:", os.waitpid(pid, 0)[1])

def pool():
    with multiprocessing.get_context("fork").Pool(2) as pool:
        print("children:", pool.map_async(check, range(4)).get(timeout=60))

with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    {"fork": fork, "pool": pool}[sys.argv[1]]()
# Python 3.12 and later warn of forks like these, and of nothing else.
for warning in caught:
    assert "is multi-threaded" in str(warning.message), warning
print("parent:", count_threads(4), np.array_equal(fit(4).decision_function(X), expected))
"""


@needs_openmp
@needs_fork
@pytest.mark.parametrize(("how", "children"), [("fork", "child: 0"), ("pool", "children: [None, None, None, None]")])
def test_forked_after_a_fit_with_threads(how, children):
    """OpenMP's threads do not survive in the child, which would wait for them forever; both processes start others."""
    assert run_script(FORK, how).splitlines() == [children, "parent: 4 True"]


FORK_OF_AN_OLD_RUNTIME = """
import os, warnings
from skcnn import threads
from threadpoolctl import threadpool_limits

warnings.simplefilter("ignore")  # Python 3.12 and later warn of forks beside threads, here OpenBLAS's
threads.end_threads = lambda: False
threadpool_limits(4, user_api="openmp")

def fork():
    pid = os.fork()
    if not pid:
        os._exit(threads.count_threads(4))
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])

print(fork(), threads.count_threads(1), fork(), threads.count_threads(4), fork(), threads.count_threads(4))
"""


@needs_openmp
@needs_fork
def test_forks_where_threads_cannot_be_ended():
    """Only a child that is forked after threads were in use has no threads."""
    assert run_script(FORK_OF_AN_OLD_RUNTIME).split() == ["4", "1", "4", "4", "1", "4"]


FORK_BESIDE_A_FIT = """
import os, signal, sys, threading, warnings
import numpy as np
import skcnn.plan
from skcnn import ConvSigmoidClassifier
from threadpoolctl import threadpool_limits

warnings.simplefilter("ignore")  # Python 3.12 and later warn of forks like these
threadpool_limits(2, user_api="openmp")
skcnn.plan._THREAD_WORK = 1  # threads for however little work
X, y = np.random.default_rng(0).random((200, 64)), np.arange(200) % 3
# An int, as NumPy's own generator for random_state=None has a lock that is not ours to mend.
choices = {"random_state": 0, "max_iter": 3, "tol": 1e9, "n_iter_no_change": 1, "batch_size": 100, "n_jobs": 2}
done = threading.Event()

def fit(number):
    ConvSigmoidClassifier(2 + number % 7, **choices).fit(X, y)

def fits():
    number = 0
    while not done.is_set():
        fit(number)
        number += 1

thread = threading.Thread(target=fits)
thread.start()
statuses = []
for number in range(int(sys.argv[1])):
    pid = os.fork()
    if not pid:
        signal.alarm(30)  # kills a process that hangs
        fit(number)
        os._exit(0)
    statuses.append(os.waitpid(pid, 0)[1])
done.set()
thread.join()
print(set(statuses))
"""


@needs_openmp
@needs_fork
def test_forked_while_another_thread_fits():
    """The child does not wait for locks held by the other thread, which does not exist there."""
    assert run_script(FORK_BESIDE_A_FIT, cases(50)).strip() == "{0}"


FORKSERVER = """
import multiprocessing, sys
from skcnn.threads import count_threads
from threadpoolctl import threadpool_limits

def count(_):
    threadpool_limits(4, user_api="openmp")
    return count_threads(4)

if __name__ == "__main__":
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["skcnn"])
    with context.Pool(2) as pool:
        print(pool.map_async(count, range(4)).get(timeout=60))
"""


@needs_openmp
@needs_fork
def test_workers_of_a_forkserver_have_their_threads(tmp_path):
    """The server has preloaded skcnn and has no threads when it forks; it is the default from Python 3.14 on."""
    (tmp_path / "count.py").write_text(FORKSERVER)
    result = subprocess.run(
        [sys.executable, "-P", "count.py"], cwd=tmp_path, capture_output=True, text=True, timeout=120
    )
    assert result.stdout.strip() == "[4, 4, 4, 4]", result.stderr


# ---- joblib's workers ----


@pytest.mark.parametrize("n_jobs", [1, -1])
def test_in_the_workers_of_a_search(quick, digits, n_jobs):
    grid = {"n_filters": [2, 4]}
    expected = GridSearchCV(quick(max_iter=10), grid, cv=2).fit(*digits)
    search = GridSearchCV(quick(max_iter=10, n_jobs=n_jobs), grid, n_jobs=2, cv=2, error_score="raise").fit(*digits)
    assert_array_equal(search.cv_results_["mean_test_score"], expected.cv_results_["mean_test_score"])
    assert_same_bits(search.best_estimator_._parameters, expected.best_estimator_._parameters)


def test_workers_share_the_processors(monkeypatch):
    """Joblib's limit holds in its workers for any `n_jobs`: there are no more threads than processors."""
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    share = max(1, joblib.cpu_count() // 2)
    asked = (None, 1, -1, 1000)
    assert Parallel(n_jobs=2)(delayed(count_threads)(n_jobs) for n_jobs in asked) == [1, 1, share, share]


@needs_openmp
def test_workers_take_the_threads_that_joblib_grants(monkeypatch):
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    with parallel_config("loky", inner_max_num_threads=3):
        assert Parallel(n_jobs=2)(delayed(count_threads)(n_jobs) for n_jobs in (None, 2, 1000)) == [1, 2, 3]
