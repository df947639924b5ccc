"""Every one of scikit-learn's own checks, of a single layer, of a stack, and of one that learns shifted images."""

import pytest
from sklearn.utils.estimator_checks import parametrize_with_checks

from skcnn import ConvSigmoidClassifier


def stack(augment):
    sizes = {"n_filters": (6, 4), "kernel_size": [3, 2], "pool_size": [2, 1]}
    return ConvSigmoidClassifier(**sizes, padding="same", activation="relu", augment=augment)


def expected_failures(estimator):
    if not estimator.augment:
        return {}
    return {"check_sample_weight_equivalence_on_dense_data": "copies of a sample are each moved by themselves"}


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@parametrize_with_checks([ConvSigmoidClassifier(), stack(0), stack(1)], expected_failed_checks=expected_failures)
def test_sklearn_check(estimator, check):
    check(estimator)
