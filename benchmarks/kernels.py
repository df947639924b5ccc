"""How near each kernel comes to the multiply-add peak of one core, and which share of an epoch it takes.

    python benchmarks/kernels.py [--c-args=-march=x86-64-v3]

The peak is measured, not looked up: a C function that the system's compiler builds on the spot multiplies and adds in
registers and does nothing else. It is the kernels' limit only if --c-args names the vector flags that they were built
with (none: what every CPU of the architecture has). Every kernel works on one group of images through its door in
skcnn.kernels._kernels, whose own cost, half a microsecond to two, is included.
"""

import argparse
import ctypes
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path

import numpy as np
from speed import CONFIGS, Data, Skcnn, describe_config, describe_machine, describe_versions, limit_threads, make_task

from skcnn.kernels import LANES, LEVEL, LOSSES, SOLVERS
from skcnn.kernels import compiled as _kernels
from skcnn.network import Network, aligned_empty

# Independent chains of multiply-adds: too few wait for each other, too many do not fit the registers.
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
SOLVER = {
    "kind": SOLVERS["adam"],
    "learning_rate": 1e-3,
    "beta_1": 0.9,
    "beta_2": 0.999,
    "epsilon": 1e-8,
    "momentum": 0.9,
    "nesterovs_momentum": True,
}
N_ROWS = 4096
LEVEL_ARGS = {
    "baseline": "",
    "v3": "-march=x86-64-v3",
    "v4": "-march=x86-64-v4 -mprefer-vector-width=512",
}


def time_calls(function, n_calls):
    start = time.perf_counter()
    for _ in range(n_calls):
        function()
    return (time.perf_counter() - start) / n_calls


def median_seconds(function, repeats, least=2e-3):
    """Median over `repeats` of the time of one call, called as often as takes `least` seconds."""
    n_calls = 1
    while time_calls(function, n_calls) * n_calls < least:
        n_calls *= 2
    return float(np.median([time_calls(function, n_calls) for _ in range(repeats)]))


# ---- the peak ----


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


def measure_peak(library, dtype, repeats, n_steps=200_000):
    """The best number of chains and its GFLOP/s, a multiply-add being two."""
    c_type = {"float32": "float", "float64": "double"}[dtype]
    rates = {}
    for n in CHAIN_COUNTS:
        function = library[f"chains_{c_type}_{n}"]
        function.argtypes, function.restype = [ctypes.c_long, ctypes.c_double, ctypes.c_double], ctypes.c_double
        n_values = n * library.vector_bytes() // np.dtype(dtype).itemsize
        seconds = median_seconds(lambda function=function: function(n_steps, 0.999, 0.001), repeats, least=0)
        rates[n] = 2 * n_values * n_steps / seconds / 1e9
    best = max(rates, key=rates.get)
    return best, rates[best]


# ---- the kernels ----


@dataclass(frozen=True)
class Case:
    """A kernel's call, and what it does in it."""

    name: str
    call: callable
    n_values: int
    flop: int = 0
    per_batch: bool = False


def aligned(values, dtype):
    values = np.asarray(values)
    array = aligned_empty(values.size, dtype).reshape(values.shape)
    array[:] = values
    return array


