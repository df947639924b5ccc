"""scikit-learn's own tests of MLPClassifier as they hold here, one by one and in their order.

A convolution whose filters cover the whole row is a dense layer: with `kernel_size=[(1, n_features)]` on signals,
`n_filters` corresponds to `hidden_layer_sizes`, with the activation "logistic".

Omitted tests, with reasons:

- lbfgs (classification, its maxfun, its gradient): there is no such solver; the gradients' tests are in kernels/.
- Regression, also with several outputs, and the equivalence with a Poisson model: this is a classifier.
- Sparse X: images are dense, and sparse X is a ValueError (test_input.py).
- A single class: a ValueError (test_bad_input.py), also with a validation set.
- Two-dimensional `coefs_[0]`: filters have their own shape.
- Private attributes (`_optimizer`, `_no_improvement_count`): `learning_rate_` and the curves show the same.
- NaN scores if training diverges: here this is an error that names `learning_rate_init`.
"""

import joblib
import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.datasets import load_digits, load_iris, make_classification, make_multilabel_classification
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import roc_auc_score
from sklearn.neural_network import MLPClassifier
from sklearn.preprocessing import MinMaxScaler

from skcnn import ConvSigmoidClassifier
from tests.helpers.fits import fit_unconverged
from tests.helpers.marks import few_steps

TINY = np.array([[3.0, 2.0], [1.0, 6.0]]), np.array([1, 0])


def first_digits(n_class):
    X, y = load_digits(n_class=n_class, return_X_y=True)
    return MinMaxScaler().fit_transform(X[:200]), y[:200]


BINARY, MULTI = first_digits(2), first_digits(3)
both = pytest.mark.parametrize(("X", "y"), [BINARY, MULTI], ids=["binary", "multi-class"])


def dense(n_features, **parameters):
    """A network whose filters cover the whole row."""
    return ConvSigmoidClassifier(
        **{"kernel_size": [(1, n_features)], "image_shape": (1, n_features), "random_state": 1} | parameters
    )


def test_larger_alpha_makes_smaller_weights():
    X, y = BINARY[0][:100], BINARY[1][:100]
    sums = [[np.abs(c).sum() for c in dense(64, alpha=a).fit(X, y).coefs_] for a in (0, 1)]
    assert sums[0][0] > sums[1][0]
    assert sums[0][1] > sums[1][1]


def test_one_step_as_worked_out_by_hand():
    """The complete example of scikit-learn's test: three inputs, two hidden units, one output."""
    X = np.array([[0.6, 0.8, 0.7]])
    clf = dense(3, n_filters=2, solver="sgd", learning_rate_init=0.1, alpha=0.1, momentum=0.0)
    clf.partial_fit(X, [0], classes=[0, 1])
    clf.coefs_[0][:] = np.array([[0.1, 0.3, 0.5], [0.2, 0.1, 0.0]]).reshape(2, 1, 1, 3)
    clf.coefs_[1][:] = [[0.1], [0.2]]
    clf.intercepts_[0][:] = 0.1
    clf.intercepts_[1][:] = 1.0
    clf.partial_fit(X, [0])

    hidden = 1 / (1 + np.exp(-np.array([0.06 + 0.24 + 0.35 + 0.1, 0.12 + 0.08 + 0.1])))
    error = 1 / (1 + np.exp(-(hidden @ [0.1, 0.2] + 1.0)))  # the target is 0
    d_hidden = error * np.array([0.1, 0.2]) * hidden * (1 - hidden)
    expected = {
        "filters": [[0.1, 0.3, 0.5], [0.2, 0.1, 0.0]]
        - 0.1 * (d_hidden[:, np.newaxis] * X + 0.1 * np.array([[0.1, 0.3, 0.5], [0.2, 0.1, 0.0]])),
        "weights": [0.1, 0.2] - 0.1 * (error * hidden + 0.1 * np.array([0.1, 0.2])),
    }
    assert_allclose(clf.coefs_[0].reshape(2, 3), expected["filters"], rtol=1e-12)
    assert_allclose(clf.coefs_[1].ravel(), expected["weights"], rtol=1e-12)
    assert_allclose(clf.intercepts_[0], 0.1 - 0.1 * d_hidden, rtol=1e-12)
    assert_allclose(clf.intercepts_[1], 1.0 - 0.1 * error, rtol=1e-12)
    # The figures of that test, to its precision; it rounds the gradients of the hidden layer.
    assert_allclose(error, 0.7654329236196236, atol=1e-4)
    assert_allclose(clf.coefs_[1].ravel(), [0.04706, 0.154089], atol=1e-3)
    assert_allclose(clf.intercepts_[1], 0.9235, atol=1e-4)
    assert_allclose(clf.predict_proba(X)[0, 1], 0.739, atol=1e-3)


