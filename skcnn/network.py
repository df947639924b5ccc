"""The network: its list of layers, and the layout of all their parameters in one vector."""

from dataclasses import dataclass, field, fields, replace
from functools import partial
from itertools import pairwise
from math import prod

import numpy as np

from skcnn.images import check_image_shape
from skcnn.kernels import LANES, CompiledNetwork, Memory, forward, make_workspace
from skcnn.layers import BatchNormalization, group_stages, make_layers
from skcnn.sizes import choose_activation, choose_padding, layer_sizes

# Multiply-adds of a thread between two checks for signals: about 0.2 s on slow CPUs.
_RUN_WORK = 2e9


@dataclass(frozen=True)
class Network:
    """Convolutional layers and a dense layer: everything that a forward pass needs except the parameters.

    Parameters
    ----------
    image_shape : tuple of (height, width, n_channels)
    n_filters : tuple of int
        Filters of each convolutional layer.
    kernel_size : tuple of (kernel_height, kernel_width)
        Of each layer, at most the sides of its input.
    n_outputs : int
        1 for two classes, otherwise the number of classes or labels.
    pool_size : tuple of (pool_height, pool_width), default=None
        Of each layer; None is no pooling.
    padding : {"valid", "same"}
    activation : {"sigmoid", "tanh", "relu"}
        Of the convolutional layers.
    rescale : float
        Factor by which pixels are multiplied as they are read.
    fit_intercept : bool
        Whether the intercepts are trained; otherwise they stay 0.
    standardize : bool
        Whether the logits are standardised over the batch.
    batch_norm : bool
        Whether the output of each convolution is normalised, in training over a group of images.
    global_pool : {"average", "max"} or None
        What the dense layer reads of each feature map; None is all values.
    input_scale : float
        Scale of the rescaled pixels, 1 for pixels between 0 and 1; used in training only.

    Attributes
    ----------
    layers : tuple of skcnn.layers.Layer
        From the images to the probabilities.
    stages : tuple of skcnn.layers.Stage
        The convolutions among them, each with its normalisation, activation and pooling.
    layout : tuple of (skcnn.layers.Parameter, start, stop)
        Place of each array in the vector: trainable parameters first, statistics last.
    n_trainable, n_parameters : int
        Number of trainable parameters, and of all.
    n_multiply_adds : int
        Multiply-adds of one image's forward pass.
    compiled : CompiledNetwork

    Raises
    ------
    ValueError, TypeError
        If the network is impossible: see CompiledNetwork.
    """

    image_shape: tuple
    n_filters: tuple
    kernel_size: tuple
    n_outputs: int
    pool_size: tuple | None = None
    padding: str = "valid"
    activation: str = "sigmoid"
    rescale: float = 1.0
    fit_intercept: bool = True
    standardize: bool = False
    batch_norm: bool = False
    global_pool: str | None = None
    input_scale: float = field(default=1.0, compare=False)
    # Not lazy: if another thread held a lazy attribute's lock during a fork, it would stay locked in the child.
    layers: tuple = field(init=False, repr=False, compare=False)
    stages: tuple = field(init=False, repr=False, compare=False)
    layout: tuple = field(init=False, repr=False, compare=False)
    n_trainable: int = field(init=False, repr=False, compare=False)
    n_parameters: int = field(init=False, repr=False, compare=False)
    n_multiply_adds: int = field(init=False, repr=False, compare=False)
    compiled: CompiledNetwork = field(init=False, repr=False, compare=False)
    _folded: "Network | None" = field(init=False, repr=False, compare=False)

    def __post_init__(self):
        layers = make_layers(**self.to_state())
        parameters = [parameter for layer in layers for parameter in layer.parameters]
        parameters.sort(key=lambda parameter: parameter.statistic)
        ends = np.cumsum([0] + [parameter.size for parameter in parameters]).tolist()
        made = {
            "layers": layers,
            "stages": group_stages(layers),
            "layout": tuple((one, *ends) for one, ends in zip(parameters, pairwise(ends), strict=True)),
            "n_trainable": sum(parameter.size for parameter in parameters if not parameter.statistic),
            "n_parameters": ends[-1],
        }
        for name, value in made.items():
            object.__setattr__(self, name, value)
        work = sum(stage.n_multiply_adds for stage in self.stages) + self.n_hidden * self.n_outputs
        object.__setattr__(self, "n_multiply_adds", work)
        try:
            object.__setattr__(self, "compiled", CompiledNetwork(self))
        except OverflowError as error:
            raise ValueError("This network cannot be computed: one of its sizes is 2**63 or more.") from error
        object.__setattr__(self, "_folded", replace(self, batch_norm=False) if self.batch_norm else None)

    @property
    def folded(self):
        """The network without batch normalisation, which predicts with folded parameters (see `fold`)."""
        return self._folded or self

    @property
    def n_features(self):
        return prod(self.image_shape)

    @property
    def hidden_shape(self):
        """(height, width, n_filters) of the dense layer's input."""
        return (1, 1, self.n_filters[-1]) if self.global_pool else self.stages[-1].out_shape

    @property
    def n_hidden(self):
        return prod(self.hidden_shape)

    def __reduce__(self):
        return partial(type(self), **self.to_state()), ()  # the compiled part is made anew

    # ---- the parameter vector ----

    def views(self, parameters):
        """Views of the arrays in a parameter vector, by name."""
        return {one.name: parameters[start:stop].reshape(one.shape) for one, start, stop in self.layout}

    def initial_parameters(self, init, random_state, dtype):
        """A new parameter vector, initialised as ConvSigmoidClassifier's `init` says; intercepts are 0.

        Parameters
        ----------
        init : {"auto", "glorot_uniform", "he_uniform", "uniform"}
        random_state : numpy.random.RandomState
        dtype : numpy dtype
        """
        parameters = own(np.zeros(self.n_parameters), dtype)
        for one, start, stop in self.layout:
            drawn = one.fans is not None
            parameters[start:stop] = random_state.uniform(*one.bounds(init), size=one.size) if drawn else one.initial
        return parameters

    def fold(self, parameters):
        """Parameters of the `folded` network: filters times scale / deviation, with the rest in their intercepts.

        Without batch normalisation, these are the parameters themselves.
        """
        if not self.batch_norm:
            return parameters
        vector = own(np.zeros(self.folded.n_parameters), parameters.dtype)
        views, folded = self.views(parameters), self.folded.views(vector)
        for name in folded.keys() & views.keys():
            folded[name][:] = views[name]
        for number in range(len(self.stages)):
            scales, shifts, means, variances = (
                views[f"{name}_{number}"].astype(np.float64) for name in ("scales", "shifts", "means", "variances")
            )
            factors = scales / np.sqrt(variances + BatchNormalization.epsilon)
            folded[f"filters_{number}"][:] = views[f"filters_{number}"] * factors[:, np.newaxis, np.newaxis, np.newaxis]
            folded[f"filter_intercepts_{number}"][:] = shifts - means * factors
        return vector

    # ---- the kernels ----

    def workspace(self, n_rows, n_threads, dtype):
        """Scratch memory for training on batches of up to `n_rows` rows."""
        return make_workspace(self.compiled, n_rows, n_threads, np.dtype(dtype).itemsize)

    def forward(self, X, parameters, n_threads, *, rows=None, with_hidden=False, standardized=True):
        """Logits (n_rows, n_outputs), with standardisation by the stored statistics, and hidden activations.

        Parameters
        ----------
        X : ndarray of shape (n_samples, n_features)
        parameters : ndarray of shape (n_parameters,)
        n_threads : int
        rows : ndarray of np.intp, default=None
            Rows of X, in order; None is all rows.
        with_hidden : bool, default=False
            Whether to return the hidden activations (n_rows, n_hidden); otherwise they are None.
        standardized : bool, default=True
            Whether to standardise logits, if the network does so.
        """
        if self.batch_norm:
            return self.folded.forward(
                X, self.fold(parameters), n_threads, rows=rows, with_hidden=with_hidden, standardized=standardized
            )
        n_rows = X.shape[0] if rows is None else len(rows)
        logits = np.empty((n_rows, self.n_outputs), dtype=parameters.dtype)
        hidden = np.empty((n_rows, self.n_hidden), dtype=parameters.dtype) if with_hidden else None
        n_threads = min(n_threads, -(-n_rows // LANES))
        n_run = LANES * n_threads * count_until_signals(LANES * self.n_multiply_adds)
        for start, stop in split_runs(n_rows, n_run):
            run = slice(start, stop)
            some = (X[run], None) if rows is None else (X, rows[run])
            outputs = logits[run], None if hidden is None else hidden[run]
            forward(self.compiled, *some, parameters, outputs, n_threads, standardized)
        return logits, hidden

    def logits(self, X, parameters, n_threads, rows=None, *, standardized=True):
        return self.forward(X, parameters, n_threads, rows=rows, standardized=standardized)[0]

    def to_state(self):
        """The network as plain values: the keyword arguments of an equal network."""
        return {part.name: getattr(self, part.name) for part in fields(self) if part.init}


def make_network(estimator, n_features, n_outputs, given_shape=None, pixel_scale=(1.0, 1.0)):
    """The network of an estimator's hyper-parameters, for rows of `n_features` values.

    `pixel_scale` is the pair of its rescale and input_scale.
    """
    image_shape = check_image_shape(estimator.image_shape, n_features, given_shape)
    padding = choose_padding(estimator.padding, estimator.n_filters)
    n_filters, kernel_size, pool_size = layer_sizes(
        image_shape, estimator.n_filters, estimator.kernel_size, estimator.pool_size, padding, estimator.global_pool
    )
    rescale, input_scale = pixel_scale
    return Network(
        image_shape=image_shape,
        n_filters=n_filters,
        kernel_size=kernel_size,
        n_outputs=n_outputs,
        pool_size=pool_size,
        padding=padding,
        activation=choose_activation(estimator.activation, estimator.n_filters),
        rescale=rescale,
        fit_intercept=bool(estimator.fit_intercept),
        standardize=bool(estimator.standardize),
        batch_norm=bool(estimator.batch_norm),
        global_pool=estimator.global_pool,
        input_scale=input_scale,
    )


def split_runs(n_rows, n_run):
    """(start, stop) of runs of `n_run` rows, a multiple of LANES, that cover `n_rows`.

    No run is smaller than a group unless `n_rows` is, as a few rows are computed by other code, with other rounding.
    """
    starts = range(0, max(n_rows - LANES, 0) + 1, n_run)
    return pairwise([*starts, n_rows])


def count_until_signals(n_multiply_adds):
    """Number of units of `n_multiply_adds` each between two checks for signals (Ctrl-C)."""
    return max(1, int(_RUN_WORK // n_multiply_adds))


def own(values, dtype):
    """A copy of a vector that no view can resize, as its memory belongs to a private Memory object."""
    dtype = np.dtype(dtype)
    vector = np.frombuffer(Memory(len(values) * dtype.itemsize), dtype)
    vector[:] = values
    return vector
