"""Reading of X as rows of pixels, and the shape and scale of the images."""

from math import frexp, isqrt, ldexp, log2, prod, sqrt

import numpy as np
from sklearn.utils.validation import validate_data

from skcnn.notices import warn
from skcnn.validation import check_integer, check_no_mask, check_no_times

# Dtypes in which X is read without conversion; others are converted to the first.
DTYPES = (np.float64, np.float32, np.uint8)

# Usual root mean square of pixels between 0 and 1: 0.31 for MNIST, 0.47 for scikit-learn's digits.
_USUAL_PIXEL = 0.4
MOST_SCALE = 2.0**30

# Values converted at once.
_BLOCK = 2**18


def read_images(estimator, X, y="no_validation", *, reset, image_shape=None, model=None):
    """Check X, and y if given, and return X as rows, with the shape of its images if it had one.

    Parameters
    ----------
    estimator : ConvSigmoidClassifier
        Has `n_features_in_` and perhaps `feature_names_in_`, which X must match, or receives them.
    X : array-like of shape (n_samples, n_features) or (n_samples, height, width[, n_channels])
    y : array-like, optional
    reset : bool
        Whether the estimator receives these attributes.
    image_shape : tuple of (height, width, n_channels), optional
        Required shape of the images.
    model : skcnn.model.Model, optional
        With which X will be predicted: it has the required shape, and no value may be too large for it.

    Returns
    -------
    X : ndarray of shape (n_samples, n_features)
        C-contiguous, of one of DTYPES.
    y : ndarray or None
    given_shape : tuple of (height, width) or (height, width, n_channels), or None
        None if X was passed as rows.
    """
    without_y = isinstance(y, str) and y == "no_validation"
    if model is not None and _is_checked(estimator, X, model):
        return X, None, None
    if not without_y:
        check_no_mask(y, "y")
        y = in_numpy(y)
    X, given_shape = as_rows(X)
    if model is not None:
        image_shape = model.network.image_shape
    if image_shape is not None:
        check_given_shape(given_shape, image_shape)
    options = {} if without_y else {"multi_output": True}
    try:
        with np.errstate(invalid="ignore"):  # it adds up all values, and some may be infinities of both signs
            checked = validate_data(estimator, X, y, reset=reset, dtype=DTYPES, order="C", **options)
    except ValueError as error:
        check_objects(X, error)
        raise
    except OverflowError as error:
        raise ValueError(f"X or y holds numbers too large for float64: {error}") from error
    X, y = (checked, None) if without_y else checked
    if model is not None:
        check_largest(X, model)
    # The kernels need aligned numbers, which a field of a packed record does not have.
    return (X if X.flags.aligned else X.copy()), y, given_shape


def check_largest(X, model):
    """Check that no value can make a layer overflow."""
    largest = largest_value(X)
    if np.isnan(largest):  # which scikit-learn can be told not to look for
        raise ValueError("X contains NaN.")
    if not largest <= model.largest_pixel:
        raise ValueError(
            f"X holds values too large for {model.parameters.dtype.name}, in which this model computes: up to "
            f"{largest:.3g}, while its layers may overflow from {model.largest_pixel:.3g} on."
        )


def check_squares(X, rescale, dtype, name="X"):
    """Check that squares of rescaled pixels, of which the solver's moments are made, do not overflow in `dtype`."""
    most, largest = float(np.finfo(dtype).max) ** 0.5 / abs(rescale), largest_value(X)
    if largest > most:
        raise ValueError(
            f"{name} holds values too large for training in {np.dtype(dtype).name}: up to {largest:.3g}, and with "
            f"rescale={rescale:.3g} the largest is {most:.3g}. Scale X, or lower rescale."
        )


def largest_value(X):
    """The largest absolute value; NaN if there is a NaN."""
    return float(X.max()) if X.dtype == np.uint8 else float(max(X.max(), -X.min()))


