"""ConvSigmoidClassifier: its hyper-parameters and its place among scikit-learn's estimators."""

from sklearn.base import BaseEstimator, ClassifierMixin

from skcnn import fitting
from skcnn.callbacks import CallbackSupport, with_callbacks
from skcnn.fitted import FittedNetwork
from skcnn.onnx_methods import OnnxMethods
from skcnn.prediction import Predictions


class ConvSigmoidClassifier(FittedNetwork, Predictions, OnnxMethods, CallbackSupport, ClassifierMixin, BaseEstimator):
    """Convolutional network classifier: convolutional layers, one dense layer, one sigmoid per class.

    X holds small images or short signals, flattened to rows or as they are. A convolutional layer correlates its input
    with `n_filters` small filters, applies an activation and, if asked, max-pooling. The dense output layer weighs the
    last layer's feature maps, and a sigmoid per class turns the sums into probabilities. With one layer, the default
    activation and no pooling::

        c[f, i, j] = b[f] + sum over u, v, ch of x[i + u, j + v, ch] * w[f, ch, u, v]
        a = 1 / (1 + exp(-c));  z = a . W + b_out;  p = 1 / (1 + exp(-z))

    Two classes share one output. With more classes, `predict_proba` scales each row of p to sum to 1; with multilabel
    targets it does not.

    Parameters
    ----------
    n_filters : int or sequence of int, default=16
        Number of filters; a sequence has one number for each layer, so that (16, 32) makes two layers. More filters
        detect more patterns and take proportionally more time. A second layer detects patterns of first-layer patterns.
    kernel_size : "auto", int, or sequence of int or (kernel_height, kernel_width), default="auto"
        Size of the filters in pixels, about that of the patterns to detect. "auto" is 5 for one layer and 3 for
        several; for signals of up to 1000 samples, or of any length with `global_pool`, it is an odd tenth of the
        length, at most 25, or 9 with several layers. An int holds for all layers. A sequence has one entry for each
        layer: (5, 3) is 5 x 5 pixels in the first layer and 3 x 3 in the second, [(3, 5)] is one layer of 3 x 5. An int
        larger than a layer's input is reduced to its size; a pair must fit.
    image_shape : tuple of (height, width) or (height, width, n_channels), default=None
        Shape of the image in a row of X, channels varying fastest. With None, X of three or four axes has its own
        shape, rows with a square number of features are square grey images, and other rows are signals
        (1, n_features).
    padding : {"auto", "valid", "same"}, default="auto"
        "valid" places filters only where they fit, so that a layer's output is smaller than its input by the kernel's
        size less 1. "same" pads the input with zeros, so that the output has its size. "auto" is "valid" for one layer
        and "same" for several.
    pool_size : "auto", int, or sequence of int or (pool_height, pool_width), default="auto"
        Size of the max-pooling after each layer; 1 is no pooling. Rows and columns at the end that fill no pool are
        dropped. Pools of 2 make the next layer four times cheaper and the network less sensitive to position. "auto" is
        2, with these exceptions for several layers: 1 along an axis on which fewer than 4 pixels would remain, and 4
        for signals with `global_pool` as long as 250 samples remain. Sequences and ints are read as for `kernel_size`.
    activation : {"auto", "sigmoid", "tanh", "relu"}, default="auto"
        Activation of the convolutional layers: 1 / (1 + exp(-c)), tanh(c) or max(c, 0). "auto" is "sigmoid" for one
        layer and "relu" for several.
    batch_norm : bool, default=False
        Whether to normalise each filter's outputs before the activation [7]_, over groups of up to 16 images of a batch
        [8]_, with a learnt scale and shift. Deep networks and networks for long signals need it to train. Predictions
        use means and variances of the training set, which `fit` measures at its end and before it scores a validation
        set; `partial_fit` keeps running ones. They are folded into the filters and cost no time. Not for batches of one
        or two images.
    global_pool : {None, "average", "max"}, default=None
        What the output layer reads of each of the last layer's feature maps: all values, their average, or their
        maximum. The average and the maximum ignore position and need few weights, whatever the size of the images.
    random_shift : int or pair of (rows, columns), default=0
        Largest number of pixels by which training images are shifted, up or down and left or right. `random_state`
        draws a new shift for each image in each epoch; border pixels are repeated. An int is reduced where it would
        move the whole image out of view; a pair must fit. Predictions and validation scores use unshifted images. Use
        it where a shift does not change the class and more epochs do not help.
    random_flip : bool, default=False
        Whether to mirror training images left to right with probability 1/2, drawn anew for each image in each epoch.
        For photographs, not for digits and letters.
    loss : {"log_loss", "squared_error"}, default="log_loss"
        What is minimised: softplus(z) - t * z, the negative log-likelihood of a target t, or (t - p)**2 / 2; summed
        over outputs, averaged over the batch by sample weight. The second tolerates mislabelled samples better.
    standardize : bool, default=False
        Whether to standardise z over each batch before the last sigmoid, which prevents saturation with large initial
        weights. While training, predictions use running means and variances (momentum 0.9); at its end, `fit` replaces
        them with those of the training set.
    fit_intercept : bool, default=True
        Whether to learn intercepts, and shifts with `batch_norm`. Otherwise they stay 0.
    init : {"auto", "glorot_uniform", "he_uniform", "uniform"}, default="auto"
        Distribution of the initial weights: U(-b, b) with b = sqrt(6 / (fan_in + fan_out)) [2]_ or
        b = sqrt(6 / fan_in) [3]_, or U(0, 1), which is there for comparisons. "auto" is the second for filters before
        a relu and the first for all other weights. The first layer's filters, and Adam's steps of them, are divided by
        the scale of the pixels.
    rescale : float or "auto", default="auto"
        Factor by which pixels are multiplied as they are read, in predictions too. "auto" is 1 / 255 for bytes (uint8)
        and 1 for other types.
    solver : {"adam", "sgd"}, default="adam"
        Adam [1]_, which needs little tuning, or stochastic gradient descent with momentum.
    alpha : float, default=1e-3
        Strength of the L2 penalty, alpha / 2 * ||weights||**2 divided by the batch's summed sample weight. Intercepts,
        scales and shifts are not penalised. With "adam", the first layer's filters count times the scale of X (1 for
        pixels between 0 and 1), so that the unit of X does not matter. Raise it when the training score is far above
        the validation score.
    label_smoothing : float, default=0.0
        Part of each label, from 0 to 0.5, that training spreads evenly over the classes, or over 0 and 1 with
        multilabel targets [6]_. Values of 0.02 to 0.1 improve networks of two layers or more on small sets;
        probabilities are less extreme then. Validation losses use the labels as they are.
    class_weight : dict of {label: weight} or "balanced", default=None
        Factors of the sample weights by class; "balanced" gives all classes the same total weight, for data in which an
        important class is rare. Classes that a dict leaves out have factor 1. Not for multilabel targets. Validation
        scores ignore it: with `early_stopping`, pass a validation set with `sample_weight_val`.
    batch_size : int or "auto", default="auto"
        Samples in a mini-batch; "auto" is 32, or all samples if there are fewer. With larger batches an epoch takes
        less time, above all with several threads, and training takes more epochs.
    learning_rate : {"constant", "cosine", "invscaling", "adaptive"}, default="constant"
        Schedule. "constant" keeps `learning_rate_init`. "cosine" lowers it to 0, step by step, along half a period of
        the cosine [5]_ over `max_iter` epochs, all of which are run. The others are for "sgd" only: "invscaling"
        divides it by (t + 1)**`power_t` before each epoch, t being the number of samples seen so far; "adaptive"
        divides it by 5 whenever training would stop for lack of improvement, until it is at most 1e-6.
    learning_rate_init : float, default=5e-3
        Step size of the solver. Lower it when training diverges or the loss jumps, raise it when the loss falls slowly.
        Adam's is multiplied by a factor for each layer that depends on the layer's size, up to 0.1.
    power_t : float, default=0.5
        Exponent of "invscaling".
    average : bool or int, default=True
        Whether the model consists of averages of the parameters over steps instead of the parameters after the last
        step. Averages settle although nobody knows when training ends, as in streams. True averages about the last
        eighth of the steps [4]_; an int averages all steps from that number of samples on, as in SGDClassifier.
        `loss_curve_` has the losses of the steps, not of the averages.
    max_iter : int or "auto", default="auto"
        Largest number of epochs, each a pass over all samples. Raise it, or `tol`, on a ConvergenceWarning. "auto" is
        200, or the number of epochs that make 1000 steps if that is larger.
    shuffle : bool, default=True
        Whether to take the samples in a new random order in each epoch.
    random_state : int, RandomState instance or None, default=None
        Source of the initial weights, the held-out samples, their order, shifts and flips. An int makes results
        repeat bit for bit.
    tol : float, default=1e-3
        Training stops when, for more than `n_iter_no_change` epochs in a row, the loss, or with `early_stopping` the
        validation score, has not improved on its best by at least `tol`.
    n_iter_no_change : int, inf or "auto", default="auto"
        See `tol`. "auto" is 10, or 10 * sqrt(200 / n), rounded up, where an epoch has n < 200 steps. With infinity
        training always runs for `max_iter` epochs.
    early_stopping : bool, default=False
        Whether the accuracy on a validation set decides when training stops and which epoch's parameters are kept,
        those of the best one. The set is the one passed to `fit`, or else held out from X. Use it when more epochs
        lower the validation score. On small clean sets it costs accuracy; against wrong labels `alpha` helps more.
    validation_fraction : float, default=0.1
        Part of X that `early_stopping` holds out, stratified by class except for multilabel targets.
    verbose : bool, default=False
        Whether to print each epoch's loss, and the validation score if there is one.
    warm_start : bool, default=False
        Whether `fit` continues from the last fit's parameters, solver state and count of epochs without improvement.
        After a fit that converged, another one stops after an epoch without improvement. "adaptive" and "cosine" start
        anew. The solver's moments then stay in the model and in its pickles. With an int as `random_state`, the orders
        of the samples start over.
    n_jobs : int, default=None
        Number of threads of `fit` and predictions; the results have the same bits for any number. None is 1 (or what
        `joblib.parallel_config` says), -1 is all processors; OMP_NUM_THREADS, threadpoolctl and joblib's workers may
        set a lower limit.
    momentum : float, default=0.9
        Momentum of "sgd", between 0 and 1.
    nesterovs_momentum : bool, default=True
        Whether "sgd" uses Nesterov's momentum.
    beta_1, beta_2 : float, default=0.9, 0.99
        Decay rates of Adam's first and second moments, in [0, 1).
    epsilon : float, default=1e-8
        Added to the denominator of Adam's step. Raise it if the loss jumps in the last epochs of a fit.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        Class labels; column numbers with multilabel targets.
    n_features_in_ : int
        Number of values in a row of X.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of the columns of X, if they are strings.
    image_shape_ : tuple of (height, width, n_channels)
        Shape of the images.
    kernel_size_, pool_size_ : list of (height, width)
        Size of each layer's filters and pools.
    padding_, activation_ : str
        Padding and activation of all convolutional layers.
    rescale_ : float
        Factor by which pixels are multiplied.
    coefs_ : list of ndarray
        The filters of each layer, (n_filters, n_channels, kernel_height, kernel_width), where n_channels is the number
        of filters of the layer before; then the output weights (n_hidden, n_outputs), with rows in the order (filter,
        row, column), or one row for each filter with `global_pool`. Views of the model's parameters; with `batch_norm`,
        read-only views of the folded filters.
    intercepts_ : list of ndarray
        The intercepts of each layer's filters, (n_filters,), and of the outputs, (n_outputs,). Views as well.
    filters_ : ndarray of shape (n_filters, kernel_height, kernel_width) or (..., n_channels)
        The first layer's filters as images.
    n_outputs_ : int
        1 for two classes, otherwise the number of classes or labels.
    n_layers_ : int
        Number of convolutional layers plus 2, for the input and the output. See `summary`.
    n_iter_ : int
        Epochs of the last `fit` or `partial_fit`.
    t_ : int
        Number of samples seen in training.
    learning_rate_ : float
        The learning rate that `partial_fit` would continue with; `learning_rate_init` with "cosine".
    loss_ : float
        Loss of the last epoch.
    best_loss_ : float or None
        Lowest loss (since `early_stopping` was last in use); None with `early_stopping`.
    loss_curve_ : list of float
        Loss of each epoch: the mean over its batches by sample weight, including the L2 penalty.
    validation_loss_curve_ : list of float or None
        Validation loss after each epoch, without penalty and class weights; None without a validation set.
    validation_scores_ : list of float or None
        Validation accuracy after each epoch; with multilabel targets, the share of samples with all labels right.
    best_validation_score_ : float or None
        The best of these; with `early_stopping`, the score of the parameters that were kept.

    See Also
    --------
    sklearn.neural_network.MLPClassifier : Dense layers only; most parameters here have its names.

    Notes
    -----
    Training computes in float32 for float32 and uint8 X, and in float64 for all other types; predictions use the
    type of training. The same `random_state` gives the same bits on all CPUs of one instruction set level (see
    `show_versions`). Rows predicted alone or up to eight at once may differ in the last digits from the same rows
    among more.

    References
    ----------
    .. [1] D. P. Kingma and J. Ba, "Adam: a method for stochastic optimization", ICLR 2015.
    .. [2] X. Glorot and Y. Bengio, "Understanding the difficulty of training deep feedforward neural networks",
       AISTATS 2010.
    .. [3] K. He, X. Zhang, S. Ren and J. Sun, "Delving deep into rectifiers: surpassing human-level performance on
       ImageNet classification", ICCV 2015.
    .. [4] O. Shamir and T. Zhang, "Stochastic gradient descent for non-smooth optimization: convergence results and
       optimal averaging schemes", ICML 2013: section 4.
    .. [5] I. Loshchilov and F. Hutter, "SGDR: stochastic gradient descent with warm restarts", ICLR 2017: equation 5,
       without restarts.
    .. [6] C. Szegedy, V. Vanhoucke, S. Ioffe, J. Shlens and Z. Wojna, "Rethinking the Inception architecture for
       computer vision", CVPR 2016: section 7.
    .. [7] S. Ioffe and C. Szegedy, "Batch normalization: accelerating deep network training by reducing internal
       covariate shift", ICML 2015.
    .. [8] E. Hoffer, I. Hubara and D. Soudry, "Train longer, generalize better: closing the generalization gap in
       large batch training of neural networks", NIPS 2017: section 5, ghost batches.

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

    Two layers:

    >>> clf = ConvSigmoidClassifier((16, 32), rescale=1 / 16, random_state=0)
    >>> clf.fit(X_train, y_train).score(X_test, y_test) > 0.97
    True
    >>> [coefs.shape for coefs in clf.coefs_]
    [(16, 1, 3, 3), (32, 16, 3, 3), (512, 10)]
    """

    def __init__(
        self,
        n_filters=16,
        kernel_size="auto",
        *,
        image_shape=None,
        padding="auto",
        pool_size="auto",
        activation="auto",
        batch_norm=False,
        global_pool=None,
        random_shift=0,
        random_flip=False,
        loss="log_loss",
        standardize=False,
        fit_intercept=True,
        init="auto",
        rescale="auto",
        solver="adam",
        alpha=1e-3,
        label_smoothing=0.0,
        class_weight=None,
        batch_size="auto",
        learning_rate="constant",
        learning_rate_init=5e-3,
        power_t=0.5,
        average=True,
        max_iter="auto",
        shuffle=True,
        random_state=None,
        tol=1e-3,
        n_iter_no_change="auto",
        early_stopping=False,
        validation_fraction=0.1,
        verbose=False,
        warm_start=False,
        n_jobs=None,
        momentum=0.9,
        nesterovs_momentum=True,
        beta_1=0.9,
        beta_2=0.99,
        epsilon=1e-8,
    ):
        self.n_filters = n_filters
        self.kernel_size = kernel_size
        self.image_shape = image_shape
        self.padding = padding
        self.pool_size = pool_size
        self.activation = activation
        self.batch_norm = batch_norm
        self.global_pool = global_pool
        self.random_shift = random_shift
        self.random_flip = random_flip
        self.loss = loss
        self.standardize = standardize
        self.fit_intercept = fit_intercept
        self.init = init
        self.rescale = rescale
        self.solver = solver
        self.alpha = alpha
        self.label_smoothing = label_smoothing
        self.class_weight = class_weight
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.learning_rate_init = learning_rate_init
        self.power_t = power_t
        self.average = average
        self.max_iter = max_iter
        self.shuffle = shuffle
        self.random_state = random_state
        self.tol = tol
        self.n_iter_no_change = n_iter_no_change
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.verbose = verbose
        self.warm_start = warm_start
        self.n_jobs = n_jobs
        self.momentum = momentum
        self.nesterovs_momentum = nesterovs_momentum
        self.beta_1 = beta_1
        self.beta_2 = beta_2
        self.epsilon = epsilon

    # ---- fitting ----

    @with_callbacks
    def fit(self, X, y, sample_weight=None, *, X_val=None, y_val=None, sample_weight_val=None):
        """Fit the network to images and their labels.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, height, width[, n_channels])
            Images, flattened to rows or as they are, of any numeric type.
        y : array-like of shape (n_samples,) or (n_samples, n_labels)
            Labels of any type, two classes or more; or multilabel targets, a column of 0 and 1 for each label.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights, not negative and not all zero; None is 1 for every sample. The penalty is divided by a batch's
            summed weight, so pass weights of mean 1; weights that sum to 1 or less are scaled to that mean.
        X_val, y_val : array-like, default=None
            A validation set, scored after each epoch. With `early_stopping=True` it replaces the part held out from X.
            With metadata routing enabled and requested (`set_fit_request(X_val=True, y_val=True)`), a Pipeline
            transforms X_val like X if its `transform_input` names it. A search splits any array that has as many rows
            as X, so pass it a validation set of another length.
        sample_weight_val : array-like of shape (n_val_samples,), default=None
            Weights of the validation set's samples.

        Returns
        -------
        self : ConvSigmoidClassifier
            The fitted classifier itself.

        Raises
        ------
        TypeError
            If a hyper-parameter is of the wrong type.
        ValueError
            If a hyper-parameter is out of bounds; if X, y, the weights or the validation set are not as described or
            do not match; if training diverges. An earlier fit remains intact (numbers drawn from a RandomState
            instance are gone).
        """
        fitting.fit(self, X, y, sample_weight, (X_val, y_val, sample_weight_val))
        return self

    def partial_fit(self, X, y, sample_weight=None, classes=None):
        """Train for one epoch on more images, continuing from the last call.

        With `shuffle=False`, the chunks of a stream give the same parameters as one epoch of `fit` over all of it, if
        the sizes of all chunks but the last are multiples of `batch_size` and the pixels of the first have the scale of
        all. With shuffling and an int as `random_state`, all chunks of one size are shuffled alike. After `fit`, the
        solver's moments start at zero unless `warm_start` kept them. They stay in the model and in its pickles.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, height, width[, n_channels])
            Images as in `fit`; at least one, or two with `standardize`.
        y : array-like of shape (n_samples,) or (n_samples, n_labels)
            Their labels, not necessarily of every class.
        sample_weight : array-like of shape (n_samples,), default=None
            As in `fit`.
        classes : array-like of shape (n_classes,), default=None
            All classes that will occur. Required in the first call, except for multilabel targets.

        Returns
        -------
        self : ConvSigmoidClassifier
            The classifier itself.

        Raises
        ------
        TypeError
            As in `fit`.
        ValueError
            As in `fit`; if y has labels that are not among the classes; if the classes or the network differ from
            those of the last call; with `early_stopping` or `class_weight="balanced"`, which need all the data, or
            `learning_rate="cosine"`, which needs the number of epochs.
        """
        fitting.partial_fit(self, X, y, sample_weight, classes)
        return self

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        tags.input_tags.three_d_array = True
        return tags
