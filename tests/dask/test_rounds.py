"""What replicas are given and how their rounds are merged, without a cluster: against plain NumPy."""

from types import SimpleNamespace

import numpy as np
import pytest

from skcnn.network import Network
from skcnn.passes import Problem
from skcnn.plan import make_plan
from skcnn.state import State

pytest.importorskip("distributed")

from dask.sizeof import sizeof

from skcnn import ConvSigmoidClassifier
from skcnn.dask._census import Piece, deal
from skcnn.dask._chunks import Samples, cut
from skcnn.dask._load import GivenHoldout, MemoryShards
from skcnn.dask._rounds import Base, Outcome, merge_outcomes, next_base
from skcnn.dask._shards import MemoryShard, Recipe, measure

# ---- the deal ----


@pytest.mark.parametrize("n_parts", [1, 2, 3, 7, 25])
@pytest.mark.parametrize("lengths", [[10, 0, 5, 10], [25], [1] * 25, [0, 0, 24, 1]], ids=str)
def test_deal(lengths, n_parts):
    """Every row is dealt once, in the order of the chunks, and parts differ by a row at most."""
    order = np.random.RandomState(0).permutation(len(lengths))
    parts = deal(lengths, n_parts, order)
    rows = [[(chunk, row) for chunk, start, stop in part for row in range(start, stop)] for part in parts]
    assert [row for part in rows for row in part] == [
        (chunk, row) for chunk in order.tolist() for row in range(lengths[chunk])
    ]
    sizes = [len(part) for part in rows]
    assert max(sizes) - min(sizes) <= 1
    assert all(isinstance(piece, Piece) for part in parts for piece in part)


# ---- the merge and the outer step ----


def outcome_of(rng, share):
    return Outcome(share, rng.standard_normal(7).astype(np.float32), *rng.uniform(size=2), (3, 4, 5), None)


def test_merge_is_the_weighted_mean():
    rng = np.random.default_rng(0)
    outcomes = [outcome_of(rng, share) for share in (0.5, 0.2, 0.3)]
    merged = merge_outcomes(outcomes)
    expected = np.average([one.vector.astype(float) for one in outcomes], axis=0, weights=[0.5, 0.2, 0.3])
    np.testing.assert_allclose(merged.vector, expected, rtol=1e-14)
    assert merged.loss == sum(one.loss for one in outcomes)
    assert merged.weight == sum(one.weight for one in outcomes)
    assert merged.share == 1.0


def test_merging_in_groups():
    rng = np.random.default_rng(1)
    outcomes = [outcome_of(rng, share) for share in (0.1, 0.2, 0.3, 0.4)]
    in_groups = merge_outcomes([merge_outcomes(outcomes[:2]), merge_outcomes(outcomes[2:])])
    np.testing.assert_allclose(in_groups.vector, merge_outcomes(outcomes).vector, atol=1e-15)


def test_merging_one_keeps_its_bits():
    outcome = outcome_of(np.random.default_rng(2), 0.3)
    np.testing.assert_array_equal(merge_outcomes([outcome]).vector, outcome.vector)


@pytest.mark.parametrize("n_replicas", [1, 3])
def test_outer_step(n_replicas):
    """Two rounds, against Nesterov's momentum written as in DiLoCo: v = m v + d, step d + m v."""
    rng = np.random.default_rng(3)
    network = Network((4, 4, 1), (2,), ((3, 3),), 1, ((1, 1),), standardize=True)
    n, n_trainable = network.n_parameters, network.n_trainable
    clf = ConvSigmoidClassifier(2, 3, standardize=True)
    plan = make_plan(clf, network, 100, 1, incremental=False)
    state = State(rng.standard_normal(n), rng.uniform(size=(2, n_trainable)), averages=rng.standard_normal(n_trainable))
    base = Base.of(state, np.zeros(n_trainable), plan, network, n_replicas)
    parameters, velocity, momentum = state.parameters.copy(), np.zeros(n_trainable), 0.5 if n_replicas > 1 else 0.0
    for _ in range(2):
        vectors = rng.standard_normal((n_replicas, n + 3 * n_trainable))
        outcomes = [Outcome(1 / n_replicas, vector, 1.0, 2.0, (1, 1, 1), None) for vector in vectors]
        base = next_base(base, outcomes, n_replicas)
        mean = vectors.mean(axis=0)
        d = mean[:n_trainable] - parameters[:n_trainable]
        velocity = momentum * velocity + d
        parameters[:n_trainable] += d + momentum * velocity
        parameters[n_trainable:] = mean[n_trainable:n]
        np.testing.assert_allclose(base.state.parameters, parameters, rtol=1e-12)
        np.testing.assert_allclose(base.state.moments.ravel(), mean[n : n + 2 * n_trainable], rtol=1e-12)
        np.testing.assert_allclose(base.state.averages, mean[n + 2 * n_trainable :], rtol=1e-12)
    assert (base.loss, base.weight) == (2.0 * n_replicas, 4.0 * n_replicas)


