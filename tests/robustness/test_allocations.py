"""Memory runs out: at each allocation of a compiled function there is a MemoryError, and the next call is right."""

import os
import resource
import sys
from dataclasses import replace

import numpy as np
import pytest

from skcnn import kernels
from skcnn.network import Network
from tests.helpers import harness
from tests.helpers.scripts import run_script
from tests.helpers.threads import assert_same_bits

allocators = pytest.importorskip("_testcapi", reason="this Python has no allocators that fail")

NETWORK = Network((6, 5, 1), (3, 2), ((3, 2), (2, 2)), 3, batch_norm=True, standardize=True)


class Failing:
    """Calls a compiled function again and again, so that each time its next allocation fails, until none is left."""

    def __init__(self, function):
        self.function = function
        self.n_failed = 0

    def __call__(self, *args, **options):
        while True:
            allocators.set_nomemory(self.n_failed, self.n_failed + 1)
            try:
                result = self.function(*args, **options)
                allocators.remove_mem_hooks()  # which may need the memory that fails
            except MemoryError:
                self.n_failed += 1
            else:
                return result
            finally:
                allocators.remove_mem_hooks()


def forward():
    problem = harness.random_problem(NETWORK, 40)
    return harness.forward(NETWORK, problem["parameters"], problem["X"], rows=np.arange(30), with_hidden=True)


def batch_gradient():
    problem = harness.random_problem(NETWORK, 40)
    return harness.batch_gradient(NETWORK, **problem, loss="log_loss", moves=harness.random_moves(NETWORK, 40))


def train_batches():
    problem = harness.random_problem(NETWORK, 40)
    options = {"orders": [np.arange(40)], "batch_size": 16, "solver": harness.SOLVER, "loss": "log_loss"}
    return harness.train_batches(NETWORK, **problem, **options)


def measure_norms():
    problem = harness.random_problem(NETWORK, 40)
    rows, norms = np.arange(40), np.full((3, 2), np.nan)
    samples = problem["X"], problem["sample_weight"], rows
    weight = kernels.measure_norms(NETWORK.compiled, 0, *samples, problem["parameters"], 1, norms)
    return norms, weight


CALLS = {
    "forward": (kernels, "forward", forward),
    "batch_gradient": (kernels.compiled, "batch_gradient", batch_gradient),
    "train_batches": (kernels, "train_batches", train_batches),
    "measure_norms": (kernels, "measure_norms", measure_norms),
}


@pytest.mark.parametrize(("module", "name", "call"), CALLS.values(), ids=CALLS)
def test_each_allocation_fails(module, name, call, monkeypatch):
    expected = call()
    failing = Failing(getattr(module, name))
    monkeypatch.setattr(module, name, failing)
    for actual, one in zip(call(), expected, strict=True):
        if one is not None:
            assert_same_bits(actual, one)
    assert failing.n_failed >= 2


@pytest.mark.skipif(sys.version_info >= (3, 12), reason="Python itself crashes if a frame cannot be allocated")
def test_each_allocation_of_a_network(monkeypatch):
    """It calls properties, which are written in Python; the other functions have nothing but C."""
    expected = forward()
    failing = Failing(kernels.CompiledNetwork)
    monkeypatch.setattr("skcnn.network.CompiledNetwork", failing)
    monkeypatch.setattr("tests.robustness.test_allocations.NETWORK", replace(NETWORK))
    for actual, one in zip(forward(), expected, strict=True):
        assert_same_bits(actual, one)
    assert failing.n_failed > 10


def test_each_allocation_of_memory():
    failing = Failing(kernels.Memory)
    assert np.frombuffer(failing(1000), np.uint8).tolist() == [0] * 1000
    assert failing.n_failed >= 2  # the object and its memory
    with pytest.raises(MemoryError):
        kernels.Memory(2**59)


LIMITED = """
import copy, resource, warnings
import numpy as np
from skcnn import ConvSigmoidClassifier

warnings.simplefilter("ignore")
X = np.random.default_rng(0).random((60_000, 256), dtype=np.float32)
y = np.arange(60_000) % 3
clf = ConvSigmoidClassifier(4, max_iter=1, random_state=0).fit(X[:200], y[:200])
kept, before = copy.deepcopy(clf), clf.predict_proba(X[:200])
with open("/proc/self/statm") as file:
    used = int(file.read().split()[0]) * resource.getpagesize()
outcomes = []
for more in (0, 2**18, 2**20, 2**22, 2**24, 2**26, 2**28, 2**30, resource.RLIM_INFINITY):
    limit = more if more == resource.RLIM_INFINITY else used + more
    for call in (
        lambda: clf.predict_proba(X),
        lambda: clf.fit(X, y),
        lambda: ConvSigmoidClassifier((64, 64), batch_norm=True, max_iter=1, random_state=0).fit(X[:300], y[:300]),
    ):
        try:
            resource.setrlimit(resource.RLIMIT_AS, (limit, resource.RLIM_INFINITY))
            call()
            outcomes.append("done")
        except MemoryError:
            outcomes.append("MemoryError")
        finally:
            resource.setrlimit(resource.RLIMIT_AS, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    assert np.array_equal(kept.predict_proba(X[:200]), before)
    assert np.isfinite(clf.predict_proba(X[:200])).all()
print(*outcomes)
"""


@pytest.mark.skipif(sys.platform != "linux" or "LD_PRELOAD" in os.environ, reason="needs Linux's limits of memory")
def test_a_process_with_little_memory():
    """One thread, as a new one needs memory for its stack."""
    outcomes = run_script(LIMITED).split()
    assert outcomes[:2] == ["MemoryError"] * 2
    assert outcomes[-3:] == ["done"] * 3
    assert resource.getrlimit(resource.RLIMIT_AS)[0] == resource.RLIM_INFINITY
