"""Each kernel and a whole epoch relative to the multiply-add peak of one core, and the kernels' shares of an epoch.

    python benchmarks/kernels.py [--c-args=-march=x86-64-v3]

The peak is measured: see peak.py. It is the kernels' limit only if --c-args has the vector flags that they were built
with; the default is those of the level in use. Every kernel processes one group of images through its hook in
skcnn.kernels. GFLOP/s count the operations of the direct algorithm, so Winograd's convolution may exceed the peak. The
cost of calling a hook, 0.5 to 2 microseconds, is measured on a network of one pixel and subtracted. The convolutions'
hooks also allocate memory, so they repeat the kernel, and the time of the first run is subtracted.
"""

import shlex
import sys
import tempfile
from dataclasses import dataclass
from itertools import cycle

import numpy as np
from machine import limit_threads, make_parser, median_seconds, parse, print_header, print_table, timed
from peak import LEVEL_ARGS, compile_chains, measure_chains, measure_peak
from tasks import CONFIGS, Config, Skcnn, make_network, make_task, random_data

from skcnn.kernels import ACTIVATIONS, LANES, LEVEL, LOSSES, SOLVERS
from skcnn.kernels import compiled as _kernels
from skcnn.kernels._network import CompiledNetwork
from skcnn.network import Network, own

SOLVER = {
    "kind": SOLVERS["adam"],
    "learning_rate": 1e-3,
    "beta_1": 0.9,
    "beta_2": 0.99,
    "epsilon": 1e-8,
    "momentum": 0.9,
    "nesterovs_momentum": True,
}
N_ROWS = 4096  # in an epoch


# ---- the kernels ----


FORWARD, D_FILTERS, D_INPUT = "convolution forward", "convolution backward, filters", "convolution backward, input"
# In the order of a training step.
NAMES = (
    *("gather (bytes)", FORWARD, "max-pooling forward", "activation forward", "dense forward"),
    *("loss and its gradient", "dense backward", "activation backward", "max-pooling backward"),
    *(D_FILTERS, D_INPUT, "Adam's step"),
)


@dataclass(frozen=True)
class Case:
    """A call of a kernel, and the amount of work in it."""

    call: callable
    n_values: int
    flop: int = 0
    per_batch: bool = False
    n_calls: int = 1  # of the hook
    repeated: callable = None  # repeats the kernel a given number of times in one call


def aligned(values, dtype):
    values = np.asarray(values)
    return own(values.ravel(), dtype).reshape(values.shape)


class Arrays:
    """Arrays for the kernels, whose values stay moderate over any number of calls."""

    def __init__(self, dtype):
        self.dtype = dtype
        self._generator = np.random.RandomState(0)

    def uniform(self, *shape):
        return aligned(self._generator.uniform(size=shape), self.dtype)

    def zeros(self, *shape):
        return aligned(np.zeros(shape), self.dtype)


def stage_cases(network, number, dtype, compiled=None):
    """The kernels of a convolution with its activation and pooling, by name; not the gradient of the pixels.

    `compiled` replaces the network's CompiledNetwork.
    """
    make = Arrays(dtype)
    stage = network.stages[number]
    (height, width, n_channels), n_filters = stage.convolution.in_shape, stage.convolution.n_filters
    convolved = tuple(side * pool for side, pool in zip(stage.out_shape, stage.pool_size, strict=False))
    x, maps = make.uniform(n_channels * height * width, LANES), make.uniform(n_filters, *convolved, LANES)
    maps_out, pooled = make.zeros(*maps.shape), make.uniform(n_filters, *stage.out_shape[:2], LANES)
    indices, activated = np.zeros(pooled.shape, np.uint16), pooled.copy().ravel()
    d_activated, pooled_out, d_x = make.zeros(pooled.size), make.zeros(*pooled.shape), make.zeros(*x.shape)
    flat, flat_out = maps.reshape(-1, LANES), maps_out.reshape(-1, LANES)
    parameters, gradient = make.uniform(network.n_parameters), make.zeros(network.n_parameters)
    code, n_flop = ACTIVATIONS[stage.activation.function], 2 * maps.size * stage.convolution.n_taps
    fixed = compiled or network.compiled, number, parameters

    def pool():
        for f in range(n_filters):
            _kernels.max_pool_forward(maps[f], *stage.pool_size, pooled_out[f], indices[f])

    def pool_backward():
        for f in range(n_filters):
            _kernels.max_pool_backward(pooled[f], indices[f], *stage.pool_size, maps_out[f])

    def forward(n):
        _kernels.convolution_forward(*fixed, x, LANES, flat_out, n)

    def backward_weights(n):
        _kernels.convolution_backward_weights(*fixed, x, flat, LANES, gradient, n)

    def backward_data(n):
        _kernels.convolution_backward_data(*fixed, flat, LANES, d_x, n)

    cases = {
        FORWARD: Case(None, maps.size, n_flop, repeated=forward),
        "activation forward": Case(lambda: _kernels.activate(code, activated), activated.size),
        "activation backward": Case(lambda: _kernels.activate_backward(code, activated, d_activated), activated.size),
        D_FILTERS: Case(None, maps.size, n_flop, repeated=backward_weights),
    }
    if stage.pooling:
        cases["max-pooling forward"] = Case(pool, pooled.size, n_calls=n_filters)
        cases["max-pooling backward"] = Case(pool_backward, pooled.size, n_calls=n_filters)
    if number:
        n_taps = n_filters * stage.convolution.n_taps // n_channels
        cases[D_INPUT] = Case(None, d_x.size, 2 * d_x.size * n_taps, repeated=backward_data)
    return cases


