"""The estimator: attributes, labels, probabilities, weights, repeatability."""

import inspect
import pickle
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext

import joblib
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.datasets import load_digits
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import StratifiedKFold, cross_val_score

from skcnn import ConvSigmoidClassifier
from skcnn.datasets import load_mnist_sample
from tests.helpers.fits import fit_unconverged, fit_watched


def test_attributes(fitted):
    assert_array_equal(fitted.classes_, np.arange(10))
    assert fitted.n_features_in_ == 64
    assert fitted.image_shape_ == (8, 8, 1)
    assert fitted.kernel_size_ == [(3, 3)]
    assert [c.shape for c in fitted.coefs_] == [(3, 1, 3, 3), (3 * 6 * 6, 10)]
    assert [i.shape for i in fitted.intercepts_] == [(3,), (10,)]
    assert fitted.filters_.shape == (3, 3, 3)
    assert fitted.n_outputs_ == 10
    assert fitted.n_layers_ == 3
    assert fitted.n_iter_ == 5 == len(fitted.loss_curve_)
    assert fitted.t_ == 5 * 300
    assert fitted.loss_ == fitted.loss_curve_[-1]
    assert fitted.best_loss_ == min(fitted.loss_curve_)


def test_attributes_are_views_of_one_vector(fitted, digits):
    """Writing to a view changes predictions."""
    X, _ = digits
    fitted.intercepts_[1][3] += 1000
    assert_array_equal(fitted.predict(X), 3)


def test_unfitted_has_no_coefficients():
    clf = ConvSigmoidClassifier()
    assert not hasattr(clf, "coefs_")
    with pytest.raises(NotFittedError):
        clf.predict(np.zeros((1, 64)))


@pytest.mark.parametrize(
    ("n_features", "image_shape", "expected"),
    [(64, None, (8, 8, 1)), (63, None, (1, 63, 1)), (48, (4, 4, 3), (4, 4, 3)), (48, (6, 8), (6, 8, 1))],
)
def test_image_shape(quick, rng, n_features, image_shape, expected):
    clf = quick(image_shape=image_shape).fit(rng.rand(20, n_features), np.arange(20) % 2)
    assert clf.image_shape_ == expected
    assert clf.filters_.ndim == (4 if expected[2] > 1 else 3)


@pytest.mark.parametrize(("kernel_size", "expected"), [(5, (4, 5)), ([(2, 6)], (2, 6)), (9, (4, 6)), ([1], (1, 1))])
def test_kernel_size(quick, rng, kernel_size, expected):
    clf = quick(image_shape=(4, 6), kernel_size=kernel_size).fit(rng.rand(20, 24), np.arange(20) % 2)
    assert clf.kernel_size_ == [expected]


@pytest.mark.parametrize("labels", [[-1, 1], ["no", "yes"], [False, True], [2.0, 3.0, 7.0], ["a", "b", "c", "d"]])
def test_labels_of_any_type(quick, rng, labels):
    y = np.asarray(labels)[np.arange(60) % len(labels)]
    X = rng.rand(60, 16) + (np.arange(60) % len(labels))[:, np.newaxis]
    clf = quick(max_iter=100, rescale=0.2).fit(X, y)
    assert clf.classes_.tolist() == sorted(labels)
    assert clf.predict(X).dtype == y.dtype
    assert clf.score(X, y) > 0.9
    assert clf.n_outputs_ == (1 if len(labels) == 2 else len(labels))


def test_object_labels(quick, rng):
    y = np.array(["spam", "ham"] * 30, dtype=object)
    X = rng.rand(60, 16) + (y == "spam")[:, np.newaxis]
    clf = quick(max_iter=100, rescale=0.2).fit(X, y)
    assert clf.classes_.tolist() == ["ham", "spam"]
    assert clf.classes_.dtype == clf.predict(X).dtype == object
    assert clf.score(X, y) > 0.9


