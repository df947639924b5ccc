"""
A rare class
============

Is it an 8? Only ten eights are left among some 800 training images. The
example compares the network as it comes with
``class_weight="balanced"``, and with a decision threshold chosen by
:class:`~sklearn.model_selection.TunedThresholdClassifierCV`, and shows
what each of them changes.
"""

# %%
# Few eights
# ----------

import matplotlib.pyplot as plt
import numpy as np
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.metrics import (
    ConfusionMatrixDisplay,
    PrecisionRecallDisplay,
    precision_score,
    recall_score,
)
from sklearn.model_selection import (
    TunedThresholdClassifierCV,
    train_test_split,
)

from skcnn import ConvSigmoidClassifier

X, y = load_digits(return_X_y=True)
X_train, X_test, y_train, y_test = train_test_split(
    X, y == 8, test_size=0.5, stratify=y, random_state=0
)
surplus = np.flatnonzero(y_train)[10:]
X_train = np.delete(X_train, surplus, axis=0)
y_train = np.delete(y_train, surplus)
print(f"eights: {y_train.sum()} of {len(y_train)} training images,")
print(f"        {y_test.sum()} of {len(y_test)} test images")

# %%
# Three classifiers
# -----------------
# ``class_weight`` multiplies the weight of each sample in the loss.
# "balanced" makes both classes weigh the same. The tuned classifier is
# the unweighted network with another threshold of its probability,
# chosen in cross-validation for the best balanced accuracy.

plain = ConvSigmoidClassifier(rescale=1 / 16, random_state=0)
classifiers = {
    "as it comes": plain,
    "balanced": clone(plain).set_params(class_weight="balanced"),
    "tuned threshold": TunedThresholdClassifierCV(
        plain, scoring="balanced_accuracy", cv=5, random_state=0
    ),
}
fig, axes = plt.subplots(
    1, 3, figsize=(7.2, 2.8), layout="constrained", sharey=True
)
for ax, (name, clf) in zip(axes, classifiers.items(), strict=True):
    clf.fit(X_train, y_train)
    ConfusionMatrixDisplay.from_estimator(
        clf,
        X_test,
        y_test,
        display_labels=["other", "8"],
        colorbar=False,
        cmap="Blues",
        ax=ax,
    )
    ax.set(title=name, ylabel="True label" if ax is axes[0] else "")
plt.show()

# %%
# Precision and recall
# --------------------
# A curve has a point for each threshold. The dots are where the three
# classifiers decide. The one with the tuned threshold was fitted like
# the first, so it lies on the same curve.

# sphinx_gallery_thumbnail_number = 2
fig, ax = plt.subplots(figsize=(6, 5), layout="constrained")
for i, (name, clf) in enumerate(classifiers.items()):
    predicted = clf.predict(X_test)
    recall = recall_score(y_test, predicted)
    precision = precision_score(y_test, predicted)
    label = f"{name}: recall {recall:.2f}, precision {precision:.2f}"
    ax.plot(recall, precision, f"C{i}o", label=label, zorder=3)
for i, name in enumerate(["as it comes", "balanced"]):
    PrecisionRecallDisplay.from_estimator(
        classifiers[name],
        X_test,
        y_test,
        name=name,
        ax=ax,
        curve_kwargs={"color": f"C{i}"},
    )
ax.legend(loc="lower left", fontsize="small")
plt.show()

# %%
# The two curves are nearly the same: the class weights hardly change
# which images look most like an 8. They change where the network
# decides, and so does a threshold. The threshold goes further here, at
# the price of more false alarms and of five more fits. Weights are the
# simpler way; a threshold can be chosen for what a mistake costs.
# :doc:`/guide/training` has means over ten seeds, and what early
# stopping does to a rare class.