def dense_cases(network, dtype):
    """The kernels after the hidden activations, and the first one (gather), by name."""
    make = Arrays(dtype)
    generator = np.random.RandomState(0)
    height, width, n_channels = network.image_shape
    X = generator.randint(256, size=(N_ROWS, network.n_features)).astype(np.uint8)
    groups = cycle(generator.permutation(N_ROWS).astype(np.intp).reshape(-1, LANES))
    pads = network.stages[0].convolution.pads
    row = width + sum(pads[1])
    gathered = make.zeros(n_channels, height + sum(pads[0]), row, LANES)
    n_hidden, n_outputs = network.n_hidden, network.n_outputs
    hidden, hidden_out = make.uniform(n_hidden, LANES), make.zeros(n_hidden, LANES)
    weights, intercepts = make.uniform(n_outputs, n_hidden), make.zeros(n_outputs)
    d_weights, d_intercepts = make.zeros(n_outputs, n_hidden), make.zeros(n_outputs)
    logits, logits_out = make.uniform(n_outputs, LANES), make.zeros(n_outputs, LANES)
    targets, ones = aligned(logits > 0.5, dtype), aligned(np.ones(LANES), dtype)
    gradient, parameters = make.uniform(network.n_trainable), make.uniform(network.n_trainable)
    moments = aligned(np.ones((2, network.n_trainable)), dtype)
    start, n_flop = pads[0][0] * row + pads[1][0], 2 * n_hidden * LANES * n_outputs

    def gather():
        _kernels.gather(X, next(groups), 1 / 255, height, width, start, gathered)

    def loss():
        _kernels.loss_and_gradient(logits, targets, ones, LOSSES["log_loss"], float(LANES), logits_out)

    def backward():
        _kernels.dense_backward(hidden, weights, logits, d_weights, d_intercepts, hidden_out)

    return {
        "gather (bytes)": Case(gather, network.n_features * LANES),
        "dense forward": Case(
            lambda: _kernels.dense_forward(hidden, weights, intercepts, logits_out), hidden.size, n_flop
        ),
        "loss and its gradient": Case(loss, logits.size),
        # Gradients of the weights and of the hidden activations.
        "dense backward": Case(backward, hidden.size, 2 * n_flop),
        "Adam's step": Case(
            lambda: _kernels.solver_step(gradient, SOLVER, 10, moments, parameters), network.n_trainable, per_batch=True
        ),
    }


def make_cases(network, dtype):
    """All kernels of a training step, each with the cases of all stages."""
    cases = {}
    stages = [stage_cases(network, number, dtype) for number in range(len(network.stages))]
    for some in (*stages, dense_cases(network, dtype)):
        for name, case in some.items():
            cases.setdefault(name, []).append(case)
    return {name: cases[name] for name in NAMES if name in cases}


def call_costs(dtype, repeats):
    """Seconds of calling each kernel's hook, by the kernel's name."""
    one_pixel = Network((2, 2, 1), (1, 1), ((1, 1), (1, 1)), 1, pool_size=((2, 2), (1, 1)))
    cases = make_cases(one_pixel, dtype)
    return {name: median_seconds(some[-1].call, repeats) for name, some in cases.items() if some[-1].call}


def seconds_of(cases, cost, repeats, least=2e-3):
    """Seconds of a kernel's cases, without the cost of calling its hook."""
    return sum(
        median_seconds(case.call, repeats, least) - cost * case.n_calls
        if case.call
        else seconds_repeated(case, repeats)
        for case in cases
    )


def seconds_repeated(case, repeats, n=9):
    """Seconds of a kernel that its hook repeats: the difference between `n` runs and one, over n - 1."""
    turns = [timed(lambda: case.repeated(n))[0] - timed(lambda: case.repeated(1))[0] for _ in range(max(5, repeats))]
    return float(np.median(turns)) / (n - 1)


def numpy_sigmoid(n_values, dtype):
    x = aligned(np.random.RandomState(0).normal(size=n_values), dtype)
    return Case(lambda: 1 / (1 + np.exp(-x)), x.size)


# ---- one group ----


