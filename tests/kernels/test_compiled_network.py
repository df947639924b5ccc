"""A CompiledNetwork is consistent, whatever object it is made from, or its construction fails.

In the build with sanitisers, a missing check ends the process.
"""

from dataclasses import replace
from types import SimpleNamespace

import pytest

from skcnn import kernels
from skcnn.kernels import CompiledNetwork
from skcnn.layers import Parameter
from skcnn.network import Network

NETWORK = Network((6, 5, 2), (3, 4), ((3, 2), (2, 2)), 3, ((2, 1), (1, 1)), "same", standardize=True)
NORMALIZED = replace(NETWORK, batch_norm=True, global_pool="max")
both = pytest.mark.parametrize("network", [NETWORK, NORMALIZED], ids=["plain", "normalized"])


def plain(network):
    """A mutable copy of all that CompiledNetwork reads of a network."""
    stages = [
        SimpleNamespace(
            convolution=SimpleNamespace(
                in_shape=stage.convolution.in_shape,
                n_filters=stage.convolution.n_filters,
                kernel_size=stage.convolution.kernel_size,
                pads=stage.convolution.pads,
            ),
            normalization=stage.normalization and SimpleNamespace(epsilon=stage.normalization.epsilon),
            activation=stage.activation,
            pool_size=stage.pool_size,
            out_shape=stage.out_shape,
        )
        for stage in network.stages
    ]
    options = ("rescale", "standardize", "batch_norm", "global_pool")
    names = ("n_features", "n_hidden", "n_outputs", "n_trainable", "n_parameters", "layout", *options)
    return SimpleNamespace(stages=stages, **{name: getattr(network, name) for name in names})


@both
def test_a_network_is_compiled_of_plain_names(network):
    CompiledNetwork(plain(network))


SIZES = (0, -1, 1, 7, 2**31, 2**40, 2**62, 10**30)


@pytest.mark.parametrize("name", ["n_features", "n_hidden", "n_outputs", "n_trainable", "n_parameters"])
@pytest.mark.parametrize("size", SIZES)
@both
def test_sizes_that_do_not_fit(network, name, size):
    network = plain(network)
    setattr(network, name, size)
    with pytest.raises((ValueError, OverflowError)):
        CompiledNetwork(network)


@pytest.mark.parametrize("number", [0, 1])
@pytest.mark.parametrize(
    ("part", "name", "place"),
    [
        *(("convolution", "in_shape", place) for place in range(3)),
        *(("convolution", "kernel_size", place) for place in range(2)),
        *((None, "pool_size", place) for place in range(2)),
        *((None, "out_shape", place) for place in range(3)),
    ],
)
@pytest.mark.parametrize("size", SIZES)
@both
def test_shapes_that_do_not_fit(network, number, part, name, place, size):
    network = plain(network)
    stage = network.stages[number]
    owner = getattr(stage, part) if part else stage
    shape = list(getattr(owner, name))
    # Values that a pool drops are harmless, and so is a smaller output before a global pool.
    less = number == 1 and network.global_pool and name == "out_shape" and place < 2 and size == 1
    if shape[place] == size or (name == "pool_size" and size == 1) or less:
        return
    shape[place] = size
    setattr(owner, name, shape)
    with pytest.raises((ValueError, OverflowError)):
        CompiledNetwork(network)


@pytest.mark.parametrize("pads", [((0, 9), (0, 0)), ((-1, 0), (0, 0)), ((2**62, 0), (0, 0)), ((0, 0), (2, 2)), (1, 1)])
def test_padding_that_does_not_fit(pads):
    network = plain(NETWORK)
    network.stages[0].convolution.pads = pads
    with pytest.raises((ValueError, TypeError)):
        CompiledNetwork(network)


@pytest.mark.parametrize("epsilon", [0.0, -1e-5, 1.0, float("nan"), float("inf")])
def test_normalization_that_does_not_fit(epsilon):
    network = plain(NORMALIZED)
    network.stages[1].normalization.epsilon = epsilon
    with pytest.raises(ValueError, match="This network cannot be computed"):
        CompiledNetwork(network)


