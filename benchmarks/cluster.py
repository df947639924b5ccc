"""DaskConvSigmoidClassifier against the local class: time, accuracy, and what a round of training costs.

    python benchmarks/cluster.py --data mnist.npz [--sections speed accuracy] [--busy 0 1] [--figure cluster.svg]

speed      seconds of a fit of 5 epochs by as many replicas and workers (processes of one thread) as --threads says,
           against the local fit with as many threads; the data is in the workers' memory; the two alternate
accuracy   test accuracy by number of replicas, and of data that is sorted by label (needs --data)
overhead   milliseconds of a round of training beyond its computation, by number of replicas and of parameters
model      a model of cost fitted to `overhead`, and the seconds of an epoch that it predicts for large clusters
simulated  the model's prediction for 64 workers against a cluster of 64 workers that sleep instead of training

`model` and `simulated` measure what `overhead` measures. All clusters are on this machine.
"""

import warnings

import dask
import dask.array as da
import numpy as np
from busy import busy_processes
from cluster_costs import (
    draw,
    epochs,
    fit_model,
    measure_overhead,
    open_cluster,
    print_model,
    print_overhead,
    print_simulated,
)
from distributed import wait
from machine import add_threads, limit_threads, make_parser, parse, print_header, print_table, take_turns
from sklearn.exceptions import ConvergenceWarning
from tasks import add_data, check_threads, load_data

from skcnn import ConvSigmoidClassifier
from skcnn.dask import DaskConvSigmoidClassifier, shuffle

SECTIONS = ("speed", "accuracy", "overhead", "model", "simulated")
NETWORKS = {"one layer, as by default": 16, "16 and 32 filters": (16, 32)}
STACK = NETWORKS["16 and 32 filters"]
N_EPOCHS = 5
N_CHUNKS = 8
N_SORTED = 4  # replicas for data that is sorted by label


