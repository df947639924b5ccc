"""Fixtures of the tests of training."""

import pytest

from tests.helpers import harness


@pytest.fixture
def epochs(monkeypatch):
    """A list to which each call of `train_batches` will add its rows and moves."""
    return harness.watch_train_batches(monkeypatch)
