"""Threads: the same bits for any number of them, and how many there are."""

import sys
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import joblib
import numpy as np
import pytest
from joblib import parallel_config
from numpy.testing import assert_array_equal
from threadpoolctl import threadpool_limits

from skcnn.kernels import batch_gradient, forward, train_batches
from skcnn.network import Network
from skcnn.plan import useful_threads
from skcnn.threads import count_threads
from tests.helpers import reference
from tests.helpers.reference import LOSSES, SOLVER, random_problem, read_only
from tests.helpers.scripts import run_script
from tests.helpers.threads import assert_same_bits, limited, needs_openmp

every_dtype = pytest.mark.parametrize("dtype", ["float32", "float64"])
every_way = pytest.mark.parametrize("standardize", [False, True], ids=["plain", "standardize"])

# More of them than processors, groups or slots too.
NUMBERS = (2, 3, 4, 16)

call_batch_gradient = partial(reference.call_batch_gradient, batch_gradient)
call_train_batches = partial(reference.call_train_batches, train_batches)


@pytest.fixture
def sixteen(monkeypatch):
    """Sixteen threads, if they are asked for, on however few processors and for however little work."""
    monkeypatch.setattr("skcnn.plan._THREAD_WORK", 1)
    with limited(16):
        yield


# ---- the same bits: the kernels ----

# One slice of the parameter vector, and four of them, the last one incomplete.
NETWORKS = {
    "small": {"image_shape": (6, 5, 1), "n_filters": (3,), "kernel_size": ((3, 2),), "n_outputs": 3},
    "four slices": {"image_shape": (16, 14, 2), "n_filters": (5,), "kernel_size": ((3, 3),), "n_outputs": 16},
    "no intercept": {
        "image_shape": (9, 9, 1), "n_filters": (4,), "kernel_size": ((2, 2),), "n_outputs": 1, "fit_intercept": False
    },
}  # fmt: skip
every_network = pytest.mark.parametrize("choices", NETWORKS.values(), ids=NETWORKS)


def assert_same_gradient_for_any_threads(network, **options):
    """The loss and the gradient of a batch, bit for bit."""
    value, gradient = call_batch_gradient(network, **options)
    assert np.isfinite(gradient[: network.n_trainable]).all()
    for n_threads in NUMBERS:
        other, other_gradient = call_batch_gradient(network, **options, n_threads=n_threads)
        assert other == value
        assert_same_bits(other_gradient, gradient)


def assert_same_training_for_any_threads(network, **options):
    """The parameters after some batches, and what is summed over them."""
    parameters, *sums = call_train_batches(network, **options)
    assert np.isfinite(parameters).all()
    for n_threads in NUMBERS:
        other, *other_sums = call_train_batches(network, **options, n_threads=n_threads)
        assert_same_bits(other, parameters)
        assert other_sums == sums


@every_network
@every_way
@every_dtype
@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("n_rows", [1, 17, 65, 330, 1100], ids="batch of {}".format)
def test_gradient(choices, standardize, dtype, loss, n_rows):
    """Batches of 1, 2, 4, 5 and 16 slots."""
    network = Network(**choices, standardize=standardize)
    problem = random_problem(network, n_rows, dtype, weighted=n_rows > 1)
    options = {"loss": loss, "alpha": 0.1}
    assert_same_gradient_for_any_threads(network, **problem, **options)


@every_network
@every_way
@every_dtype
@pytest.mark.parametrize(("kind", "loss"), list(enumerate(LOSSES)), ids=["adam-log_loss", "sgd-squared_error"])
@pytest.mark.parametrize("batch_size", [1, 7, 32, 100, 333], ids="batches of {}".format)
def test_train_batches(choices, standardize, dtype, kind, loss, batch_size):
    network, n_samples = Network(**choices, standardize=standardize), min(3 * batch_size + 2, 333)
    problem = random_problem(network, n_samples, dtype, weighted=True)
    orders = [np.random.default_rng(epoch).permutation(n_samples) for epoch in range(2)]
    solver = SOLVER | {"kind": kind, "learning_rate": 0.01}
    options = {"orders": orders, "batch_size": batch_size, "solver": solver, "loss": loss, "alpha": 0.1}
    assert_same_training_for_any_threads(network, **problem, **options)


@every_network
@every_way
@every_dtype
@pytest.mark.parametrize("x_dtype", ["uint8", "float32", "float64"])
def test_forward(choices, standardize, dtype, x_dtype):
    network = Network(**choices, standardize=standardize)
    problem = random_problem(network, 333, dtype)
    X = read_only((3 * np.abs(problem["X"])).astype(x_dtype))

    def logits(n_threads):
        out = np.full((333, network.n_outputs), np.nan, dtype)
        forward(X, None, network, read_only(problem["parameters"]), n_threads, out, None)
        return out

    expected = logits(1)
    assert np.isfinite(expected).all()
    for n_threads in NUMBERS:
        assert_same_bits(logits(n_threads), expected)


# ---- the same bits: stacks, and images that are shifted ----

STACKS = {
    "two layers": Network((8, 9, 1), (3, 4), ((3, 3), (2, 2)), 3, ((2, 2), (1, 2)), "same", "relu"),
    "three layers, standardize": Network(
        (10, 11, 2), (2, 3, 4), ((3, 3), (2, 3), (2, 2)), 2, ((2, 2), (1, 1), (2, 1)), "same", "tanh", standardize=True
    ),
    "two slices": Network((9, 9, 1), (9, 17), ((3, 3), (3, 3)), 10, ((1, 1), (2, 2)), activation="sigmoid"),
}
every_stack = pytest.mark.parametrize("network", STACKS.values(), ids=STACKS)
every_move = pytest.mark.parametrize("moved", [False, True], ids=["", "shifted"])


