"""The compiled kernels; their layout is drawn at the head of lanes.pxd."""

from skcnn.kernels._kernels import LOSSES, SOLVERS, batch_gradient, decision_function, train_batches
from skcnn.kernels._kernels import N_LANES as LANES

__all__ = ["LANES", "LOSSES", "SOLVERS", "batch_gradient", "decision_function", "train_batches"]
