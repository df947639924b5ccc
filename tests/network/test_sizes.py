"""From hyper-parameters to sizes by layer."""

import pytest

from skcnn.sizes import layer_sizes


def test_pools_that_are_too_large_for_their_indices():
    """Where in a pool the largest value is has 16 bits: the gradient would go elsewhere."""
    choices = {"n_filters": 1, "kernel_size": 1, "padding": "valid"}
    assert layer_sizes((256, 300, 1), **choices, pool_size=256)[2] == ((256, 256),)
    assert layer_sizes((1, 70_000, 1), **choices, pool_size=[(1, 65_536)])[2] == ((1, 65_536),)
    for shape, pool_size in [((256, 257, 1), 257), ((1, 70_000, 1), [(1, 65_537)])]:
        with pytest.raises(ValueError, match=r"pool_size.* makes pools of .* values; they may have 65536"):
            layer_sizes(shape, **choices, pool_size=pool_size)


@pytest.mark.parametrize("kernel_size", [(3, 2), [3, 2], ((3, 3), 2), [[3, 3], (2, 2)], [(3, 3), [2, 2]]], ids=str)
def test_lists_and_tuples_mean_the_same(kernel_size):
    """JSON and YAML know no tuples: what a search wrote down trains the same network when it is read again."""
    sizes = layer_sizes((9, 9, 1), (4, 5), kernel_size, 1, "valid")
    assert sizes == ((4, 5), ((3, 3), (2, 2)), ((1, 1), (1, 1)))
