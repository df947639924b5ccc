"""The fitted model that exports read, with normalisation and standardisation folded into the weights."""

import numpy as np
from sklearn.utils.validation import check_is_fitted

from skcnn.classifier import ConvSigmoidClassifier
from skcnn.layers import Standardization


def fitted_model(
    estimator,
    advice="Of a search, pass its best_estimator_; of a Pipeline the last step, pipeline[-1], which reads what "
    "pipeline[:-1].transform(X) returns.",
):
    """The skcnn.model.Model of a fitted classifier; `advice` ends the error for any other estimator."""
    if not isinstance(estimator, ConvSigmoidClassifier):
        raise TypeError(f"estimator must be a fitted ConvSigmoidClassifier; got {type(estimator).__name__}. {advice}")
    check_is_fitted(estimator)
    return estimator._model


def dense_arrays(model):
    """Weights (n_outputs, n_filters, height, width) and intercepts (n_outputs,), with standardisation folded in."""
    network = model.network.folded
    views = network.views(model.folded)
    weights, intercepts = views["weights"], views["intercepts"]
    if network.standardize:
        deviations = Standardization.deviations(views["running_variances"])
        with np.errstate(over="ignore"):
            intercepts = ((intercepts.astype(np.float64) - views["running_means"]) / deviations).astype(weights.dtype)
            weights = (weights / deviations[:, np.newaxis]).astype(weights.dtype)
        if not (np.isfinite(weights).all() and np.isfinite(intercepts).all()):
            raise ValueError(
                f"The dense layer's weights, over the logits' deviations {deviations}, exceed the range of "
                f"{weights.dtype.name}."
            )
    height, width, n_filters = network.hidden_shape
    return weights.reshape(network.n_outputs, n_filters, height, width), intercepts


def has_bias(network, intercepts):
    """Whether a layer needs a bias: if intercepts are learnt, or normalisation was folded into them."""
    return network.fit_intercept or bool(intercepts.any())