@pytest.mark.parametrize(
    "changes",
    [{"batch_norm": True}, {"global_pool": "max"}, {"global_pool": "none"}, {"global_pool": 1}, {"global_pool": []}],
    ids=str,
)
def test_options_that_do_not_fit(changes):
    """Stages that lack normalisation, more hidden activations than maps, and unknown pools."""
    network = plain(NETWORK)
    vars(network).update(changes)
    with pytest.raises((ValueError, TypeError)):
        CompiledNetwork(network)


def test_global_maxima_beyond_what_a_float_counts():
    network = Network((1, 2**24 + 1, 1), (1,), ((1, 1),), 1, global_pool="average")
    with pytest.raises(ValueError, match="last feature maps are too large"):
        replace(network, image_shape=(1, 2**24 + 2, 1), global_pool="max")


@pytest.mark.parametrize("name", ["scales_0", "shifts_1"])
def test_a_layout_without_what_normalization_learns(name):
    network = plain(NORMALIZED)
    network.layout = [(replace(one, name="other") if one.name == name else one, *ends) for one, *ends in network.layout]
    with pytest.raises(ValueError, match=f"it has no {name}"):
        CompiledNetwork(network)


def layouts():
    layout = list(NETWORK.layout)
    shifted = [(parameter, start + 1, stop + 1) for parameter, start, stop in layout]
    yield "one less", layout[:-1]
    yield "one more", [*layout, (Parameter("more", (3,)), NETWORK.n_parameters, NETWORK.n_parameters + 3)]
    yield "shifted", shifted
    yield "backwards", layout[::-1]
    yield "negative", [(layout[0][0], -8, layout[0][2]), *layout[1:]]
    yield "overlapping", [layout[0], (layout[1][0], 0, layout[1][2]), *layout[2:]]
    yield "one for another", [(layout[4][0], *layout[0][1:]), *layout[1:4], (layout[0][0], *layout[4][1:]), *layout[5:]]
    yield "very many", [(Parameter(str(i), (0,)), 0, 0) for i in range(1000)] + layout
    yield "none", []
    yield "no pairs", [1, 2, 3]


@pytest.mark.parametrize("layout", [layout for _, layout in layouts()], ids=[name for name, _ in layouts()])
def test_layouts_that_do_not_fit(layout):
    network = plain(NETWORK)
    network.layout = layout
    with pytest.raises((ValueError, TypeError)):
        CompiledNetwork(network)


def test_no_stages_and_too_many():
    for stages in ([], plain(NETWORK).stages * 20):
        network = plain(NETWORK)
        network.stages = stages
        with pytest.raises(ValueError, match="stages, and may have 16"):
            CompiledNetwork(network)


def test_a_network_whose_workspace_cannot_be_addressed():
    """No single part of it is too large, but all parts for thousands of threads are."""
    n = 1_000_000
    stages, layout, at = [], [], 0
    for number in range(7):
        n_channels = n if number else 1
        shape = SimpleNamespace(in_shape=(1, 1, n_channels), n_filters=n, kernel_size=(1, 1), pads=((0, 0), (0, 0)))
        stage = {
            "normalization": None,
            "activation": SimpleNamespace(function="relu"),
            "pool_size": (1, 1),
            "out_shape": (1, 1, n),
        }
        stages.append(SimpleNamespace(convolution=shape, **stage))
        sizes = {f"filters_{number}": n * n_channels, f"filter_intercepts_{number}": n}
        for name, size in sizes.items():
            layout.append((Parameter(name, (size,)), at, at + size))
            at += size
    for name, size in {"weights": n, "intercepts": 1}.items():
        layout.append((Parameter(name, (size,)), at, at + size))
        at += size
    sizes = {"n_features": 1, "n_hidden": n, "n_outputs": 1, "n_trainable": at, "n_parameters": at}
    options = {"rescale": 1.0, "standardize": False, "batch_norm": False, "global_pool": None}
    network = SimpleNamespace(stages=stages, layout=layout, **options, **sizes)
    with pytest.raises(MemoryError):
        kernels.make_workspace(CompiledNetwork(network), 100, 4096, 8)
