"""Batch normalisation: the statistics that predictions use, after every kind of training."""

import pickle

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning

from skcnn import ConvSigmoidClassifier
from skcnn.fitting import fit
from skcnn.training import Observer
from tests.helpers import reference
from tests.helpers.fits import fit_unconverged, fit_watched

STACK = {"n_filters": (4, 6), "padding": "same", "activation": "relu", "pool_size": [2, 1], "batch_norm": True}


def normalized_maps(clf, X):
    """For each layer, the normalised, scaled and shifted convolution, computed with the folded filters."""
    maps = X.reshape(-1, *clf.image_shape_) * clf.rescale_
    for filters, intercepts, pool_size in zip(clf.coefs_, clf.intercepts_, clf.pool_size_, strict=False):
        layer = {"filters": filters, "filter_intercepts": intercepts}
        padded = reference.pad_same(maps, *filters.shape[2:]) if clf.padding_ == "same" else maps
        yield reference.whole_pools(reference.correlate(padded, filters, intercepts), *pool_size)
        maps, _ = reference.layer_forward(maps, layer, clf.activation_, clf.padding_, pool_size)


def statistics_of(maps, weights):
    return reference.filter_statistics(maps, np.ones(len(maps)) if weights is None else weights)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("average", [False, True])
@pytest.mark.parametrize("n_jobs", [1, 2])
def test_statistics_are_those_of_the_training_set(quick, digits, weighted, average, n_jobs):
    """After a fit, the maps of each layer have the shifts as means and the scales as deviations."""
    X, y = digits
    weights = np.arange(300) % 3.0 if weighted else None
    clf = quick(**STACK, average=average, n_jobs=n_jobs).fit(X, y, weights)
    views = clf._network.views(clf._parameters)
    for number, maps in enumerate(normalized_maps(clf, X)):
        means, variances = statistics_of(maps, weights)
        assert_allclose(means, views[f"shifts_{number}"], atol=1e-12)
        measured = views[f"variances_{number}"]
        assert_allclose(variances, views[f"scales_{number}"] ** 2 * measured / (measured + 1e-5), rtol=1e-9)


def test_statistics_of_many_samples_are_those_of_some(quick, digits, monkeypatch):
    """The choice of rows is the same for validation scores and for the final model."""
    monkeypatch.setattr("skcnn.statistics._MOST_ROWS", 100)
    X, y = digits
    clf = quick(**STACK).fit(X[:200], y[:200], X_val=X[200:], y_val=y[200:])
    assert clf.score(X[200:], y[200:]) == clf.validation_scores_[-1]
    means, _ = statistics_of(next(normalized_maps(clf, X[:200])), None)
    shifts = clf._network.views(clf._parameters)["shifts_0"]
    assert not np.allclose(means, shifts, atol=1e-6)
    assert_allclose(means, shifts, atol=0.3)


def test_images_of_different_scales(quick, digits):
    """Predictions must work although the statistics of groups differ from those of all images."""
    X, y = digits
    scales = np.exp(np.random.default_rng(0).normal(size=(300, 1)))
    clf = quick(**STACK, max_iter=60).fit(X * scales, y)
    assert clf.score(X * scales, y) > 0.9


def test_sorted_samples_have_the_statistics_of_all(quick, digits):
    """The order of the training set does not matter."""
    X, y = digits
    order = np.argsort(y, kind="stable")
    clf = quick(**STACK, max_iter=20).fit(X[order], y[order])
    assert clf.score(X, y) > 0.95


def test_coefs_predict(quick, digits):
    """`coefs_` has the folded filters, of a network without normalisation."""
    clf = quick(**STACK).fit(*digits)
    assert [coefs.shape for coefs in clf.coefs_] == [(4, 1, 3, 3), (6, 4, 3, 3), (6 * 16, 10)]
    assert [intercepts.shape for intercepts in clf.intercepts_] == [(4,), (6,), (10,)]
    *_, maps = normalized_maps(clf, digits[0])
    assert_allclose(clf.transform(digits[0]), np.maximum(maps, 0).reshape(len(maps), -1), atol=1e-12)


