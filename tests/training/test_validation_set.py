"""Early stopping and the caller's validation set: scores, their data, and the model that is kept."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn import config_context
from sklearn.metrics import accuracy_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler

from skcnn import ConvSigmoidClassifier
from skcnn.holdout import Holdout, hold_out
from tests.helpers.fits import fit_unconverged, fit_watched
from tests.helpers.marks import few_steps
from tests.helpers.reference import output_loss

losses = pytest.mark.parametrize("loss", ["log_loss", "squared_error"])


@pytest.fixture
def split(digits):
    """A training set and a validation set."""
    X, y = digits
    return X[:200], y[:200], {"X_val": X[200:], "y_val": y[200:]}


def one_hot(clf, y):
    return (y[:, np.newaxis] == (clf.classes_[1:] if clf.n_outputs_ == 1 else clf.classes_)).astype(float)


@losses
@pytest.mark.parametrize("n_classes", [2, 10])
def test_curves_of_ones_own_validation_set(quick, split, rng, loss, n_classes):
    """Curves exclude penalty and class weights and use the set's own weights; the set does not affect training."""
    X, y, validation = split
    y, y_val = y % n_classes, validation["y_val"] % n_classes
    weights = rng.randint(0, 3, size=len(y_val)).astype(float)
    clf = quick(loss=loss, alpha=1.0, class_weight={0: 3.0})
    clf.fit(X, y, X_val=validation["X_val"], y_val=y_val, sample_weight_val=weights)
    assert_array_equal(clf._parameters, quick(loss=loss, alpha=1.0, class_weight={0: 3.0}).fit(X, y)._parameters)
    assert len(clf.validation_loss_curve_) == len(clf.validation_scores_) == clf.n_iter_
    logits = clf.decision_function(validation["X_val"]).reshape(len(y_val), -1)
    assert_allclose(clf.validation_loss_curve_[-1], output_loss(logits, one_hot(clf, y_val), weights, loss)[0])
    assert clf.validation_scores_[-1] == clf.score(validation["X_val"], y_val, weights)
    assert clf.best_validation_score_ == max(clf.validation_scores_)
    assert clf.best_loss_ == min(clf.loss_curve_)


def test_early_stopping_keeps_the_best_epoch(quick, split):
    X, y, validation = split
    clf = quick(max_iter=100, early_stopping=True, tol=0.0, n_iter_no_change=3, learning_rate_init=0.05, average=False)
    seen = []
    fit_watched(clf, X, y, lambda state: seen.append(state.parameters.copy()), validation=(*validation.values(), None))
    best = int(np.argmax(clf.validation_scores_))
    assert best < len(seen) - 1, "a test of nothing: the last epoch was the best"
    assert_array_equal(clf._parameters, seen[best])
    assert clf.score(*validation.values()) == clf.best_validation_score_ == clf.validation_scores_[best]


def test_the_part_held_out_is_stratified_and_not_learnt_from(quick, digits, epochs):
    X, y = digits
    clf = quick(early_stopping=True, validation_fraction=0.2, shuffle=False, max_iter=1, tol=0.0)
    fit_unconverged(clf, X, y)
    ((learnt, _),) = epochs
    held = np.setdiff1d(np.arange(300), learnt)
    assert clf.t_ == len(learnt) == 240
    assert np.abs(np.bincount(y[held]) - 0.2 * np.bincount(y)).max() < 1
    assert clf.validation_scores_ == [accuracy_score(y[held], clf.predict(X[held]))]
    expected = fit_unconverged(quick(shuffle=False, max_iter=1), X[learnt], y[learnt])
    assert_array_equal(clf._parameters, expected._parameters)


def test_ones_own_set_takes_the_place_of_the_split(quick, split):
    X, y, validation = split
    parameters = {"max_iter": 4, "early_stopping": True, "n_iter_no_change": 2}
    clf = quick(**parameters).fit(X, y, **validation)
    assert clf.t_ == clf.n_iter_ * 200
    assert len(clf.validation_scores_) == clf.n_iter_ == 4


