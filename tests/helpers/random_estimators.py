"""Strategies of hypothesis: estimators of every kind, and data that is usual, extreme or wrong."""

from math import inf, nan

import numpy as np
from hypothesis import strategies as st

from skcnn.validation import OPTIONS

MOST_LAYERS = 16


def sides(largest=64):
    """Sides of images: small ones are more frequent."""
    return st.one_of(st.integers(1, 8), st.integers(1, 16), st.integers(1, largest))


@st.composite
def image_shapes(draw):
    """(height, width) or (height, width, n_channels)."""
    height, width = draw(sides()), draw(sides())
    n_channels = draw(st.sampled_from([None, None, 1, 2, 3, 4]))
    if height * width > 1024:  # an image of 64 x 64 has at most two channels
        n_channels = min(n_channels or 1, 2)
    return (height, width) if n_channels is None else (height, width, n_channels)


def sizes(n_layers):
    """Kernels or pools: "auto", one for all layers, or one for each."""
    side = st.integers(1, 6)
    one = st.one_of(side, st.tuples(side, side))
    return st.one_of(st.just("auto"), side, st.lists(one, min_size=n_layers, max_size=n_layers))


def numbers(*usual, largest=1e30):
    """Real hyper-parameters: usual values, and any in the range."""
    return st.one_of(st.sampled_from(usual), st.sampled_from(usual), st.floats(0, largest))


def options(name):
    return st.sampled_from(OPTIONS[name])


@st.composite
def hyper_parameters(draw, image_shape):
    """Hyper-parameters, most of which are drawn only now and then, so that they meet in all combinations."""
    n_layers = draw(st.sampled_from([1, 1, 1, 2, 2, 3, 4, 6, MOST_LAYERS]))
    most = 20 if image_shape[0] * image_shape[1] < 500 and n_layers < 5 else 4
    filters = st.integers(1, most)
    stack = st.lists(filters, min_size=n_layers, max_size=n_layers).map(tuple)
    chosen = {
        "n_filters": draw(filters if n_layers == 1 else stack),
        "image_shape": image_shape,
        "max_iter": draw(st.sampled_from([1, 1, 2, 3])),
        "random_state": draw(st.integers(0, 2**32 - 1)),
        "tol": draw(st.sampled_from([0.0, 1e9])),
    }
    flags = st.booleans()
    others = {
        "kernel_size": sizes(n_layers),
        "padding": options("padding"),
        "pool_size": sizes(n_layers),
        "activation": options("activation"),
        "batch_norm": flags,
        "global_pool": options("global_pool"),
        "random_shift": st.one_of(st.integers(0, 3), st.tuples(st.integers(0, 3), st.integers(0, 3))),
        "random_flip": flags,
        "loss": options("loss"),
        "standardize": flags,
        "fit_intercept": flags,
        "init": options("init"),
        "rescale": st.one_of(st.sampled_from(["auto", 1 / 255, -1.0]), st.floats(-1e30, 1e30)),
        "solver": options("solver"),
        "alpha": numbers(0.0, 1e-3, 1.0, 1e30),
        "label_smoothing": st.sampled_from([0.0, 0.1, 0.99]),
        "batch_size": st.sampled_from(["auto", 1, 2, 7, 16, 32, 33, 1000]),
        "learning_rate": options("learning_rate"),
        "learning_rate_init": numbers(5e-3, 0.1, 5.0, 1e4, 1e-30),
        "power_t": numbers(0.5, 0.0, 2.0),
        "average": st.sampled_from([False, True, 0, 1, 5, 10**9]),
        "shuffle": flags,
        "n_iter_no_change": st.sampled_from(["auto", 1, 5, inf]),
        "early_stopping": flags,
        "validation_fraction": st.sampled_from([0.1, 0.3, 0.5, 0.99, 0.001]),
        "warm_start": flags,
        "momentum": st.sampled_from([0.0, 0.9, 0.999, 1.0]),
        "nesterovs_momentum": flags,
        "beta_1": st.sampled_from([0.0, 0.9, 0.999999]),
        "beta_2": st.sampled_from([0.0, 0.99, 0.999999]),
        "epsilon": numbers(1e-8, 1e-30, 1.0, 1e-310),
        "class_weight": st.sampled_from(["balanced", {0: 2.0, 1: 0.0}, {0: 1e30}, {"a": 1.0}]),
    }
    names = draw(st.lists(st.sampled_from(sorted(others)), max_size=10, unique=True))
    return chosen | {name: draw(others[name]) for name in names}


