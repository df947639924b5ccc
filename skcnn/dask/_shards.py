"""A replica's samples, in memory or read chunk by chunk, and the tasks over them but for training."""

from dataclasses import dataclass, replace
from types import SimpleNamespace

import numpy as np

from skcnn.dask._chunks import cut
from skcnn.fitting import final_weights, make_problem
from skcnn.holdout import Holdout, hold_out
from skcnn.images import check_squares, norm
from skcnn.kernels import LOSSES
from skcnn.network import Network
from skcnn.passes import LocalPasses, draw_order, make_workspace, run_batches
from skcnn.statistics import merge_norms
from skcnn.targets import Labels


@dataclass(frozen=True)
class Recipe:
    """Makes problems and validation sets of samples, as the whole of the data requires."""

    estimator: object  # a ConvSigmoidClassifier with the hyper-parameters
    labels: Labels
    network: Network
    dtype: np.dtype
    factors: np.ndarray | None  # of the weights, by class
    whole: bool  # whether the samples are all of the data, so that the estimator's class weights hold for them

    @property
    def objective(self):
        return {"loss": LOSSES[self.estimator.loss], "alpha": float(self.estimator.alpha)}

    def problem(self, samples):
        weights = self._weights(samples)
        if self.whole:
            weighed = final_weights(self.estimator, self.labels, samples.y, weights)
        elif self.factors is None:
            weighed = weights
        elif self.labels.multilabel:
            weighed = (weights * self.factors[0]).astype(self.dtype)
        else:
            weighed = (weights * self.factors[np.searchsorted(self.labels.classes, samples.y)]).astype(self.dtype)
        return make_problem(self.estimator, _aligned(samples.X), samples.y, weighed, self.labels, self.network)

    def split(self, samples, seed):
        """The problem without held-out rows, and these."""
        fraction = float(self.estimator.validation_fraction)
        problem, weights = self.problem(samples), self._weights(samples)
        return hold_out(fraction, seed, problem, weights, is_part=not self.whole)

    def holdout(self, samples, names=("X_val", "y_val")):
        check_squares(samples.X, self.network.rescale, self.dtype, names[0])
        return Holdout(_aligned(samples.X), self.labels.encode(samples.y, names[1]), self._weights(samples), None)

    def _weights(self, samples):
        if samples.weights is None:
            return np.ones(len(samples.X), self.dtype)
        return samples.weights.astype(self.dtype)


