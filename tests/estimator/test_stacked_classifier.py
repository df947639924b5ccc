"""The estimator with several layers: sizes and their rules, attributes, features, and resumed training."""

import pickle

import numpy as np
import pytest
import skops.io
from numpy.testing import assert_allclose, assert_array_equal
from sklearn import clone
from sklearn.model_selection import GridSearchCV

from skcnn import ConvSigmoidClassifier
from tests.helpers import reference
from tests.helpers.fits import fit_watched
from tests.helpers.harness import assert_close

STACKS = {
    "two layers, relu": {"n_filters": (3, 4), "padding": "same", "pool_size": 2, "activation": "relu"},
    "three layers, tanh": {
        "n_filters": [2, 3, 4], "kernel_size": [3, (2, 3), 2], "pool_size": [1, (2, 1), 1], "activation": "tanh",
        "padding": "valid"
    },
    "sigmoid": {
        "n_filters": (4, 4), "kernel_size": [(2, 4), (2, 4)], "pool_size": 1, "activation": "sigmoid",
        "padding": "valid"
    },
}  # fmt: skip
every_stack = pytest.mark.parametrize("stack", STACKS.values(), ids=STACKS)
a_stack = STACKS["two layers, relu"]


# ---- sizes ----

SIZES = {
    "an int is for all layers": (2, 2, [(2, 2), (2, 2)], [(2, 2), (1, 2)]),
    "a tuple has one for each": ((3, 2), (1, 2), [(3, 3), (2, 2)], [(1, 1), (2, 2)]),
    "so has a list": ([(1, 4), 2], [(3, 1), 2], [(1, 4), (2, 2)], [(3, 1), (1, 2)]),
    "pairs may be lists": (([1, 4], 2), [[3, 1], 2], [(1, 4), (2, 2)], [(3, 1), (1, 2)]),
    "an int is clipped to the sides": (5, 1, [(5, 5), (2, 5)], [(1, 1), (1, 1)]),
    "of what the layer reads": ([2, 9], [2, 9], [(2, 2), (2, 4)], [(2, 2), (1, 1)]),
    "numbers of NumPy": (np.int64(2), (np.int32(1), np.uint8(2)), [(2, 2), (2, 2)], [(1, 1), (2, 2)]),
}


@pytest.mark.parametrize(("kernel_size", "pool_size", "kernels", "pools"), SIZES.values(), ids=SIZES)
def test_sizes(quick, rng, kernel_size, pool_size, kernels, pools):
    clf = quick(n_filters=(2, 3), kernel_size=kernel_size, pool_size=pool_size, padding="valid", image_shape=(6, 9))
    clf.fit(rng.rand(20, 54), np.arange(20) % 2)
    assert clf.kernel_size_ == kernels
    assert clf.pool_size_ == pools
    assert [filters.shape for filters in clf.coefs_[:2]] == [(2, 1, *kernels[0]), (3, 2, *kernels[1])]
    # A state consists of plain numbers.
    assert {type(side) for size in kernels + pools for side in size} == {int}


@pytest.mark.parametrize("n_filters", [(4,), [4], np.array([4]), np.int8(4)], ids=repr)
def test_a_sequence_of_one(quick, digits, n_filters):
    """A sequence of one is one layer."""
    expected = quick(n_filters=4, pool_size=2).fit(*digits)
    clf = quick(n_filters=n_filters, kernel_size=[3], pool_size=[(2, 2)]).fit(*digits)
    assert_array_equal(clf._parameters, expected._parameters)
    assert clf.kernel_size_ == expected.kernel_size_ == [(3, 3)]
    assert clf.pool_size_ == expected.pool_size_ == [(2, 2)]
    assert clf.n_layers_ == 3


# ---- attributes ----


