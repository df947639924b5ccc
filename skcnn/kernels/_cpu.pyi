"""Types of skcnn.kernels._cpu."""

LEVELS: list[str]

def supported_levels() -> list[str]: ...
