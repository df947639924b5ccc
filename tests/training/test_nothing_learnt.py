"""A fit that ends no better than a constant prediction says so."""

import warnings
from types import SimpleNamespace

import numpy as np
import pytest
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import log_loss

from skcnn import ConvSigmoidClassifier
from skcnn.kernels import LOSSES
from skcnn.training import constant_loss

nothing_learnt = pytest.warns(ConvergenceWarning, match=r"learnt little or nothing: the (last|least) loss, \d")


def problem_of(targets, sample_weight, loss):
    rows = np.flatnonzero(sample_weight >= 0)
    objective = {"loss": LOSSES[loss]}
    return SimpleNamespace(targets=targets, sample_weight=sample_weight, rows=rows, objective=objective)


@pytest.mark.parametrize("loss", ["log_loss", "squared_error"])
def test_the_best_constant(loss):
    """No other constant has a smaller loss."""
    rng = np.random.default_rng(0)
    targets = (rng.random((40, 3)) < [0.1, 0.5, 0.8]).astype(float)
    weights = rng.integers(4, size=40).astype(float)
    found = constant_loss(problem_of(targets, weights, loss))

    def loss_of(p):
        losses = (p - targets) ** 2 / 2 if loss == "squared_error" else -np.log(np.where(targets > 0, p, 1 - p))
        return np.average(losses.sum(axis=1), weights=weights)

    shares = np.average(targets, axis=0, weights=weights)
    assert found == pytest.approx(loss_of(shares))
    for other in shares + rng.uniform(-0.05, 0.05, size=(50, 3)):
        assert loss_of(other) > found


def test_one_output_is_the_log_loss_of_the_frequencies():
    y = np.array([0, 0, 0, 1.0])
    expected = log_loss(y, np.full(4, 0.25))
    assert constant_loss(problem_of(y[:, np.newaxis], np.ones(4), "log_loss")) == pytest.approx(expected)


def test_an_output_that_never_changes_costs_nothing():
    targets = np.array([[0, 1.0, 0], [0, 1, 1]])
    assert constant_loss(problem_of(targets, np.ones(2), "log_loss")) == pytest.approx(2 * np.log(2) / 2)


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


def test_a_stream_has_only_begun(digits):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        ConvSigmoidClassifier(3, learning_rate_init=1e-6).partial_fit(*digits, classes=np.arange(10))


def test_few_wide_samples_are_learnt():
    """Adam's steps used to overshoot here, and patience to end after a dozen epochs of two steps, in silence."""
    rng = np.random.default_rng(0)
    y = np.arange(40) % 2
    X = rng.normal(size=(40, 2000)) + np.where(y[:, np.newaxis] > 0, 0.3, -0.3)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        clf = ConvSigmoidClassifier(random_state=0).fit(X, y)
    assert clf.loss_curve_[0] < 2
    assert clf.score(X, y) == 1.0
