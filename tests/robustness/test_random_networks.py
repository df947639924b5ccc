"""Any parameters and data end in a fit that is right, or in an error that names the cause."""

import pickle
import warnings
from functools import partial

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sklearn.exceptions import ConvergenceWarning

from skcnn import ConvSigmoidClassifier
from skcnn.network import make_network
from tests.helpers import harness, reference
from tests.helpers.cases import EFFORT, cases
from tests.helpers.random_estimators import hyper_parameters, problems
from tests.helpers.threads import HAS_OPENMP, assert_same_bits, limited

# The hyper-parameters of the layers.
NETWORK = {
    *("n_filters", "kernel_size", "image_shape", "padding", "pool_size", "activation", "batch_norm", "global_pool"),
    *("standardize", "fit_intercept"),
}

reference_correlate, reference_activations = reference.correlate, dict(reference.ACTIVATIONS)

# The same cases in each run, and others in a long one.
several = settings(
    max_examples=cases(500),
    derandomize=EFFORT <= 1,
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
        # Exponentials of logarithms, whose rounding is that of numbers as large as 20.
        tolerance = 50 * np.finfo(probabilities.dtype).eps
        np.testing.assert_allclose(probabilities.sum(axis=1), 1, rtol=0, atol=tolerance)
        assert set(predicted) <= set(clf.classes_)
    assert predicted.shape == y.shape
    again = pickle.loads(pickle.dumps(clf))
    assert_same_bits(again.predict_proba(X), probabilities)


def check_forward_pass(clf, X):
    """Compare logits with plain NumPy's, up to what rounding the parameters and pixels would change."""
    network, parameters = clf._network, clf._parameters
    X = X.reshape(len(X), -1)
    if X.dtype.kind == "f":  # the kernels take subnormal numbers for 0
        X = np.where(np.abs(X) < np.finfo(X.dtype).tiny, X.dtype.type(0), X)
    logits = partial(expected_logits, network)
    expected, changes, epsilon = with_rounding(logits, parameters, X)
    changes = 30 * changes.max(axis=0, keepdims=True) + 30 * epsilon * (1 + np.abs(expected))
    actual = clf.decision_function(X).reshape(expected.shape)
    actual[0] = clf.decision_function(X[:1])  # a single image has kernels of its own
    finite = np.isfinite(expected).all(axis=1) & np.isfinite(changes).all(axis=1)
    assert np.isfinite(actual).all()
    errors = np.abs(actual - expected)[finite]
    assert (errors <= changes[finite]).all(), (errors.max(), changes[finite].min())


def expected_logits(network, parameters, X):
    logits, _ = harness.expected_forward(network, parameters, X)
    return logits


def rough_correlate(rng, epsilon, images, filters, intercepts):
    """With rounding as of Winograd's convolution, in which an output shares its neighbours' products, however large."""
    exact = reference_correlate(images, filters, intercepts)
    largest = np.abs(filters).sum(axis=(1, 2, 3)) * np.abs(images).max(axis=(1, 2, 3), initial=0)[:, np.newaxis]
    return exact + epsilon * rng.uniform(-1, 1, exact.shape) * largest[..., np.newaxis, np.newaxis]


def rough_activation(name, rng, epsilon, x):
    """Within four units in the last place; tanh is computed from a sigmoid, with the accuracy of numbers around 1."""
    exact = reference_activations[name][0](x)
    return exact + 4 * epsilon * rng.uniform(-1, 1, x.shape) * (exact if name == "sigmoid" else 1)


def with_rounding(function, *arrays):
    """A network function's value in float64, and by how much rounding, in the arrays' coarsest dtype, may change it."""
    rng = np.random.default_rng(0)
    exact = [array.astype(float) for array in arrays]
    epsilon = max(np.finfo(array.dtype).eps for array in arrays if array.dtype.kind == "f")
    with np.errstate(all="ignore"), pytest.MonkeyPatch.context() as patch:
        expected = function(*exact)
        changes = np.zeros(expected.shape)
        patch.setattr(reference, "correlate", partial(rough_correlate, rng, epsilon))
        for name in ("sigmoid", "tanh"):
            rough = partial(rough_activation, name, rng, epsilon), reference_activations[name][1]
            patch.setitem(reference.ACTIVATIONS, name, rough)
        for _ in range(3):
            noisy = [values * (1 + rng.uniform(-8, 8, values.shape) * epsilon) for values in exact]
            changes = np.maximum(changes, np.abs(function(*noisy) - expected))
    return expected, changes, epsilon


@several
@given(st.data())
def test_gradient(data):
    """The gradient of a batch in float64 against plain NumPy's, for networks of any kind and usual data."""
    shape = data.draw(st.tuples(st.integers(1, 12), st.integers(1, 12), st.integers(1, 3)))
    chosen = data.draw(hyper_parameters(shape))
    usual = {name: chosen[name] for name in NETWORK & set(chosen)}
    n_samples, n_outputs = data.draw(st.integers(1, 40)), data.draw(st.integers(1, 6))
    scales = 1.0, data.draw(st.floats(0.1, 10))
    try:
        network = make_network(ConvSigmoidClassifier(**usual), np.prod(shape), n_outputs, shape, scales)
    except ValueError as error:
        check_error(error)
        return
    problem = harness.random_problem(network, n_samples, weighted=True, seed=chosen["random_state"])
    if np.count_nonzero(problem["sample_weight"]) < (2 if network.standardize else 1):
        return
    loss, alpha = data.draw(st.sampled_from(harness.LOSSES)), data.draw(st.sampled_from([0.0, 0.3]))
    value, gradient, _ = harness.batch_gradient(network, **problem, loss=loss, alpha=alpha)

    def expected_gradient(parameters, X):
        """And the loss, last."""
        changed = problem | {"parameters": parameters, "X": X}
        value, gradient, _ = harness.expected_batch_gradient(network, **changed, loss=loss, alpha=alpha)
        return np.append(gradient, value)

    expected, changes, _ = with_rounding(expected_gradient, problem["parameters"], problem["X"])
    # Rounding of logits is divided by their deviations, and so is their gradient.
    *_, statistics = harness.expected_batch_gradient(network, **problem, loss=loss, alpha=alpha)
    means, variances = np.split(statistics, 2)
    ratio = (np.abs(means) / np.sqrt(variances + 1e-12)).max() if network.standardize else 0
    tolerance = 30 * changes.max() + 1e-12 * (1 + ratio) ** 2 * np.abs(expected).max()
    np.testing.assert_allclose(np.append(gradient, value), expected, rtol=0, atol=tolerance)
