"""Deep relu networks at the default learning rate, with and without batch_norm: accuracy after a few epochs.

    python benchmarks/depth.py --data mnist.npz [--threads 2] [--n-seeds 2]

mnist     5 epochs on 20 000 of the training images, accuracy on the last 10 000 of them (needs --data)
colour    15 epochs on 2400 patches of 32 x 32 pixels from six photographs in scikit-image, to be told apart; training
          patches are from the left halves, test patches from the right halves

All layers have "auto" kernels and pools. Accuracy is the mean over the seeds (minimum and maximum), the loss that of
the last epoch, including the penalty.
"""

import warnings

import numpy as np
from machine import add_threads, are_installed, limit_threads, make_parser, parse, print_header, print_table
from sklearn.exceptions import ConvergenceWarning
from tasks import add_data, load_data

from skcnn import ConvSigmoidClassifier

DEPTHS = (2, 4, 6, 8, 12)
PHOTOGRAPHS = ("astronaut", "coffee", "chelsea", "rocket", "immunohistochemistry", "retina")
SIDE, N_PATCHES = 32, 400


def mnist(options):
    data = load_data(options.data)
    learn, test = slice(20_000), slice(-10_000, None)
    return {"max_iter": 5, "batch_size": 64}, data.X[learn], data.digits[learn], data.X[test], data.digits[test]


def patches(photograph, left, right, rng):
    """Random patches whose left edges are between two columns."""
    rows = rng.integers(photograph.shape[0] - SIDE, size=N_PATCHES)
    columns = rng.integers(left, right, size=N_PATCHES)
    return [photograph[i : i + SIDE, j : j + SIDE] for i, j in zip(rows, columns, strict=True)]


def colour(options):
    import skimage.data

    rng = np.random.default_rng(0)
    halves = [], []
    for name in PHOTOGRAPHS:
        photograph = getattr(skimage.data, name)()[..., :3]
        middle, width = photograph.shape[1] // 2, photograph.shape[1]
        halves[0].extend(patches(photograph, 0, middle - SIDE, rng))
        halves[1].extend(patches(photograph, middle, width - SIDE, rng))
    X, X_test = map(np.array, halves)
    y = np.arange(len(PHOTOGRAPHS)).repeat(N_PATCHES)
    return {"max_iter": 15}, X, y, X_test, y


def rows(parameters, X, y, X_test, y_test, options):
    for depth in DEPTHS[: 1 if options.quick else None]:
        for batch_norm in (False, True):
            scores, losses = [], []
            for seed in range(options.n_seeds):
                clf = ConvSigmoidClassifier(
                    (16, *(32,) * (depth - 1)),
                    batch_norm=batch_norm,
                    tol=0.0,
                    n_iter_no_change=np.inf,
                    random_state=seed,
                    n_jobs=options.threads,
                    **parameters,
                ).fit(X, y)
                scores.append(clf.score(X_test, y_test))
                losses.append(clf.loss_)
            spread = f"{np.mean(scores):.4f} ({min(scores):.4f} to {max(scores):.4f})"
            yield depth, "normalised" if batch_norm else "plain", spread, f"{np.mean(losses):.4f}"


def main(argv=None):
    parser = make_parser(__doc__)
    add_data(parser)
    add_threads(parser)
    parser.add_argument("--n-seeds", type=int, default=2)
    options = parse(parser, argv)
    if options.quick:
        options.n_seeds = 1
    limit_threads(options.threads)
    print_header(options, options.threads, ("skimage",))
    warnings.simplefilter("ignore", ConvergenceWarning)
    tasks = {"mnist": mnist} if options.data else {}
    tasks |= {"colour": colour} if are_installed(["skimage"]) else {}
    for name, make in tasks.items():
        print(f"{name}\n")
        print_table(["layers", "", "accuracy", "last loss"], rows(*make(options), options))


if __name__ == "__main__":
    main()
