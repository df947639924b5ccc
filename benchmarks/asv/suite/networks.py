"""The networks that are measured, as users make them, and images for them."""

import time
import warnings
from math import prod

import numpy as np
from machine import count_cpus, keep_memory
from sklearn.exceptions import ConvergenceWarning

from skcnn import ConvSigmoidClassifier

# Parameters of the classifier.
NETWORKS = {
    "default": {"image_shape": (28, 28)},
    "stack": {"n_filters": (16, 32), "image_shape": (28, 28)},
    "colour": {"n_filters": (32, 64), "image_shape": (32, 32, 3)},
    "signals": {"n_filters": (16, 32, 32), "image_shape": (1, 500), "batch_norm": True, "global_pool": "average"},
}


class Case:
    """Images, labels and a classifier of one epoch; what is measured of them is up to the subclass."""

    # Single calls, by two processes a commit, which take turns with the other commit's.
    number, repeat, rounds, warmup_time = 1, (5, 20, 1.0), 2, 0.1
    # One thread's own time: what other programs take from a busy machine does not count.
    timer = time.process_time

    def prepare(self, network="default", dtype="uint8", n_jobs=1, n_samples=2000):
        if n_jobs > count_cpus():
            raise NotImplementedError(f"needs {n_jobs} processors")  # asv leaves it out
        keep_memory()
        self.X, self.y = make_images(network, dtype, n_samples)
        self.classifier = ConvSigmoidClassifier(**NETWORKS[network], max_iter=1, random_state=0, n_jobs=n_jobs)

    def fit(self, n_samples=None):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            self.classifier.fit(self.X[:n_samples], self.y[:n_samples])


def make_images(network, dtype, n_samples):
    """Random images, bytes or between 0 and 1, and labels of ten classes."""
    n_features = prod(NETWORKS[network]["image_shape"])
    X = np.random.RandomState(0).randint(256, size=(n_samples, n_features), dtype=np.uint8)
    return X if dtype == "uint8" else (X / 255).astype(dtype), np.arange(n_samples) % 10
