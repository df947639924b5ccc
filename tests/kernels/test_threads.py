"""Any number of threads gives the same bits as one."""

import numpy as np
import pytest

from skcnn.network import Network
from tests.helpers import harness
from tests.helpers.harness import SMALL, SOLVER, random_moves, random_problem
from tests.helpers.marks import every_dtype, every_loss, every_x_dtype, plain_or_standardize
from tests.helpers.scripts import run_script
from tests.helpers.threads import NUMBERS, assert_same_bits, needs_openmp

# One chunk of the parameter vector, and four of them, the last one incomplete.
NETWORKS = {
    "small": SMALL,
    "four chunks": {"image_shape": (16, 14, 2), "n_filters": (5,), "kernel_size": ((3, 3),), "n_outputs": 16},
    "normalized": {"image_shape": (9, 8, 2), "n_filters": (5,), "kernel_size": ((3, 3),), "n_outputs": 3,
                   "pool_size": ((2, 2),), "batch_norm": True, "global_pool": "max"},
    "no intercept": {
        "image_shape": (9, 9, 1), "n_filters": (4,), "kernel_size": ((2, 2),), "n_outputs": 1, "fit_intercept": False
    },
}  # fmt: skip
every_network = pytest.mark.parametrize("choices", NETWORKS.values(), ids=NETWORKS)


def assert_same_gradient_for_any_threads(network, **options):
    """Compare the loss and the gradient of a batch bit by bit."""
    expected = harness.batch_gradient(network, **options)
    assert np.isfinite(expected[1]).all()
    for n_threads in NUMBERS:
        for one, other in zip(harness.batch_gradient(network, **options, n_threads=n_threads), expected, strict=True):
            assert_same_bits(one, other)


def assert_same_training_for_any_threads(network, **options):
    """Compare the parameters after some batches, and the sums over them."""
    parameters, *sums = harness.train_batches(network, **options)
    assert np.isfinite(parameters).all()
    for n_threads in NUMBERS:
        for alone_until in (0.0, np.inf):  # the leading thread shares work, or works alone
            choice = {"n_threads": n_threads, "alone_until": alone_until}
            other, *other_sums = harness.train_batches(network, **options, **choice)
            assert_same_bits(other, parameters)
            assert other_sums == sums


def assert_same_prediction_for_any_threads(network, parameters, X):
    """Compare logits, without and with hidden activations."""
    for with_hidden in (False, True):
        logits, hidden = harness.forward(network, parameters, X, with_hidden=with_hidden)
        assert np.isfinite(logits).all()
        for n_threads in NUMBERS:
            other, other_hidden = harness.forward(network, parameters, X, n_threads=n_threads, with_hidden=with_hidden)
            assert_same_bits(other, logits)
            if with_hidden:
                assert_same_bits(other_hidden, hidden)


@every_network
@plain_or_standardize
@every_dtype
@every_loss
@pytest.mark.parametrize("n_rows", [1, 17, 65, 330, 1100], ids="batch of {}".format)
def test_gradient(choices, standardize, dtype, loss, n_rows):
    """Batches of 1, 2, 4, 5 and 16 chunks."""
    network = Network(**choices, standardize=standardize)
    problem = random_problem(network, n_rows, dtype, weighted=n_rows > 1)
    options = {"loss": loss, "alpha": 0.1}
    assert_same_gradient_for_any_threads(network, **problem, **options)


@every_network
@plain_or_standardize
@every_dtype
@pytest.mark.parametrize(("kind", "loss"), [("adam", "log_loss"), ("sgd", "squared_error")])
@pytest.mark.parametrize("batch_size", [1, 7, 32, 100, 333], ids="batches of {}".format)
def test_train_batches(choices, standardize, dtype, kind, loss, batch_size):
    network, n_samples = Network(**choices, standardize=standardize), min(3 * batch_size + 2, 333)
    problem = random_problem(network, n_samples, dtype, weighted=True)
    orders = [np.random.default_rng(epoch).permutation(n_samples) for epoch in range(2)]
    solver = SOLVER | {"kind": kind, "learning_rate": 0.01}
    options = {"orders": orders, "batch_size": batch_size, "solver": solver, "loss": loss, "alpha": 0.1}
    assert_same_training_for_any_threads(network, **problem, **options)


