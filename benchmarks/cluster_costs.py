"""What a round of training on a cluster costs: measured, as a model, and simulated; for cluster.py.

An epoch takes

    images * image / workers                                   the computation, with workers of one thread
    + epoch                                                    once an epoch
    + rounds * (round + replicas * replica                     scheduling
                + parameters * vectors * value                 copying, sending and adding vectors of parameters
                + network)                                     see Model.network

seconds, with one replica a worker. `image` is measured, those of the network are assumed, and the other constants are
fitted to measurements. `vectors` is the number of vectors on the longest path: a task merges at most FAN_IN of them,
level after level.
"""

import time
from contextlib import contextmanager
from dataclasses import dataclass
from math import ceil, log2
from unittest.mock import patch

import dask
import dask.array as da
import numpy as np
from distributed import Client, LocalCluster, wait
from machine import print_table, take_turns
from scipy.optimize import nnls
from tasks import CONFIGS, make_network, random_data

from skcnn import ConvSigmoidClassifier
from skcnn.dask import DaskConvSigmoidClassifier
from skcnn.dask._cluster import FAN_IN

# A shard has a batch for each round, so that there is little to compute.
N_ROUNDS, BATCH_SIZE = 4, 16
FEW, MANY = 1, 3  # epochs, of whose fits the difference counts; more of few replicas, whose epochs are short
REPLICA_EPOCHS = 40

REPLICAS = (1, 2, 8, 32, 64)
FILTERS = (1, 10, 102, 510)  # of 1 x 1, pooled by 2, with ten classes: about 2 000 to 1 000 000 parameters
MOST_FILTERS = 1100  # of all replicas together: more takes minutes
WORKERS = (10, 30, 100, 300, 1000)
IMAGES = (10**7, 10**8, 10**9)

# The network between machines, which is assumed: 10 Gbit/s, and Dask's time for a message.
BANDWIDTH, LATENCY = 1.25e9, 1e-3
# Bytes of a parameter with its two moments: a replica's in float32, the mean of several in float64, and the base of a
# round in float32 with the velocity in float64.
OUTCOME, MERGED, BASE = 12, 24, 20

SLEEPERS = 64
SIMULATED = ((10, 0.1), (10, 1.0), (102, 1.0))  # filters, as above, and seconds that a replica sleeps in a round
# What each of many workers in one process would do in its time beside: profile the stack, measure memory.
QUIET = {"distributed.worker.profile.enabled": False, "distributed.admin.system-monitor.interval": "10s"}


@contextmanager
def open_cluster(n_workers, **options):
    """A client of a new cluster on this machine, with workers of one thread."""
    with (
        LocalCluster(n_workers=n_workers, threads_per_worker=1, dashboard_address=":0", **options) as cluster,
        Client(cluster) as client,
    ):
        yield client


def epochs(n):
    """Parameters for exactly `n` epochs of training."""
    return {"max_iter": n, "tol": 0.0, "n_iter_no_change": np.inf}


# ---- measurements ----


@dataclass(frozen=True)
class Cell:
    """Seconds of an epoch with tiny shards."""

    n_replicas: int
    n_parameters: int
    total: float
    computation: float

    @property
    def n_rounds(self):
        return N_ROUNDS if self.n_replicas > 1 else 1

    @property
    def overhead(self):
        return self.total - self.computation


def probe_parameters(n_filters):
    return {
        "n_filters": n_filters,
        "kernel_size": 1,
        "pool_size": 2,
        "batch_size": BATCH_SIZE,
        "random_state": 0,
    }


def count_parameters(n_filters):
    data = random_data(2 * BATCH_SIZE, n_new=1)
    clf = ConvSigmoidClassifier(**probe_parameters(n_filters), **epochs(1)).fit(data.X, np.arange(len(data.X)) % 10)
    return len(clf._parameters)


def tiny_shards(client, n_replicas):
    """Images and labels, on the cluster and here, of which each replica receives a chunk."""
    size = N_ROUNDS * BATCH_SIZE
    data = random_data(n_replicas * size, n_new=1)
    X, y = da.from_array(data.X, chunks=(size, -1)), da.from_array(data.digits, chunks=size)
    arrays = X.persist(scheduler=client), y.persist(scheduler=client)
    wait(arrays)
    return *arrays, data


def epoch_seconds(makers, repeats, many=MANY):
    """Median seconds of an epoch of each of several fits, functions of the number of epochs."""
    fits = [lambda make=make, n=n: make(n) for make in makers for n in (FEW, many)]
    seconds = take_turns(fits, repeats)
    return np.median(seconds[:, 1::2] - seconds[:, ::2], axis=0) / (many - FEW)


