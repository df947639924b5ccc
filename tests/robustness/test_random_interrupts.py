"""Ctrl-C at random instants, and while an epoch is recorded: an estimator is usable, or as it was before."""

import os
import pickle
import signal
import sys
import time
import warnings

import numpy as np
import pytest
from sklearn.model_selection import GridSearchCV

from skcnn import ConvSigmoidClassifier, training
from skcnn.passes import LocalPasses
from tests.helpers.cases import cases
from tests.helpers.interrupts import interrupt_at

pytestmark = pytest.mark.skipif(os.name != "posix", reason="needs a timer's signal")

NETWORKS = {
    "adam": {"n_filters": 4},
    "stack": {"n_filters": (3, 4), "kernel_size": 3, "batch_norm": True, "average": True},
    "validated": {"n_filters": 3, "early_stopping": True, "solver": "sgd"},
}
DIGITS = {"max_iter": 12, "tol": 1e9, "n_iter_no_change": 10, "batch_size": 50, "learning_rate_init": 0.01}


@pytest.fixture
def interrupted_after():
    """Call a function and raise KeyboardInterrupt in it after some seconds; returns whether that came out of it."""

    def interrupt(signum, frame):
        raise KeyboardInterrupt

    def call(seconds, function):
        training._interrupt.seconds = -np.inf
        try:
            signal.setitimer(signal.ITIMER_REAL, seconds)
            function()
            signal.setitimer(signal.ITIMER_REAL, 0)
        except KeyboardInterrupt:
            return True
        return False

    before = signal.signal(signal.SIGALRM, interrupt)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield call
    signal.setitimer(signal.ITIMER_REAL, 0)
    signal.signal(signal.SIGALRM, before)


def duration(function):
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


def check(clf, X, y):
    """Check that an estimator's attributes agree, and that it can be used and saved."""
    assert len(clf.loss_curve_) >= clf.n_iter_
    scores = clf.validation_scores_
    if scores is not None:
        assert len(scores) == len(clf.validation_loss_curve_) == len(clf.loss_curve_)
    probabilities = clf.predict_proba(X)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, rtol=1e-6)
    again = pickle.loads(pickle.dumps(clf))
    np.testing.assert_array_equal(again.predict_proba(X), probabilities)


def state_of(clf):
    """Everything that an estimator holds, as bytes that can be compared."""
    return pickle.dumps(clf.__getstate__())


@pytest.mark.parametrize("network", NETWORKS.values(), ids=NETWORKS)
def test_fit(interrupted_after, digits, network):
    X, y = digits
    clf = ConvSigmoidClassifier(**network, **DIGITS, random_state=0)
    clf.fit(X, y)
    limit = 1.1 * duration(lambda: clf.fit(X, y))
    rng = np.random.default_rng(0)
    complete = state_of(clf)
    for _ in range(cases(30)):
        before = state_of(clf)
        raised = interrupted_after(rng.uniform(0, limit), lambda: clf.fit(X, y))
        check(clf, X, y)
        assert clf.t_ == clf.n_iter_ * (len(X) - (30 if clf.early_stopping else 0))
        if raised:
            assert state_of(clf) in (before, complete)


@pytest.mark.parametrize("network", list(NETWORKS.values())[:2], ids=list(NETWORKS)[:2])
def test_partial_fit(interrupted_after, digits, network):
    """The history has as many losses as there were calls that the model has seen, whole or in part."""
    X, y = digits
    clf = ConvSigmoidClassifier(**network, **DIGITS, random_state=0)
    clf.partial_fit(X, y, classes=np.unique(y))
    limit = 1.1 * duration(lambda: clf.partial_fit(X, y))
    rng = np.random.default_rng(0)
    for _ in range(cases(30)):
        before, n_losses = state_of(clf), len(clf.loss_curve_)
        raised = interrupted_after(rng.uniform(0, limit), lambda: clf.partial_fit(X, y))
        check(clf, X, y)
        if len(clf.loss_curve_) == n_losses and raised:
            assert state_of(clf) == before
        assert clf.t_ == len(clf.loss_curve_) * len(X)


