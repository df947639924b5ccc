"""Networks of several layers, and problems whose loss is differentiable with respect to every parameter.

Relus and maxima have kinks, where a loss has no derivative and rounding decides on the side. In these problems, neither
a difference's step nor rounding reaches a kink (`smooth_problem`), so nothing need be skipped. If several values of a
pool are the largest because their windows are equal, they stay equal, and the derivative exists.
"""

import numpy as np
import pytest

from skcnn.network import Network
from tests.helpers import harness, reference
from tests.helpers.differences import split_gradient
from tests.helpers.harness import assert_close, random_problem

# Kernels of the first layers, odd and even.
KERNELS = ((2, 3), (3, 2), (2, 4))
SIGNAL_KERNELS = ((1, 4), (1, 3), (1, 2))
N_FILTERS = (2, 3, 2)

# Name: pool_size of each layer, and whether some rows and columns fill no pool.
POOLS = {
    "no pools": ((1, 1), False),
    "2 x 2": ((2, 2), False),
    "2 x 2, ragged": ((2, 2), True),
    "2 x 1, ragged": ((2, 1), True),
    "3 x 2, ragged": ((3, 2), True),
}
KINDS = ("grey", "channels", "signal")
# Largest change of a value by rounding in float32.
ROUNDING = 1e-6
# The largest slopes of the activations.
SLOPES = {"sigmoid": 0.25, "tanh": 1.0, "relu": 1.0}

STACKS = {
    "two layers": Network((9, 8, 1), (3, 4), ((3, 3), (2, 2)), 3, ((2, 2), (1, 1)), activation="relu"),
    "three layers, tanh": Network(
        (11, 13, 2), (2, 5, 3), ((3, 2), (2, 3), (2, 2)), 1, ((2, 1), (1, 2), (2, 2)), "same", "tanh"
    ),
    "many filters": Network((7, 6, 1), (13, 9), ((3, 3), (3, 3)), 2, ((1, 1), (2, 2)), "same", "relu"),
    "many channels": Network((5, 6, 11), (6, 7), ((2, 2), (1, 1)), 11, ((1, 2), (1, 1)), "valid", "tanh"),
    "even kernels": Network((8, 9, 1), (4, 2), ((4, 2), (2, 4)), 2, ((3, 2), (2, 2)), "same", "sigmoid"),
    "signal": Network((1, 37, 2), (4, 3), ((1, 5), (1, 4)), 3, ((1, 3), (1, 2)), "same", "relu"),
    "upright signal": Network((41, 1, 1), (2, 3), ((5, 1), (2, 1)), 1, ((2, 1), (3, 1)), "valid", "tanh"),
    "pools of everything": Network((6, 5, 1), (3, 4), ((3, 3), (2, 2)), 2, ((2, 1), (2, 5)), "same", "relu"),
    "one layer, pools": Network((9, 7, 2), (5,), ((3, 3),), 3, ((2, 3),), "same", "relu"),
    "rows of a digit": Network((28, 28, 1), (5, 6), ((3, 3), (3, 3)), 4, ((2, 2), (2, 2)), "same", "relu"),
    "no pools": Network((12, 6, 1), (3, 2, 2), ((3, 3), (3, 3), (2, 2)), 2, None, "same", "relu"),
    "standardize": Network((8, 7, 1), (3, 2), ((3, 2), (2, 2)), 3, ((2, 2), (1, 1)), standardize=True),
    "normalized": Network((9, 8, 1), (3, 4), ((3, 3), (2, 2)), 3, ((2, 2), (1, 1)), activation="relu", batch_norm=True),
    "normalized, channels": Network(
        (4, 5, 2), (7, 3), ((3, 2), (2, 3)), 1, ((2, 1), (1, 2)), "same", "tanh", batch_norm=True
    ),
    "normalized signal": Network(
        (1, 31, 2), (4, 9), ((1, 4), (1, 3)), 3, ((1, 3), (1, 1)), "same", "sigmoid", batch_norm=True
    ),
    "normalized logits, too": Network(
        (6, 5, 1), (3, 2), ((3, 2), (2, 2)), 3, ((2, 2), (1, 1)), "same", "tanh", 2.0, False, True, True
    ),
    "normalized, many layers": Network(
        (4, 5, 1), (3, 7, 2, 4), ((3, 2),) * 4, 2, None, "same", "tanh", batch_norm=True, fit_intercept=False
    ),
    "global average": Network((9, 8, 1), (3, 11), ((3, 3), (2, 2)), 3, None, "same", "tanh", global_pool="average"),
    "global max": Network((1, 41, 1), (6, 5), ((1, 7), (1, 2)), 2, None, "valid", "relu", global_pool="max"),
    "normalized, global average": Network(
        (1, 45, 2),
        (4, 5),
        ((1, 7), (1, 3)),
        3,
        ((1, 2), (1, 1)),
        "same",
        "relu",
        batch_norm=True,
        global_pool="average",
    ),
    "normalized, global max": Network(
        (5, 4, 2), (4, 5), ((2, 2), (2, 2)), 2, None, "same", "tanh", batch_norm=True, global_pool="max"
    ),
    "no intercepts": Network((8, 7, 1), (3, 2), ((3, 2), (2, 2)), 3, ((2, 2), (1, 2)), "same", "tanh", 2.0, False),
}
every_stack = pytest.mark.parametrize("network", STACKS.values(), ids=STACKS)


