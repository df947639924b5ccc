"""Runs of ONNX models, comparison with their estimators, and quick estimators and images."""

import numpy as np
import pytest

from skcnn import ConvSigmoidClassifier

onnx = pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")
reference = pytest.importorskip("onnx.reference")

WORDS = np.array(["zero", "eins", "два", "三", "four", "five", "six", "seven", "eight", "nine"])
DTYPES = ("float32", "uint8", "float64")
TOLERANCES = {"float32": 1e-6, "uint8": 1e-6, "float64": 1e-12}


def run(onnx_model, X):
    """onnxruntime's outputs for X, by name; a list of dictionaries becomes an array."""
    session = onnxruntime.InferenceSession(onnx_model.SerializeToString(), providers=["CPUExecutionProvider"])
    values = session.run(None, {"X": X})
    return {output.name: as_array(value) for output, value in zip(session.get_outputs(), values, strict=True)}


def run_reference(onnx_model, X):
    """Outputs of onnx's ReferenceEvaluator for X, which also has float64 convolutions, unlike onnxruntime."""
    evaluator = reference.ReferenceEvaluator(onnx_model)
    return dict(zip(evaluator.output_names, evaluator.run(None, {"X": X}), strict=True))


def as_array(value):
    return np.array([list(row.values()) for row in value]) if isinstance(value, list) else value


def assert_same(outputs, estimator, X, tolerance=1e-6):
    """Check that labels and probabilities are the estimator's."""
    label, probabilities = outputs.values()
    expected = estimator.predict_proba(X)
    assert probabilities.shape == expected.shape
    np.testing.assert_allclose(probabilities, expected, rtol=0, atol=tolerance)
    np.testing.assert_array_equal(label, estimator.predict(X))


def four_classes():
    """Rows of 8 x 8 images in float32, and the number of the bright quarter of each."""
    X, y = np.random.default_rng(0).random((60, 8, 8), dtype=np.float32), np.arange(60) % 4
    for image, number in zip(X, y, strict=True):
        image[4 * (number // 2) :, 4 * (number % 2) :][:4, :4] += 1
    return X.reshape(60, 64), y


def make(kind=ConvSigmoidClassifier, **parameters):
    """A classifier that trains for a few epochs and then counts as converged."""
    quick = {"n_filters": 2, "kernel_size": 3, "max_iter": 5, "tol": 1e9, "n_iter_no_change": 1, "random_state": 0}
    return kind(**quick | parameters)