# ---- data ----

# Name: function of (generator, shape).
CONTENTS = {
    "uniform": lambda rng, shape: rng.random(shape),
    "bytes": lambda rng, shape: rng.integers(256, size=shape).astype(np.uint8),
    "few bytes": lambda rng, shape: (rng.random(shape) < 0.02).astype(np.uint8),
    "normal": lambda rng, shape: rng.normal(size=shape),
    "far from 0": lambda rng, shape: 1e4 + rng.normal(size=shape),
    "constant": lambda rng, shape: np.full(shape, 0.3),
    "zeros": lambda rng, shape: np.zeros(shape),
    "equal images": lambda rng, shape: np.broadcast_to(rng.random(shape[1:]), shape),
    "integers": lambda rng, shape: rng.integers(-5, 6, size=shape),
    "huge": lambda rng, shape: rng.choice([-1.8e19, 1.8e19], size=shape),
    "too large": lambda rng, shape: np.where(rng.random(shape) < 0.5, -3e38, 3e38),
    "beyond float32": lambda rng, shape: rng.normal(size=shape) * 1e150,
    "tiny": lambda rng, shape: rng.random(shape) * 1e-30,
    "subnormal": lambda rng, shape: rng.random(shape) * 1e-310,
    "subnormal in float32": lambda rng, shape: rng.random(shape) * 1e-40,
    "all magnitudes": lambda rng, shape: 10.0 ** rng.uniform(-40, 19, size=shape),
    "one NaN": lambda rng, shape: _with_one(rng.random(shape), nan),
    "one infinity": lambda rng, shape: _with_one(rng.random(shape), inf),
}
USUAL = ("uniform", "bytes", "normal", "far from 0", "few bytes")


def _with_one(X, value):
    X.flat[X.size // 2] = value
    return X


@st.composite
def data_sets(draw, image_shape):
    """X, y and sample_weight."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    most = 70 if np.prod(image_shape) < 1000 else 20
    n_samples = draw(st.one_of(st.integers(1, 10), st.integers(5, most)))
    content = draw(st.one_of(st.sampled_from(USUAL), st.sampled_from(sorted(CONTENTS))))
    as_images = draw(st.booleans())
    X = CONTENTS[content](rng, (n_samples, *image_shape))
    if draw(st.booleans()) and X.dtype == np.float64:
        with np.errstate(over="ignore", under="ignore"):
            X = X.astype(np.float32)
    return X if as_images else X.reshape(n_samples, -1), draw(targets(n_samples)), draw(weights(n_samples))


@st.composite
def targets(draw, n_samples):
    """Classes or several labels."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    n_classes = draw(st.one_of(st.integers(2, 4), st.integers(1, 12)))
    match draw(st.sampled_from(["classes"] * 6 + ["texts", "one each", "labels", "floats", "other length"])):
        case "classes":
            return rng.permutation(np.arange(n_samples) % n_classes)
        case "texts":
            return np.array(list("abcdefghijkl"))[rng.integers(n_classes, size=n_samples)]
        case "one each":
            return rng.permutation(n_samples)
        case "labels":
            return rng.integers(2, size=(n_samples, n_classes))
        case "floats":
            return rng.integers(n_classes, size=n_samples) / 2
        case "other length":
            return np.arange(n_samples + 1) % n_classes


@st.composite
def weights(draw, n_samples):
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    drawn = rng.random(n_samples)
    kinds = ["none"] * 8 + ["uniform", "some zeros", "zeros", "huge", "tiny", "distribution", "all magnitudes", "wrong"]
    match draw(st.sampled_from(kinds)):
        case "none":
            return None
        case "uniform":
            return drawn
        case "some zeros":
            return np.where(drawn < 0.5, 0.0, drawn)
        case "zeros":
            return np.zeros(n_samples)
        case "huge":
            return drawn * 1e300
        case "tiny":
            return drawn * 1e-300
        case "distribution":
            return drawn / drawn.sum()
        case "all magnitudes":
            return 10.0 ** rng.uniform(-40, 30, size=n_samples)
        case "wrong":
            return rng.choice([-1.0, nan, inf, 1.0], size=n_samples)


@st.composite
def problems(draw):
    """Hyper-parameters, and (X, y, sample_weight)."""
    image_shape = draw(image_shapes())
    return draw(hyper_parameters(image_shape)), draw(data_sets(image_shape))
