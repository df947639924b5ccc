"""The training loop: epoch after epoch until nothing improves, whatever makes the passes over the data."""

from math import inf
from time import monotonic
from types import SimpleNamespace

import numpy as np
from sklearn.exceptions import ConvergenceWarning

from skcnn.network import own
from skcnn.notices import warn
from skcnn.statistics import has_statistics, recompute_statistics, update_running

# The loss of the best constant if all labels are equal, up to rounding.
_ROUNDING = 1e-9

# No parameter of a network that has learnt something is as large.
_FAR_AWAY = 1e3

# Seconds within which a second interrupt is not taken for one of another fit.
_AGAIN = 3.0

# When a fit was last interrupted. Python delivers interrupts to the main thread alone.
_interrupt = SimpleNamespace(seconds=-inf)


class Observer:
    """Follows the epochs and may end training."""

    def begin(self, state):
        """Called before an epoch."""

    def end(self, state):
        """Called after an epoch; True stops training."""
        return False


def fit_loop(passes, state, plan, observer=None):
    """Train until nothing improves, the observer stops training, or `plan.max_iter` epochs have passed.

    An interrupt ends training as well; a second one soon after is raised.

    Parameters
    ----------
    passes : LocalPasses
        Or another object with its interface.
    state : State
        Changed in place; its `final_parameters` are those of the model.
    plan : Plan
    observer : Observer, optional

    Raises
    ------
    ValueError
        If the loss or a parameter is no longer finite.
    """
    state.statistics = state.parameters[passes.network.n_trainable :].copy()
    try:
        if state.best_parameters is not None:  # of an earlier fit, perhaps with another validation set
            _, state.best_score = passes.validate(state.best_parameters)
        ended = train(passes, state, plan, observer or Observer())
        state.final_parameters = final_parameters(passes, state, plan)
        if not ended:
            warn(
                f"Maximum iterations ({plan.max_iter}) reached and the optimization hasn't converged yet.",
                ConvergenceWarning,
            )
        if state.loss_curve and not plan.incremental:
            warn_if_nothing_was_learnt(passes, state, plan)
    except KeyboardInterrupt:
        if interrupted_again():
            raise
        state.drop_incomplete()
        check_finite(plan, state.loss if state.loss_curve else 0.0, state.parameters, state.moments)
        stopped_early = plan.early_stopping and state.best_parameters is not None
        state.final_parameters = state.best_parameters if stopped_early else interrupted_parameters(passes, state, plan)
        warn(
            f"Training interrupted by user; the model has the parameters of that moment. Another interrupt within "
            f"{_AGAIN:g} seconds, be it in another fit, is raised as KeyboardInterrupt."
        )


def interrupted_again():
    """Whether the user interrupts for a second time, to end a grid search or a loop and not only one of its fits."""
    before, _interrupt.seconds = _interrupt.seconds, monotonic()
    return _interrupt.seconds - before < _AGAIN


def warn_if_nothing_was_learnt(passes, state, plan):
    """Warn if the model's loss is no less than that of the best constant prediction, the classes' frequencies.

    The last epoch's loss includes the penalty and was taken while parameters still improved, so if it is small enough,
    the model's loss is as well. This does not hold for a model kept by early stopping, nor with batch normalisation,
    which uses other statistics in training, nor if a last step at a large rate threw the parameters far away: their
    loss is computed. Standardised logits cannot be nearly constant, so their loss is not compared.

    Raises
    ------
    ValueError
        If logits of the training set overflow the parameters' dtype.
    """
    if passes.network.standardize:
        return
    constant, loss_of = passes.constant_loss()
    is_bound = not plan.early_stopping and not passes.network.batch_norm
    is_bound = is_bound and np.abs(state.final_parameters).max() < _FAR_AWAY
    if state.loss < constant and is_bound:
        return
    loss = loss_of(state.final_parameters)
    check_finite(plan, loss, state.final_parameters)
    if loss >= constant > _ROUNDING:
        warn(
            f"The network learnt little or nothing: its loss on the training set, {loss:.4g}, is no less than "
            f"{constant:.4g}, that of predicting each class as often as it comes, whatever the image. Try "
            f"StandardScaler or rescale, another learning_rate_init, a smaller alpha, more epochs (max_iter, "
            f"n_iter_no_change) or more images, and have a look at X and y.",
            ConvergenceWarning,
        )