@pytest.mark.parametrize("n_classes", [2, 3])
def test_probabilities(quick, rng, n_classes):
    X = rng.rand(50, 16)
    clf = quick().fit(X, np.arange(50) % n_classes)
    scores = clf.decision_function(X)
    p = clf.predict_proba(X)
    assert scores.shape == ((50,) if n_classes == 2 else (50, 3))
    assert_allclose(p.sum(axis=1), 1, rtol=1e-12)
    assert_allclose(np.log(p), clf.predict_log_proba(X), rtol=1e-12)
    assert_array_equal(clf.predict(X), clf.classes_[p.argmax(axis=1)])
    sigmoids = 1 / (1 + np.exp(-scores))
    if n_classes == 2:
        assert_allclose(p[:, 1], sigmoids, rtol=1e-12)
    else:
        assert_allclose(p, sigmoids / sigmoids.sum(axis=1, keepdims=True), rtol=1e-12)


def test_probabilities_where_every_sigmoid_vanishes(fitted, digits):
    X, _ = digits
    fitted.intercepts_[1][:] = -2000 - np.arange(10)
    p = fitted.predict_proba(X)
    assert np.isfinite(p).all()
    assert_allclose(p.sum(axis=1), 1, rtol=1e-12)
    assert_array_equal(p.argmax(axis=1), fitted.predict(X))


@pytest.mark.parametrize("intercept", [-300, -3e4, -1e9, -3e37], ids="logits around {:g}".format)
def test_probabilities_of_very_negative_logits_in_single_precision(quick, digits, intercept):
    """Rows sum to 1 although rounding would leave only the common factor of the sigmoids in their sum."""
    X, y = digits[0].astype(np.float32), digits[1]
    clf = quick().fit(X, y)
    clf.intercepts_[1][:] = intercept
    p = clf.predict_proba(X)
    assert_allclose(p.sum(axis=1), 1, rtol=1e-6)
    assert_allclose(np.exp(clf.predict_log_proba(X)), p, rtol=1e-6)
    scores = clf.decision_function(X).astype(float)
    expected = np.exp(scores - scores.max(axis=1, keepdims=True))
    assert_allclose(p, expected / expected.sum(axis=1, keepdims=True), rtol=1e-4, atol=1e-30)
    assert 0 <= roc_auc_score(y, p, multi_class="ovr") <= 1  # raises if rows do not sum to 1


def test_source_and_place():
    """`inspect` finds the class's source, in the file of its module."""
    assert inspect.getsource(ConvSigmoidClassifier).startswith("class ConvSigmoidClassifier(")
    assert ConvSigmoidClassifier.__module__ == "skcnn.classifier"


@pytest.mark.parametrize("loss", ["log_loss", "squared_error"])
@pytest.mark.parametrize("standardize", [False, True])
@pytest.mark.parametrize("solver", ["adam", "sgd"])
def test_learns_with_every_choice(quick, digits, loss, standardize, solver):
    X, y = digits
    rate = {"adam": 0.005, "sgd": 0.1}[solver]
    choices = {"loss": loss, "standardize": standardize, "solver": solver, "learning_rate_init": rate}
    clf = quick(n_filters=4, max_iter=60, **choices).fit(X, y)
    assert clf.loss_ < 0.9 * clf.loss_curve_[0]
    assert clf.score(X, y) > 0.9


def test_no_intercepts(quick, digits):
    clf = quick(fit_intercept=False).fit(*digits)
    assert not np.concatenate(clf.intercepts_).any()


def test_alpha_shrinks_weights(quick, digits):
    free, penalised = (quick(alpha=alpha, max_iter=20).fit(*digits) for alpha in (0.0, 5.0))
    for before, after in zip(free.coefs_, penalised.coefs_, strict=True):
        assert np.linalg.norm(after) < np.linalg.norm(before)


def test_uniform_initial_weights(quick, digits):
    clf = quick(init="uniform", learning_rate_init=1e-12, max_iter=3).fit(*digits)
    for coefs in clf.coefs_:
        assert coefs.min() >= -1e-9
        assert coefs.max() <= 1 + 1e-9
        assert abs(coefs.mean() - 0.5) < 0.1


def test_rescale_equals_scaled_pixels(quick, digits):
    X, y = digits
    scaled = quick().fit(X, y)
    rescaled = quick(rescale=1 / 16).fit(X * 16, y)
    assert_array_equal(scaled.decision_function(X), rescaled.decision_function(X * 16))
    in_bytes = quick(rescale=1 / 16).fit((X * 16).astype(np.uint8), y)
    assert in_bytes.coefs_[0].dtype == np.float32
    assert_allclose(in_bytes.decision_function(X * 16), scaled.decision_function(X), rtol=1e-2, atol=1e-3)


