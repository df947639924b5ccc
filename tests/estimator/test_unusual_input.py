"""Numbers of extreme size, values that are no numbers, and two dtypes: the right result, or an error with a name."""

import copy
import pickle
import re
from fractions import Fraction

import numpy as np
import pandas as pd
import polars as pl
import pytest
from numpy.testing import assert_array_equal
from scipy.sparse import coo_array
from sklearn import config_context
from sklearn.exceptions import ConvergenceWarning

from skcnn.images import measure_scale, norm
from skcnn.network import Network
from skcnn.plan import MOST_REDUCTIONS, make_plan
from tests.helpers.marks import few_steps
from tests.helpers.scripts import run_script

# ---- parameters ----

NEXT_TO_1 = Fraction(10**30 - 1, 10**30)

PARAMETERS = [
    ({"n_filters": 2**61}, "This network cannot be computed: one of its sizes is 2**63 or more."),
    ({"n_filters": (1, 2**62)}, "This network cannot be computed: one of its sizes is 2**63 or more."),
    (
        {"n_filters": 10**30},
        "n_filters must be an integer below 2**63 or a sequence of integers, one for each layer; g",
    ),
    ({"batch_size": 10**5000}, "batch_size must be an integer below 2**63 or 'auto'; got one of 16610 bits."),
    ({"max_iter": 10**310, "learning_rate": "cosine"}, "max_iter must be an integer below 2**63 or 'auto'; got one of"),
    ({"alpha": 10**5000}, "alpha must be finite in float64; got a larger int."),
    ({"alpha": Fraction(10**400)}, "alpha must be finite in float64; got a larger Fraction."),
    ({"beta_1": NEXT_TO_1}, f"beta_1={NEXT_TO_1!r} must be in [0, 1)."),
    ({"beta_2": np.nextafter(np.longdouble(1), 0)}, "must be in [0, 1)."),
    ({"learning_rate_init": Fraction(1, 10**400)}, "must be in (0, inf)."),
    ({"random_state": 2**32}, "random_state=4294967296 must be None, an integer from 0 to 2**32 - 1 or a RandomState."),
    ({"rescale": 1e308}, "X holds values too large for training in float64: up to 0.99"),
]


