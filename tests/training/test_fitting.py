"""The end of fits: convergence, warm starts, warnings, printed output, failures that leave an earlier fit intact."""

import re

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import GridSearchCV
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline

from skcnn import ConvSigmoidClassifier
from tests.helpers.fits import fit_unconverged, fit_watched


def test_convergence_warning(quick, digits):
    with pytest.warns(ConvergenceWarning, match=re.escape("Maximum iterations (2) reached")) as record:
        quick(max_iter=2).fit(*digits)
    assert record[0].filename == __file__


def test_stops_when_the_loss_stops(quick, digits):
    clf = quick(max_iter=500, tol=0.05, n_iter_no_change=3).fit(*digits)
    assert clf.n_iter_ < 500
    assert clf.n_iter_ == len(clf.loss_curve_)
    improved = [loss <= min(clf.loss_curve_[:i]) - 0.05 for i, loss in enumerate(clf.loss_curve_) if i > 0]
    assert not any(improved[-4:])
    assert improved[-5]


def test_infinite_patience(quick, digits):
    with pytest.warns(ConvergenceWarning):
        clf = quick(max_iter=30, tol=100.0, n_iter_no_change=np.inf).fit(*digits)
    assert clf.n_iter_ == 30


@pytest.mark.parametrize("solver", ["adam", "sgd"])
def test_warm_start_continues(quick, digits, solver):
    X, y = digits
    choices = {"shuffle": False, "solver": solver, "n_iter_no_change": np.inf}
    straight = fit_unconverged(quick(max_iter=6, **choices), X, y)
    halves = fit_unconverged(quick(max_iter=3, warm_start=True, **choices), X, y)
    fit_unconverged(halves, X, y)
    assert_array_equal(halves._parameters, straight._parameters)
    assert halves.loss_curve_ == straight.loss_curve_
    assert (halves.n_iter_, halves.t_) == (3, straight.t_)


def test_warm_start_begins_with_the_initial_learning_rate(quick, digits):
    """As in MLPClassifier: an adaptive rate that the last fit had reduced is whole again."""
    rate = {"solver": "sgd", "learning_rate": "adaptive", "learning_rate_init": 0.5}
    clf = quick(**rate, tol=1e9, n_iter_no_change=1, max_iter=8, warm_start=True)
    fit_unconverged(clf, *digits)
    assert clf.learning_rate_ < 0.5
    fit_unconverged(clf.set_params(max_iter=1, n_iter_no_change=100), *digits)
    assert clf.learning_rate_ == 0.5


def test_warm_start_needs_the_same_network_and_classes(quick, digits):
    X, y = digits
    clf = quick(warm_start=True).fit(X, y)
    with pytest.raises(ValueError, match="warm_start needs the classes of the last fit"):
        clf.fit(X, y > 4)
    with pytest.raises(ValueError, match="warm_start needs the network of the last fit"):
        clf.set_params(n_filters=4).fit(X, y)


@pytest.mark.parametrize("through", ["directly", "a pipeline", "a search"])
def test_warnings_name_the_callers_line(quick, digits, through):
    clf = quick(max_iter=1)
    if through == "a pipeline":
        clf = make_pipeline(clf)
    elif through == "a search":
        clf = GridSearchCV(clf, {"n_filters": [1]}, cv=2)
    with pytest.warns(ConvergenceWarning) as caught:
        clf.fit(*digits)
    assert {warning.filename for warning in caught} == {__file__}


def test_verbose_is_mlp_classifiers(capsys):
    """The last line, after all reductions of the learning rate, equals MLPClassifier's."""
    X, y = [[3.0, 2.0], [1.0, 6.0]], [1, 0]
    texts = []
    for model in (MLPClassifier, ConvSigmoidClassifier):
        clf = model(solver="sgd", learning_rate="adaptive", tol=0.5, n_iter_no_change=2, verbose=True, random_state=0)
        clf.fit(X, y)
        texts.append(capsys.readouterr().out.splitlines()[-1])
    assert texts[0] == texts[1]
    assert texts[1].endswith("for 2 consecutive epochs. Learning rate too small. Stopping.")


def test_a_failing_fit_does_not_disturb_predictions(quick, digits):
    """The estimator does not change before the end of a fit."""
    X, y = digits
    clf = quick().fit(X, y)
    before = vars(clf).copy()

    def look(state):
        assert clf.predict(X[:2]).shape == (2,)
        assert all(vars(clf)[name] is value for name, value in before.items())
        raise RuntimeError

    with pytest.raises(RuntimeError):
        fit_watched(clf, X[:, :49], y > 4, look)
    assert vars(clf) == before


def test_a_fit_in_progress_keeps_nothing_in_the_estimator(fitted, digits):
    """Other threads may fit the same estimator meanwhile."""

    class Watching(np.random.RandomState):
        def permutation(self, n):
            seen.append(vars(clf).copy())
            return super().permutation(n)

    clf, seen = fitted.set_params(max_iter=2, random_state=Watching(0)), []
    before = vars(clf).copy()
    fit_unconverged(clf, *digits)
    assert seen == [before, before]


def test_verbose(quick, digits, capsys):
    quick(max_iter=3).fit(*digits)
    assert capsys.readouterr().out == ""
    clf = quick(max_iter=3, verbose=True, tol=1000.0).fit(*digits)
    *epochs, stop = capsys.readouterr().out.splitlines()
    assert epochs == [f"Iteration {i}, loss = {loss:.8f}" for i, loss in enumerate(clf.loss_curve_, start=1)]
    assert stop == "Training loss did not improve more than tol=1000.000000 for 1 consecutive epochs. Stopping."


def test_interrupted_training_keeps_the_model(quick, digits):
    X, y = digits

    def interrupt(state):
        if state.n_iter == 3:
            raise KeyboardInterrupt

    with pytest.warns(UserWarning, match="Training interrupted by user"):
        clf = fit_watched(quick(), X, y, interrupt)
    assert clf.n_iter_ == 3
    assert_array_equal(clf._parameters, quick(max_iter=3).fit(X, y)._parameters)


@pytest.mark.parametrize(
    "break_it",
    [
        lambda clf, X, y: clf.fit(X[:, :49], np.zeros(300)),
        lambda clf, X, y: clf.set_params(n_filters=0).fit(X, y),
        lambda clf, X, y: clf.set_params(kernel_size=(9, 9)).fit(X[:, :49], y),
        lambda clf, X, y: clf.fit(X[:, :49], y, sample_weight=-np.ones(300)),
        lambda clf, X, y: clf.set_params(solver="sgd", learning_rate_init=1e300).fit(X[:, :49], y),
    ],
    ids=["one class", "parameter", "kernel", "weights", "divergence"],
)
def test_failed_fit_leaves_the_earlier_one(fitted, digits, break_it):
    X, y = digits
    before, attributes = fitted.predict_proba(X), set(vars(fitted))
    with pytest.raises(ValueError, match=r"class|n_filters|kernel_size|sample_weight|learning_rate_init"):
        break_it(fitted, X, y)
    assert_array_equal(fitted.predict_proba(X), before)
    assert set(vars(fitted)) == attributes


def test_clone_and_params(fitted):
    other = clone(fitted)
    assert other.get_params() == fitted.get_params()
    assert not hasattr(other, "coefs_")
