"""The steps of `fit` and `partial_fit`: make a problem, a plan and a state, train, and store the result.

The estimator is written to once, at the very end, so an error leaves an earlier fit intact.
"""

from dataclasses import replace

import numpy as np
from sklearn.utils import check_random_state

from skcnn.callbacks import EpochCallbacks
from skcnn.holdout import hold_out, read_validation_set
from skcnn.images import check_squares, measure_scale, read_images, warn_about_shape
from skcnn.kernels import LOSSES
from skcnn.network import make_network
from skcnn.passes import LocalPasses, Problem
from skcnn.plan import make_plan
from skcnn.state import fitted_attributes, initial_state, resumed_state
from skcnn.targets import check_labels, find_labels, find_partial_labels
from skcnn.threads import count_threads
from skcnn.training import check_predicts, final_parameters, fit_loop
from skcnn.validation import check_fits_dtype, check_parameters, check_sample_weight, fit_weights

# Weights with at most this sum, 1 up to rounding, are taken for a distribution over the samples.
_DISTRIBUTION = 1.001

# rescale="auto" for uint8.
_BYTES_RESCALE = 1 / 255

# Attributes that scikit-learn's validation sets from X; the second only for named columns.
_NOTED = ("n_features_in_", "feature_names_in_")


def fit(estimator, X, y, sample_weight=None, validation=(None, None, None), observer=None):
    """`ConvSigmoidClassifier.fit`; `validation` is (X_val, y_val, sample_weight_val), `observer` follows the epochs."""
    check_parameters(estimator)
    probe = metadata_probe(estimator)
    resuming = estimator.warm_start and hasattr(estimator, "_model")
    pixels, y_read, given_shape = read_images(probe, X, y, reset=not resuming)
    y_read = check_labels(y_read)
    labels = find_labels(y_read)
    dtype = training_dtype(pixels.dtype)
    weights = check_sample_weight(sample_weight, len(pixels), dtype)
    network = network_for(probe, pixels, weights, labels, given_shape, resuming)
    generator = check_random_state(estimator.random_state)
    if resuming:
        state = resumed_state(estimator, network, labels, dtype, "warm_start")
    else:
        state = initial_state(estimator, network, generator, dtype)
    holdout = read_validation_set(probe, network, labels, dtype, *validation)
    problem = make_problem(
        estimator, pixels, y_read, final_weights(estimator, labels, y_read, weights), labels, network
    )
    if estimator.early_stopping and holdout is None:
        # A warm start keeps the split: samples of another one would have been trained on.
        if state.split_seed is None:
            state.split_seed = int(generator.randint(np.iinfo(np.int32).max))
        problem, holdout = hold_out(float(estimator.validation_fraction), state.split_seed, problem, weights)
    plan = make_plan(estimator, network, len(problem.rows), count_threads(estimator.n_jobs), incremental=False)
    passes = LocalPasses(problem, plan, generator, holdout)
    run(estimator, probe, labels, passes, state, plan, (X, y, sample_weight), observer=observer)


def run(estimator, probe, labels, passes, state, plan, given, *, observer=None, extra=None):
    """Train and store the result, with `extra` attributes.

    Callbacks see `given`, (X, y, sample_weight).
    """

    def attributes_of(state):
        parameters = final_parameters(passes, state, plan)
        state = replace(state, final_parameters=parameters).with_own_lists()
        return noted(probe) | fitted_attributes(labels, plan, state, passes.network)

    callbacks = EpochCallbacks.of(estimator, plan.max_iter) if observer is None else None
    if callbacks is not None:
        observer = callbacks.begin_fit(*given, attributes_of)
    fit_loop(passes, state, plan, observer)
    attributes = fitted_attributes(labels, plan, state, passes.network, keep_moments=bool(estimator.warm_start))
    check_predicts(passes, plan, attributes["_model"])
    store(estimator, noted(probe) | attributes | (extra or {}))
    if callbacks is not None:
        callbacks.end_fit()


def partial_fit(estimator, X, y, sample_weight, classes):
    """`ConvSigmoidClassifier.partial_fit`."""
    check_parameters(estimator)
    if estimator.early_stopping:
        raise ValueError("partial_fit does not support early_stopping=True, as it never sees all the data.")
    if estimator.learning_rate == "cosine":
        raise ValueError(
            "partial_fit does not support learning_rate='cosine', because it has no last epoch; use "
            "learning_rate='constant' with average=True."
        )
    if isinstance(estimator.class_weight, str):
        raise ValueError(
            f"partial_fit does not support class_weight={estimator.class_weight!r}, as it never sees all the data; "
            "it takes a dict of weights."
        )
    probe = metadata_probe(estimator)
    resuming = hasattr(estimator, "_model")
    X, y, given_shape = read_images(probe, X, y, reset=not resuming)
    y = check_labels(y, has_classes=resuming or classes is not None)
    labels = find_partial_labels(estimator if resuming else None, y, classes)
    dtype = estimator._model.parameters.dtype if resuming else training_dtype(X.dtype)
    weights = check_sample_weight(sample_weight, len(X), dtype)
    network = network_for(probe, X, weights, labels, given_shape, resuming)
    generator = check_random_state(estimator.random_state)
    if resuming:
        state = resumed_state(estimator, network, labels, dtype, "partial_fit")
    else:
        state = initial_state(estimator, network, generator, dtype)
    problem = make_problem(estimator, X, y, final_weights(estimator, labels, y, weights), labels, network)
    plan = make_plan(estimator, network, X.shape[0], count_threads(estimator.n_jobs), incremental=True)
    passes = LocalPasses(problem, plan, generator)
    n_epochs, before = len(state.loss_curve), vars(estimator).get("_model")
    try:
        fit_loop(passes, state, plan)
        attributes = fitted_attributes(labels, plan, state, network, keep_moments=True)
        check_predicts(passes, plan, attributes["_model"])
        store(estimator, noted(probe) | attributes)
    except BaseException:
        # The list is the estimator's own, which is to be as before.
        if vars(estimator).get("_model") is before:
            del state.loss_curve[n_epochs:]
        raise


