"""Types of skcnn.kernels._buffers."""

class Memory:
    n_bytes: int
    alone_until: float
    def __init__(self, n_bytes: int) -> None: ...
    def __buffer__(self, flags: int, /) -> memoryview: ...
