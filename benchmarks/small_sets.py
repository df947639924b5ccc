"""A default fit compared with LogisticRegression on small real sets: 25 to 200 samples of 64 to 10 000 features.

    python benchmarks/small_sets.py [--n-seeds 2]

Signals from aeon, and MiniRocket features of two of them; the first 100 of scikit-learn's digits and of the packaged
MNIST images; faces and other patches of photographs from scikit-image. X has rows, without an `image_shape`. Three
stratified folds of the training samples for each seed, with raw columns and after a StandardScaler. "warned" is the
number of fits that ended with a ConvergenceWarning.
"""

import warnings

import numpy as np
from machine import are_installed, make_parser, parse, print_header, print_table, stop
from series import load_series
from sklearn.datasets import load_digits
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skcnn import ConvSigmoidClassifier
from skcnn.datasets import load_mnist_sample

SIGNALS = ("ArrowHead", "GunPoint", "OSULeaf", "ACSF1", "BasicMotions")


def signal_sets():
    """The sets in this version of aeon, with channels concatenated."""
    for name in SIGNALS:
        series = load_series(name)
        if series is not None:
            X, y = series[0]
            yield name, X.reshape(len(X), -1), y


def feature_sets(signals):
    from aeon.transformations.collection.convolution_based import MiniRocket

    for name in ("ArrowHead", "GunPoint"):
        X, y = signals[name]
        yield f"MiniRocket's features of {name}", MiniRocket(random_state=0).fit_transform(X[:, np.newaxis]), y


def image_sets():
    from skimage.data import lfw_subset

    X, y = load_digits(return_X_y=True)
    yield "digits, 100 of them", X[:100] / 16, y[:100]
    X, y = load_mnist_sample(return_X_y=True)
    yield "MNIST, 100 of them", X[:100].reshape(100, -1) / 255, y[:100]
    faces = lfw_subset()
    yield "faces or not", faces.reshape(len(faces), -1), np.arange(len(faces)) < 100


def score(make, X, y, n_seeds):
    """Mean accuracy over the folds of all seeds, and number of fits that warned."""
    scores, n_warned = [], 0
    for seed in range(n_seeds):
        for train, test in StratifiedKFold(3, shuffle=True, random_state=seed).split(X, y):
            with warnings.catch_warnings(record=True) as caught:
                warnings.simplefilter("always")
                scores.append(make(seed).fit(X[train], y[train]).score(X[test], y[test]))
            n_warned += any(issubclass(one.category, ConvergenceWarning) for one in caught)
    return np.mean(scores), n_warned


def row(name, X, y, n_seeds):
    cells = [name, f"{len(X)} x {X.shape[1]}", str(len(np.unique(y)))]
    for scalers in ([], [StandardScaler()]):
        linear, _ = score(lambda seed, s=scalers: make_pipeline(*s, LogisticRegression(max_iter=1000)), X, y, n_seeds)
        ours, n_warned = score(
            lambda seed, s=scalers: make_pipeline(*s, ConvSigmoidClassifier(random_state=seed)), X, y, n_seeds
        )
        cells += [f"{linear:.3f}", f"{ours:.3f}", f"{n_warned} of {3 * n_seeds}"]
    return cells


def main(argv=None):
    parser = make_parser(__doc__)
    parser.add_argument("--n-seeds", type=int, default=5, help="of folds and initial weights")
    options = parse(parser, argv)
    modules = ("aeon", "skimage")
    if not are_installed(modules):
        stop(f"this needs {' and '.join(modules)}")
    print_header(options, 1, ("sklearn", *modules))
    sets = list(signal_sets())
    sets += [*feature_sets({name: (X, y) for name, X, y in sets}), *image_sets()]
    if options.quick:
        sets, options.n_seeds = sets[:1], 1
    columns = ["LogisticRegression()", "skcnn", "warned"]
    header = ["set", "samples x features", "classes", *columns, *(f"{column}, scaled" for column in columns)]
    print_table(header, (row(*one, options.n_seeds) for one in sets))


if __name__ == "__main__":
    main()
