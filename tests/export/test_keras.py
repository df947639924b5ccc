"""Conversion to a keras.Sequential: equal outputs and gradients, and a normal Keras model."""

import sys
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression

from skcnn import ConvSigmoidClassifier
from skcnn.export import from_keras, to_keras
from tests.helpers import harness
from tests.helpers.differences import split_gradient
from tests.helpers.drawn_networks import (
    N_NETWORKS,
    assert_variety,
    draw_fitted,
    draw_network,
    float32_tolerance,
    images_of,
    run_example,
    sigmoids,
)
from tests.helpers.marks import few_steps
from tests.helpers.scripts import fail_script, run_script

jax = pytest.importorskip("jax")
with pytest.MonkeyPatch.context() as patch:
    patch.setenv("KERAS_BACKEND", "jax")
    keras = pytest.importorskip("keras")
assert keras.backend.backend() == "jax", "Keras was imported before, with another backend"

pytestmark = few_steps
every_network = pytest.mark.parametrize("number", range(N_NETWORKS))
drawn = cache(draw_fitted)


def is_exact(clf):
    """Whether Keras computes the network in full float64 precision: not tanh and averages on JAX."""
    return clf.coefs_[0].dtype == np.float64 and clf.activation_ != "tanh" and clf.global_pool != "average"


@pytest.fixture(autouse=True)
def _float64():
    """JAX's 64-bit mode during these tests."""
    with jax.enable_x64():
        yield


def outputs_of(model, images):
    return keras.ops.convert_to_numpy(model(images))


def test_everything_is_drawn():
    assert_variety()


