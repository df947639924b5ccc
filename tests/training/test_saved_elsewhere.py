"""Saved models mean the same on other machines, and with other versions of NumPy."""

import copy
from decimal import Decimal

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from skcnn.saved import parts_of
from tests.helpers.damage import loaded


def encoded(value):
    return b"".join(parts_of(value))


def test_a_checksum_has_no_types_of_numpy():
    """Their texts differ between versions of NumPy, and a format may turn them into Python's."""
    numbers = {"a": np.float32(0.5), "b": [np.bool_(True), np.str_("x")], "c": np.array([1, "y"], dtype=object)}
    assert encoded(numbers) == encoded({"c": [1, "y"], "b": (True, "x"), "a": 0.5})
    assert encoded([np.float64(0.5), 1.5]) == encoded([0.5, 1.5])
    assert encoded(np.int64(-3)) == encoded(-3)
    assert encoded([Decimal("1.5")]) == b"list 1Decimal"  # of a subclass: by its type
    little = np.array([1.5, 2])
    assert encoded(little.astype(">f8")) == encoded(little)


def test_checksums_of_different_values_differ():
    days = np.array(["2001-01-01"], dtype="M8[D]")
    different = [
        *(True, "True", None, "None", 1, "1", 1.0, 0.001, "0.001", [], [[]], [1, [2]], [1, 2], [1.0, 2.0], [2.0, 1.0]),
        *(["ab", "c"], ["a", "bc"], np.zeros(4), np.zeros((2, 2)), np.zeros(4, np.float32), np.zeros(8, np.float32)),
        *({"a": 1}, {"a": 2}, {"b": 1}, days, days.view("M8[s]"), days.view(np.int64), np.array(["ab"]), "\ud800"),
    ]
    assert len({encoded(value) for value in different}) == len(different)


def swapped(value):
    """A state as a machine of the other byte order writes it."""
    if isinstance(value, dict):
        return {name: swapped(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(map(swapped, value))
    return value.astype(value.dtype.newbyteorder("S")) if isinstance(value, np.ndarray) else value


@pytest.mark.parametrize("labels", ["numbers", "texts", "dates", "objects"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_state_of_the_other_byte_order(quick, digits, dtype, labels):
    """Protocol 5 of pickles keeps the order, unlike protocol 4 and joblib."""
    X, numbers = digits[0].astype(dtype), digits[1] % 3
    names = {
        "numbers": np.array([5, 2**40, -1]),
        "texts": np.array(["a", "bé", "c"]),
        "dates": np.array(["2001-01-01", "2002-01-01", "2003-01-01"], dtype="M8[D]"),
        "objects": np.array(["a", "bé", "c"], dtype=object),
    }
    y = names[labels][numbers]
    clf = quick(n_filters=(3, 4), batch_norm=True, standardize=True, warm_start=True).fit(X, y)
    state = swapped(clf.__getstate__())
    assert not state["_model"]["parameters"].dtype.isnative
    assert not any(state["_checkpoint"][name].dtype.isnative for name in ("moments", "parameters", "averages"))
    other = loaded(state)
    assert_array_equal(other.predict_proba(X), clf.predict_proba(X))
    assert other.classes_.dtype == clf.classes_.dtype
    saved = other._checkpoint
    assert all(array.dtype.isnative for array in (other.classes_, saved.moments, saved.parameters, saved.averages))
    kept = copy.deepcopy(clf)
    for each in (kept, other):
        each.fit(X, y)
    assert_array_equal(other.predict_proba(X), kept.predict_proba(X))