def _is_checked(estimator, X, model):
    """Whether `validate_data` would return X as it is and no value is too large.

    This takes a tenth of its time, which would be most of that of a one-row prediction.
    """
    if not (
        type(X) is np.ndarray
        and X.ndim == 2
        and X.dtype in DTYPES
        and has_default_order(X)
        and X.flags.c_contiguous
        and X.flags.aligned
        and len(X) > 0
        and X.shape[1] == estimator.n_features_in_
        and not hasattr(estimator, "feature_names_in_")
    ):
        return False
    largest = 255 if X.dtype == np.uint8 else largest_value(X)
    return largest <= model.largest_pixel  # NaN is not


def measure_scale(X, sample_weight, rescale):
    """Scale of the rescaled pixels as a power of two; 1 for images between 0 and 1.

    It is the weighted root mean square over the usual one, rounded to be the same for weights and repeated samples.
    """
    return choose_scale(norm(X, sample_weight) / sqrt(sample_weight.sum(dtype=np.float64) * X.shape[1]), rescale)


def choose_scale(root_mean_square, rescale):
    """The scale of rescaled pixels, as in `measure_scale`, from the root mean square of X."""
    if not 0 < root_mean_square < np.inf:
        return 1.0
    exponent = round(log2(root_mean_square) + log2(abs(rescale)) - log2(_USUAL_PIXEL))
    return 2.0 ** max(-log2(MOST_SCALE), min(log2(MOST_SCALE), exponent))


def norm(X, sample_weight):
    """Square root of the weighted sum of the squares of X.

    In float32 unless X is in float64; if squares overflow or vanish, in float64 and divided by a power of two before.
    """
    total = weigh_squares(X, sample_weight, np.float64 if X.dtype == np.float64 else np.float32)
    if 0 < total < np.inf:
        return sqrt(total)
    largest = largest_value(X) if len(X) else 0.0
    if largest == 0:
        return 0.0
    unit = ldexp(1.0, frexp(largest)[1] - 1)
    return sqrt(weigh_squares(X, sample_weight, np.float64, unit)) * unit