@few_steps
@pytest.mark.parametrize("learning_rate", ["invscaling", "constant"])
def test_learning_rate_over_a_warm_start(learning_rate):
    X, y = [[3, 2], [1, 6], [5, 6], [-2, -4]], [1, 1, 1, 0]
    clf = dense(2, solver="sgd", n_filters=4, learning_rate=learning_rate, max_iter=1, power_t=0.25, warm_start=True)
    before = fit_unconverged(clf, X, y).learning_rate_
    after = fit_unconverged(clf, X, y).learning_rate_
    if learning_rate == "constant":
        assert before == after == clf.learning_rate_init
    else:
        assert after == pytest.approx(clf.learning_rate_init / (8 + 1) ** 0.25, rel=1e-15)


@few_steps
def test_a_learning_rate_that_vanishes():
    """There is no overflow, and no step after the first epoch (momentum would continue)."""
    parameters = {"solver": "sgd", "learning_rate": "invscaling", "power_t": 1000.0, "momentum": 0.0}
    one, three = (fit_unconverged(dense(2, **parameters, max_iter=n), *TINY) for n in (1, 3))
    assert three.learning_rate_ == 0.0
    for before, after in zip(one.coefs_ + one.intercepts_, three.coefs_ + three.intercepts_, strict=True):
        assert_array_equal(after, before)
    assert three.loss_curve_[1] == three.loss_curve_[2] < three.loss_curve_[0]


def test_several_labels_a_sample():
    X, y = make_multilabel_classification(n_samples=50, random_state=0, return_indicator=True)
    clf = fit_unconverged(dense(20, n_filters=50, alpha=1e-5, learning_rate_init=0.02, tol=0.0), X, y)
    assert clf.score(X, y) > 0.97
    clf = dense(20, n_filters=50, solver="sgd", alpha=1e-5, learning_rate_init=0.05)
    for _ in range(400):
        clf.partial_fit(X, y, classes=[0, 1, 2, 3, 4])
    assert clf.score(X, y) > 0.9
    clf = dense(20, early_stopping=True).fit(X, y)
    assert clf.best_validation_score_ == max(clf.validation_scores_)
    assert_array_equal(clf.predict(X), clf.predict_proba(X) > 0.5)


def test_partial_fit_with_other_classes():
    clf = dense(2, solver="sgd").partial_fit([[3, 2]], [0], classes=[0, 1])
    with pytest.raises(ValueError, match=r"classes=\[1, 2\] are not those of the model, \[0, 1\]"):
        clf.partial_fit([[3, 2]], [0], classes=[1, 2])


@both
def test_partial_fit_comes_to_the_predictions_of_fit(X, y):
    parameters = {"solver": "sgd", "alpha": 1e-5, "learning_rate_init": 0.2}
    expected = fit_unconverged(dense(64, max_iter=100, tol=0, **parameters), X, y).predict(X)
    clf = dense(64, **parameters)
    for _ in range(100):
        clf.partial_fit(X, y, classes=np.unique(y))
    assert_array_equal(clf.predict(X), expected)
    assert clf.score(X, y) > 0.95


