"""Seconds of one epoch and of one predict_proba, beside the same network in PyTorch and in JAX.

    python benchmarks/speed.py --data mnist.npz

Everyone starts from the same weights, sees the same batches of the same images in the same order, and must arrive at
the same loss: see README.md for what else makes the figures fair.
"""

import argparse
import ctypes
import importlib.metadata
import importlib.util
import os
import platform
import sys
import time
import warnings
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from peers import PEERS
from sklearn.exceptions import ConvergenceWarning

from skcnn import ConvSigmoidClassifier
from skcnn.kernels import LOSSES
from skcnn.network import Network
from skcnn.training import Problem, State, make_plan, run_epoch, zero_moments

# Filters, side of the kernel, outputs, batch.
CONFIGS = {"small": (3, 5, 1, 32), "medium": (8, 5, 10, 128), "large": (32, 3, 10, 256)}
LEARNING_RATE = 2e-3
N_NEW = 10_000
VECTOR_FLAGS = ("sse2", "avx", "avx2", "fma", "avx512f", "avx512_bf16", "amx_tile", "asimd", "sve")


@dataclass(frozen=True)
class Data:
    source: str
    X: np.ndarray  # (n_train, 784), uint8
    digits: np.ndarray
    X_new: np.ndarray  # (N_NEW, 784), uint8


@dataclass(frozen=True)
class Task:
    """What all contenders are given; images as they like them, bytes or float32 in [0, 1]."""

    network: Network
    batch_size: int
    learning_rate: float
    X: np.ndarray
    X_new: np.ndarray
    pixels: np.ndarray
    pixels_new: np.ndarray
    targets: np.ndarray
    parameters: np.ndarray

    @property
    def initial(self):
        return self.network.views(self.parameters)


class GivenOrder:
    """Stands in for the random generator of the training loop: the order is drawn already."""

    def __init__(self, rows):
        self._rows = rows

    def permutation(self, n_samples):
        return self._rows


class Skcnn:
    """The estimator's own training loop, on bytes or on float32."""

    def __init__(self, task, dtype="uint8"):
        self.name = f"skcnn, {dtype}"
        as_bytes = dtype == "uint8"
        self._X_new = task.X_new if as_bytes else task.pixels_new
        self._classifier = ConvSigmoidClassifier(
            n_filters=task.network.n_filters,
            kernel_size=task.network.kernel_size,
            rescale=1 / 255 if as_bytes else 1.0,
            alpha=0.0,
            batch_size=task.batch_size,
            learning_rate_init=task.learning_rate,
            max_iter=1,
        )
        network = replace(task.network, rescale=self._classifier.rescale)
        self._problem = Problem(
            X=task.X if as_bytes else task.pixels,
            targets=task.targets,
            sample_weight=np.ones(len(task.X), dtype=np.float32),
            network=network,
            objective={"loss": LOSSES["log_loss"], "alpha": 0.0},
        )
        self._plan = make_plan(self._classifier, len(task.X), 1)
        self._state = State(task.parameters.copy(), zero_moments(network, "adam", np.float32))
        self._workspace = network.workspace(task.batch_size, self._plan.n_threads, np.float32)
        n_classes = max(2, network.n_outputs)
        with warnings.catch_warnings():  # a fit to a handful of images, whatever they show, for _load to write over
            warnings.simplefilter("ignore", ConvergenceWarning)
            self._classifier.set_params(batch_size="auto").fit(self._X_new[:n_classes], np.arange(n_classes))
        self._load()

    def _load(self):
        """Put the training loop's weights into the classifier."""
        views = self._problem.network.views(self._state.parameters)
        filters, weights = self._classifier.coefs_
        filter_intercepts, intercepts = self._classifier.intercepts_
        filters[:], weights[:] = views["filters"], views["weights"].T
        filter_intercepts[:], intercepts[:] = views["filter_intercepts"], views["intercepts"]

    def epoch(self, rows):
        loss = run_epoch(self._problem, self._state, self._plan, GivenOrder(rows), self._workspace)
        self._load()
        return loss

    def predict_proba(self):
        return self._classifier.predict_proba(self._X_new)


