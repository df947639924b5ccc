"""Central differences, in float64: what the tests of gradients share."""

import numpy as np
from numpy.linalg import norm

# Differences of step h err by about h**2 in truncation and 1e-16 / h in rounding, relative to numbers around 1.
STEP = 1e-5
TOLERANCE = 1e-6


def differences(function, *arrays):
    """Central differences of a number, `function(*arrays)`, by every value of every array."""
    gradients = []
    for array in arrays:
        gradient = np.empty_like(array)
        for at in np.ndindex(array.shape):
            value = array[at]
            array[at] = value + STEP
            above = function(*arrays)
            array[at] = value - STEP
            gradient[at] = (above - function(*arrays)) / (2 * STEP)
            array[at] = value
        gradients.append(gradient)
    return gradients


def assert_same_gradient(actual, expected):
    assert norm(actual - expected) <= TOLERANCE * norm(expected)


def split_gradient(network, gradient):
    """The parts of a gradient by name, statistics left out."""
    whole = np.zeros(network.n_parameters, gradient.dtype)
    whole[: network.n_trainable] = gradient[: network.n_trainable]
    return {name: view for name, view in network.views(whole).items() if not name.startswith("running_")}
