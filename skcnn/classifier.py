"""ConvSigmoidClassifier: its hyper-parameters and its place among scikit-learn's estimators."""

from sklearn.base import BaseEstimator, ClassifierMixin

from skcnn import fitting
from skcnn.callbacks import CallbackSupport, with_callbacks
from skcnn.fitted import FittedNetwork
from skcnn.onnx_methods import OnnxMethods
from skcnn.prediction import Predictions


class ConvSigmoidClassifier(FittedNetwork, Predictions, OnnxMethods, CallbackSupport, ClassifierMixin, BaseEstimator):
    """Convolutional network classifier: convolutional layers, one dense layer, one sigmoid per class.

    X holds small images (or short signals), flattened to rows or as they are. Each is correlated with `n_filters`
    small filters, the results go through an activation and perhaps max-pooling, and on to the next layer if there are
    several; the output layer weighs what comes out, and a sigmoid per class makes probabilities of that. With one
    layer, the default activation and no pooling:

        c[f, i, j] = b[f] + sum over u, v, ch of x[i + u, j + v, ch] * w[f, ch, u, v]
        a = 1 / (1 + exp(-c));  z = a . W + b_out;  p = 1 / (1 + exp(-z))

    With two classes there is one output; with more, `predict_proba` scales each row of p to sum to 1, unless a sample
    may have several labels.

    Parameters
    ----------
    n_filters : int or sequence of int, default=16
        Filters of the convolution; a sequence stacks a layer for each of its numbers, (16, 32) two. More of them see
        more, and cost time in proportion; a second layer sees larger shapes, made of those that the first one sees.
    kernel_size : "auto", int, or sequence of int or (kernel_height, kernel_width), default="auto"
        Size of a filter in pixels: about that of what should be noticed. "auto" is 5 for one layer and 3 for stacks of
        several; of signals of up to 1000 samples, or of any length with `global_pool`, a tenth, made odd, up to 25 and
        in stacks up to 9. An int is for all layers, a sequence (tuples and lists mean the same) has one entry for
        each: (5, 3) is 5 x 5 pixels in the first layer and 3 x 3 in the second, [(3, 5)] is one layer of 3 x 5. An int
        is clipped to the sides of what the layer reads, a pair must fit.
    image_shape : tuple of (height, width) or (height, width, n_channels), default=None
        What a row of X is, channels varying fastest; say it whenever rows are no square grey images. None takes X
        of three or four axes as the images it is, rows as square images if the number of features is a square
        number, and as signals (1, n_features) otherwise.
    padding : {"auto", "valid", "same"}, default="auto"
        "valid" puts filters where they fit, so that a layer's output is smaller than its input by the kernel's sides
        less 1; "same" surrounds the input with zeros, so that it is as large. "auto" is "valid" for one layer and
        "same" for stacks.
    pool_size : "auto", int, or sequence of int or (pool_height, pool_width), default="auto"
        Max-pooling after each layer: of every pool of that many pixels only the largest value goes on; what fills no
        pool at the end of rows and columns is dropped. 2 makes what comes next four times cheaper, and the network
        less sensitive to where things are; 1 is no pooling. "auto" is 2, and in stacks 1 along a side of which fewer
        than 4 pixels would be left, and 4 for signals with `global_pool` of which 250 samples are left then.
        Otherwise the same rules as for `kernel_size`.
    activation : {"auto", "sigmoid", "tanh", "relu"}, default="auto"
        Of the convolutional layers: 1 / (1 + exp(-c)), tanh(c) or max(c, 0). "auto" is "sigmoid" for one layer and
        "relu" for stacks.
    batch_norm : bool, default=False
        Whether what each filter makes of the images is normalised before the activation [7]_: over groups of up to 16
        images of a batch [8]_, with a scale and a shift that are learnt. Deep stacks and long signals learn by it what
        they do not learn without. Predictions use means and variances of the training set, measured at the end of
        `fit` and before each score of a validation set, or in `partial_fit` running ones; folded into the filters,
        they take no time. Batches of one or two images do not suit it.
    global_pool : {None, "average", "max"}, default=None
        What the output layer reads of each of the last layer's feature maps: all of it, or only its average or its
        largest value, wherever that is. Then images and signals of any size have few weights.
    random_shift : int or pair of (rows, columns), default=0
        Pixels that each image is moved by while it is learnt, at most: as many rows up or down and columns to the left
        or right as `random_state` draws anew for each image in each epoch; the pixels at the border are repeated. An
        int is clipped to what leaves a part of the image in sight, a pair must fit.
        Predictions and validation scores are of the images as they are. Use it where a shift does not change what
        is shown and more epochs do not help; not with images that are cut out alike and 8 pixels wide.
    random_flip : bool, default=False
        Whether each image is mirrored left to right while it is learnt, or not, as drawn anew in each epoch. Use it
        for photographs; digits and letters mean something else in a mirror.
    loss : {"log_loss", "squared_error"}, default="log_loss"
        What is minimised: softplus(z) - t * z, which is minus the log-likelihood of a target t, or (t - p)**2 / 2;
        summed over outputs, averaged over the batch by sample weight. The second bears mislabelled samples better.
    standardize : bool, default=False
        Standardise z over each batch before the last sigmoid, against saturation with large initial weights. Running
        averages of the batches' means and variances (momentum 0.9) stand in for a batch's own while training; `fit`
        ends by setting them to the training set's.
    fit_intercept : bool, default=True
        Whether to learn intercepts, and with `batch_norm` shifts. They stay 0 otherwise; there is rarely a reason.
    init : {"auto", "glorot_uniform", "he_uniform", "uniform"}, default="auto"
        Where initial weights are drawn from: U(-b, b) with b = sqrt(6 / (fan_in + fan_out)) [2]_ or
        b = sqrt(6 / fan_in) [3]_, or U(0, 1), for comparisons only. "auto" is the second for filters before a relu,
        the first for all else. The first filters, and Adam's steps of them, are divided by the scale of the pixels.
    rescale : float or "auto", default="auto"
        Every pixel is multiplied by it as it is read, in predictions too. "auto" is 1 / 255 where X is of bytes
        (uint8), and 1 otherwise.
    solver : {"adam", "sgd"}, default="adam"
        Adam [1]_, which needs little tuning, or stochastic gradient descent with momentum.
    alpha : float, default=1e-3
        Strength of the L2 penalty, alpha / 2 * ||weights||**2 over the batch's summed weight; intercepts, scales and
        shifts are free.
        With "adam" the first filters count times the scale of X, 1 for pixels between 0 and 1, so that the unit of X
        makes no difference.
        Raise it when the training score is far above the validation score.
    label_smoothing : float, default=0.0
        Part of each label, from 0 to 0.5, that is spread evenly over the classes while learning, or over yes and no
        for several labels [6]_. With two layers or more 0.02 to 0.1 predict small sets better; probabilities are less
        sure by as much. Validation losses are of the labels as they are.
    class_weight : dict of {label: weight} or "balanced", default=None
        Factors of the samples' weights, by class; "balanced" makes all classes weigh the same, for data where one is
        rare and matters. Labels that a dict leaves out have 1. Not for several labels a sample. Validation scores do
        not know of it: with `early_stopping`, pass a validation set with `sample_weight_val`.
    batch_size : int or "auto", default="auto"
        Samples in a mini-batch; "auto" is 32, or all samples if there are fewer. Larger batches take less time an
        epoch, above all with several threads, and more epochs.
    learning_rate : {"constant", "cosine", "invscaling", "adaptive"}, default="constant"
        Schedule: `learning_rate_init` throughout; or falling to 0, step by step, along half a period of the cosine
        [5]_ over `max_iter` epochs, all of which are trained. With "sgd" alone: divided by (t + 1)**`power_t` before
        each epoch, t being the samples seen so far; or divided by 5 whenever training would stop for want of
        improvement, until it is at most 1e-6.
    learning_rate_init : float, default=5e-3
        Step size of the solver. Lower it when training diverges or the loss jumps, raise it when it creeps. Adam's is
        multiplied by a factor for each layer that depends on its size, up to 0.1.
    power_t : float, default=0.5
        Exponent of "invscaling".
    average : bool or int, default=True
        Whether the model has averages of the parameters, rather than those after the last step: they come to rest
        without an end of training being known, as in streams. True averages late ones, about the last eighth [4]_; an
        int all of them alike, from that number of samples on, as in SGDClassifier. Losses are those of the steps.
    max_iter : int or "auto", default="auto"
        Largest number of epochs, each a pass over all samples. Raise it, or `tol`, on a ConvergenceWarning. "auto" is
        200, or as many as make 1000 steps.
    shuffle : bool, default=True
        Whether to take the samples in a new random order in each epoch. Switch it off for samples that come in an
        order of their own which is to be kept.
    random_state : int, RandomState instance or None, default=None
        Draws initial weights, the samples held out, their order, shifts and flips; an int makes results repeat bit for
        bit.
    tol : float, default=1e-3
        Training stops once the loss failed to improve on its best by more than `tol`, or with `early_stopping` the
        validation score by at least `tol`, for more than `n_iter_no_change` epochs in a row.
    n_iter_no_change : int, inf or "auto", default="auto"
        See `tol`. "auto" is 10, and more for epochs of n < 200 steps: 10 * sqrt(200 / n), rounded up.
        Infinity always trains for `max_iter` epochs.
    early_stopping : bool, default=False
        Whether the accuracy on a validation set decides when to stop, and which epoch's parameters are kept: those of
        the best. The set is the one passed to `fit`, otherwise a part of X, which is not learnt from then. Use it when
        more epochs do harm; on small clean sets it costs accuracy, and against wrong labels `alpha` does more.
    validation_fraction : float, default=0.1
        The part of X that `early_stopping` holds out, classes in proportion (unless a sample has several labels).
    verbose : bool, default=False
        Whether to print each epoch's loss, and the validation score where there is one.
    warm_start : bool, default=False
        Whether `fit` continues from the last fit's parameters, solver state and count of epochs without improvement:
        after one that converged, a further `fit` stops after an epoch that improves nothing; "adaptive" and "cosine"
        start anew. The solver's moments stay in the model then, and in pickles. An int as `random_state` starts the
        samples' orders over.
    n_jobs : int, default=None
        Threads of `fit` and predictions, which come to the same bits: None is 1 (or what `joblib.parallel_config`
        says), -1 all processors, at most what OMP_NUM_THREADS, threadpoolctl or a joblib worker allow.
    momentum : float, default=0.9
        Momentum of "sgd", between 0 and 1.
    nesterovs_momentum : bool, default=True
        Whether "sgd" uses Nesterov's momentum.
    beta_1, beta_2 : float, default=0.9, 0.99
        Decay rates of Adam's first and second moments, in [0, 1). Rarely worth touching.
    epsilon : float, default=1e-8
        Added to the denominator of Adam's step; raise it if the last steps of a fit jump.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        Class labels; with several labels a sample, the numbers of these.
    n_features_in_ : int
        Values in a row of X.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of the columns of X, if it had string names.
    image_shape_ : tuple of (height, width, n_channels)
        What a row was taken for.
    kernel_size_, pool_size_ : list of (height, width)
        Size of each layer's filters and pools.
    padding_, activation_ : str
        Of all layers.
    rescale_ : float
        What pixels are multiplied by.
    coefs_ : list of ndarray
        Filters of each layer (n_filters, n_channels, kernel_height, kernel_width), n_channels being the number of
        filters of the layer before; and output weights (n_hidden, n_outputs), whose rows are in the order (filter,
        row, column), or one for each filter with `global_pool`. Views of the model's parameters; with `batch_norm`
        read-only ones of what it is folded into.
    intercepts_ : list of ndarray
        Of shape (n_filters,) of each layer, and (n_outputs,). Views too.
    filters_ : ndarray of shape (n_filters, kernel_height, kernel_width) or with n_channels as a last axis
        The first layer's filters as images.
    n_outputs_ : int
        1 for two classes, otherwise the number of classes or labels.
    n_layers_ : int
        Input, convolutional layers and output: 3, or more with several layers; see `summary`.
    n_iter_ : int
        Epochs of the last `fit` or `partial_fit`.
    t_ : int
        Samples seen in training.
    learning_rate_ : float
        The learning rate that `partial_fit` would go on with; `learning_rate_init` with "cosine".
    loss_ : float
        The last epoch's loss.
    best_loss_ : float or None
        The least loss (since `early_stopping` was last in use); None with `early_stopping`.
    loss_curve_ : list of float
        Each epoch's loss: the average of its batches' by weight, the L2 penalty included.
    validation_loss_curve_ : list of float or None
        The validation set's loss after each epoch, without the penalty and class weights; None without such a set.
    validation_scores_ : list of float or None
        Its accuracy; with several labels a sample, the share of samples that have all of them right.
    best_validation_score_ : float or None
        The best of these; with `early_stopping`, that of the parameters that are kept.

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

    Two layers, with what goes well with them; `summary` shows what they make of an image:

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
            Images, each a row or as it is; numbers of any type, bytes included.
        y : array-like of shape (n_samples,) or (n_samples, n_labels)
            Labels of any type, two classes or more; or an indicator of 0 and 1 with a column for each label, of which
            a sample may have any number.
        sample_weight : array-like of shape (n_samples,), default=None
            Not negative and not all zero; None weighs every sample 1. As the penalty is divided by a batch's weight,
            pass weights of mean 1; those that sum to 1 or less are taken as such.
        X_val, y_val : array-like, default=None
            A validation set of your own: scored after each epoch, and with `early_stopping=True` what decides, in
            place of a part of X. With metadata routing enabled and requested (`set_fit_request(X_val=True,
            y_val=True)`), a Pipeline transforms X_val as X if its `transform_input` names it. A search takes an array
            with as many rows as X for one to be split; pass it another number.
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
            do not go together; if training diverges. An earlier fit is left as it was (a RandomState instance has
            been drawn from).
        """
        fitting.fit(self, X, y, sample_weight, (X_val, y_val, sample_weight_val))
        return self

    def partial_fit(self, X, y, sample_weight=None, classes=None):
        """Learn from more images: one epoch over these, in mini-batches, from where the last call ended.

        With `shuffle=False`, chunks of a stream come to what one epoch of `fit` over all of it does, if the sizes of
        all but the last are multiples of `batch_size`, and pixels are as large in the first as in all. With shuffling
        and an int as `random_state`, chunks of one size are all shuffled alike. After `fit`, it goes on from what was
        fitted, with new moments of the solver unless `warm_start` kept them; from then on they stay in the model, and
        in pickles.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_samples, height, width[, n_channels])
            Images as in `fit`; one is enough, except with `standardize`.
        y : array-like of shape (n_samples,) or (n_samples, n_labels)
            Their labels, not necessarily of every class.
        sample_weight : array-like of shape (n_samples,), default=None
            As in `fit`.
        classes : array-like of shape (n_classes,), default=None
            All classes there will be: needed in the first call, unless a sample has several labels.

        Returns
        -------
        self : ConvSigmoidClassifier
            The classifier itself.

        Raises
        ------
        TypeError
            As in `fit`.
        ValueError
            As in `fit`; with labels that are not among the classes; if the classes or the network are not those of
            the last call; with `early_stopping` or `class_weight="balanced"`, which need all the data, or
            `learning_rate="cosine"`, which needs an end.
        """
        fitting.partial_fit(self, X, y, sample_weight, classes)
        return self

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        tags.input_tags.three_d_array = True
        return tags
