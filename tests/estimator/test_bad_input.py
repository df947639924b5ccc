"""Bad input: the error names the parameter, its value and what is accepted."""

import re

import numpy as np
import pytest

from skcnn import ConvSigmoidClassifier

SIZES = "must be an integer, 'auto', or a sequence with one entry for each layer, an integer or a pair "
KERNEL, POOL = f"{SIZES}(kernel_height, kernel_width)", f"{SIZES}(pool_height, pool_width)"

PARAMETERS = [
    ("n_filters", 0, ValueError, "n_filters=0 must be an integer of at least 1"),
    ("n_filters", 2.0, TypeError, "n_filters must be an integer or a sequence of integers, one for each layer; got"),
    ("n_filters", True, TypeError, "n_filters must be an integer or a sequence of integers, one for each layer; got"),
    ("n_filters", "8", TypeError, "n_filters must be an integer or a sequence of integers, one for each layer; got"),
    ("kernel_size", 0, ValueError, "kernel_size=0 must be an integer of at least 1"),
    ("kernel_size", 2.5, TypeError, f"kernel_size {KERNEL}; got 2.5"),
    (
        "kernel_size",
        [(3,)],
        ValueError,
        "kernel_size[0]=(3,) must be an integer or a pair (kernel_height, kernel_width)",
    ),
    ("kernel_size", [(3, -1)], ValueError, "kernel_size[0]'s kernel_width=-1 must be an integer of at least 1"),
    ("kernel_size", [(9, 3)], ValueError, "kernel_size[0]=(9, 3) is larger than the image, whose (height, width) is"),
    (
        "kernel_size",
        (3, 5),
        ValueError,
        "kernel_size=(3, 5) has 2 sizes, but n_filters makes 1 layer: it takes an integer for all layers, 'auto', or a "
        "sequence with one entry for each, an integer or a pair (height, width); one layer of 3 x 5 is "
        "kernel_size=[(3, 5)].",
    ),
    ("n_filters", (), ValueError, "n_filters=() must be an integer or a sequence of 1 to 16 integers"),
    ("n_filters", [1] * 17, ValueError, "must be an integer or a sequence of 1 to 16 integers"),
    ("n_filters", (4, 0), ValueError, "n_filters[1]=0 must be an integer of at least 1"),
    ("n_filters", [4, 2.5], TypeError, "n_filters[1] must be an integer; got 2.5"),
    ("n_filters", (True, 4), TypeError, "n_filters[0] must be an integer; got True"),
    ("n_filters", {4, 8}, TypeError, "n_filters must be an integer or a sequence of integers, one for each layer; got"),
    ("n_filters", np.array(8), TypeError, "n_filters must be an integer or a sequence of integers, one for each layer"),
    ("kernel_size", "3", TypeError, f"kernel_size {KERNEL}; got '3'"),
    ("kernel_size", np.array([3, 3, 3]), ValueError, "kernel_size=array([3, 3, 3]) has 3 sizes, but n_filters makes 1"),
    (
        "kernel_size",
        [],
        ValueError,
        "kernel_size=[] has 0 sizes, but n_filters makes 1 layer: it takes an integer for all layers, 'auto', or a seq",
    ),
    ("kernel_size", [3, 3], ValueError, "kernel_size=[3, 3] has 2 sizes, but n_filters makes 1 layer: it takes an int"),
    (
        "kernel_size",
        [{3}],
        TypeError,
        "kernel_size[0] must be an integer or a pair (kernel_height, kernel_width); got",
    ),
    (
        "kernel_size",
        [[9, 3]],
        ValueError,
        "kernel_size[0]=(9, 3) is larger than the image, whose (height, width) is (8",
    ),
    ("kernel_size", [(3, True)], TypeError, "kernel_size[0]'s kernel_width must be an integer; got True"),
    (
        "pool_size",
        0,
        ValueError,
        "pool_size=0 must be an integer of at least 1, 'auto', or a sequence with one",
    ),
    ("pool_size", 1.0, TypeError, f"pool_size {POOL}; got 1.0"),
    ("pool_size", None, TypeError, f"pool_size {POOL}; got None"),
    ("pool_size", (2, 2, 2), ValueError, "pool_size=(2, 2, 2) has 3 sizes, but n_filters makes 1 layer: it takes"),
    ("pool_size", [(2, 0)], ValueError, "pool_size[0]'s pool_width=0 must be an integer of at least 1"),
    ("pool_size", [(7, 1)], ValueError, "pool_size[0]=(7, 1) is larger than its layer's input, whose (height, width)"),
    ("pool_size", [2, 2], ValueError, "pool_size=[2, 2] has 2 sizes, but n_filters makes 1 layer: it takes an int"),
    ("padding", "full", ValueError, "padding='full' is not known; it takes one of 'auto', 'valid', 'same'"),
    ("padding", 1, ValueError, "padding=1 is not known; it takes one of 'auto', 'valid', 'same'"),
    (
        "activation",
        "elu",
        ValueError,
        "activation='elu' is not known; it takes one of 'auto', 'sigmoid', 'tanh', 'r",
    ),
    ("activation", None, ValueError, "activation=None is not known; it takes one of 'auto', 'sigmoid', 'tanh', 'relu'"),
    ("random_flip", 1, TypeError, "random_flip must be True or False; got 1"),
    ("average", -1, ValueError, "average=-1 must be an integer of at least 0 or a boolean"),
    ("average", 2.5, TypeError, "average must be an integer or a boolean; got 2.5"),
    ("random_shift", -1, ValueError, "random_shift=-1 must be an integer of at least 0 or a pair (rows, columns)"),
    ("random_shift", 1.0, TypeError, "random_shift must be an integer or a pair (rows, columns); got 1.0"),
    ("random_shift", True, TypeError, "random_shift must be an integer or a pair (rows, columns); got True"),
    ("random_shift", [1, 1, 1], ValueError, "random_shift=[1, 1, 1] must be an integer or a pair (rows, columns)."),
    ("random_shift", (1,), ValueError, "random_shift=(1,) must be an integer or a pair (rows, columns)"),
    (
        "random_shift",
        (8, 0),
        ValueError,
        "random_shift=(8, 0) moves images out of view: (rows, columns) may be (7, 7)",
    ),
    (
        "random_shift",
        (0, 8),
        ValueError,
        "random_shift=(0, 8) moves images out of view: (rows, columns) may be (7, 7)",
    ),
    ("random_shift", (1, -2), ValueError, "random_shift's columns=-2 must be an integer of at least 0"),
    ("random_shift", (1.5, 1), TypeError, "random_shift's rows must be an integer; got 1.5"),
    ("image_shape", (7, 9), ValueError, "image_shape=(7, 9) means 63 features per row, but X has 64"),
    ("image_shape", 8, ValueError, "image_shape=8 must be None, (height, width) or (height, width, n_channels)"),
    ("image_shape", (64,), ValueError, "image_shape=(64,) must be None, (height, width)"),
    ("image_shape", (8.0, 8), TypeError, "image_shape's height must be an integer; got 8.0"),
    ("image_shape", (-8, -8), ValueError, "image_shape's height=-8 must be an integer of at least 1"),
    ("loss", "hinge", ValueError, "loss='hinge' is not known; it takes one of 'log_loss', 'squared_error'"),
    ("solver", "lbfgs", ValueError, "solver='lbfgs' is not known; it takes one of 'adam', 'sgd'"),
    ("init", None, ValueError, "init=None is not known; it takes one of 'auto', 'glorot_uniform', 'he_uniform'"),
    ("standardize", 1, TypeError, "standardize must be True or False; got 1"),
    ("fit_intercept", "yes", TypeError, "fit_intercept must be True or False; got 'yes'"),
    ("shuffle", None, TypeError, "shuffle must be True or False; got None"),
    ("warm_start", 0, TypeError, "warm_start must be True or False; got 0"),
    ("nesterovs_momentum", 2, TypeError, "nesterovs_momentum must be True or False; got 2"),
    ("rescale", np.nan, ValueError, "rescale=nan must be finite"),
    ("rescale", "1/255", TypeError, "rescale must be a number or 'auto'; got '1/255'"),
    ("alpha", -1.0, ValueError, "alpha=-1.0 must be in [0, inf)"),
    ("alpha", 10**400, ValueError, "must be finite"),
    ("alpha", False, TypeError, "alpha must be a number; got False"),
    ("learning_rate_init", 0.0, ValueError, "learning_rate_init=0.0 must be in (0, inf)"),
    ("learning_rate_init", np.inf, ValueError, "learning_rate_init=inf must be finite"),
    ("learning_rate", "fast", ValueError, "'fast' is not known; it takes one of 'constant', 'invscaling', 'adaptive'"),
    ("power_t", -0.5, ValueError, "power_t=-0.5 must be in [0, inf)"),
    ("power_t", True, TypeError, "power_t must be a number; got True"),
    ("early_stopping", "yes", TypeError, "early_stopping must be True or False; got 'yes'"),
    ("validation_fraction", 0.0, ValueError, "validation_fraction=0.0 must be in (0, 1)"),
    ("validation_fraction", 1.0, ValueError, "validation_fraction=1.0 must be in (0, 1)"),
    ("validation_fraction", "10%", TypeError, "validation_fraction must be a number; got '10%'"),
    ("momentum", 1.5, ValueError, "momentum=1.5 must be in [0, 1]"),
    ("beta_1", 1.0, ValueError, "beta_1=1.0 must be in [0, 1)"),
    ("beta_2", -0.1, ValueError, "beta_2=-0.1 must be in [0, 1)"),
    ("epsilon", 0.0, ValueError, "epsilon=0.0 must be in (0, inf)"),
    ("tol", -1e-4, ValueError, "tol=-0.0001 must be in [0, inf)"),
    ("max_iter", 0, ValueError, "max_iter=0 must be an integer of at least 1 or 'auto'"),
    ("max_iter", "few", TypeError, "max_iter must be an integer or 'auto'; got 'few'"),
    ("batch_size", 0, ValueError, "batch_size=0 must be an integer of at least 1 or 'auto'"),
    ("batch_size", "all", TypeError, "batch_size must be an integer or 'auto'; got 'all'"),
    ("n_iter_no_change", 0, ValueError, "n_iter_no_change=0 must be an integer of at least 1, infinity or 'auto'"),
    ("n_iter_no_change", 1.5, TypeError, "n_iter_no_change must be an integer, infinity or 'auto'; got 1.5"),
    ("n_jobs", 0, ValueError, "n_jobs=0 is not a number of threads; it takes None, a positive integer, or -1 for all"),
    ("n_jobs", 1.5, TypeError, "n_jobs must be an integer or None; got 1.5"),
    ("n_jobs", True, TypeError, "n_jobs must be an integer or None; got True"),
    ("n_jobs", "all", TypeError, "n_jobs must be an integer or None; got 'all'"),
    ("verbose", "loud", TypeError, "verbose must be an integer or a boolean; got 'loud'"),
    (
        "random_state",
        "seed",
        ValueError,
        "random_state='seed' must be None, an integer from 0 to 2**32 - 1 or a",
    ),
    ("random_state", -1, ValueError, "random_state=-1 must be None, an integer from 0 to 2**32 - 1"),
    ("random_state", True, TypeError, "random_state must be None, an integer or a RandomState; got True"),
    (
        "rescale",
        0.0,
        ValueError,
        "rescale=0.0 must be between 2.22507e-308 and 1.79769e+308 (or",
    ),
    ("batch_size", np.array([1, 2]), TypeError, "batch_size must be an integer or 'auto'; got array([1, 2])"),
]


