"""Passes over data on a cluster, with the interface of skcnn.passes.LocalPasses."""

import numpy as np
from distributed.scheduler import KilledWorker

from skcnn.dask._cluster import raise_explained
from skcnn.dask._rounds import Base, base_of, merge_outcomes, train_round
from skcnn.dask._shards import loss_of_shard, measure, merge_means, merge_measured, validate
from skcnn.losses import loss_of_means

# A replica's rows for statistics, at least.
_LEAST_ROWS = 1024

# Outcomes of which each replica makes the next base itself; of more, one task does, so that fewer are sent.
_FEW = 4


class DistributedPasses:
    """Passes over shards by tasks.

    Parameters
    ----------
    cluster : Cluster
    recipe : Recipe
    plan : Plan
    generator : numpy.random.RandomState
        Draws the order, shifts and flips of the samples in each epoch, or the seeds of the replicas' generators.
    shards : Shards
    n_samples : int
        Samples in an epoch.
    n_rounds : int
        Rounds of an epoch.
    shares : ndarray of shape (n_replicas,)
        Each shard's part of the sample weight.
    class_shares : ndarray of shape (n_classes,)
        Each class's or label's.
    validation : Shards, optional
        Those of the validation set.
    progress : Progress
    """

    def __init__(
        self, cluster, recipe, plan, generator, shards, n_samples, n_rounds, shares, class_shares, validation, progress
    ):
        self.cluster = cluster
        self.recipe = recipe
        self.network = recipe.network
        self.plan = plan
        self.generator = generator
        self.shards = shards
        self.n_samples = n_samples
        self.n_rounds = n_rounds
        self.shares = shares
        self.class_shares = class_shares
        self.validation = validation
        self.progress = progress
        self.velocity = np.zeros(self.network.n_trainable)

    @property
    def n_replicas(self):
        return len(self.shares)

    @property
    def largest_pixel(self):
        """The usual value: the largest one is not worth another pass over the data."""
        return self.network.input_scale / abs(self.network.rescale)

    @property
    def validates(self):
        return self.validation is not None

    # ---- training ----

    def train_epoch(self, state):
        """Run the rounds of an epoch; returns the weighted mean of the batches' losses, including the L2 penalty."""
        generators = [self.generator]
        if self.n_replicas > 1:
            seeds = self.generator.randint(2**31, size=self.n_replicas, dtype=np.int64)
            generators = [np.random.RandomState(seed) for seed in seeds]
        base = self._attempt(lambda: self._run_rounds(state, generators))
        base.write_to(state)
        self.velocity = base.velocity
        if self.n_replicas == 1:
            self.generator.set_state(base.generator.get_state())
        return base.loss / base.weight

    def _run_rounds(self, state, generators):
        """The base after an epoch. All of its rounds are submitted at once: one starts when another ends, elsewhere."""
        first = Base.of(state, self.velocity, self.plan, self.network, self.n_replicas)
        starts = [self.cluster.put("base", [first])]  # of each round, and the end of the last
        threads = self.cluster.threads(self.n_replicas)
        for number in range(self.n_rounds):
            outcomes = self.cluster.map(
                "train-round",
                train_round,
                [starts[-1]] * self.n_replicas,
                self.shards.futures,
                self.shares.tolist(),
                generators,
                list(range(self.n_replicas)),
                n_replicas=self.n_replicas,
                number=number,
                n_rounds=self.n_rounds,
                threads=threads,
            )
            merged = self.cluster.merge("merge-round", merge_outcomes, outcomes)
            if len(merged) > _FEW or number == self.n_rounds - 1:
                merged = [self.cluster.submit("next-base", base_of, merged, self.n_replicas)]
            starts.append(merged)
            del outcomes, merged  # the cluster keeps them as long as they are needed
        try:
            for number in range(self.n_rounds):
                self.cluster.wait(starts[1])
                if not _are_finished(starts[1]):
                    break
                del starts[0]
                self.progress.update(state.n_iter, number, self.n_rounds, self.n_samples)
            return self.cluster.results(starts[-1])[0]
        except KeyboardInterrupt:
            ended = list(filter(_are_finished, starts))
            if ended:  # the parameters of that moment
                base_of(self.cluster.results(ended[-1]), self.n_replicas).write_to(state)
            raise

    def announce(self, line):
        self.progress.announce(line)

    # ---- validation and statistics ----

    def validate(self, parameters):
        """Loss and score on the validation set."""
        results = self._gather("validate", validate, self.validation, parameters, recipe=self.recipe)
        return merge_means(results)[1:]

    def measure_filters(self, number, parameters, n_rows):
        """Mean and variance of each filter of a layer on about `n_rows` of the rows: (n_filters, 2)."""
        n_rows = max(min(n_rows, _LEAST_ROWS), n_rows // self.n_replicas)
        return self._measure(parameters, what=number, n_rows=n_rows)

    def measure_logits(self, parameters, n_rows=None):
        """Mean and variance of each logit on about `n_rows` of the rows, or on all: (n_outputs, 2)."""
        return self._measure(parameters, what="logits", n_rows=n_rows)

    def _measure(self, parameters, **keywords):
        return merge_measured(self._gather("measure", measure, self.shards, parameters, **keywords))[1]

    def constant_loss(self):
        """The loss of the best constant prediction, and how to compute that of the model."""
        labels, loss = self.recipe.labels, self.recipe.objective["loss"]
        shares = self.class_shares[1:] if labels.n_outputs == 1 else self.class_shares
        low, high = labels.smooth(np.array([False, True]), float(self.recipe.estimator.label_smoothing), float)
        means, mean_squares = (shares * high**power + (1 - shares) * low**power for power in (1, 2))

        def loss_of(parameters):
            return merge_means(self._gather("loss", loss_of_shard, self.shards, parameters))[1]

        return loss_of_means(means, mean_squares, loss), loss_of

    # ---- tasks ----

    def _gather(self, name, function, shards, parameters, **keywords):
        """The values of a function of each shard, the parameters and the threads of a task."""

        def attempt():
            futures = shards.futures
            [there] = self.cluster.put("parameters", [np.array(parameters)])
            threads = self.cluster.threads(len(futures))
            tasks = self.cluster.map(name, function, futures, [there] * len(futures), threads=threads, **keywords)
            return self.cluster.results(tasks)

        return self._attempt(attempt)

    def _attempt(self, function):
        """A function's value. If the cluster was restarted, the shards are made again and the function runs once more.

        What it has on the cluster is released if it is interrupted.
        """
        before = set(self.cluster.futures)
        try:
            return self.cluster.attempt(function, self._load_again)
        except BaseException as error:
            self.cluster.forget(set(self.cluster.futures) - before)
            if not isinstance(error, KilledWorker):
                raise
            shards = self.validation if "skcnn-validate-" in str(error.task) else self.shards
            raise_explained(error, shards.describe(error.task))

    def _load_again(self):
        self.shards.load()
        if self.validation not in (None, self.shards):
            self.validation.load()


def _are_finished(futures):
    return all(future.status == "finished" for future in futures)
