"""Fits and predictions of all kinds by several threads, for .ci/thread_sanitizer: python raced_fits.py NUMBER."""

import sys
import threading
import warnings

import numpy as np
from threadpoolctl import threadpool_limits

import skcnn.plan
from skcnn import ConvSigmoidClassifier

NETWORKS = (
    {"n_filters": 5},
    {"n_filters": (4, 6), "padding": "same"},
    {"n_filters": (3, 4), "batch_norm": True, "global_pool": "max"},
    {"n_filters": 4, "standardize": True, "solver": "sgd", "learning_rate_init": 0.1},
    {"n_filters": (4, 5, 6), "kernel_size": 3, "pool_size": 1, "activation": "tanh", "random_shift": 1},
    {"n_filters": 6, "image_shape": (1, 64), "average": True},
)


def fit(number, dtype, errors):
    """Fit with one thread and with several, and compare the bits."""
    rng = np.random.default_rng(number)
    X, y = rng.random((150, 64)).astype(dtype), np.arange(150) % 3
    options = {"max_iter": 2, "tol": 1e9, "n_iter_no_change": 1, "batch_size": 50, "random_state": number}
    network = NETWORKS[number % len(NETWORKS)]
    one, several = (ConvSigmoidClassifier(**options | network, n_jobs=n_jobs).fit(X, y) for n_jobs in (1, 3))
    several.partial_fit(X, y)
    one.partial_fit(X, y)
    if not np.array_equal(one._parameters, several._parameters):
        errors.append(number)
    if not np.array_equal(one.predict_proba(X), several.predict_proba(X)):
        errors.append(number)


def main(n_fits):
    warnings.simplefilter("ignore")
    threadpool_limits(3, user_api="openmp")
    skcnn.plan._THREAD_WORK = 1  # threads for however little work
    errors = []
    for number in range(0, n_fits, 2):  # two of Python's threads at a time
        threads = [
            threading.Thread(target=fit, args=(number + i, ("float32", "float64")[number // 2 % 2], errors))
            for i in range(2)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    print(f"{n_fits} fits with 3 threads, {len(errors)} with other bits than those with one")
    return 1 if errors else 0


sys.exit(main(int(sys.argv[1])))
