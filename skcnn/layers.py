"""The layers of a network, each of which knows its output shape and its parameters.

Everything else about parameters (their place in the one vector, initial values, penalty and training) is derived from
here. A new kind of layer is a class here and a kernel in skcnn.kernels.
"""

from dataclasses import dataclass, replace
from math import prod, sqrt
from typing import ClassVar

import numpy as np

# Adam moves each weight by about the learning rate, whatever the gradient, so a sum moves in proportion to its number
# of terms. The factors below, which suit sums of all sizes, were measured (docs/internals/defaults.md). Filters before
# a sigmoid, which is flat, move faster: 200 (first layer) or 100 (others) over the number of taps, within bounds.
_TAPS, _TAPS_BOUNDS = (200, 100), (1.0, 25.0)
# Output weights: (2304 / number of hidden activations)**0.75, up to a bound, which is higher after one or two layers of
# sigmoids. Gradients hardly reach more of them at first, and the output weights must not get ahead.
_HIDDEN, _HIDDEN_POWER = 2304, 0.75
_HIDDEN_BOUND, _SIGMOIDS_BOUND, _FEW_LAYERS = 1.0, 16.0, 2


@dataclass(frozen=True)
class Parameter:
    """An array of parameters that belongs to a layer.

    Parameters
    ----------
    name : str
    shape : tuple of int
    fans : tuple of (fan_in, fan_out), default=None
        Inputs summed by an output, and outputs that an input contributes to; None if it is not initialised at random.
    before_relu : bool, default=False
        Whether a relu follows.
    initial : float, default=0.0
        Initial value if `fans` is None.
    penalized : bool, default=False
        Whether the L2 penalty includes it.
    trained : bool, default=True
        Whether the solver changes it.
    statistic : bool, default=False
        Whether it is measured on the training data instead of learnt.
    rate : float, default=1.0
        Factor of Adam's learning rate.
    input_scale : float, default=1.0
        Divides initial values and Adam's steps; with Adam, the penalty is on the product with it.

    Attributes
    ----------
    largest_rate : float
        Upper limit of a learning rate times `rate`; a learning rate that is already larger is not raised.
    """

    largest_rate: ClassVar[float] = 0.1

    name: str
    shape: tuple
    fans: tuple | None = None
    before_relu: bool = False
    initial: float = 0.0
    penalized: bool = False
    trained: bool = True
    statistic: bool = False
    rate: float = 1.0
    input_scale: float = 1.0

    @property
    def size(self):
        return prod(self.shape)

    def learning_rate(self, learning_rate):
        """Adam's learning rate for this array, given the common one."""
        return min(learning_rate * self.rate, max(learning_rate, self.largest_rate)) / self.input_scale

    def bounds(self, init):
        """Bounds of the uniform distribution of initial values: see ConvSigmoidClassifier's `init`."""
        if init == "uniform":
            return 0.0, 1.0 / self.input_scale
        fan_in, fan_out = self.fans
        he = init == "he_uniform" or (init == "auto" and self.before_relu)
        bound = sqrt(6.0 / (fan_in if he else fan_in + fan_out)) / self.input_scale
        return -bound, bound


@dataclass(frozen=True)
class Layer:
    """Base class; by itself, an elementwise layer without parameters.

    Parameters
    ----------
    in_shape : tuple of (height, width, n_channels) or (n_values,)
        Shape of its input.
    """

    in_shape: tuple

    @property
    def out_shape(self):
        """Shape of its output, likewise."""
        return self.in_shape

    @property
    def parameters(self):
        """A tuple of Parameter, in the order of the vector."""
        return ()


