"""
Train on a Dask cluster
=======================

:class:`~skcnn.dask.DaskConvSigmoidClassifier` trains one network on
data in chunks, with the workers of a cluster. One, two and four
replicas are compared here, and a worker leaves during a fit.
"""

# %%
# A cluster and data in chunks
# ----------------------------
# The two workers are threads of this process, so that the example runs
# as a script and in a notebook. ``Client("tcp://scheduler:8786")``
# connects to a cluster of several machines, and all else stays the
# same.
#
# The images are scikit-learn's digits, each moved by up to a pixel in
# nine ways. Every way is a chunk, made by the worker that needs it.

import logging
import threading

import dask.array as da
import matplotlib.pyplot as plt
import numpy as np
from distributed import Client, LocalCluster

from skcnn.dask import DaskConvSigmoidClassifier
from skcnn.datasets import load_digits_split

cluster = LocalCluster(
    processes=False,
    n_workers=2,
    threads_per_worker=1,
    dashboard_address=":0",
    silence_logs=logging.ERROR,
)
client = Client(cluster)
digits = load_digits_split()


def as_images(X):
    """Bytes of 10 x 10 pixels."""
    images = X.reshape(-1, 8, 8).astype(np.uint8)
    return np.pad(images, ((0, 0), (1, 1), (1, 1)))


images = da.from_array(as_images(digits.X_train), chunks=(-1, 10, 10))
shifts = [(row, column) for row in (-1, 0, 1) for column in (-1, 0, 1)]
moved = [
    images.map_blocks(np.roll, shift, axis=(1, 2)) for shift in shifts
]
X = da.concatenate(moved)
y = da.from_array(
    np.tile(digits.y_train, len(shifts)), chunks=len(images)
)
X_test, y_test = as_images(digits.X_test), digits.y_test
print(X)

# %%
# One, two and four replicas
# --------------------------
# A replica trains on its share of the samples. Four times in an epoch,
# the next parameters are made of those of all replicas. The number of
# replicas need not be that of workers. With more of them, each does
# fewer steps: after six epochs, 3031 images a replica are few.


def fit(n_replicas):
    clf = DaskConvSigmoidClassifier(
        rescale=1 / 16,
        learning_rate="cosine",
        max_iter=6,
        n_replicas=n_replicas,
        random_state=0,
    )
    return clf.fit(X, y, X_val=X_test, y_val=y_test)


fits = {n_replicas: fit(n_replicas) for n_replicas in (1, 2, 4)}

fig, (left, right) = plt.subplots(
    1, 2, figsize=(7.2, 3.4), layout="constrained"
)
for n_replicas, clf in fits.items():
    epochs = np.arange(1, clf.n_iter_ + 1)
    left.plot(epochs, clf.loss_curve_, label=n_replicas)
    right.plot(epochs, clf.validation_scores_, label=n_replicas)
left.set(xlabel="epoch", ylabel="training loss", yscale="log")
right.set(xlabel="epoch", ylabel="test accuracy")
left.legend(title="replicas")
plt.show()

# %%
# Predictions for dask arrays are lazy, and the score is computed by the
# workers. ``to_local`` returns the ordinary classifier.

print(fits[4].predict_proba(X))
print(f"accuracy on the training set: {fits[4].score(X, y):.3f}")
print(
    f"on the test set: {fits[4].to_local().score(X_test, y_test):.3f}"
)

# %%
# A worker leaves
# ---------------
# One of the two workers is closed while the same fit runs again. The
# other loads its data and goes on, and the result has the same bits.

threading.Timer(1, cluster.scale, args=[1]).start()
again = fit(2)
print("workers:", len(client.nthreads()))
same = np.array_equal(again.coefs_[0], fits[2].coefs_[0])
print("same bits:", same)

client.close()
cluster.close()

# %%
# :doc:`/guide/distributed` has more on the data, the costs, and on what
# happens when workers are lost.
