"""The state that training changes, and the part of it from which a later call resumes."""

from dataclasses import dataclass, field, replace
from math import inf, nan

import numpy as np

from skcnn.model import Checkpoint, Model
from skcnn.network import own


@dataclass
class State:
    """Parameters, the solver's moments, and the history."""

    parameters: np.ndarray
    moments: np.ndarray  # (2, n_trainable) for Adam, (1, n_trainable) for SGD
    n_steps: int = 0  # solver steps since the moments were zero
    n_batches: int = 0  # batches in the running averages
    n_reductions: int = 0  # of an adaptive learning rate
    t: int = 0  # samples seen
    n_iter: int = 0  # epochs of this call
    loss_curve: list = field(default_factory=list)
    best_loss: float = inf
    validation_loss_curve: list = field(default_factory=list)
    validation_scores: list = field(default_factory=list)
    best_score: float = -inf  # on the validation set; with early stopping, of the kept parameters
    best_parameters: np.ndarray | None = None  # with early stopping
    split_seed: int | None = None  # of the held-out part of X
    n_no_improvement: int = 0
    averages: np.ndarray | None = None  # (n_trainable,) of the parameters, if they are averaged
    n_averaged: int = 0  # steps in the averages
    statistics: np.ndarray | None = None  # those in the parameters when this call began
    final_parameters: np.ndarray | None = None  # of the model, once training has ended
    n_recorded: tuple = (0, 0, 0)  # entries of the history's lists, of complete epochs

    def __post_init__(self):
        self.n_recorded = self.lengths()

    def learnt_parameters(self):
        """Parameters of the model if training ended here: the averages, if there are any."""
        if self.averages is None:
            return self.parameters
        learnt = own(self.parameters, self.parameters.dtype)
        learnt[: len(self.averages)] = self.averages
        return learnt

    def with_own_lists(self):
        """A copy whose history no longer grows."""
        return replace(
            self,
            loss_curve=list(self.loss_curve),
            validation_loss_curve=list(self.validation_loss_curve),
            validation_scores=list(self.validation_scores),
        )

    @property
    def loss(self):
        return self.loss_curve[-1] if self.loss_curve else nan

    def record(self, loss, n_samples, plan, learnt, validation=None):
        """Record an epoch: its loss and, with a validation set, the (loss, score) on it.

        The loss, or with early stopping the score, decides whether the epoch improved on the best one by `tol`. Early
        stopping also keeps the best parameters.
        """
        done = {"n_iter": self.n_iter + 1, "t": self.t + n_samples, "best_loss": min(self.best_loss, loss)}
        self.loss_curve.append(loss)
        if validation is not None:
            done |= self.record_validation(*validation, plan, learnt)
        if not plan.early_stopping:
            done["n_no_improvement"] = self.n_no_improvement + 1 if loss > self.best_loss - plan.tol else 0
        # In one step: an interrupt leaves a whole number of epochs.
        vars(self).update(done | {"n_recorded": self.lengths()})

    def record_validation(self, loss, score, plan, learnt):
        self.validation_loss_curve.append(loss)
        self.validation_scores.append(score)
        done = {"best_score": max(self.best_score, score)}
        if plan.early_stopping:
            done["n_no_improvement"] = self.n_no_improvement + 1 if score < self.best_score + plan.tol else 0
            if score > self.best_score:
                done["best_parameters"] = own(learnt, learnt.dtype)
        return done

    def lengths(self):
        """Number of entries of the history's lists."""
        return len(self.loss_curve), len(self.validation_loss_curve), len(self.validation_scores)

    def drop_incomplete(self):
        """Drop what an interrupted `record` has left in the lists."""
        lists = self.loss_curve, self.validation_loss_curve, self.validation_scores
        for values, n_recorded in zip(lists, self.n_recorded, strict=True):
            del values[n_recorded:]


def zero_moments(network, solver, dtype):
    n_moments = 2 if solver == "adam" else 1
    return np.zeros((n_moments, network.n_trainable), dtype=dtype)


def initial_averages(estimator, network, parameters):
    return parameters[: network.n_trainable].copy() if estimator.average else None


def initial_state(estimator, network, generator, dtype):
    parameters = network.initial_parameters(estimator.init, generator, dtype)
    return State(
        parameters,
        zero_moments(network, estimator.solver, dtype),
        averages=initial_averages(estimator, network, parameters),
    )


