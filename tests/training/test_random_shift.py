"""Random shifts in training: their distribution, and what they must not change."""

from itertools import pairwise

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.datasets import load_digits

from tests.helpers import reference
from tests.helpers.reference import output_loss

STACK = {"n_filters": (3, 4), "padding": "same", "pool_size": 2, "activation": "relu"}
NETWORKS = {"one layer": {}, "stack": STACK, "standardize": {"standardize": True}}
every_network = pytest.mark.parametrize("network", NETWORKS.values(), ids=NETWORKS)


# ---- the shifts ----


@pytest.mark.parametrize(
    ("random_shift", "image_shape", "largest"),
    [
        (1, (8, 8), (1, 1)),
        ((0, 2), (8, 8), (0, 2)),
        ((3, 0), (8, 8), (3, 0)),
        (np.int64(2), (8, 8), (2, 2)),
        (100, (8, 8), (7, 7)),
        (5, (4, 16), (3, 5)),
        ((3, 5), (4, 16), (3, 5)),
        (3, (1, 64), (0, 3)),
        (2, (4, 8, 2), (2, 2)),
    ],
    ids=str,
)
def test_each_image_is_moved_anew_in_each_epoch(quick, digits, epochs, random_shift, image_shape, largest):
    """Shifts take all values up to the largest in all directions, and always keep a part of the image in view."""
    quick(random_shift=random_shift, image_shape=image_shape, max_iter=4).fit(*digits)
    assert len(epochs) == 4
    shifts = np.stack([moves for _, moves in epochs])
    assert shifts.shape == (4, 300, 3)
    assert not shifts[..., 2].any()
    shifts = shifts[..., :2]
    for axis, most in enumerate(largest):
        assert_array_equal(np.unique(shifts[..., axis]), np.arange(-most, most + 1))
        counts = np.unique(shifts[..., axis], return_counts=True)[1]
        # The 1200 shifts are uniformly distributed.
        assert_allclose(counts, 1200 / (2 * most + 1), rtol=0.35)
    for one, other in pairwise(shifts):
        assert (one != other).any(axis=1).mean() > 0.5
    if min(largest) > 0:
        rows, columns = shifts.reshape(-1, 2).T
        assert abs(np.corrcoef(rows, columns)[0, 1]) < 0.1


@every_network
@pytest.mark.parametrize("x_dtype", ["uint8", "float32", "float64"])
def test_learning_is_from_the_shifted_images(quick, digits, epochs, network, x_dtype):
    """Training on images shifted beforehand, epoch by epoch, gives the same bits."""
    X, y = (digits[0] * 16).astype(x_dtype), digits[1]
    options = {**network, "rescale": 1 / 16, "random_state": 3}
    clf = quick(random_shift=(2, 1), **options).fit(X, y)
    assert len(epochs) == 5
    again = quick(shuffle=False, **options)
    for rows, shifts in list(epochs):
        moved = reference.move_images(X[rows].reshape(-1, 8, 8, 1), shifts).reshape(X.shape)
        again.partial_fit(moved, y[rows], classes=np.arange(10))
    n_trainable = sum(part.size for part in clf.coefs_ + clf.intercepts_)
    # Statistics differ, as `fit` measures its own at the end.
    assert_array_equal(clf._parameters[:n_trainable], again._parameters[:n_trainable])
    assert clf.loss_curve_ == again.loss_curve_


@pytest.mark.parametrize("way", ["partial_fit", "warm_start"])
def test_every_call_has_shifts_of_its_own(quick, digits, epochs, way):
    """Calls have different shifts, although an int as random_state gives them the same order of samples."""
    clf = quick(random_shift=2, random_state=0, warm_start=True, max_iter=3)
    for _ in range(4):
        clf.partial_fit(*digits, classes=np.arange(10)) if way == "partial_fit" else clf.fit(*digits)
    (rows, _), (again, _) = epochs[-2:]
    assert_array_equal(rows, again)
    shifts = [own for _, own in epochs]
    assert len(shifts) >= 4
    for i, one in enumerate(shifts):
        for other in shifts[:i]:
            assert (one != other).any(axis=1).mean() > 0.5


@every_network
def test_several_runs_an_epoch(quick, digits, epochs, monkeypatch, network):
    """An epoch is split into calls of the kernels, between checks for signals; each gets its part of the shifts."""
    expected = quick(random_shift=2, **network).fit(*digits)._parameters
    assert len(epochs) == 5
    monkeypatch.setattr("skcnn.network._RUN_WORK", 1)
    assert_array_equal(quick(random_shift=2, **network).fit(*digits)._parameters, expected)
    assert len(epochs) == 5 + 5 * 10  # of 32 samples each


# ---- repeatability ----


@pytest.mark.parametrize("random_shift", [(0, 0), np.int32(0)], ids=repr)
@every_network
def test_no_shifts_in_other_words(quick, digits, random_shift, network):
    """All spellings of no shift give the same bits as the default."""
    expected = quick(**network).fit(*digits)
    clf = quick(random_shift=random_shift, **network).fit(*digits)
    assert_array_equal(clf._parameters, expected._parameters)
    assert clf.loss_curve_ == expected.loss_curve_