@pytest.mark.parametrize(
    ("dtype", "expected"),
    [("float64", "float64"), ("float32", "float32"), ("uint8", "float32"), ("int64", "float64"), (">f8", "float64")],
)
def test_dtype_of_training_and_prediction(quick, digits, dtype, expected):
    X, y = digits
    clf = quick(rescale=1 / 16).fit((X * 16).astype(dtype), y)
    assert clf.coefs_[0].dtype == clf.coefs_[1].dtype == expected
    for other in ("float64", "float32", "uint8"):
        scores = clf.decision_function((X * 16).astype(other))
        assert scores.dtype == expected
        assert_array_equal(scores, clf.decision_function(X * 16))


def test_layout_of_X_does_not_matter(quick, digits):
    X, y = digits
    expected = quick().fit(X, y).decision_function(X)
    for same in (np.asfortranarray(X), np.repeat(X, 2, axis=1)[:, ::2], X.astype(">f8"), X.tolist()):
        assert_array_equal(quick().fit(same, y).decision_function(same), expected)


@pytest.mark.parametrize("n_samples", [2, 15, 16, 17, 33])
@pytest.mark.parametrize("batch_size", [1, 7, 16, 20, 200])
def test_any_batch_size(quick, digits, n_samples, batch_size):
    """An epoch has one step for each batch, the last of which may be smaller."""
    X, y = digits[0][:n_samples], digits[1][:n_samples]
    cut = pytest.warns(UserWarning, match="batch_size=") if batch_size > n_samples else nullcontext()
    with cut:
        clf = quick(batch_size=batch_size, shuffle=False).fit(X, y)
    stepped, loss_curve = quick(), []
    for _ in range(5):
        losses = []
        for start in range(0, n_samples, batch_size):
            batch = X[start : start + batch_size], y[start : start + batch_size]
            stepped.set_params(batch_size=len(batch[0])).partial_fit(*batch, classes=np.unique(y))
            losses += [stepped.loss_] * len(batch[0])
        loss_curve.append(np.mean(losses))
    assert_allclose(clf._parameters, stepped._parameters, rtol=1e-9, atol=1e-12)
    assert_allclose(clf.loss_curve_, loss_curve, rtol=1e-12)


def test_batch_size_is_cut_with_a_warning(quick, digits):
    X, y = digits
    with pytest.warns(UserWarning, match="batch_size=400 is larger than the 300 samples") as record:
        clf = quick(batch_size=400).fit(X, y)
    assert record[0].filename == __file__
    assert_array_equal(clf.coefs_[0], quick(batch_size=300).fit(X, y).coefs_[0])


# ---- repeatability ----


def test_same_random_state_same_bits(quick, digits):
    X, y = digits
    a, b, c = (quick(random_state=seed).fit(X, y) for seed in (3, 3, 4))
    assert_array_equal(a._parameters, b._parameters)
    assert a.loss_curve_ == b.loss_curve_
    assert (a._parameters != c._parameters).any()


@pytest.mark.parametrize("kernel_size", [3, 4, [(3, 6)]], ids="kernel_size={}".format)
def test_prediction_does_not_depend_on_the_other_rows(quick, digits, kernel_size):
    """The convolution has an even or an odd number of columns."""
    X, y = digits
    fitted = quick(kernel_size=kernel_size).fit(X, y)
    together = fitted.decision_function(X)
    assert_array_equal(fitted.decision_function(X[7:50][::-1]), together[7:50][::-1])
    # A few rows by themselves are computed by other code in the kernels.
    alone = np.concatenate([fitted.decision_function(row[np.newaxis]) for row in X[:40]])
    assert_allclose(alone, together[:40], rtol=1e-10, atol=1e-12)


def test_shuffle_off_takes_rows_in_order(quick, digits):
    """One epoch over 100 rows equals one over the first 50 followed by one over the last 50."""
    X, y = digits[0][:100], np.arange(100) % 2
    epoch = {"shuffle": False, "batch_size": 25, "max_iter": 1}
    whole = fit_unconverged(quick(**epoch), X, y)
    halves = fit_unconverged(quick(**epoch, warm_start=True), X[:50], y[:50])
    fit_unconverged(halves, X[50:], y[50:])
    assert_array_equal(whole._parameters, halves._parameters)


