"""The sizes of each layer, from hyper-parameters."""

import pytest

from skcnn.sizes import choose_activation, choose_padding, layer_sizes


def test_pools_that_are_too_large_for_their_indices():
    """Indices within a pool have 16 bits; with larger pools, gradients would go to wrong values."""
    choices = {"n_filters": 1, "kernel_size": 1, "padding": "valid"}
    assert layer_sizes((256, 300, 1), **choices, pool_size=256)[2] == ((256, 256),)
    assert layer_sizes((1, 70_000, 1), **choices, pool_size=[(1, 65_536)])[2] == ((1, 65_536),)
    for shape, pool_size in [((256, 257, 1), 257), ((1, 70_000, 1), [(1, 65_537)])]:
        with pytest.raises(ValueError, match=r"pool_size.* makes pools of .* values; at most 65536 fit"):
            layer_sizes(shape, **choices, pool_size=pool_size)


@pytest.mark.parametrize("kernel_size", [(3, 2), [3, 2], ((3, 3), 2), [[3, 3], (2, 2)], [(3, 3), [2, 2]]], ids=str)
def test_lists_and_tuples_mean_the_same(kernel_size):
    """JSON and YAML have no tuples, so stored parameters must train the same network with lists."""
    sizes = layer_sizes((9, 9, 1), (4, 5), kernel_size, 1, "valid")
    assert sizes == ((4, 5), ((3, 3), (2, 2)), ((1, 1), (1, 1)))


@pytest.mark.parametrize("n_filters", [4, [4]])
@pytest.mark.parametrize(
    ("image_shape", "kernel", "pool"),
    [
        ((28, 28, 1), (5, 5), (2, 2)),
        ((3, 40, 2), (3, 5), (1, 2)),
        ((2, 500, 1), (2, 5), (1, 2)),
        ((1, 4, 1), (1, 4), (1, 1)),
        ((1, 6, 1), (1, 5), (1, 2)),
        ((1, 40, 1), (1, 5), (1, 2)),
        ((100, 1, 6), (11, 1), (2, 1)),
        ((1, 199, 1), (1, 19), (1, 2)),
        ((1, 1000, 1), (1, 25), (1, 2)),
        ((1, 1001, 1), (1, 5), (1, 2)),
    ],
)
def test_auto_of_one_layer(n_filters, image_shape, kernel, pool):
    assert layer_sizes(image_shape, n_filters, "auto", "auto", "valid") == ((4,), (kernel,), (pool,))
    assert choose_padding("auto", n_filters) == "valid"
    assert choose_activation("auto", n_filters) == "sigmoid"


@pytest.mark.parametrize(("n_filters", "side"), [(4, 25), ((4, 5), 9)])
def test_kernels_for_long_signals_that_are_pooled_globally(n_filters, side):
    """Rows of more than 1000 values are taken for features, except with global pooling."""
    _, kernels, _ = layer_sizes((1, 1500, 1), n_filters, "auto", 1, "same", "average")
    assert set(kernels) == {(1, side)}


@pytest.mark.parametrize(
    ("image_shape", "pools"),
    [
        ((1, 999, 1), [(1, 2), (1, 2), (1, 2)]),
        ((1, 1000, 1), [(1, 4), (1, 2), (1, 2)]),
        ((4000, 1, 6), [(4, 1), (4, 1), (2, 1)]),
        ((100, 2000, 1), [(2, 2), (2, 2), (2, 2)]),
    ],
)
def test_pools_of_long_signals_that_are_pooled_globally(image_shape, pools):
    assert layer_sizes(image_shape, (4, 5, 6), 3, "auto", "same", "max")[2] == tuple(pools)


@pytest.mark.parametrize(
    ("image_shape", "n_layers", "kernel", "pools"),
    [
        ((8, 8, 1), 2, (3, 3), [2, 1]),
        ((16, 16, 1), 3, (3, 3), [2, 2, 1]),
        ((28, 28, 1), 3, (3, 3), [2, 2, 1]),
        ((32, 32, 3), 4, (3, 3), [2, 2, 2, 1]),
        ((1, 20, 1), 2, (1, 3), [(1, 2), (1, 2)]),
        ((1, 40, 1), 4, (1, 5), [(1, 2), (1, 2), (1, 2), 1]),
        ((1, 500, 3), 2, (1, 9), [(1, 2), (1, 2)]),
        ((1, 1500, 1), 2, (1, 3), [(1, 2), (1, 2)]),
        ((9, 500, 1), 3, (3, 3), [2, (1, 2), (1, 2)]),
    ],
)
def test_auto_of_a_stack(image_shape, n_layers, kernel, pools):
    """Pools are 2 along each side that keeps at least 4 pixels."""
    pools = tuple((pool, pool) if isinstance(pool, int) else pool for pool in pools)
    n_filters = (4,) * n_layers
    assert layer_sizes(image_shape, n_filters, "auto", "auto", "same") == (n_filters, (kernel,) * n_layers, pools)
    assert choose_padding("auto", n_filters) == "same"
    assert choose_activation("auto", n_filters) == "relu"


def test_what_is_given_is_not_chosen():
    sizes = layer_sizes((28, 28, 1), (4, 5), 7, "auto", "valid")
    assert sizes == ((4, 5), ((7, 7), (7, 7)), ((2, 2), (1, 1)))
    assert choose_padding("valid", (4, 5)) == "valid"
    assert choose_activation("tanh", (4, 5)) == "tanh"
