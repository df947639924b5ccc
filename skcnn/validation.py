"""Checks of hyper-parameters and sample weights: each error names the parameter, what came and what is taken."""

from contextlib import contextmanager
from math import inf, isfinite, isqrt
from numbers import Integral, Real

import numpy as np
from sklearn.utils import check_array, check_consistent_length, check_random_state

from skcnn.kernels import LOSSES, SOLVERS

# Smallest allowed value of each integer.
_INTEGERS = {"n_filters": 1, "max_iter": 1}

# Bounds of each number, and whether they belong to the interval.
_REALS = {
    "rescale": (-inf, inf, "()"),
    "alpha": (0.0, inf, "[)"),
    "learning_rate_init": (0.0, inf, "()"),
    "momentum": (0.0, 1.0, "[]"),
    "beta_1": (0.0, 1.0, "[)"),
    "beta_2": (0.0, 1.0, "[)"),
    "epsilon": (0.0, inf, "()"),
    "tol": (0.0, inf, "[)"),
}

_OPTIONS = {"loss": tuple(LOSSES), "solver": tuple(SOLVERS), "init": ("glorot_uniform", "uniform")}

_FLAGS = ("standardize", "fit_intercept", "shuffle", "nesterovs_momentum", "warm_start")


def check_parameters(estimator):
    """Check every hyper-parameter that does not depend on the data.

    Raises
    ------
    TypeError
        If a value is of the wrong type; booleans are not numbers.
    ValueError
        If a number is out of bounds or not finite, or a string is not among the known ones.
    """
    for name, low in _INTEGERS.items():
        check_integer(name, getattr(estimator, name), low)
    for name, (low, high, boundaries) in _REALS.items():
        check_real(name, getattr(estimator, name), low, high, boundaries)
    for name, known in _OPTIONS.items():
        value = getattr(estimator, name)
        if not isinstance(value, str) or value not in known:
            raise ValueError(f"{name}={value!r} is not known; it takes one of {', '.join(map(repr, known))}.")
    for name in _FLAGS:
        value = getattr(estimator, name)
        if not isinstance(value, bool | np.bool_):
            raise TypeError(f"{name} must be True or False; got {value!r}.")
    if not (isinstance(estimator.batch_size, str) and estimator.batch_size == "auto"):
        check_integer("batch_size", estimator.batch_size, 1, otherwise=" or 'auto'")
    if not (isinstance(estimator.n_iter_no_change, float) and estimator.n_iter_no_change == inf):
        check_integer("n_iter_no_change", estimator.n_iter_no_change, 1, otherwise=" or infinity")
    check_n_jobs(estimator.n_jobs)
    if not isinstance(estimator.verbose, bool | np.bool_):
        check_integer("verbose", estimator.verbose, 0, otherwise=" or a boolean")
    if isinstance(estimator.random_state, bool | np.bool_):
        raise TypeError(f"random_state must be None, an integer or a RandomState; got {estimator.random_state!r}.")
    try:
        check_random_state(estimator.random_state)
    except ValueError as error:
        raise ValueError(
            f"random_state={estimator.random_state!r} must be None, an integer of at least 0 or a RandomState."
        ) from error


def check_n_jobs(n_jobs):
    if n_jobs is None:
        return
    check_integer("n_jobs", n_jobs, -inf, otherwise=" or None")
    if n_jobs == 0:
        raise ValueError(
            "n_jobs=0 is no number of threads; it takes None, a positive integer, or -1 for all processors."
        )


def in_native_order(X):
    """X, if it is an array of another byte order in this machine's: float32 of any order is to train in float32."""
    if isinstance(X, np.ndarray) and not X.dtype.isnative and X.dtype.kind == "f":
        return X.astype(X.dtype.newbyteorder("="))
    return X


def check_fits_dtype(estimator, dtype):
    """Whether the numbers that the kernels compute with survive in the dtype that X is trained in."""
    for name in ("rescale", "epsilon"):
        value = getattr(estimator, name)
        with np.errstate(over="ignore", under="ignore"):
            converted = np.dtype(dtype).type(value)
        if converted == 0 or not np.isfinite(converted):
            raise ValueError(
                f"{name}={value!r} must be a number that is neither 0 nor infinite in {np.dtype(dtype).name}, "
                "in which this X is trained."
            )


