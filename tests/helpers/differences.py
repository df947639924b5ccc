"""Central differences in float64, for the tests of gradients."""

import numpy as np
from numpy.linalg import norm

from tests.helpers import harness

# The error of differences of step h is about h**2 by truncation and 1e-16 / h by rounding, for numbers around 1.
STEP = 1e-5
TOLERANCE = 1e-6


def differences(function, *arrays):
    """Central differences of the number `function(*arrays)` with respect to every value of every array."""
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
    """The arrays of a gradient by name."""
    whole = np.zeros(network.n_parameters, gradient.dtype)
    whole[: network.n_trainable] = gradient
    views = network.views(whole)
    return {one.name: views[one.name] for one, *_ in network.layout if not one.statistic}


def assert_gradient_of_the_whole_loss(network, problem, **options):
    """Check that each array of the kernels' gradient is that of their loss, and that none vanishes."""
    parameters = problem["parameters"]
    trainable = parameters[: network.n_trainable]

    def evaluate():
        return harness.batch_gradient(network, **problem, **options)

    # `trainable` is a view, so the differences change `parameters`.
    (expected,) = differences(lambda _: evaluate()[0], trainable)
    actual, expected = split_gradient(network, evaluate()[1]), split_gradient(network, expected)
    for name, part in actual.items():
        if name.startswith(harness.INTERCEPTS) and not network.fit_intercept:
            assert not part.any()
        elif name == "intercepts" and network.standardize:
            # Standardised logits do not depend on their intercepts; the differences are rounding errors.
            assert not part.any()
            assert norm(expected[name]) < 1e-9
        else:
            assert norm(part - expected[name]) <= TOLERANCE * norm(expected[name]) + 1e-10
            assert norm(part) > 1e-4
