"""Label smoothing: the targets in training, and what it must not change."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from skcnn import passes
from skcnn.targets import Labels


@pytest.mark.parametrize(
    ("classes", "multilabel", "expected"),
    [
        ("ab", False, [[0.1], [0.9]]),
        ("abcd", False, [[0.85, 0.05, 0.05, 0.05], [0.05, 0.85, 0.05, 0.05]]),
        ("abcd", True, [[0.1, 0.9, 0.9, 0.1], [0.1, 0.1, 0.1, 0.1]]),
    ],
)
def test_targets(classes, multilabel, expected):
    labels = Labels(np.array(list(classes)), multilabel)
    y = np.array([[0, 1, 1, 0], [0, 0, 0, 0]]) if multilabel else np.array(["a", "b"])
    targets = labels.encode(y)
    assert_allclose(labels.smooth(targets, 0.2, float), expected, rtol=1e-15)
    assert_array_equal(labels.smooth(targets, 0.0, float), targets)


@pytest.fixture
def targets(monkeypatch):
    """A list to which each call of `train_batches` will add its targets."""
    seen = []
    original = passes.train_batches

    def watched(problem, *rest):
        seen.append(problem.targets)
        return original(problem, *rest)

    monkeypatch.setattr(passes, "train_batches", watched)
    return seen


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_fits_learn_them(quick, digits, targets, dtype):
    X, y = digits
    clf = quick(label_smoothing=0.1).fit(X.astype(dtype), y)
    clf.partial_fit(X.astype(dtype), y)
    for array in targets:
        assert array.dtype == dtype
        assert_allclose(array, np.where(y[:, np.newaxis] == np.arange(10), 0.91, 0.01), rtol=1e-6)
    assert len(targets) == 6


@pytest.mark.parametrize("loss", ["log_loss", "squared_error"])
def test_is_the_gradient_of_both_labels_in_these_parts(quick, digits, loss):
    """Smoothing equals training on each sample with its label at weight 0.9 and the other label at weight 0.1."""
    X, y = digits[0], digits[1] > 4
    options = {"loss": loss, "shuffle": False, "alpha": 0.0, "max_iter": 7}
    smoothed = quick(label_smoothing=0.2, batch_size=300, **options).fit(X, y)
    both = quick(batch_size=600, **options).fit(
        np.vstack([X, X]), np.append(y, ~y), sample_weight=np.repeat([0.9, 0.1], 300)
    )
    assert_allclose(smoothed._parameters, both._parameters, rtol=1e-7)
    assert (smoothed._parameters != quick(batch_size=300, **options).fit(X, y)._parameters).any()


def test_probabilities_are_less_sure(quick, digits):
    X, y = digits
    plain, smoothed = (quick(60, label_smoothing=smoothing).fit(X, y).predict_proba(X) for smoothing in (0.0, 0.3))
    assert np.quantile(plain.max(axis=1), 0.9) > 0.95
    assert 0.6 < np.quantile(smoothed.max(axis=1), 0.9) < 0.85


@pytest.mark.parametrize("n_classes", [2, 10])
def test_validation_is_of_the_labels_as_they_are(quick, digits, n_classes):
    """Validation uses unsmoothed labels, of held-out samples (stratified as without smoothing) or the caller's set."""
    X, y = digits[0], digits[1] % n_classes
    options = {"early_stopping": True, "max_iter": 6, "label_smoothing": 0.5}
    held = quick(**options).fit(X, y)
    own = quick(**options).fit(X, y, X_val=X, y_val=y)
    p = np.clip(own._network.logits(X, own._parameters, 1).astype(float), -500, 500)
    truth = y[:, np.newaxis] == (1 if n_classes == 2 else np.arange(n_classes))
    losses = np.logaddexp(0, np.where(truth, -p, p)).sum(axis=1)
    best = np.argmax(own.validation_scores_)
    assert own.validation_loss_curve_[best] == pytest.approx(losses.mean())
    assert own.validation_scores_[best] == pytest.approx(own.score(X, y))
    assert held.best_validation_score_ > 1.5 / n_classes
