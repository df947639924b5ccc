"""Version information for bug reports."""

import platform
import sys
from importlib.metadata import PackageNotFoundError, version

from skcnn.kernels import COMPILER, LEVEL, LEVELS, max_threads

_PACKAGES = ("skcnn", "scikit-learn", "numpy", "scipy", "joblib", "threadpoolctl", "keras")


def show_versions():
    """Print the versions of skcnn and its dependencies, the machine, and the build of the kernels in use.

    Examples
    --------
    >>> import skcnn
    >>> skcnn.show_versions()  # doctest: +ELLIPSIS
    Python: ...
    """
    lines = {
        "Python": sys.version.replace("\n", " "),
        "executable": sys.executable,
        "machine": platform.platform(),
        **{package: _version(package) for package in _PACKAGES},
        "kernels": f"{LEVEL} (built: {', '.join(LEVELS)}, by {COMPILER}; SKCNN_CPU chooses)",
        "threads": f"at most {max_threads()}",
    }
    for name, value in lines.items():
        print(f"{name}: {value}")


def _version(package):
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"
