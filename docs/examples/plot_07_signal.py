"""
Classify signals
================

A signal is an image of one row. What tells signals apart may be
anywhere in them, so a network for signals should ask how much there is
of a pattern, not where it is: its last layer is pooled over all
positions. This example recognises bursts in noise by their frequency,
and then shows where the network found them. :doc:`/guide/signals` has
more.
"""

# %%
# Bursts in noise
# ---------------
# Each signal has 200 samples of noise, with a burst of 60 somewhere.
# Its frequency is the class.

import matplotlib.pyplot as plt
import numpy as np
from sklearn.linear_model import LogisticRegression

from skcnn import ConvSigmoidClassifier
from skcnn.inspection import (
    ClassEvidenceDisplay,
    FiltersDisplay,
    class_evidence,
)

NAMES = np.array(["low", "middle", "high"])


def make_bursts(n_signals, rng):
    kinds = np.arange(n_signals) % 3
    starts = rng.integers(140, size=n_signals)
    X = rng.normal(scale=0.7, size=(n_signals, 200))
    for signal, kind, start in zip(X, kinds, starts, strict=True):
        phase = np.arange(60) * (0.2 + 0.1 * kind)
        signal[start : start + 60] += 2 * np.sin(phase)
    return X, NAMES[kinds], starts


rng = np.random.default_rng(0)
X, y, _ = make_bursts(90, rng)
X_test, y_test, starts = make_bursts(600, rng)

fig, axes = plt.subplots(
    3,
    1,
    figsize=(6.4, 4),
    layout="constrained",
    sharex=True,
    sharey=True,
)
for ax, signal, label, start in zip(
    axes, X_test, y_test, starts, strict=False
):
    ax.axvspan(start, start + 60, color="0.9")
    ax.plot(signal, linewidth=1)
    ax.set_ylabel(label)
axes[0].set_title("Three signals. The bursts are shaded.")
axes[-1].set_xlabel("sample")
plt.show()

# %%
# Three classifiers
# -----------------
# A linear model and the default network weigh each position by itself.
# The third classifier is a network whose output layer reads the average
# of each feature map. ``image_shape`` says that rows are signals; rows
# whose length is no square number are taken for signals anyway.

pooled = ConvSigmoidClassifier(
    (8, 16),
    image_shape=(1, 200),
    batch_norm=True,
    global_pool="average",
    learning_rate="cosine",
    max_iter=30,
    random_state=0,
)
classifiers = {
    "logistic regression": LogisticRegression(max_iter=1000),
    "default network": ConvSigmoidClassifier(
        image_shape=(1, 200), max_iter=1000, random_state=0
    ),
    "with global pooling": pooled,
}
for name, clf in classifiers.items():
    clf.fit(X, y)
    training, test = clf.score(X, y), clf.score(X_test, y_test)
    print(f"{name:20s}  training {training:.3f}  test {test:.3f}")

# %%
# The first two learn ninety signals by heart, and are hardly better
# than chance (0.333) on others. The layers are:

pooled.summary()

# %%
# Where the evidence is
# ---------------------
# The logit of a class is a sum over positions here as well. These are
# the three signals of the first figure: red is evidence for the
# predicted class, blue evidence against it.

# sphinx_gallery_thumbnail_number = 2
display = ClassEvidenceDisplay.from_estimator(pooled, X_test[:3])
plt.show()

# %%
# The network was never told where the bursts are. For all test signals,
# is the position of most evidence within the burst?

evidence = class_evidence(pooled, X_test).evidence[:, 0]
left, right, *_ = display.extent
width = (right - left) / evidence.shape[1]
position = left + (evidence.argmax(axis=1) + 0.5) * width
within = (starts <= position) & (position < starts + 60)
print(f"most evidence within the burst: {within.mean():.1%} of signals")
print(f"by chance it would be:          {60 / 200:.1%}")

# %%
# Filters
# -------
# Those of the first layer, drawn as curves. Their length, a tenth of
# the signal but at most 9 samples in a stack, is what
# ``kernel_size="auto"`` chose.

FiltersDisplay.from_estimator(pooled, n_cols=4)
plt.show()
