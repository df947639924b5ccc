"""Arrays in the kernels' layout, with lanes as the last axis."""

import numpy as np

from tests.helpers import reference


def random_arrays(dtype, *shapes, seed=0):
    rng = np.random.default_rng(seed)
    return [rng.normal(size=shape).astype(dtype) for shape in shapes]


def doubles(*arrays):
    return [array.astype(float) for array in arrays]


def to_lanes(array):
    """Move the first axis, samples, to the end; read-only, like inputs that the kernels must not write to."""
    lanes = np.ascontiguousarray(np.moveaxis(array, 0, -1))
    lanes.flags.writeable = False
    return lanes


def from_lanes(array):
    return np.moveaxis(array, -1, 0)


def padded(layer, images):
    """Images (n_samples, height, width, n_channels) padded for a layer, as planes: (n_samples, n_channels, ...)."""
    whole = reference.pad_same(images, *layer.kernel_size) if layer.padding == "same" else images
    return np.moveaxis(whole, -1, 1)
