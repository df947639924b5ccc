"""The layers that a network is a list of: each knows its output shape and its parameters.

Everything else about parameters (where they lie in the one vector, what they begin as, what the penalty shrinks, what
the solver moves) is read from here. A new kind of layer is a class here and a kernel in skcnn.kernels.
"""

from dataclasses import dataclass, replace
from math import prod, sqrt
from typing import ClassVar

import numpy as np

# Adam moves each weight by about its learning rate, whatever the gradient, so that a sum moves by as much as it has
# terms. What suits sums of all sizes was measured (docs/internals/defaults.md). Filters before a sigmoid, which is
# flat, move faster: a number (in the first layer, and in others) over that of their taps, within bounds.
_TAPS, _TAPS_BOUNDS = (200, 100), (1.0, 25.0)
# Output weights: a number over that of the hidden activations, to a power; up to a bound, which is higher for sigmoids
# of few layers. Those of more are hardly reached by gradients at first, and the output weights must not get ahead.
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
        Of what is initialised at random: how many values are summed for an output, and how many outputs one goes into.
    before_relu : bool, default=False
        Whether a relu comes next.
    initial : float, default=0.0
        What it begins as, if it is not drawn.
    penalized : bool, default=False
        Whether the L2 penalty shrinks it.
    trained : bool, default=True
        Whether the solver moves it.
    statistic : bool, default=False
        Whether it is measured on the training data, rather than learnt.
    rate : float, default=1.0
        The factor of Adam's learning rate.
    input_scale : float, default=1.0
        What it begins as, and the steps that it takes, are divided by it; the penalty is on its product with it.

    Attributes
    ----------
    largest_rate : float
        What `rate` makes of a learning rate, at most; a learning rate that is larger already stays as it is.
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
        """Adam's, of this array, given that of all."""
        return min(learning_rate * self.rate, max(learning_rate, self.largest_rate)) / self.input_scale

    def bounds(self, init):
        """Of the uniform distribution that it is drawn from: see ConvSigmoidClassifier's `init`."""
        if init == "uniform":
            return 0.0, 1.0 / self.input_scale
        fan_in, fan_out = self.fans
        he = init == "he_uniform" or (init == "auto" and self.before_relu)
        bound = sqrt(6.0 / (fan_in if he else fan_in + fan_out)) / self.input_scale
        return -bound, bound


@dataclass(frozen=True)
class Layer:
    """The base class; on its own, an elementwise layer without parameters.

    Parameters
    ----------
    in_shape : tuple of (height, width, n_channels) or (n_values,)
        What it reads.
    """

    in_shape: tuple

    @property
    def out_shape(self):
        """What it hands on, laid out likewise."""
        return self.in_shape

    @property
    def parameters(self):
        """A tuple of Parameter, in the order in which they lie in the vector."""
        return ()


@dataclass(frozen=True)
class Convolution(Layer):
    """Cross-correlation with a bank of filters.

    Parameters
    ----------
    number : int
        Of the convolutions, from 0.
    n_filters : int
    kernel_size : tuple of (kernel_height, kernel_width)
    padding : {"valid", "same"}
        "same" surrounds the images with zeros, so that the output has as many rows and columns as they have; of an odd
        number of zeros, the larger half comes behind, as in Keras.
    activation : {"sigmoid", "tanh", "relu"}
        What comes next.
    has_intercept : bool
        Whether there are any; a normalisation behind would take them out again.
    fit_intercept : bool
        Whether they are learnt.
    input_scale : float
        How large what it reads is, of pixels between 0 and 1 as a unit.
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
        """Zeros ((above, below), (before, behind)) the image."""
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
        """Elements of a filter, in all channels."""
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
    """Each filter's values less their mean, over their standard deviation, times a scale, plus a shift.

    Mean and variance are those of a group of a batch's images while training, of the training set after: Ioffe and
    Szegedy (2015), "Batch normalization", over "ghost batches" as in Hoffer, Hubara and Soudry (2017), "Train longer,
    generalize better", section 5.

    Parameters
    ----------
    number : int
        Of the convolution before.
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
    """The largest value of each pool; rows and columns at the end that fill no pool are dropped, as in Keras."""

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
    """The average or the largest of all values of each feature map."""

    function: str

    @property
    def out_shape(self):
        return (1, 1, self.in_shape[2])

    @property
    def label(self):
        return f"global {self.function} pooling"


@dataclass(frozen=True)
class Dense(Layer):
    """Every output weighs every value of what it reads, flattened in the order (filter, row, column)."""

    n_outputs: int
    fit_intercept: bool = True
    largest_factor: float = _HIDDEN_BOUND  # of Adam's learning rate

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
    """Logits minus their mean, over their standard deviation: of a batch while training, of the training set after."""

    epsilon: ClassVar[float] = 1e-12  # added to the variance, as in kernels/standardization.pxd

    @classmethod
    def deviations(cls, variances):
        """In float64."""
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
    """A convolution and what follows it up to the next one: what the kernels compute in one go."""

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
        """Of one image's forward pass; what pooling drops is never computed."""
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
    """The list of layers that the parameters of skcnn.network.Network make; pools of (1, 1) are none."""
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
    # Standardising takes the output intercepts out again: their gradient is 0, of which only rounding noise would be
    # left, that Adam scales to whole steps.
    bound = _SIGMOIDS_BOUND if activation == "sigmoid" and len(n_filters) <= _FEW_LAYERS else _HIDDEN_BOUND
    layers.append(Dense(shape, n_outputs, fit_intercept and not standardize, bound))
    if standardize:
        layers.append(Standardization(layers[-1].out_shape))
    layers.append(Activation(layers[-1].out_shape, "sigmoid"))
    return tuple(layers)


def group_stages(layers):
    """The stages that begin with each convolution of a list of layers."""
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
