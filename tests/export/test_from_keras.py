"""Conversion of a keras.Sequential to a fitted estimator: equal outputs, continued training, and errors."""

import pickle

import numpy as np
import pytest
from sklearn.base import clone

from skcnn import ConvSigmoidClassifier
from skcnn.export import from_keras, to_keras
from tests.helpers.drawn_networks import N_NETWORKS, draw_fitted, float32_tolerance, run_example, sigmoids
from tests.helpers.marks import few_steps

jax = pytest.importorskip("jax")
with pytest.MonkeyPatch.context() as patch:
    patch.setenv("KERAS_BACKEND", "jax")
    keras = pytest.importorskip("keras")
assert keras.backend.backend() == "jax", "Keras was imported before, with another backend"

layers = keras.layers
pytestmark = few_steps


@pytest.fixture(autouse=True)
def _float64():
    """JAX's 64-bit mode during these tests."""
    with jax.enable_x64():
        yield


def dtype_of(number):
    """Odd and even numbers differ in padding, so both paddings need both dtypes."""
    return ("float32", "float64")[number // 2 % 2]


@pytest.mark.parametrize("number", range(0, N_NETWORKS, 3))
def test_round_trip(number):
    """Parameters are equal to the bit, except for rounding by the division with `standardize`."""
    clf, X = draw_fitted(number, dtype_of(number))
    labels = clf._model.labels
    back = from_keras(to_keras(clf), None if labels.multilabel else clf.classes_, multilabel=labels.multilabel)
    for name in ("image_shape_", "kernel_size_", "activation_", "rescale_", "n_outputs_"):
        assert getattr(back, name) == getattr(clf, name), name
    assert back.coefs_[0].dtype == dtype_of(number)
    np.testing.assert_array_equal(back.predict(X), clf.predict(X))
    difference = np.abs(back.predict_proba(X) - clf.predict_proba(X)).max()
    tolerance = 1e-12 if dtype_of(number) == "float64" else float32_tolerance(clf, X)
    assert difference <= (tolerance if clf.standardize else 0)


# All supported layers, and some settings that are equivalent to supported ones.
FITTING = {
    "activations inside": [
        layers.Rescaling(1 / 255),
        layers.Conv2D(3, 3, activation="tanh"),
        layers.MaxPooling2D(2),
        layers.Conv2D(4, (1, 2), activation="tanh"),
        layers.Flatten(),
        layers.Dense(3, activation="sigmoid"),
    ],
    "activations as layers": [
        layers.Conv2D(3, 4, padding="same", use_bias=False),
        layers.Activation("relu"),
        layers.MaxPooling2D((2, 3), strides=(2, 3)),
        layers.SpatialDropout2D(0.2),
        layers.Conv2D(4, (3, 2), padding="same"),
        layers.ReLU(),
        layers.Flatten(),
        layers.Dropout(0.5),
        layers.Dense(3),
        layers.Activation("sigmoid"),
    ],
    "1 x 1 has no padding": [
        layers.Conv2D(3, 1, activation="sigmoid"),
        layers.Conv2D(2, 3, padding="same", activation="sigmoid"),
        layers.GlobalMaxPooling2D(),
        layers.Dense(3, use_bias=False, activation="sigmoid"),
    ],
    "no biases": [
        layers.Conv2D(3, 3, use_bias=False, activation="relu"),
        layers.Activation("linear"),
        layers.GlobalAveragePooling2D(keepdims=True),
        layers.Flatten(),
        layers.Dense(3, use_bias=False, activation="sigmoid"),
    ],
}
every_fitting = pytest.mark.parametrize("stack", FITTING.values(), ids=FITTING)
IMAGE_SHAPE = (9, 8, 2)


def copies_of(stack):
    """Copies of the layers with zero weights, as JAX takes seconds to draw random ones."""
    configs = [layer.get_config() for layer in stack]
    zeros = [{"kernel_initializer": "zeros"} if "kernel_initializer" in config else {} for config in configs]
    return [type(layer).from_config(config | zero) for layer, config, zero in zip(stack, configs, zeros, strict=True)]


def make_model(stack, image_shape=IMAGE_SHAPE):
    """A model of copies of the layers, with random weights."""
    model = keras.Sequential([keras.Input(image_shape), *copies_of(stack)])
    rng = np.random.default_rng(0)
    model.set_weights([rng.normal(scale=0.5, size=variable.shape) for variable in model.weights])
    return model


@pytest.fixture
def images():
    return np.random.default_rng(0).normal(size=(20, *IMAGE_SHAPE)).astype(np.float32)


@every_fitting
def test_outputs_of_what_fits(stack, images):
    model = make_model(stack)
    clf = from_keras(model)
    np.testing.assert_allclose(sigmoids(clf, images), model(images), rtol=0, atol=2e-6)
    assert clf.coefs_[0].dtype == np.float32
    assert clf.classes_.tolist() == [0, 1, 2]
    assert clf.fit_intercept == any(len(layer.weights) > 1 for layer in model.layers)


def test_hyper_parameters_make_the_same_network(images):
    model = make_model(FITTING["activations as layers"])
    clf = from_keras(model)
    assert clf.get_params() == ConvSigmoidClassifier().get_params() | {
        "n_filters": (3, 4),
        "kernel_size": [(4, 4), (3, 2)],
        "image_shape": IMAGE_SHAPE,
        "padding": "same",
        "pool_size": [(2, 3), (1, 1)],
        "activation": "relu",
        "rescale": 1.0,
    }
    other = clone(clf).set_params(learning_rate="cosine", max_iter=1).fit(images, np.arange(20) % 3)
    assert other._network == clf._network
    assert str(other.summary()) == str(clf.summary())


def test_one_filter_bank_is_a_number():
    clf = from_keras(make_model(FITTING["no biases"]))
    assert (clf.n_filters, clf.kernel_size, clf.global_pool) == (3, [(3, 3)], "average")
    assert from_keras(make_model(FITTING["activations inside"])).rescale == 1 / 255


@pytest.fixture
def imported():
    return from_keras(make_model(FITTING["activations inside"][1:]))


def test_is_fitted(imported, images):
    """The estimator is fitted like any other, but has no training history."""
    assert imported.predict(images).shape == (20,)
    assert imported.transform(images.reshape(20, -1)).shape == (20, imported.coefs_[-1].shape[0])
    assert imported.n_features_in_ == 144
    assert (imported.n_iter_, imported.t_, imported.loss_curve_) == (0, 0, [])
    assert np.isnan(imported.loss_)
    assert imported.learning_rate_ == imported.learning_rate_init
    loaded = pickle.loads(pickle.dumps(imported))
    np.testing.assert_array_equal(loaded.predict_proba(images), imported.predict_proba(images))
    assert "convolution 2, 1 x 2, tanh" in str(imported.summary())


def test_is_a_copy(images):
    model = make_model(FITTING["activations inside"])
    clf = from_keras(model)
    before = clf.predict_proba(images)
    model.set_weights([0 * variable.value for variable in model.weights])
    np.testing.assert_array_equal(clf.predict_proba(images), before)


def test_training_goes_on(imported, images):
    """Training continues from these weights: after one epoch, they are still close."""
    y = np.arange(20) % 3
    before = imported.coefs_[0].copy()
    streamed = pickle.loads(pickle.dumps(imported)).set_params(learning_rate_init=1e-4)
    streamed.partial_fit(images, y)
    assert 0 < np.abs(streamed.coefs_[0] - before).max() < 0.01
    warm = imported.set_params(warm_start=True, learning_rate="cosine", max_iter=1, learning_rate_init=1e-4)
    warm.fit(images, y)
    assert 0 < np.abs(warm.coefs_[0] - before).max() < 0.01
    assert (warm.t_, warm.n_iter_, len(warm.loss_curve_)) == (20, 1, 1)


def outputs_layer(n_outputs):
    return [layers.Conv2D(2, 3, activation="relu"), layers.Flatten(), layers.Dense(n_outputs, activation="sigmoid")]


def test_classes_are_those_of_the_outputs(images):
    """The outputs' classes may be in any order; the estimator's are sorted."""
    model = make_model(outputs_layer(3))
    p = np.asarray(model(images))
    clf = from_keras(model, ["dog", "ant", "cat"])
    assert clf.classes_.tolist() == ["ant", "cat", "dog"]
    np.testing.assert_allclose(sigmoids(clf, images), p[:, [1, 2, 0]], rtol=0, atol=1e-6)


@pytest.mark.parametrize(("classes", "column"), [(None, 1), ([0, 1], 1), (["no", "yes"], 1), (["yes", "no"], 0)])
def test_classes_of_one_output(classes, column, images):
    """The output is the probability of the second class passed."""
    model = make_model(outputs_layer(1))
    clf = from_keras(model, classes)
    assert clf.classes_.tolist() == ([0, 1] if classes is None else sorted(classes))
    np.testing.assert_allclose(clf.predict_proba(images)[:, column], model(images)[:, 0], rtol=0, atol=1e-6)


def test_several_labels(images):
    model = make_model(outputs_layer(2))
    clf = from_keras(model, multilabel=True)
    np.testing.assert_allclose(clf.predict_proba(images), model(images), rtol=0, atol=1e-6)
    np.testing.assert_array_equal(clf.predict(images), np.asarray(model(images)) > 0.5)


@pytest.mark.parametrize(
    ("n_outputs", "options", "message"),
    [
        (3, {"classes": ["a", "b"]}, r"classes=\['a', 'b'\] must be 3 different labels, as the model has 3 outputs"),
        (3, {"classes": [1, 1, 2]}, "must be 3 different labels"),
        (1, {"classes": [1]}, "must be 2 different labels, as the model has 1 output"),
        (3, {"classes": [1.0, 2.0, np.nan]}, "must not hold NaN"),
        (2, {}, "The model has 2 outputs: two classes are one output here.*multilabel=True"),
        (1, {"multilabel": True}, "multilabel=True takes.*two outputs or more"),
        (3, {"multilabel": True, "classes": [0, 1, 2]}, "multilabel=True takes classes=None"),
    ],
)
def test_classes_that_do_not_fit(n_outputs, options, message):
    with pytest.raises(ValueError, match=message):
        from_keras(make_model(outputs_layer(n_outputs)), **options)


def test_multilabel_is_a_boolean():
    with pytest.raises(TypeError, match="multilabel must be True or False; got 'yes'"):
        from_keras(make_model(outputs_layer(3)), multilabel="yes")


def conv(**settings):
    return layers.Conv2D(2, 3, **{"activation": "relu", "name": "conv"} | settings)


FLAT, DENSE = layers.Flatten(), layers.Dense(3, activation="sigmoid", name="dense")
POOL = layers.MaxPooling2D(2, name="pool")

# Layers, and the error about the first unsupported one.
MISFITS = {
    "strides": (
        [conv(strides=2)],
        r"Conv2D 'conv' \(model.layers\[0\]\) does not fit: strides=\(2, 2\) must be \(1, 1\)",
    ),
    "dilation": ([conv(dilation_rate=2)], r"Conv2D 'conv'.*dilation_rate=\(2, 2\) must be"),
    "groups": ([conv(groups=2)], "Conv2D 'conv'.*groups=2 must be 1"),
    "large kernel": ([layers.Conv2D(2, 9, padding="same", activation="relu")], r"kernel_size=\(9, 9\).*9 x 8"),
    "large kernel behind a pool": (
        [conv(padding="same"), POOL, layers.Conv2D(2, 5, padding="same", activation="relu")],
        r"kernel_size=\(5, 5\).*4 x 4",
    ),
    "activation": ([conv(activation="gelu")], "Conv2D 'conv'.*its activation is gelu; Keras's sigmoid, tanh, relu"),
    "no activation": ([conv(activation=None), POOL], "MaxPooling2D 'pool'.*follows a convolution without activation"),
    "two in a row": ([conv(), layers.ReLU(name="more")], "ReLU 'more'.*follows an activation"),
    "leaky": ([conv(activation=None), layers.ReLU(negative_slope=0.1)], "negative_slope=0.1 must be 0"),
    "softmax": ([conv(), FLAT, layers.Dense(3, activation="softmax", name="dense")], "Dense 'dense'.*softmax"),
    "other activations": (
        [conv(), layers.Conv2D(2, 3, activation="tanh", name="next")],
        "Conv2D 'next'.*must be the same of all convolutions, relu as before; it is tanh",
    ),
    "other padding": (
        [conv(), layers.Conv2D(2, 3, activation="relu", padding="same", name="next")],
        "Conv2D 'next'.*padding='same' must be the same in all convolutions, 'valid' as before",
    ),
    "rescaling with an offset": ([layers.Rescaling(2, offset=-1, name="scale")], "Rescaling 'scale'.*offset=-1 must"),
    "rescaling of channels": ([layers.Rescaling([1.0, 2.0])], "scale=.* must be one number, not 0"),
    "late rescaling": ([conv(), layers.Rescaling(2.0)], r"Rescaling.*layers\[1\].*follows an activation"),
    "overlapping pools": ([conv(), layers.MaxPooling2D(3, strides=2)], r"strides=\(2, 2\) must be \(3, 3\)"),
    "padded pools": ([conv(), layers.MaxPooling2D(2, padding="same")], "padding='same' must be 'valid'"),
    "early pool": ([POOL], "MaxPooling2D 'pool'.*follows the images, and may follow an activation"),
    "two pools": ([conv(), POOL, layers.MaxPooling2D(2, name="next")], "MaxPooling2D 'next'.*follows a pool"),
    "no flatten": ([conv(), DENSE], "Dense 'dense'.*follows an activation, and may follow flat values"),
    "no convolution": ([FLAT, DENSE], "Flatten.*follows the images"),
    "hidden dense": ([conv(), FLAT, layers.Dense(5, activation="relu", name="hidden"), DENSE], "'hidden'.*must be sig"),
    "two dense": ([conv(), FLAT, DENSE, layers.Dense(3, name="next")], "Dense 'next'.*follows the outputs"),
    "unknown": ([conv(), layers.BatchNormalization(name="norm")], "BatchNormalization 'norm'.*takes Rescaling, Conv2D"),
    "no end": ([conv()], "model ends with an activation; its last layer must be a Dense layer with sigmoid"),
    "logits": ([conv(), FLAT, layers.Dense(3)], "model ends with logits; its last layer must be a Dense"),
    "too deep": (
        [layers.Conv2D(1, 1, activation="relu") for _ in range(17)],
        r"layers\[16\].*16 convolutions is the most",
    ),
    "subclass": ([type("Own", (layers.Conv2D,), {})(2, 3, name="own")], "Own 'own'.*nothing like it in skcnn"),
    "channels first": (
        [layers.Conv2D(2, (3, 2), data_format="channels_first", activation="relu")],
        "data_format='channels_first' must be 'channels_last'",
    ),
}


@pytest.mark.parametrize(("stack", "message"), MISFITS.values(), ids=MISFITS)
def test_what_does_not_fit(stack, message):
    model = keras.Sequential([keras.Input(IMAGE_SHAPE), *copies_of(stack)])
    with pytest.raises(ValueError, match=message):
        from_keras(model)


def test_weights_that_are_not_finite():
    model = make_model(outputs_layer(3))
    model.layers[2].bias.assign([1.0, np.nan, 0.0])
    with pytest.raises(ValueError, match=r"Dense.*has weights that are not finite"):
        from_keras(model)


def test_inputs_that_are_no_images():
    with pytest.raises(ValueError, match=r"inputs of shape \(5,\); they must be images"):
        from_keras(keras.Sequential([keras.Input((5,)), layers.Dense(1, activation="sigmoid")]))
    with pytest.raises(ValueError, match=r"inputs of shape \(None, None, 3\)"):
        from_keras(keras.Sequential([keras.Input((None, None, 3)), *copies_of([conv(), layers.GlobalMaxPooling2D()])]))
    with pytest.raises(ValueError, match=r"has not been built: give it a keras\.Input"):
        from_keras(keras.Sequential([conv()]))


def test_other_models():
    inputs = keras.Input(IMAGE_SHAPE)
    with pytest.raises(TypeError, match=r"model must be a keras\.Sequential; got Functional"):
        from_keras(keras.Model(inputs, conv()(inputs)))
    with pytest.raises(TypeError, match="got ConvSigmoidClassifier"):
        from_keras(ConvSigmoidClassifier())


def test_layers_of_another_model(images):
    """In Keras's records, layers shared with another model have several inputs."""
    model = make_model(FITTING["activations inside"])
    again = keras.Sequential([keras.Input(IMAGE_SHAPE), *model.layers])
    np.testing.assert_array_equal(from_keras(again).predict_proba(images), from_keras(model).predict_proba(images))


@pytest.mark.parametrize(
    ("of_filters", "of_weights", "expected"),
    [("float64", "float64", "float64"), ("float64", "float32", "float32"), ("bfloat16", "bfloat16", "float32")],
)
def test_dtypes(of_filters, of_weights, expected):
    stack = [
        layers.Conv2D(2, 3, activation="relu", dtype=of_filters),
        layers.Flatten(),
        layers.Dense(3, activation="sigmoid", dtype=of_weights),
    ]
    model = make_model(stack)
    clf = from_keras(model)
    assert [array.dtype for array in clf.coefs_] == [expected, expected]
    filters = np.array(model.layers[0].kernel.value).astype(expected).transpose(3, 2, 0, 1)
    np.testing.assert_array_equal(clf.coefs_[0], filters)


def test_example():
    run_example(from_keras)