def weigh_squares(X, sample_weight, dtype, unit=1.0):
    """Weighted sum of the squares of X / unit, computed in `dtype`."""
    total, n_rows = 0.0, max(1, _BLOCK // X.shape[1])
    converts = X.dtype != dtype or unit != 1
    converted = np.empty((min(n_rows, len(X)), X.shape[1]), dtype) if converts else None
    with np.errstate(over="ignore", under="ignore"):
        for start in range(0, len(X), n_rows):
            block, weights = X[start : start + n_rows], sample_weight[start : start + n_rows]
            if converts:  # in the same place, for new memory costs more than the squares
                converted[: len(block)] = block
                block = converted[: len(block)]
            if unit != 1:
                block /= unit
            squares = np.einsum("ij,ij->i", block, block)
            total += float(np.einsum("i,i->", squares, weights, dtype=np.float64))
    return total


def as_rows(X):
    """X with one row for each image, and the shape of the images, None if X has rows already.

    Only arrays of three or four axes, and lists that convert to such, are images; all else is left to the checks of
    rows.
    """
    check_no_mask(X, "X")
    if hasattr(X, "toarray"):  # sparse
        return X, None
    if isinstance(X, list | tuple):
        try:
            images = np.asarray(X)
        except ValueError:  # ragged
            return X, None
        check_no_times(images.dtype, "X")
        X = images if images.ndim > 2 and images.dtype.kind in "biuf" else X
    n_axes = getattr(X, "ndim", 2)
    if n_axes > 4:
        raise ValueError(f"X has {n_axes} axes; it takes rows, 2 axes, or images, 3 or 4 with the channels.")
    for dtype in {getattr(X, "dtype", None), *np.ravel(getattr(X, "dtypes", ())).tolist()}:
        check_no_times(dtype, "X")
    if n_axes < 3:
        return in_native_order(X), None
    images = np.asarray(X) if not isinstance(X, np.memmap) else X
    return in_native_order(images.reshape(len(images), prod(images.shape[1:]))), images.shape[1:]


def check_objects(X, error):
    """Raise a helpful ValueError if X is a sequence of images instead of one array."""
    values = X if isinstance(X, list | tuple) else np.asarray(X).ravel()
    if isinstance(values, np.ndarray) and values.dtype != object:
        return
    shapes = {value.shape for value in values if isinstance(value, np.ndarray)}
    if len(shapes) > 1:
        raise ValueError(
            f"X has images of different shapes, {' and '.join(map(str, sorted(shapes)[:2]))} among them: crop, pad or "
            "resize them to one."
        ) from error
    if shapes:
        raise ValueError(
            f"X is a sequence of arrays, each of shape {shapes.pop()}; it must be one array: np.stack(list(X)), or "
            "np.stack(list(X[column])) of a data frame."
        ) from error


def warn_about_shape(dtype, n_features, given_shape):
    """Warn if X, whose shape is taken as it is or guessed, seems to mean something else."""
    if given_shape is None:
        _warn_if_colours_are_flattened(dtype, n_features)
    else:
        _warn_if_channels_are_first(given_shape)


def _warn_if_colours_are_flattened(dtype, n_features):
    """Warn if rows of bytes, which would be signals, have the length of square images of three colours."""
    side = isqrt(n_features // 3)
    if dtype == np.uint8 and 3 * side**2 == n_features and side >= 8:
        warn(
            f"X has rows of {n_features} bytes, taken as signals. If they are flattened colour images, pass "
            f"image_shape=({side}, {side}, 3); otherwise image_shape=(1, {n_features}) says so, and ends this warning."
        )


def _warn_if_channels_are_first(shape):
    if len(shape) == 3 and shape[0] in (1, 3) and shape[2] > shape[0] and 2 * shape[2] >= shape[1]:
        better = "np.moveaxis(X, 1, -1)"
    elif len(shape) == 2 and shape[0] == 3 and shape[1] > 3:
        better = "np.moveaxis(X, 1, -1)[:, np.newaxis], if these are signals of 3 channels,"
    else:
        return
    warn(
        f"X has images of shape {shape}, taken as (height, width[, n_channels]). If channels come first, pass "
        f"{better} instead; otherwise image_shape={(*shape, 1)[:3]} says so, and ends this warning."
    )


def in_numpy(y):
    """y of pandas' own integers and booleans as NumPy's; scikit-learn would make them float64, and merge large ones."""
    dtype = getattr(getattr(y, "dtype", None), "numpy_dtype", None)
    if dtype is None or dtype.kind not in "iub" or y.isna().any():
        return y
    return y.to_numpy(dtype=dtype)


def in_native_order(X):
    """X with floats in native byte order, as float32 of either byte order trains in float32.

    A native order that is named, as in arrays that zarr reads, becomes the default: buffers tell the two apart.
    """
    if isinstance(X, np.ndarray) and X.dtype.kind == "f" and not has_default_order(X):
        default = X.dtype.newbyteorder("=")
        return X.view(default) if X.dtype.isnative else X.astype(default)
    return X


def has_default_order(X):
    return X.dtype.byteorder in "=|"


def check_given_shape(given_shape, image_shape):
    """Check that images, unless they were passed as rows (None), have the expected shape."""
    if given_shape is not None and (*given_shape, 1)[:3] != image_shape:
        raise ValueError(f"X has images of shape {given_shape}, but the network takes images of shape {image_shape}.")


def check_image_shape(image_shape, n_features, given_shape=None):
    """(height, width, n_channels) of a row of `n_features` values.

    Without an `image_shape`, images keep the shape in which they were passed; rows are square images if the number of
    features is a square, and otherwise signals.
    """
    if image_shape is None and given_shape is not None:
        return (*given_shape, 1)[:3]
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
            f"image_shape={image_shape!r} means {height * width * n_channels} features per row, but X has {n_features}."
        )
    check_given_shape(given_shape, (height, width, n_channels))
    return height, width, n_channels
