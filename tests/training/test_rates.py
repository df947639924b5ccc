"""The learning rate of each step, the cosine schedule, and patience."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from skcnn import ConvSigmoidClassifier, passes
from skcnn.images import measure_scale
from skcnn.layers import Parameter
from skcnn.network import Network
from tests.helpers.fits import fit_unconverged
from tests.helpers.marks import few_steps

every_solver = pytest.mark.parametrize("solver", ["adam", "sgd"])


@pytest.fixture
def rates(monkeypatch):
    """A list to which each call of `train_batches` will add its learning rates."""
    seen = []
    original = passes.train_batches

    def watched(problem, order, *rest):
        seen.append(order.learning_rates.copy())
        return original(problem, order, *rest)

    monkeypatch.setattr(passes, "train_batches", watched)
    return seen


# ---- the cosine schedule ----


@every_solver
def test_the_rate_falls_step_by_step(quick, digits, rates, solver):
    """The rate follows half a period of the cosine over all steps of all epochs, including small last batches."""
    X, y = digits
    quick(max_iter=4, batch_size=64, learning_rate="cosine", solver=solver).fit(X, y)
    steps = np.arange(4 * 5) / (4 * 5)
    assert_allclose(np.concatenate(rates), 0.01 * (1 + np.cos(np.pi * steps)) / 2, rtol=1e-14)


def test_the_rate_falls_across_the_runs_of_an_epoch(quick, digits, rates, monkeypatch):
    """An epoch is split into several calls of the kernels, between checks for signals."""
    X, y = digits
    whole = quick(max_iter=3, learning_rate="cosine", batch_size=16).fit(X, y)
    expected = np.concatenate(rates)
    rates.clear()
    monkeypatch.setattr(passes, "count_until_signals", lambda n_multiply_adds: 2)
    parts = quick(max_iter=3, learning_rate="cosine", batch_size=16).fit(X, y)
    assert len(rates) == 30
    assert_array_equal(np.concatenate(rates), expected)
    assert_array_equal(parts._parameters, whole._parameters)


@every_solver
@pytest.mark.parametrize("early_stopping", [False, True])
def test_annealing_goes_on_to_its_end(digits, solver, early_stopping):
    """All epochs are run for any loss and without a warning; early stopping still keeps the best epoch."""
    X, y = digits
    options = {"early_stopping": early_stopping, "random_state": 0}
    own = {"X_val": X[:100], "y_val": y[:100]} if early_stopping else {}
    clf = ConvSigmoidClassifier(
        3, max_iter=14, tol=1e9, n_iter_no_change=1, learning_rate="cosine", solver=solver, **options
    ).fit(X, y, **own)
    assert clf.n_iter_ == 14
    if early_stopping:
        assert clf.score(X[:100], y[:100]) == clf.best_validation_score_ == max(clf.validation_scores_)


def test_what_annealed_has_not_waited(quick, digits):
    """After "cosine", a warm start with a constant rate counts epochs without improvement from 0."""
    X, y = digits
    clf = quick(max_iter=20, learning_rate="cosine", tol=10.0, warm_start=True).fit(X, y)
    clf.set_params(learning_rate="constant", n_iter_no_change=5).fit(X, y)
    assert clf.n_iter_ == 6


def test_a_warm_start_anneals_anew(quick, digits, rates):
    X, y = digits
    clf = quick(max_iter=2, learning_rate="cosine", warm_start=True)
    clf.fit(X, y).fit(X, y)
    first, second = np.split(np.concatenate(rates), 2)
    assert_array_equal(first, second)
    assert first[0] == 0.01


def test_a_stream_has_no_end_to_anneal_to(quick, digits):
    X, y = digits
    clf = quick(learning_rate="cosine").fit(X, y)
    with pytest.raises(ValueError, match="learning_rate='cosine', because it has no last epoch"):
        clf.partial_fit(X, y)


# ---- patience ----


@few_steps
@pytest.mark.parametrize(
    ("n_samples", "batch_size", "n_iter_no_change", "n_epochs"),
    [(40, 20, "auto", 102), (40, 40, "auto", 144), (300, 20, "auto", 39), (300, 1, "auto", 12), (40, 20, 3, 5)],
)
def test_patience(digits, n_samples, batch_size, n_iter_no_change, n_epochs):
    """Patience is ten epochs, or more if they have few steps; no epoch after the first one improves here."""
    X, y = digits[0][:n_samples], digits[1][:n_samples]
    clf = ConvSigmoidClassifier(2, batch_size=batch_size, tol=1e9, n_iter_no_change=n_iter_no_change, random_state=0)
    assert clf.fit(X, y).n_iter_ == n_epochs


@few_steps
@pytest.mark.parametrize("infinity", [np.inf, np.float32(np.inf)])
@pytest.mark.parametrize(("batch_size", "n_epochs"), [(40, 1000), (9, 200)])
def test_epochs(digits, batch_size, n_epochs, infinity):
    """The largest number is 200, or as many epochs as make 1000 steps."""
    X, y = digits[0][:40], digits[1][:40]
    stop = {"tol": 0.0, "n_iter_no_change": infinity}
    clf = fit_unconverged(ConvSigmoidClassifier(2, batch_size=batch_size, **stop, random_state=0), X, y)
    assert clf.n_iter_ == n_epochs
    assert clf.set_params(learning_rate="cosine").fit(X, y).n_iter_ == n_epochs


# ---- the rate of each array ----


def narrow(n_layers):
    """A stack of sigmoids with few hidden activations."""
    sizes = {"kernel_size": ((3, 3),) * n_layers, "pool_size": ((1, 1),) * n_layers}
    return {"image_shape": (8, 8, 1), "n_filters": (2,) * n_layers, **sizes}


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, (8.0, 1.0)),
        ({"kernel_size": ((3, 3),)}, (200 / 9, (2304 / 2704) ** 0.75)),
        ({"image_shape": (1, 40, 1), "kernel_size": ((1, 5),), "pool_size": ((1, 2),)}, (25.0, (2304 / 288) ** 0.75)),
        ({"image_shape": (8, 8, 1)}, (8.0, 36**0.75)),
        ({"image_shape": (60, 60, 3)}, (200 / 75, (2304 / 12544) ** 0.75)),
        ({"activation": "relu"}, (1.0, 1.0)),
        ({"activation": "relu", "image_shape": (60, 60, 3)}, (1.0, (2304 / 12544) ** 0.75)),
        ({"image_shape": (1, 10, 1), "kernel_size": ((1, 5),), "pool_size": ((1, 2),)}, (25.0, 16.0)),
        (narrow(2), (200 / 9, 16.0)),
        (narrow(3), (200 / 9, 1.0)),
    ],
)
def test_rates_of_filters_and_weights(options, expected):
    network = Network(
        **{
            "image_shape": (28, 28, 1),
            "n_filters": (16,),
            "kernel_size": ((5, 5),),
            "n_outputs": 10,
            "pool_size": ((2, 2),),
        }
        | options
    )
    rates = {one.name: one.rate for one, *_ in network.layout}
    assert (rates["filters_0"], rates["weights"]) == pytest.approx(expected)
    assert rates["filter_intercepts_0"] == rates["intercepts"] == 1.0


@pytest.mark.parametrize(
    ("learning_rate", "expected"), [(0.001, 0.016), (0.005, 0.08), (0.01, 0.1), (0.1, 0.1), (0.3, 0.3)]
)
def test_no_rate_is_made_too_large(learning_rate, expected):
    """The solver's use of these rates is tested in test_train_batches.py and test_keras.py."""
    parameter = Parameter("weights", (1, 10), rate=16.0)
    assert parameter.learning_rate(learning_rate) == pytest.approx(expected)
    scaled = replace(parameter, input_scale=4.0)
    assert scaled.learning_rate(learning_rate) == pytest.approx(expected / 4)


