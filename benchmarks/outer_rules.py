"""Accuracy of several replicas by the rule that merges their rounds, on MNIST: the choices in skcnn/dask/_rounds.py.

    python benchmarks/outer_rules.py --data mnist.npz [--threads 2] [--n-seeds 3]

Networks of 16 and 32 filters after 5 epochs, with one setting varied at a time. There is no cluster: a process trains
all replicas of a setting, one after another, with the functions that tasks call. --threads is the number of processes.
"""

import multiprocessing
import warnings
from dataclasses import dataclass, replace
from types import SimpleNamespace

import numpy as np
from machine import add_threads, limit_threads, make_parser, parse, print_header, print_table
from sklearn.exceptions import ConvergenceWarning
from tasks import add_data, load_data

from skcnn import ConvSigmoidClassifier, fitting
from skcnn.dask import _rounds
from skcnn.dask._rounds import Base, next_base, train_round
from skcnn.dask._shards import MemoryShard
from skcnn.plan import make_plan
from skcnn.state import initial_state
from skcnn.targets import find_labels

REPLICAS = (2, 4, 8, 16)
N_EPOCHS = 5
ONE_THREAD = SimpleNamespace(here=lambda: 1)


@dataclass(frozen=True)
class Rule:
    """How replicas train and are merged; by default as in DaskConvSigmoidClassifier."""

    name: str
    momentum: float = _rounds._MOMENTUM
    power: float = 0.0  # learning rates are multiplied by the number of replicas to this power
    most_rate: float = np.inf
    n_rounds: int = 4  # in an epoch
    keeps_moments: bool = True  # the replicas' mean, or zeros at the beginning of each round
    sorted_by_label: bool = False


RULES = (
    Rule("as in skcnn"),
    *(Rule(f"momentum {momentum}", momentum=momentum) for momentum in (0.0, 0.3, 0.7, 0.9)),
    Rule("learning rate times k^0.25", power=0.25),
    Rule("learning rate times k^0.5", power=0.5),
    Rule("the same, at most 0.01", power=0.5, most_rate=0.01),
    *(Rule(f"{n} round{'s' * (n > 1)} an epoch", n_rounds=n) for n in (1, 16, 64)),
    Rule("moments 0 at the beginning of a round", keeps_moments=False),
    Rule("samples sorted by label", sorted_by_label=True),
    Rule("the same, momentum 0", sorted_by_label=True, momentum=0.0),
)


# ---- one fit ----


