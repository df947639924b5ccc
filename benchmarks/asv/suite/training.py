"""An epoch of each network, what a fit adds to memory, and what fits learn."""

import numpy as np
from footprint import read_peak, reset_peak

from skcnn import ConvSigmoidClassifier
from skcnn.datasets import load_mnist_sample

from .networks import NETWORKS, Case


class Epoch(Case):
    """`fit` with one epoch; checks and initial weights are part of it."""

    params = tuple(NETWORKS)
    param_names = ("network",)

    def setup(self, network):
        self.prepare(network, n_samples=2000 if NETWORKS[network]["image_shape"] == (28, 28) else 320)

    def time_fit(self, network):
        self.fit()


class EpochOfFloats(Case):
    params = ("float32", "float64")
    param_names = ("dtype",)

    def setup(self, dtype):
        self.prepare("stack", dtype)

    def time_fit(self, dtype):
        self.fit()


class Memory(Case):
    """What `fit` adds to the peak of resident memory; X is there before."""

    params = ("uint8", "float64")
    param_names = ("dtype",)

    def setup(self, dtype):
        self.prepare(dtype=dtype, n_samples=100)
        self.fit()  # loads what is loaded once
        # In one allocation: room that was free again would hide what fit takes.
        self.X, self.y = np.tile(self.X, (200, 1)), np.tile(self.y, 200)

    def track_growth(self, dtype):
        before = reset_peak()
        self.fit()
        return read_peak() - before

    track_growth.unit = "MB"


class Learning:
    """Errors on the packaged images after a fit: faster kernels must not cost any accuracy."""

    params = ("default", "stack")
    param_names = ("network",)

    def track_error(self, network):
        split = load_mnist_sample(as_split=True)
        classifier = ConvSigmoidClassifier(**NETWORKS[network], random_state=0).fit(split.X_train, split.y_train)
        return int(np.sum(classifier.predict(split.X_test) != split.y_test))

    track_error.unit = "of 800 images wrong"
