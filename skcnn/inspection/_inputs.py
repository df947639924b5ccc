"""What all of this package begins with: a fitted network, images that it reads, and the class that is asked about."""

from dataclasses import replace

import numpy as np
from sklearn.pipeline import Pipeline
from sklearn.utils.validation import check_is_fitted

from skcnn.fitted import FittedNetwork
from skcnn.images import read_images
from skcnn.threads import count_threads
from skcnn.validation import check_integer


def find_classifier(estimator):
    """The fitted classifier itself, which may be the last step of a Pipeline."""
    classifier = estimator[-1] if isinstance(estimator, Pipeline) else estimator
    if not isinstance(classifier, FittedNetwork):
        raise TypeError(
            "estimator must be a ConvSigmoidClassifier, or a Pipeline that ends in one; got "
            f"{type(classifier).__name__}."
        )
    check_is_fitted(classifier)
    return classifier


def find_layer(network, layer):
    """The number of a convolution, from 0; `layer` may count from the end."""
    n_layers = len(network.stages)
    if check_integer("layer", layer, -n_layers) >= n_layers:
        raise ValueError(
            f"layer={layer!r} must be an integer from {-n_layers} to {n_layers - 1}: the network has {n_layers} "
            f"convolution{'s' if n_layers > 1 else ''}."
        )
    return layer % n_layers


class Inputs:
    """A fitted network and images that it reads.

    Parameters
    ----------
    estimator : ConvSigmoidClassifier or Pipeline
        Fitted; the steps of a Pipeline before the last one transform X.
    X : array-like of shape (n_samples, n_features) or (n_samples, height, width[, n_channels])

    Attributes
    ----------
    network : skcnn.network.Network
        That predicts: without normalisation.
    parameters : ndarray of shape (n_parameters,)
        Of it.
    labels : skcnn.targets.Labels
    rows : ndarray of shape (n_samples, n_features)
    """

    def __init__(self, estimator, X):
        classifier = find_classifier(estimator)
        if isinstance(estimator, Pipeline):
            X = estimator[:-1].transform(X) if len(estimator) > 1 else X
        model = classifier._model
        self.network, self.parameters, self.labels = model.network.folded, model.folded, model.labels
        self.rows, _, _ = read_images(classifier, X, reset=False, image_shape=self.network.image_shape)
        self._n_threads = count_threads(classifier.n_jobs)

    @property
    def images(self):
        """The rows as images (n_samples, height, width, n_channels)."""
        return self.rows.reshape(-1, *self.network.image_shape)

    @property
    def views(self):
        """The parameters by name."""
        return self.network.views(self.parameters)

    def logits(self, rows=None):
        """Logits (n_samples, n_outputs) of the images, or of other rows."""
        rows = self.rows if rows is None else rows
        return self._finite(self.network.logits(rows, self.parameters, self._n_threads))

    def feature_maps(self, number):
        """What a convolution, by its number, hands on: (n_samples, height, width, n_filters)."""
        network, parameters = truncate(self.network, self.parameters, number)
        _, hidden = network.forward(self.rows, parameters, self._n_threads, with_hidden=True)
        height, width, n_filters = network.hidden_shape
        return np.moveaxis(self._finite(hidden).reshape(-1, n_filters, height, width), 1, -1)

    def _finite(self, values):
        if not np.isfinite(values).all():
            raise ValueError(
                f"X holds values too large for {self.parameters.dtype.name}, in which this model computes."
            )
        return values

    def find_outputs(self, logits, target):
        """What `target` means to each row of logits.

        Parameters
        ----------
        logits : ndarray of shape (n_samples, n_outputs)
        target : label or None
            A class, or the number of a label; None is the most probable one of each sample.

        Returns
        -------
        outputs : ndarray of shape (n_samples,)
            The output that stands for it.
        signs : ndarray of shape (n_samples,)
            -1 for the first of two classes, which speaks for it if it is negative; 1 otherwise.
        classes : ndarray of shape (n_samples,)
        """
        classes, single = self.labels.classes, self.labels.n_outputs == 1
        if target is not None:
            codes = np.full(len(logits), find_class(classes, target))
        else:
            codes = (logits[:, 0] > 0).astype(np.intp) if single else logits.argmax(axis=1)
        if single:
            return np.zeros_like(codes), np.where(codes == 1, 1, -1), classes[codes]
        return codes, np.ones_like(codes), classes[codes]


def find_class(classes, target):
    """Where `target` stands among the classes."""
    if np.ndim(target) == 0:
        for code, label in enumerate(classes.tolist()):
            if label == target:
                return code
    raise ValueError(f"target={target!r} must be None or one of the classes {classes.tolist()}.")


def truncate(network, parameters, number):
    """The network that ends with a convolution, and its parameters: what it hands on are its hidden activations.

    Behind it stands one output, which weighs everything 0.
    """
    n_layers = number + 1
    truncated = replace(
        network,
        n_filters=network.n_filters[:n_layers],
        kernel_size=network.kernel_size[:n_layers],
        pool_size=network.pool_size and network.pool_size[:n_layers],
        n_outputs=1,
        standardize=False,
        global_pool=None,
    )
    vector = np.zeros(truncated.n_parameters, dtype=parameters.dtype)
    views = network.views(parameters)
    for name, view in truncated.views(vector).items():
        if name.startswith("filter"):
            view[:] = views[name]
    return truncated, vector


def map_extent(network, number):
    """(left, right, bottom, top) of a convolution's maps in pixels of the image, as matplotlib's `extent`.

    The value of a map stands at the middle of the pixels that it is made of.
    """
    edges = []
    for axis in (1, 0):
        first, spacing = 0.0, 1
        for stage in network.stages[: number + 1]:
            before, _ = stage.convolution.pads[axis]
            first += spacing * ((stage.convolution.kernel_size[axis] - 1) / 2 - before)
            first += spacing * (stage.pool_size[axis] - 1) / 2
            spacing *= stage.pool_size[axis]
        edges.append(grid_edges(first, spacing, stage.out_shape[axis]))
    (left, right), (top, bottom) = edges
    return left, right, bottom, top


def grid_edges(first, spacing, n):
    """Where cells begin and end of which the first is centred at `first`, and the others follow at `spacing`."""
    return first - spacing / 2, first + spacing * (n - 0.5)
