"""The steps of the distributed `fit`: count, deal, load, and train as the local one does."""

from copy import deepcopy
from dataclasses import replace
from math import hypot, sqrt

import numpy as np
from sklearn.utils import check_random_state

from skcnn import fitting
from skcnn.classifier import ConvSigmoidClassifier
from skcnn.dask._census import count_labels, deal, part_weights, take_census, warn_if_skewed
from skcnn.dask._chunks import Reader, is_lazy, read_chunks, split_arrays
from skcnn.dask._cluster import Cluster
from skcnn.dask._load import GivenHoldout, MemoryShards, StreamShards
from skcnn.dask._passes import DistributedPasses
from skcnn.dask._progress import Progress
from skcnn.dask._shards import Recipe
from skcnn.holdout import check_weights_of_split, read_validation_set
from skcnn.images import choose_scale, read_images, warn_about_shape
from skcnn.network import make_network
from skcnn.plan import make_plan
from skcnn.state import initial_state, resumed_state
from skcnn.targets import check_labels
from skcnn.validation import check_integer, check_parameters, check_sample_weight, check_total_weight, is_auto

# n_replicas="auto": samples for each replica, at least.
_LEAST_SAMPLES = 5000


def fit(estimator, client, X, y, sample_weight, validation):
    """`DaskConvSigmoidClassifier.fit`; `validation` is (X_val, y_val, sample_weight_val)."""
    check_parameters(estimator)
    check_own_parameters(estimator)
    probe = fitting.metadata_probe(estimator)
    resuming = estimator.warm_start and hasattr(estimator, "_model")
    with Cluster(client, estimator.n_jobs) as cluster:
        chunks, n_replicas = chunk_data(probe, cluster, X, y, sample_weight, reset=not resuming)
        in_memory = estimator.persist or n_replicas is not None
        census = take_census(count_chunks(cluster, chunks), chunks.names)
        labels, dtype = census.labels, fitting.training_dtype(chunks.dtype)
        check_total_weight(census.totals.sum(), census.largest, dtype, chunks.names[2])
        network = unscaled_network(estimator, probe, chunks, labels, resuming)
        generator = check_random_state(estimator.random_state)
        n_replicas = n_replicas or count_replicas(estimator, cluster, census.lengths.sum())
        deal_seed = resumed_split(estimator, n_replicas) if resuming else None
        if deal_seed is None:  # not of the generator itself, so that initial weights are those of the local fit
            deal_seed = draw_seed(deepcopy(generator))
        parts = deal_chunks(estimator, census, n_replicas, deal_seed)
        worker = worker_estimator(estimator, probe)
        make_shards = MemoryShards if in_memory else StreamShards
        mixed = bool(estimator.shuffle) and n_replicas > 1
        shards = make_shards(cluster, chunks, Reader(worker, chunks.names, chunks.dtype), parts, mixed=mixed)
        network = replace(
            network, input_scale=input_scale(estimator, network, cluster.attempt(shards.survey), resuming)
        )
        if resuming:
            state = resumed_state(estimator, network, labels, dtype, "warm_start")
        else:
            state = initial_state(estimator, network, generator, dtype)
        recipe = make_recipe(estimator, worker, census, network, dtype, whole=in_memory and n_replicas == 1)
        held_out = validation_shards(probe, cluster, recipe, n_replicas, validation, persist=estimator.persist)
        split_seed = None
        if estimator.early_stopping and held_out is None:
            split_seed = choose_split(state, generator, in_memory, deal_seed if n_replicas > 1 else None)
            held_out = shards
        shards.make(recipe, split_seed)
        n_rows, weights, held_weights = zip(*cluster.attempt(shards.count_rows, shards.load), strict=True)
        if held_out is shards:
            check_weights_of_split(sum(weights), sum(held_weights))
        plan = make_plan(estimator, network, min(n_rows), 1, incremental=False)
        progress = Progress(plan.verbose, plan.max_iter)
        passes = DistributedPasses(
            cluster,
            recipe,
            plan,
            generator,
            shards,
            n_samples=sum(n_rows),
            n_rounds=count_rounds(estimator, shards, plan, n_rows, in_memory),
            shares=np.array(weights) / sum(weights) if in_memory else shares_of_parts(recipe, census, parts),
            class_shares=class_shares(recipe, census),
            validation=held_out,
            progress=progress,
        )
        try:
            extra = {"n_replicas_": n_replicas}
            fitting.run(estimator, probe, labels, passes, state, plan, (X, y, sample_weight), extra=extra)
        finally:
            progress.close()


