"""Many threads at once, on their own estimators and on shared ones: possible results, and no growth of memory."""

import os
import sys
import threading
import time
import warnings

import numpy as np
from sklearn.base import clone
from threadpoolctl import threadpool_limits

from skcnn import ConvSigmoidClassifier
from tests.helpers.cases import EFFORT

SECONDS = 8 * EFFORT
N_THREADS = 8


def network(number, n_jobs):
    n_filters = (2 + number % 3, 3) if number % 2 else 3 + number % 4
    options = {"max_iter": 3, "tol": 1e9, "n_iter_no_change": 1, "batch_size": 20, "learning_rate_init": 0.02}
    return ConvSigmoidClassifier(n_filters, n_jobs=n_jobs, random_state=number, **options)


class Soak:
    """What the threads do until the time is over, and the errors that they met."""

    def __init__(self, X, y):
        self.X, self.y, self.reversed = X, y, y[::-1].copy()
        self.own = [network(number, 1 + number % 2) for number in range(N_THREADS)]
        self.fitted = [clone(clf).fit(X, y) for clf in self.own]
        self.expected = [clf.predict_proba(X) for clf in self.fitted]
        # An estimator that some threads fit to one of two targets while others predict with it.
        self.shared = network(5, 1)
        self.either = [clone(self.shared).fit(X, targets).predict_proba(X) for targets in (y, self.reversed)]
        self.shared.fit(X, y)
        self.n_calls, self.errors = [0] * N_THREADS, []

    def run(self, number):
        rng = np.random.default_rng(number)
        threadpool_limits(2, user_api="openmp")  # which is each thread's own
        actions = [self.fit, self.predict, self.predict_one, self.fit_shared, self.predict_shared, self.stream]
        try:
            while time.monotonic() < self.end and not self.errors:
                actions[rng.integers(len(actions))](number, rng)
                self.n_calls[number] += 1
        except BaseException as error:
            self.errors.append(error)

    def fit(self, number, rng):
        clf = clone(self.own[number]).fit(self.X, self.y)
        np.testing.assert_array_equal(clf._parameters, self.fitted[number]._parameters)

    def predict(self, number, rng):
        other = int(rng.integers(N_THREADS))
        np.testing.assert_array_equal(self.fitted[other].predict_proba(self.X), self.expected[other])

    def predict_one(self, number, rng):
        other, row = int(rng.integers(N_THREADS)), int(rng.integers(len(self.X)))
        probabilities = self.fitted[other].predict_proba(self.X[row : row + 1])
        np.testing.assert_allclose(probabilities[0], self.expected[other][row], rtol=1e-9)

    def fit_shared(self, number, rng):
        self.shared.fit(self.X, self.y if rng.random() < 0.5 else self.reversed)

    def predict_shared(self, number, rng):
        probabilities = self.shared.predict_proba(self.X)
        assert any(np.array_equal(probabilities, either) for either in self.either)

    def stream(self, number, rng):
        clf = clone(self.own[number])
        for start in (0, 20, 40):
            part = slice(start, start + 20)
            clf.partial_fit(self.X[part], self.y[part], classes=[0, 1, 2])
        assert len(clf.loss_curve_) == 3


def test_threads():
    rng = np.random.RandomState(0)
    y = np.arange(60) % 3
    X = rng.uniform(size=(60, 64)) + y[:, np.newaxis]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # little is learnt
        soak = Soak(X, y)
        soak.end = time.monotonic() + SECONDS
        threads = [threading.Thread(target=soak.run, args=(number,)) for number in range(N_THREADS)]
        for thread in threads:
            thread.start()
        memory = watch(soak, threads)
    n_calls = sum(soak.n_calls)
    print(f"{n_calls} calls by {N_THREADS} threads in {SECONDS:g} s")
    if soak.errors:
        raise soak.errors[0]
    assert min(soak.n_calls) > 5
    if sys.platform == "linux":
        # Over the second half; the threads' caches, of malloc and OpenMP, fill for some minutes.
        growth = np.polyfit(*np.transpose(memory[len(memory) // 2 :]), 1)[0]
        print(f"growth of memory: {growth:.1f} bytes a call")
        assert growth < max(100, 64 * 2**20 / n_calls)


def watch(soak, threads):
    """Wait for threads; returns pairs of the number of calls and the resident memory in bytes."""
    memory = []
    for thread in threads:
        while thread.is_alive():
            thread.join(timeout=max(0.1, SECONDS / 300))
            if sys.platform == "linux":
                memory.append((sum(soak.n_calls), resident_memory()))
    return memory


def resident_memory():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
