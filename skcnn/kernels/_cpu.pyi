"""Types of skcnn.kernels._cpu."""

COMPILER: str
LEVELS: list[str]

def supported_levels() -> list[str]: ...
