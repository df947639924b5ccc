"""Checks of hyper-parameters and sample weights; each error names the parameter, its value and what is accepted."""

from collections.abc import Mapping, Sequence
from math import inf, isfinite
from numbers import Integral, Real

import numpy as np
from sklearn.utils import check_array, check_random_state

from skcnn.kernels import ACTIVATIONS, GLOBAL_POOLS, LOSSES, MAX_LAYERS, SOLVERS

# Bounds of each number, and whether the interval includes them.
_REALS = {
    "rescale": (-inf, inf, "()"),
    "alpha": (0.0, inf, "[)"),
    "label_smoothing": (0.0, 0.5, "[]"),
    "learning_rate_init": (0.0, inf, "()"),
    "momentum": (0.0, 1.0, "[]"),
    "beta_1": (0.0, 1.0, "[)"),
    "beta_2": (0.0, 1.0, "[)"),
    "epsilon": (0.0, inf, "()"),
    "tol": (0.0, inf, "[)"),
    "power_t": (0.0, inf, "[)"),
    "validation_fraction": (0.0, 1.0, "()"),
}

OPTIONS = {
    "padding": ("auto", "valid", "same"),
    "activation": ("auto", *ACTIVATIONS),
    "global_pool": tuple(GLOBAL_POOLS),
    "loss": tuple(LOSSES),
    "solver": tuple(SOLVERS),
    "init": ("auto", "glorot_uniform", "he_uniform", "uniform"),
    "learning_rate": ("constant", "invscaling", "adaptive", "cosine"),
}

_FLAGS = (
    "standardize",
    "batch_norm",
    "fit_intercept",
    "random_flip",
    "shuffle",
    "nesterovs_momentum",
    "warm_start",
    "early_stopping",
)


def check_parameters(estimator):
    """Check all hyper-parameters, as far as this does not depend on the data.

    Raises
    ------
    TypeError
        If a value is of the wrong type; booleans are not numbers.
    ValueError
        If a number is out of bounds or not finite, or a string is unknown.
    """
    check_n_filters(estimator.n_filters)
    check_random_shift(estimator.random_shift)
    if not is_auto(estimator.max_iter):
        check_integer("max_iter", estimator.max_iter, 1, otherwise=" or 'auto'")
    for name, (low, high, boundaries) in _REALS.items():
        value = getattr(estimator, name)
        if not (name == "rescale" and is_auto(value)):
            check_real(name, value, low, high, boundaries, otherwise=" or 'auto'" if name == "rescale" else "")
    for name, known in OPTIONS.items():
        value = getattr(estimator, name)
        if not isinstance(value, str | None) or value not in known:
            raise ValueError(f"{name}={value!r} is not known; it takes one of {', '.join(map(repr, known))}.")
    for name in _FLAGS:
        value = getattr(estimator, name)
        if not isinstance(value, bool | np.bool_):
            raise TypeError(f"{name} must be True or False; got {value!r}.")
    if not is_auto(estimator.batch_size):
        check_integer("batch_size", estimator.batch_size, 1, otherwise=" or 'auto'")
    patience = estimator.n_iter_no_change
    if not is_auto(patience) and not (isinstance(patience, Real) and patience == inf):
        check_integer("n_iter_no_change", patience, 1, otherwise=", infinity or 'auto'")
    if not isinstance(estimator.average, bool | np.bool_):
        check_integer("average", estimator.average, 0, otherwise=" or a boolean")
    check_n_jobs(estimator.n_jobs)
    check_class_weight(estimator.class_weight)
    if not isinstance(estimator.verbose, bool | np.bool_):
        check_integer("verbose", estimator.verbose, 0, otherwise=" or a boolean")
    if isinstance(estimator.random_state, bool | np.bool_):
        raise TypeError(f"random_state must be None, an integer or a RandomState; got {estimator.random_state!r}.")
    try:
        check_random_state(estimator.random_state)
    except ValueError as error:
        raise ValueError(
            f"random_state={estimator.random_state!r} must be None, an integer from 0 to 2**32 - 1 or a RandomState."
        ) from error


def is_auto(value):
    return isinstance(value, str) and value == "auto"


def is_sequence(value):
    if isinstance(value, np.ndarray):
        return value.ndim == 1
    return isinstance(value, Sequence) and not isinstance(value, str | bytes)


def check_n_filters(n_filters):
    """Check for a number of filters, or a sequence with one for each layer."""
    if not is_sequence(n_filters):
        check_integer("n_filters", n_filters, 1, otherwise=" or a sequence of integers, one for each layer")
        return
    if not 0 < len(n_filters) <= MAX_LAYERS:
        raise ValueError(f"n_filters={n_filters!r} must be an integer or a sequence of 1 to {MAX_LAYERS} integers.")
    for i, n in enumerate(n_filters):
        check_integer(f"n_filters[{i}]", n, 1)


def check_random_shift(random_shift):
    """Check for a largest shift in pixels, or a pair (rows, columns)."""
    if not is_sequence(random_shift):
        check_integer("random_shift", random_shift, 0, otherwise=" or a pair (rows, columns)")
        return
    if len(random_shift) != 2:
        raise ValueError(f"random_shift={random_shift!r} must be an integer or a pair (rows, columns).")
    for what, shift in zip(("rows", "columns"), random_shift, strict=True):
        check_integer(f"random_shift's {what}", shift, 0)


