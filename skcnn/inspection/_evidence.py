"""Where in an image the evidence for a class is."""

import numpy as np
from sklearn.utils import Bunch

from skcnn.inspection._inputs import Inputs, map_extent
from skcnn.inspection._overlay import draw_overlays
from skcnn.inspection._plotting import SIGNED
from skcnn.layers import Standardization


def class_evidence(estimator, X, *, target=None):
    """How much each position of the last feature maps adds to the logit of a class.

    The output layer is linear in these maps, so that this is no approximation: the evidence of all positions, and the
    offset, sum to the logit, which is what `decision_function` returns.

    Parameters
    ----------
    estimator : ConvSigmoidClassifier, Pipeline or search
        Fitted; a Pipeline must end in such a classifier, and its other steps transform X. Of a search
        (GridSearchCV), its best estimator.
    X : array-like of shape (n_samples, n_features) or (n_samples, height, width[, n_channels])
        Images as in `fit`.
    target : label or array-like of shape (n_samples,), default=None
        The class that is asked about, for all samples or one for each; with several labels a sample, numbers of them.
        None is the class that is predicted for each. The evidence for the first of two classes is that against the
        second.

    Returns
    -------
    evidence : Bunch
        With `evidence`, an ndarray of shape (n_samples, map_height, map_width), of the last convolution's pooled
        maps; with `global_pool="average"` each position has its share in the average, with "max" only the largest
        value of each map counts, the first of several. `offset`, of shape (n_samples,), is what the logit has besides:
        the intercept, and what `standardize` takes off. `target`, of shape (n_samples,), are the classes.

    Raises
    ------
    NotFittedError
        If the classifier is not fitted.
    ValueError, TypeError
        If X is not as in `fit`, there is no such class, or it is another estimator.

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
    """Each position's share in the average or the maximum of its map: they sum to it."""
    n_samples, height, width, n_filters = maps.shape
    if function == "average":
        return maps / (height * width)
    flat = maps.reshape(n_samples, height * width, n_filters)
    largest = flat.argmax(axis=1)[:, np.newaxis]
    shares = np.zeros_like(flat)
    np.put_along_axis(shares, largest, np.take_along_axis(flat, largest, axis=1), axis=1)
    return shares.reshape(maps.shape)


class ClassEvidenceDisplay:
    """Where in images the evidence for a class is: red speaks for it, blue against it.

    Below each picture stands its map, in the picture's frame, with the outline of what a grey picture shows; a
    signal's is drawn behind the curve. Every value stands at the middle of the pixels that it is made of.

    It is recommended to use :meth:`from_estimator` to create one. All parameters are stored as attributes.

    Parameters
    ----------
    evidence : ndarray of shape (n_samples, map_height, map_width)
    offset : ndarray of shape (n_samples,)
    target : ndarray of shape (n_samples,)
        These as :func:`class_evidence` returns them.
    images : ndarray of shape (n_samples, height, width, n_channels)
    extent : tuple of (left, right, bottom, top)
        Of the maps, in pixels of the images.

    Attributes
    ----------
    figure_ : matplotlib Figure
    bounding_ax_ : matplotlib Axes or None
        The axes that hold the others; None if as many axes were given as are needed.
    axes_ : ndarray of matplotlib Axes
        None where unused. Rows of pictures and rows of their maps by turns; signals one below the other.
    im_ : ndarray of matplotlib AxesImage
        Of the same shape: the pictures and the maps.
    line_ : ndarray of matplotlib Line2D
        Of the same shape: the curves, of several channels the first.
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
        """Draw where a fitted classifier finds evidence.

        Parameters
        ----------
        estimator : ConvSigmoidClassifier, Pipeline or search
            Fitted; a Pipeline must end in such a classifier, and its other steps transform X. Of a search
            (GridSearchCV), its best estimator.
        X : array-like of shape (n_samples, n_features) or (n_samples, height, width[, n_channels])
            A few images.
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
        """Draw it.

        Parameters
        ----------
        ax : matplotlib Axes or array-like of Axes, default=None
            Axes to subdivide; or as many as there are pictures and maps, or signals. None makes a figure.
        n_cols : int, default=8
            Pictures in a row.
        cmap : str or matplotlib Colormap, default="RdBu_r"
            Its middle is 0.
        colorbar : bool, default=True
            Whether to show the scale.
        im_kw : dict, default=None
            Keywords of `matplotlib.axes.Axes.imshow`, for the maps.
        curve_kwargs : dict, default=None
            Keywords of `matplotlib.axes.Axes.plot`, for signals.

        Returns
        -------
        self : ClassEvidenceDisplay
        """
        evidence = np.asarray(self.evidence)
        logits = evidence.sum(axis=(1, 2)) + self.offset
        titles = [f"{one}: logit {logit:.1f}" for one, logit in zip(self.target, logits, strict=True)]
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
