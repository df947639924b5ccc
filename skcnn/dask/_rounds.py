"""Rounds of training: what a replica does in one, how their results are merged, and the outer step.

All of it is pure: a round is a function of the base before it, of shards and generators, so that it can be computed
again, anywhere, with the same bits.
"""

from copy import deepcopy
from dataclasses import dataclass, replace

import numpy as np

from skcnn.network import Network, own
from skcnn.plan import Plan, useful_threads
from skcnn.state import State

# Nesterov's momentum of the outer step, with several replicas.
_MOMENTUM = 0.5


@dataclass(frozen=True)
class Base:
    """What all replicas start a round from.

    Parameters
    ----------
    state : State
        Without history.
    velocity : ndarray of shape (n_trainable,)
        Of the outer step, in float64.
    plan : Plan
        As the replicas need it.
    network : Network
    loss, weight : float
        Sums of the epoch's batches so far: of their losses times weights, and of weights.
    generator : numpy.random.RandomState or None
        The first replica's, after the round before.
    """

    state: State
    velocity: np.ndarray
    plan: Plan
    network: Network
    loss: float = 0.0
    weight: float = 0.0
    generator: np.random.RandomState | None = None

    @classmethod
    def of(cls, state, velocity, plan, network, n_replicas):
        """The base of an epoch's first round."""
        average = plan.average
        if average is not None:  # a replica sees one of `n_replicas` samples
            average = (state.t + (average[0] - state.t) / n_replicas, average[1])
        light = State(
            parameters=np.array(state.parameters),
            moments=state.moments.copy(),
            n_steps=state.n_steps,
            n_batches=state.n_batches,
            n_reductions=state.n_reductions,
            t=state.t,
            n_iter=state.n_iter,
            averages=None if state.averages is None else state.averages.copy(),
            n_averaged=state.n_averaged,
        )
        return cls(light, velocity, replace(plan, average=average), network)

    def __sizeof__(self):  # for Dask, which places tasks by the size of what they need
        state = self.state
        arrays = state.parameters, state.moments, state.averages, self.velocity
        return sum(array.nbytes for array in arrays if array is not None)

    def own_state(self):
        """A copy of the state to train: other tasks in this process may have the same base."""
        state = self.state
        return replace(
            state,
            parameters=own(state.parameters, state.parameters.dtype),
            moments=state.moments.copy(),
            averages=None if state.averages is None else state.averages.copy(),
        )

    def write_to(self, state):
        """Make the caller's state that of this base."""
        state.parameters[:] = self.state.parameters
        state.moments[:] = self.state.moments
        if state.averages is not None:
            state.averages[:] = self.state.averages
        for name in ("n_steps", "n_batches", "n_averaged"):
            setattr(state, name, getattr(self.state, name))


@dataclass(frozen=True)
class Outcome:
    """What a replica returns of a round, or the mean of several.

    Parameters
    ----------
    share : float
        Part of all replicas' sample weight.
    vector : ndarray
        Parameters, moments and averages.
    loss, weight : float
        Sums over batches, as in Base.
    counts : tuple of int
        n_steps, n_batches and n_averaged of the state.
    generator : numpy.random.RandomState
        After the round.
    base : Base or None
        Of the round, in the first replica's outcome, so that all of them together have what the next base needs.
    """

    share: float
    vector: np.ndarray
    loss: float
    weight: float
    counts: tuple
    generator: np.random.RandomState
    base: Base | None = None

    def __sizeof__(self):
        return self.vector.nbytes + (0 if self.base is None else self.base.__sizeof__())


def train_round(start, shard, share, generator, replica, n_replicas, number, n_rounds, threads):
    """Train a replica on part `number` of `n_rounds` of its shard's next epoch.

    Parameters
    ----------
    start : list of Base or list of Outcome
        The base of the round as the only element, or the outcomes of the round before.
    shard : MemoryShard or StreamShard
    share : float
        The shard's part of the sample weight.
    generator : numpy.random.RandomState
        As it was before the epoch; it is copied.
    replica, n_replicas : int
    number, n_rounds : int
    threads : Threads

    Returns
    -------
    outcome : Outcome
    """
    base = base_of(start, n_replicas)
    state, generator = base.own_state(), deepcopy(generator)
    plan = replace(base.plan, n_threads=useful_threads(threads.here(), base.network, base.plan.batch_size))
    loss, weight = shard.train(state, plan, generator, number, n_rounds)
    arrays = state.parameters, state.moments.ravel(), *([] if state.averages is None else [state.averages])
    counts = state.n_steps, state.n_batches, state.n_averaged
    return Outcome(share, np.concatenate(arrays), loss, weight, counts, generator, None if replica else base)


def base_of(start, n_replicas):
    """A round's base from its `start`, as in `train_round`."""
    return start[0] if isinstance(start[0], Base) else next_base(start[0].base, start, n_replicas)


def merge_outcomes(outcomes):
    """The mean of replicas' arrays by their shares, in float64 and in this order, and the sums of their losses.

    With a single outcome the arrays keep their values. Counts are the largest: shards differ by a batch.
    """
    total = sum(outcome.share for outcome in outcomes)
    vector, part = (np.zeros(len(outcomes[0].vector)) for _ in range(2))
    for outcome in outcomes:
        share = outcome.share / total if total > 0 else 1 / len(outcomes)  # without weight, all are as before the round
        vector += np.multiply(outcome.vector, share, out=part, dtype=np.float64)
    return Outcome(
        share=total,
        vector=vector,
        loss=sum(outcome.loss for outcome in outcomes),
        weight=sum(outcome.weight for outcome in outcomes),
        counts=tuple(map(max, zip(*(outcome.counts for outcome in outcomes), strict=True))),
        generator=outcomes[0].generator,
        base=outcomes[0].base,
    )


def next_base(base, outcomes, n_replicas):
    """The base of the next round: the outer step with Nesterov's momentum.

    With d the mean of the replicas' differences from the parameters::

        v = momentum * v + d;  parameters += d + momentum * v

    Douillard et al. (2023), "DiLoCo: distributed low-communication training of language models", algorithm 1, with an
    outer learning rate of 1. With one replica, the momentum is 0, and the state becomes the replica's.
    """
    state, merged = base.own_state(), merge_outcomes(outcomes)
    n_trainable, n_parameters = base.network.n_trainable, len(state.parameters)
    parameters, moments, averages = np.split(merged.vector, [n_parameters, n_parameters + state.moments.size])
    velocity = base.velocity
    if n_replicas > 1:
        before = state.parameters[:n_trainable].astype(np.float64)
        d = parameters[:n_trainable] - before
        velocity = _MOMENTUM * velocity + d
        parameters[:n_trainable] = before + d + _MOMENTUM * velocity
    state.parameters[:] = parameters
    state.moments[:] = moments.reshape(state.moments.shape)
    if state.averages is not None:
        state.averages[:] = averages
    state.n_steps, state.n_batches, state.n_averaged = merged.counts
    return replace(
        base,
        state=state,
        velocity=velocity,
        loss=base.loss + merged.loss,
        weight=base.weight + merged.weight,
        generator=merged.generator,
    )
