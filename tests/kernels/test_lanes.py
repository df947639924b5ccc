"""Gathering a batch: rows of X as planes of pixels with lanes, and shifted images."""

import numpy as np
import pytest

from skcnn.kernels import LANES
from skcnn.kernels import compiled as _kernels
from tests.helpers import reference
from tests.helpers.arrays import from_lanes
from tests.helpers.harness import read_only
from tests.helpers.marks import every_dtype, every_shape, every_x_dtype


@every_shape
@every_x_dtype
@every_dtype
@pytest.mark.parametrize("n_rows", [1, 15, 16])
def test_gather(image_shape, kernel_size, x_dtype, dtype, n_rows, new_output):
    rng = np.random.default_rng(0)
    n_samples, rescale = 20, 1 / 255
    images = rng.uniform(0, 256, size=(n_samples, *image_shape)).astype(x_dtype)
    rows = rng.integers(n_samples, size=n_rows)
    rows[-1] = rows[0]
    height, width, n_channels = image_shape
    row, start = width + 2, width + 3  # with zeros around
    x = new_output(dtype, n_channels, height + 2, row, LANES)
    x[:] = 0
    _kernels.gather(read_only(images.reshape(n_samples, -1)), read_only(rows), rescale, height, width, start, x)
    expected = np.zeros((LANES, n_channels, height + 2, row), dtype)
    expected[:n_rows, :, 1:-1, 1:-1] = np.moveaxis(images[rows], -1, 1).astype(dtype) * np.dtype(dtype).type(rescale)
    np.testing.assert_array_equal(from_lanes(x), expected)


@every_x_dtype
@pytest.mark.parametrize(
    "shape", [(4, 5, 1), (5, 3, 3), (1, 6, 2), (6, 1, 1), (1, 1, 4), (9, 17, 1)], ids="{0[0]} x {0[1]} x {0[2]}".format
)
def test_shifts(shape, x_dtype):
    """All shifts that keep a column in view, and shifts by more rows than there are."""
    image = read_only(np.random.default_rng(0).uniform(0, 256, size=shape).astype(x_dtype))
    height, width, n_channels = shape
    for down in range(-height - 1, height + 2):
        for right in range(1 - width, width):
            whole = np.full((height + 2, width, n_channels), 77, x_dtype)
            _kernels.shift_image(image, down, right, whole[1:-1])
            (expected,) = reference.move_images(image[np.newaxis], [(down, right, 0)])
            np.testing.assert_array_equal(whole[1:-1], expected)
            _kernels.mirror_image(whole[1:-1])
            np.testing.assert_array_equal(whole[1:-1], expected[:, ::-1])
            assert (whole[[0, -1]] == 77).all()
