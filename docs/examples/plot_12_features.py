"""
Features for an SVM
===================

The hidden activations of a network are features for other classifiers:
``transform`` returns them. Here a network learns the digits 0 to 4, and
an :class:`~sklearn.svm.SVC` on its features learns the digits 5 to 9,
which the network has never seen, from a few images of each.
"""

# %%
# Two sets of digits
# ------------------

import matplotlib.pyplot as plt
import numpy as np
from sklearn.decomposition import PCA
from sklearn.model_selection import (
    StratifiedShuffleSplit,
    cross_val_score,
)
from sklearn.svm import SVC

from skcnn import ConvSigmoidClassifier
from skcnn.datasets import load_mnist_sample

X, y = load_mnist_sample(return_X_y=True)
known = y < 5
X_new, y_new = X[~known], y[~known]

network = ConvSigmoidClassifier(
    (16, 32),
    random_shift=2,
    learning_rate="cosine",
    max_iter=30,
    random_state=0,
)
network.fit(X[known], y[known])
print(f"training accuracy: {network.score(X[known], y[known]):.3f}")

# %%
# The features are what the last convolution hands to the output layer,
# in the order (filter, row, column):

features = network.transform(X_new)
print(features.shape, features.dtype)

# %%
# Learn new digits from few images
# --------------------------------
# An SVM with the same parameters on pixels and on features, from one to
# forty images of each new digit, tested on two hundred others. Each
# point is a mean over ten draws, with its standard deviation.

N_IMAGES = [1, 2, 5, 10, 20, 40]
inputs = {"pixels": X_new / 255, "features of the network": features}


def mean_and_std(values, n_images):
    splits = StratifiedShuffleSplit(
        10, train_size=5 * n_images, test_size=200, random_state=0
    )
    scores = cross_val_score(SVC(C=10), values, y_new, cv=splits)
    return scores.mean(), scores.std()


fig, ax = plt.subplots(figsize=(6.4, 4), layout="constrained")
for name, values in inputs.items():
    scores = [mean_and_std(values, n_images) for n_images in N_IMAGES]
    mean, std = np.transpose(scores)
    ax.errorbar(N_IMAGES, mean, std, marker="o", capsize=3, label=name)
ax.set(
    xscale="log",
    xlabel="training images of each digit",
    ylabel="test accuracy",
    title="SVC on the digits 5 to 9",
)
ax.set_xticks(N_IMAGES, N_IMAGES)
ax.minorticks_off()
ax.legend(loc="lower right")
plt.show()

# %%
# The features help most where images are few. What the network has
# learnt of five digits serves for five others.
#
# Two dimensions
# --------------
# The first two principal components of pixels and of features, coloured
# by digit.

fig, axes = plt.subplots(1, 2, figsize=(7.2, 3.6), layout="constrained")
for ax, (name, values) in zip(axes, inputs.items(), strict=True):
    components = PCA(2).fit_transform(values)
    points = ax.scatter(*components.T, c=y_new, cmap="Set1", s=8)
    ax.set(title=name, xticks=[], yticks=[])
axes[1].legend(*points.legend_elements(), title="digit")
plt.show()
