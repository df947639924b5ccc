"""Random damage to saved states."""

import copy

import numpy as np

from skcnn import ConvSigmoidClassifier
from skcnn.saved import WITHOUT_CHECKSUM

# For hyper-parameters, which `fit` checks: it would obey large ones.
MODEST = (0, -1, 1, 2, 3, 7, 0.5, 1e-40, np.nan, np.inf, None, "x", "", True, [], (), (2,), [2, 2], {}, b"x")
NASTY = (*MODEST, 2**16, 2**31, 2**32 - 1, 2**62, 2**63, 10**30, 10**400, -(2**63), 1e300, -np.inf)


def loaded(state):
    """An estimator restored from a state in the way of pickle, joblib, skops and copy."""
    clf = ConvSigmoidClassifier.__new__(ConvSigmoidClassifier)
    clf.__setstate__(state)
    return clf


def without_checksum(state):
    """The state in its earlier version, so that other checks than the checksum's have to find what is wrong."""
    state = state | {"_skcnn_state_version": WITHOUT_CHECKSUM}
    del state["_skcnn_checksum"]
    return state


def damaged(state, rng):
    """A copy of a state with one to three changes, and their places."""
    state = copy.deepcopy(state)
    return state, [change_somewhere(state, rng) for _ in range(rng.integers(1, 4))]


def change_somewhere(state, rng):
    """Descend into the state at random, change a value, and return its place."""
    container, key, path = state, pick(rng, list(state)), []
    while True:
        path.append(key)
        value = container[key]
        if isinstance(value, dict) and value and rng.random() < 0.95:
            container, key = value, pick(rng, list(value))
        elif isinstance(value, list) and value and rng.random() < 0.8:
            container, key = value, int(rng.integers(len(value)))
        elif isinstance(value, tuple) and value and rng.random() < 0.9:
            container[key] = container = list(value)
            key = int(rng.integers(len(value)))
        else:
            break
    if isinstance(container, dict) and rng.random() < 0.05:
        del container[key]
    else:
        container[key] = changed(value, NASTY if path[0].startswith("_") or path[0].endswith("_") else MODEST, rng)
    return path


def changed(value, others, rng):
    if isinstance(value, np.ndarray) and rng.random() < 0.9:
        return changed_array(value, rng)
    if isinstance(value, int) and rng.random() < 0.5:
        return value + int(rng.choice([-1, 1, 2, 16]))
    return pick(rng, others)


def changed_array(array, rng):
    """The array with another length, shape, type or layout, or with other values."""
    flat = array.ravel()
    choices = [
        lambda: flat[: rng.integers(len(flat) + 1)].copy(),
        lambda: np.concatenate([flat, flat]),
        lambda: array.astype(pick(rng, ["float32", "float64", "float16", "int64", "complex128", ">f4", "O", "U3"])),
        lambda: array[..., ::-1],
        lambda: np.asfortranarray(array),
        lambda: array.reshape(-1, 1),
        lambda: array.reshape(1, -1),
        lambda: np.zeros((0,), array.dtype),
        lambda: np.lib.stride_tricks.as_strided(array, strides=(0,) * array.ndim),
        lambda: with_value(array, pick(rng, [0, -1, 1e30, 1e-42, np.nan, np.inf, -np.inf]), rng),
        lambda: np.ma.masked_array(array),
        lambda: array[()] if array.ndim == 0 else array[0],
    ]
    return pick(rng, choices)()


def with_value(array, value, rng):
    array = array.copy()
    if array.size and array.dtype.kind == "f":
        array.flat[rng.integers(array.size)] = value
    return array


def pick(rng, options):
    return options[int(rng.integers(len(options)))]