class Simulation:
    """A fit by several replicas in this process, with the steps of skcnn.dask._fitting and _passes.

    Parameters
    ----------
    data : Data
    rule : Rule
    n_replicas : int
    seed : int
    """

    def __init__(self, data, rule, n_replicas, seed):
        self.rule = rule
        self.n_replicas = n_replicas
        self.generator = np.random.RandomState(seed)
        estimator = make_estimator(seed)
        rate = estimator.learning_rate_init * n_replicas**rule.power
        estimator.set_params(learning_rate_init=max(estimator.learning_rate_init, min(rate, rule.most_rate)))
        n_samples, labels = len(data.X), find_labels(data.digits)
        weights = np.ones(n_samples, np.float32)
        self.network = fitting.network_for(estimator, data.X, weights, labels, None, False)
        self.state = initial_state(estimator, self.network, self.generator, np.dtype(np.float32))
        problem = fitting.make_problem(estimator, data.X, data.digits, weights, labels, self.network)
        if rule.sorted_by_label:
            order = np.argsort(data.digits, kind="stable")
        else:
            order = np.random.RandomState(seed).permutation(n_samples)
        parts = np.array_split(order, n_replicas)
        self.shards = [MemoryShard(replace(problem, rows=np.sort(part))) for part in parts]
        self.shares = [len(part) / n_samples for part in parts]
        self.plan = make_plan(estimator, self.network, min(map(len, parts)), 1, incremental=False)
        self.n_rounds = max(1, min(rule.n_rounds, n_samples // n_replicas // self.plan.batch_size))
        self.velocity = np.zeros(self.network.n_trainable)
        self.n_samples = n_samples

    def train_epoch(self):
        seeds = self.generator.randint(2**31, size=self.n_replicas, dtype=np.int64)
        generators = [np.random.RandomState(seed) for seed in seeds]
        base = Base.of(self.state, self.velocity, self.plan, self.network, self.n_replicas)
        for number in range(self.n_rounds):
            if not self.rule.keeps_moments:
                base.state.moments[:] = 0
                base.state.n_steps = 0
            outcomes = [
                train_round([base], *given, self.n_replicas, number, self.n_rounds, ONE_THREAD)
                for given in zip(self.shards, self.shares, generators, range(self.n_replicas), strict=True)
            ]
            base = next_base(base, outcomes, self.n_replicas)
        base.write_to(self.state)
        self.velocity = base.velocity
        self.state.record(base.loss / base.weight, self.n_samples, self.plan, None)

    def score(self, X, digits):
        logits = self.network.logits(X, self.state.learnt_parameters(), 1)
        return float(np.mean(np.argmax(logits, axis=1) == digits))


def make_estimator(seed):
    return ConvSigmoidClassifier((16, 32), max_iter=N_EPOCHS, tol=0.0, n_iter_no_change=np.inf, random_state=seed)


# ---- the processes ----

data = None  # of a process


def begin(file, n_train):
    global data
    data = load_data(file, n_train)
    warnings.simplefilter("ignore", ConvergenceWarning)


def run(rule, n_replicas, seed):
    """Test accuracy; without a rule, of the local fit."""
    if rule is None:
        return make_estimator(seed).fit(data.X, data.digits).score(data.X_new, data.digits_new)
    _rounds._MOMENTUM = rule.momentum
    simulation = Simulation(data, rule, n_replicas, seed)
    for _ in range(N_EPOCHS):
        simulation.train_epoch()
    return simulation.score(data.X_new, data.digits_new)


# ---- the table ----


def describe(scores):
    spread = f" ({100 * min(scores):.2f} to {100 * max(scores):.2f})" if len(scores) > 1 else ""
    return f"{100 * np.mean(scores):.2f}{spread}"


def print_rules(pool, replicas, n_seeds):
    def start(rule, n_replicas):
        return [pool.apply_async(run, (rule, n_replicas, seed)) for seed in range(n_seeds)]

    def finish(started):
        return describe([result.get() for result in started])

    local = start(None, 1)
    started = {rule: [start(rule, n) for n in replicas] for rule in RULES}
    print(f"Local fit: {finish(local)} %\n", flush=True)
    rows = ((rule.name, *map(finish, cells)) for rule, cells in started.items())
    print_table(["rule", *(f"k = {n}" for n in replicas)], rows)


def main(argv=None):
    parser = make_parser(__doc__)
    add_data(parser)
    add_threads(parser)
    parser.add_argument("--n-seeds", type=int, default=3)
    parser.add_argument("--n-train", type=int, help="images to train on; default: all")
    options = parse(parser, argv)
    if options.quick:
        options.n_seeds, options.n_train = 1, 2000
    limit_threads(options.threads)
    print_header(options, options.threads)
    source = load_data(options.data, options.n_train).source
    print(
        f"Test accuracy in % of k replicas after {N_EPOCHS} epochs: mean (and range) of {options.n_seeds} seeds; "
        f"{source}. As in skcnn: momentum {_rounds._MOMENTUM}, 4 rounds an epoch, moments averaged.\n"
    )
    context = multiprocessing.get_context("spawn")
    with context.Pool(options.threads, begin, (options.data, options.n_train)) as pool:
        print_rules(pool, REPLICAS[: 2 if options.quick else None], options.n_seeds)


if __name__ == "__main__":
    main()
