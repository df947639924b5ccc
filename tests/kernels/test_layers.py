"""The kernels of stacks against plain NumPy: pooling, filters turned round, shifts; and what a layer knows of itself.

As in test_kernels.py: lanes come last, inputs are read-only, and what is not to be written to is NaN and stays NaN.
"""

import numpy as np
import pytest

from skcnn.kernels import LANES, TAP_BLOCK, forward
from skcnn.kernels import compiled as _kernels
from skcnn.layers import Layer, layer_sizes
from skcnn.network import Network
from tests.helpers import reference
from tests.helpers.differences import assert_same_gradient, differences
from tests.helpers.reference import assert_close, random_problem, read_only

DTYPES = ("float32", "float64")
every_dtype = pytest.mark.parametrize("dtype", DTYPES)
every_padding = pytest.mark.parametrize("padding", ["valid", "same"])


def random_array(dtype, *shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype(dtype)


def to_lanes(array):
    """The first axis, samples, becomes the last."""
    return np.ascontiguousarray(np.moveaxis(array, 0, -1))


# ---- pooling ----

# Name: rows and columns of the values, pool_size; some have rows or columns that fill no pool.
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
every_n_lanes = pytest.mark.parametrize("n_lanes", [1, LANES], ids=["image", "lanes"])


def pooled(maps, pool_size):
    """The largest values and their places, by the kernel, of maps (n_lanes, height, width)."""
    n_rows, n_columns = (side // pool for side, pool in zip(maps.shape[1:], pool_size, strict=True))
    out = np.full((n_rows, n_columns, len(maps)), np.nan, maps.dtype)
    places = np.full(out.shape, 2**16 - 1, np.uint16)
    _kernels.max_pool_forward(read_only(to_lanes(maps)), *pool_size, out, places)
    return out, places


@every_pool
@every_n_lanes
@every_dtype
@pytest.mark.parametrize("ties", [False, True], ids=["", "ties"])
def test_max_pooling(shape, pool_size, n_lanes, dtype, ties):
    """Of several largest values the first wins: it has the place, and gets the whole gradient."""
    maps = random_array(dtype, n_lanes, *shape)
    if ties:
        maps = np.round(maps)
    out, places = pooled(maps, pool_size)
    with_filters = maps[:, np.newaxis]
    expected = reference.max_pool(with_filters, *pool_size)[:, 0]
    np.testing.assert_array_equal(np.moveaxis(out, -1, 0), expected)
    first = reference.pools(with_filters, *pool_size).argmax(axis=-1)[:, 0]
    np.testing.assert_array_equal(np.moveaxis(places, -1, 0), first)

    d_out = random_array(dtype, *out.shape, seed=1)
    d_values = np.full((*shape, n_lanes), np.nan, dtype)
    _kernels.max_pool_backward(read_only(d_out), read_only(places), *pool_size, d_values)
    d_pooled = np.moveaxis(d_out, -1, 0)[:, np.newaxis]
    d_expected = to_lanes(reference.max_pool_backward(with_filters, *pool_size, d_pooled)[:, 0])
    rows, columns = (side // pool * pool for side, pool in zip(shape, pool_size, strict=True))
    np.testing.assert_array_equal(d_values[:rows, :columns], d_expected[:rows, :columns])
    # What fills no pool is not the kernel's.
    assert np.isnan(d_values[rows:]).all()
    assert np.isnan(d_values[:, columns:]).all()


@every_n_lanes
@every_dtype
def test_pools_of_equal_and_of_infinite_values(n_lanes, dtype):
    """Nothing is larger than the first of them."""
    for value in (0, -np.inf, np.inf, np.finfo(dtype).min):
        out, places = pooled(np.full((n_lanes, 4, 6), value, dtype), (2, 3))
        np.testing.assert_array_equal(out, np.full((2, 2, n_lanes), value))
        assert not places.any()


@every_n_lanes
@every_dtype
@pytest.mark.parametrize("place", range(6))
def test_pools_with_nan(n_lanes, dtype, place):
    """NaN is what comes out, wherever it is and whatever is beside it."""
    maps = random_array(dtype, n_lanes, 2, 3)
    maps[:, (place + 1) % 6 // 3, (place + 1) % 3] = np.inf
    maps[0, place // 3, place % 3] = np.nan
    out, places = pooled(maps, (2, 3))
    assert np.isnan(out[0, 0, 0])
    assert places[0, 0, 0] == place
    assert (out[0, 0, 1:] == np.inf).all()


def test_pools_that_are_too_large_for_their_places():
    """Where in a pool the largest value is has 16 bits: the gradient would go elsewhere."""
    choices = {"n_filters": 1, "kernel_size": 1, "padding": "valid"}
    assert layer_sizes((256, 300, 1), **choices, pool_size=256)[2] == ((256, 256),)
    assert layer_sizes((1, 70_000, 1), **choices, pool_size=(1, 65_536))[2] == ((1, 65_536),)
    for shape, pool_size in [((256, 257, 1), 257), ((1, 70_000, 1), (1, 65_537))]:
        with pytest.raises(ValueError, match=r"pool_size=.* makes pools of .* values; they may have 65536"):
            layer_sizes(shape, **choices, pool_size=pool_size)


# ---- filters turned round ----


@every_dtype
@pytest.mark.parametrize("shape", [(1, 1, 1, 1), (2, 3, 2, 2), (5, 1, 3, 2), (3, 4, 1, 5)], ids=str)
def test_turn_filters(shape, dtype):
    n_filters, n_channels, *_ = shape
    filters = random_array(dtype, *shape)
    turned = np.full(filters.size + n_channels + LANES, np.nan, dtype)
    _kernels.turn_filters(read_only(filters.reshape(n_filters, n_channels, -1)), turned)
    expected = filters[:, :, ::-1, ::-1].swapaxes(0, 1)
    np.testing.assert_array_equal(turned[: filters.size], expected.ravel())
    # For intercepts.
    np.testing.assert_array_equal(turned[filters.size : filters.size + n_channels], 0)
    assert np.isnan(turned[filters.size + n_channels :]).all()


# ---- what a layer reads ----

# image_shape (height, width, n_channels), kernel_size.
SHAPES = {
    "square": ((5, 5, 1), (3, 3)),
    "channels": ((4, 6, 3), (2, 3)),
    "even kernel": ((6, 5, 2), (4, 2)),
    "signal": ((1, 12, 2), (1, 4)),
    "upright signal": ((9, 1, 1), (2, 1)),
    "kernel as large as the image": ((3, 4, 2), (3, 4)),
    "kernel 1x1": ((3, 4, 7), (1, 1)),
}
every_shape = pytest.mark.parametrize(("image_shape", "kernel_size"), SHAPES.values(), ids=SHAPES)


def padded(layer, images):
    """Images (n_samples, height, width, n_channels) as a layer reads them, in planes: (n_samples, n_channels, ...)."""
    whole = reference.pad_same(images, *layer.kernel_size) if layer.padding == "same" else images
    return np.moveaxis(whole, -1, 1)


def d_planes(layer, d_correlated):
    """The gradient of a convolution (n_samples, n_filters, height, width), in planes of zeros as d_strides says.

    They are cut into rows; what is left of the last one behind the last plane is NaN.
    """
    n_samples, n_filters, height, width = d_correlated.shape
    size, start = layer.d_strides
    row = layer.strides[0]
    whole = np.full((-(-n_filters * size // row) * row, n_samples), np.nan, d_correlated.dtype)
    whole[: n_filters * size] = 0
    for f in range(n_filters):
        for i in range(height):
            first = f * size + start + i * row
            whole[first : first + width] = d_correlated[:, f, i].T
    return whole.reshape(1, -1, row, n_samples)


def back_to_images(layer, filters, d_correlated):
    """The gradient of what a layer reads, by the kernels: (n_channels, height, width, lanes)."""
    n_filters, n_channels = filters.shape[:2]
    turned = np.empty(filters.size + n_channels, filters.dtype)
    _kernels.turn_filters(filters.reshape(n_filters, n_channels, -1), turned)
    height, width, _ = layer.in_shape
    out = np.full((n_channels, height, width, LANES), np.nan, filters.dtype)
    bank, zeros = np.split(turned, [filters.size])
    x = read_only(d_planes(layer, d_correlated))
    _kernels.convolution_forward(x, bank.reshape(n_channels, -1), zeros, read_only(layer.d_taps * LANES), out)
    return out


@every_shape
@every_padding
@pytest.mark.parametrize("n_filters", [1, 2, 5, 7], ids="{} filters".format)
@every_dtype
def test_gradient_of_what_a_layer_reads(image_shape, kernel_size, padding, n_filters, dtype):
    layer = Layer(image_shape, n_filters, kernel_size, (1, 1), padding)
    filters = random_array(dtype, *layer.filters_shape)
    d_correlated = random_array(dtype, LANES, n_filters, *layer.conv_shape, seed=1)
    expected = reference.correlate_backward_images(d_correlated.astype(float), filters.astype(float))
    if padding == "same":
        expected = reference.crop_same(expected, *kernel_size)
    assert_close(back_to_images(layer, filters, d_correlated), np.moveaxis(expected, (0, -1), (-1, 0)))


@every_shape
@every_padding
def test_gradient_of_what_a_layer_reads_by_differences(image_shape, kernel_size, padding):
    layer = Layer(image_shape, 3, kernel_size, (1, 1), padding)
    filters = random_array(float, *layer.filters_shape)
    projection = random_array(float, LANES, 3, *layer.conv_shape, seed=1)
    out = np.empty((3, *layer.conv_shape, LANES))

    def project(image):
        """The image is the same in every lane."""
        x = to_lanes(padded(layer, np.repeat(image[np.newaxis], LANES, axis=0)))
        _kernels.convolution_forward(x, filters.reshape(3, -1), np.zeros(3), layer.taps * LANES, out)
        return (to_lanes(projection) * out).sum()

    d_images = back_to_images(layer, filters, projection).sum(axis=-1)
    (expected,) = differences(project, random_array(float, *image_shape, seed=2))
    assert_same_gradient(np.moveaxis(d_images, 0, -1), expected)


# ---- convolution in tiles: every number of filters and of columns has its own ----


@pytest.mark.parametrize("n_filters", range(1, 14), ids="{} filters".format)
@every_dtype
def test_convolution_of_a_group_in_tiles(n_filters, dtype):
    for out_width in range(1, 21):
        layer = Layer((3, out_width + 1, 1), n_filters, (2, 2), (1, 1), "valid")
        images = random_array(dtype, LANES, *layer.in_shape)
        filters, intercepts = random_array(dtype, *layer.filters_shape), random_array(dtype, n_filters)
        whole = np.full((n_filters + 1, *layer.conv_shape, LANES), np.nan, dtype)
        x, bank = read_only(to_lanes(padded(layer, images))), read_only(filters.reshape(n_filters, -1))
        _kernels.convolution_forward(x, bank, read_only(intercepts), read_only(layer.taps * LANES), whole[:-1])
        doubles = (array.astype(float) for array in (images, filters, intercepts))
        assert_close(whole[:-1], to_lanes(reference.correlate(*doubles)))
        assert np.isnan(whole[-1]).all()


@pytest.mark.parametrize("n_filters", range(1, 14), ids="{} filters".format)
@every_dtype
def test_convolution_of_an_image_by_itself_in_tiles(n_filters, dtype):
    """All its rows are one run, of any length."""
    for width in range(1, 42):
        network = Network((2, width, 1), (n_filters,), ((2, min(width, 3)),), 1, padding="same")
        problem = random_problem(network, 1, dtype)
        logits, hidden = np.full((1, 1), np.nan, dtype), np.full((1, network.n_hidden), np.nan, dtype)
        forward(read_only(problem["X"]), None, network, read_only(problem["parameters"]), 1, logits, hidden)
        views = network.views(problem["parameters"].astype(float))
        images = problem["X"].astype(float).reshape(1, 2, width, 1)
        filters, intercepts = views["filters_0"], views["filter_intercepts_0"]
        maps, _ = reference.layer_forward(images, filters, intercepts, "sigmoid", "same", (1, 1))
        expected = np.moveaxis(maps, -1, 1).reshape(1, -1)
        assert_close(hidden, expected)
        assert_close(logits, reference.dense(expected, views["weights"], views["intercepts"]), factor=10)


# ---- shifts ----


@pytest.mark.parametrize("dtype", ["uint8", *DTYPES])
@pytest.mark.parametrize(
    "shape", [(4, 5, 1), (5, 3, 3), (1, 6, 2), (6, 1, 1), (1, 1, 4), (9, 17, 1)], ids="{0[0]} x {0[1]} x {0[2]}".format
)
def test_shifts(shape, dtype):
    """Every shift that leaves a column of the image, and of rows even more than there are."""
    image = read_only(np.random.default_rng(0).uniform(0, 256, size=shape).astype(dtype))
    height, width, n_channels = shape
    for down in range(-height - 1, height + 2):
        for right in range(1 - width, width):
            whole = np.full((height + 2, width, n_channels), 77, dtype)
            _kernels.shift_image(image, down, right, whole[1:-1])
            (expected,) = reference.shift_images(image[np.newaxis], [(down, right)])
            np.testing.assert_array_equal(whole[1:-1], expected)
            assert (whole[[0, -1]] == 77).all()


# ---- geometry ----


@every_shape
@every_padding
@pytest.mark.parametrize("pool_size", [(1, 1), (2, 2), (3, 1), (2, 3)], ids="pool {0[0]}x{0[1]}".format)
def test_shapes_of_a_layer(image_shape, kernel_size, padding, pool_size):
    layer = Layer(image_shape, 3, kernel_size, pool_size, padding)
    images = random_array(float, 1, *image_shape)
    convolution = reference.correlate(
        np.moveaxis(padded(layer, images), 1, -1), random_array(float, *layer.filters_shape), np.zeros(3)
    )
    assert layer.conv_shape == convolution.shape[2:]
    if padding == "same":
        assert layer.conv_shape == image_shape[:2]
    height, width, n_filters = layer.out_shape
    assert (n_filters, height, width) == reference.pools(convolution, *pool_size).shape[1:4]
    # Only what a pool takes is computed.
    assert layer.n_multiply_adds == height * width * np.prod(pool_size) * 3 * np.prod(kernel_size) * image_shape[2]


@every_shape
@every_padding
def test_places_and_taps(image_shape, kernel_size, padding):
    """Pixels are put where the zeros of the padding are around them, and the taps of a filter find its window there."""
    layer = Layer(image_shape, 2, kernel_size, (1, 1), padding)
    image = random_array(float, *image_shape)
    (expected,) = padded(layer, image[np.newaxis])
    row, plane, start = layer.strides
    flat = np.zeros(plane * image_shape[2])
    for i, j, ch in np.ndindex(image_shape):
        flat[ch * plane + start + i * row + j] = image[i, j, ch]
    np.testing.assert_array_equal(flat, expected.ravel())
    assert len(layer.taps) % TAP_BLOCK == 0
    assert len(layer.taps) - layer.n_taps < TAP_BLOCK
    assert not layer.taps[layer.n_taps :].any()
    windows = reference.windows(np.moveaxis(expected, 0, -1)[np.newaxis], *kernel_size)[0]
    for i, j in np.ndindex(*layer.conv_shape):
        np.testing.assert_array_equal(flat[i * row + j + layer.taps[: layer.n_taps]], windows[i, j].ravel())
