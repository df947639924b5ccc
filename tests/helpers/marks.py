"""Parametrisations shared by several test files."""

import pytest

from skcnn.kernels import ACTIVATIONS
from tests.helpers.harness import LOSSES, SOLVER

DTYPES = ("float32", "float64")
every_dtype = pytest.mark.parametrize("dtype", DTYPES)
# Dtypes of X that need no copy.
every_x_dtype = pytest.mark.parametrize("x_dtype", ["uint8", *DTYPES])
every_activation = pytest.mark.parametrize("activation", ACTIVATIONS)
every_padding = pytest.mark.parametrize("padding", ["valid", "same"])
every_loss = pytest.mark.parametrize("loss", LOSSES)
every_n_outputs = pytest.mark.parametrize("n_outputs", [1, 3, 5, 6, 10, 11], ids="{} outputs".format)
plain_or_standardize = pytest.mark.parametrize("standardize", [False, True], ids=["plain", "standardize"])
every_normalization = pytest.mark.parametrize(
    "normalization", [{}, {"standardize": True}, {"batch_norm": True}], ids=["plain", "standardize", "batch_norm"]
)
equal_or_weighted = pytest.mark.parametrize("weighted", [False, True], ids=["equal weights", "weighted"])

# Name: image_shape (height, width, n_channels), kernel_size.
SHAPES = {
    "square": ((7, 7, 1), (3, 3)),
    "wide, 2 channels": ((4, 9, 2), (2, 3)),
    "wide, 3 channels": ((4, 6, 3), (2, 3)),
    "tall, 3 channels": ((9, 4, 3), (3, 2)),
    "even kernel": ((6, 5, 2), (4, 2)),
    "signal": ((1, 20, 1), (1, 5)),
    "signal, 2 channels": ((1, 12, 2), (1, 4)),
    "signal, 3 channels": ((1, 13, 3), (1, 4)),
    "upright signal": ((9, 1, 1), (2, 1)),
    "upright signal, 2 channels": ((9, 1, 2), (3, 1)),
    "kernel as large as the image": ((4, 5, 2), (4, 5)),
    "kernel 1x1": ((3, 4, 3), (1, 1)),
    "kernel 1x1, 7 channels": ((3, 4, 7), (1, 1)),
    "out_width 1": ((6, 4, 1), (3, 4)),
    "out_width 2": ((5, 5, 1), (2, 4)),
    "out_width 5": ((5, 9, 1), (5, 5)),
    "digit": ((28, 28, 1), (5, 5)),
    "one pixel": ((1, 1, 1), (1, 1)),
}
every_shape = pytest.mark.parametrize(("image_shape", "kernel_size"), SHAPES.values(), ids=SHAPES)

# Name: changes to SOLVER.
SOLVERS = {
    "adam": {"kind": "adam"},
    "adam, other settings": {"kind": "adam", "beta_1": 0.5, "beta_2": 0.9, "epsilon": 1e-3},
    "sgd": {"kind": "sgd", "nesterovs_momentum": False},
    "sgd, no momentum": {"kind": "sgd", "momentum": 0.0},
    "sgd, nesterov": {"kind": "sgd", "momentum": 0.7},
}
every_solver = pytest.mark.parametrize("solver", [SOLVER | changes for changes in SOLVERS.values()], ids=SOLVERS)

# For fits that are too short to learn anything and warn about it.
few_steps = pytest.mark.filterwarnings("ignore:The network learnt little:sklearn.exceptions.ConvergenceWarning")
