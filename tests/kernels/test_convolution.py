"""The convolution: of lanes and in single images, and its gradients, of the filters and of what a layer reads.

Inputs are read-only, as memory-mapped ones are; outputs begin larger arrays of NaN, and must be filled to their last
value and not a value further.
"""

import numpy as np
import pytest

from skcnn.kernels import LANES
from skcnn.kernels import compiled as _kernels
from skcnn.layers import Layer
from skcnn.network import Network
from tests.helpers import harness, reference
from tests.helpers.arrays import doubles, from_lanes, padded, random_arrays, to_lanes
from tests.helpers.differences import assert_same_gradient, differences
from tests.helpers.harness import assert_close, random_problem, read_only
from tests.helpers.marks import every_dtype, every_padding, every_shape

# ---- forward, and the gradient of the filters ----


@every_shape
@pytest.mark.parametrize("n_filters", [1, 2, 3, 5], ids="{} filters".format)
@every_dtype
def test_convolution(image_shape, kernel_size, n_filters, dtype, new_output):
    layer = Layer(image_shape, n_filters, kernel_size, (1, 1), "valid")
    images, filters, intercepts, d_out = map(
        read_only,
        random_arrays(
            dtype,
            (LANES, *image_shape),
            (n_filters, image_shape[2], *kernel_size),
            n_filters,
            (LANES, n_filters, *layer.conv_shape),
        ),
    )
    x, taps, flat = to_lanes(np.moveaxis(images, -1, 1)), read_only(layer.taps * LANES), (n_filters, layer.n_taps)
    out = new_output(dtype, n_filters, *layer.conv_shape, LANES)
    # The gradients accumulate: what was there stays in the sum.
    d_filters, d_intercepts = new_output(dtype, *flat, fill=0.5), new_output(dtype, n_filters, fill=-0.5)
    _kernels.convolution_forward(x, filters.reshape(flat), intercepts, taps, out)
    sums = new_output(dtype, _kernels.sums_size(n_filters, layer.n_taps, dtype))
    _kernels.convolution_backward(x, to_lanes(d_out), taps, sums, d_filters, d_intercepts)
    assert_close(from_lanes(out), reference.correlate(*doubles(images, filters, intercepts)))
    expected = reference.correlate_backward(*doubles(images, d_out, filters))
    assert_close(d_filters, 0.5 + expected[0].reshape(flat))
    assert_close(d_intercepts, -0.5 + expected[1])


@pytest.mark.parametrize(
    ("image_shape", "kernel_size"),
    [((4, 3, 1), (2, 2)), ((3, 4, 2), (2, 3)), ((1, 7, 1), (1, 3)), ((3, 3, 1), (3, 3)), ((2, 3, 3), (1, 1))],
    ids=["grey", "channels", "signal", "kernel as large as the image", "kernel 1x1"],
)
@pytest.mark.parametrize("n_filters", [1, 2, 3], ids="{} filters".format)
def test_gradient_of_the_filters_by_differences(image_shape, kernel_size, n_filters):
    layer = Layer(image_shape, n_filters, kernel_size, (1, 1), "valid")
    height, width, n_channels = image_shape
    out_shape = (n_filters, *layer.conv_shape, LANES)
    x, filters, intercepts, projection = random_arrays(
        float, (n_channels, height, width, LANES), (n_filters, layer.n_taps), n_filters, out_shape
    )

    def project(filters, intercepts):
        out = np.empty(out_shape)
        _kernels.convolution_forward(x, filters, intercepts, layer.taps * LANES, out)
        return (projection * out).sum()

    d_filters, d_intercepts = np.zeros_like(filters), np.zeros_like(intercepts)
    sums = np.empty(_kernels.sums_size(len(d_filters), layer.n_taps, "float64"))
    _kernels.convolution_backward(x, projection, layer.taps * LANES, sums, d_filters, d_intercepts)
    expected = differences(project, filters, intercepts)
    assert_same_gradient(d_filters, expected[0])
    assert_same_gradient(d_intercepts, expected[1])


