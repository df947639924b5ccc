"""What a layer knows of itself: the shapes of its maps, and where its kernels find their pixels."""

import numpy as np
import pytest

from skcnn.kernels import TAP_BLOCK
from skcnn.layers import Layer, layer_sizes
from tests.helpers import reference
from tests.helpers.arrays import padded, random_arrays
from tests.helpers.marks import every_padding, every_shape


@every_shape
@every_padding
@pytest.mark.parametrize("pool_size", [(1, 1), (2, 2), (3, 1), (2, 3)], ids="pool {0[0]}x{0[1]}".format)
def test_shapes_of_a_layer(image_shape, kernel_size, padding, pool_size):
    layer = Layer(image_shape, 3, kernel_size, pool_size, padding)
    images, filters = random_arrays(float, (1, *image_shape), layer.filters_shape)
    convolution = reference.correlate(np.moveaxis(padded(layer, images), 1, -1), filters, np.zeros(3))
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
    (image,) = random_arrays(float, image_shape)
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


def test_pools_that_are_too_large_for_their_places():
    """Where in a pool the largest value is has 16 bits: the gradient would go elsewhere."""
    choices = {"n_filters": 1, "kernel_size": 1, "padding": "valid"}
    assert layer_sizes((256, 300, 1), **choices, pool_size=256)[2] == ((256, 256),)
    assert layer_sizes((1, 70_000, 1), **choices, pool_size=(1, 65_536))[2] == ((1, 65_536),)
    for shape, pool_size in [((256, 257, 1), 257), ((1, 70_000, 1), (1, 65_537))]:
        with pytest.raises(ValueError, match=r"pool_size=.* makes pools of .* values; they may have 65536"):
            layer_sizes(shape, **choices, pool_size=pool_size)