def test_standardisation_ends_with_the_training_sets_statistics(quick, digits, rng):
    X, y = digits
    weights = rng.randint(0, 3, size=300)
    clf = quick(standardize=True).fit(X, y, weights)
    scores = np.repeat(clf.decision_function(X), weights, axis=0)
    assert_allclose(scores.mean(axis=0), 0, atol=1e-9)
    assert_allclose(scores.std(axis=0), 1, rtol=1e-9)


def test_prediction_while_another_thread_fits(quick, digits):
    """Predictions use the old model until the fit is complete."""
    X, y = digits
    clf = quick().fit(X, y)
    with pytest.raises(ValueError, match="X has 49 features, but ConvSigmoidClassifier is expecting 64"):
        fit_watched(clf, X[:, :49], y, lambda state: clf.predict(X[:2, :49]))


def test_concurrent_predictions(fitted, digits):
    X, _ = digits
    expected = fitted.decision_function(X)
    with ThreadPoolExecutor(8) as pool:
        for scores in pool.map(fitted.decision_function, [X] * 50):
            assert_array_equal(scores, expected)


@pytest.mark.parametrize("copy", [lambda c: pickle.loads(pickle.dumps(c)), "joblib"])
@pytest.mark.parametrize("standardize", [False, True])
def test_pickle(quick, digits, copy, standardize, tmp_path):
    X, y = digits
    clf = quick(standardize=standardize).fit(X, y)
    if copy == "joblib":
        joblib.dump(clf, tmp_path / "model.joblib")
        other = joblib.load(tmp_path / "model.joblib")
    else:
        other = copy(clf)
    assert_array_equal(other.predict(X), clf.predict(X))
    assert_array_equal(other.decision_function(X), clf.decision_function(X))


def test_pickle_is_small(quick, digits):
    clf = quick(n_filters=32).fit(*digits)
    assert clf._parameters.nbytes > 80_000
    assert len(pickle.dumps(clf)) < 1.2 * clf._parameters.nbytes


# ---- sample weights ----


@pytest.mark.parametrize("loss", ["log_loss", "squared_error"])
@pytest.mark.parametrize("standardize", [False, True])
@pytest.mark.parametrize("solver", ["adam", "sgd"])
def test_weight_k_equals_k_copies(quick, digits, rng, loss, standardize, solver):
    X, y = digits[0][:60], digits[1][:60]
    weights = rng.randint(0, 4, size=60)
    choices = {"loss": loss, "standardize": standardize, "solver": solver, "shuffle": False, "alpha": 0.1}
    weighted = quick(batch_size=60, **choices).fit(X, y, sample_weight=weights)
    copies = quick(batch_size=weights.sum(), **choices).fit(np.repeat(X, weights, axis=0), np.repeat(y, weights))
    assert_allclose(weighted._parameters, copies._parameters, rtol=1e-7, atol=1e-9)
    assert_allclose(weighted.loss_curve_, copies.loss_curve_, rtol=1e-10)


def test_unit_weights_change_nothing(quick, digits):
    X, y = digits
    assert_array_equal(quick().fit(X, y, np.ones(300))._parameters, quick().fit(X, y)._parameters)


def test_batches_of_zero_weight_are_passed_over(quick, digits):
    X, y = digits
    weights = np.r_[np.ones(100), np.zeros(200)]
    part = quick(shuffle=False, batch_size=50).fit(X[:100], y[:100])
    whole = quick(shuffle=False, batch_size=50).fit(X, y, weights)
    assert set(y[:100]) == set(y)
    assert_array_equal(whole._parameters, part._parameters)
    assert whole.loss_curve_ == part.loss_curve_


# ---- the defaults are good enough ----


def test_default_on_digits():
    X, y = load_digits(return_X_y=True)
    folds = StratifiedKFold(5, shuffle=True, random_state=0)
    assert cross_val_score(ConvSigmoidClassifier(random_state=0), X / 16, y, cv=folds).mean() >= 0.97


def test_default_beats_logistic_regression_on_the_notebooks_task():
    split = load_mnist_sample(as_split=True)
    clf = ConvSigmoidClassifier(rescale=1 / 255, random_state=0).fit(split.X_train, split.y_train > 4)
    linear = LogisticRegression().fit(split.X_train / 255, split.y_train > 4)
    assert clf.score(split.X_test, split.y_test > 4) >= linear.score(split.X_test / 255, split.y_test > 4) + 0.02
