"""The figures of inspection.md, from packaged data: python docs/figures/inspection.py

Writes inspection-*.png to its own folder.
"""

from pathlib import Path

import matplotlib

matplotlib.use("agg")
import numpy as np
from matplotlib import pyplot

from skcnn import ConvSigmoidClassifier
from skcnn.datasets import load_mnist_sample
from skcnn.inspection import (
    ClassEvidenceDisplay,
    FeatureMapsDisplay,
    FiltersDisplay,
    LossCurveDisplay,
    MisclassifiedDisplay,
    OcclusionDisplay,
)


def make_bursts(n_series, rng):
    """Noise with a burst at a random position, whose frequency is the class."""
    y = np.arange(n_series) % 3
    X = rng.normal(scale=0.7, size=(n_series, 1, 200))
    for series, kind in zip(X, y, strict=True):
        start = rng.integers(140)
        series[0, start : start + 60] += 2 * np.sin(np.arange(60) * (0.2 + 0.1 * kind))
    return X, np.array(["low", "middle", "high"])[y]


def draw_digits():
    X, y = load_mnist_sample(return_X_y=True)
    clf = ConvSigmoidClassifier(
        (8, 16), (5, 3), image_shape=(28, 28), learning_rate="cosine", max_iter=30, random_state=0
    )
    clf.fit(X[:600], y[:600], X_val=X[600:], y_val=y[600:])
    X, y = X[600:], y[600:]
    # Two images of each of three digits.
    some = np.concatenate([np.flatnonzero(y == digit)[:2] for digit in (4, 7, 8)])
    yield "filters", FiltersDisplay.from_estimator(clf)
    yield "filters-2", FiltersDisplay.from_estimator(clf, layer=1)
    yield "maps", FeatureMapsDisplay.from_estimator(clf, X[some[[0, 4]]], layer=0)
    yield "evidence", ClassEvidenceDisplay.from_estimator(clf, X[some])
    yield "occlusion", OcclusionDisplay.from_estimator(clf, X[some])
    yield "misclassified", MisclassifiedDisplay.from_estimator(clf, X, y, n_images=12, n_cols=6)
    yield "loss", LossCurveDisplay.from_estimator(clf, ax=pyplot.figure(figsize=(5.5, 3.5)).add_subplot())


def draw_signals():
    rng = np.random.default_rng(0)
    X, y = make_bursts(90, rng)
    clf = ConvSigmoidClassifier(
        (8, 16), batch_norm=True, global_pool="average", learning_rate="cosine", max_iter=30, random_state=0
    )
    clf.fit(X, y)
    yield "signals", ClassEvidenceDisplay.from_estimator(clf, make_bursts(3, rng)[0])


def main():
    for draw in (draw_digits, draw_signals):
        for name, display in draw():
            display.figure_.savefig(Path(__file__).parent / f"inspection-{name}.png", dpi=100, bbox_inches="tight")
            pyplot.close(display.figure_)


if __name__ == "__main__":
    main()