def check_own_parameters(estimator):
    """Check the hyper-parameters that the local class does not have."""
    if not is_auto(estimator.n_replicas):
        check_integer("n_replicas", estimator.n_replicas, 1, otherwise=" or 'auto'")
    check_integer("rounds_per_epoch", estimator.rounds_per_epoch, 1)
    if not isinstance(estimator.persist, bool | np.bool_):
        raise TypeError(f"persist must be True or False; got {estimator.persist!r}.")


# ---- the data ----


def chunk_data(probe, cluster, X, y, sample_weight, *, reset):
    """The chunks, and for arrays, which are split for them, the number of replicas; otherwise None."""
    if any(map(is_lazy, (X, y, sample_weight))):
        return read_chunks(probe, X, y, sample_weight, reset=reset), None
    X, y, given_shape = read_images(probe, X, y, reset=reset)
    y = check_labels(y)
    if sample_weight is not None:
        sample_weight = check_sample_weight(sample_weight, len(X), fitting.training_dtype(X.dtype))
    n_replicas = count_replicas(probe, cluster, len(X))
    mixed = bool(probe.shuffle) and n_replicas > 1
    return split_arrays(X, y, sample_weight, given_shape, n_replicas, mixed=mixed), n_replicas


def count_chunks(cluster, chunks):
    """The labels and weights of each chunk."""

    def count():
        futures = cluster.map_blocks("count-labels", count_labels, chunks.y, chunks.weights, names=chunks.names)
        return cluster.results_of_chunks(futures, chunks.names[1])

    return cluster.attempt(count)


