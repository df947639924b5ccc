"""Export of a fitted network to ONNX: by itself, and through skl2onnx as a part of larger models."""

import numpy as np

from skcnn.classifier import ConvSigmoidClassifier
from skcnn.export._folded import fitted_model
from skcnn.export._onnx_converter import OPTIONS, calculate_shapes, convert
from skcnn.export._onnx_graph import build_onnx
from skcnn.extras import import_extra
from skcnn.validation import check_integer

# Dtype of the input: dtype of the computation. Bytes are computed in float32, as in training.
_DTYPES = {"float32": "float32", "float64": "float64", "uint8": "float32"}
_ALIAS = "SkcnnConvSigmoidClassifier"


def to_onnx(estimator, *, dtype="float32", target_opset=17):
    """Convert a fitted network to an ONNX model, from raw pixels to labels and probabilities.

    The model includes the rescaling, the reshaping of rows to images, and the statistics of `batch_norm` and
    `standardize`. Its input is named "X" and its outputs, as in skl2onnx, "label" and "probabilities".

    Parameters
    ----------
    estimator : ConvSigmoidClassifier
        Fitted. `skl2onnx.to_onnx` converts a Pipeline that ends in one and, after `register_onnx_converter`, an
        ensemble.
    dtype : {"float32", "float64", "uint8"} or numpy dtype, default="float32"
        Type of the pixels. The model computes in float32 for bytes (uint8). "float64" keeps the precision of training
        in float64, but onnxruntime has no float64 convolution; onnx's own `ReferenceEvaluator` has one.
    target_opset : int, default=17
        Version of ONNX's operator set, at least 13.

    Returns
    -------
    onnx_model : onnx.ModelProto
        Takes "X" of shape (n_samples, n_features), rows of pixels as in `fit`, channels varying fastest. "label" has
        shape (n_samples,), int64 or strings, or for multilabel targets (n_samples, n_labels), zeros and ones;
        "probabilities" is as returned by `predict_proba`. Pixels are not checked: NaN gives NaN.

    Raises
    ------
    ImportError
        If onnx is not installed: ``pip install 'skcnn[onnx]'``.
    NotFittedError
        If there has been no `fit`.
    TypeError
        If `estimator` is of another kind, or `target_opset` is not an integer.
    ValueError
        If `dtype` or `target_opset` is not supported; if the classes are neither integers nor strings, the types of
        ONNX's labels; if float64 parameters, or `rescale`, are out of range in float32.

    Examples
    --------
    >>> import numpy as np
    >>> from skcnn import ConvSigmoidClassifier
    >>> from skcnn.datasets import load_mnist_sample
    >>> from skcnn.export import to_onnx
    >>> X, y = load_mnist_sample(return_X_y=True)
    >>> clf = ConvSigmoidClassifier(learning_rate="cosine", max_iter=5, random_state=0).fit(X, y)
    >>> onnx_model = to_onnx(clf, dtype="uint8")  # doctest: +SKIP
    >>> import onnxruntime  # doctest: +SKIP
    >>> session = onnxruntime.InferenceSession(onnx_model.SerializeToString())  # doctest: +SKIP
    >>> label, probabilities = session.run(None, {"X": X})  # doctest: +SKIP
    >>> bool((label == clf.predict(X)).all())  # doctest: +SKIP
    True
    >>> np.allclose(probabilities, clf.predict_proba(X), rtol=0, atol=1e-6)  # doctest: +SKIP
    True
    """
    import_extra("onnx", "onnx")
    model = fitted_model(
        estimator,
        "skl2onnx.to_onnx takes a Pipeline that ends in one, and a search of it; and, after "
        "skcnn.export.register_onnx_converter(), ensembles and a search of the classifier itself.",
    )
    input_type = _check_dtype(dtype)
    opset = check_integer("target_opset", target_opset, 1)
    return build_onnx(model, input_type, _DTYPES[input_type], opset)


def _check_dtype(dtype):
    """The name of a supported dtype of the pixels."""
    try:
        name = np.dtype(dtype).name
    except TypeError:
        name = None
    if dtype is None or name not in _DTYPES:
        raise ValueError(f"dtype={dtype!r} must be one of {', '.join(map(repr, _DTYPES))}.")
    return name


def register_onnx_converter():
    """Register ConvSigmoidClassifier with skl2onnx, for conversion inside meta-estimators and with skl2onnx's options.

    Without registration, `skl2onnx.to_onnx` converts the classifier itself, a Pipeline that ends in it, and a
    GridSearchCV over such a Pipeline. A GridSearchCV, CalibratedClassifierCV, StackingClassifier or VotingClassifier of
    the classifier itself raises a KeyError, and options raise a NameError.

    Registration holds for the rest of the process. The options are `zipmap`, `nocl` and `output_class_labels`, as for
    MLPClassifier, and `raw_scores`, with which "probabilities" are logits: those of `decision_function` or, for two
    classes, two columns, its negative and itself. By skl2onnx's default, a registered classifier's probabilities are a
    list of dictionaries (outputs "output_label" and "output_probability"); with ``options={"zipmap": False}`` they are
    an array (outputs "label" and "probabilities").

    Raises
    ------
    ImportError
        If skl2onnx is not installed: ``pip install 'skcnn[onnx]'``.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.preprocessing import StandardScaler
    >>> from skcnn import ConvSigmoidClassifier
    >>> from skcnn.export import register_onnx_converter
    >>> X, y = load_digits(return_X_y=True)
    >>> X = X.astype("float32")
    >>> clf = ConvSigmoidClassifier(learning_rate="cosine", max_iter=5, random_state=0)
    >>> pipeline = make_pipeline(StandardScaler(), clf).fit(X, y)
    >>> register_onnx_converter()  # doctest: +SKIP
    >>> from skl2onnx import to_onnx  # doctest: +SKIP
    >>> onnx_model = to_onnx(pipeline, X[:1], options={"zipmap": False})  # doctest: +SKIP
    >>> [output.name for output in onnx_model.graph.output]  # doctest: +SKIP
    ['label', 'probabilities']
    """
    skl2onnx = import_extra("skl2onnx", "onnx")
    skl2onnx.update_registered_converter(
        ConvSigmoidClassifier, _ALIAS, calculate_shapes, convert, overwrite=True, options=OPTIONS
    )
