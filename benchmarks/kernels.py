"""How near each kernel and a whole epoch come to the multiply-add peak of one core, and where an epoch's time goes.

    python benchmarks/kernels.py [--c-args=-march=x86-64-v3]

The peak is measured, not looked up: see peak.py. It is the kernels' limit only if --c-args names the vector flags that
they were built with; those of the level in use are the default. Every kernel works on one group of images through its
door in skcnn.kernels. What a call of the door costs, half a microsecond to two, is measured with a network of one pixel
and taken off.
"""

import shlex
import sys
import tempfile
from dataclasses import dataclass
from itertools import cycle

import numpy as np
from machine import limit_threads, make_parser, median_seconds, parse, print_header, print_table
from peak import LEVEL_ARGS, compile_chains, measure_chains, measure_peak
from tasks import CONFIGS, Skcnn, describe_config, make_task, random_data

from skcnn.kernels import LANES, LEVEL, LOSSES, SOLVERS
from skcnn.kernels import compiled as _kernels
from skcnn.network import Network, aligned_empty

SOLVER = {
    "kind": SOLVERS["adam"],
    "learning_rate": 1e-3,
    "beta_1": 0.9,
    "beta_2": 0.999,
    "epsilon": 1e-8,
    "momentum": 0.9,
    "nesterovs_momentum": True,
}
N_ROWS = 4096  # of an epoch


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
        # Gradients of the weights, and of what they weigh.
        Case("dense backward", dense, a.hidden.size, 4 * a.hidden.size * network.n_outputs),
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


def call_costs(dtype, repeats):
    """Seconds that a call of each kernel's door takes, by the kernel's name."""
    one_pixel = Network((1, 1, 1), 1, (1, 1), 1)
    return {case.name: median_seconds(case.call, repeats) for case in make_cases(one_pixel, dtype)}


def numpy_sigmoid(network, dtype):
    x = aligned(np.random.RandomState(0).normal(size=network.n_hidden * LANES), dtype)
    return Case("NumPy's 1 / (1 + exp(-x))", lambda: 1 / (1 + np.exp(-x)), x.size)


# ---- one group ----


def kernel_rows(dtype, network, peak, repeats):
    costs = call_costs(dtype, repeats)
    for case in [*make_cases(network, dtype), numpy_sigmoid(network, dtype)]:
        cost = costs.get(case.name, 0.0)
        seconds = median_seconds(case.call, repeats) - cost
        rate = case.flop / seconds / 1e9
        yield (
            case.name,
            f"{seconds * 1e6:.1f}",
            f"{cost * 1e6:.1f}" if cost else "",
            f"{seconds * 1e9 / case.n_values:.3f}",
            f"{rate:.1f}" if rate else "",
            f"{rate / peak:.0%}" if rate and peak else "",
        )


def print_kernels(dtype, library, repeats):
    n_filters, side, n_outputs, _ = CONFIGS["medium"]
    network = Network((28, 28, 1), n_filters, (side, side), n_outputs)
    print(f"{dtype}, one group of {LANES} images 28x28, {n_filters} filters {side}x{side}, {n_outputs} outputs", end="")
    peak = None
    if library is not None:
        n_chains, peak = measure_peak(library, dtype, repeats)
        print(f". Peak: {peak:.1f} GFLOP/s ({n_chains} chains of {8 * library.vector_bytes()}-bit vectors)", end="")
    print("\n")
    header = ["kernel", "µs", "µs of the call, taken off", "ns a value", "GFLOP/s", "of the peak"]
    print_table(header, kernel_rows(dtype, network, peak, repeats))


# ---- an epoch ----


@dataclass(frozen=True)
class Epoch:
    config: tuple
    seconds: float
    flop: float
    of_peak: float | None
    shares: dict  # of the kernels, by name


def count_flop(network):
    """Of one image's training step: forward, and the gradients of filters, of weights and of what they weigh.

    Activations, loss and solver are not counted.
    """
    back = network.n_hidden * (network.n_taps + 2 * network.n_outputs)
    return 2 * (network.n_multiply_adds + back)


def measure_epoch(config, n_rows, library, repeats):
    """An epoch of random images beside its kernels and the peak, all in turns."""
    task = make_task(random_data(n_rows, 100), *config)
    contender = Skcnn(task, 1)
    contender.arrange(np.random.RandomState(0).permutation(n_rows))
    cases, costs = make_cases(task.network, "float32"), call_costs("float32", repeats)
    n_calls = [n_rows // (task.batch_size if case.per_batch else LANES) for case in cases]
    n_chains = measure_peak(library, "float32", 3)[0] if library else None
    turns = []
    for _ in range(repeats):
        kernels = [
            (median_seconds(case.call, 1) - costs[case.name]) * n for case, n in zip(cases, n_calls, strict=True)
        ]
        peak = measure_chains(library, "float32", n_chains, 3) if library else np.nan
        turns.append([median_seconds(contender.epoch, 1, least=0), peak, *kernels])
    turns = np.array(turns)
    flop = count_flop(task.network) * n_rows
    return Epoch(
        config=config,
        seconds=np.median(turns[:, 0]),
        flop=flop,
        of_peak=np.median(flop / turns[:, 0] / 1e9 / turns[:, 1]) if library else None,
        shares=dict(zip([case.name for case in cases], np.median(turns[:, 2:] / turns[:, :1], axis=0), strict=True)),
    )


def print_epochs(n_rows, library, repeats):
    epochs = [measure_epoch(config, n_rows, library, repeats) for config in CONFIGS.values()]
    print(f"float32, an epoch of {n_rows} random images (bytes) and its multiply-adds\n")
    rows = (
        (
            describe_config(*epoch.config),
            f"{epoch.seconds * 1e3:.1f}",
            f"{epoch.flop / 1e9:.2f}",
            f"{epoch.flop / epoch.seconds / 1e9:.1f}",
            f"{epoch.of_peak:.0%}" if epoch.of_peak else "",
        )
        for epoch in epochs
    )
    print_table(["network", "ms an epoch", "GFLOP", "GFLOP/s", "of the peak"], rows)
    print("Shares of these epochs; what is left over is measured by no kernel, and may be below zero\n")
    names = list(epochs[0].shares)
    rows = [(name, *(f"{epoch.shares[name]:.1%}" for epoch in epochs)) for name in names]
    rows.append(("everything else", *(f"{1 - sum(epoch.shares.values()):.1%}" for epoch in epochs)))
    print_table(["kernel", *(describe_config(*epoch.config) for epoch in epochs)], rows)


def main(argv=None):
    parser = make_parser(__doc__, repeats=15)
    parser.add_argument("--c-args", default=LEVEL_ARGS[LEVEL], help="vector flags for the peak")
    parser.add_argument("--dtypes", nargs="+", choices=["float32", "float64"], default=["float32", "float64"])
    options = parse(parser, argv)
    limit_threads(1)
    print_header(options, 1)
    with tempfile.TemporaryDirectory() as folder:
        library = compile_chains(shlex.split(options.c_args), folder)
        if library is None:
            print("No C compiler (cc, or the environment's CC): the peak is left out.", file=sys.stderr)
        for dtype in options.dtypes:
            print_kernels(dtype, library, options.repeats)
        print_epochs(1024 if options.quick else N_ROWS, library, min(options.repeats, 7))


if __name__ == "__main__":
    main()
