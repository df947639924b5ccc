"""Fits and predictions of all kinds by several threads, for .ci/thread_sanitizer: python raced_fits.py NUMBER."""

import sys
import warnings
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from threadpoolctl import threadpool_limits

import skcnn.plan
from skcnn import ConvSigmoidClassifier
from skcnn.threads import count_threads

N_THREADS = 3
NETWORKS = (
    {"n_filters": 5},
    {"n_filters": (4, 6), "padding": "same"},
    {"n_filters": (3, 4), "batch_norm": True, "global_pool": "max"},
    {"n_filters": 4, "standardize": True, "solver": "sgd", "learning_rate_init": 0.1},
    {"n_filters": (4, 5, 6), "kernel_size": 3, "pool_size": 1, "activation": "tanh", "random_shift": 1},
    {"n_filters": 6, "image_shape": (1, 64), "average": True},
)


def differs(number):
    """Whether a fit has other bits with several threads than with one."""
    threadpool_limits(N_THREADS, user_api="openmp")  # which is each of Python's threads' own
    assert count_threads(N_THREADS) == N_THREADS
    rng = np.random.default_rng(number)
    X, y = rng.random((150, 64)).astype(("float32", "float64")[number // 2 % 2]), np.arange(150) % 3
    options = {"max_iter": 2, "tol": 1e9, "n_iter_no_change": 1, "batch_size": 50, "random_state": number}
    network = NETWORKS[number % len(NETWORKS)]
    one, several = (ConvSigmoidClassifier(**options | network, n_jobs=n_jobs).fit(X, y) for n_jobs in (1, N_THREADS))
    several.partial_fit(X, y)
    one.partial_fit(X, y)
    is_equal = np.array_equal(one._parameters, several._parameters)
    return not (is_equal and np.array_equal(one.predict_proba(X), several.predict_proba(X)))


def main(n_fits):
    warnings.simplefilter("ignore")
    skcnn.plan._THREAD_WORK = 1  # threads for however little work
    n_others = 0
    for number in range(0, n_fits, 2):  # by two of Python's threads at a time, which are new ones
        with ThreadPoolExecutor(2) as pool:
            n_others += sum(pool.map(differs, (number, number + 1)))
    print(f"{n_fits} fits with {N_THREADS} threads, {n_others} with other bits than those with one")
    return 1 if n_others else 0


sys.exit(main(int(sys.argv[1])))
