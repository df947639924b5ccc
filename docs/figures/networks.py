"""The figures of networks.md, and every number on it: python docs/figures/networks.py --data mnist.npz

Prints tables in Markdown and writes networks-*.png to its own folder. Accuracies are on the last 10 000 of MNIST's
training images after five epochs on the first 20 000, in batches of 64, mean of three seeds; seconds are those of a fit
on one thread.
"""

import argparse
import time
import warnings
from pathlib import Path

import matplotlib

matplotlib.use("agg")
import numpy as np
from matplotlib import pyplot
from sklearn.exceptions import ConvergenceWarning

from skcnn import ConvSigmoidClassifier
from skcnn.datasets import load_npz

N_TRAIN, N_LEARNT = 20_000, 50_000
N_SEEDS = 3
TWO = {"n_filters": (16, 32)}
THREE = {"n_filters": (16, 32, 32)}

# For each group, the parameters of each choice by its name.
CHOICES = {
    "one layer": {
        "8 filters 5 x 5, no pooling": {"n_filters": 8, "pool_size": 1},
        "16 filters, no pooling": {"pool_size": 1},
        "16 filters, pool 2: the default": {},
        "the same, tanh": {"activation": "tanh"},
        "the same, relu": {"activation": "relu"},
        "the same, relu, pool 3": {"activation": "relu", "pool_size": 3},
    },
    "two layers, 16 and 32 filters 3 x 3": {
        "relu, same, pool 2: the defaults": TWO,
        "valid": TWO | {"padding": "valid"},
        "no pooling": TWO | {"pool_size": 1},
        "tanh": TWO | {"activation": "tanh"},
        "sigmoid": TWO | {"activation": "sigmoid"},
        "Glorot's initial weights": TWO | {"init": "glorot_uniform"},
        "last parameters, not their averages": TWO | {"average": False},
        'learning_rate="cosine"': TWO | {"learning_rate": "cosine"},
        "label_smoothing=0.05": TWO | {"label_smoothing": 0.05},
        "random_shift=1": TWO | {"random_shift": 1},
        "random_shift=2": TWO | {"random_shift": 2},
    },
    "three layers, 16, 32 and 32 filters 3 x 3": {
        "relu, same, pools 2, 2 and 1: the defaults": THREE,
        "tanh": THREE | {"activation": "tanh"},
        "Glorot's initial weights": THREE | {"init": "glorot_uniform"},
        "random_shift=2": THREE | {"random_shift": 2},
    },
}


# Depths for the comparison of initial weights, on fewer images, where they matter most.
DEPTHS = {
    "one layer": {},
    "two layers": TWO,
    "six layers": {"n_filters": (16,) * 6, "pool_size": [2, 1, 2, 1, 1, 1]},
}
N_TRAIN_INITIAL = 10_000


def measure(split, parameters, n_train=N_TRAIN):
    """Accuracy for each seed, and median seconds."""
    scores, seconds = [], []
    for seed in range(N_SEEDS):
        clf = ConvSigmoidClassifier(rescale=1 / 255, batch_size=64, max_iter=5, tol=0.0, random_state=seed).set_params(
            **parameters
        )
        start = time.perf_counter()
        clf.fit(split.X_train[:n_train], split.y_train[:n_train])
        seconds.append(time.perf_counter() - start)
        scores.append(clf.score(split.X_train[N_LEARNT:], split.y_train[N_LEARNT:]))
    return np.array(scores), np.median(seconds)


def measure_all(split):
    """(group, name, scores, seconds) of every choice, printed one by one."""
    results = []
    print("| network | change | accuracy | least and largest | s a fit |\n| --- | --- | --- | --- | --- |")
    for group, choices in CHOICES.items():
        for name, parameters in choices.items():
            scores, seconds = measure(split, parameters)
            results.append((group, name, scores, seconds))
            spread = f"{scores.min():.4f} to {scores.max():.4f}"
            print(f"| {group} | {name} | {scores.mean():.4f} | {spread} | {seconds:.1f} |", flush=True)
    return results


def print_initial(split):
    """Print the accuracy of Glorot's and He's initial weights for every activation at every depth."""
    print(f"\n{N_TRAIN_INITIAL} training images\n")
    print("| network | activation | Glorot | He |\n| --- | --- | --- | --- |")
    for name, parameters in DEPTHS.items():
        for activation in ("sigmoid", "tanh", "relu"):
            cells = []
            for init in ("glorot_uniform", "he_uniform"):
                changes = {"activation": activation, "init": init}
                scores, _ = measure(split, parameters | changes, N_TRAIN_INITIAL)
                cells.append(f"{scores.mean():.4f} ({scores.min():.4f} to {scores.max():.4f})")
            print(f"| {name} | {activation} | {' | '.join(cells)} |", flush=True)


def draw(results, file):
    """Draw the accuracy of each choice, in one panel for each group, on a common scale."""
    sizes = [len(choices) for choices in CHOICES.values()]
    figure, axes = pyplot.subplots(
        len(CHOICES), sharex=True, figsize=(8, 6.5), height_ratios=sizes, layout="constrained"
    )
    for axis, group in zip(axes, CHOICES, strict=True):
        own = [(name, scores) for other, name, scores, _ in results if other == group]
        for y, (_, scores) in enumerate(own):
            axis.plot(100 * scores, [y] * len(scores), "o", color="0.7", markersize=4)
            axis.plot(100 * scores.mean(), y, "o", color="tab:blue")
        axis.set(title=group, yticks=range(len(own)), yticklabels=[name for name, _ in own])
        axis.title.set_size("medium")
        axis.set_ylim(len(own) - 0.5, -0.5)
        axis.grid(axis="x", color="0.9")
    axes[-1].set_xlabel("accuracy on held-out images of MNIST, %; grey: each seed")
    figure.savefig(file, dpi=100)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", metavar="FILE", required=True, help="MNIST as an .npz laid out as Keras's")
    split = load_npz(parser.parse_args().data)
    warnings.simplefilter("ignore", ConvergenceWarning)
    draw(measure_all(split), Path(__file__).parent / "networks-choices.png")
    print_initial(split)


if __name__ == "__main__":
    main()