def kernel_rows(cases, dtype, peak, repeats):
    costs = call_costs(dtype, repeats)
    for name, some in cases.items():
        cost = costs.get(name, 0.0)
        seconds = seconds_of(some, cost, repeats)
        rate = sum(case.flop for case in some) / seconds / 1e9
        yield (
            name,
            f"{seconds * 1e6:.1f}",
            f"{cost * 1e6:.1f}" if cost else "",
            f"{seconds * 1e9 / sum(case.n_values for case in some):.3f}",
            f"{rate:.1f}" if rate else "",
            f"{rate / peak:.0%}" if rate and peak else "",
        )


def print_kernels(dtype, library, repeats):
    """Print the kernels of the medium network, and of the first two layers of the networks stack and signals."""
    peak = None
    if library is not None:
        n_chains, peak = measure_peak(library, dtype, repeats)
        print(f"{dtype}. Peak: {peak:.1f} GFLOP/s ({n_chains} chains of {8 * library.vector_bytes()}-bit vectors)\n")
    header = ["kernel", "µs", "µs of a call, taken off", "ns a value", "GFLOP/s", "of the peak"]
    network = make_network(CONFIGS["medium"])
    cases = make_cases(network, dtype) | {"NumPy's 1 / (1 + exp(-x))": [numpy_sigmoid(network.n_hidden * LANES, dtype)]}
    print(f"{dtype}, one group of {LANES} images 28x28: {CONFIGS['medium']}\n")
    print_table(header, kernel_rows(cases, dtype, peak, repeats))
    for network in map(make_network, (CONFIGS["stack"], CONFIGS["signals"])):
        for number in range(2):
            layer = network.stages[number].convolution
            (height, width, n_channels), (kernel_height, kernel_width) = layer.in_shape, layer.kernel_size
            print(f"{dtype}, one group: {n_channels} to {layer.n_filters} channels, {height}x{width}, ", end="")
            print(f"{kernel_height}x{kernel_width}\n")
            print_table(header, kernel_rows(both_algorithms(network, number, dtype), dtype, peak, repeats))


def both_algorithms(network, number, dtype):
    """The kernels of a stage by name, with those of the direct algorithm after Winograd's."""
    cases = stage_cases(network, number, dtype)
    named = {name: [cases[name]] for name in NAMES if name in cases}
    if network.compiled.winograd[number]:
        direct = stage_cases(network, number, dtype, CompiledNetwork(network, winograd=False))
        named |= {f"{name}, direct": [direct[name]] for name in (FORWARD, D_FILTERS, D_INPUT)}
    return named


# ---- an epoch ----


@dataclass(frozen=True)
class Epoch:
    config: Config
    seconds: float
    flop: float
    of_peak: float | None
    shares: dict  # of the kernels, by name


def count_flop(network):
    """Operations of one image's training step: forward pass, and the gradients of all weights and their inputs.

    The gradient of the pixels is not computed; activations, pooling, loss and solver are not counted.
    """
    stages = network.stages
    steps = 3 * sum(stage.n_multiply_adds for stage in stages) - stages[0].n_multiply_adds
    return 2 * (steps + 3 * network.n_hidden * network.n_outputs)


def measure_epoch(config, n_rows, library, repeats):
    """Measure an epoch on random images, its kernels and the peak, all in turns."""
    task = make_task(random_data(n_rows, 100, config.image_shape or (28, 28, 1)), config)
    contender = Skcnn(task, 1)
    contender.arrange(np.random.RandomState(0).permutation(n_rows))
    cases, costs = make_cases(task.network, "float32"), call_costs("float32", repeats)
    n_chains = measure_peak(library, "float32", 3)[0] if library else None
    turns = []
    for _ in range(repeats):
        kernels = [
            seconds_of(some, costs.get(name, 0.0), 1) * (n_rows // (task.batch_size if some[0].per_batch else LANES))
            for name, some in cases.items()
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
        shares=dict(zip(cases, np.median(turns[:, 2:] / turns[:, :1], axis=0), strict=True)),
    )


def print_epochs(n_rows, library, repeats):
    epochs = [measure_epoch(config, n_rows, library, repeats) for config in CONFIGS.values()]
    print(f"float32, an epoch of {n_rows} random images (bytes) and its multiply-adds\n")
    rows = (
        (
            str(epoch.config),
            f"{epoch.seconds * 1e3:.1f}",
            f"{epoch.flop / 1e9:.2f}",
            f"{epoch.flop / epoch.seconds / 1e9:.1f}",
            f"{epoch.of_peak:.0%}" if epoch.of_peak else "",
        )
        for epoch in epochs
    )
    print_table(["network", "ms an epoch", "GFLOP", "GFLOP/s", "of the peak"], rows)
    print("Shares of these epochs; what is left over is measured by no kernel, and may be below zero\n")
    rows = [
        (name, *(f"{epoch.shares[name]:.1%}" if name in epoch.shares else "" for epoch in epochs)) for name in NAMES
    ]
    rows.append(("everything else", *(f"{1 - sum(epoch.shares.values()):.1%}" for epoch in epochs)))
    print_table(["kernel", *(str(epoch.config) for epoch in epochs)], rows)


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
