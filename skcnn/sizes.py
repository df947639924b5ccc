"""The sizes of each layer, from hyper-parameters; an impossible stack is an error that shows its shapes.

"auto" means the network that this project began with for one layer, and sizes that did well in measurements for several
(docs/guide/networks.md).
"""

from math import prod
from numbers import Integral

from skcnn.kernels import MAX_POOL
from skcnn.layers import Convolution, MaxPooling
from skcnn.summary import format_shapes
from skcnn.validation import check_integer, is_auto, is_sequence

_POOL_SIDES = "pool_height", "pool_width"

# "auto" for one layer and for several.
_KERNEL_SIZES = 5, 3
# Filters for signals span a tenth of the length. Rows longer than this gain nothing by it, as they are probably tables
# of features, except with global pooling, where position does not matter.
_SIGNAL_PART, _LONGEST_SIGNAL = 10, 1000
_PADDINGS = "valid", "same"
_ACTIVATIONS = "sigmoid", "relu"
_POOL_SIZE = 2  # for one layer
# Several layers have pools of 2 along a side that keeps this many pixels; with global pooling, signals have pools of 4
# as long as they keep _LEFT_OF_LONG samples.
_LEFT_TO_READ = 4
_LONG_POOL, _LEFT_OF_LONG = 4, 250


def is_stack(n_filters):
    """Whether `n_filters` makes more than one layer."""
    return is_sequence(n_filters) and len(n_filters) > 1


def choose_padding(padding, n_filters):
    return _PADDINGS[is_stack(n_filters)] if padding == "auto" else padding


def choose_activation(activation, n_filters):
    return _ACTIVATIONS[is_stack(n_filters)] if activation == "auto" else activation


def choose_kernel(image_shape, n_filters, global_pool):
    """The side of the kernels; longer for signals, whose filters still have no more taps than those for images."""
    side = _KERNEL_SIZES[is_stack(n_filters)]
    n_samples = max(image_shape[:2])
    if min(image_shape[:2]) > 1 or (n_samples > _LONGEST_SIGNAL and global_pool is None):
        return side
    return min(max(side, n_samples // _SIGNAL_PART | 1), side**2)  # odd


def choose_pool(shape, global_pool):
    """(height, width) of a stack's pool for feature maps of a shape."""
    if global_pool and min(shape[:2]) == 1 and max(shape[:2]) // _LONG_POOL >= _LEFT_OF_LONG:
        return tuple(min(side, _LONG_POOL) for side in shape[:2])
    return tuple(2 if side // 2 >= _LEFT_TO_READ else 1 for side in shape[:2])


def layer_sizes(image_shape, n_filters, kernel_size, pool_size, padding, global_pool=None):
    """Number of filters, kernel size and pool size of each layer, from checked hyper-parameters.

    Returns
    -------
    n_filters : tuple of int
    kernel_size, pool_size : tuple of (height, width)

    Raises
    ------
    TypeError
        If a size is not an integer.
    ValueError
        If a size is not positive, a sequence's length is not the number of layers, a pool is too large for the kernels,
        or a layer does not fit its input; the message then shows the shapes up to that layer.
    """
    if is_auto(kernel_size):
        kernel_size = choose_kernel(image_shape, n_filters, global_pool)
    if is_auto(pool_size) and not is_stack(n_filters):
        pool_size = _POOL_SIZE
    n_filters = tuple(int(n) for n in (n_filters if is_sequence(n_filters) else [n_filters]))
    kernels = by_layer("kernel_size", kernel_size, len(n_filters))
    pools = by_layer("pool_size", pool_size, len(n_filters))
    layers = []
    shape = image_shape
    sizes = []
    for number, (n, kernel, pool) in enumerate(zip(n_filters, kernels, pools, strict=True)):
        kernel = fit_size(*kernel, ("kernel_height", "kernel_width"), shape, layers)
        layers.append(Convolution(shape, number, n, kernel, padding))
        pool_name, pool_given = pool
        shape = layers[-1].out_shape
        pool = choose_pool(shape, global_pool) if is_auto(pool_given) else fit_size(*pool, _POOL_SIDES, shape, layers)
        if prod(pool) > MAX_POOL:
            raise ValueError(
                f"{pool_name}={pool_given!r} makes pools of {pool[0]} x {pool[1]} values; at most {MAX_POOL} fit."
            )
        if prod(pool) > 1:
            layers.append(MaxPooling(layers[-1].out_shape, number, pool))
        shape = layers[-1].out_shape
        sizes.append((kernel, pool))
    return n_filters, *zip(*sizes, strict=True)


def by_layer(name, value, n_layers):
    """(name, size) of each layer; a sequence has a size for each layer, an integer is for all."""
    if not is_sequence(value):
        return [(name, value)] * n_layers
    if len(value) != n_layers:
        hint = ""
        if n_layers == 1 and len(value) == 2 and all(isinstance(side, Integral) for side in value):
            height, width = map(int, value)
            hint = f"; one layer of {height} x {width} is {name}=[({height}, {width})]"
        raise ValueError(
            f"{name}={value!r} has {len(value)} sizes, but n_filters makes {n_layers} "
            f"{'layer' if n_layers == 1 else 'layers'}: it takes an integer for all layers, 'auto', or a sequence with "
            f"one entry for each, an integer or a pair (height, width){hint}."
        )
    return [(f"{name}[{i}]", size) for i, size in enumerate(value)]


def fit_size(name, size, sides, shape, layers):
    """A size as (height, width): an int is clipped to `shape`, a pair must fit.

    `sides` are the names of its two sides, and `layers` those before it, for error messages.
    """
    otherwise = f" or a pair ({', '.join(sides)})"
    if not name.endswith("]"):
        otherwise = f", 'auto', or a sequence with one entry for each layer, an integer{otherwise}"
    if not (name.endswith("]") and is_sequence(size)):
        side = check_integer(name, size, 1, otherwise=otherwise)
        return min(side, shape[0]), min(side, shape[1])
    if len(size) != 2:
        raise ValueError(f"{name}={size!r} must be an integer{otherwise}.")
    size = tuple(check_integer(f"{name}'s {side}", value, 1) for side, value in zip(sides, size, strict=True))
    if size[0] <= shape[0] and size[1] <= shape[1]:
        return size
    if not layers:
        raise ValueError(
            f"{name}={size!r} is larger than the image, whose (height, width) is {shape[:2]}; "
            "image_shape sets the shape of a row."
        )
    raise ValueError(
        f"{name}={size!r} is larger than its layer's input, whose (height, width) is {shape[:2]}:\n"
        + format_shapes(layers)
    )
