"""ConvSigmoidClassifier: hyper-parameters, labels to targets and back, predictions."""

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils import check_random_state
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, validate_data

from skcnn.fitted import FittedNetwork
from skcnn.kernels import LANES, LOSSES
from skcnn.network import make_network, restore_network
from skcnn.threads import count_threads
from skcnn.training import Problem, fit_loop, initial_state, make_plan
from skcnn.validation import (
    check_fits_dtype,
    check_parameters,
    check_sample_weight,
    in_native_order,
    restored_on_error,
)

# What X is taken as it is in; anything else becomes the first.
_DTYPES = (np.float64, np.float32, np.uint8)

# Of a single output's logit in the two classes' log odds against them.
_SIGNS = np.array([1, -1], dtype=np.int8)


class ConvSigmoidClassifier(FittedNetwork, ClassifierMixin, BaseEstimator):
    """Convolutional network classifier: one convolution, sigmoid, one dense layer, one sigmoid per class.

    Rows of X are small images (or short signals), flattened. Each is correlated with `n_filters` small filters; a
    sigmoid of the results is weighed by the output layer, and a sigmoid per class makes probabilities of that:

        c[f, i, j] = b[f] + sum over u, v, ch of x[i + u, j + v, ch] * w[f, ch, u, v]
        a = 1 / (1 + exp(-c));  z = a . W + b_out;  p = 1 / (1 + exp(-z))

    With two classes there is one output; with more, `predict_proba` scales each row of p to sum to 1.

    Parameters
    ----------
    n_filters : int, default=8
        Filters of the convolution. More of them see more, and cost time in proportion.
    kernel_size : int or tuple of (kernel_height, kernel_width), default=5
        Size of a filter in pixels. An int is cut to the image's sides; a tuple must fit.
    image_shape : tuple of (height, width) or (height, width, n_channels), default=None
        What a row of X is, channels varying fastest. None means a square image if the number of features is a
        square number, and a signal (1, n_features) otherwise.
    loss : {"log_loss", "squared_error"}, default="log_loss"
        What is minimised: softplus(z) - t * z, which is minus the log-likelihood of a target t, or (t - p)**2 / 2;
        summed over outputs, averaged over the batch by sample weight.
    standardize : bool, default=False
        Standardise z over each batch before the last sigmoid. Running averages of the batches' means and variances
        (momentum 0.9) stand in for a batch's own while training; `fit` ends by setting them to the training set's.
    fit_intercept : bool, default=True
        Whether to learn intercepts. They stay 0 otherwise.
    init : {"glorot_uniform", "uniform"}, default="glorot_uniform"
        Where initial weights are drawn from: U(-b, b) with b = sqrt(6 / (fan_in + fan_out)) [2]_, or U(0, 1).
    rescale : float, default=1.0
        Every pixel is multiplied by it as it is read: 1 / 255 for bytes.
    solver : {"adam", "sgd"}, default="adam"
        Adam [1]_ or stochastic gradient descent with momentum.
    alpha : float, default=1e-4
        Strength of the L2 penalty, alpha / 2 * ||weights||**2 over the batch's summed weight; intercepts are free.
    batch_size : int or "auto", default="auto"
        Samples in a mini-batch; "auto" is 32, or all samples if there are fewer.
    learning_rate_init : float, default=5e-3
        Step size of the solver. Lower it when training diverges or the loss jumps, raise it when it creeps.
    max_iter : int, default=200
        Largest number of epochs, each a pass over all samples.
    shuffle : bool, default=True
        Whether to take the samples in a new random order in each epoch.
    random_state : int, RandomState instance or None, default=None
        Draws initial weights and the samples' order; an int makes results repeat bit for bit.
    tol : float, default=1e-3
        Training stops once the loss failed to improve by more than `tol` on its best for more than
        `n_iter_no_change` epochs in a row.
    n_iter_no_change : int or inf, default=10
        See `tol`.
    verbose : bool, default=False
        Whether to print each epoch's loss.
    warm_start : bool, default=False
        Whether `fit` continues from the last fit's parameters, solver state and count of epochs without improvement:
        after one that converged, a further `fit` stops after an epoch that improves nothing.
    n_jobs : int, default=None
        Threads of `fit` and predictions, which come to the same bits: None is 1 (or what `joblib.parallel_config`
        says), -1 all processors, at most what OMP_NUM_THREADS, threadpoolctl or a joblib worker allow.
    momentum : float, default=0.9
        Momentum of "sgd", between 0 and 1.
    nesterovs_momentum : bool, default=True
        Whether "sgd" uses Nesterov's momentum.
    beta_1, beta_2 : float, default=0.9, 0.999
        Decay rates of Adam's first and second moments, in [0, 1).
    epsilon : float, default=1e-8
        Added to the denominator of Adam's step.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        Class labels.
    n_features_in_ : int
        Values in a row of X.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of the columns of X, if it had string names.
    image_shape_ : tuple of (height, width, n_channels)
        What a row was taken for.
    kernel_size_ : tuple of (kernel_height, kernel_width)
        Size of the filters.
    coefs_ : list of two ndarrays
        Filters (n_filters, n_channels, kernel_height, kernel_width) and output weights (n_hidden, n_outputs), whose
        rows are in the order (filter, row, column). Views of the model's parameters.
    intercepts_ : list of two ndarrays
        Of shape (n_filters,) and (n_outputs,). Views too.
    filters_ : ndarray of shape (n_filters, kernel_height, kernel_width) or with n_channels as a last axis
        The filters as images.
    n_outputs_ : int
        1 for two classes, otherwise the number of classes.
    n_layers_ : int
        3: input, convolution, output.
    n_iter_ : int
        Epochs of the last `fit`.
    t_ : int
        Samples seen in training.
    loss_, best_loss_ : float
        The last epoch's loss and the least one.
    loss_curve_ : list of float
        Each epoch's loss: the average of its batches' by weight, the L2 penalty included.

    See Also
    --------
    sklearn.neural_network.MLPClassifier : Dense layers only; most parameters here are named after its own.

    Notes
    -----
    float32 and uint8 X train in float32, all else in float64; prediction computes in what was trained in. The same
    `random_state` gives the same bits on CPUs of one instruction set level (see `show_versions`). Up to eight rows
    predicted by themselves may differ in the last digits from the same rows among others.

    References
    ----------
    .. [1] D. P. Kingma and J. Ba, "Adam: a method for stochastic optimization", ICLR 2015.
    .. [2] X. Glorot and Y. Bengio, "Understanding the difficulty of training deep feedforward neural networks",
       AISTATS 2010.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sklearn.model_selection import train_test_split
    >>> from skcnn import ConvSigmoidClassifier
    >>> X, y = load_digits(return_X_y=True)
    >>> X_train, X_test, y_train, y_test = train_test_split(X, y, random_state=0)
    >>> clf = ConvSigmoidClassifier(rescale=1 / 16, random_state=0).fit(X_train, y_train)
    >>> clf.image_shape_
    (8, 8, 1)
    >>> clf.score(X_test, y_test) > 0.97
    True
    """

    def __init__(
        self,
        n_filters=8,
        kernel_size=5,
        *,
        image_shape=None,
        loss="log_loss",
        standardize=False,
        fit_intercept=True,
        init="glorot_uniform",
        rescale=1.0,
        solver="adam",
        alpha=1e-4,
        batch_size="auto",
        learning_rate_init=5e-3,
        max_iter=200,
        shuffle=True,
        random_state=None,
        tol=1e-3,
        n_iter_no_change=10,
        verbose=False,
        warm_start=False,
        n_jobs=None,
        momentum=0.9,
        nesterovs_momentum=True,
        beta_1=0.9,
        beta_2=0.999,
        epsilon=1e-8,
    ):
        self.n_filters = n_filters
        self.kernel_size = kernel_size
        self.image_shape = image_shape
        self.loss = loss
        self.standardize = standardize
        self.fit_intercept = fit_intercept
        self.init = init
        self.rescale = rescale
        self.solver = solver
        self.alpha = alpha
        self.batch_size = batch_size
        self.learning_rate_init = learning_rate_init
        self.max_iter = max_iter
        self.shuffle = shuffle
        self.random_state = random_state
        self.tol = tol
        self.n_iter_no_change = n_iter_no_change
        self.verbose = verbose
        self.warm_start = warm_start
        self.n_jobs = n_jobs
        self.momentum = momentum
        self.nesterovs_momentum = nesterovs_momentum
        self.beta_1 = beta_1
        self.beta_2 = beta_2
        self.epsilon = epsilon

    # ---- fitting ----

    def fit(self, X, y, sample_weight=None):
        """Fit the network to images and their labels.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Images, a flattened one in each row; numbers of any type, bytes included.
        y : array-like of shape (n_samples,)
            Labels of any type, two classes or more.
        sample_weight : array-like of shape (n_samples,), default=None
            Not negative and not all zero; None weighs every sample 1.

        Returns
        -------
        self : ConvSigmoidClassifier
            The fitted classifier itself.

        Raises
        ------
        TypeError
            If a hyper-parameter is of the wrong type.
        ValueError
            If a hyper-parameter is out of bounds; if X, y or the weights are not as described or do not go together;
            if training diverges. An earlier fit is left as it was.
        """
        return self._fit(X, y, sample_weight)

    def _fit(self, X, y, sample_weight, on_epoch=None):
        check_parameters(self)
        with restored_on_error(self):
            X, y = validate_data(self, in_native_order(X), y, dtype=_DTYPES, order="C")
            classes, targets = self._encode(y)
            network = make_network(self, X.shape[1], targets.shape[1])
            dtype = np.float64 if X.dtype == np.float64 else np.float32
            sample_weight = check_sample_weight(sample_weight, X, dtype)
            objective = {"loss": LOSSES[self.loss], "alpha": float(self.alpha)}
            check_fits_dtype(self, dtype)
            problem = Problem(X, targets.astype(dtype), sample_weight, network, objective)
            generator = check_random_state(self.random_state)
            state = initial_state(self, network, classes, generator, dtype)
            n_threads = count_threads(self.n_jobs)
            fit_loop(problem, state, make_plan(self, network, X.shape[0], n_threads), generator, on_epoch)
            self._store(classes, network, state)
        return self

    def _encode(self, y):
        """Classes, and boolean targets of shape (n_samples, n_outputs)."""
        check_classification_targets(y)
        classes, codes = np.unique(y, return_inverse=True)
        if len(classes) < 2:
            raise ValueError(f"y must have at least two classes; got one class only: {classes.tolist()[0]!r}.")
        if len(classes) == 2:
            return classes, codes[:, np.newaxis] == 1
        return classes, codes[:, np.newaxis] == np.arange(len(classes))

    def _store(self, classes, network, state):
        self.classes_ = classes
        self.image_shape_ = network.image_shape
        self.kernel_size_ = network.kernel_size
        self.n_outputs_ = network.n_outputs
        self.n_layers_ = 3
        self.n_iter_ = state.n_iter
        self.t_ = state.t
        self.loss_ = state.loss
        self.best_loss_ = state.best_loss
        self.loss_curve_ = state.loss_curve
        # In one, so that a prediction in another thread never meets one half of an old model.
        self._model = (network.to_state(), state.parameters)
        self._n_steps = state.n_steps
        self._n_batches = state.n_batches
        self._n_no_improvement = state.n_no_improvement
        self._moments = state.moments if self.warm_start else None

    # ---- prediction ----

    def decision_function(self, X):
        """Logits: what the last sigmoid is taken of.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Images as in `fit`.

        Returns
        -------
        scores : ndarray of shape (n_samples,) or (n_samples, n_classes)
            For two classes, the logit of `classes_[1]`.

        Raises
        ------
        NotFittedError
            If there has been no `fit`.
        ValueError
            If X has another number of features, or holds NaN or infinity.
        """
        logits = self._logits(X)
        return logits[:, 0] if self.n_outputs_ == 1 else logits

    def _logits(self, X):
        check_is_fitted(self)
        state, parameters = self._model
        network = restore_network(state)
        X = validate_data(self, in_native_order(X), reset=False, dtype=_DTYPES, order="C")
        if X.shape[1] != network.n_features:  # another thread is in `fit`
            raise ValueError(f"X has {X.shape[1]} features, but the network takes {network.n_features}.")
        n_threads = count_threads(self.n_jobs) if X.shape[0] > LANES else 1
        logits = network.logits(X, parameters, n_threads)
        if not np.isfinite(logits).all():
            raise ValueError(f"X holds values too large for {parameters.dtype.name}, in which this model computes.")
        return logits

    def predict(self, X):
        """The most probable class of each image.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Images as in `fit`.

        Returns
        -------
        y : ndarray of shape (n_samples,)
            Labels from `classes_`.

        Raises
        ------
        NotFittedError, ValueError
            As in `decision_function`.
        """
        logits = self._logits(X)
        codes = (logits[:, 0] > 0).astype(np.intp) if self.n_outputs_ == 1 else logits.argmax(axis=1)
        return self.classes_[codes]

    def predict_log_proba(self, X):
        """Logarithms of the class probabilities; see `predict_proba`.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Images as in `fit`.

        Returns
        -------
        log_p : ndarray of shape (n_samples, n_classes)
            In the order of `classes_`.

        Raises
        ------
        NotFittedError, ValueError
            As in `decision_function`.
        """
        logits = self._logits(X)
        if self.n_outputs_ == 1:
            return -np.logaddexp(0, logits * _SIGNS)
        log_p = -np.logaddexp(0, -logits)
        return log_p - np.logaddexp.reduce(log_p, axis=1, keepdims=True)

    def predict_proba(self, X):
        """Class probabilities: the outputs' sigmoids, scaled to sum to 1 where there are more than two classes.

        The scaling is done on logarithms, so that a row whose sigmoids all vanish has probabilities too.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Images as in `fit`.

        Returns
        -------
        p : ndarray of shape (n_samples, n_classes)
            In the order of `classes_`.

        Raises
        ------
        NotFittedError, ValueError
            As in `decision_function`.
        """
        return np.exp(self.predict_log_proba(X))


# Where pickles and skops find the class, wherever its code may move.
ConvSigmoidClassifier.__module__ = "skcnn"
