"""The ONNX graph of a network, built with onnx.helper, for both `to_onnx` and skl2onnx."""

import numpy as np

from skcnn.extras import import_extra
from skcnn.layers import Activation, Convolution, Dense, GlobalPooling, MaxPooling, Standardization

_ACTIVATIONS = {"sigmoid": "Sigmoid", "tanh": "Tanh", "relu": "Relu"}
_GLOBAL_POOLS = {"average": "GlobalAveragePool", "max": "GlobalMaxPool"}
# The first in which Softmax is over one axis; no operator in use has changed its meaning since.
_OLDEST_OPSET = 13


class Graph:
    """A graph of nodes and initialisers under construction; methods take and return names of values.

    Parameters
    ----------
    dtype : {"float32", "float64"}
        Type of the computation.
    """

    def __init__(self, dtype):
        self.onnx = import_extra("onnx", "onnx")
        self.dtype = np.dtype(dtype)
        self.nodes = []
        self.initializers = []

    def constant(self, name, values):
        """Add an initialiser and return its name, prefixed to be unique in a larger graph."""
        name = f"skcnn_constant_{name}"
        self.initializers.append(self.onnx.numpy_helper.from_array(np.ascontiguousarray(values), name))
        return name

    def numbers(self, name, values):
        """Add a constant in the dtype of the computation; a ValueError if it overflows there."""
        with np.errstate(over="ignore", under="ignore"):
            converted = np.asarray(values).astype(self.dtype)
        if not np.isfinite(converted).all():
            raise ValueError(
                f"The network's {name} are too large for {self.dtype.name}; export a float64 model in float64."
            )
        return self.constant(name, converted)

    def node(self, op_type, *inputs, output=None, **attributes):
        """Add a node and return the name of its output."""
        name = f"skcnn_{len(self.nodes)}_{op_type}"
        output = output or f"skcnn_value_{len(self.nodes)}"
        self.nodes.append(self.onnx.helper.make_node(op_type, inputs, [output], name=name, **attributes))
        return output

    def cast(self, values, dtype, output=None):
        """Add a node that converts to a numpy dtype."""
        return self.node("Cast", values, to=self.onnx.helper.np_dtype_to_tensor_dtype(np.dtype(dtype)), output=output)

    def to_model(self, inputs, outputs, opset):
        """The checked model; inputs and outputs are tuples (name, dtype, shape), with dtype object for strings."""
        helper = self.onnx.helper
        values = [
            helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(np.dtype(dtype)), shape)
            for name, dtype, shape in (*inputs, *outputs)
        ]
        graph = helper.make_graph(self.nodes, "skcnn", values[: len(inputs)], values[len(inputs) :], self.initializers)
        opsets = [helper.make_opsetid("", opset)]
        version = helper.find_min_ir_version_for(opsets)
        model = helper.make_model(graph, opset_imports=opsets, ir_version=version, producer_name="skcnn")
        self.onnx.checker.check_model(model, full_check=True)
        return model


def build_onnx(model, input_type, dtype, opset, *, raw_scores=False, number_classes=False):
    """The ONNX model of a network: input "X", outputs "label" and "probabilities".

    Parameters
    ----------
    model : skcnn.model.Model
    input_type : str
        Name of the pixels' numpy dtype.
    dtype : {"float32", "float64"}
        Type of the computation.
    opset : int
        Version of the operator set.
    raw_scores : bool, default=False
        Whether "probabilities" are logits; for two classes, the negative logit and the logit.
    number_classes : bool, default=False
        Whether "label" is the index of the class instead of the class.

    Returns
    -------
    onnx.ModelProto

    Raises
    ------
    ValueError
        If the opset is not supported, or if the graph cannot hold the classes or the parameters.
    """
    graph = Graph(dtype)
    newest = graph.onnx.defs.onnx_opset_version()
    if not _OLDEST_OPSET <= opset <= newest:
        raise ValueError(f"target_opset={opset!r} must be from {_OLDEST_OPSET} to {newest}, the newest of this onnx.")
    network, labels = model.network, model.labels
    images = add_images(graph, "X", network, input_type)
    logits = add_layers(graph, images, network.folded, model.folded)
    label_type = add_label(graph, logits, labels, number_classes)
    add_probabilities(graph, logits, labels, raw_scores)
    n_classes = len(labels.classes)
    return graph.to_model(
        [("X", input_type, ["n_samples", network.n_features])],
        [
            ("label", label_type, ["n_samples", n_classes] if labels.multilabel else ["n_samples"]),
            ("probabilities", dtype, ["n_samples", n_classes]),
        ],
        opset,
    )