def test_partial_fit_of_a_class_that_comes_later():
    clf = ConvSigmoidClassifier(random_state=0)
    clf.partial_fit([[1], [2], [3]], ["a", "b", "c"], classes=["a", "b", "c", "d"])
    assert clf.predict([[4]]) != ["d"]
    for _ in range(200):
        clf.partial_fit([[4]], ["d"])
    assert clf.predict([[4]]) == ["d"]


def test_partial_fit_with_one_class():
    with pytest.raises(ValueError, match="classes must have at least two classes; got one class only: 2"):
        dense(2).partial_fit(*TINY, classes=[2])


@few_steps
def test_values_near_the_largest():
    """MLPRegressor's parameters become infinite, which is an error; so are squares that would overflow."""
    X, y = np.random.RandomState(0).uniform(0.5, 0.99, size=(10, 2)), np.arange(10) % 2
    for dtype in (np.float32, np.float64):
        most = np.sqrt(np.finfo(dtype).max)
        large = (X * most).astype(dtype)
        p = dense(2).fit(large, y).predict_proba(large)
        assert ((p >= 0) & (p <= 1)).all()
        assert_allclose(p.sum(axis=1), 1, rtol=1e-6)
        for options in ({}, {"classes": [0, 1]}):
            fit = dense(2).partial_fit if options else dense(2).fit
            with pytest.raises(ValueError, match=f"X holds values too large for training in {np.dtype(dtype)}: up to "):
                fit(large * 3, y, **options)
        with pytest.raises(ValueError, match="X_val holds values too large for training"):
            dense(2).fit(large, y, X_val=large * 3, y_val=y)


@both
def test_probabilities_and_their_logarithms(X, y):
    clf = dense(64, n_filters=5, max_iter=1000).fit(X[:50], y[:50])
    p, log_p = clf.predict_proba(X[:50]), clf.predict_log_proba(X[:50])
    assert p.shape == (50, len(np.unique(y)))
    assert_array_equal(p.argmax(axis=1), log_p.argmax(axis=1))
    assert_allclose(log_p, np.log(p))
    assert_allclose(p.sum(axis=1), 1)
    if p.shape[1] == 2:
        assert roc_auc_score(y[:50], p[:, 1]) == 1.0


def test_probabilities_of_several_labels_do_not_sum_to_1():
    X, Y = make_multilabel_classification(n_samples=50, random_state=0, return_indicator=True)
    clf = fit_unconverged(dense(20, n_filters=30, learning_rate_init=0.02, max_iter=500, tol=0.0), X, Y)
    p = clf.predict_proba(X)
    assert p.shape == Y.shape
    assert_array_equal(p > 0.5, Y)
    assert ((p.sum(axis=1) - 1) ** 2).sum() > 1e-10
    assert_allclose(clf.predict_log_proba(X), np.log(p))


def test_shuffle():
    X, y = make_classification(n_samples=50, n_features=5, random_state=0)
    fits = [
        fit_unconverged(dense(5, n_filters=1, max_iter=1, batch_size=1, shuffle=shuffle), X, y).coefs_[0]
        for shuffle in (True, True, False, False)
    ]
    assert_array_equal(fits[0], fits[1])
    assert_array_equal(fits[2], fits[3])
    assert not np.array_equal(fits[0], fits[2])


def test_tolerance():
    clf = dense(2, tol=0.5, max_iter=3000, solver="sgd").fit(*TINY)
    assert clf.n_iter_ < 3000


@few_steps
def test_verbose_fit_and_partial_fit(capsys):
    clf = fit_unconverged(dense(2, solver="sgd", max_iter=2, verbose=10, n_filters=2), *TINY)
    clf.partial_fit(*TINY)
    assert capsys.readouterr().out.count("Iteration") == 3


def test_early_stopping():
    X, y = BINARY[0][:100], BINARY[1][:100]
    clf = dense(64, tol=0.2, max_iter=3000, solver="sgd", early_stopping=True).fit(X, y)
    assert clf.n_iter_ < 3000
    assert clf.best_loss_ is None
    assert isinstance(clf.validation_scores_, list)
    assert max(clf.validation_scores_) == clf.best_validation_score_
    assert clf.best_validation_score_ + 0.2 > clf.validation_scores_[-2]
    assert clf.best_validation_score_ + 0.2 > clf.validation_scores_[-1]
    clf = dense(64, tol=0.2, max_iter=3000, solver="sgd").fit(X, y)
    assert clf.validation_scores_ is None
    assert clf.validation_loss_curve_ is None
    assert clf.best_validation_score_ is None
    assert clf.best_loss_ is not None


