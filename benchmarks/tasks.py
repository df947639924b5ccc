"""Images, networks, and skcnn as a contender beside its peers."""

import warnings
from dataclasses import dataclass, replace
from functools import cached_property
from math import prod
from pathlib import Path

import numpy as np
from machine import stop
from sklearn.exceptions import ConvergenceWarning

from skcnn import ConvSigmoidClassifier
from skcnn.kernels import LOSSES
from skcnn.model import Model
from skcnn.network import Network, own
from skcnn.passes import LocalPasses, Problem
from skcnn.plan import make_plan
from skcnn.state import State, zero_moments
from skcnn.targets import Labels
from skcnn.threads import count_threads

LEARNING_RATE = 2e-3
N_NEW = 10_000
N_RANDOM = 10_000  # random training images, for shapes other than the data's


@dataclass(frozen=True)
class Config:
    """A network and its batches; sizes are sides of squares, or samples of a signal."""

    n_filters: tuple
    side: int  # of the kernels
    n_outputs: int
    batch_size: int
    padding: str = "valid"
    pool: int | tuple = 1  # side of all pools, or of each layer's
    activation: str = "sigmoid"
    batch_norm: bool = False
    image_shape: tuple | None = None  # (height, width, n_channels) of random images; None for the data's

    def __str__(self):
        filters = ", ".join(map(str, self.n_filters[:-1])) + " and " * (len(self.n_filters) > 1)
        filters += str(self.n_filters[-1])
        kernels = " filters " + "x".join(map(str, self.square(self.side)))
        outputs = "1 output" if self.n_outputs == 1 else f"{self.n_outputs} outputs"
        more = [] if self.activation == "sigmoid" else [self.activation]
        more += ["normalised"] if self.batch_norm else []
        pools = (self.pool,) if isinstance(self.pool, int) else self.pool
        more += [] if self.pool == 1 else [f"pool {', '.join(map(str, pools))}"]
        shape = [] if self.image_shape is None else ["images " + "x".join(map(str, self.image_shape))]
        return ", ".join([filters + kernels, *more, outputs, f"batch {self.batch_size}", *shape])

    def square(self, side):
        """(height, width) of a square, or of one row for signals."""
        return (1 if self.image_shape and self.image_shape[0] == 1 else side, side)

    @property
    def kernel_sizes(self):
        """(height, width) of each layer's filters."""
        return (self.square(self.side),) * len(self.n_filters)

    @property
    def pool_sizes(self):
        """(height, width) of each layer's pools."""
        pools = (self.pool,) * len(self.n_filters) if isinstance(self.pool, int) else self.pool
        return tuple(map(self.square, pools))

    @property
    def parameters(self):
        """ConvSigmoidClassifier's hyper-parameters for this network."""
        return {
            "n_filters": self.n_filters,
            "image_shape": self.image_shape,
            "kernel_size": self.kernel_sizes,
            "padding": self.padding,
            "pool_size": self.pool_sizes,
            "activation": self.activation,
            "batch_norm": self.batch_norm,
        }


CONFIGS = {
    "small": Config((3,), 5, 1, 32),
    "medium": Config((8,), 5, 10, 128),
    "large": Config((32,), 3, 10, 256),
    "default": Config((16,), 5, 10, 32, pool=2),
    "stack": Config((16, 32), 3, 10, 64, "same", 2, "relu"),
    "stack-norm": Config((16, 32), 3, 10, 64, "same", 2, "relu", batch_norm=True),
    "three": Config((32, 64, 64), 3, 10, 64, "same", (2, 2, 1), "relu"),
    "three-norm": Config((32, 64, 64), 3, 10, 64, "same", (2, 2, 1), "relu", batch_norm=True),
    "colour": Config((32, 64, 128), 3, 10, 64, "same", 2, "relu", image_shape=(32, 32, 3)),
    "signals": Config((32, 32, 32), 5, 10, 64, "same", 2, "relu", image_shape=(1, 500, 1)),
    "digits": Config((16, 32), 3, 10, 32, "same", (1, 2), "relu", image_shape=(8, 8, 1)),
}


@dataclass(frozen=True)
class Data:
    source: str
    X: np.ndarray  # (n_train, height * width * n_channels), uint8
    digits: np.ndarray
    X_new: np.ndarray  # uint8
    digits_new: np.ndarray
    image_shape: tuple = (28, 28, 1)  # height, width, n_channels


@dataclass(frozen=True)
class Task:
    """The input of all contenders, with images as bytes or as float32 in [0, 1]."""

    config: Config
    network: Network
    batch_size: int
    learning_rate: float
    X: np.ndarray
    X_new: np.ndarray
    targets: np.ndarray
    parameters: np.ndarray

    @cached_property
    def pixels(self):
        return self.X.astype(np.float32) / 255

    @cached_property
    def pixels_new(self):
        return self.X_new.astype(np.float32) / 255

    def channels_first(self, rows):
        """Rows, whose channels are last, as images (n_images, n_channels, height, width)."""
        return np.ascontiguousarray(rows.reshape(-1, *self.network.image_shape).transpose(0, 3, 1, 2))

    @property
    def initial(self):
        return self.network.views(self.parameters)


