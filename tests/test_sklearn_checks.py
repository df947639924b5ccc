"""Every one of scikit-learn's own checks."""

import pytest
from sklearn.utils.estimator_checks import parametrize_with_checks

from skcnn import ConvSigmoidClassifier


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@parametrize_with_checks([ConvSigmoidClassifier()])
def test_sklearn_check(estimator, check):
    check(estimator)
