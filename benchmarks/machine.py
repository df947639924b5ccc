"""Shared parts of the benchmarks: threads, memory, timing, and the description of the machine."""

import argparse
import ctypes
import importlib.metadata
import importlib.util
import os
import platform
import sys
import time
from pathlib import Path

import numpy as np
from threadpoolctl import threadpool_limits

from skcnn.kernels import LEVEL

REST = 0.02  # seconds; OpenMP's idle threads spin for about 5 ms before they sleep
VECTOR_FLAGS = ("sse2", "avx", "avx2", "fma", "avx512f", "avx512_bf16", "amx_tile", "asimd", "sve")


# ---- options ----


def count_cpus():
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()


def thread_count(text):
    """Parse a number of threads, at most one per CPU."""
    threads = int(text)
    if not 1 <= threads <= count_cpus():
        raise argparse.ArgumentTypeError(f"{threads} is not between 1 and the {count_cpus()} CPUs here")
    return threads


def make_parser(doc, repeats=5):
    """A parser with the options common to all programs."""
    parser = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=repeats, help="counted turns after the warm-up")
    parser.add_argument("--quick", action="store_true", help="less of everything, to see it run; not to be quoted")
    parser.add_argument("--no-header", action="store_true", help="leave out the lines about machine and versions")
    return parser


def parse(parser, argv):
    options = parser.parse_args(argv)
    if options.quick:
        options.repeats = min(options.repeats, 2)
    return options


def add_threads(parser):
    parser.add_argument("--threads", type=thread_count, default=min(2, count_cpus()), help="CPUs for each program")


# ---- threads and memory ----


def limit_threads(threads):
    """Confine this process to `threads` CPUs and threads; call it before importing any of the peers."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:threads])
    threadpool_limits(threads)  # for the loaded libraries: NumPy's BLAS and skcnn's OpenMP
    for name in ("OMP_NUM_THREADS", "TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS", "NPROC"):  # the last is XLA's
        os.environ[name] = str(threads)
    os.environ["JAX_PLATFORMS"] = "cpu"
    os.environ["CUDA_VISIBLE_DEVICES"] = "-1"
    os.environ["KERAS_BACKEND"] = "tensorflow"
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
    if threads == 1:
        os.environ["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false"


def keep_memory():
    """Let glibc keep freed memory; otherwise it sometimes returns PyTorch's buffers and pays in page faults."""
    if platform.libc_ver()[0] == "glibc":
        libc = ctypes.CDLL(None)
        libc.mallopt(-1, 2**30)  # M_TRIM_THRESHOLD
        libc.mallopt(-3, 2**25)  # M_MMAP_THRESHOLD, its largest value


# ---- the clock ----


def timed(function):
    start = time.perf_counter()
    result = function()
    return time.perf_counter() - start, result


def rested(function):
    """Time a call after the threads of the previous one have gone to sleep."""
    time.sleep(REST)
    return timed(function)


def take_turns(functions, repeats):
    """Seconds (repeats, functions) of alternating calls, after an uncounted one of each.

    Alternation spreads disturbances over all functions.
    """
    for function in functions:
        function()
    return np.array([[rested(function)[0] for function in functions] for _ in range(repeats)])


def time_calls(function, n_calls):
    start = time.perf_counter()
    for _ in range(n_calls):
        function()
    return (time.perf_counter() - start) / n_calls


def median_seconds(function, repeats, least=2e-3):
    """Median over `repeats` of the time of one call, each averaged over at least `least` seconds of calls."""
    n_calls = 1
    while time_calls(function, n_calls) * n_calls < least:
        n_calls *= 2
    return float(np.median([time_calls(function, n_calls) for _ in range(repeats)]))


# ---- reporting ----


def print_table(header, rows):
    """Print a Markdown table; `rows` may be a generator that measures while it runs."""
    print_row(header)
    print_row(["---"] * len(header))
    for row in rows:
        print_row(row)
    print(flush=True)


def print_row(cells):
    print(f"| {' | '.join(map(str, cells))} |", flush=True)


def describe_machine():
    model, flags = platform.processor() or platform.machine(), []
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        fields = dict(map(str.strip, line.split(":", 1)) for line in cpuinfo.read_text().splitlines() if ":" in line)
        model = fields.get("model name", model)
        flags = [flag for flag in VECTOR_FLAGS if flag in fields.get("flags", fields.get("Features", "")).split()]
    return f"{model} ({' '.join(flags) or 'vector flags unknown'}), {platform.system()} {platform.machine()}"


def find_version(module):
    """The version of a module, whatever the name of its distribution; None if it is not installed."""
    try:
        return importlib.metadata.version(module)
    except importlib.metadata.PackageNotFoundError:
        names = importlib.metadata.packages_distributions().get(module)
        return importlib.metadata.version(names[0]) if names else None


def describe_versions(modules=()):
    versions = {module: find_version(module) for module in ("skcnn", "numpy", *modules)}
    there = [f"{module} {version}" for module, version in versions.items() if version]
    missing = [f"; {module} is not installed" for module, version in versions.items() if not version]
    return f"Python {platform.python_version()}, {', '.join(there)}{''.join(missing)}"


def describe_run(threads, modules=()):
    """Date, machine, threads and versions, without which figures mean nothing."""
    return (
        f"{time.strftime('%Y-%m-%d')}; {describe_machine()}; threads: {threads}; SKCNN_CPU level: {LEVEL}\n"
        + describe_versions(modules)
    )


def print_header(options, threads, modules=()):
    if not options.no_header:
        print(describe_run(threads, modules) + "\n", flush=True)
    if options.quick:
        print("Quick run: these figures are not to be quoted.\n")


def are_installed(modules):
    return all(importlib.util.find_spec(module) for module in modules)


def stop(message):
    sys.exit(f"{Path(sys.argv[0]).name}: {message}")
