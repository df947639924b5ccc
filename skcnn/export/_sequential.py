"""Reader of a `keras.Sequential`, which checks layer by layer that skcnn has such a network."""

from math import isfinite, prod

import numpy as np

from skcnn.kernels import ACTIVATIONS, MAX_LAYERS, MAX_POOL
from skcnn.network import own


class SequentialReader:
    """Sizes, settings and weights of a Sequential.

    Parameters
    ----------
    keras : module
    model : keras.Sequential

    Raises
    ------
    TypeError, ValueError
        See from_keras.
    """

    def __init__(self, keras, model):
        if not isinstance(model, keras.Sequential):
            raise TypeError(f"model must be a keras.Sequential; got {type(model).__name__}.")
        if not model.built:
            raise ValueError("model has not been built: give it a keras.Input((height, width, n_channels)).")
        self.keras = keras
        self.image_shape = tuple(model.input_shape[1:])
        if len(self.image_shape) != 3 or None in self.image_shape:
            raise ValueError(
                f"model takes inputs of shape {self.image_shape}; they must be images, (height, width, n_channels), of "
                "one size."
            )
        self.shape = self.image_shape[:2]  # (height, width) of the next layer's input, before it is flattened
        self.rescale, self.activation, self.padding, self.global_pool = 1.0, None, None, None
        self.filters, self.biases, self.pool_size = [], [], []
        self.weights = self.intercepts = None
        self.dtypes = set()
        self.behind = "the images"  # the next layer's input, in words
        layers = keras.layers
        readers = {
            layers.Rescaling: self.read_rescaling,
            layers.Conv2D: self.read_convolution,
            layers.Activation: self.read_activation,
            layers.ReLU: self.read_relu,
            layers.MaxPooling2D: self.read_pooling,
            layers.GlobalAveragePooling2D: self.read_global_pooling,
            layers.GlobalMaxPooling2D: self.read_global_pooling,
            layers.Flatten: self.read_flatten,
            layers.Dense: self.read_dense,
            layers.Dropout: lambda: None,
            layers.SpatialDropout2D: lambda: None,
        }
        for self.number, self.layer in enumerate(model.layers):
            known = ", ".join(kind.__name__ for kind in readers)
            self.check(type(self.layer) in readers, f"there is nothing like it in skcnn, which takes {known}")
            readers[type(self.layer)]()
        if self.behind != "the outputs":
            raise ValueError(f"model ends with {self.behind}; its last layer must be a Dense layer with sigmoid.")

    # ---- what was found ----

    @property
    def n_filters(self):
        return tuple(kernel.shape[3] for kernel in self.filters)

    @property
    def kernel_size(self):
        return [kernel.shape[:2] for kernel in self.filters]

    @property
    def has_bias(self):
        return any(bias is not None for bias in (*self.biases, self.intercepts))

    def write_parameters(self, network, order, dtype):
        """The parameter vector of a network; `order` is that of its outputs, None negates a single output."""
        vector = own(np.zeros(network.n_parameters), dtype)
        views = network.views(vector)
        for number, (kernel, bias) in enumerate(zip(self.filters, self.biases, strict=True)):
            views[f"filters_{number}"][:] = kernel.transpose(3, 2, 0, 1)
            views[f"filter_intercepts_{number}"][:] = 0 if bias is None else bias
        weights = self.weights.reshape(*network.hidden_shape, network.n_outputs).transpose(3, 2, 0, 1)
        intercepts = np.zeros(network.n_outputs) if self.intercepts is None else self.intercepts
        sign, order = (-1, [0]) if order is None else (1, list(order))
        views["weights"][:] = sign * weights.reshape(network.n_outputs, -1)[order]
        views["intercepts"][:] = sign * intercepts[order]
        return vector

    # ---- layers ----

    def check(self, fits, why):
        if not fits:
            kind = type(self.layer).__name__
            raise ValueError(f"{kind} {self.layer.name!r} (model.layers[{self.number}]) does not fit: {why}.")

    def expect(self, *places):
        self.check(self.behind in places, f"it follows {self.behind}, and may follow {' or '.join(places)}")

    def expect_setting(self, name, *taken):
        value = getattr(self.layer, name)
        self.check(value in taken, f"{name}={value!r} must be {' or '.join(map(repr, taken))}")

    def read_variables(self):
        """Kernel and bias (None if there is none): float64 if they are, otherwise float32."""
        self.check(getattr(self.layer, "quantization_mode", None) is None, "it is quantized")
        arrays = []
        for variable in (self.layer.kernel, self.layer.bias if self.layer.use_bias else None):
            if variable is None:
                arrays.append(None)
                continue
            array = self.keras.ops.convert_to_numpy(self.keras.ops.convert_to_tensor(variable))
            self.dtypes.add(array.dtype.name)
            arrays.append(array.astype(np.float64 if array.dtype == np.float64 else np.float32))
            self.check(np.isfinite(arrays[-1]).all(), "it has weights that are not finite")
        return arrays

    def activation_name(self):
        """Name of the layer's activation: one of ACTIVATIONS, or "linear"."""
        function, known = self.layer.activation, (*ACTIVATIONS, "linear")
        for name in known:
            if function is getattr(self.keras.activations, name):
                return name
        name = getattr(function, "__name__", function)
        self.check(False, f"its activation is {name}; Keras's {', '.join(known[:-1])} are taken")

    def read_rescaling(self):
        self.expect("the images")
        scale, offset = self.layer.scale, self.layer.offset
        self.check(np.ndim(offset) == 0 and offset == 0, f"offset={offset!r} must be 0")
        fits = np.ndim(scale) == 0 and isfinite(scale) and scale != 0
        self.check(fits, f"scale={scale!r} must be one number, not 0")
        self.rescale = float(scale)
        self.behind = "the rescaled images"

    def read_convolution(self):
        self.expect("the images", "the rescaled images", "an activation", "a pool")
        self.check(len(self.filters) < MAX_LAYERS, f"{MAX_LAYERS} convolutions is the most")
        layer = self.layer
        self.expect_setting("data_format", "channels_last")
        self.expect_setting("strides", (1, 1))
        self.expect_setting("dilation_rate", (1, 1))
        self.expect_setting("groups", 1)
        self.expect_setting("padding", "valid", "same")
        if prod(layer.kernel_size) > 1:  # padding does not matter for 1 x 1
            self.check(
                self.padding in (None, layer.padding),
                f"padding={layer.padding!r} must be the same in all convolutions, {self.padding!r} as before",
            )
            self.padding = layer.padding
        height, width = self.shape
        rows, columns = layer.kernel_size
        fits = rows <= height and columns <= width
        self.check(fits, f"kernel_size={(rows, columns)} is larger than what it is laid on, {height} x {width}")
        if layer.padding == "valid":
            self.shape = height - rows + 1, width - columns + 1
        kernel, bias = self.read_variables()
        self.filters.append(kernel)
        self.biases.append(bias)
        self.pool_size.append((1, 1))
        self.behind = "a convolution without activation"
        self.activate(self.activation_name())

    def activate(self, name):
        """Note an activation of the output of the layer before."""
        if name == "linear":
            return
        self.expect("a convolution without activation", "logits")
        if self.behind == "logits":
            self.check(name == "sigmoid", f"the activation of the outputs is {name}, and must be sigmoid")
            self.behind = "the outputs"
            return
        self.check(
            self.activation in (None, name),
            f"the activation must be the same of all convolutions, {self.activation} as before; it is {name}",
        )
        self.activation = name
        self.behind = "an activation"

    def read_activation(self):
        self.activate(self.activation_name())

    def read_relu(self):
        for name, taken in (("max_value", None), ("negative_slope", 0), ("threshold", 0)):
            self.expect_setting(name, taken)
        self.activate("relu")

    def read_pooling(self):
        self.expect("an activation")
        self.expect_setting("data_format", "channels_last")
        self.expect_setting("padding", "valid")
        pool_size = tuple(self.layer.pool_size)
        self.expect_setting("strides", pool_size)
        self.check(prod(pool_size) <= MAX_POOL, f"pool_size={pool_size} has more than {MAX_POOL} values")
        self.pool_size[-1] = pool_size
        self.shape = tuple(side // pool for side, pool in zip(self.shape, pool_size, strict=True))
        self.behind = "a pool"

    def read_global_pooling(self):
        self.expect("an activation", "a pool")
        self.expect_setting("data_format", "channels_last")
        is_max = type(self.layer) is self.keras.layers.GlobalMaxPooling2D
        self.global_pool = "max" if is_max else "average"
        self.behind = "a global pool of images" if self.layer.keepdims else "a global pool"

    def read_flatten(self):
        self.expect("an activation", "a pool", "a global pool", "a global pool of images")
        self.expect_setting("data_format", "channels_last")
        self.behind = "flat values"

    def read_dense(self):
        self.expect("flat values", "a global pool")
        self.weights, self.intercepts = self.read_variables()
        self.behind = "logits"
        self.activate(self.activation_name())