def final_parameters(passes, state, plan):
    """The parameters of the model if training ends in this state."""
    if plan.early_stopping and state.best_parameters is not None:
        return state.best_parameters
    return settled_parameters(passes, state, plan)


def settled_parameters(passes, state, plan, *, promptly=False):
    """The learnt parameters with the statistics for predictions, if `promptly` measured on fewer rows.

    Raises
    ------
    ValueError
        If the statistics are not finite in the parameters' dtype: values divided by them would be 0.
    """
    network = passes.network
    if plan.incremental and network.batch_norm:
        update_running(passes, state, plan, promptly=promptly)
    parameters = own(state.learnt_parameters(), state.parameters.dtype)
    if not plan.incremental:
        recompute_statistics(passes, parameters, promptly=promptly)
    if has_statistics(network):
        check_finite(plan, 0.0, parameters)
    return parameters


def interrupted_parameters(passes, state, plan):
    """Parameters of the model after an interrupt, at once: with running statistics, and few rows for filters."""
    if passes.network.batch_norm:
        return settled_parameters(passes, state, plan, promptly=True)
    return state.learnt_parameters()


def train(passes, state, plan, observer):
    """Train epoch after epoch; returns whether training ended as intended, not for lack of epochs."""
    for _ in range(plan.max_iter):
        observer.begin(state)
        loss = passes.train_epoch(state)
        check_finite(plan, loss, state.parameters, state.moments)
        # Evaluate before recording anything, so that an interrupt leaves as many scores as losses.
        learnt = validation = None
        if passes.validates:
            learnt = state.learnt_parameters()
            validation = evaluate(passes, learnt, plan)
        state.record(loss, passes.n_samples, plan, learnt, validation)
        if plan.verbose:
            passes.announce(f"Iteration {state.n_iter}, loss = {loss:.8f}")
            if validation is not None:
                passes.announce(f"Validation score: {validation[1]:f}")
        if observer.end(state) or (
            state.n_no_improvement > plan.n_iter_no_change and reduce_or_stop(passes, state, plan)
        ):
            return True
    return plan.incremental or plan.anneals


def evaluate(passes, parameters, plan):
    """Loss and score on the validation set if training ended with these parameters."""
    recompute_statistics(passes, parameters)
    if has_statistics(passes.network):
        check_finite(plan, 0.0, parameters)
    return passes.validate(parameters)


def reduce_or_stop(passes, state, plan):
    """Reduce an adaptive learning rate after too many epochs without improvement; returns whether to stop instead."""
    message = (
        f"{'Validation score' if plan.early_stopping else 'Training loss'} did not improve more than "
        f"tol={plan.tol:f} for {plan.n_iter_no_change} consecutive epochs."
    )
    reduced = plan.may_reduce(state.t, state.n_reductions)
    if reduced:
        state.n_reductions += 1
        state.n_no_improvement = 0
        outcome = f"Setting learning rate to {plan.learning_rate(state.t, state.n_reductions):f}"
    else:
        outcome = "Learning rate too small. Stopping." if plan.schedule == "adaptive" else "Stopping."
    if plan.verbose:
        passes.announce(f"{message} {outcome}")
    return not reduced


def check_predicts(passes, plan, model):
    """Check that the images of the training set cannot make a layer overflow."""
    if model.largest_pixel < passes.largest_pixel:
        raise diverged(plan, f"its layers overflow for pixels of {model.largest_pixel:.3g} and more")


def check_finite(plan, loss, *arrays):
    """Check the loss, parameters and the solver's moments: one that is infinite would end the training of a parameter.

    Raises
    ------
    ValueError
        If one is not finite.
    """
    if not np.isfinite(loss) or not all(np.isfinite(array).all() for array in arrays):
        raise diverged(plan, "the loss, a parameter or a moment of its gradient is no longer finite")


def diverged(plan, how):
    return ValueError(
        f"Training diverged: {how}. Lower learning_rate_init={plan.solver['learning_rate']!r} or alpha, or scale X "
        f"(see rescale)."
    )
