"""Predictions of a fitted network."""

import numpy as np
from sklearn.base import ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils.validation import check_is_fitted

from skcnn.images import read_images
from skcnn.kernels import LANES
from skcnn.threads import count_threads

# Of a single output's logit in the two classes' log odds against them.
_SIGNS = np.array([1, -1], dtype=np.int8)


class Predictions(ClassNamePrefixFeaturesOutMixin, TransformerMixin):
    """From images to labels, probabilities and features, by `_model`, a skcnn.model.Model."""

    def decision_function(self, X):
        """Logits: what the last sigmoid is taken of.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, height, width[, n_channels])
            Images as in `fit`.

        Returns
        -------
        scores : ndarray of shape (n_samples,), (n_samples, n_classes) or (n_samples, n_labels)
            For two classes, the logit of `classes_[1]`.

        Raises
        ------
        NotFittedError
            If there has been no `fit`.
        ValueError
            If X has another number of features, or holds NaN or infinity.
        """
        _, logits, _ = self._forward(X)
        return logits[:, 0] if logits.shape[1] == 1 else logits

    def _forward(self, X, *, with_hidden=False):
        """Labels, logits and, if wanted, hidden activations of images."""
        if not hasattr(self, "_model"):  # checking it is a part of what predicting one row takes
            check_is_fitted(self)
        model = self._model
        network, parameters = model.network.folded, model.folded
        X, _, _ = read_images(self, X, reset=False, image_shape=network.image_shape)
        if X.shape[1] != network.n_features:  # another thread is in `fit`
            raise ValueError(f"X has {X.shape[1]} features, but the network takes {network.n_features}.")
        n_threads = count_threads(self.n_jobs) if X.shape[0] > LANES else 1
        logits, hidden = network.forward(X, parameters, n_threads, with_hidden=with_hidden)
        if not np.isfinite(logits).all():
            raise ValueError(f"X holds values too large for {parameters.dtype.name}, in which this model computes.")
        return model.labels, logits, hidden

    def predict(self, X):
        """The most probable class of each image; of several labels a sample, those more probable than not.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, height, width[, n_channels])
            Images as in `fit`.

        Returns
        -------
        y : ndarray of shape (n_samples,) or (n_samples, n_labels)
            Labels from `classes_`, or an indicator of 0 and 1.

        Raises
        ------
        NotFittedError, ValueError
            As in `decision_function`.
        """
        labels, logits, _ = self._forward(X)
        return labels.decode(logits)

    def predict_log_proba(self, X):
        """Logarithms of the class probabilities; see `predict_proba`.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, height, width[, n_channels])
            Images as in `fit`.

        Returns
        -------
        log_p : ndarray of shape (n_samples, n_classes) or (n_samples, n_labels)
            In the order of `classes_`.

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
        # Without the row's largest, a common factor, first: where all are very small, their sum would be rounded away.
        log_p -= log_p.max(axis=1, keepdims=True)
        return log_p - np.logaddexp.reduce(log_p, axis=1, keepdims=True)

    def predict_proba(self, X):
        """Probabilities: the outputs' sigmoids, scaled to sum to 1 where there are more than two classes.

        The scaling is done on logarithms, so that a row whose sigmoids all vanish has probabilities too.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, height, width[, n_channels])
            Images as in `fit`.

        Returns
        -------
        p : ndarray of shape (n_samples, n_classes) or (n_samples, n_labels)
            In the order of `classes_`; rows sum to 1 unless a sample may have several labels.

        Raises
        ------
        NotFittedError, ValueError
            As in `decision_function`.
        """
        return np.exp(self.predict_log_proba(X))

    def transform(self, X):
        """The hidden activations: features for another estimator, an SVM say, that a Pipeline puts behind this one.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, height, width[, n_channels])
            Images as in `fit`.

        Returns
        -------
        hidden : ndarray of shape (n_samples, n_hidden)
            What the last layer hands on, activated and pooled, in the order (filter, row, column); with
            `global_pool` one value for each filter.

        Raises
        ------
        NotFittedError, ValueError
            As in `decision_function`.
        """
        return self._forward(X, with_hidden=True)[2]

    @property
    def _n_features_out(self):
        return self._model.network.n_hidden