@pytest.mark.parametrize(("parameters", "message"), PARAMETERS, ids=lambda value: ",".join(value)[:20])
def test_parameters(quick, digits, parameters, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        quick(**parameters).fit(digits[0] * 0.99, digits[1])


def test_adaptive_rates_of_all_sizes(quick):
    """From the largest number on, more reductions than a float has room for."""
    clf = quick(solver="sgd", learning_rate="adaptive", learning_rate_init=1e308)
    plan = make_plan(clf, Network((4, 4, 1), (2,), ((2, 2),), 3), 40, 1, incremental=False)
    n_reductions = 0
    while plan.may_reduce(0, n_reductions):
        n_reductions += 1
    assert n_reductions == MOST_REDUCTIONS - 1
    assert 0 < plan.learning_rate(0, n_reductions) < 100


# ---- X, y and weights ----


@pytest.mark.parametrize("unit", ["m8[s]", "M8[D]"])
@pytest.mark.parametrize(
    "convert",
    [np.asarray, list, pd.DataFrame, lambda X: X.reshape(-1, 8, 8), lambda X: pd.DataFrame(X)[[0]].assign(pixel=0.5)],
    ids=["array", "list", "table", "images", "a column"],
)
def test_times_are_no_pixels(quick, digits, unit, convert):
    """Their numbers depend on the unit, and a missing one is -9.2e18."""
    with pytest.raises(ValueError, match=r"X must be numbers; got (datetime|timedelta)64"):
        quick().fit(convert((digits[0] * 1000).astype(unit)), digits[1])


@pytest.mark.parametrize("kind", ["Date", "Datetime", "Duration", "Time"])
def test_times_of_polars(quick, digits, kind):
    """Among columns of floats, polars makes floats of them."""
    table = pl.DataFrame(digits[0], orient="row").with_columns(time=pl.lit(1).cast(getattr(pl, kind)))
    with pytest.raises(ValueError, match=f"X must be numbers; got {kind}"):
        quick().fit(table, digits[1])
    quick().fit(table.drop("time"), digits[1])


def test_times_are_no_weights(quick, digits):
    with pytest.raises(ValueError, match=r"sample_weight must be numbers; got timedelta64"):
        quick().fit(*digits, np.ones(len(digits[1]), "m8[s]"))


def test_masked_values(quick, digits):
    X, y = digits
    masked = np.ma.masked_array(X, X > 0.9)
    clf = quick().fit(np.ma.masked_array(X), y)
    for call, name in (
        (lambda: quick().fit(masked, y), "X"),
        (lambda: clf.predict(masked), "X"),
        (lambda: quick().fit(masked.reshape(-1, 8, 8), y), "X"),
        (lambda: quick().fit(X, np.ma.masked_array(y, y > 8)), "y"),
        (lambda: quick().fit(X, y, np.ma.masked_array(y + 1.0, y > 8)), "sample_weight"),
    ):
        with pytest.raises(ValueError, match=f"{name} has masked values"):
            call()


@pytest.mark.parametrize("shape", [(64,), (8, 8)])
def test_integers_beyond_all_floats(quick, digits, shape):
    X = np.full((300, *shape), 10**400, dtype=object)
    clf = quick().fit(*digits)
    for call in (lambda: quick().fit(X, digits[1]), lambda: clf.predict(X), lambda: clf.predict(X.tolist())):
        with pytest.raises(ValueError, match="X or y holds numbers too large for float64"):
            call()
    with pytest.raises(ValueError, match="sample_weight must be finite numbers"):
        quick().fit(*digits, [10**400] * 300)


def test_sparse_images(quick, digits):
    with pytest.raises(TypeError, match="Sparse data was passed"):
        quick().fit(coo_array(digits[0].reshape(-1, 8, 8)), digits[1])


@pytest.mark.parametrize("dtype", ["Int64", "UInt64", "boolean", "uint64[pyarrow]"])
def test_labels_of_pandas_types_keep_their_type(quick, digits, dtype):
    """scikit-learn makes float64 of them, in which 2**53 + 1 is 2**53."""
    if "pyarrow" in dtype:
        pytest.importorskip("pyarrow", exc_type=ImportError)  # it may ask for a newer NumPy
    X, y = digits[0], digits[1] % 2
    if "nt64" in dtype:  # in float64, the next number is the same
        y = y + 2**53 if dtype == "Int64" else y.astype("uint64") + np.uint64(2**63)
    series = pd.Series(y, dtype=dtype)
    clf = quick().fit(X, series)
    assert_array_equal(clf.classes_, np.unique(y))
    assert clf.classes_.dtype.kind == dtype[0].lower()
    assert_array_equal(quick().partial_fit(X, series, classes=np.unique(y)).classes_, np.unique(y))
    series[3] = None
    with pytest.raises(ValueError, match="contains NaN"):
        quick().fit(X, series)


@pytest.mark.parametrize(
    "classes",
    [[0, 1, np.nan], [0, 1, complex(0, np.nan)], np.array([0, 1, np.nan], object), np.array(["2001", "NaT"], "M8[D]")],
    ids=["float", "complex", "object", "date"],
)
def test_classes_that_are_not_equal_to_themselves(quick, digits, classes):
    with pytest.raises(ValueError, match="must not hold NaN"):
        quick().partial_fit(*digits, classes=classes)


@pytest.mark.parametrize("y", [lambda y: y + 1, lambda y: np.array([None, 1], object)[y]], ids=["more", "None"])
def test_class_weights_and_labels_that_are_no_classes(quick, digits, y):
    X, labels = digits[0], digits[1] % 2
    clf = quick(class_weight={0: 2.0}).partial_fit(X, labels, classes=[0, 1])
    with pytest.raises(ValueError, match="y has labels that are not among the classes"):
        clf.partial_fit(X, y(labels))
    with pytest.raises(ValueError, match="y must be one label per sample"):
        clf.partial_fit(X, np.column_stack([labels, labels]))


def test_what_scikit_learn_is_told_not_to_check(quick, digits):
    clf, X = quick().fit(*digits), digits[0].copy()
    X[3, 3] = np.nan
    with config_context(assume_finite=True), pytest.raises(ValueError, match="X contains NaN"):
        clf.predict(X)


def test_parameters_that_are_not_finite(quick, digits):
    clf = quick().fit(*digits)
    clf.coefs_[0].fill(np.nan)
    with pytest.raises(ValueError, match="or one of its parameters is not finite"):
        clf.predict(digits[0])


# ---- validation ----


@few_steps
def test_weights_of_validation_near_the_largest(quick, digits):
    """Their products with losses would overflow."""
    X, y = digits[0], digits[1] % 2
    ones = np.ones(len(y))
    curves = []
    for weights in (ones, ones * 2.0**1015):
        options = {"max_iter": 30, "n_iter_no_change": 30, "learning_rate_init": 0.05}
        with pytest.warns(ConvergenceWarning):
            clf = quick(**options).fit(X, y, X_val=X, y_val=1 - y, sample_weight_val=weights)
        curves.append(pickle.loads(pickle.dumps(clf)).validation_loss_curve_)
    assert curves[0] == curves[1]
    assert curves[0][-1] > 2  # times 300 times 2**1015 is too much


# ---- pixels of another type than the model's ----


@few_steps
def test_pixels_too_large_for_the_type_of_the_model(quick, digits):
    single, double, y = digits[0].astype("float32"), digits[0].astype("float64"), digits[1]
    message = "holds values too large for training in float32"
    for factor in (1e20, 1e30, 1e40):
        with pytest.raises(ValueError, match=f"X {message}"):
            quick().fit(single, y).partial_fit(double * factor, y)
        with pytest.raises(ValueError, match=f"X_val {message}"):
            quick().fit(single, y, X_val=double * factor, y_val=y)
    quick().fit(double, y).partial_fit(single * np.float32(1e20), y)


@pytest.mark.parametrize(("factor", "rescale"), [(1e162, 1e-160), (1e-170, 1e172), (5e152, 1e-150), (2e-310, 1e308)])
def test_the_scale_of_pixels_whose_squares_have_none(digits, factor, rescale):
    X, weights = digits[0], np.ones(300)
    expected = measure_scale(X * (factor * rescale), weights, 1.0)
    assert 1 / 64 < expected < 1024
    assert measure_scale(X * factor, weights, rescale) == expected
    assert norm(X[:0], weights[:0]) == 0


# ---- states ----


@pytest.mark.parametrize("kind", [object, None], ids=["objects", "texts"])
def test_names_of_files_that_are_no_text(quick, digits, kind):
    """os.listdir gives a lone surrogate for each byte that it cannot decode."""
    y = np.array(["a\udce9", "b"], kind)[digits[1] % 2]
    clf = quick(class_weight={"a\udce9": 2.0}).fit(digits[0], y)
    for again in (pickle.loads(pickle.dumps(clf)), copy.deepcopy(clf)):
        assert_array_equal(again.predict(digits[0]), clf.predict(digits[0]))


SCRIPT = """
import hashlib, pickle, warnings
import numpy as np, pandas as pd
from skcnn import ConvSigmoidClassifier

warnings.simplefilter("ignore")  # little is learnt
X, y = pd.DataFrame(np.random.RandomState(0).uniform(size=(60, 9))).add_prefix("pixel"), np.arange(60) % 3
clf = ConvSigmoidClassifier(3, kernel_size=2, max_iter=2, tol=1e9, n_iter_no_change=1, random_state=0).fit(X, y)
print(hashlib.sha256(pickle.dumps(clf)).hexdigest())
"""


def test_bytes_of_pickles_are_those_of_every_process():
    assert len({run_script(SCRIPT, PYTHONHASHSEED=str(seed)) for seed in range(4)}) == 1
