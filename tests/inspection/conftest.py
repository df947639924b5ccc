"""Classifiers of several kinds with their images, and figures without a display."""

import numpy as np
import pytest

from skcnn import ConvSigmoidClassifier


@pytest.fixture(autouse=True)
def pyplot():
    """pyplot without a display."""
    pyplot = pytest.importorskip("matplotlib.pyplot")
    pyplot.switch_backend("agg")
    yield pyplot
    pyplot.close("all")


def make_images(*shape, n_samples=24, n_classes=3):
    """Random images (n_samples, *shape) and their classes."""
    rng = np.random.default_rng(0)
    y = np.arange(n_samples) % n_classes
    return rng.normal(size=(n_samples, *shape)) + y.reshape(-1, *[1] * len(shape)), y


# Name: shape of an image, number of classes or labels, and hyper-parameters.
KINDS = {
    "grey": ((9, 8), 3, {"n_filters": 3, "kernel_size": 3}),
    "two classes": ((9, 8), 2, {"n_filters": 3, "kernel_size": 3}),
    "colour, stack": ((9, 8, 3), 3, {"n_filters": (3, 4)}),
    "two channels, three layers": ((10, 11, 2), 3, {"n_filters": (3, 4, 2), "activation": "tanh"}),
    "signal": ((1, 40), 3, {"n_filters": (3, 4)}),
    "upright signal, two channels": ((40, 1, 2), 3, {"n_filters": (3, 4), "padding": "valid"}),
    "normalized, average": ((9, 8), 3, {"n_filters": (3, 4), "batch_norm": True, "global_pool": "average"}),
    "normalized, max": ((9, 8), 3, {"n_filters": (3, 4), "batch_norm": True, "global_pool": "max"}),
    "standardized": ((9, 8), 3, {"n_filters": 3, "standardize": True}),
    "standardized, two classes": ((9, 8), 2, {"n_filters": 3, "standardize": True}),
    "labels": ((9, 8), "labels", {"n_filters": 3}),
    "strings": ((9, 8), "strings", {"n_filters": 3}),
    "float32": ((9, 8), 3, {"n_filters": (3, 4)}),
}


def fit_kind(kind):
    shape, n_classes, parameters = KINDS[kind]
    X, y = make_images(*shape, n_classes=n_classes if isinstance(n_classes, int) else 3)
    if n_classes == "labels":
        y = np.stack([y == 0, y > 0, y == 2], axis=1).astype(int)
    if n_classes == "strings":
        y = np.array(["ant", "bee", "cat"])[y]
    if kind == "float32":
        X = X.astype(np.float32)
    quick = {"max_iter": 3, "tol": 1e9, "n_iter_no_change": 1, "random_state": 0}
    return ConvSigmoidClassifier(**quick, **parameters).fit(X, y), X


@pytest.fixture(params=KINDS)
def fitted_kind(request):
    """A fitted classifier of each kind, and its images."""
    return fit_kind(request.param)


@pytest.fixture
def stack():
    return fit_kind("colour, stack")
