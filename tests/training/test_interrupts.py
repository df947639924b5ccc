"""Ctrl-C while the kernels run: the process responds quickly, and the trained model is kept."""

import os
import signal
import time

import pytest

from tests.helpers.scripts import TIMEOUT, start_script

pytestmark = pytest.mark.skipif(os.name != "posix", reason="sends a signal to a process")

# Seconds, far more than needed, in case the machine is busy.
PROMPTLY = 5

# An epoch or a prediction takes about 5e11 multiply-adds: seconds on the fastest CPU, much longer on others. Steps are
# small so that no gradient vanishes, as arithmetic with subnormal numbers can be a hundred times slower.
SETUP = """
import sys, warnings
import numpy as np
from skcnn import ConvSigmoidClassifier
from threadpoolctl import threadpool_limits

class Announcing(np.random.RandomState):
    "Says when an epoch begins, which is when it is asked for the order of the samples."
    def permutation(self, n_samples):
        print("epoch", flush=True)
        return super().permutation(n_samples)

threadpool_limits(int(sys.argv[1]), user_api="openmp")
normalization = {} if sys.argv[2] == "plain" else {sys.argv[2]: True}
rng = np.random.default_rng(0)
few, y = rng.integers(0, 256, size=(200, 64 * 64), dtype=np.uint8), np.arange(200) % 2
many = np.tile(few, (100, 1))
clf = ConvSigmoidClassifier(
    n_filters=32, kernel_size=11, rescale=1 / 255, batch_size=8, max_iter=10**6, tol=0, n_iter_no_change=10**6,
    n_jobs=int(sys.argv[1]), random_state=Announcing(0), learning_rate_init=1e-5, **normalization,
)
"""

INTERRUPTED_FIT = (
    SETUP
    + """
X, labels = (few, y) if sys.argv[3] == "later" else (many, np.tile(y, 100))
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    clf.fit(X, labels)
print("answered", flush=True)
assert [str(warning.message) for warning in caught] == [
    "Training interrupted by user; the model has the parameters of that moment. Another interrupt within 3 seconds, "
    "be it in another fit, is raised as KeyboardInterrupt."
], caught
assert np.isfinite(clf.coefs_[0]).all() and clf.coefs_[0].any()
assert clf.predict(few).shape == (200,)
assert clf.t_ == clf.n_iter_ * len(X)
assert len(clf.loss_curve_) == clf.n_iter_
print(clf.n_iter_)
"""
)

INTERRUPTED_PREDICTION = (
    SETUP
    + """
clf.set_params(random_state=0).partial_fit(few, y, classes=[0, 1])
many = np.tile(few, (250, 1))
print("epoch", flush=True)
try:
    clf.predict(many)
except KeyboardInterrupt:
    print("answered", flush=True)
assert clf.predict(few).shape == (200,)
print(clf.n_iter_)
"""
)


def interrupt(script, *args, n_epochs=1):
    """Send Ctrl-C a while after `n_epochs` have begun; seconds until the response, and the script's output after it."""
    with start_script(script, *args) as process:
        try:
            for _ in range(n_epochs):
                assert process.stdout.readline() == "epoch\n", process.stderr.read()
            # Long enough for the kernels to have started; if they have not, the response must be the same.
            time.sleep(0.3)
            process.send_signal(signal.SIGINT)
            start = time.perf_counter()
            while (line := process.stdout.readline()) == "epoch\n":
                pass
            seconds = time.perf_counter() - start
            output, errors = process.communicate(timeout=TIMEOUT)
        finally:
            process.kill()
    assert (line, errors, process.returncode) == ("answered\n", "", 0)
    return seconds, output


@pytest.mark.parametrize("n_jobs", [1, 2])
@pytest.mark.parametrize("way", ["plain", "standardize", "batch_norm"])
def test_fit_in_its_first_epoch(n_jobs, way):
    seconds, output = interrupt(INTERRUPTED_FIT, n_jobs, way, "first")
    assert output == "0\n"
    assert seconds < PROMPTLY


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_fit_in_a_later_epoch(n_jobs):
    seconds, output = interrupt(INTERRUPTED_FIT, n_jobs, "plain", "later", n_epochs=2)
    assert int(output) >= 1
    assert seconds < PROMPTLY


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_prediction(n_jobs):
    seconds, output = interrupt(INTERRUPTED_PREDICTION, n_jobs, "plain")
    assert output == "1\n"
    assert seconds < PROMPTLY