class Arrays:
    """What the kernels work on; the values stay moderate however often the kernels are called."""

    def __init__(self, network, dtype):
        generator = np.random.RandomState(0)
        height, width, n_channels = network.image_shape
        hidden_shape = (network.n_filters, *network.out_shape, LANES)
        self.X = generator.randint(256, size=(N_ROWS, network.n_features)).astype(np.uint8)
        self.groups = cycle(generator.permutation(N_ROWS).astype(np.intp).reshape(-1, LANES))
        self.parameters = aligned(network.initial_parameters("glorot_uniform", generator, np.float64), dtype)
        self.gradient = aligned(generator.normal(size=network.n_trainable), dtype)
        self.moments = aligned(np.ones((2, network.n_trainable)), dtype)
        self.views = network.views(self.parameters.copy())
        self.d_views = network.views(np.zeros_like(self.parameters))
        self.x = aligned(generator.uniform(size=(n_channels, height, width, LANES)), dtype)
        self.gathered = aligned(self.x, dtype)
        self.hidden = aligned(generator.uniform(size=hidden_shape), dtype)
        self.hidden_out, self.d_hidden = aligned(self.hidden, dtype), aligned(self.hidden, dtype)
        self.activated, self.zeros = aligned(self.hidden.ravel(), dtype), aligned(np.zeros(self.hidden.size), dtype)
        self.sums = aligned_empty(_kernels.sums_size(network.n_filters, network.n_taps, dtype), dtype)
        self.logits = aligned(generator.normal(size=(network.n_outputs, LANES)), dtype)
        self.logits_out, self.targets = aligned(self.logits, dtype), aligned(self.logits > 0, dtype)
        self.weights = aligned(np.ones(LANES), dtype)


def forward_cases(network, arrays):
    a, v = arrays, arrays.views
    filters = v["filters"].reshape(network.n_filters, -1)
    flat = a.hidden.reshape(-1, LANES)

    def convolution():
        _kernels.convolution_forward(a.x, filters, v["filter_intercepts"], network.taps, a.hidden_out)

    def dense():
        _kernels.dense_forward(flat, v["weights"], v["intercepts"], a.logits_out)

    def loss():
        _kernels.loss_and_gradient(a.logits, a.targets, a.weights, LOSSES["log_loss"], float(LANES), a.logits_out)

    return [
        Case("gather (bytes)", lambda: _kernels.gather(a.X, next(a.groups), 1 / 255, a.gathered), a.x.size),
        Case("convolution forward", convolution, a.hidden.size, 2 * a.hidden.size * network.n_taps),
        Case("sigmoid forward", lambda: _kernels.sigmoid_forward(a.activated), a.hidden.size),
        Case("dense forward", dense, a.hidden.size, 2 * a.hidden.size * network.n_outputs),
        Case("loss and its gradient", loss, a.logits.size),
    ]


def backward_cases(network, arrays):
    a, v, d = arrays, arrays.views, arrays.d_views
    d_filters = d["filters"].reshape(network.n_filters, -1)
    flat, flat_out = a.hidden.reshape(-1, LANES), a.hidden_out.reshape(-1, LANES)

    def dense():
        _kernels.dense_backward(flat, v["weights"], a.logits, d["weights"], d["intercepts"], flat_out)

    def convolution():
        _kernels.convolution_backward(a.x, a.d_hidden, network.taps, a.sums, d_filters, d["filter_intercepts"])

    return [
        Case(
            "dense backward", dense, a.hidden.size, 4 * a.hidden.size * network.n_outputs
        ),  # of the weights, and of what they weigh
        Case("sigmoid backward", lambda: _kernels.sigmoid_backward(a.hidden.ravel(), a.zeros), a.hidden.size),
        Case("convolution backward", convolution, a.hidden.size, 2 * a.hidden.size * network.n_taps),
        Case(
            "Adam's step",
            lambda: _kernels.solver_step(a.gradient, SOLVER, 10, a.moments, a.parameters),
            network.n_trainable,
            per_batch=True,
        ),
    ]


def make_cases(network, dtype):
    """All kernels of a training step, in its order."""
    arrays = Arrays(network, dtype)
    return forward_cases(network, arrays) + backward_cases(network, arrays)


def numpy_sigmoid(network, dtype):
    x = aligned(np.random.RandomState(0).normal(size=network.n_hidden * LANES), dtype)
    return Case("NumPy's 1 / (1 + exp(-x))", lambda: 1 / (1 + np.exp(-x)), x.size)


# ---- the tables ----


