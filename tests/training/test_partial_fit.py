"""Training on a stream: chunks, classes, moments, and what must not change between calls."""

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from skcnn import ConvSigmoidClassifier
from tests.helpers.fits import fit_unconverged


@pytest.mark.parametrize("solver", ["adam", "sgd"])
@pytest.mark.parametrize("dtype", ["uint8", "float32", "float64"])
@pytest.mark.parametrize("learning_rate", ["constant", "invscaling"])
def test_chunks_of_whole_batches_are_one_fit(quick, digits, rng, solver, dtype, learning_rate):
    """The last chunk may have any size; `loss_` differs, being that of the last call instead of an epoch."""
    X, y, weights = (digits[0] * 16).astype(dtype), digits[1], rng.uniform(size=300)
    parameters = {"solver": solver, "batch_size": 16, "shuffle": False, "rescale": 1 / 16}
    expected = fit_unconverged(quick(max_iter=1, **parameters), X, y, sample_weight=weights)
    clf = quick(**parameters, learning_rate=learning_rate, power_t=0.0)
    for chunk in (slice(0, 16), slice(16, 96), slice(96, 256), slice(256, 300)):
        clf.partial_fit(X[chunk], y[chunk], weights[chunk], classes=np.arange(10))
    assert_array_equal(clf._parameters, expected._parameters)
    assert clf.t_ == expected.t_ == 300
    assert clf.n_iter_ == 1
    assert len(clf.loss_curve_) == 4


def test_epochs_of_the_same_chunk_are_epochs_of_fit(quick, digits):
    X, y = digits
    clf = quick(shuffle=False)
    for _ in range(5):
        clf.partial_fit(X, y, classes=np.unique(y))
    expected = quick(shuffle=False).fit(X, y)
    assert_array_equal(clf._parameters, expected._parameters)
    assert clf.loss_curve_ == expected.loss_curve_


def test_after_a_plain_fit_moments_start_at_zero(quick, digits):
    X, y = digits
    plain, kept = (quick(warm_start=warm, average=False).fit(X, y) for warm in (False, True))
    before = plain._parameters.copy()
    assert_array_equal(before, kept._parameters)
    first, later = (np.abs(clf.partial_fit(X[:32], y[:32])._parameters - before) for clf in (plain, kept))
    # Adam's first step has the length of its learning rate, unless a gradient is hardly larger than epsilon; later
    # steps are shorter.
    rates = np.concatenate([np.full(one.size, one.learning_rate(0.01)) for one, *_ in plain._network.layout])
    assert (first / rates).max() <= 1 + 1e-9
    assert np.median(first / rates) == pytest.approx(1.0, rel=1e-3)
    assert np.median(later / rates) < 0.5


def test_a_single_image_and_any_dtype(fitted, digits):
    """The model keeps the dtype that it started with."""
    X, y = digits
    before = fitted._parameters
    assert fitted.partial_fit(X[:1].astype("float32"), y[:1])._parameters.dtype == before.dtype
    assert not np.array_equal(fitted._parameters, before)


def test_standardised_chunks_move_the_running_averages(quick, digits):
    X, y = digits
    clf = quick(standardize=True, shuffle=False)
    for start in range(0, 288, 32):
        clf.partial_fit(X[start : start + 32], y[start : start + 32], classes=np.arange(10))
    clf.partial_fit(X[288:], y[288:])
    expected = ConvSigmoidClassifier(**clf.get_params()).partial_fit(X, y, classes=np.arange(10))
    assert_array_equal(clf._parameters, expected._parameters)
    assert_array_equal(clf.decision_function(X), expected.decision_function(X))


def test_standardised_batches_of_one(quick, digits):
    X, y = digits
    with pytest.raises(ValueError, match="standardize=True needs batches of two samples or more"):
        quick(standardize=True).partial_fit(X[:1], y[:1], classes=np.arange(10))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda clf, X, y: clf.partial_fit(X, np.full(300, 10)), r"among the classes \[0, .* 9\]: \[10\]"),
        (lambda clf, X, y: clf.partial_fit(X, y.astype(str)), r"y has labels that are not .* 9\]: \['0', '1'"),
        (lambda clf, X, y: clf.partial_fit(X, y, classes=np.arange(11)), "are not those of the model"),
        (lambda clf, X, y: clf.partial_fit(X[:, :49], y), "X has 49 features"),
        (lambda clf, X, y: clf.partial_fit(X.reshape(300, 4, 16), y), "partial_fit needs the network of the last fit"),
        (lambda clf, X, y: clf.set_params(n_filters=4).partial_fit(X, y), "needs the network of the last fit"),
        (lambda clf, X, y: clf.set_params(rescale=2.0).partial_fit(X, y), "needs the network of the last fit"),
        (lambda clf, X, y: clf.set_params(class_weight="balanced").partial_fit(X, y), "class_weight='balanced'"),
        (lambda clf, X, y: clf.partial_fit(X, np.eye(10, dtype=int)[y]), "y must be one label per sample"),
        (lambda clf, X, y: clf.partial_fit(X, y, np.zeros(300)), "sample_weight is zero"),
        (lambda clf, X, y: clf.set_params(learning_rate_init=1e300).partial_fit(X, y), "learning_rate_init=1e[+]300"),
    ],
)
def test_bad_calls_leave_the_model_alone(fitted, digits, call, message):
    before = {name: value for name, value in vars(fitted).items() if name.endswith("_") or name.startswith("_")}
    parameters = fitted._parameters.copy()
    with pytest.raises(ValueError, match=message):
        call(fitted, *digits)
    assert_array_equal(fitted._parameters, parameters)
    assert all(vars(fitted)[name] is value for name, value in before.items())


def test_the_first_call_needs_classes(quick, digits):
    with pytest.raises(ValueError, match="classes must be passed in the first call of partial_fit"):
        quick().partial_fit(*digits)


def test_fit_starts_afresh(quick, digits):
    X, y = digits
    clf = quick().partial_fit(X[:, :49], y, classes=np.arange(20))
    assert_array_equal(clf.fit(X, y)._parameters, quick().fit(X, y)._parameters)
