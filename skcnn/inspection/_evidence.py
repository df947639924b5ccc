"""Class evidence: the contribution of each image position to a logit."""

import numpy as np
from sklearn.utils import Bunch

from skcnn.inspection._inputs import Inputs, map_extent
from skcnn.inspection._overlay import draw_overlays
from skcnn.inspection._plotting import SIGNED
from skcnn.layers import Standardization


def class_evidence(estimator, X, *, target=None):
    """Compute how much each position of the last feature maps adds to the logit of a class.

    The output layer is linear in these maps, so the evidence is exact: its sum over all positions, plus the offset, is
    the logit, as `decision_function` returns it.

    Parameters
    ----------
    estimator : ConvSigmoidClassifier, Pipeline or search
        Fitted. A Pipeline must end in the classifier, and its other steps transform X; of a search (GridSearchCV), the
        best estimator is used.
    X : array-like of shape (n_samples, n_features) or (n_samples, height, width[, n_channels])
        Images as in `fit`.
    target : label or array-like of shape (n_samples,), default=None
        The class to explain, for all samples or one for each; with multilabel targets, the label's column number. None
        is the most probable class or label of each sample. For two classes, the evidence and the offset of the first
        are those of the second with the opposite sign.

    Returns
    -------
    evidence : Bunch
        `evidence`, an ndarray of shape (n_samples, map_height, map_width), has the contribution of each position of the
        last convolution's pooled maps. With `global_pool="average"`, it is the position's share of the average; with
        "max", only the maximum of each map counts, the first of several. `offset`, of shape (n_samples,), is the rest
        of the logit: the intercept, standardised with `standardize`. `target`, of shape (n_samples,), has the classes.

    Raises
    ------
    NotFittedError
        If the classifier is not fitted.
    ValueError, TypeError
        If X does not match the training data, a target is not a class, or the estimator is of another kind.

    Examples
    --------
    >>> import numpy as np
    >>> from skcnn import ConvSigmoidClassifier
    >>> from skcnn.datasets import load_mnist_sample
    >>> from skcnn.inspection import class_evidence
    >>> X, y = load_mnist_sample(return_X_y=True)
    >>> clf = ConvSigmoidClassifier(learning_rate="cosine", max_iter=20, random_state=0)
    >>> clf = clf.fit(X[:200], y[:200])
    >>> seven = class_evidence(clf, X[200:205], target=7)
    >>> seven.evidence.shape
    (5, 12, 12)
    >>> logits = seven.evidence.sum(axis=(1, 2)) + seven.offset
    >>> np.allclose(logits, clf.decision_function(X[200:205])[:, 7], atol=1e-5)
    True
    """
    return _find_evidence(Inputs(estimator, X), target)


def _find_evidence(inputs, target):
    network, views = inputs.network, inputs.views
    outputs, signs, classes = inputs.find_outputs(inputs.logits(), target)
    maps = inputs.feature_maps(len(network.stages) - 1).astype(np.float64)
    weights, offsets = views["weights"].astype(np.float64), views["intercepts"].astype(np.float64)
    if network.standardize:
        deviations = Standardization.deviations(views["running_variances"])
        weights = weights / deviations[:, np.newaxis]
        offsets = (offsets - views["running_means"]) / deviations
    if network.global_pool:
        maps = share_global_pool(maps, network.global_pool)
        evidence = np.einsum("nijf,nf->nij", maps, weights[outputs])
    else:
        _, height, width, n_filters = maps.shape
        evidence = np.einsum("nijf,nfij->nij", maps, weights.reshape(-1, n_filters, height, width)[outputs])
    return Bunch(evidence=signs[:, np.newaxis, np.newaxis] * evidence, offset=signs * offsets[outputs], target=classes)


def share_global_pool(maps, function):
    """Each position's share of the average or the maximum of its map; the shares sum to it."""
    n_samples, height, width, n_filters = maps.shape
    if function == "average":
        return maps / (height * width)
    flat = maps.reshape(n_samples, height * width, n_filters)
    largest = flat.argmax(axis=1)[:, np.newaxis]
    shares = np.zeros_like(flat)
    np.put_along_axis(shares, largest, np.take_along_axis(flat, largest, axis=1), axis=1)
    return shares.reshape(maps.shape)


