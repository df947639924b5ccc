"""Extreme numbers against exact arithmetic, float32 against float64, a million steps, the same bits everywhere."""

import hashlib
import pickle
import platform
from contextlib import contextmanager, nullcontext

import numpy as np
import pytest
from mpmath import mp, mpf

from skcnn import ConvSigmoidClassifier
from skcnn.kernels import COMPILER, LEVEL, LOSSES
from skcnn.losses import mean_loss
from tests.helpers.marks import every_dtype, few_steps
from tests.helpers.scripts import run_script

pytestmark = few_steps
mp.dps = 400

# Logits from where exponentials are 1 to rounding to where they overflow or vanish, in both dtypes.
LOGITS = np.array([0, 1e-30, 1e-9, 1e-4, 0.1, 0.7, 1, 2, 5, 10, 16, 17, 30, 37, 60, 87, 88, 90, 103, 104, 200, 700])
LOGITS = np.concatenate([-LOGITS[:0:-1], LOGITS])


def exact_sigmoid(logit):
    return 1 / (1 + mp.exp(-mpf(float(logit))))


# ---- probabilities and losses ----


def network_of_logits(dtype, n_outputs):
    """A network whose logits are its only pixel, and its negative, and so on."""
    options = {"image_shape": (1, 1), "activation": "relu", "random_state": 0}
    clf = ConvSigmoidClassifier(1, max_iter=3, tol=1e9, n_iter_no_change=1, **options)
    Y = np.arange(8) % 2 if n_outputs == 1 else np.arange(8) % n_outputs
    clf.fit(np.ones((8, 1), dtype), Y)
    clf.coefs_[0][:] = 1
    clf.intercepts_[0][:] = 0
    clf.coefs_[1][:] = np.resize([1.0, -1.0], clf.coefs_[1].shape)
    clf.intercepts_[1][:] = 0
    return clf


@every_dtype
def test_probabilities_of_two_classes(dtype):
    """Of logits of both signs, as far as the dtype has probabilities."""
    clf = network_of_logits(dtype, 1)
    tiny, epsilon = float(np.finfo(dtype).tiny), float(np.finfo(dtype).eps)
    for sign in (1, -1):
        clf.coefs_[1][:] = sign
        X = LOGITS[LOGITS >= 0].astype(dtype)[:, np.newaxis]
        probabilities, logarithms = clf.predict_proba(X), clf.predict_log_proba(X)
        assert probabilities.dtype == dtype
        for pixel, p, log_p in zip(X[:, 0], probabilities, logarithms, strict=True):
            for which, expected in ((1, exact_sigmoid(sign * pixel)), (0, exact_sigmoid(-sign * pixel))):
                # The logarithm is what is computed, and its rounding a relative error of the probability.
                error = 4 * epsilon * (1 + abs(float(mp.log(expected))))
                assert abs(mpf(float(p[which])) - expected) <= error * expected + tiny
                assert abs(mpf(float(log_p[which])) - mp.log(expected)) <= 4 * epsilon * (abs(mp.log(expected)) + tiny)