def test_summary(quick, digits):
    rows = quick(**STACK, global_pool="average").fit(*digits).summary().rows
    assert rows[1] == ("convolution 1, 3 x 3, normalized, relu", (8, 8, 4), 4 * 9 + 8)
    assert rows[-2] == ("global average pooling", (1, 1, 6), 0)
    assert rows[-1] == ("dense, sigmoid", (10,), 70)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_few_rows_are_predicted_as_many(quick, digits, dtype):
    X = digits[0].astype(dtype)
    clf = quick(**STACK).fit(X, digits[1])
    tolerance = 1e-4 if dtype == "float32" else 1e-12
    assert_allclose(clf.decision_function(X[:3]), clf.decision_function(X)[:3], atol=tolerance)
    assert clf.predict_proba(X).dtype == dtype


@pytest.mark.parametrize("batch_size", [1, 2, 7, 17, 33])
def test_batches_of_any_size(quick, digits, batch_size):
    """The last group of a batch may have few images, or a single one."""
    X, y = digits[0][:60], digits[1][:60]
    clf = quick(**STACK, batch_size=batch_size, max_iter=15).fit(X, y)
    assert np.isfinite(clf._parameters).all()
    assert clf.score(X, y) > 0.5


@pytest.mark.parametrize("n_filters", [4, (4, 4, 4, 4, 4, 4)])
@pytest.mark.parametrize("activation", ["sigmoid", "tanh", "relu"])
@pytest.mark.parametrize("solver", ["adam", "sgd"])
def test_learns(quick, digits, n_filters, activation, solver):
    X, y = digits
    stack = {"n_filters": n_filters, "padding": "same", "pool_size": 1, "activation": activation, "batch_norm": True}
    clf = quick(**stack, solver=solver, max_iter=40, learning_rate_init=0.01 if solver == "adam" else 0.1).fit(X, y)
    assert clf.score(X, y) > 0.95


@pytest.mark.parametrize("factor", [2.0**-20, 2.0**20])
def test_the_unit_of_X_makes_no_difference(quick, digits, factor):
    X, y = digits
    expected = quick(**STACK).fit(X, y).predict_proba(X)
    assert_allclose(quick(**STACK).fit(X * factor, y).predict_proba(X * factor), expected, atol=1e-12)


def test_without_intercepts_shifts_stay(quick, digits):
    clf = quick(**STACK, fit_intercept=False).fit(*digits)
    views = clf._network.views(clf._parameters)
    assert not views["shifts_0"].any()
    assert not views["intercepts"].any()
    assert clf.score(*digits) > 0.2


# ---- validation ----


def test_scores_are_those_of_the_kept_model(quick, digits):
    X, y = digits
    validation = {"X_val": X[200:], "y_val": y[200:]}
    clf = quick(**STACK, early_stopping=True, max_iter=8, n_iter_no_change=8)
    fit_unconverged(clf, X[:200], y[:200], **validation)
    assert clf.score(*validation.values()) == clf.best_validation_score_


def test_watching_changes_nothing(quick, digits):
    X, y = digits
    clf = quick(**STACK).fit(X[:200], y[:200], X_val=X[200:], y_val=y[200:])
    assert_array_equal(clf._parameters, quick(**STACK).fit(X[:200], y[:200])._parameters)
    assert clf.score(X[200:], y[200:]) == clf.validation_scores_[-1]


# ---- a stream ----


def test_the_first_chunk_has_its_own_statistics(quick, digits):
    X, y = digits
    clf = quick(**STACK).partial_fit(X, y, classes=np.arange(10))
    means, _ = statistics_of(next(normalized_maps(clf, X)), None)
    assert_allclose(means, clf._network.views(clf._parameters)["shifts_0"], atol=1e-12)


@pytest.mark.parametrize("average", [False, True])
def test_a_stream_of_small_chunks(quick, digits, average):
    """With one batch per chunk, running statistics are dominated by the last chunks."""
    X, y = digits
    clf = quick(**STACK, average=average, learning_rate_init=0.01)
    for _ in range(8):
        for start in range(0, 300, 20):
            clf.partial_fit(X[start : start + 20], y[start : start + 20], classes=np.arange(10))
    assert clf.score(X, y) > 0.9


def test_one_image_at_a_time(quick, digits):
    X, y = digits
    clf = quick(**STACK)
    for i in range(5):
        clf.partial_fit(X[i : i + 1], y[i : i + 1], classes=np.arange(10))
        assert np.isfinite(clf.predict_proba(X)).all()


