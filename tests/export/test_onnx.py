"""ONNX models of random networks predict what the networks do; what ONNX cannot represent is an error."""

import sys

import numpy as np
import pytest
from sklearn.exceptions import NotFittedError
from sklearn.pipeline import make_pipeline

from skcnn import ConvSigmoidClassifier
from skcnn.export import register_onnx_converter, to_onnx
from tests.helpers.drawn_networks import N_NETWORKS, assert_variety, draw_fitted, run_example
from tests.helpers.marks import few_steps
from tests.helpers.onnx_models import (
    TOLERANCES,
    assert_same,
    four_classes,
    make,
    onnx,
    run,
    run_reference,
)

pytestmark = few_steps


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("number", range(N_NETWORKS))
def test_random_network(number, dtype):
    clf, X = draw_fitted(number, dtype)
    onnx_model = to_onnx(clf, dtype=X.dtype)
    onnx.checker.check_model(onnx_model, full_check=True)
    tolerance = TOLERANCES[dtype]
    if clf.standardize:  # division by a small deviation magnifies the rounding errors of both
        tolerance /= min(1, np.sqrt(clf._views()["running_variances"].min() + 1e-12))
    assert_same(run_reference(onnx_model, X), clf, X, tolerance)
    if dtype != "float64":  # onnxruntime has no float64 convolution
        assert_same(run(onnx_model, X), clf, X, tolerance)


def test_random_networks_have_all_kinds():
    assert_variety()
    assert {draw_fitted(number, "float32")[1].dtype.name for number in range(5)} == {"float32", "uint8"}


# ---- the model ----


@pytest.fixture(scope="module")
def images():
    return four_classes()


@pytest.fixture
def clf(images):
    return make().fit(*images)


def test_form(clf):
    onnx_model = to_onnx(clf)
    assert onnx_model.ir_version == 8
    assert [(opset.domain, opset.version) for opset in onnx_model.opset_import] == [("", 17)]
    graph = onnx_model.graph
    assert [node.op_type for node in graph.node] == [
        *("Reshape", "Conv", "Sigmoid", "MaxPool", "Flatten", "Gemm", "ArgMax", "Gather"),
        *("Neg", "Softplus", "Neg", "Softmax"),
    ]
    names = [node.name for node in graph.node]
    assert all(name.startswith("skcnn_") for name in names)
    assert len(set(names)) == len(names)
    assert all(one.name.startswith("skcnn_constant_") for one in graph.initializer)
    types = [(one.name, one.type.tensor_type) for one in [*graph.input, *graph.output]]
    shapes = {name: [dim.dim_value or dim.dim_param for dim in kind.shape.dim] for name, kind in types}
    assert shapes == {"X": ["n_samples", 64], "label": ["n_samples"], "probabilities": ["n_samples", 4]}
    assert [kind.elem_type for _, kind in types] == [
        onnx.TensorProto.FLOAT,
        onnx.TensorProto.INT64,
        onnx.TensorProto.FLOAT,
    ]


@pytest.mark.parametrize("n_rows", [1, 17])
def test_any_number_of_rows(clf, images, n_rows):
    X = images[0][:n_rows]
    assert_same(run(to_onnx(clf), X), clf, X)


@pytest.mark.parametrize("opset", [13, 17, 21])
def test_opsets(clf, images, opset):
    onnx_model = to_onnx(clf, target_opset=opset)
    assert onnx_model.opset_import[0].version == opset
    assert_same(run(onnx_model, images[0]), clf, images[0])


def test_newest_opset(clf, images):
    onnx_model = to_onnx(clf, target_opset=onnx.defs.onnx_opset_version())
    assert_same(run_reference(onnx_model, images[0]), clf, images[0])


def test_trained_in_float64_and_computed_in_float32(images):
    X, y = images[0].astype(np.float64), images[1]
    clf = make(n_filters=(3, 4), batch_norm=True).fit(X, y)
    assert_same(run(to_onnx(clf), images[0]), clf, images[0])


