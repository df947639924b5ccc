"""All of scikit-learn's own checks, for configurations that take different paths through the code.

Checks that cannot hold are listed with the reason, here and in docs/guide/training.md, and must fail. There is no
random_shift, which would move copies of a sample differently, so that weights would not stand for copies.
"""

import numpy as np
import pytest
from sklearn.utils.estimator_checks import parametrize_with_checks

from skcnn import ConvSigmoidClassifier

STACK = {"n_filters": (6, 4), "kernel_size": [3, 2], "pool_size": [2, 1], "padding": "same", "activation": "relu"}
CONFIGURATIONS = [
    {},
    STACK,
    {"loss": "squared_error"},
    {"solver": "sgd", "learning_rate": "adaptive", "learning_rate_init": 0.1},
    {"activation": "tanh"},
    {"fit_intercept": False},
    {"n_filters": (4, 4, 4), "padding": "same", "activation": "relu", "init": "glorot_uniform"},
    {"n_jobs": 2, "pool_size": 1, "n_filters": 8},
    {"standardize": True},
    STACK | {"standardize": True},
    {"kernel_size": 3, "loss": "squared_error", "standardize": True},
    STACK | {"batch_norm": True},
    STACK | {"global_pool": "average"},
    {"batch_norm": True, "global_pool": "max"},
]

STANDARDIZED = {
    "check_class_weight_classifiers": (
        "weights of 1000 and 0.0001 are to make nearly all predictions of one class; but standardised logits have a "
        "weighted mean of 0 whatever is learnt, so that samples of the one heavy class are on both sides of it"
    )
}
NORMALIZED = {
    "check_sample_weight_equivalence_on_dense_data": (
        "a sample of weight k counts as k copies within a group that is normalised, but copies fill other groups"
    )
}
SINGLE_PRECISION = {
    "check_sample_weight_equivalence_on_dense_data": "agreement to 1e-7 is asked for, which is rounding in float32",
    "check_transformer_preserve_dtypes": "features of float64 are asked for, and the test makes all of it float32",
}


def cannot_hold(estimator):
    return (STANDARDIZED if estimator.standardize else {}) | (NORMALIZED if estimator.batch_norm else {})


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@parametrize_with_checks(
    [ConvSigmoidClassifier(**configuration) for configuration in CONFIGURATIONS], expected_failed_checks=cannot_hold
)
def test_sklearn_check(estimator, check):
    check(estimator)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@parametrize_with_checks([ConvSigmoidClassifier()], expected_failed_checks=lambda _: SINGLE_PRECISION)
def test_sklearn_check_in_single_precision(estimator, check, monkeypatch):
    """The checks use float64 data only; here all of it is read as float32."""
    monkeypatch.setattr("skcnn.images.DTYPES", (np.float32,))
    check(estimator)
