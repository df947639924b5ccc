"""The multiply-add peak of one core, measured with a C function that is compiled on the spot and stays in registers."""

import ctypes
import os
import shutil
import subprocess
from pathlib import Path

import numpy as np
from machine import median_seconds

# Numbers of independent chains of multiply-adds: too few leave latency uncovered, too many exceed the registers.
CHAIN_COUNTS = (4, 6, 8, 10, 12, 14, 16, 20, 24, 28)
CHAINS = """
double chains_{c_type}_{n}(long n_steps, double factor, double term)
{{
    typedef {c_type} vec __attribute__((vector_size(BYTES)));
    vec a = (vec){{0}} + ({c_type}) factor, b = (vec){{0}} + ({c_type}) term, {declarations};
    for (long i = 0; i < n_steps; i++) {{ {steps} }}
    t0 += {total};
    return t0[0];
}}
"""
VECTOR_BYTES = """
#if defined(__AVX512F__)
enum { BYTES = 64 };
#elif defined(__AVX__)
enum { BYTES = 32 };
#else
enum { BYTES = 16 };
#endif
int vector_bytes(void) { return BYTES; }
"""
# Compiler flags of each level of the kernels; see skcnn/kernels/meson.build.
LEVEL_ARGS = {
    "baseline": "",
    "v3": "-march=x86-64-v3",
    "v4": "-march=x86-64-v4 -mprefer-vector-width=512",
}


def chains_source(c_type, n):
    return CHAINS.format(
        c_type=c_type,
        n=n,
        declarations=", ".join(f"t{k} = a + {k + 1}" for k in range(n)),
        steps=" ".join(f"t{k} = t{k} * a + b;" for k in range(n)),
        total=" + ".join(f"t{k}" for k in range(1, n)),
    )


def compile_chains(c_args, folder):
    """The shared library of all chains, or None without a C compiler."""
    compiler = shutil.which(os.environ.get("CC", "cc"))
    if compiler is None:
        return None
    source, library = Path(folder, "chains.c"), Path(folder, "chains.so")
    functions = [chains_source(c_type, n) for c_type in ("float", "double") for n in CHAIN_COUNTS]
    source.write_text(VECTOR_BYTES + "".join(functions))
    subprocess.run([compiler, "-O3", *c_args, "-shared", "-fPIC", "-o", str(library), str(source)], check=True)
    return ctypes.CDLL(str(library))


def measure_chains(library, dtype, n, repeats, n_steps=200_000):
    """GFLOP/s of `n` chains, with two operations in a multiply-add."""
    function = library[f"chains_{'float' if dtype == 'float32' else 'double'}_{n}"]
    function.argtypes, function.restype = [ctypes.c_long, ctypes.c_double, ctypes.c_double], ctypes.c_double
    n_values = n * library.vector_bytes() // np.dtype(dtype).itemsize
    seconds = median_seconds(lambda: function(n_steps, 0.999, 0.001), repeats, least=0)
    return 2 * n_values * n_steps / seconds / 1e9


def measure_peak(library, dtype, repeats):
    """The fastest number of chains and its GFLOP/s."""
    rates = {n: measure_chains(library, dtype, n, repeats) for n in CHAIN_COUNTS}
    best = max(rates, key=rates.get)
    return best, rates[best]