# ---- in tiles: every number of filters and of columns has its own ----


@pytest.mark.parametrize("n_filters", range(1, 14), ids="{} filters".format)
@every_dtype
def test_a_group_in_tiles(n_filters, dtype):
    for out_width in range(1, 21):
        layer = Layer((3, out_width + 1, 1), n_filters, (2, 2), (1, 1), "valid")
        images, filters, intercepts = random_arrays(dtype, (LANES, *layer.in_shape), layer.filters_shape, n_filters)
        whole = np.full((n_filters + 1, *layer.conv_shape, LANES), np.nan, dtype)
        x, bank = to_lanes(padded(layer, images)), read_only(filters.reshape(n_filters, -1))
        _kernels.convolution_forward(x, bank, read_only(intercepts), read_only(layer.taps * LANES), whole[:-1])
        assert_close(whole[:-1], to_lanes(reference.correlate(*doubles(images, filters, intercepts))))
        assert np.isnan(whole[-1]).all()


@pytest.mark.parametrize("n_filters", range(1, 14), ids="{} filters".format)
@every_dtype
def test_an_image_by_itself_in_tiles(n_filters, dtype):
    """All its rows are one run, of any length."""
    for width in range(1, 42):
        network = Network((2, width, 1), (n_filters,), ((2, min(width, 3)),), 1, padding="same")
        problem = random_problem(network, 1, dtype)
        logits, hidden = harness.forward(network, problem["parameters"], problem["X"], with_hidden=True)
        expected_logits, expected = harness.expected_forward(network, problem["parameters"], problem["X"])
        assert_close(hidden, expected)
        assert_close(logits, expected_logits, factor=10)


# ---- the gradient of what a layer reads: another convolution, with the filters turned round ----


@every_dtype
@pytest.mark.parametrize("shape", [(1, 1, 1, 1), (2, 3, 2, 2), (5, 1, 3, 2), (3, 4, 1, 5)], ids=str)
def test_turn_filters(shape, dtype):
    n_filters, n_channels, *_ = shape
    (filters,) = random_arrays(dtype, shape)
    turned = np.full(filters.size + n_channels + LANES, np.nan, dtype)
    _kernels.turn_filters(read_only(filters.reshape(n_filters, n_channels, -1)), turned)
    expected = filters[:, :, ::-1, ::-1].swapaxes(0, 1)
    np.testing.assert_array_equal(turned[: filters.size], expected.ravel())
    # For intercepts.
    np.testing.assert_array_equal(turned[filters.size : filters.size + n_channels], 0)
    assert np.isnan(turned[filters.size + n_channels :]).all()


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
    filters, d_correlated = random_arrays(dtype, layer.filters_shape, (LANES, n_filters, *layer.conv_shape))
    expected = reference.correlate_backward_images(*doubles(d_correlated, filters))
    if padding == "same":
        expected = reference.crop_same(expected, *kernel_size)
    assert_close(back_to_images(layer, filters, d_correlated), np.moveaxis(expected, (0, -1), (-1, 0)))


@every_shape
@every_padding
def test_gradient_of_what_a_layer_reads_by_differences(image_shape, kernel_size, padding):
    layer = Layer(image_shape, 3, kernel_size, (1, 1), padding)
    filters, projection, image = random_arrays(float, layer.filters_shape, (LANES, 3, *layer.conv_shape), image_shape)
    out = np.empty((3, *layer.conv_shape, LANES))

    def project(image):
        """The image is the same in every lane."""
        x = to_lanes(padded(layer, np.repeat(image[np.newaxis], LANES, axis=0)))
        _kernels.convolution_forward(x, filters.reshape(3, -1), np.zeros(3), layer.taps * LANES, out)
        return (to_lanes(projection) * out).sum()

    d_images = back_to_images(layer, filters, projection).sum(axis=-1)
    (expected,) = differences(project, image)
    assert_same_gradient(np.moveaxis(d_images, 0, -1), expected)
