"""
What the filters see
====================

A convolutional network of two layers is fitted to 900 images of MNIST.
Its filters are drawn, then what they make of an image, layer by layer.
:doc:`/guide/inspection` describes all displays.
"""

# %%
# A network to look at
# --------------------

import matplotlib.pyplot as plt
import numpy as np

from skcnn import ConvSigmoidClassifier
from skcnn.datasets import load_mnist_sample
from skcnn.inspection import (
    FeatureMapsDisplay,
    FiltersDisplay,
    feature_maps,
)

X, y = load_mnist_sample(return_X_y=True)
X_test, y_test = X[900:], y[900:]
clf = ConvSigmoidClassifier(
    (8, 16), (5, 3), learning_rate="cosine", max_iter=30, random_state=0
)
clf.fit(X[:900], y[:900])
print(f"test accuracy: {clf.score(X_test, y_test):.2f}")

# %%
clf.summary()

# %%
# Filters
# -------
# The filters of the first layer read the pixels. Red weights are
# positive and blue ones negative, all on one scale. A filter that is
# red on one side and blue on the other responds to an edge.

FiltersDisplay.from_estimator(clf, n_cols=4)
plt.show()

# %%
# What a filter responds to
# -------------------------
# ``feature_maps`` returns the values of a layer's maps. A value of the
# first layer is the maximum over a pool of 2 x 2 positions, so 6 x 6
# pixels have a part in it. For each filter, the following takes the
# hundred largest values of all test images, and draws the mean of the
# pixels around them.

maps = feature_maps(clf, X_test, layer=0)
padded = np.pad(X_test.reshape(-1, 28, 28), ((0, 0), (2, 2), (2, 2)))
surroundings = np.lib.stride_tricks.sliding_window_view(
    padded, (6, 6), axis=(1, 2)
)[:, ::2, ::2]

fig, axes = plt.subplots(2, 4, figsize=(6.4, 3.6), layout="constrained")
for i, ax in enumerate(axes.flat):
    largest = np.argsort(maps[..., i], axis=None)[-100:]
    places = np.unravel_index(largest, maps.shape[:3])
    mean = surroundings[places].mean(axis=0)
    ax.imshow(mean, cmap="gray", vmin=0, vmax=255)
    ax.set_axis_off()
fig.suptitle("Mean of the pixels at which each filter responds most")
plt.show()

# %%
# Feature maps
# ------------
# What the first layer hands on, for one image of each of three digits.
# Each column belongs to a filter, in the order of the figures above.

shown = [np.flatnonzero(y_test == digit)[0] for digit in (0, 4, 7)]
# sphinx_gallery_thumbnail_number = 3
FeatureMapsDisplay.from_estimator(clf, X_test[shown], layer=0)
plt.show()

# %%
# Further layers
# --------------
# The second layer has sixteen filters. Each of them reads all eight
# maps of the first layer, so it is drawn with a tile for each of these.

FiltersDisplay.from_estimator(clf, layer=1, n_cols=4)
plt.show()

# %%
# Its maps are what the output layer reads, 7 x 7 values of each filter:

FeatureMapsDisplay.from_estimator(clf, X_test[shown], layer=1)
plt.show()

# %%
# The output layer weighs each of these values for each class.
# :doc:`plot_05_evidence` shows what it makes of them.
