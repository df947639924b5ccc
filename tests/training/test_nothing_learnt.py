"""The warning after a fit that is no better than a constant prediction."""

import warnings

import numpy as np
import pytest
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import log_loss

from skcnn import ConvSigmoidClassifier, passes
from skcnn.kernels import LOSSES
from skcnn.losses import constant_loss, mean_loss

nothing_learnt = pytest.warns(ConvergenceWarning, match=r"learnt little or nothing: its loss on the training set, \d")


@pytest.mark.parametrize("loss", ["log_loss", "squared_error"])
def test_the_best_constant(loss):
    """No other constant has a smaller loss."""
    rng = np.random.default_rng(0)
    targets = (rng.random((40, 3)) < [0.1, 0.5, 0.8]).astype(float)
    weights = rng.integers(4, size=40).astype(float)
    smoothed = 0.1 + 0.8 * targets
    for t in targets, smoothed:
        found = constant_loss(t, weights, LOSSES[loss])

        def loss_of(p, t=t):
            return mean_loss(np.tile(np.log(p / (1 - p)), (40, 1)), t, weights, LOSSES[loss])

        shares = np.average(t, axis=0, weights=weights)
        assert found == pytest.approx(loss_of(shares))
        for other in shares + rng.uniform(-0.05, 0.05, size=(50, 3)):
            assert loss_of(other) > found


@pytest.mark.parametrize("n_outputs", [1, 3])
@pytest.mark.parametrize("loss", ["log_loss", "squared_error"])
def test_a_mean_is_the_loss_that_is_trained_by(digits, loss, n_outputs):
    X, y = digits
    y = y % 2 if n_outputs == 1 else y % 3
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        clf = ConvSigmoidClassifier(3, loss=loss, alpha=0, max_iter=1, learning_rate_init=1e-12, random_state=0)
        clf.fit(X, y)
    targets = (y[:, np.newaxis] == ([1] if n_outputs == 1 else np.arange(3))).astype(float)
    found = mean_loss(clf.decision_function(X).reshape(len(X), -1), targets, np.ones(len(X)), LOSSES[loss])
    assert found == pytest.approx(clf.loss_, rel=1e-6)


def test_a_mean_of_extreme_logits():
    logits, targets = np.array([[1e3], [-1e3], [1e3], [-1e3]]), np.array([[1.0], [0], [0], [1]])
    assert mean_loss(logits, targets, np.array([1, 1, 0, 0]), LOSSES["log_loss"]) == 0
    assert mean_loss(logits, targets, np.array([0, 0, 1, 1]), LOSSES["log_loss"]) == 1e3


def test_one_output_is_the_log_loss_of_the_frequencies():
    y = np.array([0, 0, 0, 1.0])
    expected = log_loss(y, np.full(4, 0.25))
    assert constant_loss(y[:, np.newaxis], np.ones(4), LOSSES["log_loss"]) == pytest.approx(expected)


def test_an_output_that_never_changes_costs_nothing():
    targets = np.array([[0, 1.0, 0], [0, 1, 1]])
    assert constant_loss(targets, np.ones(2), LOSSES["log_loss"]) == pytest.approx(2 * np.log(2) / 2)


@pytest.mark.parametrize("early_stopping", [False, True])
@pytest.mark.parametrize("loss", ["log_loss", "squared_error"])
def test_a_fit_that_ends_too_early(digits, early_stopping, loss):
    X, y = digits
    options = {"tol": 1e9, "n_iter_no_change": 1, "learning_rate_init": 1e-6, "early_stopping": early_stopping}
    with nothing_learnt:
        ConvSigmoidClassifier(3, loss=loss, random_state=0, **options).fit(X, y)


def test_besides_the_warning_of_max_iter(digits):
    X, y = digits
    with nothing_learnt, pytest.warns(ConvergenceWarning, match="Maximum iterations"):
        ConvSigmoidClassifier(3, max_iter=1, learning_rate_init=1e-6, random_state=0).fit(X, y)


def test_what_has_learnt_says_nothing(digits):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        ConvSigmoidClassifier(3, tol=0.1, random_state=0).fit(*digits)


def test_one_epoch_may_be_enough(digits):
    """The loss of a single epoch is mostly that of an untrained network and must not cause a warning."""
    X, y = digits
    with pytest.warns(ConvergenceWarning, match="Maximum iterations") as caught:
        clf = ConvSigmoidClassifier(max_iter=1, batch_size=8, random_state=0).fit(X, y)
    assert len(caught) == 1
    assert clf.loss_ > constant_loss(np.eye(10)[y], np.ones(len(X)), LOSSES["log_loss"])


def test_a_penalty_is_not_what_is_judged(digits):
    X, y = digits
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        clf = ConvSigmoidClassifier(alpha=1.5, tol=0.1, random_state=0).fit(X, y)
    assert clf.loss_ > constant_loss(np.eye(10)[y], np.ones(len(X)), LOSSES["log_loss"])


def test_a_stream_has_only_begun(digits):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        ConvSigmoidClassifier(3, learning_rate_init=1e-6).partial_fit(*digits, classes=np.arange(10))


def test_few_wide_samples_are_learnt():
    """Adam's steps used to overshoot here, and training to stop silently after a dozen epochs of two steps."""
    rng = np.random.default_rng(0)
    y = np.arange(40) % 2
    X = rng.normal(size=(40, 2000)) + np.where(y[:, np.newaxis] > 0, 0.3, -0.3)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        clf = ConvSigmoidClassifier(random_state=0).fit(X, y)
    assert clf.loss_curve_[0] < 2
    assert clf.score(X, y) == 1.0


def test_an_interrupt_while_the_loss_is_looked_at(digits, monkeypatch):
    """An interrupt after training keeps the model."""

    def interrupted(*arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr(passes, "mean_loss", interrupted)
    clf = ConvSigmoidClassifier(3, tol=1e9, n_iter_no_change=1, learning_rate_init=1e-6, random_state=0)
    with pytest.warns(UserWarning, match="interrupted by user"):
        clf.fit(*digits)
    assert clf.n_iter_ == 3
    assert clf.predict(digits[0]).shape == (300,)


def test_what_early_stopping_keeps_is_judged():
    """On noise, early stopping keeps the first epoch's model, while later ones memorise the samples."""
    rng = np.random.default_rng(3)
    X, y = rng.random((60, 64)), rng.integers(0, 2, size=60)
    clf = ConvSigmoidClassifier(early_stopping=True, n_iter_no_change=40, validation_fraction=0.2, random_state=0)
    with nothing_learnt:
        clf.fit(X, y)
    assert clf.loss_ < 0.5


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_labels_that_never_change_are_learnt(digits, dtype):
    """The best constant has a loss of 0, up to rounding."""
    X = digits[0].astype(dtype)
    weights = np.random.default_rng(0).random(300)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        ConvSigmoidClassifier(4, random_state=0).fit(X, np.ones((300, 3), dtype=int), sample_weight=weights)


def test_logits_that_overflow(digits):
    """A network whose logits overflow on its training set raises an error."""
    X, y = digits[0].astype("float32"), digits[1]
    steps = {"learning_rate_init": 1e19, "max_iter": 1, "batch_size": 300}
    clf = ConvSigmoidClassifier((4, 4), activation="relu", **steps, random_state=0)
    with pytest.warns(ConvergenceWarning, match="Maximum iterations"), pytest.raises(ValueError, match="diverged"):
        clf.fit(X, y)
