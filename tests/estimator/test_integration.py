"""Integration with scikit-learn: pipelines, searches, ensembles, data frames, metadata routing."""

import numpy as np
import pandas as pd
import polars as pl
import pytest
from numpy.testing import assert_array_equal
from sklearn import config_context
from sklearn.calibration import CalibratedClassifierCV
from sklearn.ensemble import AdaBoostClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import get_scorer
from sklearn.model_selection import GridSearchCV, StratifiedKFold, cross_val_score, cross_validate
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler


def test_pipeline(quick, digits):
    X, y = digits
    pipeline = make_pipeline(MinMaxScaler(), quick(max_iter=40)).fit(X * 16, y)
    assert pipeline.score(X * 16, y) > 0.9


def test_grid_search_in_two_processes(quick, digits):
    search = GridSearchCV(
        make_pipeline(MinMaxScaler(), quick(max_iter=20)),
        {"convsigmoidclassifier__n_filters": [2, 4], "convsigmoidclassifier__kernel_size": [3, [(3, 5)]]},
        n_jobs=2,
        cv=2,
        error_score="raise",
    ).fit(*digits)
    assert search.best_score_ > 0.7
    assert search.best_estimator_[-1].coefs_[0].shape[0] == search.best_params_["convsigmoidclassifier__n_filters"]


def test_cross_val_score(quick, digits):
    scores = cross_val_score(quick(max_iter=30), *digits, cv=3)
    assert scores.shape == (3,)
    assert scores.mean() > 0.7


def test_calibration(quick, digits):
    X, y = digits
    calibrated = CalibratedClassifierCV(quick(max_iter=30), cv=2).fit(X, y > 4)
    assert calibrated.score(X, y > 4) > 0.75


def test_boosting_uses_sample_weights(quick, digits):
    X, y = digits
    boosted = AdaBoostClassifier(quick(max_iter=10), n_estimators=3, random_state=0).fit(X, y)
    assert len(boosted.estimators_) > 1
    assert boosted.score(X, y) > 0.7


@pytest.mark.parametrize("frame", [pd.DataFrame, pl.DataFrame], ids=["pandas", "polars"])
def test_frames(quick, digits, frame):
    X, y = digits
    names = [f"pixel{i}" for i in range(64)]
    table = frame(dict(zip(names, X.T, strict=True)))
    labels = pd.Series(y) if frame is pd.DataFrame else pl.Series(y)
    clf = quick().fit(table, labels)
    if hasattr(LogisticRegression().fit(table, labels), "feature_names_in_"):  # scikit-learn < 1.9 does not know polars
        assert clf.feature_names_in_.tolist() == names
        with pytest.raises(ValueError, match="feature names should match"):
            clf.predict(table[names[::-1]])
    assert_array_equal(clf.predict(table), quick().fit(X, y).predict(X))


def test_weights_in_a_series(quick, digits):
    X, y = digits
    weights = np.arange(300) % 3
    as_series = quick().fit(X, y, sample_weight=pd.Series(weights))
    assert_array_equal(as_series._parameters, quick().fit(X, y, sample_weight=weights)._parameters)


def test_metadata_routing(quick, digits):
    """A step of a pipeline gets the weights that it requests."""
    X, y = digits
    weights = np.r_[np.ones(150), np.zeros(150)]
    with config_context(enable_metadata_routing=True):
        pipeline = make_pipeline(MinMaxScaler(), quick().set_fit_request(sample_weight=True))
        scorer = get_scorer("accuracy").set_score_request(sample_weight=True)
        result = cross_validate(
            pipeline, X, y, scoring=scorer, params={"sample_weight": weights}, cv=2, return_estimator=True
        )
    _, test = next(StratifiedKFold(2).split(X, y))
    train = np.setdiff1d(np.arange(300), test)
    scaler = MinMaxScaler().fit(X[train])
    expected = quick().fit(scaler.transform(X[train]), y[train], sample_weight=weights[train])
    assert_array_equal(result["estimator"][0][-1]._parameters, expected._parameters)
    score = expected.score(scaler.transform(X[test]), y[test], sample_weight=weights[test])
    assert result["test_score"][0] == score


def test_html_repr(quick):
    assert "ConvSigmoidClassifier" in quick()._repr_html_()
