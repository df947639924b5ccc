"""Choice of the setting in docs/guide/signals.md, one for all sets, by cross-validation on the training series only.

    python benchmarks/series_settings.py [--series NAME ...] [--only TEXT ...] [--n-splits 5] [--n-seeds 1]

StratifiedKFold, shuffled by the seed, on each set's training series; the test series are not used. If a class has fewer
series than there are folds, there are as many folds as series. The first row is the setting, and each other row changes
it in one respect. Accuracy over the folds, mean over the seeds; the last columns are the mean over the sets, and the
seconds of a fit, summed over the sets' means.
"""

import warnings

import numpy as np
from machine import add_threads, limit_threads, make_parser, parse, print_header, print_row
from series import SETS, OfSeries, load_series
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import StratifiedKFold, cross_validate

from skcnn import ConvSigmoidClassifier

SETTING = {"n_filters": (32, 64, 64), "batch_norm": True, "global_pool": "average", "learning_rate": "cosine"}
CHANGES = [
    {},
    {"kernel_size": [9, 5, 3]},
    {"kernel_size": [15, 9, 5]},
    {"kernel_size": 15},
    {"kernel_size": 25},
    {"pool_size": 2},
    {"pool_size": [2, 2, 1]},
    {"learning_rate_init": 2e-3},
    {"learning_rate_init": 1e-2},
    {"batch_size": 16},
    {"max_iter": 500},
    {"n_filters": (16, 32, 32)},
    {"label_smoothing": 0.05},
    {"global_pool": "max"},
    {"global_pool": None},
    {"batch_norm": False},
    {"batch_norm": False, "global_pool": None},
]
QUICK = {"max_iter": 2}


def score_folds(X, y, parameters, n_splits, n_seeds, n_jobs):
    """Accuracy over the folds and seconds of a fit, means over the seeds."""
    n_splits = min(n_splits, np.unique(y, return_counts=True)[1].min())
    scores, seconds = [], []
    for seed in range(n_seeds):
        folds = StratifiedKFold(n_splits, shuffle=True, random_state=seed)
        classifier = OfSeries(ConvSigmoidClassifier(**parameters, random_state=seed))
        result = cross_validate(classifier, X, y, cv=folds, n_jobs=n_jobs)
        scores.append(result["test_score"].mean())
        seconds.append(result["fit_time"].mean())
    return np.mean(scores), np.mean(seconds)


def main(argv=None):
    parser = make_parser(__doc__)
    add_threads(parser)
    parser.add_argument("--series", nargs="+", choices=SETS, default=list(SETS))
    parser.add_argument("--only", metavar="TEXT", nargs="+", default=[""], help="rows with one of these in their name")
    parser.add_argument("--n-splits", type=int, default=5)
    parser.add_argument("--n-seeds", type=int, default=1)
    options = parse(parser, argv)
    limit_threads(options.threads)
    print_header(options, options.threads, ("sklearn", "aeon", "pyts", "tslearn"))
    warnings.simplefilter("ignore", ConvergenceWarning)
    sets = {name: splits[0] for name in options.series if (splits := load_series(name)) is not None}
    print_row(["change", *sets, "mean", "s, sum"])
    print_row(["---"] * (len(sets) + 3))
    for changes in CHANGES[: 2 if options.quick else None]:
        name = ", ".join(f"{key}={value}" for key, value in changes.items()) or "none: the setting"
        if not any(text in name for text in options.only):
            continue
        parameters = SETTING | changes | (QUICK if options.quick else {})
        results = [
            score_folds(X, y, parameters, options.n_splits, options.n_seeds, options.threads) for X, y in sets.values()
        ]
        scores, seconds = zip(*results, strict=True)
        print_row([name, *(f"{score:.3f}" for score in (*scores, np.mean(scores))), f"{sum(seconds):.0f}"])


if __name__ == "__main__":
    main()
