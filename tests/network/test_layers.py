"""The typed layers: their output shapes and parameters, and the network's layout of them."""

from math import prod

import numpy as np
import pytest

from skcnn.layers import Activation, Convolution, Dense, MaxPooling, Standardization, group_stages
from skcnn.network import Network
from tests.helpers import reference
from tests.helpers.arrays import random_arrays
from tests.helpers.marks import every_padding, every_shape

STACK = Network((9, 8, 2), (3, 4), ((3, 2), (2, 2)), 5, ((2, 1), (1, 1)), "same", "relu", standardize=True)


@every_shape
@every_padding
@pytest.mark.parametrize("pool_size", [(1, 1), (2, 2), (3, 1), (2, 3)], ids="pool {0[0]}x{0[1]}".format)
def test_shapes_of_a_stage(image_shape, kernel_size, padding, pool_size):
    layer = Convolution(image_shape, 0, 3, kernel_size, padding)
    images, filters = random_arrays(float, (1, *image_shape), layer.parameters[0].shape)
    whole = reference.pad_same(images, *kernel_size) if padding == "same" else images
    convolution = reference.correlate(whole, filters, np.zeros(3))
    assert layer.out_shape == (*convolution.shape[2:], 3)
    if padding == "same":
        assert layer.out_shape[:2] == image_shape[:2]
    pooled = MaxPooling(layer.out_shape, 0, pool_size).out_shape
    assert (3, *pooled[:2]) == reference.pools(convolution, *pool_size).shape[1:4]
    if min(pooled) > 0:
        # Only values that enter a pool are computed.
        (stage,) = Network(image_shape, (3,), (kernel_size,), 1, (pool_size,), padding).stages
        assert stage.out_shape == pooled
        assert stage.n_multiply_adds == prod(pooled) * prod(pool_size) * prod(kernel_size) * image_shape[2]


def test_a_network_is_a_list_of_layers():
    kinds = [type(layer) for layer in STACK.layers]
    first, second = [Convolution, Activation, MaxPooling], [Convolution, Activation]
    assert kinds == [*first, *second, Dense, Standardization, Activation]
    for layer, following in zip(STACK.layers, STACK.layers[1:], strict=False):
        assert following.in_shape == layer.out_shape
    assert [stage.pool_size for stage in STACK.stages] == [(2, 1), (1, 1)]
    assert STACK.hidden_shape == STACK.stages[-1].out_shape == STACK.layers[-3].in_shape


def test_layout():
    """The layers' parameters are in the order of the list, without gaps, and statistics are last."""
    names = [parameter.name for parameter, *_ in STACK.layout]
    assert names == [
        *("filters_0", "filter_intercepts_0", "filters_1", "filter_intercepts_1", "weights", "intercepts"),
        *("running_means", "running_variances"),
    ]
    ends = [0]
    for parameter, start, stop in STACK.layout:
        assert start == ends[-1]
        assert stop - start == prod(parameter.shape) == parameter.size
        ends.append(stop)
    assert STACK.n_parameters == ends[-1]
    assert STACK.n_trainable == ends[-3]
    numbers = np.arange(STACK.n_parameters)
    views = STACK.views(numbers)
    assert np.concatenate([view.ravel() for view in views.values()]).tolist() == numbers.tolist()
    assert views["filters_1"].shape == (4, 3, 2, 2)
    assert views["weights"].shape == (5, STACK.n_hidden)


def test_roles_of_parameters():
    """The penalty applies to weights only, and the solver skips parameters that are not learnt."""
    penalized = {parameter.name for parameter, *_ in STACK.layout if parameter.penalized}
    assert penalized == {"filters_0", "filters_1", "weights"}
    without = Network(STACK.image_shape, (3,), ((3, 2),), 5, fit_intercept=False)
    held = {parameter.name for parameter, *_ in without.layout if not parameter.trained}
    assert held == {"filter_intercepts_0", "intercepts"}
    # Standardisation cancels the output intercepts.
    held = {parameter.name for parameter, *_ in STACK.layout if not parameter.trained}
    assert held == {"intercepts", "running_means", "running_variances"}


@pytest.mark.parametrize(("activation", "he"), [("relu", True), ("tanh", False), ("sigmoid", False)])
@pytest.mark.parametrize("init", ["auto", "glorot_uniform", "he_uniform", "uniform"])
def test_initial_parameters(activation, he, init):
    """Initial weights fill the bounds of He's and Glorot's distributions."""
    network = Network((20, 20, 3), (40, 30), ((5, 5), (3, 3)), 7, activation=activation, standardize=True)
    views = network.views(network.initial_parameters(init, np.random.RandomState(0), np.float64))
    fans = {"filters_0": (75, 1000), "filters_1": (360, 270), "weights": (network.n_hidden, 7)}
    for name, (fan_in, fan_out) in fans.items():
        by_he = init == "he_uniform" or (init == "auto" and he and name != "weights")
        bound = np.sqrt(6 / (fan_in if by_he else fan_in + fan_out))
        low, high = (0, 1) if init == "uniform" else (-bound, bound)
        values = views.pop(name)
        assert low <= values.min() < low + 0.01 * (high - low)
        assert high - 0.01 * (high - low) < values.max() <= high
    assert (views.pop("running_variances") == 1).all()
    assert all(not view.any() for view in views.values())


def test_what_the_kernels_do_not_have():
    convolution = Convolution((9, 8, 2), 0, 3, (3, 2), "full")
    with pytest.raises(ValueError, match="padding='full' must be 'valid' or 'same'"):
        convolution.pads  # noqa: B018
    with pytest.raises(TypeError, match="The kernels have no dict"):
        group_stages([convolution, {}])
