"""A library that is preloaded into a process and makes its calls to the operating system fail."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

# In place of a value of errno: the process is killed.
KILLED_BEFORE, KILLED_AFTER = -1, -2


def build_faults(folder):
    """Compile faults.c; the environment variables that preload it."""
    compiler = shutil.which("cc")
    if sys.platform != "linux" or compiler is None:
        pytest.skip("needs Linux and a C compiler")
    library = Path(folder, "faults.so")
    source = Path(__file__).with_name("faults.c")
    subprocess.run([compiler, "-shared", "-fPIC", "-O1", "-o", library, source, "-ldl"], check=True)
    return {"LD_PRELOAD": str(library)}
