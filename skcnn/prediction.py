"""Predictions and features of a fitted network."""

import numpy as np
from sklearn.base import ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils.validation import check_is_fitted

from skcnn.images import read_images
from skcnn.kernels import LANES
from skcnn.threads import count_threads

# Signs of a single output's logit in the log odds against each of the two classes.
_SIGNS = np.array([1, -1], dtype=np.int8)


class Predictions(ClassNamePrefixFeaturesOutMixin, TransformerMixin):
    """Mixin for predictions and features from `_model`, a skcnn.model.Model."""

    def decision_function(self, X):
        """Compute logits, the inputs of the output sigmoids.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, height, width[, n_channels])
            Images as in `fit`.

        Returns
        -------
        scores : ndarray of shape (n_samples,), (n_samples, n_classes) or (n_samples, n_labels)
            Logits; for two classes, of `classes_[1]`.

        Raises
        ------
        NotFittedError
            If there has been no `fit`.
        ValueError
            If X does not match the training data, or contains NaN, infinity or values too large for the model's dtype.
        """
        _, logits, _ = self._forward(X)
        return logits[:, 0] if logits.shape[1] == 1 else logits

    def _forward(self, X, *, with_hidden=False):
        """Labels, logits and, if requested, hidden activations of images."""
        if not hasattr(self, "_model"):  # `check_is_fitted` would be a noticeable part of a one-row prediction
            check_is_fitted(self)
        model = self._model
        network, parameters = model.network.folded, model.folded
        X, _, _ = read_images(self, X, reset=False, model=model)
        if X.shape[1] != network.n_features:  # if another thread is in `fit`
            raise ValueError(f"X has {X.shape[1]} features, but the network takes {network.n_features}.")
        n_threads = count_threads(self.n_jobs) if X.shape[0] > LANES else 1
        logits, hidden = network.forward(X, parameters, n_threads, with_hidden=with_hidden)
        if not np.isfinite(logits).all():
            raise ValueError(
                f"X holds values too large for {parameters.dtype.name}, in which this model computes, or one of its "
                "parameters is not finite."
            )
        return model.labels, logits, hidden

    def predict(self, X):
        """Predict the most probable class of each image or, with multilabel targets, labels of probability above 1/2.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, height, width[, n_channels])
            Images as in `fit`.

        Returns
        -------
        y : ndarray of shape (n_samples,) or (n_samples, n_labels)
            Labels from `classes_`, or a column of 0 and 1 for each label.

        Raises
        ------
        NotFittedError, ValueError
            As in `decision_function`.
        """
        labels, logits, _ = self._forward(X)
        return labels.decode(logits)

    def predict_log_proba(self, X):
        """Compute the logarithms of `predict_proba`.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, height, width[, n_channels])
            Images as in `fit`.

        Returns
        -------
        log_p : ndarray of shape (n_samples, n_classes) or (n_samples, n_labels)
            Logarithms, with columns in the order of `classes_`.

        Raises
        ------
        NotFittedError, ValueError
            As in `decision_function`.
        """
        labels, logits, _ = self._forward(X)
        if labels.n_outputs == 1:
            return -np.logaddexp(0, logits * _SIGNS)
        log_p = -np.logaddexp(0, -logits)
        if labels.multilabel:
            return log_p
        # The row's maximum, a common factor, goes first: large negative logarithms would be rounded too coarsely.
        log_p -= log_p.max(axis=1, keepdims=True)
        return log_p - np.logaddexp.reduce(log_p, axis=1, keepdims=True)

    def predict_proba(self, X):
        """Compute probabilities: the outputs' sigmoids, scaled to sum to 1 for more than two classes.

        The scaling works on logarithms, so rows whose sigmoids all underflow have correct probabilities as well.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, height, width[, n_channels])
            Images as in `fit`.

        Returns
        -------
        p : ndarray of shape (n_samples, n_classes) or (n_samples, n_labels)
            Columns in the order of `classes_`; rows sum to 1, except with multilabel targets.

        Raises
        ------
        NotFittedError, ValueError
            As in `decision_function`.
        """
        return np.exp(self.predict_log_proba(X))

    def transform(self, X):
        """Compute hidden activations, as features for another estimator that follows in a Pipeline, such as an SVM.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, height, width[, n_channels])
            Images as in `fit`.

        Returns
        -------
        hidden : ndarray of shape (n_samples, n_hidden)
            Output of the last convolutional layer after activation and pooling, in the order (filter, row, column);
            with `global_pool`, one value for each filter.

        Raises
        ------
        NotFittedError, ValueError
            As in `decision_function`.
        """
        return self._forward(X, with_hidden=True)[2]

    @property
    def _n_features_out(self):
        return self._model.network.n_hidden
