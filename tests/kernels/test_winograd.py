"""Winograd's convolution: if a stage's geometry selects it, its outputs and gradients are those of plain sums.

It is for stages with many channels and filters of 3 x 3 or for signals. test_convolution.py tests the direct algorithm,
test_network_gradient.py and test_forward.py the complete passes.
"""

import numpy as np
import pytest

from skcnn.kernels import LANES
from skcnn.kernels import compiled as _kernels
from skcnn.kernels._network import CompiledNetwork
from skcnn.network import Network
from tests.helpers.arrays import random_arrays
from tests.helpers.differences import STEP, TOLERANCE
from tests.helpers.harness import assert_close, batch_gradient, random_problem, read_only
from tests.helpers.marks import every_dtype, every_padding
from tests.kernels.test_convolution import assert_same_convolution

TILE, SIDE = 4, 3
# Finite interpolation points and side of a filter, for squares and for columns.
KINDS = {"squares": ([0, 3 / 4, -3 / 4, 3 / 2, -3 / 2], SIDE), "columns": ([0, 1 / 2, -1 / 2, 1, -1, 2, -2], 5)}

# Outputs of complete tiles and with partial tiles; channels and filters that fill lanes or do not.
every_shape = pytest.mark.parametrize(("height", "width"), [(4, 4), (3, 9), (8, 5), (13, 14), (6, 23), (17, 3)])
every_length = pytest.mark.parametrize("length", [1, 4, 7, 13, 33, 70])
every_kernel = pytest.mark.parametrize("kernel_size", [4, 5, 7, 9, 10, 14])
every_size = pytest.mark.parametrize(("n_channels", "n_filters"), [(16, 16), (12, 21), (35, 10)])


def matrices(points, side):
    """B', G and A', from powers of the points and Lagrange polynomials (Lavin and Gray, 2016)."""
    n_points = len(points) + 1
    outputs = np.zeros((TILE, n_points))
    outputs[:, :-1] = np.vander(points, TILE, increasing=True).T
    outputs[-1, -1] = 1
    distances = [np.prod([p - q for q in points if q != p]) for p in points]
    filters = np.zeros((n_points, side))
    filters[:-1] = np.vander(points, side, increasing=True) / np.reshape(distances, (-1, 1))
    filters[-1, -1] = 1
    pixels = np.zeros((n_points, n_points))
    for i, p in enumerate(points):
        pixels[i, :-1] = np.poly([q for q in points if q != p])[::-1]
    pixels[-1] = np.poly(points)[::-1]
    return {"X": pixels, "FILTERS": filters, "OUTPUTS": outputs}


def make_network(height, width, n_channels, n_filters, padding):
    if padding == "valid":
        height, width = height + SIDE - 1, width + SIDE - 1
    return Network((height, width, 1), (n_channels, n_filters), ((1, 1), (SIDE, SIDE)), 1, padding=padding)


def winograd_of(image_shape, n_filters, *kernel_size):
    return Network(image_shape, n_filters, kernel_size, 1, padding="same").compiled.winograd


@pytest.mark.parametrize("kind", KINDS)
def test_matrices(kind):
    """The matrices compute a correlation."""
    points, side = KINDS[kind]
    of = matrices(points, side)
    x, w = random_arrays("float64", (TILE + side - 1,), (side,))
    assert_close(of["OUTPUTS"] @ ((of["FILTERS"] @ w) * (of["X"] @ x)), np.correlate(x, w, "valid"))


@every_dtype
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", ["X", "FILTERS", "OUTPUTS"])
@pytest.mark.parametrize("gradient", [False, True], ids=["", "gradient"])
def test_transforms(kind, name, gradient, dtype, new_output):
    matrix = matrices(*KINDS[kind])[name]
    matrix = matrix.T if gradient else matrix
    across = matrix if kind == "squares" else np.ones((1, 1))
    (tiles,) = random_arrays(dtype, (matrix.shape[1], across.shape[1], LANES))
    n = len(matrix) * len(across)
    out = new_output(dtype, n, LANES)
    before = out.copy()
    if name == "X" and gradient:  # tiles overlap and are added up
        out[:] = 0.5
        before = np.full_like(out, 0.5)
    _kernels.winograd_transform("D_" * gradient + name, read_only(tiles), out)
    expected = np.einsum("ai,bj,ijl->abl", matrix, across, tiles.astype(float)).reshape(n, LANES)
    assert_close(out, expected + np.nan_to_num(before))


# ---- the convolution of a group ----


@every_shape
@every_size
@every_padding
@every_dtype
def test_convolution(height, width, n_channels, n_filters, padding, dtype, new_output):
    network = make_network(height, width, n_channels, n_filters, padding)
    assert network.compiled.winograd == (False, True)
    assert_same_convolution(network, (SIDE, SIDE), padding, LANES, dtype, new_output)