def print_kernels(dtype, library, repeats):
    n_filters, side, n_outputs, _ = CONFIGS["medium"]
    network = Network((28, 28, 1), n_filters, (side, side), n_outputs)
    print(
        f"\n{dtype}, one group of {LANES} images 28x28, {n_filters} filters {side}x{side}, {n_outputs} outputs. ",
        end="",
    )
    peak = None
    if library is not None:
        n_chains, peak = measure_peak(library, dtype, repeats)
        print(f"Peak: {peak:.1f} GFLOP/s ({n_chains} chains of {8 * library.vector_bytes()}-bit vectors)", end="")
    print("\n\n| kernel | µs | ns a value | GFLOP/s | of the peak |\n| --- | --- | --- | --- | --- |")
    for case in [*make_cases(network, dtype), numpy_sigmoid(network, dtype)]:
        seconds = median_seconds(case.call, repeats)
        rate = case.flop / seconds / 1e9
        share = f"{rate / peak:.0%}" if rate and peak else ""
        each = seconds * 1e9 / case.n_values
        print(
            f"| {case.name} | {seconds * 1e6:.1f} | {each:.2f} | {f'{rate:.1f}' if rate else ''} | {share} |",
            flush=True,
        )


def epoch_shares(config, repeats):
    """Seconds of an epoch of N_ROWS random images, and each kernel's part of it."""
    batch_size = config[-1]
    generator = np.random.RandomState(0)
    images = generator.randint(256, size=(N_ROWS, 784)).astype(np.uint8)
    task = make_task(Data("", images, generator.randint(10, size=N_ROWS), images[:100]), *config)
    contender, rows = Skcnn(task), generator.permutation(N_ROWS)
    cases = make_cases(task.network, "float32")
    calls = {case.name: N_ROWS // (batch_size if case.per_batch else LANES) for case in cases}
    turns = []
    for _ in range(repeats):  # in turns, for whatever else the machine does to be the same for both
        seconds = {case.name: median_seconds(case.call, 1) * calls[case.name] for case in cases}
        turns.append([median_seconds(lambda: contender.epoch(rows), 1, least=0), *seconds.values()])
    turns = np.array(turns)
    shares = dict(zip(calls, np.median(turns[:, 1:] / turns[:, :1], axis=0), strict=True))
    return np.median(turns[:, 0]), shares


def print_shares(repeats):
    configs = [CONFIGS["small"], CONFIGS["medium"]]
    totals, shares = zip(*(epoch_shares(config, repeats) for config in configs), strict=True)
    names = " | ".join(describe_config(*config) for config in configs)
    print(
        f"\nfloat32, shares of an epoch of {N_ROWS} random images (bytes)\n\n| kernel | {names} |\n| --- | --- | --- |"
    )
    for name in shares[0]:
        print(f"| {name} | " + " | ".join(f"{share[name]:.1%}" for share in shares) + " |")
    print("| everything else | " + " | ".join(f"{1 - sum(share.values()):.1%}" for share in shares) + " |")
    print("| the epoch, ms | " + " | ".join(f"{total * 1e3:.1f}" for total in totals) + " |")


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--c-args", default=LEVEL_ARGS[LEVEL], help="vector flags for the peak: those that the kernels were built with"
    )
    parser.add_argument("--dtypes", nargs="+", choices=["float32", "float64"], default=["float32", "float64"])
    parser.add_argument("--repeats", type=int, default=15)
    options = parser.parse_args(argv)
    limit_threads(1)
    print(f"{time.strftime('%Y-%m-%d')}; {describe_machine()}; one thread\n{describe_versions()}")
    with tempfile.TemporaryDirectory() as folder:
        library = compile_chains(shlex.split(options.c_args), folder)
        if library is None:
            print("No C compiler (cc, or the environment's CC): the peak is left out.", file=sys.stderr)
        for dtype in options.dtypes:
            print_kernels(dtype, library, options.repeats)
    print_shares(min(options.repeats, 7))


if __name__ == "__main__":
    main()
