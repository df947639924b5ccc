"""
Patches of colour photographs
=============================

Does a patch of 16 x 16 pixels come from the photograph of the palace,
or from that of the flower? The network learns it from the left halves
of the two photographs, and is tested on the right halves. Then it is
moved over both to draw a map of its predictions.
"""

# %%
# Patches
# -------
# The photographs have 427 x 640 pixels in three colours. Training and
# test patches come from different halves, so that they do not overlap.

import matplotlib.pyplot as plt
import numpy as np
from sklearn.base import clone
from sklearn.datasets import load_sample_images
from sklearn.feature_extraction.image import extract_patches_2d
from sklearn.linear_model import LogisticRegression

from skcnn import ConvSigmoidClassifier
from skcnn.inspection import FiltersDisplay

photographs = load_sample_images().images
names = np.array(["palace", "flower"])


def draw_patches(halves, n_patches=1000):
    options = {"max_patches": n_patches, "random_state": 0}
    patches = [
        extract_patches_2d(half, (16, 16), **options) for half in halves
    ]
    return np.concatenate(patches), np.repeat(names, n_patches)


left_halves = [image[:, :320] for image in photographs]
right_halves = [image[:, 320:] for image in photographs]
X_train, y_train = draw_patches(left_halves)
X_test, y_test = draw_patches(right_halves)
print(X_train.shape, X_train.dtype)

fig, axes = plt.subplots(2, 8, figsize=(6.4, 2), layout="constrained")
for row, name in zip(axes, names, strict=True):
    for ax, patch in zip(row, X_train[y_train == name], strict=False):
        ax.imshow(patch)
        ax.set(xticks=[], yticks=[])
    row[0].set_ylabel(name)
plt.show()

# %%
# Two classifiers
# ---------------
# Bytes are scaled as they are read. ``random_flip`` learns mirrored
# patches as well. How far does colour alone get? A logistic regression
# on the mean colour of each patch answers that.


def mean_colour(X):
    return X.mean(axis=(1, 2)) / 255


clf = ConvSigmoidClassifier(
    (16, 32),
    random_flip=True,
    learning_rate="cosine",
    max_iter=15,
    random_state=0,
)
clf.fit(X_train, y_train)
linear = LogisticRegression().fit(mean_colour(X_train), y_train)
print(f"network      {clf.score(X_test, y_test):.3f}")
print(f"mean colour  {linear.score(mean_colour(X_test), y_test):.3f}")

# %%
# A map of predictions
# --------------------
# Patches at every eighth row and column of both photographs. The
# network learnt from patches left of the dashed lines.

# sphinx_gallery_thumbnail_number = 2
fig, axes = plt.subplots(2, 2, figsize=(7.2, 4.6), layout="compressed")
for i, (image, name) in enumerate(zip(photographs, names, strict=True)):
    left, right = axes[i]
    windows = np.lib.stride_tricks.sliding_window_view(
        image, (16, 16), axis=(0, 1)
    )[::8, ::8]
    n_rows, n_columns = windows.shape[:2]
    patches = windows.transpose(0, 1, 3, 4, 2).reshape(-1, 16, 16, 3)
    flower = clf.predict_proba(patches)[:, clf.classes_ == "flower"]
    left.imshow(image)
    right.imshow(image.mean(axis=2), cmap="gray")
    im = right.imshow(
        flower.reshape(n_rows, n_columns),
        # Each value is drawn at the middle of its patch.
        extent=(4, 8 * n_columns + 4, 8 * n_rows + 4, 4),
        cmap="coolwarm",
        alpha=0.5,
        vmin=0,
        vmax=1,
    )
    left.set_ylabel(name)
    for ax in (left, right):
        ax.axvline(319.5, color="white", linestyle="--", linewidth=1)
        ax.set(xlim=(-0.5, 639.5), ylim=(426.5, -0.5))
        ax.set(xticks=[], yticks=[])
fig.colorbar(im, ax=axes, label="probability of “flower”", shrink=0.8)
plt.show()

# %%
# Filters
# -------
# Filters of colour images are drawn in colour; grey is 0.

FiltersDisplay.from_estimator(clf)
plt.show()

# %%
# What was learnt
# ---------------
# The network tells two photographs apart, not palaces and flowers. They
# differ in more than colour: the background of the flower, for example,
# is out of focus. This is the same network on grey patches.


def to_grey(X):
    return X.mean(axis=3, dtype=np.float32) / 255


grey = clone(clf).fit(to_grey(X_train), y_train)
print(f"network, grey  {grey.score(to_grey(X_test), y_test):.3f}")

# %%
# It does about as well. Here the network does not need the colours.
