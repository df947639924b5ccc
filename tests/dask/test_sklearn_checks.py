"""All of scikit-learn's own checks, on a cluster in this process."""

import pytest
from sklearn.utils.estimator_checks import parametrize_with_checks

distributed = pytest.importorskip("distributed")

from skcnn.dask import DaskConvSigmoidClassifier  # noqa: E402


@pytest.fixture(scope="module")
def client_in_process():
    with distributed.Client(processes=False, n_workers=1, threads_per_worker=2, dashboard_address=":0") as client:
        yield client


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@parametrize_with_checks([DaskConvSigmoidClassifier(max_iter=10)])
def test_sklearn_check(client_in_process, estimator, check):
    check(estimator)
