"""The compiled kernels, in the best build for this CPU; the head of lanes.pxd describes their memory layout.

The environment variable SKCNN_CPU selects another build ("baseline", "v3" or "v4").
"""

import os
from importlib import import_module

try:
    from skcnn.kernels._buffers import Memory
    from skcnn.kernels._cpu import COMPILER, LEVELS, supported_levels
    from skcnn.kernels._network import ACTIVATIONS, GLOBAL_POOLS, CompiledNetwork
    from skcnn.kernels._network import N_LANES as LANES
    from skcnn.kernels._network import N_MAX_LAYERS as MAX_LAYERS
    from skcnn.kernels._network import N_MAX_POOL as MAX_POOL
except ModuleNotFoundError as error:
    if not str(error.name).startswith("skcnn.kernels._"):
        raise
    raise ImportError(
        "skcnn's compiled part is missing. Python seems to be importing skcnn from its source folder; "
        "leave that folder, or call Python with -P."
    ) from error


def choose_level(wanted, built, supported):
    """The instruction set level to use.

    Parameters
    ----------
    wanted : str or None
        Value of SKCNN_CPU, if set.
    built, supported : list of str
        Levels that were compiled, and those of them that this CPU supports, the best one last.

    Raises
    ------
    ValueError
        If the wanted level was not built or is not supported.
    """
    if not wanted:
        return supported[-1]
    if wanted not in built:
        raise ValueError(f"SKCNN_CPU={wanted!r} is not a level that skcnn was built for; these are {built}.")
    if wanted not in supported:
        raise ValueError(f"SKCNN_CPU={wanted!r} needs instructions that this CPU lacks; it has {supported}.")
    return wanted


__all__ = [
    "ACTIVATIONS",
    "COMPILER",
    "GLOBAL_POOLS",
    "LANES",
    "LEVEL",
    "LEVELS",
    "LOSSES",
    "MAX_LAYERS",
    "MAX_POOL",
    "SOLVERS",
    "CompiledNetwork",
    "Memory",
    "choose_level",
    "compiled",
    "end_threads",
    "forward",
    "make_workspace",
    "max_threads",
    "measure_norms",
    "supported_levels",
    "train_batches",
]

LEVEL = choose_level(os.environ.get("SKCNN_CPU"), LEVELS, supported_levels())
compiled = import_module("skcnn.kernels._kernels" + ("" if LEVEL == "baseline" else f"_{LEVEL}"))

LOSSES = compiled.LOSSES
SOLVERS = compiled.SOLVERS
end_threads = compiled.end_threads
forward = compiled.forward
make_workspace = compiled.make_workspace
max_threads = compiled.max_threads
measure_norms = compiled.measure_norms
train_batches = compiled.train_batches
