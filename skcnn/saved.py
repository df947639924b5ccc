"""The state in pickles, copies and skops files: written as plain numbers and arrays, checked completely when read.

A file may be damaged or malicious, so nothing in it is used before it is known to be consistent. Damage that leaves it
consistent, as another digit of a parameter, is found by a checksum; malice is not.
"""

from dataclasses import fields
from inspect import signature
from math import inf, isfinite
from numbers import Integral, Real
from zlib import crc32

import numpy as np

from skcnn.images import MOST_SCALE
from skcnn.kernels import GLOBAL_POOLS, MAX_LAYERS
from skcnn.layers import make_layers
from skcnn.model import Checkpoint, Model
from skcnn.network import Network, own
from skcnn.plan import MOST_REDUCTIONS
from skcnn.targets import Labels
from skcnn.validation import OPTIONS

# Increased when the meaning of a state changes; a new hyper-parameter does not count.
STATE_VERSION = 3
WITHOUT_CHECKSUM = 2  # the version before, which is read as well
_VERSION = "_skcnn_state_version"
_CHECKSUM = "_skcnn_checksum"

# Newer parameters of a network, which older states lack.
YOUNGER = {"batch_norm": False, "global_pool": None}

_LISTS = ("loss_curve_", "validation_loss_curve_", "validation_scores_")
_COUNTS = ("n_iter_", "t_")
_NUMBERS = ("learning_rate_", "best_loss_", "best_validation_score_")
_COLUMNS = ("n_features_in_", "feature_names_in_")

# Arrays whose bytes are all that they hold, other than those of objects or of texts of any length.
_NUMPY_KINDS = "biufcmMSU"


def write_state(attributes):
    """The state of an estimator with these attributes; it shares no list with them."""
    state = dict(attributes)
    state[_VERSION] = STATE_VERSION
    for name in ("_model", "_checkpoint"):
        if name in state:
            state[name] = state[name].to_state()
    for name in _LISTS:
        if state.get(name) is not None:
            state[name] = list(state[name])
    state[_CHECKSUM] = checksum(state)
    return state


def checksum(state):
    """A CRC-32 of the model, its history and its columns.

    Hyper-parameters do not count: later versions may have others, and subclasses may save other values.
    """
    names = {"_model", "_checkpoint", *_LISTS, *_COUNTS, *_NUMBERS, *_COLUMNS}
    value = 0
    for part in parts_of({name: state[name] for name in names & state.keys()}):
        value = crc32(part, value)
    return value


def parts_of(value):
    """Bytes that are the same for a value before and after a file, with any version of NumPy and byte order."""
    if isinstance(value, dict):
        for name, item in sorted(value.items()):
            yield from parts_of(name)
            yield from parts_of(item)
    elif isinstance(value, list | tuple) and value and all(isinstance(item, float) for item in value):
        yield from parts_of(np.array(value, dtype=np.float64))
    elif isinstance(value, list | tuple):
        yield f"list {len(value)}".encode()
        for item in value:
            yield from parts_of(item)
    elif isinstance(value, np.ndarray) and value.dtype.kind in _NUMPY_KINDS:
        dtype = value.dtype.newbyteorder("<")
        yield f"array {dtype.str} {value.shape}".encode()
        yield value.astype(dtype, copy=False).tobytes()
    elif isinstance(value, np.ndarray):
        yield from parts_of(value.tolist())
    elif isinstance(value, str):
        yield f"str {len(value)} {value}".encode("utf-8", "surrogatepass")
    elif value is None or isinstance(value, bool | np.bool_):
        yield str(value).encode()
    elif isinstance(value, Integral):
        yield f"int {int(value):x}".encode()
    elif isinstance(value, float | np.floating):
        yield f"float {float(value)!r}".encode()
    else:  # of users
        yield type(value).__name__.encode()


def default_parameters(estimator_class):
    """The defaults of an estimator class's hyper-parameters."""
    parameters = signature(estimator_class.__init__).parameters.values()
    return {parameter.name: parameter.default for parameter in parameters if parameter.default is not parameter.empty}