class ClassEvidenceDisplay:
    """Display of class evidence: red speaks for the class, blue against it.

    The map is drawn below the picture, to the same scale and with the outlines of a grey picture, or behind the curve
    of a signal. Each value is at the centre of the pixels that it is computed from.

    Use :meth:`from_estimator` to create one. All parameters are stored as attributes.

    Parameters
    ----------
    evidence : ndarray of shape (n_samples, map_height, map_width)
    offset : ndarray of shape (n_samples,)
    target : ndarray of shape (n_samples,)
        As returned by :func:`class_evidence`.
    images : ndarray of shape (n_samples, height, width, n_channels)
    extent : tuple of (left, right, bottom, top)
        Position of the maps, in pixels of the images.

    Attributes
    ----------
    figure_ : matplotlib Figure
    bounding_ax_ : matplotlib Axes or None
        The axes that contain the others; None if an array of axes was passed.
    axes_ : ndarray of matplotlib Axes
        Rows of pictures alternate with rows of their maps; signals are in one column. None where unused.
    im_ : ndarray of matplotlib AxesImage
        Of the same shape: pictures and maps.
    line_ : ndarray of matplotlib Line2D
        Of the same shape: the curve of each signal, or of its first channel.
    colorbar_ : matplotlib Colorbar or None

    Examples
    --------
    >>> from skcnn import ConvSigmoidClassifier
    >>> from skcnn.datasets import load_mnist_sample
    >>> from skcnn.inspection import ClassEvidenceDisplay
    >>> X, y = load_mnist_sample(return_X_y=True)
    >>> clf = ConvSigmoidClassifier(learning_rate="cosine", max_iter=20, random_state=0)
    >>> clf = clf.fit(X[:200], y[:200])
    >>> display = ClassEvidenceDisplay.from_estimator(clf, X[200:205])
    >>> display.evidence.shape
    (5, 12, 12)
    """

    def __init__(self, evidence, offset, target, images, extent):
        self.evidence = evidence
        self.offset = offset
        self.target = target
        self.images = images
        self.extent = extent

    @classmethod
    def from_estimator(
        cls,
        estimator,
        X,
        *,
        target=None,
        ax=None,
        n_cols=8,
        cmap=SIGNED,
        colorbar=True,
        im_kw=None,
        curve_kwargs=None,
    ):
        """Compute and draw the evidence that a fitted classifier finds.

        Parameters
        ----------
        estimator : ConvSigmoidClassifier, Pipeline or search
            Fitted. A Pipeline must end in the classifier, and its other steps transform X; of a search (GridSearchCV),
            the best estimator is used.
        X : array-like of shape (n_samples, n_features) or (n_samples, height, width[, n_channels])
            Images to draw.
        target : label or array-like of shape (n_samples,), default=None
            As in :func:`class_evidence`.
        ax, n_cols, cmap, colorbar, im_kw, curve_kwargs
            See :meth:`plot`.

        Returns
        -------
        display : ClassEvidenceDisplay

        Raises
        ------
        NotFittedError, ValueError, TypeError
            As in :func:`class_evidence`.
        """
        inputs = Inputs(estimator, X)
        found = _find_evidence(inputs, target)
        extent = map_extent(inputs.network, len(inputs.network.stages) - 1)
        display = cls(found.evidence, found.offset, found.target, inputs.pictures, extent)
        return display.plot(ax, n_cols=n_cols, cmap=cmap, colorbar=colorbar, im_kw=im_kw, curve_kwargs=curve_kwargs)

    def plot(self, ax=None, *, n_cols=8, cmap=SIGNED, colorbar=True, im_kw=None, curve_kwargs=None):
        """Draw the evidence.

        Parameters
        ----------
        ax : matplotlib Axes or array-like of Axes, default=None
            Axes to subdivide, or an array with one for each picture and map, or for each signal. None creates a figure.
        n_cols : int, default=8
            Number of pictures in a row.
        cmap : str or matplotlib Colormap, default="RdBu_r"
            Colour map of the maps, centred at 0.
        colorbar : bool, default=True
            Whether to draw a colour bar.
        im_kw : dict, default=None
            Keyword arguments of `matplotlib.axes.Axes.imshow` for the maps.
        curve_kwargs : dict, default=None
            Keyword arguments of `matplotlib.axes.Axes.plot` for signals.

        Returns
        -------
        self : ClassEvidenceDisplay

        Raises
        ------
        TypeError
            If `n_cols` is not an integer.
        ValueError
            If `n_cols` is less than 1, or `ax` has too few axes or cannot be subdivided.
        """
        evidence = np.asarray(self.evidence)
        logits = evidence.sum(axis=(1, 2)) + self.offset
        titles = [f"{one}: logit {round(logit, 1) + 0.0:.1f}" for one, logit in zip(self.target, logits, strict=True)]
        return draw_overlays(
            self,
            evidence,
            self.extent,
            titles,
            "Evidence",
            "Evidence for the class",
            ax,
            n_cols,
            cmap,
            colorbar,
            im_kw,
            curve_kwargs,
        )
