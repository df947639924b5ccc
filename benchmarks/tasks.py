"""Images, networks, and skcnn as one that takes its turn among the peers."""

import warnings
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
from machine import stop
from sklearn.exceptions import ConvergenceWarning

from skcnn import ConvSigmoidClassifier
from skcnn.kernels import LOSSES
from skcnn.model import Model
from skcnn.network import Network
from skcnn.plan import make_plan
from skcnn.state import State, zero_moments
from skcnn.targets import Labels
from skcnn.threads import count_threads
from skcnn.training import Problem, run_epoch

LEARNING_RATE = 2e-3
N_NEW = 10_000


@dataclass(frozen=True)
class Config:
    """A network on square grey images, and its batches."""

    n_filters: tuple
    side: int  # of the kernels
    n_outputs: int
    batch_size: int
    padding: str = "valid"
    pool: int | tuple = 1  # side of the pools, or of each layer's
    activation: str = "sigmoid"
    batch_norm: bool = False

    def __str__(self):
        filters = ", ".join(map(str, self.n_filters[:-1])) + " and " * (len(self.n_filters) > 1)
        filters += str(self.n_filters[-1])
        outputs = "1 output" if self.n_outputs == 1 else f"{self.n_outputs} outputs"
        more = [] if self.activation == "sigmoid" else [self.activation]
        more += ["normalised"] if self.batch_norm else []
        pools = (self.pool,) if isinstance(self.pool, int) else self.pool
        more += [] if self.pool == 1 else [f"pool {', '.join(map(str, pools))}"]
        return ", ".join([f"{filters} filters {self.side}x{self.side}", *more, outputs, f"batch {self.batch_size}"])

    @property
    def parameters(self):
        """Those of ConvSigmoidClassifier that make this network."""
        return {
            "n_filters": self.n_filters,
            "kernel_size": self.side,
            "padding": self.padding,
            "pool_size": self.pool,
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
}


@dataclass(frozen=True)
class Data:
    source: str
    X: np.ndarray  # (n_train, side * side), uint8
    digits: np.ndarray
    X_new: np.ndarray  # uint8
    digits_new: np.ndarray

    @property
    def side(self):
        return round(self.X.shape[1] ** 0.5)


@dataclass(frozen=True)
class Task:
    """What all contenders are given; images as they like them, bytes or float32 in [0, 1]."""

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

    @property
    def initial(self):
        return self.network.views(self.parameters)


def random_data(n_train, n_new=N_NEW, side=28):
    generator = np.random.RandomState(0)
    images, new = (generator.randint(256, size=(n, side * side), dtype=np.uint8) for n in (n_train, n_new))
    source = f"SYNTHETIC random images, {n_train} to train on"
    return Data(source, images, generator.randint(10, size=n_train), new, generator.randint(10, size=n_new))


def load_data(file, n_train=None):
    """Images and digits of an .npz laid out as Keras's mnist.npz; random ones of the same shape without a file."""
    if file is None:
        return random_data(n_train or 60_000)
    with np.load(file) as arrays:
        X, digits = arrays["x_train"], arrays["y_train"]
        new, digits_new = arrays["x_test"], arrays["y_test"]
    X, new = X.reshape(len(X), -1)[:n_train], new.reshape(len(new), -1)
    repeated = np.arange(N_NEW) % len(new)
    source = f"{Path(file).name}, {len(X)} images to train on"
    return Data(source, X, digits[:n_train], new[repeated], digits_new[repeated])


def add_data(parser):
    parser.add_argument("--data", metavar="FILE", help="an .npz laid out as Keras's mnist.npz; random images without")


def make_network(config, image_side):
    n_layers = len(config.n_filters)
    pools = (config.pool,) * n_layers if isinstance(config.pool, int) else config.pool
    return Network(
        image_shape=(image_side, image_side, 1),
        n_filters=config.n_filters,
        kernel_size=((config.side, config.side),) * n_layers,
        n_outputs=config.n_outputs,
        pool_size=tuple((pool, pool) for pool in pools),
        padding=config.padding,
        activation=config.activation,
        batch_norm=config.batch_norm,
    )


def make_task(data, config, generator=None):
    network = make_network(config, data.side)
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
    """Class probabilities of the outputs' sigmoids, as skcnn's predict_proba."""
    return np.hstack([1 - p, p]) if p.shape[1] == 1 else p / p.sum(axis=1, keepdims=True)


class GivenOrder:
    """Stands in for the random generator of the training loop: the order is drawn already."""

    def __init__(self, rows):
        self._rows = rows

    def permutation(self, n_samples):
        return self._rows


class Skcnn:
    """The estimator's own training loop, on bytes or on float32; otherwise as the twins of peers.py."""

    def __init__(self, task, threads, dtype="uint8"):
        self.name = f"skcnn, {dtype}"
        as_bytes = dtype == "uint8"
        self._X_new = task.X_new if as_bytes else task.pixels_new
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
            X=task.X if as_bytes else task.pixels,
            targets=task.targets,
            sample_weight=np.ones(len(task.X), dtype=np.float32),
            rows=np.arange(len(task.X), dtype=np.intp),
            labels=Labels(np.arange(max(2, network.n_outputs)), False),
            network=network,
            objective={"loss": LOSSES["log_loss"], "alpha": 0.0},
        )
        self._plan = make_plan(self._classifier, network, len(task.X), threads, incremental=False)
        self._state = State(
            task.parameters.copy(),
            zero_moments(network, "adam", np.float32),
            averages=task.parameters[: network.n_trainable].copy(),
        )
        self._workspace = network.workspace(self._plan.batch_size, self._plan.n_threads, np.float32)
        n_classes = max(2, network.n_outputs)
        with warnings.catch_warnings():  # a fit to a handful of images, whatever they show, for _load to write over
            warnings.simplefilter("ignore", ConvergenceWarning)
            self._classifier.set_params(batch_size="auto").fit(self._X_new[:n_classes], np.arange(n_classes))
        self._load()

    def _load(self):
        """Put the training loop's weights into the classifier."""
        # Not their averages, which peers have none of.
        model = Model(self._problem.network, self._state.parameters.copy(), self._problem.labels)
        vars(self._classifier)["_model"] = model

    def arrange(self, rows):
        self._order = GivenOrder(rows)

    def epoch(self):
        loss = run_epoch(self._problem, self._state, self._plan, self._order, self._workspace)
        self._load()
        return loss

    def predict_proba(self):
        return self._classifier.predict_proba(self._X_new)

    @property
    def predictions(self):
        return {self.name: self.predict_proba}


def check_threads(threads):
    """Leave the program unless `n_jobs=threads` really is that many threads."""
    if count_threads(threads) != threads:
        stop(f"skcnn may use {count_threads(threads)} threads only, not {threads}")