def check_integer(name, value, low, *, otherwise=""):
    """`value`, if it is an integer (no boolean) of at least `low`."""
    if isinstance(value, bool | np.bool_) or not isinstance(value, Integral):
        raise TypeError(f"{name} must be an integer{otherwise}; got {value!r}.")
    if value < low:
        raise ValueError(f"{name}={value!r} must be an integer of at least {low}{otherwise}.")
    return int(value)


def check_real(name, value, low, high, boundaries):
    """`value`, if it is a finite number (no boolean) within the bounds."""
    if isinstance(value, bool | np.bool_) or not isinstance(value, Real):
        raise TypeError(f"{name} must be a number; got {value!r}.")
    if not isfinite(value):
        raise ValueError(f"{name}={value!r} must be finite.")
    left, right = boundaries
    if not ((low < value or (left == "[" and value == low)) and (value < high or (right == "]" and value == high))):
        raise ValueError(f"{name}={value!r} must be in {left}{low:g}, {high:g}{right}.")
    return float(value)


def check_image_shape(image_shape, n_features):
    """(height, width, n_channels) of a row of `n_features` values.

    Without an `image_shape`, a square number of features is a square image, any other number a signal.
    """
    if image_shape is None:
        side = isqrt(n_features)
        return (side, side, 1) if side * side == n_features else (1, n_features, 1)
    if not isinstance(image_shape, tuple | list) or len(image_shape) not in (2, 3):
        raise ValueError(f"image_shape={image_shape!r} must be None, (height, width) or (height, width, n_channels).")
    names = ("height", "width", "n_channels")
    shape = tuple(
        check_integer(f"image_shape's {name}", side, 1) for name, side in zip(names, image_shape, strict=False)
    )
    height, width, n_channels = (*shape, 1)[:3]
    if height * width * n_channels != n_features:
        raise ValueError(
            f"image_shape={image_shape!r} means {height * width * n_channels} features a row, but X has {n_features}."
        )
    return height, width, n_channels


def check_kernel_size(kernel_size, image_shape):
    """(kernel_height, kernel_width): an int is cut to the image's sides, a tuple must fit."""
    height, width, _ = image_shape
    if not isinstance(kernel_size, tuple):
        side = check_integer("kernel_size", kernel_size, 1, otherwise=" or a tuple (kernel_height, kernel_width)")
        return min(side, height), min(side, width)
    if len(kernel_size) != 2:
        raise ValueError(f"kernel_size={kernel_size!r} must be an integer or (kernel_height, kernel_width).")
    names = ("kernel_height", "kernel_width")
    kernel_height, kernel_width = (
        check_integer(f"kernel_size's {name}", side, 1) for name, side in zip(names, kernel_size, strict=True)
    )
    if kernel_height > height or kernel_width > width:
        raise ValueError(
            f"kernel_size={kernel_size!r} is larger than the image, whose (height, width) is {(height, width)}; "
            "image_shape says what a row is."
        )
    return kernel_height, kernel_width


def check_sample_weight(sample_weight, X, dtype):
    """Weights of shape (n_samples,) in `dtype`, ones if None."""
    if sample_weight is None:
        return np.ones(X.shape[0], dtype=dtype)
    shape = np.asarray(sample_weight).shape
    if len(shape) != 1:
        raise ValueError(f"sample_weight must be of shape (n_samples,); got shape {shape}.")
    weights = check_array(sample_weight, dtype=np.float64, ensure_2d=False, input_name="sample_weight")
    check_consistent_length(X, weights)
    if (weights < 0).any():
        raise ValueError(f"sample_weight must not be negative; its least value is {weights.min()}.")
    if not weights.any():
        raise ValueError("sample_weight is zero for every sample: nothing is left to learn from.")
    # A batch's weights are summed, and each is divided by that sum.
    limits = np.finfo(dtype)
    with np.errstate(over="ignore"):
        total = weights.sum()
    if total > limits.max or weights.max() < limits.tiny:
        raise ValueError(
            f"sample_weight must sum to at most {limits.max} and have a value of {limits.tiny} or more, to survive in "
            f"{np.dtype(dtype).name}, in which this X is trained; it sums to {total}."
        )
    return weights.astype(dtype)


@contextmanager
def restored_on_error(estimator):
    """A failed fit leaves the estimator as it was."""
    before = vars(estimator).copy()
    try:
        yield
    except BaseException:
        vars(estimator).clear()
        vars(estimator).update(before)
        raise