# ---- data ----


def load_data(file, n_train):
    """Images and digits of an .npz laid out as Keras's mnist.npz; random ones of the same shape without a file."""
    generator = np.random.RandomState(0)
    if file is None:
        n_train = n_train or 60_000
        images, new = (generator.randint(256, size=(n, 784)).astype(np.uint8) for n in (n_train, N_NEW))
        return Data(f"SYNTHETIC random images, {n_train} to train on", images, generator.randint(10, size=n_train), new)
    with np.load(file) as arrays:
        X, digits, new = arrays["x_train"], arrays["y_train"], arrays["x_test"]
    X, new = X.reshape(len(X), -1)[:n_train], new.reshape(len(new), -1)
    new = new[np.arange(N_NEW) % len(new)]
    return Data(f"{Path(file).name}, {len(X)} images to train on", X, digits[:n_train], new)


def make_task(data, n_filters, side, n_outputs, batch_size):
    network = Network((28, 28, 1), n_filters, (side, side), n_outputs)
    digits = data.digits[:, np.newaxis]
    targets = digits > 4 if n_outputs == 1 else digits == np.arange(n_outputs)
    return Task(
        network=network,
        batch_size=batch_size,
        learning_rate=LEARNING_RATE,
        X=data.X,
        X_new=data.X_new,
        pixels=data.X.astype(np.float32) / 255,
        pixels_new=data.X_new.astype(np.float32) / 255,
        targets=targets.astype(np.float32),
        parameters=network.initial_parameters("glorot_uniform", np.random.RandomState(0), np.float32),
    )


# ---- measuring ----


def limit_threads(threads):
    """Confine this process to `threads` CPUs, before any of the peers is imported."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:threads])
    os.environ["OMP_NUM_THREADS"] = str(threads)
    os.environ["NPROC"] = str(threads)  # XLA's pool
    os.environ["JAX_PLATFORMS"] = "cpu"
    if threads == 1:
        os.environ["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false"


def keep_memory():
    """Let glibc keep what is freed: in some runs it gives PyTorch's buffers back and pays in page faults each time."""
    if platform.libc_ver()[0] == "glibc":
        libc = ctypes.CDLL(None)
        libc.mallopt(-1, 2**30)  # M_TRIM_THRESHOLD
        libc.mallopt(-3, 2**25)  # M_MMAP_THRESHOLD, its largest value


def timed(function, *args):
    start = time.perf_counter()
    result = function(*args)
    return time.perf_counter() - start, result


def check_agreement(contenders, values, what, tolerance):
    """Leave the program unless everyone's values are the first one's."""
    for contender, value in zip(contenders, values, strict=True):
        difference = np.max(np.abs(value - values[0]) / np.max(np.abs(values[0])))
        if not difference <= tolerance:
            sys.exit(f"{what} of {contender.name} and {contenders[0].name} differ by {difference:.1e}: not the same.")


def measure(contenders, n_train, repeats):
    """Seconds of each contender's predictions and epochs, (repeats, contenders) each, all taking turns."""

    def probabilities():
        return [contender.predict_proba() for contender in contenders]

    check_agreement(contenders, probabilities(), "initial probabilities", 1e-4)
    predictions = [[timed(contender.predict_proba)[0] for contender in contenders] for _ in range(repeats)]
    generator = np.random.RandomState(1)
    rows = generator.permutation(n_train)
    check_agreement(contenders, [contender.epoch(rows) for contender in contenders], "first losses", 1e-4)
    check_agreement(contenders, probabilities(), "trained probabilities", 5e-3)
    epochs = []
    for _ in range(repeats):
        rows = generator.permutation(n_train)
        epochs.append([timed(contender.epoch, rows)[0] for contender in contenders])
    return np.array(predictions), np.array(epochs)