def read_state(state, estimator_class):
    """The attributes of an estimator of a class, restored from its state.

    Hyper-parameters that are newer than the state have their defaults.

    Raises
    ------
    ValueError
        If the state is of another version or inconsistent; the message says in what respect.
    """
    if not isinstance(state, dict) or not all(isinstance(name, str) for name in state):
        raise ValueError(f"The saved state of an estimator must be a dict of attributes; got {type(state).__name__}.")
    attributes = default_parameters(estimator_class) | state
    version = attributes.pop(_VERSION, None)
    if type(version) is not int or version not in (WITHOUT_CHECKSUM, STATE_VERSION):
        written = "an earlier one" if version is None else f"one that writes version {version!r}"
        raise ValueError(
            f"This skcnn reads versions {WITHOUT_CHECKSUM} and {STATE_VERSION} of a saved estimator's state; this one "
            f"was written by {written}."
        )
    given = attributes.pop(_CHECKSUM, None)
    hidden = sorted(name for name in state if callable(getattr(estimator_class, name, None)))
    check(not hidden, f"it has values for the methods {hidden}")
    if "_model" not in attributes:
        fitted = sorted({"_checkpoint", *_LISTS, *_COUNTS, *_NUMBERS} & set(attributes))
        check(not fitted, f"it has {fitted}, but no model")
    else:
        attributes["_model"] = model = read_model(attributes["_model"])
        attributes["_checkpoint"] = read_checkpoint(attributes.get("_checkpoint"), model)
        read_history(attributes)
        read_columns(attributes, model.network.n_features)
    if version == STATE_VERSION or given is not None:
        unchanged = type(given) is int and given == checksum(state)
        check(unchanged, "it is not as it was written, by its checksum")
    return attributes


def check(fits, what):
    if not fits:
        raise ValueError(f"The saved state does not fit together: {what}.")


def check_keys(given, wanted, name):
    check(isinstance(given, dict) and set(given) == set(wanted), f"{name} must be a dict of {sorted(wanted)}")


def is_count(value, least=0):
    return isinstance(value, Integral) and not isinstance(value, bool | np.bool_) and least <= value < 2**60


def is_number(value):
    """Whether a value is a finite number."""
    if not isinstance(value, Real) or isinstance(value, bool | np.bool_):
        return False
    try:
        return isfinite(value)
    except OverflowError:  # an integer beyond the largest float
        return False


def read_columns(attributes, n_features):
    """Check the attributes that scikit-learn's validation set from X."""
    given = attributes.get("n_features_in_")
    check(is_count(given) and given == n_features, f"n_features_in_ is {given!r}, and the network takes {n_features}")
    names = attributes.get("feature_names_in_")
    fits = names is None or (isinstance(names, np.ndarray) and names.shape == (n_features,))
    check(fits, f"feature_names_in_ must have {n_features} names")


# ---- the model ----


def read_model(given):
    check_keys(given, ("network", "parameters", "classes", "multilabel"), "_model")
    description = read_network(given["network"])
    layers = make_layers(**description)
    n_parameters = sum(parameter.size for layer in layers for parameter in layer.parameters)
    parameters = read_values(given["parameters"], "parameters", n_parameters)
    labels = read_labels(given["classes"], given["multilabel"], description["n_outputs"])
    try:
        # Only after the checks, because it allocates memory in proportion to the sizes.
        network = Network(**description)
    except (ValueError, TypeError) as error:
        raise ValueError(f"The saved state does not fit together: {error}") from error
    for name, values in network.views(parameters).items():
        check("variances" not in name or (values >= 0).all(), f"{name} are negative")
    with np.errstate(all="ignore"):
        model = Model(network, own(parameters, parameters.dtype), labels)
    check(np.isfinite(model.folded).all(), "its filters and their variances make values that are not finite")
    return model


def read_network(given):
    """The keyword arguments of a Network, with checked types."""
    wanted = [part.name for part in fields(Network) if part.init]
    network = YOUNGER | given if isinstance(given, dict) else given
    check_keys(network, wanted, "the network")
    given = dict(network)
    network["image_shape"] = read_sizes(given["image_shape"], "image_shape", 3)
    n_filters = given["n_filters"]
    n_layers = len(n_filters) if isinstance(n_filters, list | tuple) else 0
    check(0 < n_layers <= MAX_LAYERS, f"n_filters={n_filters!r} must have 1 to {MAX_LAYERS} numbers")
    network["n_filters"] = read_sizes(n_filters, "n_filters", n_layers)
    for name in ("kernel_size", "pool_size"):
        sizes = given[name]
        check(isinstance(sizes, list | tuple) and len(sizes) == n_layers, f"{name}={sizes!r} needs {n_layers} sizes")
        network[name] = tuple(read_sizes(size, name, 2) for size in sizes)
    check(is_count(given["n_outputs"], 1), f"n_outputs={given['n_outputs']!r}")
    network["n_outputs"] = int(given["n_outputs"])
    for name in ("padding", "activation"):
        known = isinstance(given[name], str) and given[name] in OPTIONS[name] and given[name] != "auto"
        check(known, f"{name}={given[name]!r}")
    for name in ("fit_intercept", "standardize", "batch_norm"):
        check(isinstance(given[name], bool), f"{name}={given[name]!r}")
    pool = given["global_pool"]
    check(pool is None or (isinstance(pool, str) and pool in GLOBAL_POOLS), f"global_pool={pool!r}")
    check(type(given["rescale"]) is float and isfinite(given["rescale"]), f"rescale={given['rescale']!r}")
    scale = given["input_scale"]
    check(type(scale) is float and 1 / MOST_SCALE <= scale <= MOST_SCALE, f"input_scale={scale!r}")
    return network


