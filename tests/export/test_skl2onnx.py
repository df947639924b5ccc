"""skl2onnx's models of estimators around the classifier, registered or not, predict what the estimators do."""

import numpy as np
import pytest
from sklearn.calibration import CalibratedClassifierCV
from sklearn.ensemble import BaggingClassifier, StackingClassifier, VotingClassifier
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import FeatureUnion, make_pipeline
from sklearn.preprocessing import MinMaxScaler, StandardScaler

from skcnn import ConvSigmoidClassifier
from skcnn.export import register_onnx_converter
from tests.helpers.drawn_networks import run_example
from tests.helpers.marks import few_steps
from tests.helpers.onnx_models import (
    DTYPES,
    TOLERANCES,
    WORDS,
    assert_same,
    four_classes,
    make,
    onnx,
    run,
    run_reference,
)

skl2onnx = pytest.importorskip("skl2onnx")

pytestmark = few_steps

# Nodes around the network round as well, and calibration multiplies the rounding errors of logits.
TOLERANCE = 5e-6


@pytest.fixture(scope="module")
def images():
    return four_classes()


@pytest.fixture
def registered():
    """The classifier is registered with skl2onnx during one test."""
    from skl2onnx import _parse, _supported_operators
    from skl2onnx.common import _registration

    tables = (
        _supported_operators.sklearn_operator_name_map,
        _parse.sklearn_parsers_map,
        _registration._converter_pool,
        _registration._shape_calculator_pool,
    )
    before = [dict(table) for table in tables]
    register_onnx_converter()
    yield
    for table, contents in zip(tables, before, strict=True):
        table.clear()
        table.update(contents)


def convert(estimator, X, **parameters):
    onnx_model = skl2onnx.to_onnx(estimator, X[:1], target_opset=17, **parameters)
    onnx.checker.check_model(onnx_model, full_check=True)
    return onnx_model


LABELS = {
    "words": lambda numbers: WORDS[numbers],
    "two": lambda numbers: numbers // 2,
    "several": lambda numbers: np.stack([numbers > 1, numbers % 2, numbers == 0], axis=1).astype(int),
}
every_label = pytest.mark.parametrize("labels", LABELS.values(), ids=LABELS)
every_dtype = pytest.mark.parametrize("dtype", DTYPES)

UNREGISTERED = {
    "alone": lambda clf: clf,
    "pipeline": lambda clf: make_pipeline(MinMaxScaler(), StandardScaler(), clf),
    "pipeline in a pipeline": lambda clf: make_pipeline(StandardScaler(), make_pipeline(MinMaxScaler(), clf)),
    "search of a pipeline": lambda clf: GridSearchCV(
        make_pipeline(MinMaxScaler(), clf), {"convsigmoidclassifier__alpha": [0.1, 1e-3]}, cv=2
    ),
}
REGISTERED = {
    "alone": lambda clf: clf,
    "pipeline": lambda clf: make_pipeline(MinMaxScaler(), StandardScaler(), clf),
    "search": lambda clf: GridSearchCV(clf, {"alpha": [0.1, 1e-3]}, cv=2),
    "search in a pipeline": lambda clf: make_pipeline(MinMaxScaler(), GridSearchCV(clf, {"alpha": [0.1, 1e-3]}, cv=2)),
    "calibrated": lambda clf: CalibratedClassifierCV(clf, cv=2),
    "calibrated, one": lambda clf: CalibratedClassifierCV(clf, cv=2, ensemble=False),
    "stacking": lambda clf: StackingClassifier([("conv", clf), ("other", LogisticRegression())], cv=2),
    "stacking below": lambda clf: StackingClassifier([("other", LogisticRegression())], clf, cv=2),
    "voting": lambda clf: VotingClassifier(
        [("conv", clf), ("other", LogisticRegression())],
        voting="soft",
        weights=np.array([3, 1]),
        flatten_transform=False,
    ),
    "bagging": lambda clf: BaggingClassifier(clf, 2, random_state=0),
}
NO_SEVERAL = ("calibrated", "stacking", "voting", "bagging")


@pytest.mark.parametrize("around", UNREGISTERED.values(), ids=UNREGISTERED)
@every_label
def test_unregistered(images, around, labels):
    X, numbers = images
    estimator = around(make(ConvSigmoidClassifier)).fit(X, labels(numbers))
    outputs = run(convert(estimator, X), X)
    assert list(outputs) == ["label", "probabilities"]
    assert_same(outputs, estimator, X, TOLERANCE)