# ---- the scale of pixels ----


@pytest.mark.parametrize("dtype", ["uint8", "float32", "float64"])
def test_the_scale_of_pixels(digits, dtype):
    X = (digits[0] * 16).astype(dtype)
    weights = np.ones(300, "float64" if dtype == "float64" else "float32")
    assert measure_scale(X, weights, 1 / 16) == 1.0
    assert measure_scale(X, weights, 1.0) == 16.0
    assert measure_scale(X, weights, -1 / 4) == 4.0
    assert measure_scale(np.zeros_like(X), weights, 1.0) == 1.0
    # Samples of zero weight do not count.
    weights[150:] = 0
    assert measure_scale(np.vstack([X[:150], X[150:] * 0]), weights, 1.0) == 16.0


@pytest.mark.parametrize("factor", [2.0**-60, 2.0**60])
def test_scales_beyond_all_measure(digits, factor):
    """The scale is bounded, and correct even if squares underflow or overflow in float32."""
    X, weights = (digits[0] * factor).astype("float32"), np.ones(300, "float32")
    assert measure_scale(X, weights, 1.0) == (2.0**-30 if factor < 1 else 2.0**30)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(
    "stack", [{}, {"init": "uniform"}, {"n_filters": (3, 4), "padding": "same", "activation": "relu"}]
)
@pytest.mark.parametrize("factor", [2.0**-12, 2.0**8])
def test_pixels_of_any_scale_are_learnt_alike(quick, digits, stack, factor, dtype):
    """Training has the same bits at any scale of the pixels, including penalty and epsilon."""
    X, y = digits[0].astype(dtype), digits[1]
    factor = X.dtype.type(factor)
    plain, scaled = (quick(**stack, alpha=3.0, epsilon=1e-4).fit(some, y) for some in (X, X * factor))
    assert_array_equal(scaled.coefs_[0] * factor, plain.coefs_[0])
    assert_array_equal(scaled.decision_function(X * factor), plain.decision_function(X))
    assert scaled.loss_curve_ == plain.loss_curve_


def test_an_epsilon_beyond_float32(quick, digits):
    """Multiplied by the scale, epsilon would be 0, and the step of a zero gradient 0 / 0."""
    X, y = (digits[0] * 2.0**-30).astype("float32"), digits[1]
    assert np.isfinite(quick(epsilon=1e-35, alpha=0.0).fit(X, y).coefs_[0]).all()