@pytest.mark.parametrize("shift", [-300, 300])
def test_all_sigmoids_the_same(clf, images, shift):
    """Far below 0, the sum of the sigmoids is 0 in float32; far above, all are 1 and do not show the label."""
    clf.intercepts_[-1][:] += shift
    outputs = run(to_onnx(clf), images[0])
    np.testing.assert_allclose(outputs["probabilities"].sum(axis=1), 1, rtol=1e-6)
    assert_same(outputs, clf, images[0], 1e-4 if shift < 0 else 1e-6)
    assert len(np.unique(outputs["label"])) > 1


@pytest.mark.parametrize(
    "classes",
    [
        np.array([False, True]),
        np.array([3.0, -1.0, 2.0]),
        np.array([7, 200, 9], dtype=np.uint8),
        np.array([-(2**62), 5, 2**62]),
        np.array(["b", "a", "c"], dtype=object),
        np.array(["ä", "a long word"]),
    ],
    ids=lambda classes: f"{classes.dtype}-{len(classes)}",
)
def test_classes(images, classes):
    X, y = images[0], classes[np.arange(60) % len(classes)]
    clf = make().fit(X, y)
    assert_same(run(to_onnx(clf), X), clf, X)


@pytest.mark.parametrize("classes", [[0.5, 1.5, 2.0], np.array([1, 2**63 + 1], dtype=np.uint64)])
def test_classes_without_a_type(images, classes):
    X = images[0][:40]
    clf = make().partial_fit(X, np.array(classes)[np.arange(40) % len(classes)], classes=classes)
    with pytest.raises(ValueError, match="classes_ must be integers of 64 bits or strings"):
        to_onnx(clf)


def test_parameters_that_float32_cannot_hold(images):
    X, y = images[0].astype(np.float64), images[1]
    clf = make().fit(X, y)
    clf.coefs_[-1][0, 0] = 1e300
    with pytest.raises(ValueError, match="weights are too large for float32"):
        to_onnx(clf)
    to_onnx(clf, dtype="float64")
    clf = make(rescale=1e-50).fit(X * 1e50, y)
    with pytest.raises(ValueError, match=r"rescale=1e-50 is not representable in float32"):
        to_onnx(clf)
    onnx_model = to_onnx(clf, dtype=np.float64)
    assert_same(run_reference(onnx_model, X * 1e50), clf, X * 1e50, 1e-12)


@pytest.mark.parametrize("dtype", ["int64", "float16", None, "pixels", 3])
def test_bad_dtype(clf, dtype):
    with pytest.raises(ValueError, match=r"dtype=.* must be one of 'float32', 'float64', 'uint8'"):
        to_onnx(clf, dtype=dtype)


@pytest.mark.parametrize("opset", [1, 12, 1000])
def test_bad_opset(clf, opset):
    with pytest.raises(ValueError, match=rf"target_opset={opset} must be from 13 to \d+"):
        to_onnx(clf, target_opset=opset)


def test_opset_of_another_type(clf):
    with pytest.raises(TypeError, match=r"target_opset must be an integer; got 17\.0"):
        to_onnx(clf, target_opset=17.0)


def test_bad_estimator(clf):
    with pytest.raises(TypeError, match=r"got Pipeline\. skl2onnx\.to_onnx takes a Pipeline"):
        to_onnx(make_pipeline(clf))
    with pytest.raises(NotFittedError):
        to_onnx(ConvSigmoidClassifier())


@pytest.mark.parametrize(("module", "act"), [("onnx", lambda: to_onnx(None)), ("skl2onnx", register_onnx_converter)])
def test_missing_package(monkeypatch, module, act):
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(ImportError, match=rf"needs {module}: pip install 'skcnn\[onnx\]'"):
        act()


def test_example():
    run_example(to_onnx)
