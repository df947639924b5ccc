"""Estimators with randomly drawn networks of all kinds, for the tests of exports."""

import doctest
from math import prod

import numpy as np
from scipy.special import expit

from skcnn import ConvSigmoidClassifier

N_NETWORKS = 30
N_SAMPLES = 24
# Number of channels, and whether the images are signals.
KINDS = {"grey": (1, False), "colour": (3, False), "signal": (1, True), "signals": (2, True)}
# Number of classes or labels, and whether they are multilabel.
TARGETS = {"two classes": (2, False), "three": (3, False), "eleven": (11, False), "labels": (4, True)}


def draw_sizes(rng, shape, n_layers, padding):
    """Kernels and pools for images of a shape (height, width); some sides are even, some pools leave a remainder."""
    kernels, pools = [], []
    for _ in range(n_layers):
        kernels.append(tuple(int(rng.integers(1, min(5, side) + 1)) for side in shape))
        if padding == "valid":
            shape = tuple(side - by + 1 for side, by in zip(shape, kernels[-1], strict=True))
        pools.append(tuple(int(rng.integers(1, min(3, side) + 1)) for side in shape))
        shape = tuple(side // by for side, by in zip(shape, pools[-1], strict=True))
    return kernels, pools


def draw_network(number):
    """Hyper-parameters of a network, and the kind of its targets."""
    rng = np.random.default_rng(number)
    n_channels, is_signal = KINDS[("grey", "grey", "colour", "colour", "signal", "signals")[rng.integers(6)]]
    shape = (1, int(rng.integers(12, 40))) if is_signal else tuple(map(int, rng.integers(6, 13, size=2)))
    n_layers, padding = int(rng.integers(1, 4)), ("valid", "same")[number % 2]
    kernels, pools = draw_sizes(rng, shape, n_layers, padding)
    hyper_parameters = {
        "n_filters": tuple(map(int, rng.integers(1, 6, size=n_layers))),
        "kernel_size": kernels,
        "image_shape": (*shape, n_channels),
        "padding": padding,
        "pool_size": pools,
        "activation": ("sigmoid", "tanh", "relu")[number % 3],
        "batch_norm": bool(rng.integers(2)),
        "global_pool": (None, None, "average", "max")[rng.integers(4)],
        "standardize": bool(rng.random() < 0.3),
        "fit_intercept": bool(rng.random() < 0.75),
        "rescale": (1.0, 1 / 255, 0.3)[rng.integers(3)],
    }
    return hyper_parameters, list(TARGETS.values())[rng.integers(4)]


def draw_images(network, dtype, rng):
    """Rows of pixels that rescaling brings to between -1 and 1, or between 0 and 1."""
    size = N_SAMPLES, prod(network["image_shape"])
    if dtype == "float32" and network["rescale"] == 1 / 255:
        return rng.integers(256, size=size, dtype=np.uint8)
    return (rng.uniform(-1, 1, size=size) / network["rescale"]).astype(dtype)


def draw_fitted(number, dtype, **changes):
    """An estimator trained for some steps in a dtype, and its training rows.

    `changes` replace drawn hyper-parameters.
    """
    network, (n_classes, multilabel) = draw_network(number)
    rng = np.random.default_rng(number)
    X = draw_images(network, dtype, rng)
    codes = rng.permutation(np.arange(N_SAMPLES) % n_classes)
    y = rng.integers(2, size=(N_SAMPLES, n_classes)) if multilabel else np.array(list("kjihgfedcba"))[codes]
    training = {"batch_size": 8, "learning_rate_init": 0.05, "learning_rate": "cosine", "max_iter": 3}
    clf = ConvSigmoidClassifier(**network | training | changes, random_state=number).fit(X, y)
    assert clf.coefs_[0].dtype == dtype
    return clf, X


def images_of(clf, X):
    """Rows as images, (n_samples, height, width, n_channels)."""
    return X.reshape(-1, *clf.image_shape_)


def sigmoids(clf, X):
    """The outputs (n_samples, n_outputs), before `predict_proba` scales them."""
    return expit(clf.decision_function(X).reshape(len(X), -1).astype(float))


def float32_tolerance(clf, X):
    """Tolerance of sigmoids that both sides compute in float32: the rounding of a logit's largest terms.

    Standardisation divides a logit, and with it the rounding, by a deviation that may be small.
    """
    terms = np.abs(clf.transform(X)) @ np.abs(clf.coefs_[-1])
    if clf.standardize:
        views = clf._views()
        terms = (terms + np.abs(views["running_means"])) / np.sqrt(views["running_variances"] + 1e-12)
    return 2e-7 * (1 + np.max(terms))


def assert_variety():
    """Check that every kind occurs among the networks."""
    drawn = [draw_network(number) for number in range(N_NETWORKS)]
    for name in ("padding", "activation", "batch_norm", "global_pool", "standardize", "fit_intercept", "rescale"):
        values = {network[name] for network, _ in drawn}
        n_values = {"activation": 3, "global_pool": 3, "rescale": 3}.get(name, 2)
        assert len(values) == n_values, name
    assert {targets for _, targets in drawn} == set(TARGETS.values())
    assert {(network["image_shape"][2], network["image_shape"][0] == 1) for network, _ in drawn} == set(KINDS.values())
    assert {len(network["n_filters"]) for network, _ in drawn} == {1, 2, 3}
    padded = [network["kernel_size"] for network, _ in drawn if network["padding"] == "same"]
    assert sum(side % 2 == 0 for kernels in padded for kernel in kernels for side in kernel) > 5
    assert sum(leaves_a_rest(network) for network, _ in drawn) > 5


def leaves_a_rest(network):
    """Whether some pool leaves a remainder."""
    shape = network["image_shape"][:2]
    for kernel, pool in zip(network["kernel_size"], network["pool_size"], strict=True):
        lost = 0 if network["padding"] == "same" else 1
        shape = [side - lost * (by - 1) for side, by in zip(shape, kernel, strict=True)]
        if any(side % by for side, by in zip(shape, pool, strict=True)):
            return True
        shape = [side // by for side, by in zip(shape, pool, strict=True)]
    return False


def run_example(function):
    """Run the examples of a docstring, including those that are skipped because optional packages may be missing."""
    examples = function.__doc__.replace("# doctest: +SKIP", "")
    test = doctest.DocTestParser().get_doctest(examples, {}, function.__name__, None, None)
    assert test.examples
    assert doctest.DocTestRunner(verbose=False).run(test).failed == 0
