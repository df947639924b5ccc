"""A grid search on scikit-learn's digits: the cost of skcnn in a typical use of scikit-learn.

    python benchmarks/search.py [--threads 2]

GridSearchCV with n_jobs=None, 12 candidates (alpha and learning rate) x 5 folds and the refit: 61 fits of 10 epochs in
batches of 32, on float32 images. skcnn is compared with the dense layer of MLPClassifier, and with the same convolution
in skorch (PyTorch as a scikit-learn estimator), with its callbacks off.
"""

import warnings

import numpy as np
from machine import (
    add_threads,
    are_installed,
    limit_threads,
    make_parser,
    parse,
    print_header,
    print_table,
    stop,
    take_turns,
)
from sklearn.datasets import load_digits
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import GridSearchCV, StratifiedKFold
from sklearn.neural_network import MLPClassifier
from tasks import check_threads

from skcnn import ConvSigmoidClassifier

ALPHAS = (0.0, 1e-4, 1e-2)
RATES = (1e-3, 2e-3, 5e-3, 1e-2)
N_EPOCHS, BATCH_SIZE, N_FILTERS, SIDE = 10, 32, 8, 3
N_FOLDS = 5


class Search:
    """GridSearchCV of one program, and its last results."""

    def __init__(self, name, estimator, grid, X, y):
        self.name = name
        folds = StratifiedKFold(N_FOLDS, shuffle=True, random_state=0)
        self._search = GridSearchCV(estimator, grid, cv=folds, n_jobs=None)
        self._X, self._y = X, y

    @property
    def n_fits(self):
        return len(self._search.cv_results_["params"]) * N_FOLDS + 1

    @property
    def scores(self):
        """Mean test scores of the best candidate and of all candidates."""
        return self._search.best_score_, self._search.cv_results_["mean_test_score"].mean()

    def run(self):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # ten epochs are intended
            self._search.fit(self._X, self._y)
        n_epochs = getattr(self._search.best_estimator_, "n_iter_", N_EPOCHS)
        if n_epochs != N_EPOCHS:
            stop(f"{self.name} stopped after {n_epochs} epochs")


def skcnn_search(X, y, alphas, rates, threads):
    clf = ConvSigmoidClassifier(
        N_FILTERS,
        SIDE,
        pool_size=1,
        rescale=1 / 16,
        batch_size=BATCH_SIZE,
        max_iter=N_EPOCHS,
        tol=0.0,
        n_iter_no_change=N_EPOCHS,
        random_state=0,
        n_jobs=threads,
    )
    return Search("skcnn", clf, {"alpha": alphas, "learning_rate_init": rates}, X, y)


def mlp_search(X, y, alphas, rates, threads):
    clf = MLPClassifier(
        (100,), batch_size=BATCH_SIZE, max_iter=N_EPOCHS, tol=0.0, n_iter_no_change=N_EPOCHS, random_state=0
    )
    return Search("MLPClassifier((100,))", clf, {"alpha": alphas, "learning_rate_init": rates}, X / 16, y)


def skorch_search(X, y, alphas, rates, threads):
    import torch
    from skorch import NeuralNetClassifier

    torch.set_num_threads(threads)
    torch.manual_seed(0)

    class Module(torch.nn.Sequential):
        def __init__(self):
            n_hidden = N_FILTERS * (9 - SIDE) ** 2
            convolution = torch.nn.Conv2d(1, N_FILTERS, SIDE)
            super().__init__(convolution, torch.nn.Sigmoid(), torch.nn.Flatten(), torch.nn.Linear(n_hidden, 10))

    clf = NeuralNetClassifier(
        Module,
        criterion=torch.nn.CrossEntropyLoss,
        optimizer=torch.optim.Adam,
        batch_size=BATCH_SIZE,
        max_epochs=N_EPOCHS,
        iterator_train__shuffle=True,
        train_split=None,
        callbacks="disable",
        verbose=0,
    )
    # A penalty of alpha / 2 over the batch's weight, as in the other two programs.
    grid = {"optimizer__weight_decay": [alpha / BATCH_SIZE for alpha in alphas], "lr": rates}
    return Search("skorch on PyTorch", clf, grid, (X / 16).reshape(-1, 1, 8, 8), y)


def rows(searches, seconds):
    for i, search in enumerate(searches):
        own = seconds[:, i]
        best, mean = search.scores
        yield (
            search.name,
            f"{np.median(own):.2f} ({own.min():.2f})",
            f"{np.median(own) / search.n_fits * 1e3:.1f}",
            f"{np.median(own / seconds[:, 0]):.2f}",
            f"{best:.4f}",
            f"{mean:.4f}",
        )


def main(argv=None):
    parser = make_parser(__doc__)
    add_threads(parser)
    options = parse(parser, argv)
    limit_threads(options.threads)
    check_threads(options.threads)
    modules = ("sklearn", "skorch", "torch")
    print_header(options, options.threads, modules)
    X, y = load_digits(return_X_y=True)
    grid = (ALPHAS[:1], RATES[:1]) if options.quick else (ALPHAS, RATES)
    makers = [skcnn_search, mlp_search, *([skorch_search] if are_installed(modules) else [])]
    searches = [make(X.astype(np.float32), y, *grid, options.threads) for make in makers]
    seconds = take_turns([search.run for search in searches], options.repeats)
    print(
        f"digits, {searches[0].n_fits} fits of {N_EPOCHS} epochs, batches of {BATCH_SIZE}; "
        f"medians of {options.repeats} searches (and the fastest); accuracy over the folds\n"
    )
    header = ["program", "s a search", "ms a fit", "ratio", "best candidate's score", "mean of all"]
    print_table(header, rows(searches, seconds))


if __name__ == "__main__":
    main()