def test_adaptive_learning_rate():
    clf = dense(2, tol=0.5, max_iter=3000, solver="sgd", learning_rate="adaptive").fit(*TINY)
    assert clf.n_iter_ < 3000
    assert clf.learning_rate_ < 1e-6


@few_steps
def test_warm_start_with_the_same_classes_only():
    X, y = load_iris(return_X_y=True)
    fresh = {"n_filters": 2, "warm_start": True, "tol": 0.1, "n_iter_no_change": 2}
    clf = dense(4, **fresh).fit(X, y)
    for labels in (y, np.repeat([0, 1, 2], [40, 40, 70])):
        n_epochs = len(clf.loss_curve_)
        assert len(clf.fit(X, labels).loss_curve_) == n_epochs + clf.n_iter_
    for counts in ([75, 75], [37, 37, 38, 38], [30, 30, 30, 30, 30]):
        with pytest.raises(ValueError, match=r"warm_start needs the classes of the last fit, array\(\[0, 1, 2\]\)"):
            dense(4, **fresh).fit(X, y).fit(X, np.repeat(np.arange(len(counts)), counts))
    with pytest.raises(ValueError, match="warm_start needs the classes"):
        dense(4, **fresh).fit(X, y).fit(X, np.repeat([0, 1, 3], 50))


@few_steps
def test_warm_start_runs_all_of_max_iter():
    X, y = load_iris(return_X_y=True)
    clf = dense(4, n_filters=2, solver="sgd", warm_start=True, max_iter=3)
    assert fit_unconverged(clf, X, y).n_iter_ == 3
    assert fit_unconverged(clf, X, y).n_iter_ == 3


@pytest.mark.parametrize("n_iter_no_change", [2, 5, 10, 50, 100])
def test_n_iter_no_change(n_iter_no_change):
    """Training stops after `n_iter_no_change` + 1 epochs without an improvement on the best one by `tol`."""
    X, y = BINARY[0][:100], BINARY[1][:100]
    clf = dense(64, tol=0.01, max_iter=3000, solver="sgd", n_iter_no_change=n_iter_no_change).fit(X, y)
    assert clf.n_iter_ < 3000
    best, count = np.inf, 0
    for loss in clf.loss_curve_:
        count = count + 1 if loss > best - 0.01 else 0
        best = min(best, loss)
    assert count == n_iter_no_change + 1


def test_n_iter_no_change_infinity():
    X, y = BINARY[0][:100], BINARY[1][:100]
    clf = dense(64, tol=1e9, max_iter=300, solver="sgd", n_iter_no_change=np.inf)
    assert fit_unconverged(clf, X, y).n_iter_ == 300


def test_early_stopping_needs_two_samples_of_each_class():
    with pytest.raises(ValueError, match=r"least populated class.* in y ha.* only 1 member"):
        dense(2, early_stopping=True).fit([[1, 2], [2, 3], [3, 4], [4, 5]], [0, 0, 0, 1])


def test_early_stopping_with_strings():
    """Scores are the same as with numeric labels."""
    X, y = make_classification(n_samples=200, n_features=10, n_classes=3, n_informative=5, random_state=42)
    labels = np.array(["class_a", "class_b", "class_c"], dtype=object)[y]
    clf = dense(10, early_stopping=True).fit(X, labels)
    assert len(clf.validation_scores_) == clf.n_iter_
    assert clf.validation_scores_ == dense(10, early_stopping=True).fit(X, y).validation_scores_