def make_stack(n_layers, pools, padding, kind="grey", **choices):
    """A network for images just large enough that the dense layer reads maps of 2 x 1, or 1 x 2 for signals."""
    pool, ragged = POOLS[pools]
    kernels = KERNELS[:n_layers]
    if kind == "signal":
        kernels, pool = SIGNAL_KERNELS[:n_layers], (1, max(pool))
    # The middle one of three layers has no pools, which would need too large images.
    pool_size = [(1, 1) if number == 1 and n_layers == 3 else pool for number in range(n_layers)]
    shape = (1, 2) if kind == "signal" else (2, 1)
    for kernel, size in reversed(list(zip(kernels, pool_size, strict=True))):
        shape = [side * by + (by - 1) * ragged for side, by in zip(shape, size, strict=True)]
        if padding == "valid":
            shape = [side + by - 1 for side, by in zip(shape, kernel, strict=True)]
        # A kernel is at most as large as its input.
        shape = [max(side, by) for side, by in zip(shape, kernel, strict=True)]
    return Network(
        image_shape=(*shape, 2 if kind == "channels" else 1),
        n_filters=N_FILTERS[:n_layers],
        kernel_size=kernels,
        pool_size=tuple(pool_size),
        padding=padding,
        **{"n_outputs": 2} | choices,
    )