@pytest.mark.parametrize("name", REGISTERED)
@every_label
def test_registered(registered, images, name, labels):
    X, numbers = images
    y = labels(numbers)
    if y.ndim == 2 and name.startswith(NO_SEVERAL):
        return  # scikit-learn has none for multilabel targets
    estimator = REGISTERED[name](make()).fit(X, y)
    outputs = run(convert(estimator, X), X)
    assert list(outputs) == ["output_label", "output_probability"]
    assert_same(outputs, estimator, X, TOLERANCE)
    outputs = run(convert(estimator, X, options={"zipmap": False}), X)
    assert list(outputs) == ["label", "probabilities"]
    assert_same(outputs, estimator, X, TOLERANCE)
    label, *columns = run(convert(estimator, X, options={"zipmap": "columns"}), X).values()
    assert_same({"label": label, "columns": np.stack(columns, axis=1)}, estimator, X, TOLERANCE)


@every_dtype
@every_label
def test_types_of_pixels(images, dtype, labels):
    X = (images[0] * 100).astype(dtype)
    clf = make(ConvSigmoidClassifier, rescale=0.01).fit(X, labels(images[1]))
    assert_same(run_reference(convert(clf, X), X), clf, X, TOLERANCES[dtype])


@pytest.mark.parametrize("dtype", ["bool", "int32", "int64"])
def test_integers(images, dtype):
    X = (images[0] * 2).astype(dtype)
    clf = make(ConvSigmoidClassifier).fit(X, images[1])
    assert_same(run(convert(clf, X), X), clf, X)


@every_label
def test_raw_scores(registered, images, labels):
    X = images[0]
    clf = make().fit(X, labels(images[1]))
    outputs = run(convert(clf, X, options={"zipmap": False, "raw_scores": True}), X)
    scores = clf.decision_function(X)
    expected = np.stack([-scores, scores], axis=1) if scores.ndim == 1 else scores
    np.testing.assert_allclose(outputs["probabilities"], expected, rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(outputs["label"], clf.predict(X))


def test_labels_as_numbers_and_class_labels(registered, images):
    X, y = images[0], WORDS[images[1]]
    clf = make().fit(X, y)
    outputs = run(convert(clf, X, options={"zipmap": False, "nocl": True}), X)
    np.testing.assert_array_equal(clf.classes_[outputs["label"]], clf.predict(X))
    outputs = run(convert(clf, X, options={"zipmap": False, "output_class_labels": True}), X)
    np.testing.assert_array_equal(outputs["class_labels"], clf.classes_)


def test_older_opset_of_skl2onnx(images):
    clf = make(ConvSigmoidClassifier).fit(*images)
    onnx_model = skl2onnx.to_onnx(clf, images[0][:1], target_opset=13)
    assert_same(run(onnx_model, images[0]), clf, images[0])
    with pytest.raises(ValueError, match="target_opset=12 must be from 13"):
        skl2onnx.to_onnx(clf, images[0][:1], target_opset=12)


@pytest.mark.parametrize(
    "around",
    [
        lambda clf: make_pipeline(clf, LogisticRegression()),
        lambda clf: make_pipeline(clf, StandardScaler(), LogisticRegression()),
        lambda clf: make_pipeline(FeatureUnion([("conv", clf), ("pixels", MinMaxScaler())]), LogisticRegression()),
    ],
    ids=["before a classifier", "before a transformer", "in a union"],
)
@pytest.mark.parametrize("options", [None, {"zipmap": False}], ids=str)
def test_features_are_not_converted(registered, images, around, options):
    estimator = around(make()).fit(*images)
    with pytest.raises(ValueError, match=r"is converted as a classifier, .* its transform"):
        convert(estimator, images[0], options=options and {ConvSigmoidClassifier: options})


def test_bad_inputs_of_skl2onnx(images):
    types = skl2onnx.common.data_types
    half = types.FloatTensorType([None, 32])
    clf = make(ConvSigmoidClassifier).fit(*images)
    for kind, error, match in [
        (types.FloatTensorType([None, 63]), ValueError, r"must be rows, of shape \(n_samples, 64\); got \[None, 63\]"),
        (types.FloatTensorType([None, 8, 8]), ValueError, r"must be rows, of shape"),
        (types.StringTensorType([None, 64]), TypeError, r"must be one of .*; got StringTensorType"),
    ]:
        with pytest.raises(error, match=match):
            skl2onnx.to_onnx(clf, initial_types=[("X", kind)])
    with pytest.raises(ValueError, match="takes one input of 64 features; got 2"):
        skl2onnx.to_onnx(clf, initial_types=[("left", half), ("right", half)])
    with pytest.raises(NotFittedError):
        convert(ConvSigmoidClassifier(), images[0])


def test_example(registered):
    run_example(register_onnx_converter)
