"""Transitions between ways of training: nothing learnt is lost, and the best score is that of the model."""

from itertools import product

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_array_equal

from skcnn.fitting import fit
from skcnn.training import Observer
from tests.helpers.fits import fit_unconverged
from tests.helpers.marks import every_normalization

# Ways of training again: without a validation set, with one, and with early stopping (the caller's set or a part of X).
WAYS = ["partial_fit", "fit", "watched", "stopped", "stopped by a part"]
# Fits run all epochs and warn that they have not converged.
TO_THE_END = {"warm_start": True, "n_iter_no_change": np.inf}


def train(clf, way, X, y, validation):
    clf.set_params(early_stopping=way.startswith("stopped"))
    if way == "partial_fit":
        return clf.partial_fit(X, y, classes=np.arange(10))
    return fit_unconverged(clf, X, y, **(validation if way in ("watched", "stopped") else {}))


@every_normalization
@pytest.mark.parametrize("solver", ["adam", "sgd"])
@pytest.mark.parametrize("ways", list(product(WAYS, WAYS)), ids=" then ".join)
def test_two_trainings(quick, digits, ways, solver, normalization):
    X, y = digits
    data = X[:200], y[:200], {"X_val": X[200:], "y_val": y[200:]}
    clf = quick(max_iter=3, solver=solver, learning_rate_init=0.02, **normalization, **TO_THE_END)
    train(clf, ways[0], *data)
    before, n_epochs = clf._parameters.copy(), len(clf.loss_curve_)
    train(clf, ways[1], *data)
    assert len(clf.loss_curve_) == n_epochs + clf.n_iter_
    if not ways[1].startswith("stopped"):
        assert not np.array_equal(clf._parameters, before)
    if ways[1] == "watched":
        assert clf.score(X[200:], y[200:]) == clf.validation_scores_[-1]
    if ways[1] == "stopped":
        assert clf.score(X[200:], y[200:]) == clf.best_validation_score_


def test_early_stopping_again_after_chunks_that_spoil_the_model(quick, digits):
    """A best score from before the chunks no longer counts."""
    X, y = digits
    validation = {"X_val": X[200:], "y_val": y[200:]}
    clf = quick(max_iter=30, early_stopping=True, learning_rate_init=0.02, **TO_THE_END)
    good = fit_unconverged(clf, X[:200], y[:200], **validation).best_validation_score_
    clf.set_params(early_stopping=False, learning_rate_init=30.0).partial_fit(X[:200], (y[:200] + 1) % 10)
    clf.set_params(early_stopping=True, max_iter=1, learning_rate_init=1e-6)
    fit_unconverged(clf, X[:200], y[:200], **validation)
    assert clf.best_validation_score_ == clf.score(X[200:], y[200:]) < good


def test_a_warm_start_with_another_validation_set_scores_anew(quick, digits):
    X, y = digits
    other = np.random.RandomState(0).permutation(10)
    clf = quick(max_iter=20, early_stopping=True, learning_rate_init=0.02, **TO_THE_END)
    fit_unconverged(clf, X[:200], y[:200], X_val=X[200:], y_val=y[200:])
    fit_unconverged(clf, X[:200], other[y[:200]], X_val=X[200:], y_val=other[y[200:]])
    assert clf.best_validation_score_ == clf.score(X[200:], other[y[200:]])


def test_a_warm_start_holds_the_same_samples_out(quick, digits, epochs):
    """The split does not depend on the generator's later state, as samples of another one were trained on."""
    clf = quick(max_iter=1, early_stopping=True, random_state=np.random.RandomState(0), **TO_THE_END)
    fit_unconverged(clf, *digits)
    fit_unconverged(clf, *digits)
    fit_unconverged(clf.set_params(warm_start=False), *digits)
    first, warm, fresh = (np.sort(rows) for rows, _ in epochs)
    assert_array_equal(first, warm)
    assert not np.array_equal(first, fresh)


def test_a_warm_start_after_an_interrupted_first_epoch(quick, digits):
    class Interrupt(Observer):
        def begin(self, state):
            raise KeyboardInterrupt

    clf = quick(early_stopping=True, warm_start=True)
    with pytest.warns(UserWarning, match="interrupted"):
        fit(clf, *digits, observer=Interrupt())
    assert clf.best_validation_score_ is None
    assert clf.fit(*digits).best_validation_score_ == max(clf.validation_scores_)


def test_a_warm_start_wants_the_same_columns(quick, digits):
    X, y = digits
    frame = pd.DataFrame(X, columns=[f"pixel{i}" for i in range(64)])
    clf = quick(warm_start=True).fit(frame, y)
    with pytest.raises(ValueError, match="feature names should match"):
        clf.fit(frame[frame.columns[::-1]], y)
    assert clf.set_params(warm_start=False).fit(X, y).n_features_in_ == 64
    assert not hasattr(clf, "feature_names_in_")


def test_rows_go_on_as_the_images_they_were(quick, digits):
    X, y = digits
    clf = quick(warm_start=True).fit(X.reshape(300, 4, 16), y)
    assert clf.fit(X, y).image_shape_ == clf.partial_fit(X, y).image_shape_ == (4, 16, 1)


def test_a_long_stream_is_not_copied_with_each_chunk(quick, digits):
    X, y = digits
    clf = quick().partial_fit(X, y, classes=np.arange(10))
    curve = clf.loss_curve_
    assert clf.partial_fit(X, y).loss_curve_ is curve
    assert len(curve) == 2


def test_the_history_of_a_failed_fit_is_not_kept(quick, digits):
    X, y = digits
    clf = quick(warm_start=True).fit(X, y)
    curve, parameters = list(clf.loss_curve_), clf._parameters.copy()
    with pytest.raises(ValueError, match="Training diverged"):
        clf.set_params(learning_rate_init=1e300).fit(X, y)
    assert clf.loss_curve_ == curve
    assert_array_equal(clf._parameters, parameters)
