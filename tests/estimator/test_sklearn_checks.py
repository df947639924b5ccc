"""Every one of scikit-learn's own checks, of a single layer and of a stack."""

import pytest
from sklearn.utils.estimator_checks import parametrize_with_checks

from skcnn import ConvSigmoidClassifier

# Without augment: copies of a sample would each be moved by themselves, and weights be no longer the same as copies.
STACK = ConvSigmoidClassifier(n_filters=(6, 4), kernel_size=[3, 2], pool_size=[2, 1], padding="same", activation="relu")


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@parametrize_with_checks([ConvSigmoidClassifier(), STACK])
def test_sklearn_check(estimator, check):
    check(estimator)