@every_length
@every_kernel
@pytest.mark.parametrize(("n_channels", "n_filters"), [(40, 48), (37, 45)])
@every_padding
@every_dtype
def test_convolution_of_signals(length, kernel_size, n_channels, n_filters, padding, dtype, new_output):
    """Filters of more than 5 samples are sums of segments; one or two outputs are plain sums."""
    width = max(length, kernel_size) if padding == "same" else length + kernel_size - 1
    kernels = ((1, 1), (1, kernel_size))
    network = Network((1, width, 1), (n_channels, n_filters), kernels, 1, padding=padding)
    assert network.compiled.winograd == (False, padding == "same" or length > 2)
    assert_same_convolution(network, kernels[1], padding, LANES, dtype, new_output)


def test_where_it_is_chosen():
    """It is not chosen for the first stage, few pixels, few channels or filters, or other kernels."""
    square = (SIDE, SIDE)
    network = Network((12, 12, 3), (16, 16, 16), (square,) * 3, 1, padding="same")
    assert network.compiled.winograd == (False, True, True)
    assert CompiledNetwork(network, winograd=False).winograd == (False, False, False)
    assert winograd_of((12, 12, 16), (16, 16), square, (5, 5)) == (False, False)
    assert winograd_of((2, 3, 1), (64, 64), (1, 1), (1, 3)) == (False, False)
    assert winograd_of((12, 12, 1), (2, 16), square, square) == (False, False)
    assert winograd_of((1, 99, 1), (16, 16), (1, 3), (1, 5)) == (False, True)
    assert winograd_of((1, 99, 1), (16, 16), (1, 3), (1, 3)) == (False, False)
    assert winograd_of((1, 99, 1), (48, 48), (1, 3), (1, 3)) == (False, True)
    assert winograd_of((1, 99, 1), (48, 48), (1, 3), (1, 2)) == (False, False)
    assert winograd_of((99, 1, 1), (16, 16), (5, 1), (5, 1)) == (False, True)


# ---- in a network ----


@every_padding
@pytest.mark.parametrize("pool_size", [(1, 1), (2, 2), (3, 2), (4, 1)], ids="pools of {}".format)
@pytest.mark.parametrize("batch_norm", [False, True], ids=["plain", "batch_norm"])
@pytest.mark.parametrize(
    ("global_pool", "n_rows"),
    [("average", 13), (None, 19), (None, 83)],
    ids=["global, a group", "and images", "chunks"],
)
def test_gradient_of_a_network(padding, pool_size, batch_norm, global_pool, n_rows):
    """Central differences along random directions, for a group with idle lanes and one with three images.

    A batch of six groups has chunks of one and two groups. Pools drop surplus rows and columns.
    """
    pools, kernels = ((1, 1), pool_size, (1, 1)), ((SIDE, SIDE),) * 3
    options = {"pool_size": pools, "batch_norm": batch_norm, "global_pool": global_pool, "activation": "tanh"}
    side = 13 if padding == "same" else 17
    network = Network((side, side - 1, 2), (12, 14, 16), kernels, 2, padding=padding, **options)
    assert network.compiled.winograd[:2] == (False, True)
    assert_gradient(network, n_rows)


@every_padding
@pytest.mark.parametrize("kernel_size", [5, 9, 11])
@pytest.mark.parametrize("pool", [1, 2, 3, 7])
@pytest.mark.parametrize("batch_norm", [False, True], ids=["plain", "batch_norm"])
@pytest.mark.parametrize(
    ("global_pool", "n_rows"), [("max", 13), (None, 19), (None, 83)], ids=["global, a group", "and images", "chunks"]
)
def test_gradient_of_a_network_of_signals(padding, kernel_size, pool, batch_norm, global_pool, n_rows):
    kernels, pools = ((1, 3), (1, kernel_size), (1, 3)), ((1, 1), (1, pool), (1, 1))
    options = {"pool_size": pools, "batch_norm": batch_norm, "global_pool": global_pool, "activation": "tanh"}
    network = Network((1, 89, 2), (12, 14, 16), kernels, 2, padding=padding, **options)
    assert network.compiled.winograd[:2] == (False, True)
    assert_gradient(network, n_rows)


def assert_gradient(network, n_rows):
    problem = random_problem(network, n_rows, weighted=True)
    trainable = problem["parameters"][: network.n_trainable]
    options = {"loss": "log_loss", "alpha": 0.1}
    _, gradient, _ = batch_gradient(network, **problem, **options)
    rng = np.random.default_rng(0)
    for _ in range(3):
        direction = rng.normal(size=trainable.size)
        direction /= np.linalg.norm(direction)
        values = []
        for step in (STEP, -STEP):
            trainable += step * direction
            values.append(batch_gradient(network, **problem, **options)[0])
            trainable -= step * direction
        slope = (values[0] - values[1]) / (2 * STEP)
        assert abs(gradient @ direction - slope) <= TOLERANCE * np.linalg.norm(gradient)
