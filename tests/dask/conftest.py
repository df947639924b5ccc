"""Clusters and data of the tests: two processes of one thread each, with nannies, as on machines of their own."""

import sys
import warnings
from pathlib import Path

import pytest
from sklearn.exceptions import ConvergenceWarning

from skcnn.datasets import load_mnist_sample

da = pytest.importorskip("dask.array")
distributed = pytest.importorskip("distributed")

# Workers start with this path, on which they find functions of test modules. Last, so that skcnn is the installed one.
sys.path.append(str(Path(__file__).parents[2]))


@pytest.fixture(scope="session")
def cluster():
    """A cluster that no test may break."""
    with distributed.LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=":0") as cluster:
        yield cluster


@pytest.fixture
def client(cluster):
    """Its client; when a test ends nothing may be left on the cluster."""
    with distributed.Client(cluster) as client:
        yield client
        assert_nothing_left(client)


@pytest.fixture(autouse=True)
def few_epochs():
    """Fits of few epochs do not converge, which is not what these tests are about."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        yield


def assert_nothing_left(client):
    """Assert that the scheduler knows no tasks, after a moment in which it hears of released futures."""

    async def count(dask_scheduler):
        import asyncio

        for _ in range(1200):
            if not dask_scheduler.tasks:
                break
            await asyncio.sleep(0.05)
        return sorted(map(str, dask_scheduler.tasks))

    assert client.run_on_scheduler(count) == []


@pytest.fixture(scope="session")
def digits():
    """(X, y): 1000 MNIST images as rows of bytes."""
    X, y = load_mnist_sample(return_X_y=True)
    return X.reshape(len(X), -1), y


@pytest.fixture
def chunked(digits):
    """The same as dask arrays in chunks of unequal lengths, with the arrays."""
    X, y = digits
    lengths = (300, 250, 250, 200)
    return da.from_array(X, chunks=(lengths, -1)), da.from_array(y, chunks=(lengths,)), X, y