@dataclass(frozen=True)
class MemoryShard:
    """A replica's samples in memory."""

    problem: object | None
    holdout: Holdout | None = None

    def __sizeof__(self):  # for Dask, which places tasks by the size of what they need
        parts = [part for part in (self.problem, self.holdout) if part is not None]
        arrays = {
            id(value): value.nbytes for part in parts for value in vars(part).values() if hasattr(value, "nbytes")
        }
        return sum(arrays.values())

    def __setstate__(self, state):
        for name, data in state.items():
            if data is not None:
                arrays = {key: _aligned(value) for key, value in vars(data).items() if isinstance(value, np.ndarray)}
                data = replace(data, **arrays)
            object.__setattr__(self, name, data)

    def problems(self):
        return [self.problem]

    def holdouts(self):
        return [self.holdout]

    def train(self, state, plan, generator, number, n_rounds):
        """Train on part `number` of the next epoch; returns the sums of losses times weights, and of weights."""
        order = draw_order(self.problem, state, plan, generator)
        bounds = [len(order.learning_rates) * part // n_rounds for part in (number, number + 1)]
        workspace = make_workspace(self.problem.network, plan, state)
        return run_batches(self.problem, order.part(*bounds), plan, state, workspace)


def _aligned(array):
    """The array, or a copy for the kernels: arrays that came from another process may begin at any byte."""
    return np.require(array, requirements="A")


@dataclass(frozen=True)
class StreamShard:
    """A replica's samples as pieces of chunks, each read when it is its turn."""

    pieces: tuple  # of (LazyChunk, Piece)
    recipe: Recipe
    mixed: bool  # whether the samples of a chunk are in random order before it is cut

    def problems(self):
        return (self.recipe.problem(self._read(piece)) for piece in self.pieces)

    def holdouts(self):
        return (self.recipe.holdout(self._read(piece)) for piece in self.pieces)

    def _read(self, pair):
        chunk, piece = pair
        return cut(chunk.load(), piece, mixed=self.mixed)

    def train(self, state, plan, generator, number, n_rounds):
        """As in MemoryShard, but the order is one of chunks and then of the samples in each."""
        n_pieces = len(self.pieces)
        order, generators = range(n_pieces), [generator]
        if n_pieces > 1:
            seeds = generator.randint(2**31, size=n_pieces, dtype=np.int64)
            generators = [np.random.RandomState(seed) for seed in seeds]
            order = generator.permutation(n_pieces) if plan.shuffle else order
        pieces = [self.pieces[i][1] for i in order]
        n_batches = [-(-(piece.stop - piece.start) // plan.batch_size) for piece in pieces]
        ends = np.cumsum([0, *n_batches])
        rates = plan.learning_rates(state, ends[-1])
        averaging = plan.averaging_weights(state, ends[-1] * plan.batch_size)
        workspace, sums = make_workspace(self.recipe.network, plan, state), np.zeros(2)
        for turn in range(n_pieces * number // n_rounds, n_pieces * (number + 1) // n_rounds):
            problem = self.recipe.problem(self._read(self.pieces[order[turn]]))
            batches = slice(ends[turn], ends[turn + 1])
            series = draw_order(problem, state, plan, generators[order[turn]])._replace(
                learning_rates=rates[batches],
                averaging_weights=None if averaging is None else averaging[batches],
            )
            sums += run_batches(problem, series, plan, state, workspace)
            del problem, series  # before the next chunk is read
        return tuple(sums.tolist())


# ---- tasks ----


def survey(samples):
    """Norm of the pixels, with weights, and the number of pixels times weights."""
    weights = np.ones(len(samples.X)) if samples.weights is None else samples.weights
    return norm(samples.X, weights), weights.sum() * samples.X.shape[1]


def survey_chunk(chunk):
    return survey(chunk.load())


def make_shard(samples, split_seed, recipe):
    """A MemoryShard to train on; a part of it is held out, unless the seed is None."""
    if split_seed is None:
        return MemoryShard(recipe.problem(samples))
    return MemoryShard(*recipe.split(samples, split_seed))


def make_holdout(samples, recipe, names):
    return MemoryShard(None, recipe.holdout(samples, names))


def count_rows(shard):
    """Samples to train on, their summed weight, and that of the held-out samples, or None."""
    held_out = None if shard.holdout is None else float(_weight(shard.holdout))
    return len(shard.problem.rows), float(_weight(shard.problem)), held_out


def validate(shard, parameters, recipe, threads):
    """Weight, loss and score of a shard's validation samples."""
    return merge_means(
        [
            (float(weight), *holdout.evaluate(recipe, np.array(parameters), threads.here()))
            for holdout in shard.holdouts()
            if (weight := _weight(holdout))
        ]
    )


def _weight(data):
    weights = data.sample_weight if data.rows is None else data.sample_weight[data.rows]
    return weights.sum(dtype=np.float64)


def merge_means(results):
    """Weighted means of (weight, value, ...), with the sum of the weights first; (0.0,) if there is no weight.

    A single result keeps its values.
    """
    results = [result for result in results if result[0] > 0]
    if len(results) == 1:
        return results[0]
    total = sum(weight for weight, *_ in results)
    values = zip(*(values for _, *values in results), strict=True)
    parts = [weight / total for weight, *_ in results]
    return float(total), *(sum(part * value for part, value in zip(parts, row, strict=True)) for row in values)


def measure(shard, parameters, what, n_rows, threads):
    """Weight, and mean and variance of each filter of layer `what`, or of each logit if it is "logits".

    `n_rows`, unless None, is the number of rows after which no more are read.
    """
    results, n_read, parameters = [], 0, np.array(parameters)  # aligned
    for problem in shard.problems():
        if (weight := _weight(problem)) > 0:
            passes = LocalPasses(problem, _plan_of(threads), None)
            if what == "logits":
                norms = passes.measure_logits(parameters, n_rows)
            else:
                norms = passes.measure_filters(what, parameters, n_rows)
            results.append((weight, norms))
            n_read += len(problem.rows)
        if n_rows is not None and n_read >= n_rows:
            break
    return merge_measured(results)


def merge_measured(results):
    """Merged (weight, means and variances) of several sets of samples; zero weight for none."""
    total, norms = 0.0, None
    for weight, measured in results:
        if weight > 0:
            total += weight
            if norms is None:
                norms = np.array(measured)
            else:
                merge_norms(norms, measured, weight / total)
    return total, norms


def loss_of_shard(shard, parameters, threads):
    """Weight and mean loss of a shard's training samples."""
    results = []
    for problem in shard.problems():
        if (weight := _weight(problem)) > 0:
            _, loss_of = LocalPasses(problem, _plan_of(threads), None).constant_loss()
            results.append((float(weight), loss_of(np.array(parameters))))
    return merge_means(results)


def _plan_of(threads):
    """What passes without training need of a plan."""
    return SimpleNamespace(n_scoring_threads=threads.here())
