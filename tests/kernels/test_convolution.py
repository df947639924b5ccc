"""The convolution of a stage and its gradients, for a group of images in lanes and for a single image.

Inputs are read-only, like memory maps. Outputs are the beginning of larger arrays of NaN, and the kernels must fill
them exactly to their end.
"""

import numpy as np
import pytest

from skcnn.kernels import LANES
from skcnn.kernels import compiled as _kernels
from skcnn.network import Network
from tests.helpers import harness, reference
from tests.helpers.arrays import doubles, from_lanes, random_arrays, to_lanes
from tests.helpers.differences import assert_same_gradient, differences
from tests.helpers.harness import assert_close, random_problem, read_only
from tests.helpers.marks import every_dtype, every_padding, every_shape

every_n_lanes = pytest.mark.parametrize("n_lanes", [1, LANES], ids=["image", "lanes"])
some_n_filters = pytest.mark.parametrize("n_filters", [1, 2, 3, 5, 8], ids="{} filters".format)

# Number of the tested stage; the stage before it, with 1 x 1 filters, only makes its channels.
STAGE = 1


def make_network(image_shape, n_filters, kernel_size, padding="valid"):
    height, width, n_channels = image_shape
    return Network((height, width, 1), (n_channels, n_filters), ((1, 1), kernel_size), 1, padding=padding)


def vector_of(network, filters, intercepts=0.0):
    """The network's parameters; those of other stages are NaN."""
    parameters = np.full(network.n_parameters, np.nan, filters.dtype)
    views = network.views(parameters)
    views[f"filters_{STAGE}"][:] = filters
    views[f"filter_intercepts_{STAGE}"][:] = intercepts
    return read_only(parameters)


def planes(images):
    """Images (n_samples, height, width, n_channels) for a hook: (n_channels * height * width, n_samples)."""
    return flat(np.moveaxis(images, -1, 1))


def flat(maps):
    """Maps (n_samples, n_maps, height, width) for a hook."""
    return read_only(to_lanes(maps).reshape(-1, len(maps)))


def correlate_padded(images, filters, intercepts, padding):
    whole = reference.pad_same(images, *filters.shape[2:]) if padding == "same" else images
    return reference.correlate(whole, filters, intercepts)


def arrays(dtype, network, n_lanes):
    """Images, filters, intercepts and a gradient of their convolution, whose sum is not just rounding."""
    layer = network.stages[STAGE].convolution
    height, width, n_filters = layer.out_shape
    filters_shape = network.views(np.empty(network.n_parameters))[f"filters_{STAGE}"].shape
    images, filters, intercepts, d = random_arrays(
        dtype, (n_lanes, *layer.in_shape), filters_shape, n_filters, (n_lanes, n_filters, height, width)
    )
    return map(read_only, (images, filters, intercepts, d + 1))


def assert_same_convolution(network, kernel_size, padding, n_lanes, dtype, new_output):
    """Check that the stage's outputs and both gradients are those of plain sums."""
    images, filters, intercepts, d = arrays(dtype, network, n_lanes)
    fixed = network.compiled, STAGE, vector_of(network, filters, intercepts)
    expected = correlate_padded(*doubles(images, filters, intercepts), padding)

    out = new_output(dtype, d[0].size, n_lanes)
    _kernels.convolution_forward(*fixed, planes(images), n_lanes, out)
    assert_close(from_lanes(out).reshape(d.shape), expected)

    # The gradient accumulates on the values that were there.
    gradient = new_output(dtype, network.n_parameters, fill=0.5)
    _kernels.convolution_backward_weights(*fixed, planes(images), flat(d), n_lanes, gradient)
    whole = reference.pad_same(images, *kernel_size) if padding == "same" else images
    d_filters, d_intercepts = reference.correlate_backward(*doubles(whole, d, filters))
    views = network.views(gradient)
    assert_close(views.pop(f"filters_{STAGE}"), 0.5 + d_filters)
    assert_close(views.pop(f"filter_intercepts_{STAGE}"), 0.5 + d_intercepts)
    assert all((view == 0.5).all() for view in views.values())

    d_x = new_output(dtype, images[0].size, n_lanes)
    _kernels.convolution_backward_data(*fixed, flat(d), n_lanes, d_x)
    d_images = reference.correlate_backward_images(*doubles(d, filters))
    if padding == "same":
        d_images = reference.crop_same(d_images, *kernel_size)
    assert_close(from_lanes(d_x).reshape(np.moveaxis(images, -1, 1).shape), np.moveaxis(d_images, -1, 1))


