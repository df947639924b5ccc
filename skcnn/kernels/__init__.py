"""The compiled kernels, in the build that suits this CPU best; their layout is drawn at the head of lanes.pxd.

The environment variable SKCNN_CPU asks for another build ("baseline", "v3" or "v4") than the best one.
"""

import os
from importlib import import_module

try:
    from skcnn.kernels._cpu import LEVELS, supported_levels
except ModuleNotFoundError as error:
    if error.name != "skcnn.kernels._cpu":
        raise
    raise ImportError(
        "skcnn's compiled part is missing. Python seems to be importing skcnn from its source folder; "
        "leave that folder, or call Python with -P."
    ) from error


def choose_level(wanted, built, supported):
    """The level of the instruction set to use.

    Parameters
    ----------
    wanted : str or None
        What SKCNN_CPU asks for, if anything.
    built, supported : list of str
        Levels that were compiled, and those of them that this CPU has, the best one last.

    Raises
    ------
    ValueError
        If the wanted level is not one of them.
    """
    if not wanted:
        return supported[-1]
    if wanted not in built:
        raise ValueError(f"SKCNN_CPU={wanted!r} is not a level that skcnn was built for; these are {built}.")
    if wanted not in supported:
        raise ValueError(f"SKCNN_CPU={wanted!r} needs instructions that this CPU lacks; it has {supported}.")
    return wanted


LEVEL = choose_level(os.environ.get("SKCNN_CPU"), LEVELS, supported_levels())
compiled = import_module("skcnn.kernels._kernels" + ("" if LEVEL == "baseline" else f"_{LEVEL}"))

ACTIVATIONS = compiled.ACTIVATIONS
LANES = compiled.N_LANES
LOSSES = compiled.LOSSES
MAX_LAYERS = compiled.N_MAX_LAYERS
SOLVERS = compiled.SOLVERS
TAP_BLOCK = compiled.N_TAP_BLOCK
batch_gradient = compiled.batch_gradient
forward = compiled.forward
max_threads = compiled.max_threads
train_batches = compiled.train_batches
workspace_size = compiled.workspace_size