def dtype_of(number):
    """Odd and even numbers differ in padding, so both paddings need both dtypes."""
    return ("float32", "float64")[number // 2 % 2]


@every_network
def test_outputs(number):
    clf, X = drawn(number, dtype_of(number))
    model = to_keras(clf)
    assert type(model) is keras.Sequential
    assert model.input_shape == (None, *clf.image_shape_)
    assert {variable.dtype for variable in model.variables} == {dtype_of(number)}
    outputs = np.asarray(jax.jit(model)(images_of(clf, X)))
    assert outputs.dtype == dtype_of(number)
    tolerance = 1e-12 if is_exact(clf) else float32_tolerance(clf, X)
    np.testing.assert_allclose(outputs, sigmoids(clf, X), rtol=0, atol=tolerance)


OUTPUTS_ON_TORCH = """
import sys
import warnings
import numpy as np
from skcnn.export import from_keras, to_keras
sys.path.insert(0, sys.argv[1])  # behind skcnn: its source folder, which is not compiled, may lie there
from tests.helpers.drawn_networks import draw_fitted, float32_tolerance, images_of, sigmoids
import keras
warnings.filterwarnings("ignore", "The network learnt little")
for number in range(12):
    for dtype in ("float32", "float64"):
        clf, X = draw_fitted(number, dtype)
        model = to_keras(clf)
        assert {variable.dtype for variable in model.variables} == {dtype}
        outputs = keras.ops.convert_to_numpy(model(images_of(clf, X)))
        # Keras's dense layers have the precision of float32, whatever their dtype.
        tolerance = float32_tolerance(clf, X)
        np.testing.assert_allclose(outputs, sigmoids(clf, X), rtol=0, atol=tolerance, err_msg=f"{number}, {dtype}")
        if clf.n_outputs_ == 1:
            back = from_keras(model, clf.classes_)
            np.testing.assert_allclose(back.predict_proba(X), clf.predict_proba(X), rtol=0, atol=tolerance)
print(keras.backend.backend())
"""


def is_padded_unevenly(number):
    network, _ = draw_network(number)
    sides = [side for kernel in network["kernel_size"] for side in kernel]
    return network["padding"] == "same" and any(side % 2 == 0 for side in sides)


def test_another_backend():
    """In a separate process, as the backend is fixed for a process."""
    pytest.importorskip("torch")
    assert sum(is_padded_unevenly(number) for number in range(12)) > 3
    root = Path(__file__).parents[2]
    assert run_script(OUTPUTS_ON_TORCH, root, KERAS_BACKEND="torch") == "torch\n"


@pytest.mark.parametrize("number", [3, 4, 5, 8, 12])
def test_gradient(number):
    """The gradient of the folded parameters."""
    clf, X = drawn(number, "float64", standardize=False)
    network = clf._model.network.folded
    targets = np.random.default_rng(0).uniform(size=(len(X), network.n_outputs))
    ones = np.ones(len(X))
    expected, gradient, _ = harness.batch_gradient(network, clf._model.folded, X, targets, ones, loss="squared_error")
    model, images = to_keras(clf), images_of(clf, X)

    def mean_loss(variables):
        outputs, _ = model.stateless_call(variables, [], images)
        return ((targets - outputs) ** 2).sum() / 2 / len(X)

    variables = [variable.value for variable in model.trainable_variables]
    value, gradients = jax.jit(jax.value_and_grad(mean_loss))(variables)
    exact = is_exact(clf)
    np.testing.assert_allclose(value, expected, rtol=1e-12 if exact else 1e-6)
    for actual, wanted in zip(gradients, keras_arrays(network, gradient, model), strict=True):
        if wanted is not None:
            np.testing.assert_allclose(actual, wanted, rtol=1e-9 if exact else 1e-5, atol=1e-12 if exact else 1e-7)


def keras_arrays(network, gradient, model):
    """A gradient as Keras's list of kernels and biases; None for biases that are not learnt."""
    views = split_gradient(network, gradient)
    arrays = []
    n_layers = len(network.n_filters)
    height, width, n_filters = network.hidden_shape
    weights = views["weights"].reshape(network.n_outputs, n_filters, height, width).transpose(2, 3, 1, 0)
    kernels = [views[f"filters_{number}"].transpose(2, 3, 1, 0) for number in range(n_layers)]
    kernels.append(weights.reshape(-1, network.n_outputs))
    biases = [views[f"filter_intercepts_{number}"] for number in range(n_layers)] + [views["intercepts"]]
    with_weights = [layer for layer in model.layers if layer.weights]
    for layer, kernel, bias in zip(with_weights, kernels, biases, strict=True):
        arrays += [kernel, bias if network.fit_intercept else None][: len(layer.weights)]
    return arrays


@pytest.fixture(scope="module")
def digits_classifier(digits):
    """A classifier with rescaling, an even kernel and pools."""
    X, y = digits
    X = np.round(255 * X).astype(np.uint8)
    clf = ConvSigmoidClassifier((4, 5), (3, 2), learning_rate="cosine", max_iter=3, random_state=0)
    return clf.fit(X, y), X


def test_layers(digits_classifier):
    model = to_keras(digits_classifier[0])
    names = "Rescaling Conv2D MaxPooling2D Conv2D Flatten Dense"
    assert [type(layer).__name__ for layer in model.layers] == names.split()
    assert model.layers[0].scale == 1 / 255
    assert [layer.activation.__name__ for layer in model.layers if layer.weights] == ["relu", "relu", "sigmoid"]


def test_no_intercepts_are_no_biases(digits):
    clf = ConvSigmoidClassifier(2, fit_intercept=False, learning_rate="cosine", max_iter=1, random_state=0)
    model = to_keras(clf.fit(*digits))
    assert [len(layer.weights) for layer in model.layers] == [1, 0, 0, 1]
    assert from_keras(model).fit_intercept is False


def test_compiles_predicts_and_goes_on_learning(digits_classifier, digits):
    clf, X = digits_classifier
    model, images = to_keras(clf), images_of(clf, X)
    p = model.predict(images, verbose=0)
    np.testing.assert_allclose(p / p.sum(axis=1, keepdims=True), clf.predict_proba(X), rtol=0, atol=1e-6)
    model.compile("adam", loss="binary_crossentropy")
    losses = model.fit(images, np.eye(10)[digits[1]], epochs=3, batch_size=50, verbose=0).history["loss"]
    assert losses == sorted(losses, reverse=True)
    assert losses[-1] < 0.99 * losses[0]


def test_initialisation_is_that_of_keras(digits_classifier):
    """Clones draw their own initial weights; to_keras does not, as this takes JAX seconds."""
    configs = [layer.get_config() for layer in to_keras(digits_classifier[0]).layers if layer.weights]
    assert [config["kernel_initializer"]["class_name"] for config in configs] == 3 * ["GlorotUniform"]


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # raised inside Keras
def test_saves(digits_classifier, tmp_path):
    clf, X = digits_classifier
    model = to_keras(clf)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(outputs_of(loaded, images_of(clf, X)), outputs_of(model, images_of(clf, X)))
    np.testing.assert_array_equal(from_keras(loaded).predict_proba(X), clf.predict_proba(X))


def test_images_of_another_data_format(digits_classifier):
    """Keras's default may be channels first."""
    clf, X = digits_classifier
    expected = outputs_of(to_keras(clf), images_of(clf, X))
    keras.config.set_image_data_format("channels_first")
    try:
        model = to_keras(clf)
    finally:
        keras.config.set_image_data_format("channels_last")
    np.testing.assert_array_equal(outputs_of(model, images_of(clf, X)), expected)


def test_jax_without_float64(digits):
    X, y = digits
    clf = ConvSigmoidClassifier(2, learning_rate="cosine", max_iter=2, random_state=0).fit(X, y)
    with jax.enable_x64(False):
        with pytest.warns(UserWarning, match="the Keras model is float32.*jax_enable_x64"):
            model = to_keras(clf)
        assert {variable.dtype for variable in model.variables} == {"float32"}
        np.testing.assert_allclose(outputs_of(model, images_of(clf, X)), sigmoids(clf, X), rtol=0, atol=1e-6)


def test_logits_without_deviation(digits):
    """Weights divided by a deviation of nearly 0."""
    X = np.zeros((20, 16), dtype=np.float32)
    clf = ConvSigmoidClassifier(2, 3, standardize=True, learning_rate="cosine", max_iter=1, random_state=0)
    clf.fit(X, np.arange(20) % 2)
    np.testing.assert_allclose(outputs_of(to_keras(clf), images_of(clf, X)), sigmoids(clf, X), rtol=0, atol=1e-6)
    clf.coefs_[-1][:] = 1e38
    with pytest.raises(ValueError, match=r"dense layer's weights.* exceed the range of float32"):
        to_keras(clf)


def test_other_estimators():
    with pytest.raises(TypeError, match="must be a fitted ConvSigmoidClassifier; got LogisticRegression"):
        to_keras(LogisticRegression())
    with pytest.raises(NotFittedError):
        to_keras(ConvSigmoidClassifier())


def test_example():
    run_example(to_keras)


# ---- missing packages ----


def test_without_keras(monkeypatch):
    monkeypatch.setitem(sys.modules, "keras", None)
    for function in (to_keras, from_keras):
        with pytest.raises(ImportError, match=r"this needs keras: pip install 'skcnn\[keras\]'"):
            function(None)


def test_without_the_backend():
    """Keras's default backend, TensorFlow, is missing."""
    script = "import sys; sys.modules['tensorflow'] = None; from skcnn.export import to_keras; to_keras(None)"
    error = fail_script(script, KERAS_BACKEND="tensorflow")
    assert "Keras did not find 'tensorflow', which its backend needs: the environment variable KERAS_BACKEND" in error


def test_neither_keras_nor_torch_is_imported_before_it_is_needed():
    script = "import sys, skcnn.export; print(sorted({'keras', 'jax', 'torch', 'onnx'} & set(sys.modules)))"
    assert run_script(script) == "[]\n"