# ---- shards ----


def unaligned(array):
    moved = np.ndarray(array.shape, array.dtype, buffer=np.empty(array.nbytes + 1, np.uint8), offset=1)
    moved[...] = array
    return moved


def test_samples_at_any_byte(digits):
    """What a recipe makes of them, kernels can read."""
    X, y = digits[0][:50] / 255, digits[1][:50]
    clf = ConvSigmoidClassifier(2, max_iter=1, tol=1e9).fit(X, y)
    recipe = Recipe(clf, clf._model.labels, clf._network, np.dtype(float), None, False)
    samples = Samples(unaligned(X), y, None)
    assert not samples.X.flags.aligned
    for made in (recipe.problem(samples), recipe.holdout(samples)):
        assert made.X.flags.aligned
        np.testing.assert_array_equal(made.X, X)


def test_sizes_are_told_to_dask(chunked):
    """Dask places tasks by the size of what they need."""
    clf = ConvSigmoidClassifier(4, max_iter=1, tol=1e9).fit(chunked[2], chunked[3])
    network, X = clf._network, chunked[2]
    problem = Problem(X, np.zeros((1000, 10)), np.ones(1000), np.arange(1000), None, network, {})
    assert 0 <= sizeof(MemoryShard(problem)) - (X.nbytes + 80_000 + 8000 + 8000) < 100
    assert 0 <= sizeof(outcome_of(np.random.default_rng(0), 1.0)) - 28 < 100


@pytest.mark.parametrize("what", [0, "logits"])
def test_measuring_reads_no_more_than_enough(digits, what):
    """Nor does it measure samples without weight."""
    X, y = digits[0][:200] / 255, digits[1][:200]
    clf = ConvSigmoidClassifier(2, max_iter=1, tol=1e9, batch_norm=True, standardize=True).fit(X, y)
    recipe = Recipe(clf, clf._model.labels, clf._network, np.dtype(float), None, False)

    def problems():
        for rows, weight in ((slice(50), 0.0), (slice(50, 110), 1.0)):
            weights = np.full(len(X[rows]), weight)
            yield recipe.problem(Samples(X[rows], y[rows], weights))
        pytest.fail("read after 110 rows")

    here = SimpleNamespace(here=lambda: 1)
    weighed = recipe.problem(Samples(X[50:110], y[50:110], np.ones(60)))
    weight, expected = measure(MemoryShard(weighed), clf._model.parameters, what, 60, here)
    found = measure(SimpleNamespace(problems=problems), clf._model.parameters, what, 60, here)
    assert found[0] == weight > 0
    np.testing.assert_array_equal(found[1], expected)


def test_a_chunk_that_has_become_shorter(digits):
    samples = Samples(digits[0][:50], digits[1][:50], None)
    with pytest.raises(ValueError, match="Chunk 3 has 50 samples; there were 60 or more when they were counted"):
        cut(samples, Piece(3, 20, 60), mixed=False)
    with pytest.raises(ValueError, match="Chunk 3 has 0 samples"):
        cut(None, Piece(3, 20, 60), mixed=True)


def test_what_is_said_of_a_task_that_kills_workers():
    """Tasks over shards are numbered like these; of others all chunks are listed."""
    cluster = SimpleNamespace(token="0a", put=lambda name, values: [])
    parts = [[Piece(3, 0, 5), Piece(1, 0, 2)], [Piece(number, 0, 9) for number in range(4, 16)]]
    reader = SimpleNamespace(names=("X", "y", "sample_weight"))
    shards = MemoryShards(cluster, None, reader, parts, mixed=False)
    expected = {
        ("skcnn-train-0a", 0): "with chunks 1, 3 of X",
        ("skcnn-train-0a", 1): "with chunks 4, 5, 6, 7, 8, 9, 10, 11, 12, 13 and others of X",
        ("skcnn-train-0b", 0): "with chunks 1, 3, 4, 5, 6, 7, 8, 9, 10, 11 and others of X",
        "of-a-user": "with chunks 1, 3, 4, 5, 6, 7, 8, 9, 10, 11 and others of X",
        ("skcnn-next-base-0a", 0): "without data",
    }
    for key, what in expected.items():
        assert shards.describe(key) == f"A task ({key!r}) {what}"
    assert GivenHoldout(cluster, None).describe("a") == "A task ('a') with the validation set"