def resumed_parameters(model, checkpoint, dtype):
    """The parameters to resume from, and their averages if the model has averages.

    Both are the checkpoint's, unless the model's parameters have been written to since; statistics are the model's.
    """
    averages, statistics = np.split(model.parameters, [model.network.n_trainable])
    if checkpoint.averages is not None and np.array_equal(checkpoint.averages, averages):
        return own(np.append(checkpoint.parameters[: len(averages)], statistics), dtype), averages.astype(dtype)
    return own(model.parameters, dtype), None


def resumed_state(estimator, network, labels, dtype, what):
    """The state in which the estimator's last fit ended, from which `what` ("warm_start" or "partial_fit") resumes.

    Raises
    ------
    ValueError
        If that fit had other classes or another network.
    """
    model, checkpoint = estimator._model, estimator._checkpoint
    last = model.labels
    if labels.multilabel != last.multilabel or not np.array_equal(labels.classes, last.classes):
        raise ValueError(
            f"{what} needs the classes of the last fit, {last.classes!r}; now they are {labels.classes!r}."
        )
    if network != model.network:
        then, now = model.network.to_state(), network.to_state()
        changes = [f"{name}={then[name]!r}, now {now[name]!r}" for name in now if now[name] != then[name]]
        raise ValueError(f"{what} needs the network of the last fit, which had {'; '.join(changes)}.")
    zeros = zero_moments(network, estimator.solver, dtype)
    moments = checkpoint.moments
    kept = moments is not None and moments.shape == zeros.shape
    parameters, averages = resumed_parameters(model, checkpoint, dtype)
    n_averaged = checkpoint.n_averaged
    if averages is None or not estimator.average:
        averages, n_averaged = initial_averages(estimator, network, parameters), 0
    warm = what == "warm_start"
    # After early stopping, these parameters are the best ones so far, which later ones must beat.
    best_score = checkpoint.best_score if warm and estimator.early_stopping else None
    return State(
        parameters=parameters,
        moments=moments.astype(dtype) if kept else zeros,
        n_steps=checkpoint.n_steps if kept else 0,
        n_batches=checkpoint.n_batches,
        # As in MLPClassifier, fit starts with the initial learning rate, and partial_fit continues with the last.
        n_reductions=0 if warm else checkpoint.n_reductions,
        t=estimator.t_,
        # The history of a stream may be long and only grows, so it is not copied for each chunk.
        loss_curve=list(estimator.loss_curve_) if warm else estimator.loss_curve_,
        best_loss=inf if estimator.best_loss_ is None else estimator.best_loss_,
        validation_loss_curve=list(estimator.validation_loss_curve_ or []),
        validation_scores=list(estimator.validation_scores_ or []),
        best_score=-inf if best_score is None else best_score,
        best_parameters=None if best_score is None else own(parameters, dtype),
        split_seed=checkpoint.split_seed,
        n_no_improvement=checkpoint.n_no_improvement,
        averages=averages,
        n_averaged=n_averaged,
    )


def fitted_attributes(labels, plan, state, network, *, keep_moments=False):
    """The attributes that the estimator stores of a state; names of public ones end in _."""
    stopped_early = plan.early_stopping and state.best_parameters is not None
    keep_averages = keep_moments and state.averages is not None and not stopped_early
    best_score = state.best_score if stopped_early else max(state.validation_scores, default=None)
    return {
        "n_iter_": state.n_iter,
        "t_": state.t,
        "learning_rate_": plan.learning_rate(state.t, state.n_reductions),
        "best_loss_": None if plan.early_stopping else state.best_loss,
        "loss_curve_": state.loss_curve,
        "validation_loss_curve_": state.validation_loss_curve or None,
        "validation_scores_": state.validation_scores or None,
        "best_validation_score_": best_score,
        "_model": Model(network, state.final_parameters, labels),
        "_checkpoint": Checkpoint(
            moments=state.moments if keep_moments else None,
            parameters=state.parameters if keep_averages else None,
            averages=state.averages if keep_averages else None,
            n_averaged=state.n_averaged if keep_averages else 0,
            n_steps=state.n_steps,
            n_batches=state.n_batches,
            n_reductions=state.n_reductions,
            n_no_improvement=0 if plan.n_iter_no_change == inf else state.n_no_improvement,  # had no limit
            best_score=state.best_score if stopped_early else None,
            split_seed=state.split_seed,
        ),
    }