def test_standardised_scores_are_those_of_the_kept_model(quick, split):
    """Statistics are recomputed before each score, so the kept model reaches the best one."""
    X, y, validation = split
    clf = quick(standardize=True, early_stopping=True, max_iter=8, n_iter_no_change=8, learning_rate_init=0.05)
    fit_unconverged(clf, X, y, **validation)
    assert clf.score(*validation.values()) == clf.best_validation_score_
    assert_allclose(clf.decision_function(X).mean(axis=0), 0, atol=1e-9)


def test_warm_start_keeps_the_best_of_all_fits(quick, split):
    """A later fit without an improvement leaves the best model in place."""
    X, y, validation = split
    clf = quick(max_iter=8, early_stopping=True, n_iter_no_change=np.inf, warm_start=True, learning_rate_init=0.02)
    fit_unconverged(clf, X, y, **validation)
    best, score = clf._parameters.copy(), clf.best_validation_score_
    clf.set_params(learning_rate_init=10.0, max_iter=1)
    fit_unconverged(clf, X, y, **validation)
    assert clf.validation_scores_[-1] < score
    assert clf.best_validation_score_ == score
    assert_array_equal(clf._parameters, best)


def test_interrupted_early_stopping_keeps_the_best(quick, split):
    X, y, validation = split

    def interrupt(state):
        if state.n_iter == 6:
            raise KeyboardInterrupt

    clf = quick(max_iter=12, early_stopping=True, tol=0.0, learning_rate_init=0.05)
    with pytest.warns(UserWarning, match="interrupted"):
        fit_watched(clf, X, y, interrupt, validation=(*validation.values(), None))
    assert clf.score(*validation.values()) == clf.best_validation_score_


@pytest.mark.parametrize("early_stopping", [False, True])
def test_interrupted_while_it_scores(quick, split, monkeypatch, early_stopping):
    """An epoch without a score is not recorded, so there are as many scores as losses."""
    X, y, validation = split
    scored = []
    evaluate = Holdout.evaluate

    def interrupted(holdout, *args):
        scored.append(evaluate(holdout, *args))
        if len(scored) == 4:
            raise KeyboardInterrupt
        return scored[-1]

    monkeypatch.setattr(Holdout, "evaluate", interrupted)
    clf = quick(max_iter=12, early_stopping=early_stopping, tol=0.0)
    with pytest.warns(UserWarning, match="interrupted"):
        clf.fit(X, y, **validation)
    assert clf.n_iter_ == len(clf.loss_curve_) == len(clf.validation_loss_curve_) == len(clf.validation_scores_) == 3
    assert clf.t_ == 3 * len(X)
    assert list(zip(clf.validation_loss_curve_, clf.validation_scores_, strict=True)) == scored[:3]


def test_verbose_prints_the_score(quick, split, capsys):
    X, y, validation = split
    clf = quick(max_iter=3, verbose=True, early_stopping=True).fit(X, y, **validation)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == f"Iteration 1, loss = {clf.loss_curve_[0]:.8f}"
    assert lines[1] == f"Validation score: {clf.validation_scores_[0]:f}"
    assert lines[-1].startswith("Validation score did not improve more than tol=")
    assert lines[-1].endswith(" for 1 consecutive epochs. Stopping.")