@pytest.mark.parametrize("n_channels", [1, 2])
def test_attributes(quick, digits, n_channels):
    clf = quick(**a_stack, kernel_size=2, image_shape=(8, 8 // n_channels, n_channels)).fit(*digits)
    assert clf.n_layers_ == 4
    assert clf.kernel_size_ == [(2, 2), (2, 2)]
    assert clf.pool_size_ == [(2, 2), (2, 2)]
    last = (2 * (2 // n_channels)) * 4
    assert [coefs.shape for coefs in clf.coefs_] == [(3, n_channels, 2, 2), (4, 3, 2, 2), (last, 10)]
    assert [intercepts.shape for intercepts in clf.intercepts_] == [(3,), (4,), (10,)]
    filters = clf.coefs_[0].transpose(0, 2, 3, 1)
    assert_array_equal(clf.filters_, filters if n_channels > 1 else filters[..., 0])
    for part in clf.coefs_ + clf.intercepts_:
        assert np.shares_memory(part, clf._parameters)
        assert part.any()
    assert sum(part.size for part in clf.coefs_ + clf.intercepts_) == clf._parameters.size


def by_hand(clf, X):
    """Hidden activations and logits, in plain NumPy from the public attributes of a fitted classifier."""
    maps = X.astype(float).reshape(-1, *clf.image_shape_) * clf.rescale_
    *filters, weights = (coefs.astype(float) for coefs in clf.coefs_)
    *intercepts, output_intercepts = (values.astype(float) for values in clf.intercepts_)
    for bank, values, pool_size in zip(filters, intercepts, clf.pool_size_, strict=True):
        layer = {"filters": bank, "filter_intercepts": values}
        maps, _ = reference.layer_forward(maps, layer, clf.activation_, clf.padding_, pool_size)
    hidden = np.moveaxis(maps, -1, 1).reshape(len(maps), -1)
    return hidden, hidden @ weights + output_intercepts


@every_stack
@pytest.mark.parametrize("dtype", ["uint8", "float32", "float64"])
@pytest.mark.parametrize("n_samples", [1, 8, 9, 40])
def test_features_and_scores(quick, digits, stack, dtype, n_samples):
    X, y = (digits[0] * 16).astype(dtype), digits[1]
    clf = quick(**stack, rescale=1 / 16).fit(X, y)
    assert clf._parameters.dtype == ("float64" if dtype == "float64" else "float32")
    hidden, logits = by_hand(clf, X[:n_samples])
    assert_close(clf.transform(X[:n_samples]), hidden, factor=10)
    assert_close(clf.decision_function(X[:n_samples]), logits, factor=10)
    assert_array_equal(clf.predict(X[:n_samples]), logits.argmax(axis=1))
    assert clf.transform(X[:n_samples]).shape == (n_samples, len(clf.get_feature_names_out()))


@every_stack
def test_rows_and_images(quick, digits, stack):
    """X of two, three and four axes gives the same bits."""
    X, y = digits
    rows = quick(**stack).fit(X, y)
    for shape in [(8, 8), (8, 8, 1)]:
        images = quick(**stack).fit(X.reshape(300, *shape), y)
        assert_array_equal(images._parameters, rows._parameters)
        assert_array_equal(images.predict_proba(X.reshape(300, *shape)), rows.predict_proba(X))


def test_rows_and_images_with_channels(quick, digits):
    X, y = digits
    rows, images = quick(**a_stack, image_shape=(8, 4, 2)).fit(X, y), quick(**a_stack).fit(X.reshape(300, 8, 4, 2), y)
    assert images.image_shape_ == (8, 4, 2)
    assert_array_equal(images._parameters, rows._parameters)


# ---- learning ----


@pytest.mark.parametrize("activation", ["sigmoid", "tanh", "relu"])
@pytest.mark.parametrize("standardize", [False, True], ids=["plain", "standardize"])
@pytest.mark.parametrize("loss", ["log_loss", "squared_error"])
def test_learns(quick, digits, activation, standardize, loss):
    X, y = digits
    stack = {"n_filters": (6, 8), "padding": "same", "pool_size": 2, "activation": activation}
    clf = quick(**stack, standardize=standardize, loss=loss, max_iter=60).fit(X, y)
    assert clf.loss_ < 0.9 * clf.loss_curve_[0]
    assert clf.score(X, y) > 0.95


@every_stack
def test_weight_k_equals_k_copies(quick, digits, rng, stack):
    X, y = digits[0][:60], digits[1][:60]
    weights = rng.randint(0, 4, size=60)
    weighted = quick(**stack, batch_size=60, shuffle=False).fit(X, y, sample_weight=weights)
    copies = quick(**stack, batch_size=weights.sum(), shuffle=False).fit(
        np.repeat(X, weights, axis=0), np.repeat(y, weights)
    )
    assert_allclose(weighted._parameters, copies._parameters, rtol=1e-7, atol=1e-9)


def test_no_intercepts(quick, digits):
    clf = quick(**a_stack, fit_intercept=False).fit(*digits)
    assert not np.concatenate(clf.intercepts_).any()


@pytest.mark.parametrize(
    ("init", "activation", "he"),
    [
        ("auto", "relu", True), ("auto", "tanh", False), ("auto", "sigmoid", False),
        ("he_uniform", "sigmoid", True), ("glorot_uniform", "relu", False),
    ],
)  # fmt: skip
def test_initial_weights(quick, digits, init, activation, he):
    """Initial weights fill their bounds; the fans of a filter are its taps times input and times output channels."""
    stack = {"n_filters": (40, 30), "kernel_size": [3, (3, 2)], "pool_size": 2, "activation": activation}
    clf = quick(**stack, init=init, learning_rate_init=1e-12).fit(*digits)
    fans = [(9, 9 * 40), (6 * 40, 6 * 30), (clf.coefs_[2].shape[0], 10)]
    for number, (coefs, (fan_in, fan_out)) in enumerate(zip(clf.coefs_, fans, strict=True)):
        # A sigmoid follows the dense layer, so only an explicit "he_uniform" applies to it.
        with_he = he if number < 2 else init == "he_uniform"
        bound = np.sqrt(6 / (fan_in if with_he else fan_in + fan_out))
        assert 0.95 * bound < np.abs(coefs).max() <= bound + 1e-9
        assert abs(coefs.mean()) < 0.15 * bound


def test_early_stopping_keeps_the_best_epoch(quick, digits):
    X, y = digits
    choices = {"max_iter": 40, "early_stopping": True, "tol": 0.0, "n_iter_no_change": 3, "learning_rate_init": 0.03}
    clf, seen = quick(**a_stack, **choices, average=False), []
    validation = X[200:], y[200:], None
    fit_watched(clf, X[:200], y[:200], lambda state: seen.append(state.parameters.copy()), validation=validation)
    best = int(np.argmax(clf.validation_scores_))
    assert best < len(seen) - 1, "a test of nothing: the last epoch was the best"
    assert_array_equal(clf._parameters, seen[best])
    assert clf.score(X[200:], y[200:]) == clf.best_validation_score_


# ---- resumed training ----


@every_stack
@pytest.mark.parametrize("standardize", [False, True], ids=["plain", "standardize"])
def test_pickles_and_clones(quick, digits, stack, standardize):
    X, y = digits
    clf = quick(**stack, standardize=standardize, warm_start=True).fit(X, y)
    again = pickle.loads(pickle.dumps(clf))
    assert_array_equal(again.predict_proba(X), clf.predict_proba(X))
    assert again.kernel_size_ == clf.kernel_size_
    assert repr(again.summary()) == repr(clf.summary())
    assert_array_equal(again.partial_fit(X, y)._parameters, clf.partial_fit(X, y)._parameters)
    fresh = clone(clf)
    assert fresh.get_params() == clf.get_params()
    assert not hasattr(fresh, "coefs_")


def test_skops(quick, digits, tmp_path):
    clf = quick(**a_stack, warm_start=True).fit(*digits)
    skops.io.dump(clf, tmp_path / "model.skops")
    again = skops.io.load(tmp_path / "model.skops", trusted=["skcnn.classifier.ConvSigmoidClassifier"])
    assert_array_equal(again.predict_proba(digits[0]), clf.predict_proba(digits[0]))
    assert_array_equal(again.partial_fit(*digits)._parameters, clf.partial_fit(*digits)._parameters)


def test_searching_for_a_stack(quick, digits):
    grid = {"n_filters": [(4,), (4, 8)], "pool_size": [1, 2]}
    search = GridSearchCV(quick(padding="same"), grid, cv=2, error_score="raise").fit(*digits)
    assert len(search.cv_results_["params"]) == 4
    best = search.best_params_["n_filters"]
    assert search.best_estimator_.n_layers_ == 2 + len(best)


@pytest.mark.parametrize("way", ["warm_start", "partial_fit"])
@pytest.mark.parametrize(
    "change",
    [
        {"n_filters": (3, 5)}, {"n_filters": (3,)}, {"n_filters": (3, 4, 4)}, {"kernel_size": 2},
        {"kernel_size": [3, 2]}, {"pool_size": 1}, {"pool_size": [2, (2, 1)]}, {"padding": "valid"},
        {"activation": "tanh"}, {"standardize": True}, {"fit_intercept": False},
    ],
    ids=str,
)  # fmt: skip
def test_nothing_goes_on_with_another_network(quick, digits, way, change):
    """Even if the number of parameters is unchanged."""
    clf = quick(**a_stack, warm_start=True).fit(*digits)
    before = clf._parameters.copy()
    clf.set_params(**change)
    name, *_ = change
    with pytest.raises(ValueError, match=f"{way} needs the network of the last fit, which had .*{name}=.*, now "):
        (clf.fit if way == "warm_start" else clf.partial_fit)(*digits)
    assert_array_equal(clf._parameters, before)


def test_the_same_network_in_other_words_goes_on(quick, digits):
    clf = quick(**a_stack, warm_start=True).fit(*digits)
    clf.set_params(n_filters=range(3, 5), kernel_size=[[3, 3], 3], pool_size=[2, (2, 2)])
    assert len(clf.fit(*digits).loss_curve_) == 5 + clf.n_iter_


@every_stack
def test_chunks_of_whole_batches_are_one_fit(quick, digits, stack):
    X, y = digits
    parameters = {"batch_size": 20, "shuffle": False, "max_iter": 3}
    expected = quick(**stack, **parameters).fit(X, y)
    clf = quick(**stack, **parameters)
    for _ in range(3):
        for chunk in (slice(0, 20), slice(20, 160), slice(160, 300)):
            clf.partial_fit(X[chunk], y[chunk], classes=np.arange(10))
    assert_array_equal(clf._parameters, expected._parameters)


def test_several_labels_a_sample(quick, digits):
    X, y = digits
    several = np.stack([y % 2, y > 4, y == 3], axis=1).astype(int)
    clf = quick(**a_stack, max_iter=60, learning_rate_init=0.02).fit(X, several)
    assert clf.score(X, several) > 0.9
    assert clf.coefs_[-1].shape[1] == 3


def test_unfitted_has_no_attributes():
    clf = ConvSigmoidClassifier((4, 8))
    for name in ("coefs_", "intercepts_", "filters_", "kernel_size_", "pool_size_", "n_layers_"):
        assert not hasattr(clf, name)
