"""Any parameters and data end in a fit that is right, or in an error that names the cause."""

import pickle
import warnings

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sklearn.exceptions import ConvergenceWarning

from skcnn import ConvSigmoidClassifier
from tests.helpers import harness
from tests.helpers.cases import EFFORT, cases
from tests.helpers.random_estimators import hyper_parameters, problems
from tests.helpers.threads import HAS_OPENMP, assert_same_bits, limited

# The same cases in each run, and others in a long one.
several = settings(
    max_examples=cases(500),
    derandomize=EFFORT == 1,
    deadline=None,
    database=None,
    print_blob=True,
    suppress_health_check=list(HealthCheck),
)


@pytest.fixture(autouse=True, scope="module")
def _threads_for_however_little_work():
    with pytest.MonkeyPatch.context() as patch, limited(3):
        patch.setattr("skcnn.plan._THREAD_WORK", 1)
        yield


def outcome(chosen, X, y, sample_weight, n_jobs):
    """A fitted estimator, or an error."""
    clf = ConvSigmoidClassifier(**chosen, n_jobs=n_jobs)
    try:
        return clf.fit(X, y, sample_weight=sample_weight)
    except (ValueError, TypeError) as error:
        assert not hasattr(clf, "classes_")
        return error


@several
@given(problems())
def test_fit(problem):
    chosen, (X, y, sample_weight) = problem
    with warnings.catch_warnings():
        # As for users: little is learnt in a step or two, and images may have another shape than it seems.
        warnings.simplefilter("ignore", UserWarning)
        warnings.simplefilter("ignore", ConvergenceWarning)
        fitted = [outcome(chosen, X, y, sample_weight, n_jobs) for n_jobs in ((1, 2, 3) if HAS_OPENMP else (1,))]
    first, *others = fitted
    if isinstance(first, Exception):
        check_error(first)
        assert [(type(other), str(other)) for other in others] == [(type(first), str(first))] * len(others)
        return
    for other in others:
        assert_same_bits(other._parameters, first._parameters)
        assert other.loss_curve_ == first.loss_curve_
    try:
        first.predict(X)
    except ValueError as error:  # samples without weight, say, can be of any size
        assert "X holds values too large for" in str(error)
        assert np.abs(X).max() > (1e15 if first._parameters.dtype == np.float32 else 1e150)
        return
    check_predictions(first, X, y)
    check_forward_pass(first, X)


# Words that messages have in which neither a parameter nor an argument is named.
CAUSES = ("X", "y ", "sample_weight", "class", "labels", "diverged", "samples", "image")


def check_error(error):
    """Check that a message says what is wrong, by a parameter's or an argument's name."""
    message = str(error)
    names = ConvSigmoidClassifier().get_params()
    assert any(name in message for name in (*names, *CAUSES)), message


def check_predictions(clf, X, y):
    probabilities = clf.predict_proba(X)
    assert np.isfinite(probabilities).all()
    assert probabilities.min() >= 0
    assert probabilities.max() <= 1
    predicted = clf.predict(X)
    y = y[:, 0] if y.shape[1:] == (1,) else y  # one label is a column of classes
    if y.ndim == 1:
        np.testing.assert_allclose(probabilities.sum(axis=1), 1, rtol=0, atol=1e-6)
        assert set(predicted) <= set(clf.classes_)
    assert predicted.shape == y.shape
    again = pickle.loads(pickle.dumps(clf))
    assert_same_bits(again.predict_proba(X), probabilities)


def check_forward_pass(clf, X):
    """Compare logits with plain NumPy's, up to what rounding the parameters and pixels would change."""
    network, parameters = clf._network, clf._parameters
    X = X.reshape(len(X), -1)
    expected, changes = reference_and_rounding(network, parameters, X)
    actual = clf.decision_function(X).reshape(expected.shape)
    actual[0] = clf.decision_function(X[:1])  # a single image has kernels of its own
    finite = np.isfinite(expected).all(axis=1) & np.isfinite(changes).all(axis=1)
    assert np.isfinite(actual).all()
    errors = np.abs(actual - expected)[finite]
    assert (errors <= changes[finite]).all(), (errors.max(), changes[finite].min())


def reference_and_rounding(network, parameters, X):
    """Logits by plain NumPy in float64, and by how much rounding in the parameters' dtype may change them."""
    rng = np.random.default_rng(0)
    epsilon = np.finfo(parameters.dtype).eps
    exact, images = parameters.astype(float), X.astype(float)
    with np.errstate(all="ignore"):
        expected, _ = harness.expected_forward(network, exact, images)
        changes = np.zeros(expected.shape)
        for _ in range(3):
            noisy = [values * (1 + rng.uniform(-8, 8, values.shape) * epsilon) for values in (exact, images)]
            changed, _ = harness.expected_forward(network, *noisy)
            changes = np.maximum(changes, np.abs(changed - expected))
    return expected, 30 * changes.max(axis=0, keepdims=True) + 30 * epsilon * (1 + np.abs(expected))


@several
@given(st.data())
def test_gradient(data):
    """The gradient of a batch in float64 against plain NumPy's, for networks of any kind and usual data."""
    shape = data.draw(st.tuples(st.integers(1, 12), st.integers(1, 12), st.integers(1, 3)))
    chosen = data.draw(hyper_parameters(shape))
    usual = {name: chosen[name] for name in chosen if name in NETWORK}
    n_samples, n_outputs = data.draw(st.integers(1, 40)), data.draw(st.integers(1, 6))
    from skcnn.network import make_network

    try:
        network = make_network(
            ConvSigmoidClassifier(**usual), np.prod(shape), n_outputs, shape, (1.0, data.draw(st.floats(0.1, 10)))
        )
    except ValueError as error:
        check_error(error)
        return
    problem = harness.random_problem(network, n_samples, weighted=True, seed=chosen["random_state"])
    if not problem["sample_weight"].any():
        return
    loss, alpha = data.draw(st.sampled_from(harness.LOSSES)), data.draw(st.sampled_from([0.0, 0.3]))
    value, gradient, of_logits = harness.batch_gradient(network, **problem, loss=loss, alpha=alpha)
    expected = harness.expected_batch_gradient(network, **problem, loss=loss, alpha=alpha)
    assert value == pytest.approx(expected[0], rel=1e-9)
    scale = np.abs(expected[1]).max(initial=1e-9)
    np.testing.assert_allclose(gradient, expected[1], rtol=0, atol=1e-9 * scale)


NETWORK = ("n_filters", "kernel_size", "image_shape", "padding", "pool_size", "activation", "batch_norm")
NETWORK = (*NETWORK, "global_pool", "standardize", "fit_intercept")
