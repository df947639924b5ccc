"""Max-pooling and its gradient."""

import numpy as np
import pytest

from skcnn.kernels import LANES
from skcnn.kernels import compiled as _kernels
from tests.helpers import reference
from tests.helpers.arrays import from_lanes, random_arrays, to_lanes
from tests.helpers.differences import assert_same_gradient, differences
from tests.helpers.harness import read_only
from tests.helpers.marks import every_dtype

# Name: shape of the values, pool_size; some have rows or columns that fill no pool.
POOLS = {
    "2 x 2": ((6, 8), (2, 2)),
    "2 x 2, ragged": ((7, 9), (2, 2)),
    "2 x 1": ((6, 5), (2, 1)),
    "1 x 2, ragged": ((3, 7), (1, 2)),
    "3 x 2, ragged": ((8, 7), (3, 2)),
    "2 x 5, ragged": ((5, 13), (2, 5)),
    "1 x 1": ((3, 4), (1, 1)),
    "all of it": ((4, 7), (4, 7)),
    "one pool, ragged": ((5, 5), (3, 3)),
    "signal": ((1, 23), (1, 4)),
    "as large as may be": ((256, 257), (256, 256)),
}
every_pool = pytest.mark.parametrize(("shape", "pool_size"), POOLS.values(), ids=POOLS)
SMALL_POOLS = {name: sizes for name, sizes in POOLS.items() if name != "as large as may be"}
every_small_pool = pytest.mark.parametrize(("shape", "pool_size"), SMALL_POOLS.values(), ids=SMALL_POOLS)
every_n_lanes = pytest.mark.parametrize("n_lanes", [1, LANES], ids=["image", "lanes"])


def pooled(maps, pool_size):
    """The kernel's maxima of maps (n_lanes, height, width), and their indices in the pools."""
    n_rows, n_columns = (side // pool for side, pool in zip(maps.shape[1:], pool_size, strict=True))
    out = np.full((n_rows, n_columns, len(maps)), np.nan, maps.dtype)
    indices = np.full(out.shape, 2**16 - 1, np.uint16)
    _kernels.max_pool_forward(to_lanes(maps), *pool_size, out, indices)
    return out, indices


@every_pool
@every_n_lanes
@every_dtype
@pytest.mark.parametrize("ties", [False, True], ids=["", "ties"])
def test_max_pooling(shape, pool_size, n_lanes, dtype, ties):
    """The first of several maxima wins: its index is kept, and it gets the whole gradient."""
    (maps,) = random_arrays(dtype, (n_lanes, *shape))
    if ties:
        maps = np.round(maps)
    out, indices = pooled(maps, pool_size)
    with_filters = maps[:, np.newaxis]
    np.testing.assert_array_equal(from_lanes(out), reference.max_pool(with_filters, *pool_size)[:, 0])
    first = reference.pools(with_filters, *pool_size).argmax(axis=-1)[:, 0]
    np.testing.assert_array_equal(from_lanes(indices), first)

    (d_out,) = random_arrays(dtype, out.shape, seed=1)
    d_values = np.full((*shape, n_lanes), np.nan, dtype)
    _kernels.max_pool_backward(read_only(d_out), read_only(indices), *pool_size, d_values)
    d_pooled = from_lanes(d_out)[:, np.newaxis]
    d_expected = to_lanes(reference.max_pool_backward(with_filters, *pool_size, d_pooled)[:, 0])
    rows, columns = (side // pool * pool for side, pool in zip(shape, pool_size, strict=True))
    np.testing.assert_array_equal(d_values[:rows, :columns], d_expected[:rows, :columns])
    # The kernel does not write to values that fill no pool.
    assert np.isnan(d_values[rows:]).all()
    assert np.isnan(d_values[:, columns:]).all()


@every_small_pool
@every_n_lanes
def test_gradient_by_differences(shape, pool_size, n_lanes):
    """No two values are so close that a step changes their order."""
    values = np.random.default_rng(0).permutation(n_lanes * np.prod(shape)) / 100
    maps = values.reshape(n_lanes, *shape)
    out, indices = pooled(maps, pool_size)
    (projection,) = random_arrays(float, out.shape)
    d_values = np.zeros((*shape, n_lanes))
    _kernels.max_pool_backward(projection, indices, *pool_size, d_values)
    (expected,) = differences(lambda maps: (projection * pooled(maps, pool_size)[0]).sum(), maps)
    assert_same_gradient(from_lanes(d_values), expected)


@every_n_lanes
@every_dtype
def test_pools_of_equal_and_of_infinite_values(n_lanes, dtype):
    """The first of equal or infinite values is the maximum."""
    for value in (0, -np.inf, np.inf, np.finfo(dtype).min):
        out, indices = pooled(np.full((n_lanes, 4, 6), value, dtype), (2, 3))
        np.testing.assert_array_equal(out, np.full((2, 2, n_lanes), value))
        assert not indices.any()


@every_n_lanes
@every_dtype
@pytest.mark.parametrize("index", range(6))
def test_pools_with_nan(n_lanes, dtype, index):
    """A pool with a NaN in any place has NaN as its maximum."""
    (maps,) = random_arrays(dtype, (n_lanes, 2, 3))
    maps[:, (index + 1) % 6 // 3, (index + 1) % 3] = np.inf
    maps[0, index // 3, index % 3] = np.nan
    out, indices = pooled(maps, (2, 3))
    assert np.isnan(out[0, 0, 0])
    assert indices[0, 0, 0] == index
    assert (out[0, 0, 1:] == np.inf).all()
