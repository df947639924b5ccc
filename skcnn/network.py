"""The network's geometry and the layout of its parameters, which all live in one contiguous vector."""

from dataclasses import asdict, dataclass
from functools import cached_property, lru_cache
from itertools import pairwise
from math import prod, sqrt

import numpy as np

from skcnn.images import check_image_shape
from skcnn.kernels import ACTIVATIONS, LANES, forward, workspace_size
from skcnn.layers import layer_sizes, stack_layers

# Multiply-adds of a thread that go by before Python has a look at signals: some 0.05 s on slow CPUs.
_RUN_WORK = 5e8


@dataclass(frozen=True)
class Network:
    """Convolutional layers and a dense one: everything that a forward pass needs but the parameters.

    Parameters
    ----------
    image_shape : tuple of (height, width, n_channels)
    n_filters : tuple of int
        Of each convolutional layer.
    kernel_size : tuple of (kernel_height, kernel_width)
        Of each layer, at most the sides of what it reads.
    n_outputs : int
        1 for two classes, otherwise one per class.
    pool_size : tuple of (pool_height, pool_width), default=None
        Of each layer; None pools nowhere.
    padding : {"valid", "same"}
    activation : {"sigmoid", "tanh", "relu"}
        Of the convolutional layers.
    rescale : float
        Every pixel is multiplied by it as it is read.
    fit_intercept : bool
        Whether the intercepts are trained; they stay 0 otherwise.
    standardize : bool
        Whether the logits are standardised over the batch.
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

    @cached_property
    def layers(self):
        """The convolutional layers."""
        pool_size = self.pool_size or ((1, 1),) * len(self.n_filters)
        return stack_layers(self.image_shape, self.n_filters, self.kernel_size, pool_size, self.padding)

    @cached_property
    def n_features(self):
        return prod(self.image_shape)

    @cached_property
    def hidden_shape(self):
        """(height, width, n_filters) of what the dense layer reads."""
        return self.layers[-1].out_shape

    @cached_property
    def n_hidden(self):
        return prod(self.hidden_shape)

    @cached_property
    def n_multiply_adds(self):
        """Of one image's forward pass."""
        return sum(layer.n_multiply_adds for layer in self.layers) + self.n_hidden * self.n_outputs

    @cached_property
    def activation_code(self):
        return ACTIVATIONS[self.activation]

    @cached_property
    def taps(self):
        """All layers' taps, one after the other, those of a layer before its d_taps."""
        return self.pixel_taps * LANES

    @cached_property
    def pixel_taps(self):
        """The same in a single image."""
        return np.concatenate([taps for layer in self.layers for taps in (layer.taps, layer.d_taps)])

    # ---- the parameter vector ----

    @cached_property
    def _shapes(self):
        shapes = {}
        for number, layer in enumerate(self.layers):
            shapes[f"filters_{number}"] = layer.filters_shape
            shapes[f"filter_intercepts_{number}"] = (layer.n_filters,)
        statistics = self.n_outputs if self.standardize else 0
        return shapes | {
            "weights": (self.n_outputs, self.n_hidden),
            "intercepts": (self.n_outputs,),
            "running_means": (statistics,),
            "running_variances": (statistics,),
        }

    @cached_property
    def offsets(self):
        """Where each part of the parameter vector begins, in the order of `views`."""
        sizes = [prod(shape) for shape in self._shapes.values()]
        return tuple(int(start) for start in np.cumsum([0, *sizes[:-1]]))

    @cached_property
    def geometry(self):
        """Of each layer, the numbers of skcnn.kernels.geometry.Layer, and where its filters and intercepts begin."""
        return [(*layer.geometry, *self.offsets[2 * i : 2 * i + 2]) for i, layer in enumerate(self.layers)]

    @cached_property
    def dense_offsets(self):
        """Where weights, intercepts, running means and running variances begin."""
        return self.offsets[-4:]

    @cached_property
    def n_trainable(self):
        """Parameters that the solver moves: all but the running averages, which come last."""
        return self.offsets[-2]

    @cached_property
    def n_parameters(self):
        return self.offsets[-1] + prod(self._shapes["running_variances"])

    def views(self, parameters):
        """The parts of the parameter vector by name, as views."""
        parts = zip(self.offsets, self._shapes.items(), strict=True)
        return {name: parameters[start : start + prod(shape)].reshape(shape) for start, (name, shape) in parts}

    def initial_parameters(self, init, random_state, dtype):
        """A new parameter vector; intercepts are 0, running means 0 and running variances 1.

        Parameters
        ----------
        init : {"auto", "glorot_uniform", "he_uniform", "uniform"}
            Filters and weights are drawn from U(-b, b) with b = sqrt(6 / (fan_in + fan_out)) (Glorot and Bengio,
            2010) or b = sqrt(6 / fan_in) (He et al., 2015), the fans of a filter being its taps times the channels
            it reads and writes; or from U(0, 1). "auto" is He's for the filters before a relu, Glorot's for all else.
        random_state : numpy.random.RandomState
        dtype : numpy dtype
        """
        parameters = np.zeros(self.n_parameters, dtype=dtype)
        views = self.views(parameters)
        fans = {
            f"filters_{number}": (layer.n_taps, layer.n_filters * prod(layer.kernel_size))
            for number, layer in enumerate(self.layers)
        }
        fans["weights"] = self.n_hidden, self.n_outputs
        for name, (fan_in, fan_out) in fans.items():
            he = init == "he_uniform" or (init == "auto" and name != "weights" and self.activation == "relu")
            bound = sqrt(6.0 / (fan_in if he else fan_in + fan_out))
            low, high = (0.0, 1.0) if init == "uniform" else (-bound, bound)
            views[name][:] = random_state.uniform(low, high, size=views[name].shape)
        views["running_variances"][:] = 1.0
        return parameters

    # ---- what the kernels work in ----

    def workspace(self, n_rows, n_threads, dtype):
        """Scratch memory for batches of up to `n_rows` rows, aligned for the widest vectors."""
        return aligned_empty(workspace_size(self, n_rows, n_threads, np.dtype(dtype).itemsize), dtype)

    def forward(self, X, parameters, n_threads, *, rows=None, with_hidden=False):
        """Logits (n_rows, n_outputs), standardised by the running averages if at all, and hidden activations.

        Parameters
        ----------
        X : ndarray of shape (n_samples, n_features)
        parameters : ndarray of shape (n_parameters,)
        n_threads : int
        rows : ndarray of np.intp, default=None
            Which rows of X, in which order; all of them if None.
        with_hidden : bool, default=False
            Whether the hidden activations (n_rows, n_hidden) are wanted; they are None otherwise.
        """
        n_rows = X.shape[0] if rows is None else len(rows)
        logits = np.empty((n_rows, self.n_outputs), dtype=parameters.dtype)
        hidden = np.empty((n_rows, self.n_hidden), dtype=parameters.dtype) if with_hidden else None
        n_threads = min(n_threads, -(-n_rows // LANES))
        n_run = LANES * count_until_signals(LANES * self.n_multiply_adds)
        for start, stop in split_runs(n_rows, n_run):
            run = slice(start, stop)
            some = (X[run], None) if rows is None else (X, rows[run])
            forward(*some, self, parameters, n_threads, logits[run], None if hidden is None else hidden[run])
        return logits, hidden

    def logits(self, X, parameters, n_threads, rows=None):
        return self.forward(X, parameters, n_threads, rows=rows)[0]

    def to_state(self):
        """The network as plain numbers, of which `restore_network` makes the same network."""
        return asdict(self)


def restore_network(state):
    """The network of a `to_state`; the same object as last time, for making its tables takes longer than a row does."""
    return _restore_network(tuple(state.items()))


@lru_cache(maxsize=64)
def _restore_network(items):
    return Network(**dict(items))


def make_network(estimator, n_features, n_outputs, given_shape=None):
    """The network that an estimator's hyper-parameters ask for, on rows of `n_features` values."""
    image_shape = check_image_shape(estimator.image_shape, n_features, given_shape)
    n_filters, kernel_size, pool_size = layer_sizes(
        image_shape, estimator.n_filters, estimator.kernel_size, estimator.pool_size, estimator.padding
    )
    return Network(
        image_shape=image_shape,
        n_filters=n_filters,
        kernel_size=kernel_size,
        n_outputs=n_outputs,
        pool_size=pool_size,
        padding=estimator.padding,
        activation=estimator.activation,
        rescale=float(estimator.rescale),
        fit_intercept=bool(estimator.fit_intercept),
        standardize=bool(estimator.standardize),
    )


def split_runs(n_rows, n_run):
    """(start, stop) of runs of `n_run` rows, a multiple of LANES, that cover `n_rows`.

    No run has fewer rows than a group, unless that is all: a few rows by themselves go another way.
    """
    starts = range(0, max(n_rows - LANES, 0) + 1, n_run)
    return pairwise([*starts, n_rows])


def count_until_signals(n_multiply_adds):
    """How many of something that takes `n_multiply_adds` are done before Python has a look at signals (Ctrl-C)."""
    return max(1, int(_RUN_WORK // n_multiply_adds))


def aligned_empty(size, dtype):
    """An uninitialised vector that begins on a cache line (64 bytes)."""
    dtype = np.dtype(dtype)
    raw = np.empty(size * dtype.itemsize + 64, dtype=np.uint8)
    start = -raw.ctypes.data % 64
    return raw[start : start + size * dtype.itemsize].view(dtype)