def blocks(network, n_samples, seed):
    """Rows of images that are constant over blocks of 5 x 5 pixels, so that pools have several maxima."""
    height, width, n_channels = network.image_shape
    small = np.random.default_rng(seed).normal(size=(n_samples, -(-height // 5), -(-width // 5), n_channels))
    return small.repeat(5, axis=1).repeat(5, axis=2)[:, :height, :width].reshape(n_samples, -1)


def whole_numbers(network, problem):
    """The problem with small integers as pixels, filters and intercepts.

    Their sums are exact in any order, and pools have several maxima with different windows.
    """
    rng = np.random.default_rng(0)
    parameters, X = problem["parameters"].copy(), rng.integers(-1, 3, size=problem["X"].shape)
    for name, view in network.views(parameters).items():
        if name.startswith("filter"):
            view[:] = rng.integers(-1, 2, size=view.shape)
    return problem | {"parameters": parameters, "X": X.astype(problem["X"].dtype)}


def convolutions(network, problem, moves=None):
    """For each layer, the largest absolute value of its input, its parameters, and its convolution (as far as it
    enters pools).
    """
    views = network.views(problem["parameters"].astype(float))
    maps = harness.images_of(network, problem["X"])
    if moves is not None:
        maps = reference.move_images(maps, moves)
    for number, stage in enumerate(network.stages):
        layer = reference.layer_parameters(views, number)
        largest = np.abs(maps).max()
        maps, (_, convolved, _) = reference.layer_forward(
            maps, layer, network.activation, network.padding, stage.pool_size, problem["sample_weight"].astype(float)
        )
        yield largest, layer, convolved


def is_smooth(network, problem, step, moves=None):
    """Whether no change of a parameter by `step` moves the network across a relu's kink or to another maximum.

    `reach` is the largest change of a convolution. Equal maxima are assumed to have equal windows and to stay equal,
    which requires random images. A layer whose relus are all 0 does not count as smooth.
    """
    reach = 0.0
    weights = problem["sample_weight"].astype(float)
    for stage, (largest, layer, values) in zip(network.stages, convolutions(network, problem, moves), strict=True):
        reach = max(
            reach * SLOPES[network.activation] * np.abs(layer["filters"]).sum(axis=(1, 2, 3)).max(),
            step * largest,
            step,
        )
        if "scales" in layer:
            values, reach = normalized(values, layer, weights, reach, step)
        pools = reference.pools(values, *stage.pool_size)
        if is_near_kink(pools, reach, network.activation):
            return False
    return network.global_pool != "max" or has_clear_maxima(network, problem, moves, reach)


def normalized(values, layer, weights, reach, step):
    """A convolution after normalisation, scale and shift, and its largest change if the convolution changes by `reach`.

    A normalised value changes by the changes of the value, of the mean, and of the deviation times itself.
    """
    scales, shifts = (layer[name][:, np.newaxis, np.newaxis] for name in ("scales", "shifts"))
    groups = [reference.normalize(values[group], weights[group]) for group in reference.groups_of(len(values))]
    largest = max(np.abs(one).max() for one, _ in groups)
    least_std = min(std.min() for _, std in groups)
    moved = reach / least_std * (2 + largest) * np.abs(scales).max()
    return scales * np.concatenate([one for one, _ in groups]) + shifts, max(moved, step * largest, step)


def is_near_kink(pools, reach, activation):
    """Whether changes of values by `reach` may cross 0 before a relu, or change a pool's maximum."""
    best = pools.max(axis=-1)
    if activation == "relu":
        if (np.abs(best) <= reach).any() or not (best > 0).any():
            return True
        pools, best = pools[best > 0], best[best > 0]
    gaps = best[..., np.newaxis] - pools
    return ((gaps > 1e-9) & (gaps <= 2 * reach)).any()


def has_clear_maxima(network, problem, moves, reach):
    """Whether changes by `reach` leave the maximum of each of the last feature maps in its place."""
    *_, (_, layer, values) = convolutions(network, problem, moves)
    weights = problem["sample_weight"].astype(float)
    if "scales" in layer:
        values = reference.batch_norm(values, layer["scales"], layer["shifts"], weights)
    values = reference.max_pool(values, *network.stages[-1].pool_size)
    return not is_near_kink(values.reshape(*values.shape[:2], 1, -1), reach, network.activation)


def n_ties(network, problem):
    """Number of pools with several maxima, except those that a relu sets to 0."""
    count = 0
    for stage, (_, _, values) in zip(network.stages, convolutions(network, problem), strict=True):
        pools = reference.pools(values, *stage.pool_size)
        best = pools.max(axis=-1, keepdims=True)
        several = (best - pools <= 1e-9).sum(axis=-1) > 1
        count += (several & ((best[..., 0] > 0) | (network.activation != "relu"))).sum()
    return count


def smooth_problem(network, n_samples, dtype="float64", *, step, moves=None, ties=False, weighted=False):
    """`random_problem` with the first seed for which it is smooth; with `ties`, on images of blocks."""
    for seed in range(1000):
        problem = random_problem(network, n_samples, dtype, weighted=weighted, seed=seed)
        if ties:
            problem["X"] = blocks(network, n_samples, seed).astype(dtype)
        if is_smooth(network, problem, step, moves):
            return problem
    raise AssertionError("no seed makes a smooth problem: take fewer samples")


def shifted(network, problem, moves):
    """The problem with images shifted beforehand."""
    images = reference.move_images(problem["X"].reshape(-1, *network.image_shape), moves)
    return problem | {"X": images.reshape(problem["X"].shape)}


def assert_same_parts(network, gradient, expected, factor=10):
    """Compare array by array, as those of the first layers may be small."""
    expected = split_gradient(network, expected)
    for name, part in split_gradient(network, gradient).items():
        if np.any(expected[name]):
            assert_close(part, expected[name], factor)
        else:
            assert not part.any()
