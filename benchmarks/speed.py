"""Seconds of one epoch and of predicting 10 000 images, compared with the same network in PyTorch, JAX and Keras.

    python benchmarks/speed.py --data mnist.npz [--threads 2] [--json speed.json]

All programs start from the same weights, read the same batches of images in the same order, and must reach the same
loss; README.md has the other conditions of a fair comparison.
"""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
from machine import (
    add_threads,
    are_installed,
    describe_run,
    keep_memory,
    limit_threads,
    make_parser,
    parse,
    print_header,
    print_table,
    rested,
    stop,
    take_turns,
)
from peers import PEERS
from tasks import CONFIGS, Skcnn, add_data, check_threads, data_for, load_data, make_task

N_CHECKED = 300  # images on which all programs must agree, few enough that rounding errors stay small
GROUP = 16  # images that skcnn normalises together, as all programs do in batches of this size

# ---- checking ----


def check_agreement(names, values, what, tolerance):
    """Exit unless all values agree with the first ones."""
    for name, value in zip(names, values, strict=True):
        difference = np.max(np.abs(value - values[0]) / np.max(np.abs(values[0])))
        if not difference <= tolerance:
            stop(f"{what} of {name} and {names[0]} differ by {difference:.1e}: not the same")


def check_losses(contenders, losses, tolerance):
    check_agreement([contender.name for contender in contenders], losses, "first losses", tolerance)


def check_predictions(contenders, what, tolerance):
    ways = {contender.name: contender.predict_proba for contender in contenders}
    for contender in contenders:
        ways.update(contender.predictions)
    check_agreement(list(ways), [predict() for predict in ways.values()], what, tolerance)


def make_contenders(data, config, peers, threads):
    task = make_task(data, config)
    twins = [peer(task, threads) for peer in peers]
    return [*(Skcnn(task, threads, kind) for kind in ("uint8", "float32", "float64")), *twins]


def check_training(data, config, peers, threads):
    """Exit unless all programs predict the same before and after an epoch on some of the images.

    With batch_norm, only losses are compared after the epoch, as not all programs keep the statistics of predictions.
    """
    if config.batch_norm:
        config = replace(config, batch_size=GROUP)
    some = replace(data, X=data.X[:N_CHECKED], digits=data.digits[:N_CHECKED])
    contenders = make_contenders(some, config, peers, threads)
    check_predictions(contenders, "initial probabilities", 1e-4)
    rows = np.random.RandomState(1).permutation(len(some.X))
    for contender in contenders:
        contender.arrange(rows)
    # Each layer, and normalisation, amplifies rounding errors.
    tolerance = 1e-3 if config.batch_norm or len(config.n_filters) > 2 else 1e-4
    check_losses(contenders, [contender.epoch() for contender in contenders], tolerance)
    if not config.batch_norm:
        check_predictions(contenders, "trained probabilities", 1e-2 if len(config.n_filters) < 3 else 3e-2)


# ---- measuring ----


def measure_predictions(contenders, repeats):
    """Seconds of each way of predicting, by name."""
    ways = {name: way for contender in contenders for name, way in contender.predictions.items()}
    return dict(zip(ways, take_turns(list(ways.values()), repeats).T, strict=True))


def measure_epochs(contenders, config, n_train, repeats):
    """Seconds of each contender's epochs, by name; the first epoch is not counted."""
    generator = np.random.RandomState(1)
    turns = []
    for turn in range(repeats + 1):
        rows = generator.permutation(n_train)
        for contender in contenders:
            contender.arrange(rows)
        seconds, losses = zip(*(rested(contender.epoch) for contender in contenders), strict=True)
        turns.append(seconds)
        if turn == 0 and not config.batch_norm:
            check_losses(contenders, losses, 1e-2)
    return dict(zip((contender.name for contender in contenders), np.array(turns[1:]).T, strict=True))


def summarize(seconds):
    """Median, minimum, and median of the ratios to the first contender in the same turn, by name."""
    first = next(iter(seconds.values()))
    return {
        name: {"median": np.median(own), "fastest": own.min(), "ratio": np.median(own / first)}
        for name, own in seconds.items()
    }


# ---- reporting ----


def print_summaries(results, what, unit, scale, digits):
    def rows():
        for network, summaries in results.items():
            for name, summary in summaries[what].items():
                median, fastest = summary["median"] * scale, summary["fastest"] * scale
                yield network, name, f"{median:.{digits}f} ({fastest:.{digits}f})", f"{summary['ratio']:.2f}"

    print_table(["network", "program", unit, "ratio"], rows())


def parse_arguments(argv):
    parser = make_parser(__doc__)
    add_data(parser)
    add_threads(parser)
    parser.add_argument("--n-train", type=int, help="images to train on; default: all, or 60000 random ones")
    parser.add_argument("--configs", nargs="+", choices=CONFIGS, default=list(CONFIGS))
    parser.add_argument("--peers", nargs="*", choices=PEERS, default=list(PEERS))
    parser.add_argument("--json", metavar="FILE", help="where to write the results, for chart.py")
    options = parse(parser, argv)
    if options.quick:
        options.n_train = min(options.n_train or 2000, 2000)
    return options


def main(argv=None):
    options = parse_arguments(argv)
    limit_threads(options.threads)
    check_threads(options.threads)
    keep_memory()
    wanted = [PEERS[name] for name in options.peers]
    modules = tuple(dict.fromkeys(module for peer in wanted for module in peer.modules))
    peers = [peer for peer in wanted if are_installed(peer.modules)]
    data = load_data(options.data, options.n_train)
    print_header(options, options.threads, modules)
    print(f"{data.source}; medians of {options.repeats} turns (and the fastest), ratios to the first program\n")
    configs = [CONFIGS[name] for name in options.configs]
    peers_of = {config: [peer for peer in peers if peer.knows(config)] for config in configs}
    for config in configs:
        check_training(data_for(config, data), config, peers_of[config], options.threads)
    results = {}
    for config in configs:
        own = data_for(config, data)
        contenders = make_contenders(own, config, peers_of[config], options.threads)
        results[str(config)] = {
            "predict": summarize(measure_predictions(contenders, options.repeats)),
            "epoch": summarize(measure_epochs(contenders, config, len(own.X), options.repeats)),
        }
    print_summaries(results, "epoch", "s an epoch", 1, 3)
    print_summaries(results, "predict", f"ms to predict {len(data.X_new)}", 1e3, 1)
    if options.json:
        run = {"run": describe_run(options.threads, modules), "data": data.source, "threads": options.threads}
        Path(options.json).write_text(json.dumps(run | {"networks": results}, indent=1) + "\n")


if __name__ == "__main__":
    main()