def random_shifts(n_rows, seed=0):
    return np.random.default_rng(seed).integers(-3, 4, size=(n_rows, 2)).astype(np.intp)


@every_stack
@every_dtype
@every_move
@pytest.mark.parametrize("n_rows", [17, 65, 330], ids="batch of {}".format)
def test_gradient_of_stacks(network, dtype, moved, n_rows):
    problem = random_problem(network, n_rows, dtype, weighted=True)
    options = {"loss": "log_loss", "alpha": 0.1, "shifts": random_shifts(n_rows) if moved else None}
    assert_same_gradient_for_any_threads(network, **problem, **options)


@every_stack
@every_dtype
@every_move
@pytest.mark.parametrize("batch_size", [20, 100], ids="batches of {}".format)
def test_train_batches_of_stacks(network, dtype, moved, batch_size):
    problem = random_problem(network, 243, dtype, weighted=True)
    orders = [np.random.default_rng(epoch).permutation(243) for epoch in range(2)]
    shifts = [random_shifts(243, epoch) for epoch in range(2)] if moved else None
    solver = SOLVER | {"learning_rate": 0.01}
    options = {"orders": orders, "batch_size": batch_size, "solver": solver, "loss": "log_loss", "shifts": shifts}
    assert_same_training_for_any_threads(network, **problem, **options)


@every_stack
@every_dtype
def test_forward_of_stacks(network, dtype):
    problem = random_problem(network, 133, dtype)
    expected = network.forward(problem["X"], problem["parameters"], 1, with_hidden=True)
    for n_threads in NUMBERS:
        for one, other in zip(
            network.forward(problem["X"], problem["parameters"], n_threads, with_hidden=True), expected, strict=True
        ):
            assert_same_bits(one, other)


@pytest.mark.usefixtures("sixteen")
@pytest.mark.parametrize("augment", [0, 2], ids="augment={}".format)
@pytest.mark.parametrize("standardize", [False, True], ids=["plain", "standardize"])
@pytest.mark.parametrize("batch_size", [40, 100], ids="batches of {}".format)
def test_fit_and_predict_of_a_stack(quick, digits, augment, standardize, batch_size):
    X, y = (digits[0][:203] * 16).astype(np.uint8), digits[1][:203]
    stack = {"n_filters": (7, 9), "padding": "same", "pool_size": [2, 1], "activation": "relu", "rescale": 1 / 16}

    def fitted(n_jobs):
        clf = quick(**stack, max_iter=3, augment=augment, standardize=standardize, batch_size=batch_size, n_jobs=n_jobs)
        return clf.fit(X, y, X_val=X[:50], y_val=y[:50])

    expected = fitted(1)
    for n_jobs in NUMBERS:
        clf = fitted(n_jobs)
        assert_same_bits(clf._parameters, expected._parameters)
        assert clf.loss_curve_ == expected.loss_curve_
        assert clf.validation_loss_curve_ == expected.validation_loss_curve_
        assert_same_bits(clf.predict_proba(X), expected.predict_proba(X))
        assert_same_bits(clf.transform(X), expected.transform(X))


# ---- the same bits: the classifier ----


@pytest.mark.usefixtures("sixteen")
@every_way
@pytest.mark.parametrize(("loss", "solver"), [("log_loss", "adam"), ("squared_error", "sgd")])
@pytest.mark.parametrize("x_dtype", ["uint8", "float32", "float64"])
@pytest.mark.parametrize("batch_size", [1, 7, 20, 32, 100, 290, 300], ids="batches of {}".format)
def test_fit_and_predict(quick, digits, standardize, loss, solver, x_dtype, batch_size):
    if standardize and batch_size == 1:
        batch_size = 2  # the least there is
    n_samples = max(12, min(5 * batch_size + 3, 300))
    X, y = (digits[0][:n_samples] * 16).astype(x_dtype), digits[1][:n_samples]
    weights = np.random.default_rng(0).integers(0, 4, size=n_samples)
    choices = {
        "loss": loss, "standardize": standardize, "solver": solver, "batch_size": batch_size, "rescale": 1 / 16
    }  # fmt: skip

    def fitted(n_jobs):
        # So many filters that the parameters are more than one slice.
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


# ---- how many ----


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
    """Each has sixteen images at least, and work that takes longer than to wake it up."""
    network = Network((28, 28, 1), (8,), ((5, 5),), 10)
    assert [useful_threads(8, network, batch_size) for batch_size in (1, 16, 17, 32, 128, 1000)] == [1, 1, 2, 2, 8, 8]
    assert useful_threads(8, Network((3, 3, 1), (2,), ((2, 2),), 1), 1000) == 1


NATIVE_THREADS = """
import os
import numpy as np
from skcnn import ConvSigmoidClassifier
from threadpoolctl import threadpool_limits

def fit(n_jobs):
    clf = ConvSigmoidClassifier(64, max_iter=3, tol=1e9, n_iter_no_change=1, batch_size=100, n_jobs=n_jobs)
    return clf.fit(X, y)

def n_started():
    return len(os.listdir("/proc/self/task")) - at_first

X, y = np.random.default_rng(0).random((300, 64)), np.arange(300) % 3
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
    """As the operating system counts them: a pool of n threads is the caller and n - 1 more."""
    assert run_script(NATIVE_THREADS).split() == ["0", "0", "1", "3"]