def test_float32_and_float64_predict_the_same():
    X, y = MULTI
    fits = [
        dense(64, alpha=1e-5, n_filters=5, max_iter=100, tol=0.1).fit(X[:150].astype(dtype), y[:150])
        for dtype in ("float64", "float32")
    ]
    new = X[150:], X[150:].astype("float32")
    assert_array_equal(*(clf.predict(images) for clf, images in zip(fits, new, strict=True)))
    assert_allclose(*(clf.predict_proba(images) for clf, images in zip(fits, new, strict=True)), rtol=1e-2)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_parameters_have_the_dtype_of_x(dtype):
    """Parameters of both dtypes agree to single precision."""
    X, y = BINARY
    clf = dense(64, n_filters=5, tol=0.5).fit(X.astype(dtype), y)
    expected = dense(64, n_filters=5, tol=0.5).fit(X, y)
    for array, wanted in zip(clf.coefs_ + clf.intercepts_, expected.coefs_ + expected.intercepts_, strict=True):
        assert array.dtype == dtype
        assert_allclose(array, wanted, atol=1e-5 if dtype == "float32" else 0)


def test_partial_fit_of_a_model_from_a_file(tmp_path):
    X, y = BINARY
    joblib.dump(fit_unconverged(dense(64, max_iter=2), X, y), tmp_path / "model")
    clf = joblib.load(tmp_path / "model")
    for _ in range(50):
        clf.partial_fit(X, 1 - y)  # with all labels swapped
    assert clf.score(X, 1 - y) == 1.0


def test_feature_names_with_early_stopping():
    X = pd.DataFrame(np.random.RandomState(0).randn(20, 2), columns=["colname_a", "colname_b"])
    clf = dense(2, early_stopping=True, validation_fraction=0.2, tol=1.0).fit(X, np.arange(20) % 2)
    assert clf.feature_names_in_.tolist() == ["colname_a", "colname_b"]


def test_warm_start_with_early_stopping():
    X, y = load_iris(return_X_y=True)
    clf = dense(4, max_iter=10, warm_start=True, early_stopping=True, n_iter_no_change=10)
    n_scores = len(fit_unconverged(clf, X, y).validation_scores_)
    assert len(clf.set_params(max_iter=20).fit(X, y).validation_scores_) > n_scores


@pytest.mark.parametrize("solver", ["sgd", "adam"])
def test_warm_start_that_does_not_converge(solver):
    X, y = load_iris(return_X_y=True)
    clf = dense(4, solver=solver, warm_start=True, max_iter=10, n_iter_no_change=np.inf)
    for max_iter in (10, 20):
        with pytest.warns(ConvergenceWarning):
            clf.set_params(max_iter=max_iter).fit(X, y)
        assert clf.n_iter_ == max_iter


def test_partial_fit_refuses_early_stopping():
    X, y = load_iris(return_X_y=True)
    clf = dense(4, early_stopping=True).fit(X, y)
    with pytest.raises(ValueError, match="partial_fit does not support early_stopping=True"):
        clf.partial_fit(X, y)


def test_weights_of_1_with_early_stopping():
    X, y = make_classification(n_samples=100, n_features=2, n_redundant=0, random_state=42)
    clf = dense(2, n_filters=10, early_stopping=True, tol=1e-2, learning_rate_init=0.01, batch_size=10)
    expected = clf.fit(X, y).predict_proba(X)
    assert_array_equal(clf.fit(X, y, sample_weight=np.ones(100)).predict_proba(X), expected)


def test_too_few_samples_to_hold_any_out():
    with pytest.raises(ValueError, match=r"cannot hold out validation_fraction=0\.1 of 2 samples"):
        dense(2, early_stopping=True).fit(*TINY)
    X = np.eye(10, 2)
    with pytest.raises(ValueError, match="The validation set is too small"):
        dense(2, early_stopping=True).fit(X, np.array([[1, 0], [0, 1]] * 5))


def test_parameters_of_the_same_name():
    """All parameters of MLPClassifier exist here, except those that cannot."""
    missing = set(MLPClassifier().get_params()) - set(ConvSigmoidClassifier().get_params())
    assert missing == {"hidden_layer_sizes", "max_fun"}
