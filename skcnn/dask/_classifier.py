"""DaskConvSigmoidClassifier: the classifier for data on a Dask cluster."""

import asyncio
from inspect import Parameter, signature

from sklearn.utils.metaestimators import available_if

from skcnn.callbacks import with_callbacks
from skcnn.classifier import ConvSigmoidClassifier
from skcnn.dask._cluster import is_asynchronous, open_client
from skcnn.dask._fitting import fit, local_parameters
from skcnn.dask._predictions import LazyPredictions
from skcnn.saved import write_state


def _with_local_parameters(init):
    """Give a constructor the signature of the local class's, with its own parameters last."""
    own = [one for one in signature(init).parameters.values() if one.kind is Parameter.KEYWORD_ONLY]
    local = signature(ConvSigmoidClassifier.__init__).parameters.values()
    init.__signature__ = signature(init).replace(parameters=[*local, *own])
    return init


def _no_partial_fit(estimator):
    raise AttributeError("DaskConvSigmoidClassifier has no partial_fit: fit with warm_start=True continues a fit.")


class DaskConvSigmoidClassifier(LazyPredictions, ConvSigmoidClassifier):
    """ConvSigmoidClassifier for dask arrays and data frames, trained by several workers of a Dask cluster.

    The samples are dealt to replicas. In each round of training, a replica trains the network on a part of its samples,
    as the local class does, and a step from the parameters before towards the mean of all replicas' parameters begins
    the next round. A round is a pure function of parameters, samples and random numbers, so that a task that is lost
    with its worker is computed again elsewhere and results do not depend on workers. With one replica, the result has
    the same bits as the local `fit`.

    It predicts as the local class does: lazily for dask collections, at once for arrays.

    Parameters
    ----------
    *args, **parameters
        The parameters of :class:`~skcnn.ConvSigmoidClassifier`, with the same meaning and defaults, except for `n_jobs`
        and those listed below. `batch_size` and `learning_rate_init` are those of a replica.
    n_jobs : int, default=None
        Number of threads of each task. None is the threads of its Dask worker, shared by the replicas on that worker;
        -1 is all processors. The results have the same bits for any number.
    verbose : bool, default=False
        Whether to print each epoch's loss, and the validation score if there is one, and to show a progress bar with
        rounds, images a second and the time that the largest number of epochs would take.
    warm_start : bool, default=False
        Whether `fit` continues from the last one, perhaps with other data; the outer velocity starts at 0. It takes the
        place of `partial_fit`, which this class lacks.
    n_replicas : int or "auto", default="auto"
        Number of replicas. "auto" is one for each worker when `fit` begins, as far as each has 5000 samples.
        Results depend on this number, so set it to have them repeat on another cluster. If there are more replicas than
        workers, a worker trains several, one after another unless it has several threads.
    rounds_per_epoch : int, default=4
        Number of rounds in an epoch. More rounds bring the result closer to that of a single replica, and cost time:
        tens of milliseconds each.
    persist : bool, default=True
        Whether to keep the data in the workers' memory. They need about twice its size while it is loaded, and its size
        later on. With False, tasks read chunks when they need them, each with one at a time in memory, and train on one
        after the other: chunks are shuffled, and samples within a chunk. A chunk's graph is computed anew
        in each epoch, so it should do little more than read.
    client : distributed.Client, default=None
        Client of the cluster to use: an attribute that can be set at any time, no hyper-parameter, and not in pickles
        and clones. None is the default client or, within a task, that of its worker.

    Attributes
    ----------
    n_replicas_ : int
        Number of replicas of the last `fit`.

    See Also
    --------
    skcnn.ConvSigmoidClassifier : The local class, which has the other attributes.
    skcnn.dask.shuffle : Shuffles data that is sorted by label.

    Notes
    -----
    With d the weighted mean of the replicas' differences from the parameters before a round, the outer step is ::

        v = 0.5 * v + d;  parameters += d + 0.5 * v

    with v = 0 to begin with: Nesterov's momentum, as in [1]_, with an outer learning rate of 1. The solver's moments,
    running statistics and averages become the mean of the replicas'.

    References
    ----------
    .. [1] A. Douillard et al., "DiLoCo: distributed low-communication training of language models", arXiv 2311.08105,
       2023: algorithm 1.

    Examples
    --------
    >>> import dask.array as da
    >>> from distributed import Client
    >>> from sklearn.datasets import load_digits
    >>> from skcnn.dask import DaskConvSigmoidClassifier
    >>> X, y = load_digits(return_X_y=True)
    >>> X, y = da.from_array(X, chunks=(450, 64)), da.from_array(y, chunks=450)
    >>> client = Client(processes=False, n_workers=2, threads_per_worker=1, dashboard_address=":0")
    >>> clf = DaskConvSigmoidClassifier(rescale=1 / 16, n_replicas=2, random_state=0).fit(X, y)
    >>> clf.score(X, y) > 0.97
    True
    >>> clf.predict_proba(X)
    dask.array<apply, shape=(1797, 10), dtype=float64, chunksize=(450, 10), chunktype=numpy.ndarray>
    >>> clf.to_local().predict_proba(X[:1].compute()).shape
    (1, 10)
    >>> client.close()
    """

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

    def set_params(self, **parameters):
        if "client" in parameters:
            self.client = parameters.pop("client")
        return super().set_params(**parameters)

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
        """Fit the network to images and their labels.

        Parameters
        ----------
        X : dask array, dask data frame, xarray.DataArray or array-like
            Images of shape (n_samples, n_features) or (n_samples, height, width[, n_channels]), as in the local class,
            in chunks of whole images. Chunks may be empty and of unknown length.
        y : dask array, series or data frame, or array-like, of shape (n_samples,) or (n_samples, n_labels)
            Their labels. Chunks of unknown length must be those of X. A chunk need not have every class.
        sample_weight : dask array or series, or array-like, of shape (n_samples,), default=None
            Weights, as in the local class.
        X_val, y_val : as X and y, default=None
            A validation set, scored after each epoch by the workers.
        sample_weight_val : as sample_weight, default=None
            Weights of the validation set's samples.

        Returns
        -------
        self : DaskConvSigmoidClassifier
            The fitted classifier itself; with an asynchronous client, an awaitable of it.

        Raises
        ------
        TypeError, ValueError
            As in the local class, where errors in a chunk name it, and if there is no client.
        RuntimeError
            If a chunk cannot be computed, or kills the workers that try; if the cluster is restarted again while data
            is loaded anew. An earlier fit remains intact.
        """
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
            attributes = {name: value for name, value in vars(self).copy().items() if name not in _OWN}
            local.__setstate__(write_state(attributes))
        return local


_OWN = {*signature(DaskConvSigmoidClassifier.__init__).parameters, "n_replicas_", "_client"} - {
    *signature(ConvSigmoidClassifier.__init__).parameters
}
