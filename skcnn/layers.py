"""The geometry of a stack of convolutional layers: what each reads, what it writes, and where its taps look."""

from dataclasses import dataclass
from functools import cached_property
from math import prod

import numpy as np

from skcnn.kernels import TAP_BLOCK
from skcnn.validation import check_integer, is_sequence

# The kernels have 16 bits for where in its pool a maximum is.
_MAX_POOL = 1 << 16


@dataclass(frozen=True)
class Layer:
    """A convolution, its activation, and max-pooling.

    Parameters
    ----------
    in_shape : tuple of (height, width, n_channels)
        What it reads.
    n_filters : int
    kernel_size : tuple of (kernel_height, kernel_width)
    pool_size : tuple of (pool_height, pool_width)
        (1, 1) is no pooling. Rows and columns at the end that fill no pool are dropped, as Keras drops them.
    padding : {"valid", "same"}
        "same" surrounds the images with zeros, so that a convolution has as many rows and columns as they have;
        of an odd number of zeros, the larger half comes behind, as in Keras.
    """

    in_shape: tuple
    n_filters: int
    kernel_size: tuple
    pool_size: tuple
    padding: str

    @cached_property
    def pads(self):
        """Zeros (above, before) the image, and (above and below, before and behind)."""
        if self.padding == "valid":
            return (0, 0), (0, 0)
        totals = tuple(side - 1 for side in self.kernel_size)
        return tuple(total // 2 for total in totals), totals

    @cached_property
    def padded_shape(self):
        """(height, width) with padding."""
        return tuple(side + total for side, total in zip(self.in_shape, self.pads[1], strict=False))

    @cached_property
    def conv_shape(self):
        """(height, width) of the convolution."""
        return tuple(side - kernel + 1 for side, kernel in zip(self.padded_shape, self.kernel_size, strict=True))

    @cached_property
    def out_shape(self):
        """(height, width, n_filters) of what it writes, after pooling."""
        return *(side // pool for side, pool in zip(self.conv_shape, self.pool_size, strict=True)), self.n_filters

    @cached_property
    def n_taps(self):
        return self.in_shape[2] * prod(self.kernel_size)

    @cached_property
    def filters_shape(self):
        return self.n_filters, self.in_shape[2], *self.kernel_size

    @cached_property
    def n_multiply_adds(self):
        """Of one image's forward pass; convolutions that pooling drops are never computed."""
        return prod(self.out_shape) * prod(self.pool_size) * self.n_taps

    # ---- what the kernels know of it; counted in positions, of which each has a value in every lane ----

    @cached_property
    def strides(self):
        """How planes of pixels lie: (from a row to the next, from a channel to the next, to the first pixel).

        Padding is part of the planes.
        """
        (above, before), _ = self.pads
        width = self.padded_shape[1]
        return width, prod(self.padded_shape), above * width + before

    @cached_property
    def d_strides(self):
        """How the gradient of the convolution lies, ready to be correlated with the filters turned round.

        (From a filter's plane to the next, to its first value.) Rows are as long as those of what the layer reads; the
        zeros between two of them are behind the one and before the other.
        """
        height, width, _ = self.in_shape
        (above, before), _ = self.pads
        kernel_height, kernel_width = self.kernel_size
        row = self.padded_shape[1]
        size = (height + kernel_height - 2) * row + width + kernel_width - 1
        return size, (kernel_height - 1 - above) * row + kernel_width - 1 - before

    @cached_property
    def geometry(self):
        """The numbers of skcnn.kernels.geometry.Layer, in its order."""
        height, width, n_channels = self.in_shape
        pooled_height, pooled_width, _ = self.out_shape
        return (
            *(n_channels, height, width, *self.strides, self.n_taps, self.n_filters),
            *(pooled_height * self.pool_size[0], pooled_width * self.pool_size[1]),
            *(*self.pool_size, pooled_height, pooled_width, *self.d_strides),
        )

    @cached_property
    def taps(self):
        """Offset of each filter element (channel, kernel row, kernel column) from the first one's pixel.

        Zeros fill it up to a multiple of TAP_BLOCK.
        """
        row, plane, _ = self.strides
        channel, u, v = np.ogrid[: self.in_shape[2], : self.kernel_size[0], : self.kernel_size[1]]
        taps = np.zeros(-(-self.n_taps // TAP_BLOCK) * TAP_BLOCK, dtype=np.intp)
        taps[: self.n_taps] = (channel * plane + u * row + v).ravel()
        return taps

    @cached_property
    def d_taps(self):
        """The same of the filters turned round (filter, kernel row, kernel column), in the convolution's gradient."""
        f, u, v = np.ogrid[: self.n_filters, : self.kernel_size[0], : self.kernel_size[1]]
        return (f * self.d_strides[0] + u * self.strides[0] + v).ravel()


def stack_layers(image_shape, n_filters, kernel_size, pool_size, padding):
    """The layers that numbers of filters and sizes, a tuple of each, make on images of `image_shape`."""
    layers = []
    shape = image_shape
    for sizes in zip(n_filters, kernel_size, pool_size, strict=True):
        layers.append(Layer(shape, *sizes, padding))
        shape = layers[-1].out_shape
    return tuple(layers)


def layer_sizes(image_shape, n_filters, kernel_size, pool_size, padding):
    """Numbers of filters, kernel sizes and pool sizes by layer, from hyper-parameters that have passed their checks.

    Returns
    -------
    n_filters : tuple of int
    kernel_size, pool_size : tuple of (height, width)

    Raises
    ------
    TypeError
        If a size is no integer.
    ValueError
        If a size is not positive, a list has another length than the stack, a pool is too large for the kernels, or a
        layer does not fit: then the message has the shapes up to there.
    """
    n_filters = tuple(int(n) for n in (n_filters if is_sequence(n_filters) else [n_filters]))
    kernels = spread("kernel_size", kernel_size, len(n_filters))
    pools = spread("pool_size", pool_size, len(n_filters))
    layers = []
    shape = image_shape
    for n, (kernel_name, kernel), (pool_name, size) in zip(n_filters, kernels, pools, strict=True):
        kernel = fit_size(kernel_name, kernel, ("kernel_height", "kernel_width"), shape, layers)
        unpooled = Layer(shape, n, kernel, (1, 1), padding)
        pool = fit_size(pool_name, size, ("pool_height", "pool_width"), unpooled.out_shape, [*layers, unpooled])
        if prod(pool) > _MAX_POOL:
            raise ValueError(
                f"{pool_name}={size!r} makes pools of {pool[0]} x {pool[1]} values; they may have {_MAX_POOL}."
            )
        layers.append(Layer(shape, n, kernel, pool, padding))
        shape = layers[-1].out_shape
    return n_filters, tuple(layer.kernel_size for layer in layers), tuple(layer.pool_size for layer in layers)


def spread(name, value, n_layers):
    """`value` of each layer: a list has one for each, anything else is for all."""
    if not isinstance(value, list):
        return [(name, value)] * n_layers
    if len(value) != n_layers:
        raise ValueError(
            f"{name}={value!r} has {len(value)} sizes, but n_filters makes {n_layers} "
            f"{'layer' if n_layers == 1 else 'layers'}; an integer or a tuple (height, width) is for all layers."
        )
    # Within a list, a list can only be a size: JSON and YAML know no tuples.
    sizes = [tuple(size) if isinstance(size, list) else size for size in value]
    return [(f"{name}[{i}]", size) for i, size in enumerate(sizes)]


def fit_size(name, size, sides, shape, layers):
    """A size, whose `sides` have names, as (height, width): an int is cut to those of `shape`, a tuple must fit.

    `layers` are those before it.
    """
    otherwise = f" or a tuple ({', '.join(sides)})"
    if not name.endswith("]"):
        otherwise += "; a list has one of these for each layer"
    if not isinstance(size, tuple):
        side = check_integer(name, size, 1, otherwise=otherwise)
        return min(side, shape[0]), min(side, shape[1])
    if len(size) != 2:
        raise ValueError(f"{name}={size!r} must be an integer{otherwise}, as {list(size)!r}.")
    size = tuple(check_integer(f"{name}'s {side}", value, 1) for side, value in zip(sides, size, strict=True))
    if size[0] <= shape[0] and size[1] <= shape[1]:
        return size
    if not layers:
        raise ValueError(
            f"{name}={size!r} is larger than the image, whose (height, width) is {shape[:2]}; "
            "image_shape says what a row is."
        )
    raise ValueError(
        f"{name}={size!r} is larger than what it is laid on, whose (height, width) is {shape[:2]}:\n"
        + format_shapes(layers)
    )


# ---- the stack as its users see it ----


def layer_rows(layers, *, activation=None, with_intercepts=True):
    """(what it is, shape of its output, number of its parameters) of the images, and of each step of the layers."""
    rows = [("images", layers[0].in_shape, 0)]
    for number, layer in enumerate(layers, 1):
        kernel, pool = (" x ".join(map(str, size)) for size in (layer.kernel_size, layer.pool_size))
        n_parameters = prod(layer.filters_shape) + layer.n_filters * with_intercepts
        what = (
            f"convolution {number}, {kernel}" if activation is None else f"convolution {number}, {kernel}, {activation}"
        )
        rows.append((what, (*layer.conv_shape, layer.n_filters), n_parameters))
        if layer.pool_size != (1, 1):
            rows.append((f"max-pooling {number}, {pool}", layer.out_shape, 0))
    return rows


def format_shapes(layers):
    """The shapes, a line for each step."""
    rows = layer_rows(layers)
    width = max(len(what) for what, *_ in rows)
    return "\n".join(f"  {what:{width}}  {' x '.join(map(str, shape))}" for what, shape, _ in rows)
