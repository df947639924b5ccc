"""Randomly damaged saved states: loaded models predict and train, or there is a clear error.

.ci/run tries thousands in a build with sanitisers, which end the process if memory is read or written out of bounds.
"""

import copy
import pickle
import warnings

import numpy as np
import pytest

from skcnn import ConvSigmoidClassifier
from tests.helpers.cases import cases
from tests.helpers.damage import damaged, loaded, without_checksum
from tests.helpers.marks import few_steps

pytestmark = few_steps

N_STATES = cases(200)

KINDS = {
    "one layer": {"n_filters": 3},
    "stack, standardised": {
        **{"n_filters": (2, 3), "kernel_size": (3, (2, 2)), "padding": "same", "pool_size": ((2, 1), 1)},
        **{"activation": "relu", "standardize": True},
    },
    "stack, normalised": {"n_filters": (2, 3), "kernel_size": 2, "batch_norm": True, "global_pool": "max"},
    "two classes": {"n_filters": 2, "kernel_size": 2, "solver": "sgd"},
    "several labels": {"n_filters": (2, 2), "kernel_size": 2, "random_shift": 1},
    "early stopping": {"n_filters": 2, "early_stopping": True, "validation_fraction": 0.3},
}


@pytest.fixture(params=KINDS, scope="module")
def kind(request):
    """X, y, and an estimator fitted to them."""
    rng = np.random.RandomState(0)
    X = rng.rand(40, 30).astype(np.float32)
    y = np.arange(40) % (2 if request.param == "two classes" else 3)
    if request.param == "several labels":
        y = rng.randint(2, size=(40, 3))
    clf = ConvSigmoidClassifier(
        **KINDS[request.param],
        image_shape=(6, 5),
        max_iter=3,
        n_iter_no_change=1,
        tol=1e9,
        warm_start=True,
        random_state=0,
    )
    return X, y, clf.fit(X, y)


def use(clf, X, y):
    """Use a model in all ways; failures must be a ValueError or a TypeError."""
    actions = [
        lambda: clf.predict_proba(X),
        lambda: clf.predict(X[:3]),
        lambda: clf.transform(X[:20]),
        lambda: (clf.summary(), clf.coefs_, clf.intercepts_, clf.filters_, clf.loss_),
        lambda: clf.partial_fit(X, y),
        lambda: pickle.loads(pickle.dumps(clf)).predict(X),
        lambda: clf.fit(X, y),
        lambda: copy.deepcopy(clf).predict_proba(X),
    ]
    n_done = 0
    for action in actions:
        try:
            action()
            n_done += 1
        except (ValueError, TypeError):
            pass
    return n_done


@pytest.mark.parametrize("seed", range(10))
def test_damaged_states(kind, seed):
    """Without a checksum, so that the other checks have to find what is wrong."""
    X, y, clf = kind
    state, rng = without_checksum(clf.__getstate__()), np.random.default_rng(seed)
    n_loaded = n_done = 0
    for _ in range(N_STATES // 10):
        changed, path = damaged(state, rng)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # warnings about hyper-parameters do not matter here
            try:
                clf = loaded(changed)
            except ValueError:
                continue
            n_loaded += 1
            clf.verbose = False
            try:
                n_done += use(clf, X, y)
            except Exception as error:
                raise AssertionError(f"changed at {path}") from error
    # Some damage is detected later, and some is harmless.
    assert 0 < n_loaded < N_STATES // 10
    assert n_done > 0


@pytest.mark.parametrize("seed", range(10))
def test_damaged_states_with_a_checksum(kind, seed):
    """All that is loaded predicts what the model did."""
    X, _, clf = kind
    state, expected, rng = clf.__getstate__(), clf.predict_proba(X), np.random.default_rng(seed)
    n_loaded = 0
    for _ in range(N_STATES // 10):
        changed, path = damaged(state, rng)
        try:
            probabilities = loaded(changed).predict_proba(X)
        except (ValueError, TypeError):
            continue
        np.testing.assert_array_equal(probabilities, expected, err_msg=f"changed at {path}")
        n_loaded += 1
    assert n_loaded < N_STATES // 10
