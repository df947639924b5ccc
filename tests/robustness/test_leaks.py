"""No memory is kept by fits, predictions, errors, copies or saved models."""

import sys

import pytest

from tests.helpers.cases import EFFORT, cases
from tests.helpers.scripts import run_script

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads a process's memory from /proc")

# Bytes a call. Caches of Python, NumPy and malloc take some hundreds until they are full, after a thousand calls.
MOST = 1000 if EFFORT < 5 else 100
MOST_TRACED = 500 if EFFORT < 5 else 50

LEAKS = """
import copy, gc, pickle, resource, sys, tracemalloc, warnings
import numpy as np
from skcnn import ConvSigmoidClassifier

warnings.simplefilter("ignore")
rng = np.random.RandomState(0)
X, y = rng.uniform(size=(60, 64)), np.arange(60) % 3
network = {"n_filters": (4, 5), "batch_norm": True, "max_iter": 2, "early_stopping": True, "n_jobs": 2}
clf = ConvSigmoidClassifier(**network, random_state=0).fit(X, y)
stream = ConvSigmoidClassifier(3, average=True, random_state=0)

def fails():
    for wrong in (X * np.nan, X[:, :5]):
        try:
            clf.predict(wrong)
        except ValueError:
            pass
    for parameters, pixels in (({}, X * 1e300), ({"learning_rate_init": 1e300}, X)):  # before and while it trains
        try:
            ConvSigmoidClassifier(**network, **parameters).fit(pixels, y)
        except ValueError:
            pass
        else:
            raise AssertionError("no error")

def uses():
    pickle.loads(pickle.dumps(clf)).predict(X[:2])
    copy.deepcopy(clf).set_params(early_stopping=False).partial_fit(X, y)
    clf.transform(X), clf.summary(), clf.coefs_

def streams():
    stream.partial_fit(X, y, classes=[0, 1, 2])
    del stream.loss_curve_[:-1]  # which grows on purpose

CALLS = {
    "fit": lambda: ConvSigmoidClassifier(**network, random_state=0).fit(X, y),
    "partial_fit": streams,
    "predict": lambda: clf.predict(X),
    "predict one": lambda: clf.predict_proba(X[:1]),
    "errors": fails,
    "copies": uses,
}

def resident():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * resource.getpagesize()

def slope(call, n_calls):
    "Growth of resident memory over the second half, in bytes a call."
    for _ in range(n_calls // 2):
        call()
    sizes = []
    for i in range(n_calls // 2):
        call()
        if i % max(1, n_calls // 100) == 0:
            sizes.append((i, resident()))
    return np.polyfit(*np.transpose(sizes), 1)[0]

call, n_calls = CALLS[sys.argv[1]], int(sys.argv[2])
print(slope(call, n_calls))
tracemalloc.start()
for _ in range(n_calls // 4):
    call()
gc.collect()
before = tracemalloc.get_traced_memory()[0]
for _ in range(n_calls // 4):
    call()
gc.collect()
print((tracemalloc.get_traced_memory()[0] - before) / (n_calls // 4))
"""

# Name: number of calls.
CALLS = {"fit": 400, "partial_fit": 400, "predict": 5000, "predict one": 10_000, "errors": 400, "copies": 1000}


@pytest.mark.parametrize(("call", "number"), CALLS.items(), ids=CALLS)
def test_memory_does_not_grow(call, number):
    resident, traced = map(float, run_script(LEAKS, call, cases(number), timeout=100_000).split())
    print(
        f"{call}: {resident:.1f} bytes a call over the second half of {cases(number)}, {traced:.1f} of Python objects"
    )
    assert resident < MOST
    assert traced < MOST_TRACED