def add_images(graph, X, network, input_type):
    """Rows of pixels as images, channels first, rescaled."""
    height, width, n_channels = network.image_shape
    if input_type != graph.dtype.name:
        X = graph.cast(X, graph.dtype)
    if network.rescale != 1:
        limits = np.finfo(graph.dtype)
        if not limits.tiny <= abs(network.rescale) <= limits.max:
            raise ValueError(f"rescale={network.rescale!r} is not representable in {graph.dtype.name}.")
        X = graph.node("Mul", X, graph.numbers("rescale", network.rescale))
    # 0 keeps the first axis.
    shape = (0, 1, height, width) if n_channels == 1 else (0, height, width, n_channels)
    images = graph.node("Reshape", X, graph.constant("image_shape", np.array(shape, dtype=np.int64)))
    return images if n_channels == 1 else graph.node("Transpose", images, perm=[0, 3, 1, 2])


def add_layers(graph, values, network, parameters):
    """Add all layers except the last sigmoid, from images to logits."""
    views = network.views(parameters)
    for layer in network.layers[:-1]:
        match layer:
            case Convolution():
                values = add_convolution(graph, values, layer, views)
            case Activation():
                values = graph.node(_ACTIVATIONS[layer.function], values)
            case MaxPooling():
                values = graph.node("MaxPool", values, kernel_shape=layer.pool_size, strides=layer.pool_size)
            case GlobalPooling():
                values = graph.node(_GLOBAL_POOLS[layer.function], values)
            case Dense():
                weights, intercepts = (graph.numbers(name, views[name]) for name in ("weights", "intercepts"))
                values = graph.node("Gemm", graph.node("Flatten", values, axis=1), weights, intercepts, transB=1)
            case Standardization():
                deviations = Standardization.deviations(views["running_variances"])
                centred = graph.node("Sub", values, graph.numbers("means", views["running_means"]))
                values = graph.node("Div", centred, graph.numbers("deviations", deviations))
            case _:
                raise TypeError(f"There is no ONNX export of {type(layer).__name__}.")
    return values


def add_convolution(graph, maps, layer, views):
    names = f"filters_{layer.number}", f"filter_intercepts_{layer.number}"
    (above, below), (before, behind) = layer.pads
    return graph.node(
        "Conv",
        maps,
        *(graph.numbers(name, views[name]) for name in names),
        kernel_shape=layer.kernel_size,
        pads=[above, before, below, behind],
    )


def add_label(graph, logits, labels, number_classes):
    """Add "label" as in Labels.decode, from logits, as the sigmoids of large ones are all 1. Returns the dtype."""
    if labels.multilabel:
        graph.cast(graph.node("Greater", logits, graph.numbers("zero", 0.0)), np.int64, "label")
        return np.int64
    if labels.n_outputs == 1:
        numbers = graph.cast(graph.node("Greater", logits, graph.numbers("zero", 0.0)), np.int64)
        numbers = graph.node("Reshape", numbers, graph.constant("one_axis", np.array([-1], dtype=np.int64)))
    else:
        numbers = graph.node("ArgMax", logits, axis=1, keepdims=0)
    classes = label_values(labels.classes, number_classes)
    graph.node("Gather", graph.constant("classes", classes), numbers, output="label")
    return classes.dtype


def add_probabilities(graph, logits, labels, raw_scores):
    """Add "probabilities" as in Predictions.predict_proba: softmax(log(sigmoid)) scales sigmoids to sum to 1."""
    last = {"output": "probabilities"}
    if labels.n_outputs == 1:
        signs = graph.numbers("signs", [-1.0, 1.0])
        if raw_scores:
            graph.node("Mul", logits, signs, **last)
            return
        logits = graph.node("Mul", logits, signs)
    if raw_scores:
        graph.node("Identity", logits, **last)
    elif labels.n_outputs == 1 or labels.multilabel:
        graph.node("Sigmoid", logits, **last)
    else:
        minus_log = graph.node("Softplus", graph.node("Neg", logits))
        graph.node("Softmax", graph.node("Neg", minus_log), axis=1, **last)


def label_values(classes, number_classes=False):
    """The classes as ONNX's labels, int64 or strings.

    Raises
    ------
    ValueError
        If they are neither, so that the labels would differ from the classes.
    """
    if number_classes:
        return np.arange(len(classes), dtype=np.int64)
    if classes.dtype.kind == "U" or (classes.dtype == object and all(isinstance(one, str) for one in classes)):
        return classes.astype(object)
    if classes.dtype.kind in "biuf":
        with np.errstate(invalid="ignore"):
            values = classes.astype(np.int64)
        if (values == classes).all():
            return values
    raise ValueError(
        f"classes_ must be integers of 64 bits or strings to be ONNX's labels; they are {classes.tolist()[:5]}, of "
        f"dtype {classes.dtype}."
    )
