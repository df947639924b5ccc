"""Types of the compiled part, the same for each level of the instruction set.

Arrays are C-contiguous; lanes, 16 of them, are the last axis.
"""

from typing import TypeAlias, TypedDict

import numpy as np
from numpy.typing import NDArray

from skcnn.network import Network

Pixels: TypeAlias = NDArray[np.uint8] | NDArray[np.float32] | NDArray[np.float64]
# One of the two throughout a call.
Floats: TypeAlias = NDArray[np.float32] | NDArray[np.float64]
Indices: TypeAlias = NDArray[np.intp]

N_LANES: int
N_MAX_LAYERS: int
ACTIVATIONS: dict[str, int]
N_TAP_BLOCK: int
LOSSES: dict[str, int]
SOLVERS: dict[str, int]

class Objective(TypedDict):
    loss: int
    alpha: float

class Solver(TypedDict):
    kind: int
    learning_rate: float
    beta_1: float
    beta_2: float
    epsilon: float
    momentum: float
    nesterovs_momentum: bool

def max_threads() -> int: ...
def workspace_size(network: Network, n_rows: int, n_threads: int, itemsize: int) -> int: ...
def forward(
    X: Pixels,
    rows: Indices | None,
    network: Network,
    parameters: Floats,
    n_threads: int,
    logits_out: Floats,
    hidden_out: Floats | None,
) -> None: ...
def batch_gradient(
    X: Pixels,
    targets: Floats,
    sample_weight: Floats,
    rows: Indices,
    shifts: Indices | None,
    network: Network,
    objective: Objective,
    parameters: Floats,
    n_threads: int,
    workspace: Floats,
    gradient_out: Floats,
) -> float: ...
def train_batches(
    X: Pixels,
    targets: Floats,
    sample_weight: Floats,
    rows: Indices,
    shifts: Indices | None,
    batch_size: int,
    network: Network,
    objective: Objective,
    solver: Solver,
    parameters: Floats,
    moments: Floats,
    n_threads: int,
    workspace: Floats,
    n_steps: int,
    n_batches: int,
) -> tuple[float, float, int, int]: ...

# Doors to the kernels, for the tests.
def gather(X: Pixels, rows: Indices, rescale: float, height: int, width: int, start: int, x_out: Floats) -> None: ...
def shift_image(image: Pixels, down: int, right: int, out: Pixels) -> None: ...
def convolution_forward(x: Floats, filters: Floats, intercepts: Floats, taps: Indices, out: Floats) -> None: ...
def convolution_backward(
    x: Floats, d_out: Floats, taps: Indices, sums: Floats, d_filters_out: Floats, d_intercepts_out: Floats
) -> None: ...
def sums_size(n_filters: int, n_taps: int, dtype: str) -> int: ...
def turn_filters(filters: Floats, turned_out: Floats) -> None: ...
def max_pool_forward(
    values: Floats, pool_height: int, pool_width: int, out: Floats, places_out: NDArray[np.uint16]
) -> None: ...
def max_pool_backward(
    d_out: Floats, places: NDArray[np.uint16], pool_height: int, pool_width: int, d_values_out: Floats
) -> None: ...
def activate(activation: int, values_out: Floats) -> None: ...
def activate_backward(activation: int, values: Floats, d_values_out: Floats) -> None: ...
def dense_forward(hidden: Floats, weights: Floats, intercepts: Floats, logits_out: Floats) -> None: ...
def dense_backward(
    hidden: Floats,
    weights: Floats,
    d_logits: Floats,
    d_weights_out: Floats,
    d_intercepts_out: Floats,
    d_hidden_out: Floats,
) -> None: ...
def standardize_forward(weights: Floats, logits_out: Floats, means_out: Floats, variances_out: Floats) -> None: ...
def standardize_backward(standardized: Floats, weights: Floats, variances: Floats, d_logits_out: Floats) -> None: ...
def loss_and_gradient(
    logits: Floats, targets: Floats, weights: Floats, loss: int, total_weight: float, d_logits_out: Floats
) -> float: ...
def solver_step(gradient: Floats, solver: Solver, step: int, moments: Floats, parameters_out: Floats) -> None: ...
