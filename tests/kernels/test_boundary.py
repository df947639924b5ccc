"""Compiled code checks its arguments: wrong ones never make it read or write out of bounds.

In the build with sanitisers, a missing check ends the process.
"""

from types import SimpleNamespace

import numpy as np
import pytest

from skcnn import kernels
from skcnn.kernels import LANES, Memory
from skcnn.kernels import compiled as _kernels
from skcnn.network import Network, own

NETWORK = Network((6, 5, 2), (3, 4), ((3, 2), (2, 2)), 3, ((2, 1), (1, 1)), "same", standardize=True)
N_SAMPLES, N_ROWS = 20, 11
SOLVER = {
    **{"kind": 0, "learning_rate": 1e-3, "beta_1": 0.9, "beta_2": 0.999},
    **{"epsilon": 1e-8, "momentum": 0.9, "nesterovs_momentum": True},
}


def arguments(dtype):
    """All arguments by name."""
    rng = np.random.default_rng(0)
    return {
        "network": NETWORK.compiled,
        "X": rng.random((N_SAMPLES, NETWORK.n_features), np.float32),
        "targets": rng.random((N_SAMPLES, 3)).astype(dtype),
        "sample_weight": np.ones(N_SAMPLES, dtype),
        "rows": rng.permutation(N_SAMPLES)[:N_ROWS].astype(np.intp),
        "moves": np.ones((N_ROWS, 3), np.intp),
        "batch_size": 4,
        "learning_rates": np.full(3, 1e-3),
        "averaging_weights": np.ones(3),
        "objective": {"loss": 0, "alpha": 0.1},
        "solver": SOLVER,
        "parameters": rng.random(NETWORK.n_parameters).astype(dtype),
        "moments": np.zeros((2, NETWORK.n_trainable), dtype),
        "averages": np.zeros(NETWORK.n_trainable, dtype),
        "n_steps": 0,
        "n_batches": 0,
        "n_averaged": 0,
        "n_threads": 1,
        "workspace": NETWORK.workspace(N_ROWS, 1, dtype),
        "logits": np.zeros((N_ROWS, 3), dtype),
        "hidden": np.zeros((N_ROWS, NETWORK.n_hidden), dtype),
        "gradient_out": np.zeros(NETWORK.n_parameters, dtype),
    }


def forward(network, X, rows, parameters, logits, hidden, n_threads):
    kernels.forward(network, X, rows, parameters, (logits, hidden), n_threads)


def problem_and_order(network, X, targets, sample_weight, objective, **order):
    arrays = {"X": X, "targets": targets, "sample_weight": sample_weight}
    problem = SimpleNamespace(**arrays, objective=objective, network=SimpleNamespace(compiled=network))
    return problem, SimpleNamespace(**order)


def train_batches(solver, workspace, n_threads, **problem):
    state = SimpleNamespace(**{name: problem.pop(name) for name in STATE})
    kernels.train_batches(*problem_and_order(**problem), solver, state, workspace, n_threads)


def batch_gradient(parameters, workspace, n_threads, gradient_out, **problem):
    _kernels.batch_gradient(*problem_and_order(**problem), parameters, workspace, n_threads, gradient_out)


PROBLEM = ("network", "X", "targets", "sample_weight", "rows", "moves", "batch_size", "objective")
STATE = ("parameters", "moments", "averages", "n_steps", "n_batches", "n_averaged")
RATES = ("learning_rates", "averaging_weights")
CALLS = {
    "forward": (forward, ("network", "X", "rows", "parameters", "logits", "hidden", "n_threads")),
    "train_batches": (train_batches, (*PROBLEM, *RATES, "solver", *STATE, "workspace", "n_threads")),
    "batch_gradient": (batch_gradient, (*PROBLEM, "parameters", "workspace", "n_threads", "gradient_out")),
}


def right_call(name, dtype):
    """A function and valid arguments."""
    call, names = CALLS[name]
    given = arguments(dtype)
    return call, {name: given[name] for name in names}


WRITTEN = ("parameters", "moments", "averages", "logits", "hidden", "gradient_out")
every_dtype = pytest.mark.parametrize("dtype", ["float32", "float64"])


