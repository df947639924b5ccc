"""Choice of the defaults: network, learning rate, batch size, penalty and initial weights on three tasks.

    python benchmarks/defaults.py [--data mnist.npz] [--n-seeds 3] [--only batch_norm]

digits    scikit-learn's digits, X / 16, StratifiedKFold(5, shuffle=True, random_state=0), default max_iter
mnist     ten epochs on the first 50 000 of MNIST's training images, accuracy on the last 10 000 (needs --data)
notebook  digit > 4 from the first 200 training images, accuracy on these 10 000 (on 800 others without --data), mean of
          ten seeds

The first row has the defaults; each other row changes them in one or two respects.
"""

import argparse
import time
import warnings
from dataclasses import replace

import numpy as np
from sklearn.datasets import load_digits
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import StratifiedKFold, cross_validate

from skcnn import ConvSigmoidClassifier
from skcnn.datasets import load_mnist_sample, load_npz

N_LEARNT = 50_000
STACK = {"n_filters": (16, 32)}

CHANGES = [
    {},
    {"average": False},
    {"learning_rate": "cosine"},
    {"label_smoothing": 0.05},
    {"max_iter": 200, "n_iter_no_change": 10},
    {"learning_rate_init": 5e-4},
    {"learning_rate_init": 1e-3},
    {"learning_rate_init": 2e-3},
    {"learning_rate_init": 1e-2},
    {"learning_rate_init": 2e-2},
    {"batch_size": 16},
    {"batch_size": 64},
    {"batch_size": 64, "learning_rate_init": 1e-2},
    {"batch_size": 128},
    {"batch_size": 200, "learning_rate_init": 1e-2},
    {"alpha": 0.0},
    {"alpha": 1e-4},
    {"alpha": 2e-3},
    {"alpha": 1e-2},
    {"tol": 1e-4},
    {"init": "he_uniform"},
    {"init": "uniform"},
    {"kernel_size": 3},
    {"kernel_size": 7},
    {"n_filters": 8},
    {"n_filters": 32},
    {"pool_size": 1},
    {"pool_size": 3},
    {"n_filters": 8, "pool_size": 1},
    {"random_shift": 1},
    {"activation": "tanh"},
    {"activation": "tanh", "learning_rate_init": 2e-3},
    {"activation": "relu"},
    {"activation": "relu", "learning_rate_init": 2e-3},
    STACK,
    STACK | {"learning_rate_init": 2e-3},
    STACK | {"learning_rate": "cosine"},
    STACK | {"average": False},
    STACK | {"label_smoothing": 0.05},
    STACK | {"batch_norm": True},
    STACK | {"batch_norm": True, "learning_rate": "cosine"},
    STACK | {"batch_norm": True, "global_pool": "average"},
    STACK | {"batch_norm": True, "global_pool": "max"},
]


def hold_out(split):
    """The training images, split again: the test images must not influence the choice of defaults."""
    return replace(
        split,
        X_train=split.X_train[:N_LEARNT],
        y_train=split.y_train[:N_LEARNT],
        X_test=split.X_train[N_LEARNT:],
        y_test=split.y_train[N_LEARNT:],
    )


def digits_task(n_seeds, **changes):
    X, y = load_digits(return_X_y=True)
    folds = StratifiedKFold(5, shuffle=True, random_state=0)
    scores, seconds, epochs = [], [], []
    for seed in range(n_seeds):
        clf = ConvSigmoidClassifier(random_state=seed, **changes)
        result = cross_validate(clf, X / 16, y, cv=folds, return_estimator=True)
        scores.append(result["test_score"].mean())
        seconds.append(result["fit_time"].mean())
        epochs += [fitted.n_iter_ for fitted in result["estimator"]]
    return np.mean(scores), np.mean(seconds), np.mean(epochs)


def mnist_task(split, n_seeds, **changes):
    scores, seconds = [], []
    for seed in range(n_seeds):
        options = {"rescale": 1 / 255, "random_state": seed, "max_iter": 10}
        clf = ConvSigmoidClassifier(**options | changes | {"max_iter": 10})
        start = time.perf_counter()
        clf.fit(split.X_train, split.y_train)
        seconds.append(time.perf_counter() - start)
        scores.append(clf.score(split.X_test, split.y_test))
    return np.mean(scores), np.mean(seconds)


def notebook_task(split, n_seeds, **changes):
    scores = [
        ConvSigmoidClassifier(rescale=1 / 255, random_state=seed, **changes)
        .fit(split.X_train[:200], split.y_train[:200] > 4)
        .score(split.X_test, split.y_test > 4)
        for seed in range(n_seeds)
    ]
    return np.mean(scores)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", metavar="FILE", help="MNIST as an .npz laid out as Keras's")
    parser.add_argument("--n-seeds", type=int, default=3)
    parser.add_argument("--only", metavar="TEXT", default="", help="the rows that have this in their first column")
    args = parser.parse_args()
    warnings.simplefilter("ignore", ConvergenceWarning)
    split = hold_out(load_npz(args.data)) if args.data else load_mnist_sample(as_split=True)
    print("| change | digits | s a fit | epochs | notebook | mnist, 10 epochs | s a fit |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    for changes in CHANGES:
        name = ", ".join(f"{key}={value}" for key, value in changes.items()) or "none: the defaults"
        if args.only not in name:
            continue
        score, seconds, epochs = digits_task(args.n_seeds, **changes)
        row = f"| {name} | {score:.4f} | {seconds:.2f} | {epochs:.0f} "
        row += f"| {notebook_task(split, 10, **changes):.4f} "
        if args.data:
            score, seconds = mnist_task(split, 1, **changes)
            row += f"| {score:.4f} | {seconds:.1f} |"
        else:
            row += "| | |"
        print(row, flush=True)


if __name__ == "__main__":
    main()
