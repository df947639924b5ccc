"""Types of skcnn.kernels._network."""

from skcnn.network import Network

N_LANES: int
N_MAX_LAYERS: int
N_MAX_POOL: int
ACTIVATIONS: dict[str, int]
GLOBAL_POOLS: dict[str | None, int]

class CompiledNetwork:
    def __init__(self, network: Network, winograd: bool = True) -> None: ...
    @property
    def winograd(self) -> tuple[bool, ...]: ...
