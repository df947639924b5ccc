"""Central differences, in float64: what the tests of gradients share."""

import numpy as np
from numpy.linalg import norm

from tests.helpers import harness

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
    """The parts of a gradient by name."""
    whole = np.zeros(network.n_parameters, gradient.dtype)
    whole[: network.n_trainable] = gradient
    views = network.views(whole)
    return {one.name: views[one.name] for one, *_ in network.layout if not one.statistic}


def assert_gradient_of_the_whole_loss(network, problem, **options):
    """The kernels' gradient is that of their loss, in every part; and no part of it vanishes."""
    parameters = problem["parameters"]
    trainable = parameters[: network.n_trainable]

    def evaluate():
        return harness.batch_gradient(network, **problem, **options)

    # `trainable` is a view: what the differences change there, they change in `parameters`.
    (expected,) = differences(lambda _: evaluate()[0], trainable)
    actual, expected = split_gradient(network, evaluate()[1]), split_gradient(network, expected)
    for name, part in actual.items():
        if name.startswith(harness.INTERCEPTS) and not network.fit_intercept:
            assert not part.any()
        elif name == "intercepts" and network.standardize:
            # Standardised logits do not depend on their intercepts: the differences are the rounding errors of 0.
            assert not part.any()
            assert norm(expected[name]) < 1e-9
        else:
            assert norm(part - expected[name]) <= TOLERANCE * norm(expected[name]) + 1e-10
            assert norm(part) > 1e-4
