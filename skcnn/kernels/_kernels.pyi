"""Types of the compiled part, the same for each level of the instruction set.

Arrays are C-contiguous; lanes, 16 of them, are the last axis.
"""

from typing import TypeAlias, TypedDict

import numpy as np
from numpy.typing import NDArray

from skcnn.kernels._buffers import Memory
from skcnn.kernels._network import CompiledNetwork
from skcnn.passes import Order, Problem
from skcnn.state import State

Pixels: TypeAlias = NDArray[np.uint8] | NDArray[np.float32] | NDArray[np.float64]
# One of the two throughout a call.
Floats: TypeAlias = NDArray[np.float32] | NDArray[np.float64]
Indices: TypeAlias = NDArray[np.intp]

LOSSES: dict[str, int]
SOLVERS: dict[str, int]

class Solver(TypedDict):
    kind: int
    learning_rate: float
    beta_1: float
    beta_2: float
    epsilon: float
    momentum: float
    nesterovs_momentum: bool

def max_threads() -> int: ...
def end_threads() -> bool: ...
def make_workspace(network: CompiledNetwork, n_rows: int, n_threads: int, itemsize: int) -> Memory: ...
def forward(
    network: CompiledNetwork,
    X: Pixels,
    rows: Indices | None,
    parameters: Floats,
    outputs: tuple[Floats, Floats | None],
    n_threads: int,
    standardized: bool = True,
) -> None: ...
def measure_norms(
    network: CompiledNetwork,
    number: int,
    X: Pixels,
    sample_weight: Floats,
    rows: Indices,
    parameters: Floats,
    n_threads: int,
    norms_out: NDArray[np.float64],
) -> float: ...
def train_batches(
    problem: Problem, order: Order, solver: Solver, state: State, workspace: Memory, n_threads: int
) -> tuple[float, float]: ...

# Hooks to the kernels, for the tests and the benchmarks.
def batch_gradient(
    problem: Problem, order: Order, parameters: Floats, workspace: Memory, n_threads: int, gradient_out: Floats
) -> float: ...
def convolution_forward(
    network: CompiledNetwork, number: int, parameters: Floats, x: Floats, n_lanes: int, out: Floats, n_repeats: int = 1
) -> None: ...
def convolution_backward_weights(
    network: CompiledNetwork,
    number: int,
    parameters: Floats,
    x: Floats,
    d: Floats,
    n_lanes: int,
    gradient_out: Floats,
    n_repeats: int = 1,
) -> None: ...
def convolution_backward_data(
    network: CompiledNetwork,
    number: int,
    parameters: Floats,
    d: Floats,
    n_lanes: int,
    d_x_out: Floats,
    n_repeats: int = 1,
) -> None: ...
def gather(X: Pixels, rows: Indices, rescale: float, height: int, width: int, start: int, x_out: Floats) -> None: ...
def shift_image(image: Pixels, down: int, right: int, out: Pixels) -> None: ...
def mirror_image(image: Pixels) -> None: ...
def winograd_transform(name: str, tiles: Floats, out: Floats) -> None: ...
def average(parameters: Floats, rate: float, averages_out: Floats) -> None: ...
def flip_filters(filters: Floats, flipped_out: Floats) -> None: ...
def max_pool_forward(
    values: Floats, pool_height: int, pool_width: int, out: Floats, indices_out: NDArray[np.uint16]
) -> None: ...
def max_pool_backward(
    d_out: Floats, indices: NDArray[np.uint16], pool_height: int, pool_width: int, d_values_out: Floats
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