def wrong_arrays(array):
    """Invalid variants of `array`, by the kind of defect."""
    other = {"float32": "float64", "float64": "float32"}.get(array.dtype.name, "int32")
    return {
        "cut": array[:-1].copy(),
        "empty": array[:0].copy(),
        "of another type": array.astype(other),
        "of bytes in another order": array.astype(array.dtype.newbyteorder(">")),
        "of objects": array.astype(object),
        "with an axis more": array[np.newaxis],
        "with an axis less": array[0],
        "not contiguous": np.repeat(array, 2, axis=-1)[..., ::2],
        "backwards": array[::-1],
        "a list": array.tolist(),
        "a number": 3,
        "a string": "x",
    }


def array_cases():
    for name in CALLS:
        for argument, value in right_call(name, "float64")[1].items():
            if isinstance(value, np.ndarray):
                for wrong in wrong_arrays(value):
                    # Fewer rows are valid, and so are fewer images and images of another type.
                    legitimate = {"rows": ("cut", "empty"), "X": ("cut", "of another type")}.get(argument, ())
                    if wrong not in legitimate or (argument == "rows" and name == "forward"):
                        yield name, argument, wrong


@pytest.mark.parametrize(("name", "argument", "wrong"), list(array_cases()))
@every_dtype
def test_wrong_arrays(name, argument, wrong, dtype):
    call, given = right_call(name, dtype)
    given[argument] = wrong_arrays(given[argument])[wrong]
    # If two arguments do not match, the error may name either.
    others = {
        "parameters": "|moments|gradient_out|logits",
        "rows": "|logits|moves|learning_rates",
        "X": "|rows|targets",
    }.get(argument, "")
    with pytest.raises((ValueError, TypeError), match=rf"({argument}{others}) must "):
        call(**given)


@pytest.mark.parametrize("name", CALLS)
@every_dtype
def test_right_arrays(name, dtype):
    """The same calls with valid arguments; None means all rows, and no moves."""
    call, given = right_call(name, dtype)
    call(**given)
    if name == "forward":
        call(**given | {"rows": None, "X": given["X"][:N_ROWS], "hidden": None})
    else:
        call(**given | {"moves": None})


@pytest.mark.parametrize("name", CALLS)
@every_dtype
def test_read_only_arrays(name, dtype):
    """Inputs may be read-only; read-only outputs are refused."""
    for argument, value in right_call(name, dtype)[1].items():
        if isinstance(value, np.ndarray):
            call, given = right_call(name, dtype)
            given[argument].flags.writeable = False
            if argument in WRITTEN and (argument != "parameters" or name == "train_batches"):
                with pytest.raises(ValueError, match=rf"{argument} must be a writable array"):
                    call(**given)
            else:
                call(**given)


@pytest.mark.parametrize("name", CALLS)
@pytest.mark.parametrize("row", [-1, N_SAMPLES, 2**62, -(2**63)])
@pytest.mark.parametrize("place", [0, 5, N_ROWS - 1])
def test_rows_that_are_none(name, row, place):
    call, given = right_call(name, "float64")
    given["rows"][place] = row
    with pytest.raises(ValueError, match=f"rows must be numbers of the {N_SAMPLES} rows; they go from"):
        call(**given)


def test_rows_that_change_during_the_call():
    """Rows that share memory with the moments change with the first step; the kernels use a checked copy of them."""
    (_, given), (_, expected) = right_call("train_batches", "float64"), right_call("train_batches", "float64")
    rows = given["moments"].reshape(-1).view(np.intp)[:N_ROWS]
    train_batches(**expected | {"rows": rows.copy()})
    train_batches(**given | {"rows": rows})
    assert rows.any()
    np.testing.assert_array_equal(given["parameters"], expected["parameters"])


@pytest.mark.parametrize("name", ["train_batches", "batch_gradient"])
@pytest.mark.parametrize(
    "move",
    [(0, 5, 0), (0, -5, 1), (8, 0, 0), (-8, 0, 0), (2**62, 0, 0), (0, -(2**63), 0), (0, 0, 2), (0, 0, -1)],
    ids=str,
)
def test_moves_out_of_sight(name, move):
    call, given = right_call(name, "float64")
    given["moves"][-1] = move
    with pytest.raises(ValueError, match="moves must leave a part of images of 6 x 5 in sight, and mirror it or not"):
        call(**given)


