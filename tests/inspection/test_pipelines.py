"""Pipelines and searches: results are for the network's input, pictures show X if the steps keep pixels."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.decomposition import PCA
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler, StandardScaler

from skcnn import ConvSigmoidClassifier
from skcnn.inspection import (
    ClassEvidenceDisplay,
    FeatureMapsDisplay,
    FiltersDisplay,
    LossCurveDisplay,
    MisclassifiedDisplay,
    OcclusionDisplay,
    class_evidence,
    feature_maps,
    occlusion,
)

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
OF_IMAGES = (FeatureMapsDisplay, ClassEvidenceDisplay, OcclusionDisplay)


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(0)
    return rng.integers(0, 17, size=(30, 36)).astype(float), np.arange(30) % 3


def network(**parameters):
    return ConvSigmoidClassifier(3, 3, max_iter=2, random_state=0, **parameters)


@pytest.mark.parametrize(
    "steps",
    [(StandardScaler(),), (MinMaxScaler(), StandardScaler()), ("passthrough", StandardScaler())],
    ids=["a scaler", "two", "passthrough"],
)
def test_behind_scalers_x_is_drawn(data, steps):
    X, y = data
    pipeline = make_pipeline(*steps, network()).fit(X, y)
    read = pipeline[:-1].transform(X)
    for function in (feature_maps, occlusion):
        assert_array_equal(function(pipeline, X[:3]), function(pipeline[-1], read[:3]))
    assert_array_equal(class_evidence(pipeline, X).evidence, class_evidence(pipeline[-1], read).evidence)
    for display in OF_IMAGES:
        assert_array_equal(display.from_estimator(pipeline, X[:3]).images, X[:3].reshape(3, 6, 6, 1))
    mistakes = MisclassifiedDisplay.from_estimator(pipeline, X, (pipeline.predict(X) + 1) % 3)
    assert_array_equal(mistakes.images, X[mistakes.indices].reshape(-1, 6, 6, 1))


def test_behind_a_pca_what_is_read_is_drawn(data):
    X, y = data
    pipeline = make_pipeline(PCA(9), network()).fit(X, y)
    read = pipeline[:-1].transform(X)
    for display in OF_IMAGES:
        assert_allclose(display.from_estimator(pipeline, X[:3]).images, read[:3].reshape(3, 3, 3, 1))


@pytest.mark.parametrize("scaled", [False, True])
def test_a_search_is_its_best_estimator(data, scaled):
    X, y = data
    estimator = make_pipeline(StandardScaler(), network()) if scaled else network()
    name = "convsigmoidclassifier__alpha" if scaled else "alpha"
    search = GridSearchCV(estimator, {name: [1e-3, 1e-2]}, cv=2)
    with pytest.raises(TypeError, match="a fitted search of either; got GridSearchCV"):
        feature_maps(search, X)
    search.fit(X, y)
    best = search.best_estimator_
    assert_array_equal(feature_maps(search, X), feature_maps(best, X))
    for display in OF_IMAGES:
        assert_array_equal(display.from_estimator(search, X[:3]).images, X[:3].reshape(3, 6, 6, 1))
    assert FiltersDisplay.from_estimator(search).filters.shape == (3, 3, 3, 1)
    assert LossCurveDisplay.from_estimator(search).loss_curve == (best[-1] if scaled else best).loss_curve_
    mistakes = MisclassifiedDisplay.from_estimator(search, X, (search.predict(X) + 1) % 3)
    assert_array_equal(mistakes.images, X[mistakes.indices].reshape(-1, 6, 6, 1))


def test_a_pipeline_that_is_not_fitted(data):
    with pytest.raises(NotFittedError):
        feature_maps(make_pipeline(StandardScaler(), network()), data[0])


def test_pipelines_in_pipelines_and_their_searches(data):
    X, y = data
    inner = make_pipeline(StandardScaler(), network())
    outer = make_pipeline(MinMaxScaler(), inner).fit(X, y)
    read = inner[:-1].transform(outer[:-1].transform(X))
    assert_array_equal(feature_maps(outer, X), feature_maps(inner[-1], read))
    assert_array_equal(FeatureMapsDisplay.from_estimator(outer, X[:2]).images, X[:2].reshape(2, 6, 6, 1))