def read_sizes(given, name, n_sizes):
    fits = isinstance(given, list | tuple) and len(given) == n_sizes and all(is_count(size, 1) for size in given)
    check(fits, f"{name} has {given!r} where {n_sizes} positive integers belong")
    return tuple(int(size) for size in given)


def read_values(given, name, *shape):
    """An array of this machine's byte order, checked to be finite, of float32 or float64 and of the given shape."""
    given = in_own_order(given)
    fits = isinstance(given, np.ndarray) and given.dtype in (np.float32, np.float64)
    check(fits, f"{name} must be an array of float32 or float64")
    check(given.shape == shape, f"{name} has shape {given.shape}, and this network's have {shape}")
    check(np.isfinite(given).all(), f"{name} has values that are not finite")
    return given


def in_own_order(given):
    """An array in this machine's byte order, as pickles keep that of the machine that wrote them."""
    foreign = isinstance(given, np.ndarray) and not given.dtype.isnative
    return given.astype(given.dtype.newbyteorder("=")) if foreign else given


def read_labels(classes, multilabel, n_outputs):
    check(isinstance(multilabel, bool), f"multilabel={multilabel!r}")
    check(isinstance(classes, np.ndarray) and classes.ndim == 1 and len(classes) > 0, "classes must be an array")
    classes = in_own_order(classes)
    labels = Labels(np.array(classes), multilabel)
    try:
        expected = np.arange(len(classes)) if multilabel else np.unique(classes)
    except TypeError:
        expected = None
    check(
        len(classes) > 1 and expected is not None and np.array_equal(classes, expected),
        "classes must be two or more, different and sorted",
    )
    check(labels.n_outputs == n_outputs, f"{len(classes)} classes do not make {n_outputs} outputs")
    return labels


# ---- the checkpoint and the history ----


def read_checkpoint(given, model):
    check_keys(given, [part.name for part in fields(Checkpoint)], "_checkpoint")
    moments = given["moments"]
    if moments is not None:
        n_moments = 1 if isinstance(moments, np.ndarray) and len(moments.shape) and moments.shape[0] == 1 else 2
        moments = read_values(moments, "moments", n_moments, model.network.n_trainable)
        check(moments.dtype == model.parameters.dtype, "moments and parameters are of different types")
        check(n_moments == 1 or (moments[1] >= 0).all(), "moments has negative squares")
        given = given | {"moments": np.array(moments, order="C")}
    for name, size in (("parameters", model.network.n_parameters), ("averages", model.network.n_trainable)):
        if given[name] is not None:
            values = read_values(given[name], name, size)
            check(values.dtype == model.parameters.dtype, f"{name} and the model's parameters are of two types")
            given = given | {name: own(values, values.dtype)}
    check((given["parameters"] is None) == (given["averages"] is None), "parameters and averages belong together")
    for name in ("n_steps", "n_averaged", "n_batches", "n_reductions", "n_no_improvement"):
        check(is_count(given[name]), f"{name}={given[name]!r}")
    check(given["n_reductions"] < MOST_REDUCTIONS, f"n_reductions={given['n_reductions']}")
    check(given["best_score"] is None or is_number(given["best_score"]), f"best_score={given['best_score']!r}")
    seed = given["split_seed"]
    check(seed is None or (is_count(seed) and seed < 2**32), f"split_seed={seed!r}")
    return Checkpoint(**given)


def read_history(attributes):
    for name in (*_LISTS, *_COUNTS, *_NUMBERS):
        check(name in attributes, f"it has no {name}")
    for name in _LISTS:
        curve = attributes[name]
        fits = isinstance(curve, list) and all(map(is_number, curve))
        check(fits or (curve is None and name != "loss_curve_"), f"{name} must be a list of numbers")
        attributes[name] = None if curve is None else list(curve)
    for name in _COUNTS:
        check(is_count(attributes[name]), f"{name}={attributes[name]!r}")
    for name in _NUMBERS:
        value = attributes[name]
        without = None if name != "best_loss_" or value is None else inf  # before the end of the first epoch
        fits = is_number(value) or (name != "learning_rate_" and (value is None or value == without))
        check(fits, f"{name}={value!r}")
    curves = [attributes[name] or [] for name in ("validation_loss_curve_", "validation_scores_")]
    check(len(curves[0]) == len(curves[1]), "validation_loss_curve_ and validation_scores_ differ in length")