@pytest.mark.parametrize(
    ("name", "value", "error", "message"), PARAMETERS, ids=[f"{name}={value!r}" for name, value, *_ in PARAMETERS]
)
def test_parameter(quick, digits, name, value, error, message):
    clf = quick(**{name: value})
    with pytest.raises(error, match=re.escape(message)):
        clf.fit(*digits)
    assert not hasattr(clf, "coefs_")
    assert not hasattr(clf, "n_features_in_")


IMPOSSIBLE_STACKS = [
    (
        {"kernel_size": [(3, 3)] * 2, "pool_size": [(5, 1)] * 2},
        "kernel_size[1]=(3, 3) is larger than its layer's input, whose (height, width) is (1, 6):\n"
        "  images                8 x 8 x 1\n"
        "  convolution 1, 3 x 3  6 x 6 x 4\n"
        "  max-pooling 1, 5 x 1  1 x 6 x 4",
    ),
    (
        {"kernel_size": [(7, 2), (3, 3)]},
        "kernel_size[1]=(3, 3) is larger than its layer's input, whose (height, width) is (2, 7):\n"
        "  images                8 x 8 x 1\n"
        "  convolution 1, 7 x 2  2 x 7 x 4",
    ),
    (
        {"kernel_size": 3, "pool_size": [2, (9, 1)]},
        "pool_size[1]=(9, 1) is larger than its layer's input, whose (height, width) is (1, 1):\n"
        "  images                8 x 8 x 1\n"
        "  convolution 1, 3 x 3  6 x 6 x 4\n"
        "  max-pooling 1, 2 x 2  3 x 3 x 4\n"
        "  convolution 2, 3 x 3  1 x 1 x 6",
    ),
]