@pytest.mark.parametrize(
    ("name", "argument", "value"),
    [
        *((name, "n_threads", n) for name in CALLS for n in (0, -1, 10**6, 2**63 - 1)),
        *(("train_batches", "batch_size", n) for n in (0, -1, -(2**63))),
        *(("train_batches", "n_steps", n) for n in (-1, 2**62)),
        *(("train_batches", "n_batches", n) for n in (-1, 2**62)),
        *(("train_batches", "n_averaged", n) for n in (-1, 2**62)),
        *(("train_batches", "workspace", Memory(n)) for n in (0, 100)),
        *(("batch_gradient", "workspace", Memory(n)) for n in (0, 100)),
        *((name, "network", network) for name in CALLS for network in (None, NETWORK, 3)),
        *((name, "workspace", np.zeros(10**6)) for name in CALLS if name != "forward"),
        ("train_batches", "solver", {"kind": 0}),
        ("train_batches", "solver", SOLVER | {"kind": 1}),
        ("train_batches", "objective", None),
        ("batch_gradient", "objective", {"loss": "log_loss", "alpha": 0.0}),
    ],
)
def test_other_arguments(name, argument, value):
    call, given = right_call(name, "float64")
    with pytest.raises((ValueError, TypeError)):
        call(**given | {argument: value})


def test_a_workspace_for_smaller_batches():
    _, given = right_call("train_batches", "float64")
    one_batch = {"batch_size": 2**63 - 1, "learning_rates": np.ones(1), "averaging_weights": None}
    with pytest.raises(ValueError, match=r"workspace has \d+ bytes, and these batches need \d+"):
        train_batches(**given | {"workspace": NETWORK.workspace(1, 1, "float64")} | one_batch)


@pytest.mark.parametrize("standardize", [False, True], ids=["plain", "standardize"])
@every_dtype
def test_no_rows(standardize, dtype):
    """Training on no rows changes nothing, and a gradient of no rows is refused, even for a large network."""
    network = Network((100, 100, 1), (1,), ((1, 1),), 300, standardize=standardize)
    given = arguments(dtype) | {
        **{"network": network.compiled, "X": np.zeros((3, 10_000), np.uint8), "targets": np.zeros((3, 300), dtype)},
        **{"sample_weight": np.ones(3, dtype), "rows": np.zeros(0, np.intp), "moves": None},
        **{"parameters": np.ones(network.n_parameters, dtype), "moments": np.zeros((2, network.n_trainable), dtype)},
        **{"learning_rates": np.zeros(0), "averaging_weights": None},
        **{"workspace": network.workspace(0, 1, dtype), "gradient_out": np.zeros(network.n_parameters, dtype)},
    }
    train_batches(**{name: given[name] for name in CALLS["train_batches"][1]})
    assert (given["parameters"] == 1).all()
    with pytest.raises(ValueError, match="there are no rows"):
        batch_gradient(**{name: given[name] for name in CALLS["batch_gradient"][1]})


def test_attributes_that_run_code():
    """All attributes are read before any array is used, so that none can free another's memory meanwhile."""
    _, given = right_call("train_batches", "float64")
    problem, order = problem_and_order(**{name: given[name] for name in (*PROBLEM, *RATES)})
    seen = []

    class State:
        n_steps = n_batches = n_averaged = 0
        parameters = given["parameters"].copy()
        averages = None

        @property
        def moments(self):
            self.parameters.resize(1, refcheck=False)
            seen.append(len(self.parameters))
            return given["moments"]

    with pytest.raises(ValueError, match=r"parameters must be .* got shape \(1,\)"):
        kernels.train_batches(problem, order, SOLVER, State(), given["workspace"], 1)
    assert seen == [1]


def test_unaligned_arrays():
    _, given = right_call("train_batches", "float64")
    unaligned = memoryview(bytearray(8 * NETWORK.n_parameters + 1))[1:].cast("d")
    with pytest.raises(ValueError, match=r"parameters must be .* aligned"):
        train_batches(**given | {"parameters": unaligned})


@pytest.mark.parametrize("n_rows", [-1, 2**62])
def test_workspaces_that_there_are_not(n_rows):
    with pytest.raises(ValueError, match=f"A batch of {n_rows} rows cannot be learnt from"):
        NETWORK.workspace(n_rows, 1, "float64")


