"""Conversion of a fitted network to a `keras.Sequential`, and of a Sequential to a fitted estimator."""

from math import prod

import numpy as np

from skcnn.classifier import ConvSigmoidClassifier
from skcnn.export._folded import dense_arrays, fitted_model, has_bias
from skcnn.export._sequential import SequentialReader
from skcnn.extras import import_extra
from skcnn.layers import Convolution, Dense, GlobalPooling, MaxPooling
from skcnn.network import make_network
from skcnn.notices import warn
from skcnn.plan import make_plan
from skcnn.state import State, fitted_attributes, zero_moments
from skcnn.targets import Labels, check_classes
from skcnn.validation import check_fits_dtype


def import_keras():
    """Keras, or an ImportError that says how to install it or how to choose an installed backend."""
    try:
        return import_extra("keras", "keras")
    except ModuleNotFoundError as error:
        missing = str(error.name).partition(".")[0]
        raise ImportError(
            f"Keras did not find {missing!r}, which its backend needs: the environment variable KERAS_BACKEND, set "
            "before Keras is first imported, names another ('jax', 'torch' or 'tensorflow')."
        ) from error


# ---- to Keras ----


def to_keras(estimator):
    """Convert a fitted network to a `keras.Sequential`, on any backend of Keras.

    The model takes images of the network's shape, channels last, with the same pixel values as in `fit`:
    `X.reshape(-1, *estimator.image_shape_)` for rows. If the estimator rescales pixels, the first layer is a Rescaling.
    `batch_norm` is folded into the filters and `standardize` into the dense layer.

    The model has one sigmoid for each output of the network. For two classes, this is the probability of `classes_[1]`;
    for multilabel targets, it is `predict_proba`. For more classes, `predict_proba` is each row of outputs divided by
    its sum.

    Parameters
    ----------
    estimator : ConvSigmoidClassifier
        Fitted.

    Returns
    -------
    model : keras.Sequential
        Not compiled; call `model.compile` before `fit`. Its layers have the dtype that the estimator was trained in,
        float32 or float64.

    Raises
    ------
    ImportError
        If Keras or its backend is not installed.
    TypeError
        If `estimator` is of another kind.
    NotFittedError
        If there has been no `fit`.
    ValueError
        If `standardize` divides weights by deviations so small that they overflow.

    Warns
    -----
    UserWarning
        If the estimator was trained in float64 and Keras runs on JAX without its 64-bit mode; the model is then
        float32.

    See Also
    --------
    from_keras : The reverse conversion.
    to_torch : The same for PyTorch.

    Notes
    -----
    Keras's `predict`, `evaluate` and `fit` convert their data to `keras.config.floatx()`, which is float32 unless
    `keras.config.set_floatx("float64")` has been called; `model(images)` does not. In Keras 3, some float64 operations
    have only float32 precision: tanh and global averages on JAX, global averages and dense layers on PyTorch.
    `to_torch` keeps full precision.

    Examples
    --------
    >>> import numpy as np
    >>> from skcnn import ConvSigmoidClassifier
    >>> from skcnn.datasets import load_mnist_sample
    >>> from skcnn.export import to_keras
    >>> X, y = load_mnist_sample(return_X_y=True)
    >>> clf = ConvSigmoidClassifier(learning_rate="cosine", max_iter=5, random_state=0).fit(X, y)
    >>> model = to_keras(clf)  # doctest: +SKIP
    >>> p = model.predict(X.reshape(-1, *clf.image_shape_), verbose=0)  # doctest: +SKIP
    >>> np.allclose(p / p.sum(axis=1, keepdims=True), clf.predict_proba(X), atol=1e-6)  # doctest: +SKIP
    True
    """
    keras = import_keras()
    model = fitted_model(estimator)
    network = model.network.folded
    dtype = keras_dtype(keras, model.folded.dtype.name)
    layers = [keras.Input(network.image_shape, dtype=dtype)]
    if network.rescale != 1:
        layers.append(keras.layers.Rescaling(network.rescale, dtype=dtype))
    arrays = []
    for layer in network.layers:
        made, values = keras_layers(keras, layer, model, dtype)
        layers += made
        arrays += values
    exported = keras.Sequential(layers)
    exported.set_weights(arrays)
    for layer in exported.layers:
        if layer.weights:  # JAX takes seconds to draw weights, hence zeros; clones draw them
            layer.kernel_initializer = keras.initializers.GlorotUniform()
    return exported


