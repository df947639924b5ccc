"""
Learn from a stream
===================

Images come in chunks, are learnt by ``partial_fit``, and never seen
again. Half-way through, the images suddenly are negatives. Each chunk
is first predicted and then learnt, so the accuracy is always that on
images that were not learnt yet.
"""

# %%
# A stream of images
# ------------------
# It is made of scikit-learn's digits, moved by up to a pixel, with
# noise. A digit may come again, but never with the same noise.

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.linear_model import SGDClassifier
from sklearn.neural_network import MLPClassifier

from skcnn import ConvSigmoidClassifier

digits = load_digits()


def stream(n_chunks, chunk_size=64):
    rng = np.random.default_rng(0)
    for i in range(n_chunks):
        drawn = rng.integers(len(digits.target), size=chunk_size)
        images = digits.images[drawn] / 16
        images = np.pad(images, ((0, 0), (1, 1), (1, 1)))
        for image in images:
            shift = rng.integers(-1, 2, size=2)
            image[:] = np.roll(image, shift, axis=(0, 1))
        images += rng.normal(scale=0.2, size=images.shape)
        if i >= n_chunks // 2:
            images = 1 - images
        images = images.reshape(chunk_size, 100).astype(np.float32)
        yield images, digits.target[drawn]


# %%
# Test, then learn
# ----------------
# The first call of ``partial_fit`` needs all classes. Each call learns
# 64 images, two batches of the network. Two other classifiers of
# scikit-learn with ``partial_fit`` learn the same stream.

N_CHUNKS = 200
classifiers = {
    "two layers": ConvSigmoidClassifier((16, 32), random_state=0),
    "one layer": ConvSigmoidClassifier(random_state=0),
    "MLPClassifier": MLPClassifier(
        learning_rate_init=5e-3, random_state=0
    ),
    "SGDClassifier": SGDClassifier(loss="log_loss", random_state=0),
}
accuracies = {name: [] for name in classifiers}
for X, y in stream(N_CHUNKS):
    for name, clf in classifiers.items():
        if hasattr(clf, "classes_"):
            accuracies[name].append(clf.score(X, y))
        clf.partial_fit(X, y, classes=np.arange(10))

# %%
# Accuracy against images seen
# ----------------------------
# Each point is a mean over ten chunks. The table has the last twenty
# chunks of each half.

fig, ax = plt.subplots(figsize=(6.4, 4), layout="constrained")
change = 64 * N_CHUNKS // 2
print("                first half  second half")
for name, accuracy in accuracies.items():
    ax.plot(
        64 * np.arange(10, N_CHUNKS),
        np.convolve(accuracy, np.full(10, 0.1), mode="valid"),
        label=name,
    )
    before, after = accuracy[: N_CHUNKS // 2 - 1][-20:], accuracy[-20:]
    print(f"{name:14s} {np.mean(before):11.3f} {np.mean(after):12.3f}")
ax.axvline(change, color="gray", linestyle="--", linewidth=1)
ax.text(change, 0.98, "  negatives from here on", va="top")
ax.set(xlabel="images seen", ylabel="accuracy", ylim=(0, 1))
ax.legend(loc="upper left", fontsize="small")
plt.show()

# %%
# No classifier knows what to do with negatives at first. The networks
# learn them from the stream, without being told of the change. A stream
# is one pass over the data: where images can be kept, ``fit`` learns
# more from them. :doc:`/guide/training` has more on ``partial_fit``.