def test_images_of_one_pixel_cannot_move(quick, rng):
    X, y = rng.rand(40, 3), np.arange(40) % 2
    plain, moved = (quick(random_shift=n, image_shape=(1, 1, 3)).fit(X, y) for n in (0, 5))
    assert_array_equal(plain._parameters, moved._parameters)


def test_same_random_state_same_bits(quick, digits):
    a, b, c = (quick(random_shift=1, random_state=seed).fit(*digits) for seed in (3, 3, 4))
    assert_array_equal(a._parameters, b._parameters)
    assert a.loss_curve_ == b.loss_curve_
    assert (a._parameters != c._parameters).any()
    assert (a._parameters != quick(random_state=3).fit(*digits)._parameters).any()


# ---- what must not change ----


@every_network
def test_predictions_are_of_the_images_as_they_are(quick, digits, network):
    X, y = digits
    before = X.copy()
    clf = quick(random_shift=2, **network).fit(X, y)
    assert_array_equal(X, before)
    scores, features = clf.decision_function(X), clf.transform(X)
    assert_array_equal(clf.decision_function(X), scores)
    clf.set_params(random_shift=0)
    assert_array_equal(clf.decision_function(X), scores)
    assert_array_equal(clf.transform(X), features)


@every_network
def test_validation_scores_are_of_the_images_as_they_are(quick, digits, network):
    X, y = digits
    clf = quick(random_shift=2, **network).fit(X[:200], y[:200], X_val=X[200:], y_val=y[200:])
    assert clf.validation_scores_[-1] == clf.score(X[200:], y[200:])
    targets = np.eye(10)[y[200:]]
    loss, _ = output_loss(clf.decision_function(X[200:]), targets, np.ones(100), "log_loss")
    assert_allclose(clf.validation_loss_curve_[-1], loss)


@every_network
def test_early_stopping_on_a_part(quick, digits, epochs, network):
    """Shifts are drawn for the training part only, and the best score is on unshifted images."""
    X, y = digits
    clf = quick(random_shift=1, **network, early_stopping=True, validation_fraction=0.2, max_iter=6).fit(X, y)
    assert {moves.shape for _, moves in epochs} == {(240, 3)}
    learnt = np.unique(epochs[0][0])
    held = np.setdiff1d(np.arange(300), learnt)
    assert clf.score(X[held], y[held]) == clf.best_validation_score_


def test_statistics_are_of_the_images_as_they_are(quick, digits):
    X, y = digits
    scores = quick(random_shift=2, standardize=True).fit(X, y).decision_function(X)
    assert_allclose(scores.mean(axis=0), 0, atol=1e-9)
    assert_allclose(scores.std(axis=0), 1, rtol=1e-9)


# ---- streams, and the purpose ----


@every_network
@pytest.mark.parametrize("first", ["uint8", "float32", "float64"])
@pytest.mark.parametrize("then", ["uint8", "float32", "float64"])
def test_chunks_of_any_type(quick, digits, network, first, then):
    """A model computes in the dtype that it started with, also if X has another one."""
    X, y = digits[0] * 16, digits[1]

    def streamed(dtype):
        clf = quick(random_shift=2, rescale=1 / 16, **network).partial_fit(X.astype(first), y, classes=np.arange(10))
        return clf.partial_fit(X[:130].astype(dtype), y[:130])._parameters

    assert_array_equal(streamed(then), streamed(first))


def test_chunks_are_moved(quick, digits, epochs):
    X, y = digits
    clf = quick(random_shift=1, random_state=np.random.RandomState(0))
    for chunk in (slice(0, 100), slice(100, 101), slice(101, 300)):
        clf.partial_fit(X[chunk], y[chunk], classes=np.arange(10))
    assert [len(rows) for rows, _ in epochs] == [len(moves) for _, moves in epochs] == [100, 1, 199]


def test_warm_start_goes_on_with_other_shifts(quick, digits):
    """Shifts are not part of the network, so a warm start may change them."""
    clf = quick(random_shift=0, warm_start=True).fit(*digits)
    assert len(clf.set_params(random_shift=2).fit(*digits).loss_curve_) == 5 + clf.n_iter_


def test_shifted_digits_are_recognised_better(quick):
    X, y = load_digits(return_X_y=True)
    X_test, y_test = X[1000:], y[1000:]
    shifts = np.random.RandomState(0).randint(-1, 2, size=(len(X_test), 3)) * [1, 1, 0]
    moved = reference.move_images(X_test.reshape(-1, 8, 8, 1), shifts).reshape(-1, 64)
    choices = {**STACK, "n_filters": (6, 8), "rescale": 1 / 16, "max_iter": 30}
    plain, augmented = (quick(random_shift=n, **choices).fit(X[:1000], y[:1000]).score(moved, y_test) for n in (0, 1))
    assert augmented > plain + 0.1