def keras_dtype(keras, dtype):
    """The dtype of the Keras model, given that of the parameters."""
    if dtype == "float32" or keras.config.backend() != "jax":
        return dtype
    if import_extra("jax", "keras").dtypes.canonicalize_dtype(dtype) == np.float64:
        return dtype
    warn(
        "The estimator was trained in float64, which JAX has in its 64-bit mode only: the Keras model is float32. "
        "jax.config.update('jax_enable_x64', True) switches that mode on."
    )
    return "float32"


def keras_layers(keras, layer, model, dtype):
    """The Keras layers for a layer of the network, and their weights, as two lists."""
    network = model.network.folded
    views = network.views(model.folded)
    images = {"dtype": dtype, "data_format": "channels_last"}
    zeros = {"kernel_initializer": "zeros"}
    match layer:
        case Convolution():
            filters, biases = (views[f"{name}_{layer.number}"] for name in ("filters", "filter_intercepts"))
            bias = has_bias(network, biases)
            settings = {"padding": layer.padding, "activation": layer.activation, "use_bias": bias}
            made = keras.layers.Conv2D(layer.n_filters, layer.kernel_size, **settings, **zeros, **images)
            return [made], [filters.transpose(2, 3, 1, 0), *([biases] if bias else [])]
        case MaxPooling():
            return [keras.layers.MaxPooling2D(layer.pool_size, **images)], []
        case GlobalPooling(function="max"):
            return [keras.layers.GlobalMaxPooling2D(**images)], []
        case GlobalPooling():
            return [keras.layers.GlobalAveragePooling2D(**images)], []
        case Dense():
            weights, biases = dense_arrays(model)
            bias = has_bias(network, biases)
            flat = [] if network.global_pool else [keras.layers.Flatten(**images)]
            settings = {"activation": "sigmoid", "use_bias": bias}
            made = keras.layers.Dense(layer.n_outputs, **settings, **zeros, dtype=dtype)
            # Keras flattens in the order (row, column, filter).
            kernel = weights.transpose(2, 3, 1, 0).reshape(-1, layer.n_outputs)
            return [*flat, made], [kernel, *([biases] if bias else [])]
    return [], []  # activations and standardisation are part of the layers above


# ---- from Keras ----