def test_running_statistics_forget(quick, digits):
    """With two batches per chunk, statistics are means at first, and later have a momentum of 0.9 per batch."""
    X, y = digits
    clf = quick(**STACK, batch_size=10, average=False, learning_rate_init=1e-12)  # filters hardly change
    measured = []
    for start in range(0, 240, 20):
        rows = slice(start, start + 20)
        clf.partial_fit(X[rows], y[rows], classes=np.arange(10))
        alone = quick(**STACK, batch_size=10, learning_rate_init=1e-12).partial_fit(X[rows], y[rows], None, range(10))
        views = alone._network.views(alone._parameters)
        measured.append((views["means_0"].copy(), views["variances_0"].copy()))
    means, variances = measured[0]
    for number, (mean, variance) in enumerate(measured[1:], 2):
        part = max(1 / number, 1 - 0.9**2)
        variances = (1 - part) * variances + part * variance + part * (1 - part) * (mean - means) ** 2
        means = (1 - part) * means + part * mean
    views = clf._network.views(clf._parameters)
    assert_allclose(views["means_0"], means, atol=1e-8)
    assert_allclose(views["variances_0"], variances, atol=1e-8)


def test_running_statistics_are_those_that_predict(quick, digits):
    """Statistics of later layers and of logits are measured with running statistics in the layers before."""
    X, y = digits
    clf = quick(**STACK, standardize=True, batch_size=10, average=False, learning_rate_init=1e-12)
    for _ in range(2):  # filters, and so statistics, hardly change
        clf.partial_fit(X, y, classes=np.arange(10))
    for number, maps in enumerate(normalized_maps(clf, X)):
        views = clf._network.views(clf._parameters)
        assert_allclose(statistics_of(maps, None)[0], views[f"shifts_{number}"], atol=1e-7)
    assert_allclose(clf.decision_function(X).mean(axis=0), 0, atol=1e-6)


def test_a_fit_goes_on_with_chunks(quick, digits):
    X, y = digits
    clf = quick(**STACK, max_iter=30, warm_start=True).fit(X, y)
    again = pickle.loads(pickle.dumps(clf))
    for one in (clf, again):
        one.partial_fit(X[:100], y[:100])
    assert_array_equal(again._parameters, clf._parameters)
    assert clf.score(X, y) > 0.95


# ---- interrupts and errors ----


def test_what_is_learnt_by_groups_and_useless_is_said(quick, digits):
    """The training loss says nothing about a model that predicts with other statistics."""
    X, y = digits
    clf = quick(**STACK, max_iter=3)

    def spoil(state):
        if state.n_iter == 3:  # changes the model, but not the loss of the last epoch
            state.parameters[-10:] = 100.0
            if state.averages is not None:
                state.averages[-10:] = 100.0

    with pytest.warns(ConvergenceWarning, match="The network learnt little or nothing"):
        fit_watched(clf, X, y, spoil)


class Interrupting(Observer):
    def __init__(self, n_epochs):
        self.n_epochs = n_epochs

    def end(self, state):
        if state.n_iter == self.n_epochs:
            raise KeyboardInterrupt


def test_an_interrupted_fit_has_statistics(quick, digits):
    X, y = digits
    clf = quick(**STACK, max_iter=50)
    with pytest.warns(UserWarning, match="interrupted by user"):
        fit(clf, X, y, observer=Interrupting(20))
    assert clf.n_iter_ == 20
    assert clf.score(X, y) > 0.95


def test_training_that_diverges_says_so(quick, digits):
    X, y = digits
    clf = quick(**STACK, learning_rate_init=1e300).fit
    with pytest.raises(ValueError, match="Training diverged"), np.errstate(all="ignore"):
        clf(X, y)


@pytest.mark.parametrize(
    ("parameters", "error", "message"),
    [
        ({"batch_norm": 1}, TypeError, "batch_norm must be True or False; got 1"),
        (
            {"global_pool": "mean"},
            ValueError,
            "global_pool='mean' is not known; it takes one of None, 'average', 'max'",
        ),
        ({"global_pool": True}, ValueError, "global_pool=True is not known"),
    ],
)
def test_bad_parameters(quick, digits, parameters, error, message):
    with pytest.raises(error, match=message):
        quick(**parameters).fit(*digits)


def test_another_network_cannot_go_on(quick, digits):
    clf = quick(**STACK, warm_start=True).fit(*digits)
    with pytest.raises(ValueError, match=r"batch_norm=True, now False"):
        clf.set_params(batch_norm=False).fit(*digits)


def test_clones(quick):
    clf = quick(**STACK, global_pool="max")
    assert clone(clf).get_params() == clf.get_params()
    assert ConvSigmoidClassifier().batch_norm is False
    assert ConvSigmoidClassifier().global_pool is None