@every_shape
@every_padding
@some_n_filters
@every_n_lanes
@every_dtype
def test_convolution(image_shape, kernel_size, padding, n_filters, n_lanes, dtype, new_output):
    network = make_network(image_shape, n_filters, kernel_size, padding)
    assert_same_convolution(network, kernel_size, padding, n_lanes, dtype, new_output)


@every_shape
@every_padding
@pytest.mark.parametrize("n_filters", [1, 3], ids="{} filters".format)
@every_n_lanes
def test_gradients_by_differences(image_shape, kernel_size, padding, n_filters, n_lanes):
    height, width, n_channels = image_shape
    if height * width > 100:
        image_shape = (6, 7, n_channels)  # the same kernel on fewer pixels
    network = make_network(image_shape, n_filters, kernel_size, padding)
    images, filters, intercepts, projection = (array.copy() for array in arrays(float, network, n_lanes))
    # The same image in every lane limits the number of differences.
    image = images[0].copy()

    def project(image, filters, intercepts):
        out = np.empty((projection[0].size, n_lanes))
        x = planes(np.repeat(image[np.newaxis], n_lanes, axis=0))
        _kernels.convolution_forward(network.compiled, STAGE, vector_of(network, filters, intercepts), x, n_lanes, out)
        return (flat(projection) * out).sum()

    x = planes(np.repeat(image[np.newaxis], n_lanes, axis=0))
    fixed = network.compiled, STAGE, vector_of(network, filters, intercepts)
    gradient, d_x = np.zeros(network.n_parameters), np.empty((image.size, n_lanes))
    _kernels.convolution_backward_weights(*fixed, x, flat(projection), n_lanes, gradient)
    _kernels.convolution_backward_data(*fixed, flat(projection), n_lanes, d_x)
    views = network.views(gradient)
    d_image, d_filters, d_intercepts = differences(project, image, filters, intercepts)
    planes_of_image = d_x.sum(axis=1).reshape(image_shape[2], *image_shape[:2])
    assert_same_gradient(np.moveaxis(planes_of_image, 0, -1), d_image)
    assert_same_gradient(views[f"filters_{STAGE}"], d_filters)
    assert_same_gradient(views[f"filter_intercepts_{STAGE}"], d_intercepts)


# ---- tiles, which differ between numbers of filters and of columns ----


@pytest.mark.parametrize("n_filters", range(1, 14), ids="{} filters".format)
@every_n_lanes
@every_dtype
def test_tiles(n_filters, n_lanes, dtype, new_output):
    """All outputs are written, and nothing beyond them, for any number of columns."""
    for out_width in range(1, 41 if n_lanes == 1 else 21):
        network = make_network((3, out_width + 1, 1), n_filters, (2, 2))
        images, filters, intercepts, d = arrays(dtype, network, n_lanes)
        out = new_output(dtype, d[0].size, n_lanes)
        parameters = vector_of(network, filters, intercepts)
        _kernels.convolution_forward(network.compiled, STAGE, parameters, planes(images), n_lanes, out)
        assert_close(from_lanes(out).reshape(d.shape), reference.correlate(*doubles(images, filters, intercepts)))


@pytest.mark.parametrize("n_filters", range(1, 14), ids="{} filters".format)
@every_dtype
def test_an_image_by_itself_in_tiles(n_filters, dtype):
    """All rows of a single image are one run, which may have any length."""
    for width in range(1, 42):
        network = Network((2, width, 1), (n_filters,), ((2, min(width, 3)),), 1, padding="same")
        problem = random_problem(network, 1, dtype)
        logits, hidden = harness.forward(network, problem["parameters"], problem["X"], with_hidden=True)
        expected_logits, expected = harness.expected_forward(network, problem["parameters"], problem["X"])
        assert_close(hidden, expected)
        assert_close(logits, expected_logits, factor=10)


# ---- flipped filters, with which the gradient of a stage's input is another convolution ----


@every_dtype
@pytest.mark.parametrize("shape", [(1, 1, 1, 1), (2, 3, 2, 2), (5, 1, 3, 2), (3, 4, 1, 5)], ids=str)
def test_flip_filters(shape, dtype):
    n_filters, n_channels, *_ = shape
    (filters,) = random_arrays(dtype, shape)
    flipped = np.full(filters.size + n_channels + LANES, np.nan, dtype)
    _kernels.flip_filters(read_only(filters.reshape(n_filters, n_channels, -1)), flipped)
    expected = filters[:, :, ::-1, ::-1].swapaxes(0, 1)
    np.testing.assert_array_equal(flipped[: filters.size], expected.ravel())
    # Zero intercepts follow.
    np.testing.assert_array_equal(flipped[filters.size : filters.size + n_channels], 0)
    assert np.isnan(flipped[filters.size + n_channels :]).all()
