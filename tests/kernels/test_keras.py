"""The same network in Keras (JAX, float64): outputs, gradients and training steps agree with the kernels.

Keras has channels last and images first, skcnn's layers have filters first; `to_keras` converts between them. Solver
steps have the same formulas, including Adam's, in which both add epsilon to the root of the second moment before bias
correction. Losses, normalisation and means are written out here: those of `keras.losses` and `keras.layers` have no sum
over outputs and no sample weights, and compute means with the precision of float32.
"""

from functools import partial

import numpy as np
import pytest

from skcnn.network import Network
from tests.helpers import harness
from tests.helpers.differences import split_gradient
from tests.helpers.harness import SMALL, SOLVER, random_problem
from tests.helpers.marks import every_loss, every_padding, plain_or_standardize
from tests.helpers.stacks import blocks, make_stack, n_ties, whole_numbers

jax = pytest.importorskip("jax")
with pytest.MonkeyPatch.context() as patch:
    patch.setenv("KERAS_BACKEND", "jax")
    keras = pytest.importorskip("keras")
assert keras.backend.backend() == "jax", "Keras was imported before, with another backend"

assert_close = partial(np.testing.assert_allclose, rtol=1e-9, atol=1e-12)

NETWORKS = {
    "1 output": {"n_outputs": 1},
    "3 outputs, channels": {"image_shape": (6, 5, 2)},
    "signal": {"image_shape": (1, 20, 1), "kernel_size": ((1, 4),)},
    "no intercept": {"fit_intercept": False},
    "global average": {"global_pool": "average"},
    "global max, channels": {"global_pool": "max", "image_shape": (6, 5, 2)},
}
every_network = pytest.mark.parametrize("changes", NETWORKS.values(), ids=NETWORKS)


@pytest.fixture(autouse=True)
def _float64():
    """JAX and Keras use float64 during these tests."""
    floatx, policy = keras.config.floatx(), keras.config.dtype_policy()
    keras.config.set_floatx("float64")
    keras.config.set_dtype_policy("float64")  # the first layer of a process fixes it
    with jax.enable_x64():
        yield
    keras.config.set_floatx(floatx)
    keras.config.set_dtype_policy(policy)


class BatchNormalization(keras.layers.BatchNormalization):
    """In float64, for which Keras's own layer uses float32."""

    def call(self, inputs, training=False):
        if training:
            axes = tuple(range(inputs.ndim - 1))
            means, variances = jax.numpy.mean(inputs, axes), jax.numpy.var(inputs, axes)
        else:
            means, variances = self.moving_mean.value, self.moving_variance.value
        normalized = self.gamma.value * (inputs - means) / jax.numpy.sqrt(variances + self.epsilon)
        return normalized + (self.beta.value if self.center else 0.0)


class GlobalAveragePooling(keras.layers.Layer):
    """In float64, for which Keras's own layer uses float32."""

    def call(self, inputs):
        return jax.numpy.mean(inputs, (1, 2))


GLOBAL_POOLS = {
    None: keras.layers.Flatten,
    "average": GlobalAveragePooling,
    "max": keras.layers.GlobalMaxPooling2D,
}


def to_keras(network, parameters):
    """A vector of trainable parameters as Keras's arrays: kernel, and bias or gamma and beta, of each Conv2D, then
    kernel and bias of Dense.
    """
    views = split_gradient(network, parameters[: network.n_trainable])
    arrays = []
    for number in range(len(network.stages)):
        arrays.append(views[f"filters_{number}"].transpose(2, 3, 1, 0))
        vectors = ("scales", "shifts") if network.batch_norm else ("filter_intercepts",)
        arrays += [views[f"{name}_{number}"] for name in vectors]
    height, width, n_filters = network.hidden_shape
    weights = views["weights"].reshape(network.n_outputs, n_filters, height, width).transpose(2, 3, 1, 0)
    arrays += [weights.reshape(network.n_hidden, network.n_outputs), views["intercepts"]]
    return [array for array in arrays if array.ndim > 1 or network.fit_intercept]


def make_model(network, parameters):
    """The network up to its logits."""
    options = {"use_bias": network.fit_intercept}
    # Keras's own tanh converts float64 to float32.
    activation = jax.numpy.tanh if network.activation == "tanh" else network.activation
    layers = [keras.Input(network.image_shape)]
    for stage in network.stages:
        layer, bias = stage.convolution, {"use_bias": network.fit_intercept and not network.batch_norm}
        layers.append(keras.layers.Conv2D(layer.n_filters, layer.kernel_size, padding=network.padding, **bias))
        if network.batch_norm:
            layers.append(BatchNormalization(epsilon=1e-5, center=network.fit_intercept))
        layers.append(keras.layers.Activation(activation))
        layers.append(keras.layers.MaxPooling2D(stage.pool_size))
    layers.append(GLOBAL_POOLS[network.global_pool]())
    model = keras.Sequential([*layers, keras.layers.Dense(network.n_outputs, **options)])
    for variable, array in zip(model.trainable_variables, to_keras(network, parameters), strict=True):
        variable.assign(array)
    return model