# ---- reporting ----


def describe_machine():
    model, flags = platform.processor() or platform.machine(), []
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        fields = dict(map(str.strip, line.split(":", 1)) for line in cpuinfo.read_text().splitlines() if ":" in line)
        model = fields.get("model name", model)
        flags = [flag for flag in VECTOR_FLAGS if flag in fields.get("flags", fields.get("Features", "")).split()]
    return f"{model} ({' '.join(flags) or 'vector flags unknown'}), {platform.system()} {platform.machine()}"


def describe_versions(*packages):
    versions = [f"{package} {importlib.metadata.version(package)}" for package in ("skcnn", "numpy", *packages)]
    return f"Python {platform.python_version()}, " + ", ".join(versions)


HEADER = """\
| network | program | s an epoch | ratio | ms to predict 10 000 | ratio |
| --- | --- | --- | --- | --- | --- |"""


def describe_config(n_filters, side, n_outputs, batch_size):
    outputs = "1 output" if n_outputs == 1 else f"{n_outputs} outputs"
    return f"{n_filters} filters {side}x{side}, {outputs}, batch {batch_size}"


def print_rows(network, contenders, predictions, epochs):
    """Rows of the table: medians (fastest), and medians of each turn's ratio to the first contender."""
    for i, contender in enumerate(contenders):
        epoch, prediction = epochs[:, i], predictions[:, i] * 1e3
        epoch_ratio = np.median(epochs[:, i] / epochs[:, 0])
        prediction_ratio = np.median(predictions[:, i] / predictions[:, 0])
        cells = (
            network,
            contender.name,
            f"{np.median(epoch):.3f} ({epoch.min():.3f})",
            f"{epoch_ratio:.2f}",
            f"{np.median(prediction):.1f} ({prediction.min():.1f})",
            f"{prediction_ratio:.2f}",
        )
        print(f"| {' | '.join(cells)} |", flush=True)


def parse_arguments(argv):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", help="an .npz laid out as Keras's mnist.npz; random images without it")
    parser.add_argument("--n-train", type=int, help="images to train on; default: all, or 60000 random ones")
    parser.add_argument("--repeats", type=int, default=5, help="counted turns after the warm-up")
    parser.add_argument("--configs", nargs="+", choices=CONFIGS, default=list(CONFIGS))
    parser.add_argument("--peers", nargs="*", choices=PEERS, default=list(PEERS))
    parser.add_argument("--threads", type=int, default=1, help="CPUs for everyone; skcnn itself uses one")
    return parser.parse_args(argv)


def print_preamble(options, data, packages, missing):
    print(f"{time.strftime('%Y-%m-%d')}; {describe_machine()}; threads: {options.threads}")
    print(describe_versions(*packages) + "".join(f"; {package} is not installed" for package in missing))
    print(f"{data.source}; medians of {options.repeats} turns (and the fastest), ratios to the first program\n")
    print(HEADER, flush=True)


def main(argv=None):
    options = parse_arguments(argv)
    limit_threads(options.threads)
    keep_memory()
    wanted = [PEERS[name] for name in options.peers]
    packages = dict.fromkeys(peer.package for peer in wanted)
    missing = [package for package in packages if importlib.util.find_spec(package) is None]
    data = load_data(options.data, options.n_train)
    print_preamble(options, data, [package for package in packages if package not in missing], missing)
    for name in options.configs:
        task = make_task(data, *CONFIGS[name])
        twins = [peer(task, options.threads) for peer in wanted if peer.package not in missing]
        contenders = [Skcnn(task), Skcnn(task, "float32"), *twins]
        print_rows(describe_config(*CONFIGS[name]), contenders, *measure(contenders, len(data.X), options.repeats))


if __name__ == "__main__":
    main()
