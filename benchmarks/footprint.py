"""Resident memory of this process; as a program, the time and memory of importing a module.

python benchmarks/footprint.py skcnn
"""

import importlib
import resource
import sys
import time

STATUS = "/proc/self/status"


def read_status(field):
    """A field of Linux's /proc/self/status, in MB (2^20 bytes)."""
    with open(STATUS) as status:
        return next(int(line.split()[1]) / 2**10 for line in status if line.startswith(field + ":"))


def read_peak():
    """Peak memory so far, in MB; outside Linux by getrusage, which on some systems starts at the parent's peak."""
    try:
        return read_status("VmHWM")
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (2**20 if sys.platform == "darwin" else 2**10)


def reset_peak():
    """Reset the peak and return the memory in use, or return the old peak if the system cannot reset it."""
    try:
        with open("/proc/self/clear_refs", "w") as clear_refs:
            clear_refs.write("5")
        return read_status("VmRSS")
    except OSError:
        return read_peak()


def main():
    start = time.perf_counter()
    importlib.import_module(sys.argv[1])
    seconds = time.perf_counter() - start
    print(seconds, read_peak())


if __name__ == "__main__":
    main()