def keras_loss(loss, targets, logits):
    """Loss of each sample, summed over outputs."""
    if loss == "log_loss":
        return keras.ops.sum(keras.ops.softplus(logits) - targets * logits, axis=-1)
    return keras.ops.sum((targets - keras.ops.sigmoid(logits)) ** 2, axis=-1) / 2


@every_network
def test_outputs(changes):
    network = Network(**SMALL | changes)
    problem = random_problem(network, 17)
    parameters, X = problem["parameters"], problem["X"]
    logits, _ = harness.forward(network, parameters, X)
    assert_close(logits, make_model(network, parameters)(X.reshape(-1, *network.image_shape)))


@every_network
@every_loss
@plain_or_standardize
def test_gradient(changes, loss, standardize):
    network = Network(**SMALL | changes, standardize=standardize)
    problem = random_problem(network, 17, weighted=True)
    model = make_model(network, problem["parameters"])
    images = problem["X"].reshape(-1, *network.image_shape)
    share = problem["sample_weight"] / problem["sample_weight"].sum()

    def mean_loss(variables):
        logits, _ = model.stateless_call(variables, model.non_trainable_variables, images)
        if standardize:
            centred = logits - share @ logits
            logits = centred / keras.ops.sqrt(share @ centred**2 + 1e-12)
        return share @ keras_loss(loss, problem["targets"], logits)

    variables = [variable.value for variable in model.trainable_variables]
    expected, d_expected = jax.value_and_grad(mean_loss)(variables)
    value, gradient, _ = harness.batch_gradient(network, **problem, loss=loss)
    assert_close(value, expected)
    for actual, wanted in zip(to_keras(network, gradient), d_expected, strict=True):
        assert_close(actual, wanted)


# ---- several layers ----

# n_layers, pools, padding, kind of images, activation: see tests/helpers/stacks.py. Kernels have odd and even sides.
STACKS = {
    "relu, 3 x 2": (2, "3 x 2, ragged", "same", "grey", "relu"),
    "relu, channels": (2, "2 x 2, ragged", "valid", "channels", "relu"),
    "tanh": (2, "2 x 2, ragged", "same", "channels", "tanh"),
    "sigmoid, 2 x 1": (2, "2 x 1, ragged", "same", "grey", "sigmoid"),
    "no pools": (3, "no pools", "same", "grey", "relu"),
    "signal": (3, "2 x 2, ragged", "same", "signal", "tanh"),
}
every_stack = pytest.mark.parametrize(
    ("n_layers", "pools", "padding", "kind", "activation"), STACKS.values(), ids=STACKS
)


def assert_like_keras(network, problem):
    """Compare logits, the loss and its gradient."""
    model = make_model(network, problem["parameters"])
    images = problem["X"].reshape(-1, *network.image_shape)
    share = problem["sample_weight"] / problem["sample_weight"].sum()

    def mean_loss(variables):
        logits, _ = model.stateless_call(variables, model.non_trainable_variables, images)
        return share @ keras_loss("log_loss", problem["targets"], logits), logits

    variables = [variable.value for variable in model.trainable_variables]
    (expected, logits), d_expected = jax.jit(jax.value_and_grad(mean_loss, has_aux=True))(variables)
    assert_close(harness.forward(network, problem["parameters"], problem["X"])[0], logits)
    value, gradient, _ = harness.batch_gradient(network, **problem, loss="log_loss")
    assert_close(value, expected)
    for actual, wanted in zip(to_keras(network, gradient), d_expected, strict=True):
        assert_close(actual, wanted)


@every_stack
def test_stacks(n_layers, pools, padding, kind, activation):
    network = make_stack(n_layers, pools, padding, kind, activation=activation)
    assert_like_keras(network, random_problem(network, 19))


@pytest.mark.parametrize("kernel_size", [(4, 4), (2, 5)], ids=str)
def test_padding_of_even_kernels(kernel_size):
    """The larger half of an odd number of zeros is below and to the right."""
    network = Network((6, 7, 2), (3,), (kernel_size,), 2, padding="same", activation="tanh")
    assert_like_keras(network, random_problem(network, 19))


def test_largest_values_of_constant_patches():
    """Several values of a pool are the largest, from equal windows."""
    network = make_stack(2, "2 x 2, ragged", "valid", activation="relu")
    problem = random_problem(network, 19)
    problem["X"] = blocks(network, 19, 0)
    assert n_ties(network, problem) > 20
    assert_like_keras(network, problem)


@every_padding
def test_the_first_of_several_largest_values_has_the_gradient(padding):
    """Maxima from different windows, with exact sums of small integers, some of which are at the relu's kink."""
    network = make_stack(2, "3 x 2, ragged", padding, activation="relu")
    problem = whole_numbers(network, random_problem(network, 19))
    assert n_ties(network, problem) > 20
    assert_like_keras(network, problem)