@dataclass(frozen=True)
class Convolution(Layer):
    """Cross-correlation with a bank of filters.

    Parameters
    ----------
    number : int
        Number among the convolutions, from 0.
    n_filters : int
    kernel_size : tuple of (kernel_height, kernel_width)
    padding : {"valid", "same"}
        "same" pads the images with zeros, so that the output has their height and width; the larger half of an odd
        number of zeros comes after the image, as in Keras.
    activation : {"sigmoid", "tanh", "relu"}
        The activation that follows.
    has_intercept : bool
        Whether there are intercepts; a following normalisation would cancel them.
    fit_intercept : bool
        Whether they are learnt.
    input_scale : float
        Scale of the input, 1 for pixels between 0 and 1.
    """

    number: int
    n_filters: int
    kernel_size: tuple
    padding: str
    activation: str = "sigmoid"
    has_intercept: bool = True
    fit_intercept: bool = True
    input_scale: float = 1.0

    @property
    def pads(self):
        """Numbers of zeros around the image: ((above, below), (before, after))."""
        if self.padding == "valid":
            return (0, 0), (0, 0)
        if self.padding != "same":
            raise ValueError(f"padding={self.padding!r} must be 'valid' or 'same'.")
        return tuple(((side - 1) // 2, side // 2) for side in self.kernel_size)

    @property
    def out_shape(self):
        height, width = (
            side + sum(pad) - kernel + 1
            for side, pad, kernel in zip(self.in_shape, self.pads, self.kernel_size, strict=False)
        )
        return height, width, self.n_filters

    @property
    def n_taps(self):
        """Number of elements of a filter, over all channels."""
        return self.in_shape[2] * prod(self.kernel_size)

    @property
    def parameters(self):
        shape = self.n_filters, self.in_shape[2], *self.kernel_size
        fans = self.n_taps, self.n_filters * prod(self.kernel_size)
        rate = 1.0
        if self.activation == "sigmoid":
            rate = min(max(_TAPS[self.number > 0] / self.n_taps, _TAPS_BOUNDS[0]), _TAPS_BOUNDS[1])
        filters = Parameter(
            f"filters_{self.number}",
            shape,
            fans,
            before_relu=self.activation == "relu",
            penalized=True,
            rate=rate,
            input_scale=self.input_scale,
        )
        if not self.has_intercept:
            return (filters,)
        return filters, Parameter(f"filter_intercepts_{self.number}", (self.n_filters,), trained=self.fit_intercept)

    @property
    def label(self):
        return f"convolution {self.number + 1}, {self.kernel_size[0]} x {self.kernel_size[1]}"


@dataclass(frozen=True)
class BatchNormalization(Layer):
    """Each filter's values minus their mean, over their standard deviation, times a scale, plus a shift.

    Mean and variance are those of a group of a batch's images in training, and of the training set in predictions:
    Ioffe and Szegedy (2015), "Batch normalization", over "ghost batches" as in Hoffer, Hubara and Soudry (2017), "Train
    longer, generalize better", section 5.

    Parameters
    ----------
    number : int
        Number of the preceding convolution.
    fit_intercept : bool
        Whether the shift is learnt.
    """

    epsilon: ClassVar[float] = 1e-5  # added to the variance

    number: int
    fit_intercept: bool = True

    @property
    def parameters(self):
        shape = self.in_shape[2:]
        return (
            Parameter(f"scales_{self.number}", shape, initial=1.0),
            Parameter(f"shifts_{self.number}", shape, trained=self.fit_intercept),
            Parameter(f"means_{self.number}", shape, trained=False, statistic=True),
            Parameter(f"variances_{self.number}", shape, initial=1.0, trained=False, statistic=True),
        )

    @property
    def label(self):
        return "normalized"


@dataclass(frozen=True)
class Activation(Layer):
    """A function of each value: "sigmoid", "tanh" or "relu"."""

    function: str

    @property
    def label(self):
        return self.function


@dataclass(frozen=True)
class MaxPooling(Layer):
    """Maximum of each pool; rows and columns at the end that fill no pool are dropped, as in Keras."""

    number: int
    pool_size: tuple

    @property
    def out_shape(self):
        height, width = (side // pool for side, pool in zip(self.in_shape, self.pool_size, strict=False))
        return height, width, self.in_shape[2]

    @property
    def label(self):
        return f"max-pooling {self.number + 1}, {self.pool_size[0]} x {self.pool_size[1]}"


@dataclass(frozen=True)
class GlobalPooling(Layer):
    """Average or maximum of each feature map."""

    function: str

    @property
    def out_shape(self):
        return (1, 1, self.in_shape[2])

    @property
    def label(self):
        return f"global {self.function} pooling"


@dataclass(frozen=True)
class Dense(Layer):
    """Fully connected layer, whose input is flattened in the order (filter, row, column)."""

    n_outputs: int
    fit_intercept: bool = True
    largest_factor: float = _HIDDEN_BOUND  # upper bound of the factor of Adam's learning rate

    @property
    def out_shape(self):
        return (self.n_outputs,)

    @property
    def parameters(self):
        n_hidden = prod(self.in_shape)
        fans = n_hidden, self.n_outputs
        rate = min(self.largest_factor, (_HIDDEN / max(n_hidden, 1)) ** _HIDDEN_POWER)
        return (
            Parameter("weights", (self.n_outputs, n_hidden), fans, penalized=True, rate=rate),
            Parameter("intercepts", (self.n_outputs,), trained=self.fit_intercept),
        )

    @property
    def label(self):
        return "dense"


@dataclass(frozen=True)
class Standardization(Layer):
    """Logits minus their mean, over their standard deviation: of a batch in training, later of the training set."""

    epsilon: ClassVar[float] = 1e-12  # added to the variance, as in kernels/standardization.pxd

    @classmethod
    def deviations(cls, variances):
        """Standard deviations, in float64."""
        return np.sqrt(variances.astype(np.float64) + cls.epsilon)

    @property
    def parameters(self):
        return (
            Parameter("running_means", self.in_shape, trained=False, statistic=True),
            Parameter("running_variances", self.in_shape, initial=1.0, trained=False, statistic=True),
        )

    @property
    def label(self):
        return "standardized"


@dataclass(frozen=True)
class Stage:
    """A convolution and the layers up to the next one, which the kernels compute together."""

    convolution: Convolution
    normalization: BatchNormalization | None = None
    activation: Activation | None = None
    pooling: MaxPooling | None = None

    @property
    def pool_size(self):
        return self.pooling.pool_size if self.pooling else (1, 1)

    @property
    def out_shape(self):
        return (self.pooling or self.convolution).out_shape

    @property
    def n_multiply_adds(self):
        """Multiply-adds of one image's forward pass; values that pooling drops are never computed."""
        return prod(self.out_shape) * prod(self.pool_size) * self.convolution.n_taps


def make_layers(
    image_shape,
    n_filters,
    kernel_size,
    n_outputs,
    pool_size=None,
    padding="valid",
    activation="sigmoid",
    fit_intercept=True,
    standardize=False,
    batch_norm=False,
    global_pool=None,
    input_scale=1.0,
    **_,
):
    """The layers of a network, given the parameters of skcnn.network.Network; a pool of (1, 1) adds no layer."""
    layers = []
    shape = image_shape
    pool_size = pool_size or ((1, 1),) * len(n_filters)
    for number, (n, kernel, pool) in enumerate(zip(n_filters, kernel_size, pool_size, strict=True)):
        scale = input_scale if number == 0 else 1.0
        layers.append(Convolution(shape, number, n, kernel, padding, activation, not batch_norm, fit_intercept, scale))
        if batch_norm:
            layers.append(BatchNormalization(layers[-1].out_shape, number, fit_intercept))
        layers.append(Activation(layers[-1].out_shape, activation))
        if prod(pool) > 1:
            layers.append(MaxPooling(layers[-1].out_shape, number, pool))
        shape = layers[-1].out_shape
    if global_pool is not None:
        layers.append(GlobalPooling(shape, global_pool))
        shape = layers[-1].out_shape
    # Standardisation cancels the output intercepts. Their gradient is only rounding noise, which Adam would scale to
    # full steps.
    bound = _SIGMOIDS_BOUND if activation == "sigmoid" and len(n_filters) <= _FEW_LAYERS else _HIDDEN_BOUND
    layers.append(Dense(shape, n_outputs, fit_intercept and not standardize, bound))
    if standardize:
        layers.append(Standardization(layers[-1].out_shape))
    layers.append(Activation(layers[-1].out_shape, "sigmoid"))
    return tuple(layers)


def group_stages(layers):
    """The stages of a list of layers, each of which begins with a convolution."""
    stages = []
    for layer in layers:
        match layer:
            case Convolution():
                stages.append(Stage(layer))
            case BatchNormalization():
                stages[-1] = replace(stages[-1], normalization=layer)
            case Activation() if stages[-1].activation is None:
                stages[-1] = replace(stages[-1], activation=layer)
            case MaxPooling():
                stages[-1] = replace(stages[-1], pooling=layer)
            case GlobalPooling() | Dense() | Standardization() | Activation():
                pass
            case _:
                raise TypeError(f"The kernels have no {type(layer).__name__}.")
    return tuple(stages)