@every_dtype
def test_probabilities_of_three_classes(dtype):
    """Sigmoids divided by their sum, which may all vanish."""
    clf = network_of_logits(dtype, 3)
    epsilon = float(np.finfo(dtype).eps)
    clf.coefs_[1][:] = [[-1, -2, -1.5]]
    X = LOGITS[LOGITS >= 0].astype(dtype)[:, np.newaxis]
    for pixel, probabilities in zip(X[:, 0], clf.predict_proba(X), strict=True):
        sigmoids = [exact_sigmoid(factor * mpf(float(pixel))) for factor in (-1, -2, mpf(-1.5))]
        for p, one in zip(probabilities, sigmoids, strict=True):
            expected = one / sum(sigmoids)
            error = 8 * epsilon * (1 + 2 * abs(float(pixel)))
            assert abs(mpf(float(p)) - expected) <= error * expected + float(np.finfo(dtype).tiny)


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("target", [0.0, 1.0, 0.05, 0.95])
def test_losses(loss, target):
    for logit in [*LOGITS, 1e5, -1e5]:
        p, t = exact_sigmoid(logit), mpf(target)
        if loss == "log_loss":
            expected = -(t * mp.log(p) + (1 - t) * mp.log(1 - p)) if abs(logit) < 100 else None
            expected = (max(logit, 0) - t * mpf(logit)) if expected is None else expected
        else:
            expected = (p - t) ** 2 / 2
        actual = mean_loss(np.array([[logit]]), np.array([[target]]), np.ones(1), LOSSES[loss])
        assert abs(mpf(actual) - expected) <= mpf(1e-13) * abs(expected) + mpf(4e-16) * (1 + abs(logit))


# ---- float32 against float64 ----

NETWORKS = {
    "one layer": {"n_filters": 6},
    "stack": {"n_filters": (4, 6), "kernel_size": 3, "padding": "same"},
    "tanh, normalised": {"n_filters": (3, 4), "kernel_size": 3, "activation": "tanh", "batch_norm": True},
    "standardised": {"n_filters": 3, "standardize": True},
    "sgd": {"n_filters": 5, "solver": "sgd", "learning_rate_init": 0.1, "loss": "squared_error"},
}
every_network = pytest.mark.parametrize("network", NETWORKS.values(), ids=NETWORKS)


def fit(network, X, y, **parameters):
    options = {"max_iter": 4, "tol": 1e9, "n_iter_no_change": 1, "random_state": 0}
    return ConvSigmoidClassifier(**options | network | parameters).fit(X, y)


@every_network
def test_both_dtypes_learn_the_same(network, digits):
    X, y = digits
    double, single = fit(network, X, y), fit(network, X.astype(np.float32), y)
    scale = np.abs(double._parameters).max()
    np.testing.assert_allclose(single._parameters, double._parameters, rtol=0, atol=2e-3 * scale)
    np.testing.assert_allclose(single.loss_curve_, double.loss_curve_, rtol=1e-4)
    np.testing.assert_allclose(single.predict_proba(X), double.predict_proba(X), rtol=0, atol=2e-3)


# ---- pixels whose squares are near the largest number ----


@contextmanager
def suppress_diverged():
    """Allow the error of training that diverged, and no other."""
    try:
        yield
    except ValueError as error:
        if "Training diverged" not in str(error):
            raise


@every_dtype
@pytest.mark.parametrize("shape", [(36,), (1, 36), (6, 6), (5, 4, 3)], ids=["signal", "one row", "grey", "colour"])
@pytest.mark.parametrize("options", [{}, {"batch_norm": True}, {"solver": "sgd"}, {"rescale": 1e3}], ids=str)
@pytest.mark.parametrize("activation", ["sigmoid", "relu"])
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")  # losses can fall by more than tol
def test_pixels_near_the_largest(shape, options, activation, dtype):
    """A fit ends in a model that predicts its own images, or in the error of training that diverged."""
    most = np.finfo(dtype).max ** 0.5 / options.get("rescale", 1)
    rng = np.random.RandomState(0)
    X, y = (rng.uniform(-0.99, 0.99, size=(40, *shape)) * most).astype(dtype), np.arange(40) % 3
    for n_filters in (3, (3, 4)):
        parameters = {"n_filters": n_filters, "kernel_size": 1, "activation": activation, **options}
        can_diverge = activation == "relu" or "batch_norm" in options
        with suppress_diverged() if can_diverge else nullcontext():
            clf = fit({}, X, y, **parameters)
            p = clf.predict_proba(X)
            assert np.isfinite(clf.loss_curve_).all()
            assert ((p >= 0) & (p <= 1)).all()
            np.testing.assert_allclose(p.sum(axis=1), 1, rtol=1e-6)
        with pytest.raises(ValueError, match="X holds values too large for training"):
            fit({}, X * 3, y, **parameters)