def from_keras(model, classes=None, *, multilabel=False):
    """Convert a `keras.Sequential` to a fitted classifier with the same network and weights.

    The model must consist of an optional Rescaling; Conv2D layers, each with an activation (its own, or an Activation
    or ReLU layer) and an optional MaxPooling2D; Flatten, GlobalAveragePooling2D or GlobalMaxPooling2D; and one Dense
    layer with a sigmoid. All convolutions must have the same activation and padding, with strides, dilation and groups
    of 1; pools must not overlap. Dropout layers are skipped, as they do nothing in predictions.

    Parameters
    ----------
    model : keras.Sequential
        A built model: with an Input, or called once. Its images are (height, width, n_channels).
    classes : array-like of shape (n_classes,), default=None
        Class of each output, in the order of the outputs; for one output, two labels, of which the output is the
        probability of the second. None is 0, 1, 2 and so on. `classes_` has them sorted.
    multilabel : bool, default=False
        Whether the outputs are labels of which a sample may have any number; `classes` must then be None.

    Returns
    -------
    estimator : ConvSigmoidClassifier
        Its parameters are float64 if all of the model's are, otherwise float32. Its hyper-parameters describe the same
        network; all others have their defaults. `partial_fit`, and `fit` with `warm_start=True`, continue from the
        model's weights. For three or more classes, `predict_proba` scales the outputs to sum to 1.

    Raises
    ------
    ImportError
        If Keras or its backend is not installed.
    TypeError
        If `model` is not a keras.Sequential, or `multilabel` not a bool.
    ValueError
        If the model has a layer or setting that skcnn lacks; the message names the first such layer and the reason. If
        `classes` do not match the outputs.

    See Also
    --------
    to_keras : The reverse conversion.

    Examples
    --------
    >>> import keras  # doctest: +SKIP
    >>> from skcnn.export import from_keras
    >>> model = keras.Sequential([  # doctest: +SKIP
    ...     keras.Input((28, 28, 1)),
    ...     keras.layers.Conv2D(16, 3, activation="relu"),
    ...     keras.layers.MaxPooling2D(2),
    ...     keras.layers.Flatten(),
    ...     keras.layers.Dense(10, activation="sigmoid"),
    ... ])
    >>> clf = from_keras(model)  # doctest: +SKIP
    >>> clf.coefs_[0].shape  # doctest: +SKIP
    (16, 1, 3, 3)
    """
    keras = import_keras()
    found = SequentialReader(keras, model)
    labels, order = read_labels(classes, multilabel, found.weights.shape[-1])
    estimator = ConvSigmoidClassifier(
        n_filters=found.n_filters if len(found.filters) > 1 else found.n_filters[0],
        kernel_size=found.kernel_size,
        image_shape=found.image_shape,
        padding=found.padding or "valid",
        pool_size=found.pool_size,
        activation=found.activation,
        global_pool=found.global_pool,
        fit_intercept=found.has_bias,
        rescale=found.rescale,
    )
    dtype = np.dtype(np.float64 if found.dtypes == {"float64"} else np.float32)
    check_fits_dtype(estimator, found.rescale, dtype)
    network = make_network(estimator, prod(found.image_shape), labels.n_outputs, None, (found.rescale, 1.0))
    parameters = found.write_parameters(network, order, dtype)
    state = State(parameters, zero_moments(network, estimator.solver, dtype), final_parameters=parameters)
    plan = make_plan(estimator, network, n_samples=1, n_threads=1, incremental=True)
    vars(estimator).update(fitted_attributes(labels, plan, state, network), n_features_in_=network.n_features)
    return estimator


def read_labels(classes, multilabel, n_outputs):
    """The Labels of `n_outputs` outputs, and the outputs in the order of the sorted classes.

    For a single output, the order is (0,), or None if its sign must change because its class sorts first.
    """
    if not isinstance(multilabel, bool | np.bool_):
        raise TypeError(f"multilabel must be True or False; got {multilabel!r}.")
    if multilabel:
        if classes is not None or n_outputs == 1:
            raise ValueError(
                f"multilabel=True takes classes=None, as labels are numbered, and two outputs or more; got "
                f"classes={classes!r} and {n_outputs} outputs."
            )
        return Labels(np.arange(n_outputs), True), range(n_outputs)
    if n_outputs == 2:
        raise ValueError(
            "The model has 2 outputs: two classes are one output here, the probability of the second of them; "
            "multilabel=True takes the outputs for two labels, of which a sample may have both."
        )
    n_classes = max(2, n_outputs)
    given = np.arange(n_classes) if classes is None else np.asarray(classes)
    known = check_classes(given)
    if len(known) != n_classes or len(given) != n_classes:
        raise ValueError(
            f"classes={classes!r} must be {n_classes} different labels, as the model has {n_outputs} "
            f"{'output' if n_outputs == 1 else 'outputs'}."
        )
    order = np.argsort(given)
    if n_outputs > 1:
        return Labels(known, False), order
    return Labels(known, False), (0,) if order[0] == 0 else None
