"""The compiled kernels; their layout is drawn at the head of lanes.pxd."""

from skcnn.kernels._kernels import batch_gradient, decision_function, train_batches

LANES = 16
LOSSES = {"log_loss": 0, "squared_error": 1}
SOLVERS = {"adam": 0, "sgd": 1}

__all__ = ["LANES", "LOSSES", "SOLVERS", "batch_gradient", "decision_function", "train_batches"]
