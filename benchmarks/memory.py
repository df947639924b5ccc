"""Growth of a process's peak resident memory in a fit, and the cost of importing skcnn.

    python benchmarks/memory.py

Each figure comes from a fresh process. All of X is in memory before a fit; the growth is the rise of the peak above
that in two epochs, which are enough to reach it. For the rows "memmap", X is a read-only file, mapped and read once.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import warnings
from pathlib import Path

import numpy as np
from footprint import read_peak, reset_peak
from machine import count_cpus, make_parser, parse, print_header, print_table
from sklearn.exceptions import ConvergenceWarning
from tasks import CONFIGS

from skcnn import ConvSigmoidClassifier

IMPORTS = ("skcnn", "sklearn.neural_network")


# ---- the child process ----


def fit_in_child(job):
    """Fit as `job` says and print the growth of the peak, in MB."""
    config = CONFIGS[job["config"]]
    X = np.load(job["file"], mmap_mode="r" if job["memmap"] else None)
    X.max()  # loads every page into memory
    y = np.arange(len(X)) % max(2, config.n_outputs)
    clf = ConvSigmoidClassifier(
        **config.parameters, rescale=1 / 255, batch_size=config.batch_size, max_iter=2, n_jobs=job["threads"]
    )
    warnings.simplefilter("ignore", ConvergenceWarning)
    before = reset_peak()
    clf.fit(X, y)
    print(before, read_peak() - before)


# ---- the tables ----


def run_child(*arguments):
    """The numbers printed by a new Python process."""
    output = subprocess.run([sys.executable, *arguments], check=True, capture_output=True, text=True).stdout
    return [float(word) for word in output.split()]


def fit_rows(n_samples, repeats, threads):
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "X.npy")
        np.save(file, np.random.RandomState(0).randint(256, size=(n_samples, 784), dtype=np.uint8))
        for config in ("medium", "large", "stack"):
            for memmap in (False, True):
                for n in threads:
                    job = {"config": config, "memmap": memmap, "threads": n, "file": str(file)}
                    runs = [run_child(__file__, "--child", json.dumps(job)) for _ in range(repeats)]
                    before, growth = np.median(runs, axis=0)
                    kind = "memmap" if memmap else "array"
                    yield str(CONFIGS[config]), kind, n, f"{before:.1f}", f"{growth:.1f}"


def print_fits(n_samples, repeats, threads):
    megabytes = n_samples * 784 / 2**20
    print(
        f"Fitting {n_samples} images 28x28 of bytes, {megabytes:.1f} MB (as float32 {4 * megabytes:.1f} MB); "
        f"medians of {repeats} processes, 1 MB = 2^20 bytes\n"
    )
    print_table(["network", "X", "threads", "MB before", "growth, MB"], fit_rows(n_samples, repeats, threads))


def print_imports(repeats):
    script = str(Path(__file__).with_name("footprint.py"))
    for module in IMPORTS:  # fills the system's file cache
        run_child(script, module)
    runs = np.array([[run_child(script, module) for module in IMPORTS] for _ in range(repeats)])
    seconds, peaks = np.median(runs, axis=0).T
    print(f"Importing, in a fresh process; medians of {repeats} runs in turns, that of the ratio each turn's\n")
    ratios = np.median(runs[:, :, 0] / runs[:, 1:, 0], axis=0)
    rows = (
        (f"`import {module}`", f"{own:.3f}", f"{ratio:.2f}", f"{peak:.1f}")
        for module, own, ratio, peak in zip(IMPORTS, seconds, ratios, peaks, strict=True)
    )
    print_table(["import", "s", "ratio", "peak resident memory, MB"], rows)


def main(argv=None):
    parser = make_parser(__doc__)
    parser.add_argument("--n-samples", type=int, default=60_000)
    parser.add_argument("--child", type=json.loads, help=argparse.SUPPRESS)
    options = parse(parser, argv)
    if options.child:
        fit_in_child(options.child)
        return
    threads = (1, 2) if count_cpus() > 1 else (1,)
    print_header(options, " and ".join(map(str, threads)), ("sklearn",))
    print_fits(6000 if options.quick else options.n_samples, options.repeats, threads)
    print_imports(3 if options.quick else max(9, options.repeats))


if __name__ == "__main__":
    main()
