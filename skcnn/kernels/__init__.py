"""The compiled kernels; their layout is drawn at the head of lanes.pxd."""

try:
    from skcnn.kernels._kernels import (
        LOSSES,
        SOLVERS,
        batch_gradient,
        compute_logits,
        train_batches,
        workspace_size,
    )
    from skcnn.kernels._kernels import N_LANES as LANES
except ModuleNotFoundError as error:
    if error.name != "skcnn.kernels._kernels":
        raise
    raise ImportError(
        "skcnn's compiled part is missing. Python seems to be importing skcnn from its source folder; "
        "leave that folder, or call Python with -P."
    ) from error

__all__ = ["LANES", "LOSSES", "SOLVERS", "batch_gradient", "compute_logits", "train_batches", "workspace_size"]