@pytest.mark.parametrize(("parameters", "message"), IMPOSSIBLE_STACKS, ids=["kernel", "second kernel", "second pool"])
def test_an_impossible_stack_shows_its_shapes(quick, digits, parameters, message):
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        quick(n_filters=(4, 6), padding="valid", **parameters).fit(*digits)


def with_value(X, value):
    X = X.copy()
    X[3, 5] = value
    return X


DATA = [
    ("NaN", lambda X, y: (with_value(X, np.nan), y), "Input X contains NaN"),
    ("infinity", lambda X, y: (with_value(X, -np.inf), y), "Input X contains infinity"),
    ("one class", lambda X, y: (X, np.ones(300)), "y must have at least two classes; got one class only: "),
    ("continuous y", lambda X, y: (X, y + 0.5), "Unknown label type: continuous"),
    ("short y", lambda X, y: (X, y[:-1]), "inconsistent numbers of samples: [300, 299]"),
    ("no rows", lambda X, y: (X[:0], y[:0]), "0 sample(s)"),
    ("flat X", lambda X, y: (X[0], y), "Expected 2D array, got 1D array instead"),
    ("2-D y", lambda X, y: (X, np.c_[y, y]), "y must have one label per sample, or be an indicator"),
]


@pytest.mark.parametrize(("make", "message"), [case[1:] for case in DATA], ids=[case[0] for case in DATA])
def test_data(quick, digits, make, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        quick().fit(*make(*digits))


WEIGHTS = [
    (-np.ones(300), "sample_weight must not be negative; its least value is"),
    (np.zeros(300), "sample_weight is zero for every sample"),
    (np.ones(299), "sample_weight must be of shape (300,), a weight for each sample; got shape (299,)"),
    (np.ones((300, 1)), "sample_weight must be of shape (300,), a weight for each sample; got shape (300, 1)"),
    (2.0, "sample_weight must be of shape (300,), a weight for each sample; got shape ()"),
    (np.full(300, 1e308), "to be representable in float64, in which this X is trained; it sums to inf"),
    (np.full(300, 1e-320), "to be representable in float64"),
    (np.full(300, np.nan), "Input sample_weight contains NaN"),
    (np.full(300, "much"), "sample_weight must be finite numbers: could not convert string to float"),
]


@pytest.mark.parametrize(
    ("weights", "message"), WEIGHTS, ids=["negative", "zero", "short", "2-D", "scalar", "huge", "tiny", "NaN", "text"]
)
def test_sample_weight(quick, digits, weights, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        quick().fit(*digits, sample_weight=weights)


@pytest.mark.parametrize("weight", [1e300, 1e-46])
def test_weights_beyond_float32(quick, digits, weight):
    X, y = digits
    with pytest.raises(ValueError, match="to be representable in float32, in which this X is trained"):
        quick().fit(X.astype(np.float32), y, np.full(300, weight))


@pytest.mark.parametrize(("name", "value"), [("rescale", 1e300), ("rescale", 1e-60), ("epsilon", 1e-60)])
def test_numbers_beyond_float32(quick, digits, name, value):
    X, y = digits
    with pytest.raises(ValueError, match=re.escape(f"{name}={value!r} must be between 1.17549e-38 and 3.40282e+38")):
        quick(**{name: value}).fit(X.astype(np.float32), y)


@pytest.mark.parametrize("name", ["epsilon", "rescale"])
@pytest.mark.parametrize("dtype", [np.uint8, np.float32, np.float64])
def test_numbers_that_the_kernels_take_for_0(quick, digits, name, dtype):
    """Subnormal numbers are refused; the smallest normal number is accepted."""
    X, y = (digits[0] * 16).astype(dtype), digits[1]
    tiny = float(np.finfo(np.float64 if dtype is np.float64 else np.float32).tiny)
    quick(**{name: tiny}, alpha=0.0).fit(X, y)
    for value in (tiny / 2, tiny / 1000):
        with pytest.raises(ValueError, match=re.escape(f"{name}={value!r} must be between {tiny:g} and ")):
            quick(**{name: value}).fit(X, y)


def test_statistics_that_are_not_finite(quick, digits):
    """Statistics may overflow when they are recomputed after the last step; all logits would silently be 0."""
    X, y = digits[0].astype(np.float32), digits[1]
    clf = quick(standardize=True, learning_rate_init=1e22, max_iter=1, batch_size=300)
    with pytest.raises(ValueError, match=r"Training diverged: .*Lower learning_rate_init=1e\+22"):
        clf.fit(X, y)


def test_squared_gradients_that_overflow(quick, digits):
    """Adam would divide by infinity from then on, and the loss and the parameters stay finite."""
    clf = quick(alpha=1e22)
    with pytest.raises(ValueError, match=r"a moment of its gradient is no longer finite\. Lower .* alpha"):
        clf.fit(digits[0].astype(np.float32), digits[1])


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize(("learning_rate_init", "pixels"), [(1e32, "0[.]0"), (1e34, "0")])
def test_parameters_with_which_layers_overflow(digits, learning_rate_init, pixels):
    """Finite ones that the last step of a fit made: no prediction would be possible."""
    step = {"max_iter": 1, "batch_size": 300, "learning_rate_init": learning_rate_init}
    clf = ConvSigmoidClassifier(n_filters=3, activation="relu", random_state=0, **step)
    message = f"Training diverged: its layers overflow for pixels of {pixels}[0-9]* and more"
    with pytest.raises(ValueError, match=message):
        clf.fit(digits[0].astype(np.float32), digits[1])


@pytest.mark.parametrize("pool_size", [1, 2])
@pytest.mark.parametrize("activation", ["sigmoid", "relu"])
def test_prediction_beyond_float32(quick, digits, pool_size, activation):
    X, y = digits
    # At a rate this low, filters keep weights of both signs, and infinity minus infinity is NaN.
    clf = quick(pool_size=pool_size, activation=activation, learning_rate_init=1e-4).fit(X.astype(np.float32), y)
    with pytest.raises(ValueError, match="X holds values too large for float32, in which this model computes"):
        clf.predict(X * 1e300)


def test_standardized_batches_of_one(quick, digits):
    """A deviation needs at least two samples."""
    X, y = digits
    with pytest.raises(ValueError, match="standardize=True needs batches of two samples or more"):
        quick(standardize=True, batch_size=1).fit(X, y)


def test_divergence_names_the_learning_rate(quick, digits):
    with pytest.raises(ValueError, match=re.escape("Training diverged") + ".*learning_rate_init=1e[+]300"):
        quick(solver="sgd", learning_rate_init=1e300).fit(*digits)


def test_prediction_of_another_width(fitted):
    with pytest.raises(ValueError, match="X has 49 features, but ConvSigmoidClassifier is expecting 64"):
        fitted.predict(np.zeros((2, 49)))


def test_prediction_of_nan(fitted, digits):
    with pytest.raises(ValueError, match="Input X contains NaN"):
        fitted.predict(with_value(digits[0], np.nan))
