"""Seconds of an epoch and of predictions with one thread and with several, while other processes keep CPUs busy.

    python benchmarks/busy.py --data mnist.npz [--threads 2] [--busy 0 1 2]

Measurements alternate, and the ratio is what matters: threads that wait for each other are all held up by one that is
descheduled, so several threads may take longer than one.
"""

import subprocess
import sys
import time
from contextlib import contextmanager

import numpy as np
from machine import add_threads, limit_threads, make_parser, parse, print_header, print_table, take_turns
from tasks import CONFIGS, Skcnn, add_data, check_threads, load_data, make_task

NETWORKS = ("default", "stack", "three")


@contextmanager
def busy_processes(n_processes):
    """Run processes, each of which keeps one CPU busy."""
    processes = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(n_processes)]
    try:
        time.sleep(0.5 if processes else 0)
        yield
    finally:
        for process in processes:
            process.kill()
            process.wait()


def measure(data, config, threads, n_busy, repeats):
    """Name of each task, and its seconds in each turn with one thread and with several."""
    contenders = [Skcnn(make_task(data, config), n) for n in (1, threads)]
    for contender in contenders:
        contender.arrange(np.random.RandomState(1).permutation(len(data.X)))
        contender.epoch()
        contender.predict_proba()
    with busy_processes(n_busy):
        yield f"epoch of {len(data.X)}", take_turns([contender.epoch for contender in contenders], repeats)
        yield (
            f"predicting {len(data.X_new)}",
            take_turns([contender.predict_proba for contender in contenders], repeats),
        )


def main(argv=None):
    parser = make_parser(__doc__, repeats=9)
    add_data(parser)
    add_threads(parser)
    parser.add_argument("--busy", nargs="+", type=int, default=[0, 1, 2], help="numbers of other processes")
    parser.add_argument("--configs", nargs="+", choices=CONFIGS, default=NETWORKS)
    parser.add_argument("--n-train", type=int, default=4000, help="images of an epoch")
    options = parse(parser, argv)
    limit_threads(options.threads)
    check_threads(options.threads)
    data = load_data(options.data, 500 if options.quick else options.n_train)
    print_header(options, options.threads)
    print(f"{data.source}; medians of {options.repeats} turns (and the slowest), median of the turns' ratios\n")

    def rows():
        for config in map(CONFIGS.get, options.configs):
            for n_busy in options.busy:
                for what, seconds in measure(data, config, options.threads, n_busy, options.repeats):
                    cells = (f"{np.median(column):.3f} ({column.max():.3f})" for column in seconds.T)
                    yield config, n_busy, what, *cells, f"{np.median(seconds[:, 1] / seconds[:, 0]):.2f}"

    header = ["network", "busy processes", "what", "s, 1 thread", f"s, {options.threads} threads", "ratio"]
    print_table(header, rows())


if __name__ == "__main__":
    main()