def check_class_weight(class_weight):
    if class_weight is None or (isinstance(class_weight, str) and class_weight == "balanced"):
        return
    if not isinstance(class_weight, Mapping):
        raise TypeError(
            f"class_weight must be None, 'balanced' or a dict of classes and their weights; got {class_weight!r}."
        )
    for label, weight in class_weight.items():
        check_real(f"class_weight of {label!r}", weight, 0.0, inf, "[)")


def check_n_jobs(n_jobs):
    if n_jobs is None:
        return
    check_integer("n_jobs", n_jobs, -inf, otherwise=" or None")
    if n_jobs == 0:
        raise ValueError(
            "n_jobs=0 is not a number of threads; it takes None, a positive integer, or -1 for all processors."
        )


def check_fits_dtype(estimator, rescale, dtype):
    """Check that `rescale` and `epsilon` neither overflow nor vanish in the dtype of training.

    The kernels take subnormal numbers for 0.
    """
    tiny, largest = float(np.finfo(dtype).tiny), float(np.finfo(dtype).max)
    for name, value in (("rescale", rescale), ("epsilon", estimator.epsilon)):
        if not tiny <= abs(value) <= largest:
            raise ValueError(
                f"{name}={value!r} must be between {tiny:g} and {largest:g}"
                f"{' (or the same below 0)' if name == 'rescale' else ''}, to be representable in "
                f"{np.dtype(dtype).name}, in which this X is trained."
            )


def check_integer(name, value, low, *, otherwise=""):
    """`value`, checked to be an integer (not a boolean) of at least `low`."""
    if isinstance(value, bool | np.bool_) or not isinstance(value, Integral):
        raise TypeError(f"{name} must be an integer{otherwise}; got {value!r}.")
    if value < low:
        raise ValueError(f"{name}={value!r} must be an integer of at least {low}{otherwise}.")
    if value >= 2**63:
        raise ValueError(
            f"{name} must be an integer below 2**63{otherwise}; got one of {int(value).bit_length()} bits."
        )
    return int(value)


def check_real(name, value, low, high, boundaries, *, otherwise=""):
    """`value`, checked to be a finite number (not a boolean) within the bounds."""
    if isinstance(value, bool | np.bool_) or not isinstance(value, Real):
        raise TypeError(f"{name} must be a number{otherwise}; got {value!r}.")
    try:
        number = float(value)
    except OverflowError as error:
        raise ValueError(f"{name} must be finite in float64; got a larger {type(value).__name__}.") from error
    if not isfinite(number):
        raise ValueError(f"{name}={value!r} must be finite.")
    left, right = boundaries
    if not ((low < number or (left == "[" and number == low)) and (number < high or (right == "]" and number == high))):
        raise ValueError(f"{name}={value!r} must be in {left}{low:g}, {high:g}{right}.")
    return number


def check_no_mask(values, name):
    """Check that no value is masked: NumPy would give the number below the mask."""
    if np.ma.is_masked(values):
        raise ValueError(f"{name} has masked values; fill them, or drop their samples.")


def check_no_times(dtype, name):
    """Check that a dtype is not one of dates or durations, whose numbers depend on their unit."""
    is_temporal = getattr(dtype, "is_temporal", lambda: False)  # of polars
    if getattr(dtype, "kind", None) in ("m", "M") or is_temporal():
        raise ValueError(f"{name} must be numbers; got {dtype}.")


def check_sample_weight(sample_weight, n_samples, dtype, *, name="sample_weight"):
    """Checked weights of shape (n_samples,) in `dtype`; ones for None."""
    if sample_weight is None:
        return np.ones(n_samples, dtype=dtype)
    return fit_weights(read_weights(sample_weight, n_samples, name), dtype, name)


def read_weights(sample_weight, n_samples, name):
    """Weights in float64, which may all be zero."""
    check_no_mask(sample_weight, name)
    sample_weight = np.asarray(sample_weight)  # once, as an object might convert differently the next time
    if sample_weight.shape != (n_samples,):
        raise ValueError(
            f"{name} must be of shape ({n_samples},), a weight for each sample; got shape {sample_weight.shape}."
        )
    try:
        check_no_times(sample_weight.dtype, name)
        weights = check_array(sample_weight, dtype=np.float64, ensure_2d=False, input_name=name)
    except (ValueError, OverflowError) as error:
        raise ValueError(f"{name} must be finite numbers: {error}") from error
    if (weights < 0).any():
        raise ValueError(f"{name} must not be negative; its least value is {weights.min()}.")
    return weights


def fit_weights(weights, dtype, name):
    """Weights in `dtype`; a ValueError if their sum overflows or all of them vanish in it."""
    with np.errstate(over="ignore"):
        check_total_weight(weights.sum(), weights.max(), dtype, name)
    return weights.astype(dtype)


def check_total_weight(total, largest, dtype, name):
    """Check the sum of all weights and the largest of them."""
    if largest == 0:
        raise ValueError(f"{name} is zero for every sample.")
    # Each weight is divided by the sum of its batch's weights.
    limits = np.finfo(dtype)
    if not total <= limits.max or largest < limits.tiny:
        raise ValueError(
            f"{name} must sum to at most {limits.max} and have a value of {limits.tiny} or more, to be representable "
            f"in {np.dtype(dtype).name}, in which this X is trained; it sums to {total}."
        )
