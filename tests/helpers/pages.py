"""Networks of all kinds that a web page must compute, and images for them."""

import numpy as np

# Name: image_shape, number of classes (0 for multilabel), and hyper-parameters; fits take a few steps.
NETWORKS = {
    "one layer": ((8, 8), 10, {}),
    "stack, same padding, pools": (
        (8, 9), 3, {"n_filters": (4, 5), "kernel_size": [3, (2, 3)], "padding": "same", "pool_size": [(2, 3), 1],
                    "activation": "relu"},
    ),
    "three layers, tanh": (
        (11, 13, 2), 4, {"n_filters": (2, 5, 3), "kernel_size": [(3, 2), (2, 3), 2], "activation": "tanh",
                         "pool_size": [(2, 1), 1, (1, 2)], "padding": "same"},
    ),
    "even kernels": ((8, 9), 2, {"n_filters": (4, 2), "kernel_size": [(4, 2), (2, 4)], "padding": "same"}),
    "colour": ((7, 6, 3), 3, {"n_filters": 5, "pool_size": 2, "rescale": 0.25}),
    "signal": ((1, 37), 3, {"n_filters": (4, 3), "kernel_size": 5, "padding": "same", "activation": "relu",
                            "pool_size": [(1, 3), (1, 2)]}),
    "upright signal of channels": ((41, 1, 2), 2, {"n_filters": (2, 3), "kernel_size": [5, 2], "activation": "tanh"}),
    "several labels": ((8, 8), 0, {"pool_size": 2}),
    "batch_norm": ((8, 8), 5, {"n_filters": (3, 4), "batch_norm": True, "activation": "relu"}),
    "standardize": ((8, 8), 4, {"standardize": True}),
    "two classes, standardize, batch_norm": ((9, 7), 2, {"standardize": True, "batch_norm": True}),
    "global average": ((9, 8), 3, {"n_filters": (3, 11), "global_pool": "average", "padding": "same"}),
    "global max": ((1, 41), 3, {"n_filters": (6, 5), "global_pool": "max", "activation": "relu"}),
    "no intercepts": ((8, 8), 3, {"fit_intercept": False, "activation": "relu"}),
}  # fmt: skip


def problem(shape, n_classes):
    """Images, and their labels, the part of each image that is brightest."""
    rng = np.random.RandomState(3)
    X = rng.normal(size=(100, *shape))
    scores = X.reshape(100, -1)[:, : 6 * max(n_classes, 3)].reshape(100, -1, 6).sum(axis=2)
    return X, (scores > 0).astype(int) if n_classes == 0 else np.array(list("abcdefghij"))[scores.argmax(axis=1)]


def fit_network(make, name, dtype="float64"):
    """An estimator made by `make` and fitted with one of the networks, its images and labels."""
    shape, n_classes, parameters = NETWORKS[name]
    X, y = problem(shape, n_classes)
    return make(**parameters).fit(X.astype(dtype), y), X.astype(dtype), y
