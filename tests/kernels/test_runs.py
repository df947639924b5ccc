"""Every row of an output is written, for any number of rows and any previous content of the memory.

Loops over rows, groups, chunks of parameters and tiles end in special cases. Memory that they skip would hold the
results of an earlier call, mostly correct values. All new memory is therefore NaN here, and each row is compared with
the same row computed among others.
"""

import numpy as np
import pytest

from skcnn.kernels import LANES
from skcnn.network import Network, split_runs
from tests.helpers.harness import random_problem, read_only
from tests.helpers.marks import every_dtype

NETWORKS = {
    "plain": Network((4, 3, 1), (2,), ((2, 2),), 3),
    "pooled": Network((5, 4, 2), (3,), ((2, 2),), 1, ((2, 2),), activation="relu"),
    "stack, standardised": Network((4, 4, 1), (2, 3), ((3, 3), (2, 2)), 2, padding="same", standardize=True),
}


@pytest.fixture
def poisoned_memory(monkeypatch):
    """NumPy's new memory is filled with NaN (bytes of 255)."""
    empty = np.empty

    def poisoned(shape, dtype=float, **options):
        array = empty(shape, dtype, **options)
        array.reshape(-1).view(np.uint8)[:] = 255
        return array

    monkeypatch.setattr(np, "empty", poisoned)


@pytest.mark.parametrize("n_run", [LANES, 2 * LANES, 5 * LANES, 1000 * LANES])
def test_runs_cover_every_row_once(n_run):
    for n_rows in range(1, 401):
        runs = list(split_runs(n_rows, n_run))
        assert np.concatenate([range(*run) for run in runs]).tolist() == list(range(n_rows))
        sizes = [stop - start for start, stop in runs]
        assert min(sizes) >= min(n_rows, LANES)
        assert max(sizes) < n_run + LANES
        assert not any(start % LANES for start, _ in runs)


@pytest.mark.parametrize("network", NETWORKS.values(), ids=NETWORKS)
@pytest.mark.parametrize("n_groups", [1, 2, 5, 1000], ids="runs of {} groups".format)
@pytest.mark.parametrize("n_threads", [1, 2], ids="{} threads".format)
@every_dtype
def test_every_row_is_predicted(network, n_groups, n_threads, dtype, monkeypatch, poisoned_memory):
    """Logits and hidden activations of rows, selected by number or not, have the bits of single groups."""
    problem = random_problem(network, 400, dtype)
    X, parameters = read_only(problem["X"]), problem["parameters"]
    order = np.random.default_rng(0).permutation(400).astype(np.intp)
    groups = [network.forward(X[i : i + LANES], parameters, 1, with_hidden=True) for i in range(0, 400, LANES)]
    expected = [np.concatenate(parts) for parts in zip(*groups, strict=True)]
    assert not any(np.isnan(array).any() for array in expected)
    work = n_groups * LANES * network.n_multiply_adds
    monkeypatch.setattr("skcnn.network._RUN_WORK", work)
    for n_rows in range(LANES, 401):
        for rows in (None, order[:n_rows]):
            given = X[:n_rows] if rows is None else X
            wanted = slice(n_rows) if rows is None else rows
            actual = network.forward(given, parameters, n_threads, rows=rows, with_hidden=True)
            for one, other in zip(actual, expected, strict=True):
                np.testing.assert_array_equal(one, other[wanted])
            logits_alone = network.logits(given, parameters, n_threads, rows)
            np.testing.assert_array_equal(logits_alone, expected[0][wanted])
    for n_rows in range(1, LANES):  # so few may be computed one by one and differ in the last digits
        logits, hidden = network.forward(X[:n_rows], parameters, n_threads, with_hidden=True)
        np.testing.assert_allclose(logits, expected[0][:n_rows], rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(hidden, expected[1][:n_rows], rtol=1e-4, atol=1e-5)