# ---- long runs ----


@every_dtype
@pytest.mark.parametrize("solver", ["adam", "sgd"])
def test_many_steps(solver, dtype):
    """A million: nothing creeps away, and the last steps are as good as any."""
    rng = np.random.RandomState(0)
    X = rng.uniform(size=(50, 9)).astype(dtype)
    y = (X[:, 4] > 0.5).astype(int)
    n_steps = 1_000_000
    network = {"n_filters": 4, "kernel_size": 2, "pool_size": 1, "image_shape": (3, 3), "random_state": 0}
    course = {"batch_size": 1, "max_iter": n_steps // len(X), "tol": 0.0, "n_iter_no_change": np.inf}
    clf = ConvSigmoidClassifier(**network, **course, solver=solver, learning_rate_init=0.01, alpha=1e-4)
    with pytest.warns(match="Maximum iterations"):
        clf.fit(X, y)
    assert clf._checkpoint.n_steps == n_steps
    assert np.isfinite(clf._parameters).all()
    assert np.abs(clf._parameters).max() < 1e3
    losses = np.array(clf.loss_curve_)
    assert np.isfinite(losses).all()
    assert losses[-1000:].mean() < 1.1 * losses[1000:].mean()
    assert clf.score(X, y) > 0.9


# ---- the same bits everywhere ----

# SHA-256 of parameters after a fit: (compiler, level, dtype) and, in the order of NETWORKS, the first eight digits.
HASHES = {
    ("gcc 12", "baseline", "float32"): "12ce7eb4 d516dfba 6233d355 9a958f45 185b9c25",
    ("gcc 12", "baseline", "float64"): "093e99b4 735f40e8 2f4fa19b 31907659 d747e8a2",
    ("gcc 12", "v3", "float32"): "d57879f5 bb18276f 014ed4e4 f52bd0ab 8fbf99e0",
    ("gcc 12", "v3", "float64"): "294bac74 80dae9c3 5439820f 8f47145c a3c96490",
    ("gcc 12", "v4", "float32"): "c218e982 c055151e 057555f3 fee51299 9bde2a70",
    ("gcc 12", "v4", "float64"): "a22d4641 0d271020 32cae304 433596bd 410e8895",
}


def digest(clf):
    return hashlib.sha256(clf._parameters.tobytes()).hexdigest()[:8]


@every_dtype
def test_bits_are_those_of_every_machine_of_this_level(dtype, digits):
    """The processor within a level, the operating system, and the versions of Python and NumPy make no difference."""
    known = HASHES.get((COMPILER.split(".")[0], LEVEL, dtype))
    if platform.machine() != "x86_64" or known is None:
        pytest.skip(f"no table for {COMPILER} on {platform.machine()}")
    X, y = digits[0].astype(dtype), digits[1]
    assert [digest(fit(network, X, y)) for network in NETWORKS.values()] == known.split()


SCRIPT = """
import pickle, sys
import numpy as np
from skcnn import ConvSigmoidClassifier
from sklearn.datasets import load_digits

X, y = load_digits(return_X_y=True)
clf = ConvSigmoidClassifier((4, 6), max_iter=3, tol=1e9, n_iter_no_change=1, random_state=0, n_jobs=int(sys.argv[1]))
sys.stdout.buffer.write(pickle.dumps(clf.fit(X[:300] / 16, y[:300])._parameters).hex().encode())
"""


def test_bits_are_those_of_every_process(digits):
    clf = fit({"n_filters": (4, 6)}, *digits, max_iter=3)
    for n_jobs in (1, 2):
        parameters = pickle.loads(bytes.fromhex(run_script(SCRIPT, n_jobs, PYTHONHASHSEED=str(n_jobs))))
        np.testing.assert_array_equal(parameters, clf._parameters)