def measure_cell(client, n_workers, n_replicas, n_filters, repeats):
    X, y, data = tiny_shards(client, n_replicas)
    parameters = probe_parameters(n_filters)

    def distributed(n):
        clf = DaskConvSigmoidClassifier(**parameters, **epochs(n), n_replicas=n_replicas, client=client)
        return clf.fit(X, y)

    def local(n):
        return ConvSigmoidClassifier(**parameters, **epochs(n)).fit(data.X, data.digits)

    total, computation = epoch_seconds([distributed, local], repeats, max(MANY, REPLICA_EPOCHS // n_replicas))
    return Cell(n_replicas, count_parameters(n_filters), total, computation / min(n_replicas, n_workers))


def measure_overhead(n_workers, repeats, quick):
    with open_cluster(n_workers) as client:
        return [
            measure_cell(client, n_workers, n_replicas, n_filters, repeats)
            for n_filters in FILTERS[: 2 if quick else None]
            for n_replicas in REPLICAS[: 3 if quick else None]
            if n_replicas * n_filters <= MOST_FILTERS
        ]


# ---- the model ----


def list_levels(n_replicas):
    """Vectors that a task merges in each level, from the replicas to the next round."""
    levels = []
    while n_replicas > FAN_IN:
        levels.append(FAN_IN)
        n_replicas = ceil(n_replicas / FAN_IN)
    return [*levels, n_replicas]


def count_vectors(n_replicas, n_workers):
    """Vectors that one worker after another makes, receives or adds in a round."""
    first, *later = list_levels(n_replicas)
    return max(ceil(n_replicas / n_workers), first) + sum(later)


@dataclass(frozen=True)
class Model:
    """The constants, in seconds."""

    image: float  # training with an image of 28 x 28 bytes in one thread, 16 and 32 filters
    epoch: float
    round: float
    replica: float
    value: float  # a parameter of a vector
    n_measured: int  # workers of the measurements

    def overhead(self, n_replicas, n_parameters, n_workers, n_rounds=N_ROUNDS):
        """Seconds of an epoch beyond computation and network."""
        vectors = count_vectors(n_replicas, n_workers)
        a_round = self.round + n_replicas * self.replica + n_parameters * vectors * self.value
        return self.epoch + n_rounds * a_round

    def network(self, n_replicas, n_parameters):
        """Seconds that a round waits for the network.

        A level's vectors arrive at one machine, one after another. The base of the next round spreads by doubling.
        """
        first, *later = list_levels(n_replicas)
        doublings = ceil(log2(n_replicas)) if n_replicas > 1 else 0
        n_bytes = n_parameters * (first * OUTCOME + sum(later) * MERGED + doublings * BASE)
        return n_bytes / BANDWIDTH + (1 + len(later) + doublings) * LATENCY

    def seconds(self, n_workers, n_images, n_parameters):
        """Seconds of an epoch, and the part of it that is computation."""
        computation = n_images * self.image / n_workers
        network = N_ROUNDS * self.network(n_workers, n_parameters)
        return computation + network + self.overhead(n_workers, n_parameters, n_workers), computation


def fit_model(cells, n_workers, repeats, quick):
    """Non-negative least squares of relative errors."""
    rows = np.array(
        [
            [1, cell.n_rounds, cell.n_rounds * cell.n_replicas, cell.n_rounds * cell.n_parameters * vectors]
            for cell in cells
            for vectors in [count_vectors(cell.n_replicas, n_workers)]
        ]
    )
    weights = 1 / np.array([cell.total for cell in cells])
    measured = np.array([cell.overhead for cell in cells])
    scale = np.abs(rows).max(axis=0)
    constants = nnls(rows / scale * weights[:, np.newaxis], measured * weights)[0] / scale
    return Model(measure_image(1000 if quick else 10_000, repeats), *map(float, constants), n_workers)


def measure_image(n_images, repeats):
    data = random_data(n_images, n_new=1)
    n_filters = CONFIGS["stack"].n_filters
    (seconds,) = epoch_seconds(
        [lambda n: ConvSigmoidClassifier(n_filters, **epochs(n)).fit(data.X, data.digits)], repeats
    )
    return float(seconds / n_images)


# ---- tables ----


def print_overhead(cells, model):
    print(
        f"A round of {BATCH_SIZE} images a replica on {model.n_measured} workers of one thread, without the "
        f"computation; {N_ROUNDS} rounds an epoch, but 1 with one replica\n"
    )
    rows = (
        (
            f"{cell.n_parameters:,}",
            cell.n_replicas,
            f"{1e3 * cell.overhead / cell.n_rounds:.1f}",
            f"{1e3 * predicted / cell.n_rounds:.1f}",
            f"{1e3 * cell.computation / cell.n_rounds:.1f}",
        )
        for cell in cells
        for predicted in [model.overhead(cell.n_replicas, cell.n_parameters, model.n_measured, cell.n_rounds)]
    )
    print_table(["parameters", "replicas", "ms a round", "the model's", "ms of computation, left out"], rows)


def n_stack_parameters():
    return make_network(CONFIGS["stack"]).n_parameters


def print_model(model):
    n_parameters = n_stack_parameters()
    print("The model of cost: constants\n")
    constants = [
        ("an image in one thread, 16 and 32 filters", f"{1e6 * model.image:.1f} µs", "measured"),
        ("an epoch", f"{1e3 * model.epoch:.1f} ms", "fitted"),
        ("a round", f"{1e3 * model.round:.1f} ms", "fitted"),
        ("a replica in a round", f"{1e3 * model.replica:.2f} ms", "fitted; all of it taken for the scheduler's"),
        ("a million parameters of a vector, in a round", f"{1e9 * model.value:.1f} ms", "fitted"),
        ("bandwidth of a machine", f"{BANDWIDTH / 1e9:.2f} GB/s", "assumed"),
        ("latency of a transfer", f"{1e3 * LATENCY:.1f} ms", "assumed"),
    ]
    print_table(["constant", "value", "source"], constants)
    print(
        f"Seconds of an epoch, and the part of it outside computation: {n_parameters:,} parameters, {N_ROUNDS} rounds "
        "an epoch, workers of one thread on machines of their own with a replica each, all equally fast, data in "
        "memory. Loading the data, the census and validation are not part of it.\n"
    )

    def cell(n_workers, n_images):
        seconds, computation = model.seconds(n_workers, n_images, n_parameters)
        return f"{seconds:.3g} s ({100 * (1 - computation / seconds):.2g} %)"

    rows = ((n, *(cell(n, n_images) for n_images in IMAGES)) for n in WORKERS)
    print_table(["workers", *(f"{n:.0e} images" for n in IMAGES)], rows)


def draw(model, file):
    """Draw the seconds of an epoch by number of workers, beside those of the computation alone."""
    import matplotlib

    matplotlib.use("agg")
    matplotlib.rcParams["svg.hashsalt"] = "skcnn"  # equal data give identical files
    from matplotlib import pyplot

    figure, axis = pyplot.subplots(figsize=(6, 4), layout="constrained")
    workers = np.unique(np.geomspace(WORKERS[0], WORKERS[-1], 60).astype(int))
    for number, n_images in enumerate(IMAGES):
        pairs = [model.seconds(n, n_images, n_stack_parameters()) for n in workers.tolist()]
        seconds, computation = zip(*pairs, strict=True)
        exponent = round(np.log10(n_images))
        axis.plot(workers, seconds, color=f"C{number}", label=f"$10^{exponent}$ images")
        axis.plot(workers, computation, "--", color=f"C{number}", linewidth=0.8)
    axis.plot([], [], "--", color="0.5", linewidth=0.8, label="computation alone")
    axis.set(xscale="log", yscale="log", xlabel="workers of one thread", ylabel="seconds of an epoch")
    axis.set_xticks(WORKERS, map(str, WORKERS))
    axis.minorticks_off()
    axis.grid(color="0.92")
    axis.spines[["top", "right"]].set_visible(False)
    axis.legend(frameon=False)
    figure.savefig(file, dpi=150, metadata={"Date": None} if file.endswith(".svg") else None)


# ---- the simulated cluster ----


def sleeping(seconds):
    """A stand-in for `run_batches` that changes nothing."""

    def run_batches(problem, order, plan, state, workspace):
        time.sleep(seconds)
        return 1.0, 1.0

    return run_batches


def print_simulated(model, quick):
    n_workers = 8 if quick else SLEEPERS
    print(
        f"An epoch of {N_ROUNDS} rounds on {n_workers} workers, threads of this process, that sleep instead of "
        "training: the model without its network\n"
    )

    def rows():
        # Limits of memory would hold for the process, of which each worker takes all memory for its own.
        with dask.config.set(QUIET), open_cluster(n_workers, processes=False, memory_limit=0) as client:
            X, y, _ = tiny_shards(client, n_workers)
            for n_filters, sleep in SIMULATED[: 1 if quick else None]:
                parameters = probe_parameters(n_filters) | {"n_replicas": n_workers, "client": client}

                def fit(n, parameters=parameters):
                    return DaskConvSigmoidClassifier(**parameters, **epochs(n)).fit(X, y)

                with patch("skcnn.dask._shards.run_batches", sleeping(sleep)):
                    (seconds,) = epoch_seconds([fit], 1 if quick else 3)
                n_parameters = count_parameters(n_filters)
                predicted = N_ROUNDS * sleep + model.overhead(n_workers, n_parameters, n_workers)
                outside = 100 * (1 - N_ROUNDS * sleep / seconds)
                cells = f"{predicted:.2f}", f"{seconds:.2f}", f"{seconds / predicted:.2f}", f"{outside:.1f}"
                yield f"{n_parameters:,}", f"{sleep:.1f}", *cells

    header = ["parameters", "s of sleep a round", "model, s", "measured, s", "ratio", "% outside sleep"]
    print_table(header, rows())
