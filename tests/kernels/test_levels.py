"""The builds of the kernels for each instruction set level: the choice of one, and their agreement."""

import pickle
import re
from importlib import import_module

import numpy as np
import pytest
from numpy.testing import assert_allclose

import skcnn
from skcnn import kernels
from skcnn.kernels import COMPILER, LEVEL, LEVELS, choose_level, supported_levels
from tests.helpers.scripts import fail_script, run_script

ALL = ["baseline", "v3", "v4"]


# ---- the choice ----


@pytest.mark.parametrize("wanted", [None, ""])
@pytest.mark.parametrize("n_supported", [1, 2, 3])
def test_best_level_by_default(wanted, n_supported):
    assert choose_level(wanted, ALL, ALL[:n_supported]) == ALL[n_supported - 1]


@pytest.mark.parametrize("wanted", ALL)
def test_wanted_level(wanted):
    assert choose_level(wanted, ALL, ALL) == wanted


@pytest.mark.parametrize(
    ("wanted", "built", "message"),
    [
        ("v5", ALL, f"SKCNN_CPU='v5' is not a level that skcnn was built for; these are {ALL}."),
        ("V3", ALL, f"SKCNN_CPU='V3' is not a level that skcnn was built for; these are {ALL}."),
        ("v3", ALL[:1], "SKCNN_CPU='v3' is not a level that skcnn was built for; these are ['baseline']."),
        ("v3", ALL, "SKCNN_CPU='v3' needs instructions that this CPU lacks; it has ['baseline']."),
    ],
)
def test_level_that_there_is_not(wanted, built, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        choose_level(wanted, built, ["baseline"])


def test_supported_levels():
    """A CPU that supports a level supports those below it."""
    assert LEVELS in (ALL, ["baseline"])
    assert supported_levels() == LEVELS[: len(supported_levels())] != []
    assert LEVEL in supported_levels()


def test_level_of_the_environment_that_there_is_not():
    assert fail_script("import skcnn", SKCNN_CPU="v5") == (
        f"ValueError: SKCNN_CPU='v5' is not a level that skcnn was built for; these are {LEVELS}."
    )


def test_best_level_is_loaded_by_default():
    script = "from skcnn import kernels; print(kernels.LEVEL)"
    assert run_script(script, SKCNN_CPU="").strip() == supported_levels()[-1]


# ---- one process for each level, which fits models and loads those of this process ----

SCRIPT = """
import pickle, sys, warnings
import numpy as np
import skcnn
from skcnn import __main__ as command_line
from skcnn import kernels

folder = sys.argv[1]
print(kernels.LEVEL, kernels.compiled.__name__)
command_line.main(["--version"])
skcnn.show_versions()

def read(name):
    with open(f"{folder}/{name}", "rb") as file:
        return pickle.load(file)

X, y, choices, here = read("here.pickle")
scores = [clf.decision_function(X) for clf in here]
fits = [skcnn.ConvSigmoidClassifier(**params).fit(X.astype(dtype), y) for params, dtype in choices]
with open(f"{folder}/{kernels.LEVEL}.pickle", "wb") as file:
    pickle.dump((scores, fits, [clf.decision_function(X) for clf in fits]), file)
"""
DTYPES = ("float32", "float64")
# Largest difference relative to the largest score: rounding errors, which grow over the epochs.
TOLERANCES = {"float32": 1e-3, "float64": 1e-10}


NETWORKS = {
    "one layer": {"n_filters": 5},
    "stack": {
        "n_filters": (5, 7),
        "padding": "same",
        "pool_size": [2, (1, 2)],
        "activation": "tanh",
        "random_shift": 1,
    },
}


@pytest.fixture(params=NETWORKS.values(), ids=NETWORKS)
def here(request, quick, digits):
    """Models fitted at this process's level."""
    choices = request.param | {"max_iter": 10}
    return {dtype: quick(**choices).fit(digits[0].astype(dtype), digits[1]) for dtype in DTYPES}


@pytest.fixture(params=supported_levels())
def process(request, tmp_path, digits, here):
    """A level, the output of a process at it, and its scores of the models from here, its own models and scores."""
    X, y = digits
    choices = [(clf.get_params(), dtype) for dtype, clf in here.items()]
    (tmp_path / "here.pickle").write_bytes(pickle.dumps((np.array(X), y, choices, list(here.values()))))
    printed = run_script(SCRIPT, tmp_path, SKCNN_CPU=request.param)
    return request.param, printed, pickle.loads((tmp_path / f"{request.param}.pickle").read_bytes())


def assert_close(actual, expected, dtype):
    assert actual.dtype == expected.dtype == dtype
    assert_allclose(actual, expected, rtol=0, atol=TOLERANCES[dtype] * np.abs(expected).max())


def test_process_of_another_level(process, here, digits):
    """The process uses the level's module and says so, its fits agree, and both read each other's pickles."""
    X, _ = digits
    level, printed, (scores, fits, own_scores) = process
    module = "skcnn.kernels._kernels" + ("" if level == "baseline" else f"_{level}")
    loaded, version, *versions = printed.splitlines()
    assert loaded == f"{level} {module}"
    assert version == f"skcnn {skcnn.__version__} ({level} kernels, {COMPILER})"
    assert f"kernels: {level} (built: {', '.join(LEVELS)}, by {COMPILER}; SKCNN_CPU chooses)" in versions
    for (dtype, clf), there, fit, own in zip(here.items(), scores, fits, own_scores, strict=True):
        expected = clf.decision_function(X)
        assert_close(there, expected, dtype)
        assert_close(own, expected, dtype)
        assert_close(fit.decision_function(X), own, dtype)
        assert_allclose(fit.loss_curve_, clf.loss_curve_, rtol=TOLERANCES[dtype])
        if level == LEVEL:
            assert_allclose(own, expected, rtol=0, atol=0)
            assert_allclose(there, expected, rtol=0, atol=0)


# ---- this process ----


def test_level_of_this_process():
    assert kernels.compiled.__name__ == "skcnn.kernels._kernels" + ("" if LEVEL == "baseline" else f"_{LEVEL}")


@pytest.mark.parametrize("level", supported_levels())
def test_modules_have_the_same_names(level):
    """All modules have the same numbers of losses and solvers, and one CompiledNetwork serves all."""
    module = import_module("skcnn.kernels._kernels" + ("" if level == "baseline" else f"_{level}"))
    assert (module.LOSSES, module.SOLVERS) == (kernels.LOSSES, kernels.SOLVERS)