def test_through_a_pipeline(quick, split):
    """With `transform_input`, the steps before the classifier transform X_val like X."""
    X, y, validation = split
    raw = {"X_val": validation["X_val"] * 255, "y_val": validation["y_val"]}
    with config_context(enable_metadata_routing=True):
        clf = quick().set_fit_request(X_val=True, y_val=True)
        pipeline = make_pipeline(MinMaxScaler(), clf, transform_input=["X_val"]).fit(X * 255, y, **raw)
        scaler = MinMaxScaler().fit(X * 255)
    expected = quick().fit(scaler.transform(X * 255), y, X_val=scaler.transform(raw["X_val"]), y_val=raw["y_val"])
    assert pipeline[-1].validation_scores_ == expected.validation_scores_


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"X_val": None}, "X_val is missing"),
        ({"y_val": None}, "y_val is missing"),
        ({"X_val": None, "y_val": None, "sample_weight_val": np.ones(100)}, "X_val and y_val is missing"),
        ({"X_val": np.zeros((100, 49))}, "X_val and y_val do not go with X and y: X has 49 features.* 64"),
        ({"X_val": np.zeros((100, 16, 4))}, r"images of shape \(16, 4\), but the network takes .* \(8, 8, 1\)"),
        ({"y_val": np.zeros(99)}, "inconsistent numbers of samples"),
        ({"y_val": np.full(100, 11)}, "y_val has labels that are not among the classes"),
        ({"y_val": np.full(100, "seven")}, "y_val has labels that are not among the classes"),
        ({"y_val": np.ones((100, 10), int)}, "y_val must be one label per sample"),
        ({"X_val": np.full((100, 64), np.nan)}, "NaN"),
        ({"sample_weight_val": -np.ones(100)}, "sample_weight_val must not be negative"),
        ({"sample_weight_val": np.zeros(100)}, "sample_weight_val is zero"),
    ],
)
def test_bad_validation_sets(quick, split, changes, message):
    X, y, validation = split
    clf = quick().fit(X, y)
    before = clf._parameters.copy()
    with pytest.raises(ValueError, match=message):
        clf.fit(X, y, **(validation | changes))
    assert_array_equal(clf._parameters, before)


@few_steps
@pytest.mark.parametrize("part", ["learn from", "validate with"])
def test_weights_that_leave_a_part_empty(digits, epochs, part):
    X, y = digits[0][:20], np.arange(20) % 2
    clf = fit_unconverged(ConvSigmoidClassifier(early_stopping=True, random_state=0, max_iter=1), X, y)
    held = np.setdiff1d(np.arange(20), epochs[0][0])
    weights = np.zeros(20) if part == "learn from" else np.ones(20)
    weights[held] = 1.0 if part == "learn from" else 0.0
    with pytest.raises(
        ValueError, match=f"sample_weight is zero for every sample that early_stopping=True has .*{part}"
    ):
        clf.fit(X, y, weights)


def test_a_new_fit_is_not_bound_by_the_last_model(quick, digits):
    """The largest pixel is that of a model; images of another scale are for the next one."""
    X, y = digits[0].astype(np.float32), digits[1]
    clf = quick().fit(X * np.float32(1e-20), y)
    assert clf._model.largest_pixel < np.inf
    object.__setattr__(clf._model, "largest_pixel", 0.5)
    clf.fit(X, y, X_val=X[:50], y_val=y[:50])
    assert len(clf.validation_scores_) == clf.n_iter_


def test_images_with_which_logits_overflow(quick, split):
    X, y, validation = split
    X, X_val, y_val = X.astype(np.float32), validation["X_val"].astype(np.float32), validation["y_val"]
    clf = quick(activation="relu", solver="sgd", momentum=0, alpha=0, learning_rate_init=1e-30, warm_start=True)
    clf.fit(X, y)
    clf.filters_[:], clf.coefs_[-1][:] = 1, 1e22
    X_val[3] = 1e18
    with pytest.raises(ValueError, match="X_val holds values too large for float32, in which this model computes"):
        clf.fit(X, y, X_val=X_val, y_val=y_val)


def test_a_single_held_out_sample_is_too_few(quick, digits):
    """Of labels, for which nothing is stratified."""
    X, y = digits
    labels = np.stack([y > 4, y % 2 == 1], axis=1).astype(int)
    with pytest.raises(ValueError, match=r"too small: .*0\.1 of 10 samples holds out 1, and at least two"):
        quick(early_stopping=True, validation_fraction=0.1).fit(X[:10], labels[:10])


def test_samples_keep_their_order(quick, digits, monkeypatch):
    """Without shuffling, batches are read in the order of X."""
    made = []

    def recorded(*args, **options):
        made.append(hold_out(*args, **options))
        return made[-1]

    monkeypatch.setattr("skcnn.fitting.hold_out", recorded)
    quick(early_stopping=True, shuffle=False).fit(*digits)
    ((problem, holdout),) = made
    assert (np.diff(problem.rows) > 0).all()
    assert (np.diff(holdout.rows) > 0).all()
    assert sorted([*problem.rows, *holdout.rows]) == list(range(300))