def on_cluster(client, X, y):
    """Dask arrays of equal chunks in the workers' memory."""
    size = -(-len(X) // N_CHUNKS)
    return in_memory(client, da.from_array(X, chunks=(size, -1)), da.from_array(y, chunks=size))


def in_memory(client, *arrays):
    arrays = dask.persist(*arrays, scheduler=client)
    wait(arrays)
    return arrays


# ---- speed ----


def print_speed(data, options):
    threads = options.threads
    print(
        f"Fits of {N_EPOCHS} epochs; {data.source}; medians of {options.repeats} turns (and the slowest), "
        "median of the turns' ratios\n"
    )

    def rows():
        with open_cluster(threads) as client:
            X, y = on_cluster(client, data.X, data.digits)
            for name, n_filters in NETWORKS.items():
                shared = {"n_filters": n_filters, "random_state": 0, **epochs(N_EPOCHS)}
                local = ConvSigmoidClassifier(**shared, n_jobs=threads)
                distributed = DaskConvSigmoidClassifier(**shared, n_replicas=threads, client=client)
                fits = [lambda: local.fit(data.X, data.digits), lambda: distributed.fit(X, y)]  # noqa: B023
                for n_busy in options.busy:
                    with busy_processes(n_busy):
                        seconds = take_turns(fits, options.repeats)
                    cells = (f"{np.median(column):.2f} ({column.max():.2f})" for column in seconds.T)
                    yield name, n_busy, *cells, f"{np.median(seconds[:, 1] / seconds[:, 0]):.2f}"

    header = ["network", "busy processes", f"s, local, {threads} threads", f"s, {threads} workers", "ratio"]
    print_table(header, rows())


# ---- accuracy ----


def local_score(data, seed, threads):
    clf = ConvSigmoidClassifier(STACK, random_state=seed, n_jobs=threads, **epochs(N_EPOCHS))
    return clf.fit(data.X, data.digits).score(data.X_new, data.digits_new)


def distributed_score(client, X, y, data, n_replicas, seed):
    """Test accuracy, and whether there was a warning of other label frequencies."""
    clf = DaskConvSigmoidClassifier(STACK, random_state=seed, n_replicas=n_replicas, client=client, **epochs(N_EPOCHS))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        clf.fit(X, y)
    warned = any("label frequencies" in str(warning.message) for warning in caught)
    return clf.score(data.X_new, data.digits_new), warned


def sorted_by_label(client, data):
    order = np.argsort(data.digits, kind="stable")
    return on_cluster(client, data.X[order], data.digits[order])


def print_accuracy(data, options):
    seeds = range(options.n_seeds)
    replicas = (2, 4) if options.quick else (2, 4, 8, 16)
    print(f"Test accuracy of 16 and 32 filters after {N_EPOCHS} epochs; {data.source}, {len(seeds)} seeds\n")

    def row(name, results, local=None):
        scores, warned = zip(*results, strict=True)
        mean = 100 * np.mean(scores)
        difference = "" if local is None else f"{mean - local:+.2f}"
        spread = f"{100 * min(scores):.2f} to {100 * max(scores):.2f}"
        return (name, f"{mean:.2f}", spread, difference, "yes" if any(warned) else ""), mean

    def rows():
        with open_cluster(options.threads) as client:
            cells, local = row("local", [(local_score(data, seed, options.threads), False) for seed in seeds])
            yield cells
            X, y = on_cluster(client, data.X, data.digits)
            for k in replicas:
                results = [distributed_score(client, X, y, data, k, seed) for seed in seeds]
                yield row(f"{k} replicas", results, local)[0]
            X, y = sorted_by_label(client, data)
            results = [distributed_score(client, X, y, data, N_SORTED, seed) for seed in seeds]
            yield row(f"{N_SORTED} replicas, sorted by label", results, local)[0]
            results = []
            for seed in seeds:
                mixed = in_memory(client, *shuffle(X, y, random_state=seed))
                results.append(distributed_score(client, *mixed, data, N_SORTED, seed))
            yield row(f"{N_SORTED} replicas, sorted by label, then shuffled", results, local)[0]

    print_table(["fit", "accuracy, %", "seeds", "difference, points", "warning of sorted data"], rows())


def main(argv=None):
    parser = make_parser(__doc__)
    add_data(parser)
    add_threads(parser)
    parser.add_argument("--sections", nargs="+", choices=SECTIONS, default=SECTIONS)
    parser.add_argument("--busy", nargs="+", type=int, default=[0], help="numbers of other processes, for speed")
    parser.add_argument("--n-train", type=int, help="images of speed and accuracy; default: all")
    parser.add_argument("--n-seeds", type=int, default=3, help="for accuracy")
    parser.add_argument("--figure", metavar="FILE", help="an .svg or .png for the chart of model")
    options = parse(parser, argv)
    if options.quick:
        options.n_train, options.n_seeds = 2000, 1
    limit_threads(options.threads)
    check_threads(options.threads)
    print_header(options, options.threads, ("dask", "distributed"))
    warnings.simplefilter("ignore", ConvergenceWarning)
    data = load_data(options.data, options.n_train)
    if "speed" in options.sections:
        print_speed(data, options)
    if "accuracy" in options.sections:
        if options.data:
            print_accuracy(data, options)
        else:
            print("No --data: accuracy is left out.\n")
    if {"overhead", "model", "simulated"} & set(options.sections):
        repeats = min(3, options.repeats)  # one turn of all takes minutes
        cells = measure_overhead(options.threads, repeats, options.quick)
        model = fit_model(cells, options.threads, repeats, options.quick)
        if "overhead" in options.sections:
            print_overhead(cells, model)
        if "model" in options.sections:
            print_model(model)
            if options.figure:
                draw(model, options.figure)
        if "simulated" in options.sections:
            print_simulated(model, options.quick)


if __name__ == "__main__":
    main()