def fits(X, y):
    options = DIGITS | {"max_iter": 3, "n_iter_no_change": 1}
    clf = ConvSigmoidClassifier(**NETWORKS["validated"], **options, random_state=0)
    return clf.fit(X, y), lambda clf: clf.fit(X, 9 - y)


def streams(X, y):
    clf = ConvSigmoidClassifier(**NETWORKS["stack"], **DIGITS, random_state=0)
    return clf.partial_fit(X, y, classes=np.unique(y)), lambda clf: clf.partial_fit(X, 9 - y)


@pytest.mark.parametrize("second", [False, True], ids=["first", "second"])
@pytest.mark.parametrize("kind", [fits, streams])
def test_at_each_line(digits, kind, second):
    """Interrupts at each line that makes or stores a state: it is the old one, the new one, or one of whole epochs."""
    found, trace_before = set(), sys.gettrace()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        clf, call = kind(*digits)
        before = state_of(clf)
        call(clf)
        complete = state_of(clf)
        for number in range(5000):
            again = ConvSigmoidClassifier()
            again.__setstate__(pickle.loads(before))
            caught.clear()
            training._interrupt.seconds = time.monotonic() if second else -np.inf
            raised = False
            try:
                sys.settrace(interrupt_at(number, "state.py", "fitting.py"))
                call(again)
            except KeyboardInterrupt:
                raised = True
            finally:
                sys.settrace(trace_before)
            kept = any("interrupted by user" in str(warning.message) for warning in caught)
            found.add("kept" if kept else {before: "old", complete: "new"}[state_of(again)])
            assert len(again.loss_curve_) == (again.n_iter_ if kind is fits else again.t_ // len(digits[0]))
            check(again, *digits)
            if not raised and not kept:
                break
    assert number > 100
    assert found == {"old", "new"} | (set() if second else {"kept"})


def test_grid_search(interrupted_after, digits):
    """One interrupt ends the search or the fit that is running; a search that was ended can be run again."""
    X, y = digits
    grid = {"n_filters": [2, 3], "alpha": [1e-4, 1e-3]}
    search = GridSearchCV(ConvSigmoidClassifier(**DIGITS, random_state=0), grid, cv=2)
    search.fit(X, y)
    limit = duration(lambda: search.fit(X, y))
    rng = np.random.default_rng(0)
    for _ in range(cases(10)):
        raised = interrupted_after(rng.uniform(0, limit), lambda: search.fit(X, y))
        if not raised:
            assert len(search.cv_results_["params"]) == 4
            check(search.best_estimator_, X, y)
        assert not hasattr(search.estimator, "classes_")
    expected = ConvSigmoidClassifier(**DIGITS, **search.fit(X, y).best_params_, random_state=0).fit(X, y)
    np.testing.assert_array_equal(search.predict_proba(X), expected.predict_proba(X))


def test_two_interrupts_end_a_search(digits, monkeypatch):
    """Each comes within a fit, which would keep its model."""
    n_epochs = []

    def train_epoch(self, state):
        n_epochs.append(1)
        if len(n_epochs) in (3, 5):
            raise KeyboardInterrupt
        return original(self, state)

    original = LocalPasses.train_epoch
    monkeypatch.setattr(LocalPasses, "train_epoch", train_epoch)
    search = GridSearchCV(ConvSigmoidClassifier(**DIGITS, random_state=0), {"n_filters": [2, 3, 4]}, cv=3)
    with pytest.warns(UserWarning, match="Another interrupt within 3 seconds"), pytest.raises(KeyboardInterrupt):
        search.fit(*digits)
    assert len(n_epochs) == 5


def test_a_later_interrupt_is_one_of_another_fit(quick, digits, monkeypatch):
    def train_epoch(self, state):
        raise KeyboardInterrupt

    monkeypatch.setattr(LocalPasses, "train_epoch", train_epoch)
    for _ in range(2):
        with pytest.warns(UserWarning, match="interrupted by user"):
            assert quick().fit(*digits).n_iter_ == 0
        training._interrupt.seconds -= 3.1
    with pytest.warns(UserWarning, match="interrupted by user"):
        quick().fit(*digits)
    with pytest.raises(KeyboardInterrupt):
        quick().fit(*digits)
