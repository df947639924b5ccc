"""One epoch on images that are larger than memory: on a cluster, by fit on a memory map, and by partial_fit.

    python benchmarks/out_of_core.py --data mnist.npz --folder scratch [--n-images 10000000]

The images, 10 million of 28 x 28 bytes (7.84 GB), are MNIST's training images, shifted and with noise. They are written
to a file in --folder once; without --folder, to a temporary one. Each program runs in a fresh process and starts with
the file outside the system's cache. Test accuracy is that on MNIST's test images.

dask         DaskConvSigmoidClassifier(persist=False), a replica for each of --threads workers of one thread, which are
             limited to 1 GB each; tasks read chunks of rows from the file
fit          the local class on the mapped file, with as many threads
partial_fit  the same on one block of rows after another

Needs Linux, for /proc.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
import warnings
from contextlib import contextmanager
from pathlib import Path
from threading import Event, Thread

import dask
import dask.array as da
import numpy as np
from cluster_costs import open_cluster
from footprint import STATUS
from machine import add_threads, limit_threads, make_parser, parse, print_header, print_table, stop
from sklearn.exceptions import ConvergenceWarning
from tasks import add_data, load_data

from skcnn import ConvSigmoidClassifier
from skcnn.dask import DaskConvSigmoidClassifier

N_PIXELS = 784
BLOCK = 50_000  # images of a chunk
MOST_SHIFT, NOISE = 2, 32  # of the images
MEMORY_LIMIT = "1GB"
INTERVAL = 0.05  # seconds between two readings of memory
PARAMETERS = {"image_shape": (28, 28), "max_iter": 1, "random_state": 0}


# ---- the file ----


def list_bounds(n_images):
    """First and last row of each chunk, of which there are eight or more."""
    size = max(1, min(BLOCK, n_images // 8))
    return [(first, min(first + size, n_images)) for first in range(0, n_images, size)]


def vary(images, digits, n, seed):
    """`n` images drawn from the given ones, shifted by up to two pixels and with noise, and their labels."""
    generator = np.random.RandomState(seed)
    rows = generator.randint(len(images), size=n)
    shifts = generator.randint(2 * MOST_SHIFT + 1, size=(n, 2))
    padded = np.pad(images.reshape(-1, 28, 28), ((0, 0), *[(MOST_SHIFT, MOST_SHIFT)] * 2))
    made = np.empty((n, 28, 28), np.uint8)
    for y, x in np.unique(shifts, axis=0):
        shifted = (shifts == (y, x)).all(axis=1)
        made[shifted] = padded[rows[shifted], y : y + 28, x : x + 28]
    noise = generator.randint(NOISE, size=made.shape, dtype=np.uint8)
    return (np.minimum(made, 255 - noise) + noise).reshape(n, N_PIXELS), digits[rows]


def write_images(data, folder, n_images):
    """Write X.npy and y.npy, unless they are there."""
    file, labels = Path(folder, "X.npy"), Path(folder, "y.npy")
    if labels.exists() and len(np.load(labels, mmap_mode="r")) == n_images:  # is written last
        return
    X = np.lib.format.open_memmap(file, "w+", np.uint8, (n_images, N_PIXELS))
    y = np.empty(n_images, np.uint8)
    for number, (first, last) in enumerate(list_bounds(n_images)):
        X[first:last], y[first:last] = vary(data.X, data.digits, last - first, number)
    X.flush()
    np.save(labels, y)


def leave_cache(file):
    """Have the system forget what it keeps of a file in memory."""
    with open(file, "rb") as opened:
        os.fsync(opened.fileno())
        os.posix_fadvise(opened.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def read_rows(file, first, last):
    """Rows of a file as an ordinary array."""
    return np.array(np.load(file, mmap_mode="r")[first:last])


# ---- memory ----


def read_memory(pid):
    """Anonymous and all resident memory of a process in MB, the latter at its peak; zeros once it has ended."""
    try:
        with open(STATUS.replace("self", str(pid))) as status:
            fields = dict(line.split(":", 1) for line in status)
        return [int(fields[name].split()[0]) / 2**10 for name in ("RssAnon", "VmHWM")]
    except (OSError, KeyError):
        return [0.0, 0.0]


@contextmanager
def watch(list_processes):
    """Read the memory of processes all the time; gives a dictionary of the largest values by process id."""
    peaks, ended = {}, Event()

    def read():
        while not ended.wait(INTERVAL):
            for pid in filter(None, list_processes()):
                peaks[pid] = np.maximum(peaks.get(pid, 0.0), read_memory(pid))

    thread = Thread(target=read)
    thread.start()
    try:
        yield peaks
    finally:
        ended.set()
        thread.join()


# ---- the programs, each in a process of its own ----


def fit_dask(folder, threads):
    """A fitted classifier, seconds and peaks of memory."""
    with open_cluster(threads, memory_limit=MEMORY_LIMIT) as client:
        X, y = dask_arrays(folder)
        clf = DaskConvSigmoidClassifier(**PARAMETERS, persist=False, n_replicas=threads, client=client)
        workers = client.cluster.workers.values()  # nannies, which start a worker again if it has to be ended
        with watch(lambda: [nanny.pid for nanny in list(workers)]) as peaks:
            start = time.perf_counter()
            clf.fit(X, y)
            return clf, time.perf_counter() - start, peaks


def dask_arrays(folder):
    """X and y, of which a chunk is rows of a file."""
    read = dask.delayed(read_rows, pure=True)
    bounds = list_bounds(len(np.load(folder / "y.npy", mmap_mode="r")))

    def chunked(file, *tail):
        return da.concatenate(
            [da.from_delayed(read(file, first, last), (last - first, *tail), np.uint8) for first, last in bounds]
        )

    return chunked(folder / "X.npy", N_PIXELS), chunked(folder / "y.npy")


def fit_locally(folder, threads):
    X, y = np.load(folder / "X.npy", mmap_mode="r"), np.load(folder / "y.npy")
    clf = ConvSigmoidClassifier(**PARAMETERS, n_jobs=threads)
    with watch(lambda: [os.getpid()]) as peaks:
        start = time.perf_counter()
        clf.fit(X, y)
        return clf, time.perf_counter() - start, peaks


def fit_partially(folder, threads):
    y = np.load(folder / "y.npy")
    clf = ConvSigmoidClassifier(**PARAMETERS, n_jobs=threads)
    classes = np.unique(y)
    with watch(lambda: [os.getpid()]) as peaks:
        start = time.perf_counter()
        for first, last in list_bounds(len(y)):
            clf.partial_fit(read_rows(folder / "X.npy", first, last), y[first:last], classes=classes)
        return clf, time.perf_counter() - start, peaks


PROGRAMS = {"dask": fit_dask, "fit": fit_locally, "partial_fit": fit_partially}


def run_in_child(job):
    """Run a program and print its figures."""
    limit_threads(job["threads"])
    warnings.simplefilter("ignore", ConvergenceWarning)
    clf, seconds, peaks = PROGRAMS[job["program"]](Path(job["folder"]), job["threads"])
    data = load_data(job["data"])
    anonymous, resident = np.max(list(peaks.values()), axis=0).tolist()
    figures = {
        "seconds": seconds,
        "anonymous": anonymous,
        "resident": resident,
        "processes": len(peaks),
        "accuracy": clf.score(data.X_new, data.digits_new),
    }
    print(json.dumps(figures))


# ---- the table ----


def run_child(job):
    leave_cache(Path(job["folder"], "X.npy"))
    command = [sys.executable, __file__, "--child", json.dumps(job)]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    return json.loads(done.stdout.splitlines()[-1])


def print_programs(folder, n_images, options):
    def rows():
        for program in options.programs:
            n_expected = options.threads if program == "dask" else 1
            job = {"program": program, "folder": str(folder), "data": options.data, "threads": options.threads}
            run = run_child(job)
            memory = f"{run['anonymous']:.0f}", f"{run['resident']:.0f}"
            speed = f"{run['seconds']:.1f}", f"{n_images / run['seconds']:.0f}"
            yield program, *speed, n_expected, *memory, run["processes"] - n_expected, f"{run['accuracy']:.4f}"

    header = ["program", "s", "images a second", "processes", "MB anonymous", "MB resident", "restarts"]
    print_table([*header, "test accuracy"], rows())


def main(argv=None):
    parser = make_parser(__doc__, repeats=1)
    add_data(parser)
    add_threads(parser)
    parser.add_argument("--n-images", type=int, default=10_000_000)
    parser.add_argument("--folder", help="for the file of images, which is kept; default: a temporary one")
    parser.add_argument("--programs", nargs="+", choices=PROGRAMS, default=list(PROGRAMS))
    parser.add_argument("--child", type=json.loads, help=argparse.SUPPRESS)
    options = parse(parser, argv)
    if not Path(STATUS).exists():
        stop(f"there is no {STATUS} here")
    if options.child:
        run_in_child(options.child)
        return
    n_images = 20_000 if options.quick else options.n_images
    print_header(options, options.threads, ("dask", "distributed"))
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(options.folder or temporary)
        folder.mkdir(parents=True, exist_ok=True)
        data = load_data(options.data)
        write_images(data, folder, n_images)
        print(
            f"{n_images:,} images, {n_images * N_PIXELS / 1e9:.2f} GB, made of {data.source}; one epoch of the "
            f"default network, chunks of {np.ptp(list_bounds(n_images)[0])}\n\n"
            f"Peak memory of a process, of the largest worker for dask, in MB of 2^20 bytes; a worker is limited to "
            f"{dask.utils.parse_bytes(MEMORY_LIMIT) / 2**20:.0f}. Resident memory includes pages of mapped files.\n"
        )
        print_programs(folder, n_images, options)


if __name__ == "__main__":
    main()
