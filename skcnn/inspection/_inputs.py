"""What all of this package begins with: a fitted network, images that it reads, and the class that is asked about."""

from dataclasses import replace

import numpy as np
from sklearn.base import OneToOneFeatureMixin
from sklearn.pipeline import Pipeline
from sklearn.utils.validation import check_is_fitted

from skcnn.fitted import FittedNetwork
from skcnn.images import as_rows, read_images
from skcnn.threads import count_threads
from skcnn.validation import check_integer


def unwrap(estimator):
    """The last estimator of Pipelines and of the best ones of fitted searches, and the steps before it."""
    steps = []
    while True:
        if isinstance(estimator, Pipeline):
            steps += [step for _, step in estimator.steps[:-1] if step is not None and step != "passthrough"]
            estimator = estimator[-1]
        elif hasattr(estimator, "best_estimator_"):
            estimator = estimator.best_estimator_
        else:
            return estimator, steps


def find_classifier(estimator):
    """The fitted classifier itself, and the steps before it."""
    classifier, steps = unwrap(estimator)
    if not isinstance(classifier, FittedNetwork):
        raise TypeError(
            "estimator must be a ConvSigmoidClassifier, a Pipeline that ends in one, or a fitted search of either; got "
            f"{type(classifier).__name__}."
        )
    check_is_fitted(classifier)
    return classifier, steps


def keeps_pixels(steps):
    """Whether these steps change pixels one by one, as scalers do: then X itself can be drawn."""
    return all(isinstance(step, OneToOneFeatureMixin) for step in steps)


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
    estimator : ConvSigmoidClassifier, Pipeline or search
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
    pictures : ndarray of shape (n_samples, height, width, n_channels)
        The images to draw: X, unless steps of a Pipeline make other images of it than a scaler would.
    """

    def __init__(self, estimator, X):
        classifier, steps = find_classifier(estimator)
        read = X
        for step in steps:
            read = step.transform(read)
        model = classifier._model
        self.network, self.parameters, self.labels = model.network.folded, model.folded, model.labels
        self.rows, _, _ = read_images(classifier, read, reset=False, image_shape=self.network.image_shape)
        self.pictures = self.images
        if steps and keeps_pixels(steps):
            self.pictures = np.asarray(as_rows(X)[0]).reshape(self.pictures.shape)
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
        target : label, sequence of labels, or None
            A class, or the number of a label, for all samples or one for each; None is the most probable one of each.

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
            codes = find_classes(classes, target, len(logits))
        else:
            codes = (logits[:, 0] > 0).astype(np.intp) if single else logits.argmax(axis=1)
        if single:
            return np.zeros_like(codes), np.where(codes == 1, 1, -1), classes[codes]
        return codes, np.ones_like(codes), classes[codes]


def find_classes(classes, target, n_samples):
    """Where each sample's target stands among the classes; a label is the target of all."""
    targets = np.asarray(target)
    if targets.ndim and targets.shape != (n_samples,):
        raise ValueError(f"target of shape {targets.shape} must be a label, or one for each of {n_samples} samples.")
    known, labels = classes.tolist(), np.atleast_1d(targets).tolist()
    for label in labels:
        if label not in known:
            raise ValueError(f"target={label!r} must be None or one of the classes {known}.")
    return np.full(n_samples, [known.index(label) for label in labels], dtype=np.intp)


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
