"""Effect of hidden dense layers, dropout and label smoothing on a stack, tried in PyTorch.

    python benchmarks/regularisers.py --data mnist.npz [--n-seeds 2] [--epochs 5 15]

16 and 32 filters of 3 x 3, relu, "same" padding, Adam with a cosine schedule from a rate of 2e-3. digits: pools of 1
and 2, 40 epochs, batches of 32, five folds. MNIST: pools of 2, batches of 64, training on the first 20 000 training
images, accuracy on the last 10 000 of them. One thread; seconds are those of a fit, means like the accuracies.
"""

import time
from dataclasses import dataclass
from math import cos, pi

import numpy as np
import torch
from machine import limit_threads, make_parser, parse, print_header, print_table, stop
from sklearn.datasets import load_digits
from sklearn.model_selection import StratifiedKFold
from tasks import add_data, load_data

N_LEARNT, N_HELD = 20_000, 10_000
LEARNING_RATE = 2e-3
FILTERS = 16, 32

VARIANTS = {
    "none": {},
    "dropout of 0.25 before the dense layer": {"dropout": 0.25},
    "dropout of 0.5": {"dropout": 0.5},
    "a hidden dense layer of 64": {"hidden": 64},
    "one of 128, dropout of 0.5": {"hidden": 128, "dropout": 0.5},
    "labels smoothed by 0.05": {"smoothing": 0.05},
    "labels smoothed by 0.1": {"smoothing": 0.1},
}


@dataclass(frozen=True)
class Images:
    X: torch.Tensor  # (n_images, 1, side, side)
    y: torch.Tensor
    pools: tuple
    batch_size: int

    def rows(self, rows):
        return self.X[rows], self.y[rows]


def make_network(side, pools, hidden=0, dropout=0.0):
    layers, n_channels = [], 1
    for n_filters, pool in zip(FILTERS, pools, strict=True):
        layers += [torch.nn.Conv2d(n_channels, n_filters, 3, padding=1), torch.nn.ReLU(), torch.nn.MaxPool2d(pool)]
        n_channels, side = n_filters, side // pool
    n_values = n_channels * side * side
    layers += [torch.nn.Flatten(), torch.nn.Dropout(dropout)]
    if hidden:
        layers += [torch.nn.Linear(n_values, hidden), torch.nn.ReLU(), torch.nn.Dropout(dropout)]
    return torch.nn.Sequential(*layers, torch.nn.Linear(hidden or n_values, 10))


def fit_and_score(images, learnt, held, n_epochs, seed, smoothing=0.0, **options):
    """Accuracy and seconds of the fit."""
    torch.manual_seed(seed)
    (X, y), size = images.rows(learnt), images.batch_size
    network = make_network(X.shape[-1], images.pools, **options)
    targets = torch.nn.functional.one_hot(y, 10) * (1 - smoothing) + smoothing / 10
    optimizer = torch.optim.Adam(network.parameters(), lr=LEARNING_RATE)
    n_steps = n_epochs * -(-len(X) // size)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 0.5 + 0.5 * cos(pi * step / n_steps))
    start = time.perf_counter()
    for _ in range(n_epochs):
        for rows in torch.randperm(len(X)).split(size):
            optimizer.zero_grad()
            losses = torch.nn.functional.binary_cross_entropy_with_logits(
                network(X[rows]), targets[rows], reduction="sum"
            )
            (losses / len(rows)).backward()
            optimizer.step()
            schedule.step()
    seconds = time.perf_counter() - start
    network.eval()
    X, y = images.rows(held)
    with torch.no_grad():
        found = torch.cat([network(part).argmax(1) for part in X.split(1000)])
    return (found == y).float().mean().item(), seconds


def digits_images():
    X, y = load_digits(return_X_y=True)
    folds = list(StratifiedKFold(5, shuffle=True, random_state=0).split(X, y))
    X = torch.tensor(X.reshape(-1, 1, 8, 8) / 16, dtype=torch.float32)
    return Images(X, torch.tensor(y), (1, 2), 32), folds


def mnist_images(file):
    data = load_data(file, None)
    if len(data.X) < N_LEARNT + N_HELD:
        stop(f"{data.source} has {len(data.X)} images to train on; this takes {N_LEARNT + N_HELD}")
    X = torch.tensor(data.X.reshape(-1, 1, *data.image_shape[:2]) / 255, dtype=torch.float32)
    rows = np.arange(len(X))
    return Images(X, torch.tensor(data.digits).long(), (2, 2), 64), [(rows[:N_LEARNT], rows[-N_HELD:])]


def main(argv=None):
    parser = make_parser(__doc__)
    add_data(parser)
    parser.add_argument("--n-seeds", type=int, default=2)
    parser.add_argument("--epochs", type=int, nargs="+", default=[5, 15], help="on MNIST")
    options = parse(parser, argv)
    limit_threads(1)
    torch.set_num_threads(1)
    print_header(options, 1, ("torch",))
    tasks = [("digits", *digits_images(), 1 if options.quick else 40)]
    if options.data and not options.quick:
        images, folds = mnist_images(options.data)
        tasks += [(f"MNIST, {n_epochs} epochs", images, folds, n_epochs) for n_epochs in options.epochs]

    def rows():
        for task, images, folds, n_epochs in tasks:
            for name, variant in VARIANTS.items():
                runs = [
                    fit_and_score(images, *fold, n_epochs, seed, **variant)
                    for seed in range(options.n_seeds)
                    for fold in folds
                ]
                score, seconds = np.mean(runs, axis=0)
                yield task, name, f"{score:.4f}", f"{seconds:.1f}"

    print_table(["task", "addition", "accuracy", "s a fit"], rows())


if __name__ == "__main__":
    main()
