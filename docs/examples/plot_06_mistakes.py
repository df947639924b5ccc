"""
Find wrong labels among the most confident mistakes
===================================================

When a network is sure that a label is wrong, it is worth a look: either
the network has something to learn, or the label is wrong. Here some
labels are replaced on purpose. The mistakes are sorted with the most
confident first, and many of the replaced labels are at the top.
"""

# %%
# Images with some wrong labels
# -----------------------------
# 30 of 1000 labels are replaced by other digits.

import matplotlib.pyplot as plt
import numpy as np
from sklearn.model_selection import cross_val_predict

from skcnn import ConvSigmoidClassifier
from skcnn.datasets import load_mnist_sample
from skcnn.inspection import (
    ClassEvidenceDisplay,
    MisclassifiedDisplay,
    misclassified,
)

X, y = load_mnist_sample(return_X_y=True)
rng = np.random.default_rng(0)
replaced = rng.choice(len(y), 30, replace=False)
labels = y.astype(int)
labels[replaced] += rng.integers(1, 10, size=30)
labels %= 10

# %%
# Predictions of images that were not learnt
# ------------------------------------------
# In cross-validation, each image is predicted by a network that has
# seen neither the image nor its label. A network's own training images
# would not do, because it may have learnt the wrong labels by heart.

clf = ConvSigmoidClassifier(
    (16, 32),
    alpha=0.01,
    learning_rate="cosine",
    max_iter=20,
    random_state=0,
)
proba = cross_val_predict(clf, X, labels, cv=3, method="predict_proba")

MisclassifiedDisplay.from_predictions(labels, proba, X, n_images=20)
plt.show()

# %%
# Above each image stand its label in the data, and the predicted one
# with its probability.
#
# How many are found?
# -------------------
# :func:`~skcnn.inspection.misclassified` returns the order in which the
# display shows the mistakes. This counts the replaced labels among the
# first of them.

mistakes = misclassified(labels, proba)
found = np.cumsum(np.isin(mistakes.indices, replaced))
print(f"{len(found)} mistakes, among them")
print(f"{found[-1]} of the 30 replaced labels,")
print(f"{found[29]} of them in the first 30")

fig, ax = plt.subplots(figsize=(6.4, 3.6), layout="constrained")
looked_at = np.arange(1, len(found) + 1)
ax.plot(looked_at, found, label="most confident first")
ax.plot(
    looked_at,
    looked_at * 30 / len(y),
    "--",
    color="gray",
    label="all images in random order (expected)",
)
ax.set(
    xlabel="images looked at",
    ylabel="replaced labels found",
    ylim=(0, 31),
)
ax.legend()
plt.show()

# %%
# Honest mistakes
# ---------------
# The others are mistakes of the network. For the two most confident of
# these, a network that was fitted to the other images shows where it
# sees evidence for the predicted class, on the left, and for the true
# one, on the right.

honest = np.flatnonzero(~np.isin(mistakes.indices, replaced))[:2]
worst = mistakes.indices[honest]
clf.fit(np.delete(X, worst, axis=0), np.delete(labels, worst))
targets = np.column_stack([mistakes.y_pred[honest], labels[worst]])
targets = targets.ravel()
ClassEvidenceDisplay.from_estimator(
    clf, X[np.repeat(worst, 2)], target=targets, n_cols=2
)
plt.show()
