"""Inputs of all inspection functions: a fitted network, images for it, and the class to explain."""

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
    """The final estimator inside Pipelines and fitted searches, and the steps before it."""
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
    """Whether all steps transform pixels one by one, as scalers do, so that X itself can be drawn."""
    return all(isinstance(step, OneToOneFeatureMixin) for step in steps)


def find_layer(network, layer):
    """The number of a convolution, from 0; a negative `layer` counts from the end."""
    n_layers = len(network.stages)
    if check_integer("layer", layer, -n_layers) >= n_layers:
        raise ValueError(
            f"layer={layer!r} must be an integer from {-n_layers} to {n_layers - 1}: the network has {n_layers} "
            f"convolution{'s' if n_layers > 1 else ''}."
        )
    return layer % n_layers


class Inputs:
    """A fitted network and images for it.

    Parameters
    ----------
    estimator : ConvSigmoidClassifier, Pipeline or search
        Fitted; the steps of a Pipeline before the classifier transform X.
    X : array-like of shape (n_samples, n_features) or (n_samples, height, width[, n_channels])

    Attributes
    ----------
    network : skcnn.network.Network
        The folded network, which has no batch normalisation.
    parameters : ndarray of shape (n_parameters,)
        Its parameters.
    labels : skcnn.targets.Labels
    rows : ndarray of shape (n_samples, n_features)
    pictures : ndarray of shape (n_samples, height, width, n_channels)
        The images to draw: X, or the transformed images if a step of a Pipeline does more than scale pixels.
    """

    def __init__(self, estimator, X):
        classifier, steps = find_classifier(estimator)
        read = X
        for step in steps:
            read = step.transform(read)
        model = classifier._model
        self.network, self.parameters, self.labels = model.network.folded, model.folded, model.labels
        self.rows, _, _ = read_images(classifier, read, reset=False, model=model)
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
        """Output of a convolution after its pooling: (n_samples, height, width, n_filters)."""
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
        """The output that `target` stands for in each row of logits.

        Parameters
        ----------
        logits : ndarray of shape (n_samples, n_outputs)
        target : label, sequence of labels, or None
            A class, or a label's column number, for all samples or one for each; None is each row's most probable one.

        Returns
        -------
        outputs : ndarray of shape (n_samples,)
            Column of the logits.
        signs : ndarray of shape (n_samples,)
            -1 for the first of two classes, for which negative logits speak; 1 otherwise.
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
    """Index of each sample's target among the classes; a single label is the target of all samples."""
    targets = np.asarray(target)
    if targets.ndim and targets.shape != (n_samples,):
        raise ValueError(f"target of shape {targets.shape} must be a label, or one for each of {n_samples} samples.")
    known, labels = classes.tolist(), np.atleast_1d(targets).tolist()
    for label in labels:
        if label not in known:
            raise ValueError(f"target={label!r} must be None or one of the classes {known}.")
    return np.full(n_samples, [known.index(label) for label in labels], dtype=np.intp)


def truncate(network, parameters, number):
    """The network truncated after a convolution, whose output is its hidden activations, and its parameters.

    Its single output has zero weights.
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
    """(left, right, bottom, top) of a convolution's maps in pixels of the image, for matplotlib's `extent`.

    Each value of a map is at the centre of the pixels that it is computed from.
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
    """Outer edges of `n` cells, the first of which is centred at `first` and the others follow at `spacing`."""
    return first - spacing / 2, first + spacing * (n - 0.5)
