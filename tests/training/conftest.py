"""Shared by the tests of training."""

import pytest

from tests.helpers import harness


@pytest.fixture
def epochs(monkeypatch):
    """What the kernels are given from now on: rows and shifts of each run, in a list."""
    return harness.watch_train_batches(monkeypatch)