def network_for(estimator, X, weights, labels, given_shape, resuming):
    """The network to train on X; a resumed call keeps the earlier shape and scale of the pixels."""
    if estimator.image_shape is None and not resuming:
        warn_about_shape(X.dtype, X.shape[1], given_shape)
    shape = resumed_shape(estimator, given_shape, resuming)
    rescale = pixel_factor(estimator, X.dtype, resuming)
    scale = estimator._model.network.input_scale if resuming else measure_scale(X, weights, rescale)
    return make_network(estimator, X.shape[1], labels.n_outputs, shape, (rescale, scale))


def resumed_shape(estimator, given_shape, resuming):
    """The shape in which images were passed; a call that is resumed with rows has that of the earlier call."""
    goes_on = resuming and given_shape is None and estimator.image_shape is None
    return estimator.image_shape_ if goes_on else given_shape


def pixel_factor(estimator, dtype, resuming):
    """The factor of pixels of a dtype; a resumed call keeps what "auto" was in the earlier one."""
    rescale = estimator.rescale
    if isinstance(rescale, str):
        rescale = estimator._model.network.rescale if resuming else _BYTES_RESCALE if dtype == np.uint8 else 1.0
    check_fits_dtype(estimator, rescale, training_dtype(dtype))
    return float(rescale)


def training_dtype(dtype):
    """The dtype of parameters for pixels of one of skcnn.images.DTYPES."""
    return np.dtype(np.float64 if dtype == np.float64 else np.float32)


def make_problem(estimator, X, y, weights, labels, network):
    """The problem of learning all rows of X with their `final_weights`."""
    check_squares(X, network.rescale, weights.dtype)
    return Problem(
        X=X,
        targets=labels.smooth(labels.encode(y), float(estimator.label_smoothing), weights.dtype),
        sample_weight=weights,
        rows=np.arange(X.shape[0], dtype=np.intp),
        labels=labels,
        network=network,
        objective={"loss": LOSSES[estimator.loss], "alpha": float(estimator.alpha)},
    )


def final_weights(estimator, labels, y, weights):
    """Sample weights times class weights, raised if they sum to 1 or less."""
    return raise_weights(weigh_classes(estimator.class_weight, labels, y, weights))


def raise_weights(weights):
    """Weights times their `raising_factor`."""
    factor = raising_factor(weights.sum(dtype=np.float64), np.count_nonzero(weights))
    return weights if factor == 1 else (weights * factor).astype(weights.dtype)


def raising_factor(total, n_positive):
    """Factor that scales weights which sum to 1 or less, as a distribution does, to mean 1 without the zeros.

    The penalty is divided by a batch's summed weight, so such weights would make it stronger by the number of samples.
    Integer weights, which stand for copies, sum to more, or are a single 1 and stay as they are.
    """
    return 1.0 if total > _DISTRIBUTION else n_positive / total


def weigh_classes(class_weight, labels, y, weights):
    """Sample weights times class weights; "balanced" gives all classes the same total weight."""
    if class_weight is None:
        return weights
    check_takes_class_weight(class_weight, labels)
    targets = labels.encode(y)
    codes = targets.argmax(axis=1) if labels.n_outputs > 1 else targets[:, 0].astype(np.intp)
    totals = np.bincount(codes, weights, minlength=len(labels.classes)) if isinstance(class_weight, str) else None
    with np.errstate(over="ignore"):
        weighed = weights * class_factors(class_weight, labels, totals)[codes]
        return fit_weights(weighed, weights.dtype, "sample_weight times class_weight")


def check_takes_class_weight(class_weight, labels):
    if labels.multilabel:
        raise ValueError(
            f"class_weight={class_weight!r} is for single-label targets, and y is multilabel; use sample_weight."
        )


def class_factors(class_weight, labels, totals):
    """Factor of each class; `totals`, the summed sample weights of each, are for "balanced"."""
    classes = labels.classes.tolist()
    if isinstance(class_weight, str):
        return np.divide(totals.sum(), len(classes) * totals, out=np.zeros(len(classes)), where=totals > 0)
    unknown = [label for label in class_weight if label not in classes]
    if unknown:
        raise ValueError(f"class_weight has weights of {unknown}, but the classes are {classes}.")
    return np.array([float(class_weight.get(label, 1.0)) for label in classes])


def metadata_probe(estimator):
    """A copy of the estimator, in which scikit-learn's validation sets the number and names of X's columns."""
    probe = object.__new__(type(estimator))
    vars(probe).update(vars(estimator))
    return probe


def noted(probe):
    """The attributes that scikit-learn's validation set."""
    return {name: getattr(probe, name) for name in _NOTED if hasattr(probe, name)}


def store(estimator, attributes):
    """Store all fitted attributes in the estimator; what other threads give it meanwhile is kept.

    An interrupt before the last step leaves the model before, of which only the names of columns can be lost.
    """
    for name in _NOTED:
        if name not in attributes:
            vars(estimator).pop(name, None)
    vars(estimator).update(attributes)