def random_data(n_train, n_new=N_NEW, image_shape=(28, 28, 1)):
    generator = np.random.RandomState(0)
    images, new = (generator.randint(256, size=(n, prod(image_shape)), dtype=np.uint8) for n in (n_train, n_new))
    digits, digits_new = (generator.randint(10, size=n) for n in (n_train, n_new))
    return Data(f"SYNTHETIC random images, {n_train} to train on", images, digits, new, digits_new, image_shape)


def load_data(file, n_train=None):
    """Images and digits from an .npz with the layout of Keras's mnist.npz; without a file, random ones of its shape."""
    if file is None:
        return random_data(n_train or 60_000)
    with np.load(file) as arrays:
        X, digits = arrays["x_train"], arrays["y_train"]
        new, digits_new = arrays["x_test"], arrays["y_test"]
    image_shape = (*X.shape[1:], 1)[:3]
    X, new = X.reshape(len(X), -1)[:n_train], new.reshape(len(new), -1)
    repeated = np.arange(N_NEW) % len(new)
    source = f"{Path(file).name}, {len(X)} images to train on"
    return Data(source, X, digits[:n_train], new[repeated], digits_new[repeated], image_shape)


def data_for(config, data):
    """The data, or random images if the network is for another shape."""
    shape = config.image_shape
    return data if shape is None else random_data(min(len(data.X), N_RANDOM), image_shape=shape)


def add_data(parser):
    parser.add_argument("--data", metavar="FILE", help="an .npz laid out as Keras's mnist.npz; random images without")


def make_network(config, image_shape=(28, 28, 1)):
    return Network(
        image_shape=config.image_shape or image_shape,
        n_filters=config.n_filters,
        kernel_size=config.kernel_sizes,
        n_outputs=config.n_outputs,
        pool_size=config.pool_sizes,
        padding=config.padding,
        activation=config.activation,
        batch_norm=config.batch_norm,
    )


def make_task(data, config, generator=None):
    network = make_network(config, data.image_shape)
    digits = data.digits[:, np.newaxis]
    targets = digits > 4 if config.n_outputs == 1 else digits == np.arange(config.n_outputs)
    return Task(
        config=config,
        network=network,
        batch_size=config.batch_size,
        learning_rate=LEARNING_RATE,
        X=data.X,
        X_new=data.X_new,
        targets=targets.astype(np.float32),
        parameters=network.initial_parameters("auto", generator or np.random.RandomState(0), np.float32),
    )


def to_classes(p):
    """Class probabilities from the outputs' sigmoids, as in skcnn's predict_proba."""
    return np.hstack([1 - p, p]) if p.shape[1] == 1 else p / p.sum(axis=1, keepdims=True)


class GivenOrder:
    """Replaces the random generator of the training loop by a fixed order."""

    def __init__(self, rows):
        self._rows = rows

    def permutation(self, n_samples):
        return self._rows


class Skcnn:
    """The estimator's own training loop, on bytes, float32 or float64, with the interface of the twins in peers.py."""

    def __init__(self, task, threads, kind="uint8"):
        self.name = f"skcnn, {kind}"
        as_bytes = kind == "uint8"
        dtype = np.float64 if kind == "float64" else np.float32
        self._X_new = task.X_new if as_bytes else task.pixels_new.astype(dtype)
        self._classifier = ConvSigmoidClassifier(
            **task.config.parameters,
            rescale=1 / 255 if as_bytes else 1.0,
            alpha=0.0,
            batch_size=task.batch_size,
            learning_rate_init=task.learning_rate,
            max_iter=1,
            n_jobs=threads,
        )
        network = replace(task.network, rescale=self._classifier.rescale)
        self._problem = Problem(
            X=task.X if as_bytes else task.pixels.astype(dtype),
            targets=task.targets.astype(dtype),
            sample_weight=np.ones(len(task.X), dtype=dtype),
            rows=np.arange(len(task.X), dtype=np.intp),
            labels=Labels(np.arange(max(2, network.n_outputs)), False),
            network=network,
            objective={"loss": LOSSES["log_loss"], "alpha": 0.0},
        )
        plan = make_plan(self._classifier, network, len(task.X), threads, incremental=False)
        self._passes = LocalPasses(self._problem, plan, generator=None)
        parameters = own(task.parameters, dtype)
        averages = parameters[: network.n_trainable].copy()
        self._state = State(parameters, zero_moments(network, "adam", dtype), averages=averages)
        n_classes = max(2, network.n_outputs)
        with warnings.catch_warnings():  # any fit will do, as _load replaces its model
            warnings.simplefilter("ignore", ConvergenceWarning)
            self._classifier.set_params(batch_size="auto").fit(self._X_new[:n_classes], np.arange(n_classes))
        self._load()

    def _load(self):
        """Put the training loop's weights into the classifier."""
        # Without averaging, which the peers do not have.
        model = Model(self._problem.network, self._state.parameters.copy(), self._problem.labels)
        vars(self._classifier)["_model"] = model

    def arrange(self, rows):
        self._passes.generator = GivenOrder(rows)

    def epoch(self):
        loss = self._passes.train_epoch(self._state)
        self._load()
        return loss

    def predict_proba(self):
        return self._classifier.predict_proba(self._X_new)

    @property
    def predictions(self):
        return {self.name: self.predict_proba}


def check_threads(threads):
    """Exit unless `n_jobs=threads` really uses that many threads."""
    if count_threads(threads) != threads:
        stop(f"skcnn may use {count_threads(threads)} threads only, not {threads}")