def count_replicas(estimator, cluster, n_samples):
    """The number of replicas: "auto" is one for each worker, as far as there are samples enough."""
    if not is_auto(estimator.n_replicas):
        if estimator.n_replicas > n_samples:
            raise ValueError(f"n_replicas={estimator.n_replicas} is more than the {n_samples} samples.")
        return int(estimator.n_replicas)
    return max(1, min(len(cluster.workers()), n_samples // _LEAST_SAMPLES))


def resumed_split(estimator, n_replicas):
    """The seed of the part that an earlier fit held out, if it did, which a warm start keeps.

    Raises
    ------
    ValueError
        If there are other replicas, which would hold out samples that were trained on.
    """
    seed = estimator._checkpoint.split_seed if estimator.early_stopping else None
    if seed is not None and getattr(estimator, "n_replicas_", n_replicas) != n_replicas:
        raise ValueError(
            f"warm_start with early_stopping needs the replicas of the last fit, {estimator.n_replicas_}; now there "
            f"are {n_replicas}, which would hold out samples that were trained on. Pass X_val and y_val, or n_replicas."
        )
    return seed


def deal_chunks(estimator, census, n_replicas, seed):
    """Pieces of chunks for each replica; chunks are shuffled first, unless one replica has them all.

    A warning says if the chunks, or the replicas' parts of the data, have too different labels.
    """
    order = np.arange(len(census.lengths))
    if n_replicas > 1 and estimator.shuffle:
        order = np.random.RandomState(seed).permutation(order)
    parts = deal(census.lengths, n_replicas, order)
    if not census.labels.multilabel:
        if not estimator.persist:
            warn_if_skewed(census.weights, census.lengths, "chunks")
        else:
            n_rows = [sum(piece.stop - piece.start for piece in part) for part in parts]
            warn_if_skewed(part_weights(census, parts)[0], np.array(n_rows), "replicas' parts of the data")
    return parts


# ---- the network and what depends on all of the data ----


def unscaled_network(estimator, probe, chunks, labels, resuming):
    """The network but for the scale of the pixels, so that errors in hyper-parameters come before data is read."""
    n_features = probe.n_features_in_
    if estimator.image_shape is None and not resuming:
        warn_about_shape(chunks.dtype, n_features, chunks.given_shape)
    shape = fitting.resumed_shape(estimator, chunks.given_shape, resuming)
    rescale = fitting.pixel_factor(estimator, chunks.dtype, resuming)
    return make_network(estimator, n_features, labels.n_outputs, shape, (rescale, 1.0))


def input_scale(estimator, network, surveys, resuming):
    if resuming:
        return estimator._model.network.input_scale
    norms, n_pixels = zip(*surveys, strict=True)
    return choose_scale(hypot(*norms) / sqrt(sum(n_pixels)) if any(n_pixels) else 0.0, network.rescale)


def worker_estimator(estimator, probe):
    """What the workers need of the estimator."""
    worker = ConvSigmoidClassifier(**local_parameters(estimator)).set_params(random_state=None)
    worker.n_features_in_ = probe.n_features_in_
    return worker


def local_parameters(estimator):
    """The hyper-parameters that the local class has as well."""
    return {name: getattr(estimator, name) for name in ConvSigmoidClassifier._get_param_names()}


def make_recipe(estimator, worker, census, network, dtype, *, whole):
    """The recipe for problems, with factors of the weights that hold for all shards."""
    labels, factors = census.labels, np.ones(len(census.labels.classes))
    total, largest, n_positive = census.totals.sum(), census.largest, census.n_weighted
    if estimator.class_weight is not None:
        fitting.check_takes_class_weight(estimator.class_weight, labels)
        weights = census.weights.sum(axis=0)
        factors = fitting.class_factors(estimator.class_weight, labels, weights)
        total, n_positive = weights @ factors, census.n_positive[factors > 0].sum()
        largest = largest * factors.max() if total else 0.0
        check_total_weight(total, largest, dtype, "sample_weight times class_weight")
    factors = factors * fitting.raising_factor(total, n_positive)
    factors = None if (factors == 1).all() else factors
    return Recipe(worker, labels, network, dtype, factors, whole)


def class_shares(recipe, census):
    """Share of each class or label in the weight of all."""
    shares = census.weights.sum(axis=0) / census.totals.sum()
    if recipe.factors is None or recipe.labels.multilabel:
        return shares
    return shares * recipe.factors / (shares * recipe.factors).sum()


def shares_of_parts(recipe, census, parts):
    """Share of each part in the weight of all."""
    weights, totals = part_weights(census, parts)
    if recipe.factors is not None and not recipe.labels.multilabel:
        totals = weights @ recipe.factors
    return totals / totals.sum()


# ---- validation ----


def validation_shards(probe, cluster, recipe, n_replicas, validation, *, persist):
    """The caller's validation set on the cluster, or None."""
    names = ("X_val", "y_val", "sample_weight_val")
    if not any(map(is_lazy, validation)):
        holdout = read_validation_set(probe, recipe.network, recipe.labels, recipe.dtype, *validation)
        return None if holdout is None else GivenHoldout(cluster, holdout)
    X_val, y_val, sample_weight_val = validation
    if X_val is None or y_val is None:
        raise ValueError("A validation set is X_val and y_val, perhaps with sample_weight_val; one is missing.")
    chunks = read_chunks(probe, X_val, y_val, sample_weight_val, reset=False, names=names)
    census = take_census(count_chunks(cluster, chunks), names, one_class=True)
    check_total_weight(census.totals.sum(), census.largest, recipe.dtype, names[2])
    found = census.labels
    recipe.labels.encode(np.zeros((1, len(found.classes))) if found.multilabel else found.classes, names[1])
    n_parts = min(n_replicas, int(census.lengths.sum()))
    parts = deal(census.lengths, n_parts, np.arange(len(census.lengths)))
    reader = Reader(worker_estimator(probe, probe), names, chunks.dtype, recipe.network.image_shape)
    shards = (MemoryShards if persist else StreamShards)(cluster, chunks, reader, parts, mixed=False)
    if persist:
        cluster.attempt(shards.survey)
    shards.make_holdout(recipe)
    return shards


def draw_seed(generator):
    return int(generator.randint(np.iinfo(np.int32).max))


def choose_split(state, generator, in_memory, deal_seed):
    """The seed of the held-out part, as in the local fit; of several replicas that of the deal, on which it depends."""
    if not in_memory:
        raise ValueError(
            "early_stopping=True with persist=False needs a validation set, X_val and y_val: to score a part held out "
            "of X, all of X would have to be read again after every epoch."
        )
    if state.split_seed is None:
        state.split_seed = draw_seed(generator) if deal_seed is None else deal_seed
    return state.split_seed


def count_rounds(estimator, shards, plan, n_rows, in_memory):
    """Rounds of an epoch: one replica has nobody to wait for; a round has a batch or, of chunks not in memory, one."""
    if len(n_rows) == 1:
        return 1
    most = min(n_rows) // plan.batch_size if in_memory else min(map(len, shards.parts))
    return max(1, min(int(estimator.rounds_per_epoch), most))
