"""skl2onnx's shape calculator and converter: the outputs' types and shapes, and the nodes that compute them.

skl2onnx checks the names of their arguments.
"""

from sklearn.utils.validation import check_is_fitted

from skcnn.export._onnx_graph import build_onnx, label_values
from skcnn.extras import import_extra

# The options of skl2onnx's own classifiers that have a decision_function.
OPTIONS = {
    "zipmap": [True, False, "columns"],
    "nocl": [True, False],
    "output_class_labels": [False, True],
    "raw_scores": [True, False],
}
# Dtypes of the pixels, by the names of skl2onnx's types.
_INPUT_TYPES = {
    "BooleanTensorType": "bool",
    "DoubleTensorType": "float64",
    "FloatTensorType": "float32",
    "Int32TensorType": "int32",
    "Int64TensorType": "int64",
    "UInt8TensorType": "uint8",
}
# Operators that skl2onnx appends to a final classifier.
_LAST = ("SklearnZipMap", "SklearnZipMapColumns", "SklearnIdentity", "SklearnCast")


def calculate_shapes(operator):
    """Set the types and shapes of labels and probabilities from those of the pixels."""
    estimator = operator.raw_operator
    check_is_fitted(estimator)
    check_comes_last(operator, operator.scope_inst)
    n_features = estimator._network.n_features
    if len(operator.inputs) != 1:
        raise ValueError(f"ConvSigmoidClassifier takes one input of {n_features} features; got {len(operator.inputs)}.")
    pixels = operator.inputs[0].type
    if type(pixels).__name__ not in _INPUT_TYPES:
        raise TypeError(
            f"ConvSigmoidClassifier's input must be one of {', '.join(_INPUT_TYPES)}; got {type(pixels).__name__}."
        )
    shape = list(pixels.shape or [None, None])
    if len(shape) != 2 or shape[1] not in (None, n_features):
        raise ValueError(
            f"ConvSigmoidClassifier's input must be rows, of shape (n_samples, {n_features}); got {shape}."
        )
    types = import_extra("skl2onnx.common.data_types", "onnx")
    labels = estimator._model.labels
    n_samples, n_classes = shape[0], len(labels.classes)
    if labels.multilabel:
        operator.outputs[0].set_type(types.Int64TensorType([n_samples, n_classes]))
    else:
        classes = label_values(labels.classes, has_option(operator.scope_inst, estimator, "nocl"))
        label_type = types.StringTensorType if classes.dtype == object else types.Int64TensorType
        operator.outputs[0].set_type(label_type([n_samples]))
    probabilities_type = types.DoubleTensorType if is_double(operator) else types.FloatTensorType
    operator.outputs[1].set_type(probabilities_type([n_samples, n_classes]))


def check_comes_last(operator, scope):
    """Check that no step follows: it would read labels, but scikit-learn passes it the result of `transform`."""
    for reader in scope.operators.values():
        if any(one is given for one in operator.outputs for given in reader.inputs):
            if reader.type not in _LAST:
                raise ValueError(
                    "ConvSigmoidClassifier is converted as a classifier, the last step of a Pipeline; its transform, "
                    f"which {reader.type} reads here, has no conversion."
                )
            check_comes_last(reader, scope)


def convert(scope, operator, container):
    """Add the network's nodes to `container`."""
    estimator = operator.raw_operator
    onnx_model = build_onnx(
        estimator._model,
        _INPUT_TYPES[type(operator.inputs[0].type).__name__],
        "float64" if is_double(operator) else "float32",
        container.target_opset,
        raw_scores=has_option(container, estimator, "raw_scores"),
        number_classes=has_option(scope, estimator, "nocl"),
    )
    import_extra("skl2onnx.helpers", "onnx").add_onnx_graph(scope, operator, container, onnx_model)


def is_double(operator):
    """Whether the operator computes in float64, as skl2onnx does for float64 pixels."""
    return type(operator.inputs[0].type).__name__ == "DoubleTensorType"


def has_option(holder, estimator, name):
    """Whether an option is set.

    skl2onnx rejects a caller's options for an unregistered estimator, yet a Pipeline sets `zipmap` for its last step;
    `get_options` then returns None.
    """
    return bool((holder.get_options(estimator, fail=False) or {}).get(name, False))