@every_network
@plain_or_standardize
@every_dtype
@every_x_dtype
def test_forward(choices, standardize, dtype, x_dtype):
    network = Network(**choices, standardize=standardize)
    problem = random_problem(network, 333, dtype)
    X = (3 * np.abs(problem["X"])).astype(x_dtype)
    assert_same_prediction_for_any_threads(network, problem["parameters"], X)


# ---- stacks and shifted images ----

STACKS = {
    "two layers": Network((8, 9, 1), (3, 4), ((3, 3), (2, 2)), 3, ((2, 2), (1, 2)), "same", "relu"),
    "three layers, standardize": Network(
        (10, 11, 2), (2, 3, 4), ((3, 3), (2, 3), (2, 2)), 2, ((2, 2), (1, 1), (2, 1)), "same", "tanh", standardize=True
    ),
    "two chunks": Network((9, 9, 1), (9, 17), ((3, 3), (3, 3)), 10, ((1, 1), (2, 2)), activation="sigmoid"),
}
every_stack = pytest.mark.parametrize("network", STACKS.values(), ids=STACKS)
every_move = pytest.mark.parametrize("moved", [False, True], ids=["", "shifted"])


@every_stack
@every_dtype
@every_move
@pytest.mark.parametrize("n_rows", [17, 65, 330], ids="batch of {}".format)
def test_gradient_of_stacks(network, dtype, moved, n_rows):
    problem = random_problem(network, n_rows, dtype, weighted=True)
    options = {"loss": "log_loss", "alpha": 0.1, "moves": random_moves(network, n_rows) if moved else None}
    assert_same_gradient_for_any_threads(network, **problem, **options)


@every_stack
@every_dtype
@every_move
@pytest.mark.parametrize("batch_size", [20, 100], ids="batches of {}".format)
def test_train_batches_of_stacks(network, dtype, moved, batch_size):
    problem = random_problem(network, 243, dtype, weighted=True)
    orders = [np.random.default_rng(epoch).permutation(243) for epoch in range(2)]
    moves = [random_moves(network, 243, epoch) for epoch in range(2)] if moved else None
    solver = SOLVER | {"learning_rate": 0.01}
    options = {"orders": orders, "batch_size": batch_size, "solver": solver, "loss": "log_loss", "moves": moves}
    assert_same_training_for_any_threads(network, **problem, **options)


@every_stack
@every_dtype
def test_forward_of_stacks(network, dtype):
    problem = random_problem(network, 133, dtype)
    assert_same_prediction_for_any_threads(network, problem["parameters"], problem["X"])


# ---- threads that sleep or are missing ----

FIT = """
import sys, warnings
import numpy as np
from skcnn import ConvSigmoidClassifier
warnings.simplefilter("ignore")
X, y = np.random.default_rng(0).integers(256, size=(400, 400), dtype=np.uint8), np.arange(400) % 3
clf = ConvSigmoidClassifier(16, kernel_size=3, max_iter=3, random_state=0, n_jobs=int(sys.argv[1]), rescale=1 / 255)
print(clf.fit(X, y).loss_curve_)
"""


@pytest.mark.parametrize("n_threads", [2, 3, 16], ids="{} threads".format)
@pytest.mark.parametrize("batch_size", [17, 80], ids="batches of {}".format)
def test_thousands_of_batches(n_threads, batch_size):
    """With more threads than processors, some sleep when work arrives; none may miss it or wait forever."""
    network = Network(**SMALL)
    problem = random_problem(network, 400, "float32")
    generator = np.random.default_rng(0)
    orders = [generator.integers(400, size=1000 * batch_size) for _ in range(3)]
    options = {"orders": orders, "batch_size": batch_size, "solver": SOLVER | {"learning_rate": 1e-4}}
    expected, *sums = harness.train_batches(network, **problem, **options, loss="log_loss")
    actual, *other_sums = harness.train_batches(network, **problem, **options, loss="log_loss", n_threads=n_threads)
    assert_same_bits(actual, expected)
    assert other_sums == sums


@needs_openmp
def test_fewer_threads_than_asked_for():
    """The leading thread does not need the others."""
    alone = run_script(FIT, 1)
    for most in "2", "1":
        # Without the last one, LLVM's OpenMP warns of the limit.
        assert run_script(FIT, 3, OMP_NUM_THREADS="3", OMP_THREAD_LIMIT=most, KMP_WARNINGS="0") == alone
