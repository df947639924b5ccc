"""
First fit
=========

A :class:`~skcnn.ConvSigmoidClassifier` is fitted, scored and used like
any other classifier of scikit-learn. This example learns scikit-learn's
handwritten digits, looks at probabilities and mistakes, and compares
the accuracy with that of other classifiers.
"""

# %%
# The data
# --------
# Each row of ``X`` has the 64 pixels of an image of 8 x 8, with values
# from 0 to 16.

import matplotlib.pyplot as plt
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import ConfusionMatrixDisplay
from sklearn.model_selection import train_test_split
from sklearn.svm import SVC

from skcnn import ConvSigmoidClassifier

X, y = load_digits(return_X_y=True)
X_train, X_test, y_train, y_test = train_test_split(
    X, y, stratify=y, random_state=0
)

# %%
# Fit and score
# -------------
# ``rescale`` brings the pixels to the range from 0 to 1. All other
# parameters are at their defaults. A row of 64 values is taken for a
# square image. Images of another shape need ``image_shape``, or an
# ``X`` of shape (n_samples, height, width).

clf = ConvSigmoidClassifier(rescale=1 / 16, random_state=0)
clf.fit(X_train, y_train)

# %%
# The score is the accuracy, here on images that were not learnt:

print(f"test accuracy: {clf.score(X_test, y_test):.3f}")

# %%
# ``summary`` lists the layers:

clf.summary()

# %%
# Training stopped when the loss no longer improved:

first, last = clf.loss_curve_[0], clf.loss_curve_[-1]
print(f"{clf.n_iter_} epochs, loss {first:.2f} -> {last:.2f}")

# %%
# Probabilities
# -------------
# ``predict_proba`` has one column for each class. Here are some test
# images, with the two most probable classes.

proba = clf.predict_proba(X_test[:10])

fig, axes = plt.subplots(2, 5, figsize=(6.4, 3.4), layout="constrained")
for ax, image, p in zip(axes.flat, X_test, proba, strict=False):
    second, first = p.argsort()[-2:]
    ax.imshow(image.reshape(8, 8), cmap="gray_r")
    title = f"{first}: {p[first]:.1%}\n{second}: {p[second]:.1%}"
    ax.set_title(title, fontsize="medium")
    ax.set_axis_off()
plt.show()

# %%
# Where it is wrong
# -----------------

fig, ax = plt.subplots(figsize=(5, 5), layout="constrained")
ConfusionMatrixDisplay.from_estimator(
    clf, X_test, y_test, colorbar=False, ax=ax
)
plt.show()

# %%
# Two layers, and two other classifiers
# -------------------------------------
# A sequence of numbers of filters stacks layers.

deep = ConvSigmoidClassifier((16, 32), rescale=1 / 16, random_state=0)
deep.fit(X_train, y_train)
linear = LogisticRegression(max_iter=1000).fit(X_train / 16, y_train)
svc = SVC(C=10).fit(X_train / 16, y_train)

print(f"one layer            {clf.score(X_test, y_test):.3f}")
print(f"two layers           {deep.score(X_test, y_test):.3f}")
print(f"logistic regression  {linear.score(X_test / 16, y_test):.3f}")
print(f"SVC                  {svc.score(X_test / 16, y_test):.3f}")

# %%
# One image is 0.002 here, and another split or seed moves each accuracy
# by a few images. On images of 8 x 8 pixels an
# :class:`~sklearn.svm.SVC` is as good as the networks.
# :doc:`/guide/networks` has larger images and means over several seeds,
# and :doc:`/guide/training` explains the parameters of training.
