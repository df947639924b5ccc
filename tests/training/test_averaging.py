"""Averaged parameters: which are averaged, with which weights, and how training continues from them."""

import pickle

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from skcnn import passes
from tests.helpers import reference

every_solver = pytest.mark.parametrize("solver", ["adam", "sgd"])


@pytest.fixture
def steps(monkeypatch):
    """A list to which each call of `train_batches` will add the trained parameters."""
    seen = []
    original = passes.train_batches

    def watched(problem, order, solver, state, *rest):
        result = original(problem, order, solver, state, *rest)
        seen.append(state.parameters[: problem.network.n_trainable].copy())
        return result

    monkeypatch.setattr(passes, "train_batches", watched)
    return seen


def learnt(clf):
    return clf._parameters[: clf._network.n_trainable]


@every_solver
@pytest.mark.parametrize("standardize", [False, True])
@pytest.mark.parametrize(("average", "first"), [(1, 0), (300, 0), (301, 1), (900, 2), (10**6, 5)])
def test_from_a_number_of_samples_on(quick, digits, steps, solver, standardize, average, first):
    """The model is the mean over all steps from that number on; each epoch here is one step."""
    clf = quick(max_iter=6, batch_size=300, average=average, solver=solver, standardize=standardize).fit(*digits)
    assert len(steps) == 6
    assert_allclose(learnt(clf), np.mean(steps[first:], axis=0), rtol=1e-10, atol=1e-13)


def test_late_ones_weigh_more(quick, digits, steps):
    """The average after k > 8 steps moves from that after k - 1 steps towards the parameters by 8 / k."""
    clf = quick(max_iter=12, batch_size=300, average=True).fit(*digits)
    expected = steps[7]
    for k in range(9, 13):
        expected = expected + 8 / k * (steps[k - 1] - expected)
    assert_allclose(learnt(clf), expected, rtol=1e-10, atol=1e-13)


@pytest.mark.parametrize(("average", "first"), [(320, 10), (321, 11), (330, 11), (351, 12), (640, 21), (641, 22)])
def test_batches_are_counted_by_their_ends(quick, digits, steps, monkeypatch, average, first):
    """The last batch of an epoch is smaller: 320 samples make 11 batches of at most 30."""
    monkeypatch.setattr(passes, "count_until_signals", lambda n_multiply_adds: 1)
    X, y = (np.concatenate([values, values[:20]]) for values in digits)
    clf = quick(max_iter=2, batch_size=30, average=average, learning_rate="cosine").fit(X, y)
    assert len(steps) == 22
    assert_allclose(learnt(clf), np.mean(steps[min(first, 21) :], axis=0), rtol=1e-10, atol=1e-13)


@pytest.mark.parametrize("average", [True, 150])
def test_batches_without_weight_are_no_steps(quick, digits, monkeypatch, average):
    """This holds for any number of batches in a call of the kernels."""
    X, y = digits
    weights = np.ones(300)
    weights[60:180] = 0
    options = {"max_iter": 3, "batch_size": 20, "shuffle": False, "average": average}
    whole = quick(**options).fit(X, y, sample_weight=weights)
    monkeypatch.setattr(passes, "count_until_signals", lambda n_multiply_adds: 2)
    parts = quick(**options).fit(X, y, sample_weight=weights)
    assert_array_equal(parts._parameters, whole._parameters)


def test_zero_is_none(quick, digits):
    none, zero = (quick(average=average).fit(*digits) for average in (False, 0))
    assert_array_equal(zero._parameters, none._parameters)


def test_averages_that_begin_anew(quick, digits, steps):
    """A later start of averaging ends the averages of an earlier fit; before it, the model has the parameters."""
    clf = quick(max_iter=3, batch_size=300, average=True, learning_rate="cosine", warm_start=True).fit(*digits)
    clf.set_params(average=10**6).fit(*digits)
    assert_array_equal(learnt(clf), steps[-1])
    clf.set_params(average=300 * 8).fit(*digits)
    assert len(steps) == 9
    assert_allclose(learnt(clf), np.mean(steps[7:], axis=0), rtol=1e-10, atol=1e-13)


def test_training_is_what_it_is_without(quick, digits):
    plain, averaged = (quick(average=average).fit(*digits) for average in (False, True))
    assert plain.loss_curve_ == averaged.loss_curve_
    assert not np.array_equal(plain._parameters, averaged._parameters)


@every_solver
@pytest.mark.parametrize("average", [True, 200])
def test_chunks_of_a_stream_are_one_fit(quick, digits, solver, average):
    """The averaged parameters continue as well, also through pickles."""
    X, y = digits
    options = {"average": average, "solver": solver, "shuffle": False, "batch_size": 20, "warm_start": True}
    whole = quick(max_iter=1, **options)
    with pytest.warns(UserWarning, match="Maximum iterations"):
        whole.fit(X, y)
    clf = quick(**options)
    for start in range(0, 300, 100):
        clf.partial_fit(X[start : start + 100], y[start : start + 100], classes=np.arange(10))
        clf = pickle.loads(pickle.dumps(clf))
    assert_array_equal(clf._parameters, whole._parameters)
    assert_array_equal(clf.partial_fit(X, y)._parameters, whole.partial_fit(X, y)._parameters)


def test_a_model_that_was_written_to_goes_on_from_there(quick, digits):
    """Training does not continue from the parameters that the old averages were made from."""
    X, y = digits
    clf = quick(average=True, warm_start=True).fit(X, y)
    clf.coefs_[0][:] = 0
    clf.set_params(average=False, learning_rate_init=1e-300).partial_fit(X, y)
    assert np.abs(clf.coefs_[0]).max() < 1e-290


def test_the_validation_set_is_scored_with_averages(quick, digits, steps):
    """The averages differ from the parameters from the second epoch on."""
    X, y = digits
    own = {"X_val": X[:100], "y_val": y[:100]}
    clf = quick(average=1, batch_size=300, max_iter=2, learning_rate="cosine").fit(X, y, **own)
    assert_allclose(learnt(clf), np.mean(steps, axis=0), rtol=1e-10)
    targets = np.eye(10)[y[:100]]
    loss, _ = reference.output_loss(clf.decision_function(X[:100]), targets, np.ones(100), "log_loss")
    assert_allclose(clf.validation_loss_curve_[1], loss)
    best = quick(average=1, early_stopping=True, max_iter=20).fit(X, y, **own)
    assert best.score(X[:100], y[:100]) == best.best_validation_score_ == max(best.validation_scores_)


def test_a_plain_fit_keeps_the_averages_alone(quick, digits):
    clf = quick(average=True).fit(*digits)
    assert clf._checkpoint.parameters is clf._checkpoint.averages is None


def test_statistics_are_those_of_the_averages(quick, digits):
    X, y = digits
    scores = quick(average=True, standardize=True).fit(X, y, X_val=X, y_val=y).decision_function(X)
    assert_allclose(scores.mean(axis=0), 0, atol=1e-9)
    assert_allclose(scores.std(axis=0), 1, rtol=1e-9)
