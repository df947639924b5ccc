"""DaskConvSigmoidClassifier: the classifier for data on a Dask cluster."""

import asyncio
from inspect import Parameter, signature

from sklearn.utils.metaestimators import available_if

from skcnn.callbacks import with_callbacks
from skcnn.classifier import ConvSigmoidClassifier
from skcnn.dask._chunks import is_lazy
from skcnn.dask._cluster import is_asynchronous, open_client
from skcnn.dask._fitting import fit, local_parameters
from skcnn.dask._predictions import predict_lazily, score


def _with_local_parameters(init):
    """Give a constructor the signature of the local class's, with its own parameters last."""
    own = [one for one in signature(init).parameters.values() if one.kind is Parameter.KEYWORD_ONLY]
    local = signature(ConvSigmoidClassifier.__init__).parameters.values()
    init.__signature__ = signature(init).replace(parameters=[*local, *own])
    return init


def _no_partial_fit(estimator):
    raise AttributeError("DaskConvSigmoidClassifier has no partial_fit: fit with warm_start=True continues a fit.")


# Features of dask arrays remain dask arrays, whatever `set_output` says; those of arrays are the local class's.
class DaskConvSigmoidClassifier(ConvSigmoidClassifier, auto_wrap_output_keys=None):
    """ConvSigmoidClassifier for dask arrays and data frames, trained by several workers."""

    @_with_local_parameters
    def __init__(self, *args, n_replicas="auto", rounds_per_epoch=4, persist=True, client=None, **parameters):
        super().__init__(*args, **parameters)
        self.n_replicas = n_replicas
        self.rounds_per_epoch = rounds_per_epoch
        self.persist = persist
        self.client = client

    # ---- the client, which is no hyper-parameter ----

    @classmethod
    def _get_param_names(cls):
        return [name for name in super()._get_param_names() if name != "client"]

    @property
    def client(self):
        """The client of the cluster to use; None is the default one or, within a task, that of its worker."""
        return getattr(self, "_client", None)

    @client.setter
    def client(self, client):
        self._client = client

    def __getstate__(self):
        state = super().__getstate__()
        state.pop("_client", None)
        return state

    # ---- fitting ----

    def fit(self, X, y, sample_weight=None, *, X_val=None, y_val=None, sample_weight_val=None):
        given = X, y, sample_weight, (X_val, y_val, sample_weight_val)
        if is_asynchronous(self.client):
            return asyncio.to_thread(self._fit, *given)
        return self._fit(*given)

    @with_callbacks
    def _fit(self, X, y, sample_weight, validation):
        with open_client(self.client) as client:
            fit(self, client, X, y, sample_weight, validation)
        return self

    @available_if(_no_partial_fit)
    def partial_fit(self):
        """Not available: see `warm_start`."""

    def to_local(self):
        """An ordinary classifier with the same hyper-parameters and, once fitted, the same model.

        Returns
        -------
        estimator : ConvSigmoidClassifier
            It shares no state with this one.
        """
        local = ConvSigmoidClassifier(**local_parameters(self))
        if self.__sklearn_is_fitted__():
            state = self.__getstate__()
            local.__setstate__({name: value for name, value in state.items() if name not in _OWN})
        return local

    # ---- predictions ----

    def decision_function(self, X):
        if not is_lazy(X):
            return super().decision_function(X)
        n_outputs = self.n_outputs_
        return self._lazily("decision_function", X, () if n_outputs == 1 else (n_outputs,))

    def predict(self, X):
        if not is_lazy(X):
            return super().predict(X)
        labels = self._fitted_model().labels
        if labels.multilabel:
            return self._lazily("predict", X, (len(labels.classes),), int)
        return self._lazily("predict", X, (), labels.classes.dtype)

    def predict_log_proba(self, X):
        if not is_lazy(X):
            return super().predict_log_proba(X)
        return self._lazily("predict_log_proba", X, (len(self.classes_),))

    def predict_proba(self, X):
        if not is_lazy(X):
            return super().predict_proba(X)
        return self._lazily("predict_proba", X, (len(self.classes_),))

    def transform(self, X):
        if not is_lazy(X):
            return super().transform(X)
        return self._lazily("transform", X, (self._network.n_hidden,))

    def _lazily(self, method, X, tail, dtype=None):
        return predict_lazily(self.to_local(), method, X, tail, dtype or self._parameters.dtype)

    def score(self, X, y, sample_weight=None):
        if not any(map(is_lazy, (X, y, sample_weight))):
            return super().score(X, y, sample_weight)
        self._fitted_model()
        if is_asynchronous(self.client):
            return asyncio.to_thread(self._score, X, y, sample_weight)
        return self._score(X, y, sample_weight)

    def _score(self, X, y, sample_weight):
        with open_client(self.client) as client:
            return score(self.to_local(), client, X, y, sample_weight)


_OWN = {*signature(DaskConvSigmoidClassifier.__init__).parameters, "n_replicas_"} - {
    *signature(ConvSigmoidClassifier.__init__).parameters
}