# ---- normalised ----


@pytest.mark.parametrize(
    ("pools", "padding", "kind", "activation"),
    [
        ("no pools", "same", "grey", "relu"),
        ("2 x 2", "valid", "channels", "tanh"),
        ("2 x 2", "same", "channels", "relu"),
        ("2 x 2", "same", "signal", "sigmoid"),
    ],
)
@pytest.mark.parametrize("global_pool", [None, "average", "max"])
@pytest.mark.parametrize("n_samples", [1, 5, 16])
def test_normalized_stacks(pools, padding, kind, activation, global_pool, n_samples):
    """Batches of one group with equal weights, as Keras normalises over the whole batch.

    If relus make several windows equal, JAX divides the gradient of a maximum among them.
    """
    if global_pool == "max" and activation == "relu":
        activation = "tanh"
    choices = {"activation": activation, "global_pool": global_pool, "batch_norm": True}
    network = make_stack(2, pools, padding, kind, **choices)
    problem = random_problem(network, n_samples)
    model = make_model(network, problem["parameters"])
    images = problem["X"].reshape(-1, *network.image_shape)

    def mean_loss(variables):
        logits, statistics = model.stateless_call(variables, model.non_trainable_variables, images, training=True)
        return jax.numpy.mean(keras_loss("log_loss", problem["targets"], logits)), statistics

    variables = [variable.value for variable in model.trainable_variables]
    (expected, _), d_expected = jax.jit(jax.value_and_grad(mean_loss, has_aux=True))(variables)
    value, gradient, _ = harness.batch_gradient(network, **problem, loss="log_loss")
    assert_close(value, expected)
    for actual, wanted in zip(to_keras(network, gradient), d_expected, strict=True):
        assert_close(actual, wanted)


@pytest.mark.parametrize("kind", ["grey", "channels", "signal"])
def test_folded_predictions(kind):
    """Keras predicts with moving averages; skcnn folds its statistics into the filters."""
    network = make_stack(3, "2 x 2, ragged", "same", kind, activation="relu", batch_norm=True)
    problem = random_problem(network, 19)
    model = make_model(network, problem["parameters"])
    views = network.views(problem["parameters"])
    statistics = [views[f"{name}_{number}"] for number in range(3) for name in ("means", "variances")]
    for variable, array in zip(model.non_trainable_variables, statistics, strict=True):
        variable.assign(array)
    logits, _ = harness.forward(network, problem["parameters"], problem["X"])
    assert_close(logits, model(problem["X"].reshape(-1, *network.image_shape), training=False))


# ---- training ----


class Adam(keras.optimizers.Adam):
    """Adam with a factor of the learning rate for each variable, up to a bound; `arrays` has Parameters by path."""

    arrays: dict

    def update_step(self, gradient, variable, learning_rate):
        own = self.arrays[variable.path]
        bound = keras.ops.maximum(learning_rate, own.largest_rate)
        super().update_step(gradient, variable, keras.ops.minimum(learning_rate * own.rate, bound))


SOLVERS = {
    "adam": ({"kind": "adam"}, lambda: Adam(0.05, epsilon=1e-8)),
    "sgd": ({"kind": "sgd", "momentum": 0.0}, lambda: keras.optimizers.SGD(0.05)),
    "sgd, momentum": ({"kind": "sgd", "nesterovs_momentum": False}, lambda: keras.optimizers.SGD(0.05, momentum=0.9)),
    "sgd, nesterov": ({"kind": "sgd"}, lambda: keras.optimizers.SGD(0.05, momentum=0.9, nesterov=True)),
}


@pytest.mark.parametrize(("settings", "make_optimizer"), SOLVERS.values(), ids=SOLVERS)
@every_loss
def test_training(settings, make_optimizer, loss):
    network, n_samples, batch_size, n_epochs = Network(**SMALL), 30, 8, 2
    problem = random_problem(network, n_samples)
    model = make_model(network, problem["parameters"])
    optimizer, solver = make_optimizer(), SOLVER | settings
    optimizer.arrays = {
        variable.path: one for variable, (one, *_) in zip(model.trainable_variables, network.layout, strict=True)
    }
    model.compile(optimizer, loss=partial(keras_loss, loss))
    starts = range(0, n_samples, batch_size)
    for epoch in range(n_epochs):
        for start, rate in zip(starts, harness.learning_rates(solver, epoch, len(starts)), strict=True):
            batch = slice(start, start + batch_size)
            optimizer.learning_rate = rate
            model.train_on_batch(problem["X"][batch].reshape(-1, *network.image_shape), problem["targets"][batch])
    orders = n_epochs * [np.arange(n_samples)]
    options = {"orders": orders, "batch_size": batch_size, "solver": solver, "loss": loss}
    parameters, *_ = harness.train_batches(network, **problem, **options)
    for actual, expected in zip(to_keras(network, parameters), model.trainable_variables, strict=True):
        assert_close(actual, expected)