def test_workspaces_of_another_type():
    with pytest.raises(ValueError, match="itemsize=2 must be that of float32 or float64"):
        kernels.make_workspace(NETWORK.compiled, 10, 1, 2)


@pytest.mark.parametrize("n_bytes", [-1, 2**62])
def test_memory_that_there_is_not(n_bytes):
    with pytest.raises((ValueError, MemoryError)):
        Memory(n_bytes)


# ---- hooks ----


def lanes(*shape, dtype="float64"):
    return np.ones((*shape, LANES), dtype)


HOOKS = {
    "convolution_forward": lambda: (NETWORK.compiled, 1, own(np.ones(NETWORK.n_parameters), float), lanes(45), LANES,
                                    lanes(60)),
    "convolution_backward_weights": lambda: (NETWORK.compiled, 1, own(np.ones(NETWORK.n_parameters), float), lanes(45),
                                             lanes(60), LANES, np.zeros(NETWORK.n_parameters)),
    "convolution_backward_data": lambda: (NETWORK.compiled, 1, own(np.ones(NETWORK.n_parameters), float), lanes(60),
                                          LANES, lanes(45)),
    "gather": lambda: (np.ones((4, 12)), np.arange(4), 1.0, 3, 4, 0, lanes(1, 3, 4)),
    "shift_image": lambda: (np.ones((3, 4, 2)), 1, 1, np.ones((3, 4, 2))),
    "flip_filters": lambda: (np.ones((2, 3, 4)), np.ones(27)),
    "max_pool_forward": lambda: (lanes(4, 6), 2, 3, lanes(2, 2), lanes(2, 2, dtype=np.uint16)),
    "max_pool_backward": lambda: (lanes(2, 2), lanes(2, 2, dtype=np.uint16), 2, 3, lanes(4, 6)),
    "activate": lambda: (0, np.ones(5)),
    "activate_backward": lambda: (0, np.ones(5), np.ones(5)),
    "dense_forward": lambda: (lanes(7), np.ones((3, 7)), np.ones(3), lanes(3)),
    "dense_backward": lambda: (lanes(7), np.ones((3, 7)), lanes(3), np.ones((3, 7)), np.ones(3), lanes(7)),
    "standardize_forward": lambda: (lanes(2), lanes(2, 3), np.ones(3), np.ones(3)),
    "standardize_backward": lambda: (lanes(2, 3), lanes(2), np.ones(3), lanes(2, 3)),
    "loss_and_gradient": lambda: (lanes(3), lanes(3), np.ones(LANES), 0, 16.0, lanes(3)),
    "solver_step": lambda: (np.ones(5), SOLVER, 1, np.ones((2, 5)), np.ones(5)),
}  # fmt: skip


@pytest.mark.parametrize("name", HOOKS)
def test_hooks(name):
    """Hooks work, and with shortened, lengthened or reshaped arrays they raise or do no harm."""
    hook = getattr(_kernels, name)
    hook(*HOOKS[name]())
    n_refused = 0
    for place, value in enumerate(HOOKS[name]()):
        if not isinstance(value, np.ndarray):
            continue
        for axis in range(value.ndim):
            for index in ([], [0], [0, 0, *range(value.shape[axis])]):
                arguments = list(HOOKS[name]())
                arguments[place] = np.ascontiguousarray(np.take(value, index, axis=axis))
                if arguments[place].shape == value.shape:
                    continue
                try:
                    hook(*arguments)
                except (ValueError, TypeError):
                    n_refused += 1
    assert n_refused or name == "activate"


@pytest.mark.parametrize(
    ("name", "place", "values"),
    [
        ("convolution_forward", 1, (-1, 2, 2**40)),
        ("convolution_forward", 4, (0, 2, -1, 17)),
        ("convolution_backward_data", 1, (0, -1, 2)),
        ("gather", 3, (0, -1, 4, 2**40)),
        ("gather", 5, (-1, 1, 2**40)),
        ("shift_image", 2, (4, -4, 2**62)),
        ("max_pool_forward", 1, (0, -1, 3, 2**40)),
        ("max_pool_backward", 3, (0, -1, 4, 2**40)),
    ],
)
def test_numbers_of_hooks(name, place, values):
    for value in values:
        arguments = list(HOOKS[name]())
        arguments[place] = value
        with pytest.raises((ValueError, TypeError)):
            getattr(_kernels, name)(*arguments)
