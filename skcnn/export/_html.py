"""Export of a fitted network as a web page that computes it while the user draws."""

import json
from base64 import b64encode
from html import escape
from importlib.resources import files
from pathlib import Path
from string import Template

import numpy as np

from skcnn.export._folded import fitted_model
from skcnn.files import replaced
from skcnn.images import read_images
from skcnn.layers import Activation, Convolution, Dense, GlobalPooling, MaxPooling, Standardization
from skcnn.summary import Summary

MOST_IMAGES = 50

# Files that are inserted into page.html.
PARTS = ("page.css", "network.js", "pictures.js", "page.js")


def to_html(estimator, path, *, images=None, labels=None):
    """Write a fitted network as a web page in a single file that needs no server, internet connection or installation.

    The user draws an image, or a signal as a curve, and the page shows the class probabilities and each layer's feature
    maps and filters after every stroke. The page computes them itself, as `predict_proba` does, from float32
    parameters.

    Parameters
    ----------
    estimator : ConvSigmoidClassifier
        Fitted.
    path : path-like
        Path of the file, usually ending in ".html". An existing file is replaced once the new one is complete.
    images : array-like of shape (n_images, n_features) or (n_images, height, width[, n_channels]), default=None
        Up to 50 images as in `fit`, from which the user can choose. Their smallest and largest value are the range of
        values for drawing, and their median is the blank image, so pass some even if they are not needed. Without
        images, the range is estimated from the scale of the training images: upwards from 0 for images, symmetric about
        0 for signals.
    labels : array-like of shape (n_images,) or (n_images, n_labels), default=None
        Texts below the images: values of any type, or multilabel targets.

    Returns
    -------
    path : pathlib.Path
        Path of the file.

    Raises
    ------
    NotFittedError
        If there has been no `fit`.
    TypeError
        If `estimator` is of another kind.
    ValueError
        If `images` do not match the network or are too many, `labels` do not match `images`, or a parameter exceeds the
        range of float32.
    OSError
        If the file cannot be written.

    Examples
    --------
    >>> from pathlib import Path
    >>> from tempfile import gettempdir
    >>> from skcnn import ConvSigmoidClassifier
    >>> from skcnn.datasets import load_mnist_sample
    >>> from skcnn.export import to_html
    >>> X, y = load_mnist_sample(return_X_y=True)
    >>> clf = ConvSigmoidClassifier(4, max_iter=3, tol=1e9, n_iter_no_change=1, random_state=0).fit(X, y)
    >>> path = to_html(clf, Path(gettempdir(), "digits.html"), images=X[:10], labels=y[:10])
    >>> path.name
    'digits.html'
    """
    model = fitted_model(estimator)
    path = Path(path)
    if path.is_dir():
        raise IsADirectoryError(f"path={str(path)!r} is a folder; it must be a file's.")
    if not path.parent.is_dir():
        raise FileNotFoundError(f"path={str(path)!r} lies in a folder that does not exist.")
    page = _make_page(_describe(estimator, model, images, labels), type(estimator).__name__)
    with replaced(path) as part:
        part.write_text(page, encoding="utf-8", newline="\n")
    return path


def _make_page(description, name):
    """The page of a description, a dictionary that network.js and page.js read as JSON."""
    # Within a script element, only "<" can start markup, as in "<!--" and "</script".
    model = json.dumps(description, allow_nan=False, separators=(",", ":")).replace("<", "\\u003c")
    folder = files("skcnn.export")
    parts = {part: (folder / part).read_text(encoding="utf-8") for part in PARTS}
    return Template((folder / "page.html").read_text(encoding="utf-8")).substitute(
        {part.replace(".", "_"): text for part, text in parts.items()}, name=escape(name), model=model
    )


def _describe(estimator, model, images, labels):
    """Everything that the page needs, as JSON types."""
    network = model.network.folded
    rows = _read(estimator, model, images)
    texts = _label_texts(labels, len(rows), model.labels)
    views = network.views(model.folded)
    parameters = [views[parameter.name].ravel() for layer in network.layers for parameter in layer.parameters]
    low, high, blank = _pixel_range(rows, network)
    return {
        "image_shape": network.image_shape,
        "rescale": network.rescale,
        # Without the last sigmoid: the page computes probabilities from logits.
        "layers": [_describe_layer(layer) for layer in network.layers[:-1]],
        "parameters": _encode(np.concatenate(parameters), "the model"),
        "n_parameters": Summary(model.network).n_parameters,
        "classes": [str(label) for label in model.labels.classes.tolist()],
        "multilabel": model.labels.multilabel,
        "low": low,
        "high": high,
        "blank": blank,
        "images": _encode(rows.ravel(), "images"),
        "labels": texts,
    }


def _describe_layer(layer):
    """A layer's type, shape and options, and the names and sizes of its arrays in their order in the vector."""
    names = ()
    match layer:
        case Convolution():
            (above, _), (before, _) = layer.pads
            options = {"type": "convolution", "kernel_size": layer.kernel_size, "pads": (above, before)}
            names = "filters", "intercepts"
        case Activation():
            options = {"type": "activation", "function": layer.function}
        case MaxPooling():
            options = {"type": "max-pooling", "pool_size": layer.pool_size}
        case GlobalPooling():
            options = {"type": "global pooling", "function": layer.function}
        case Dense():
            options = {"type": "dense"}
            names = "weights", "intercepts"
        case Standardization():
            options = {"type": "standardization"}
            names = "means", "variances"
        case _:
            raise TypeError(f"A page has no {type(layer).__name__}.")
    sizes = [parameter.size for parameter in layer.parameters]
    return options | {"out_shape": layer.out_shape, "arrays": list(zip(names, sizes, strict=True))}


def _read(estimator, model, images):
    """Images as rows, of which there are none if `images` is None."""
    network = model.network
    if images is None:
        return np.empty((0, network.n_features), dtype=np.uint8)
    rows, _, _ = read_images(estimator, images, reset=False, model=model)
    if len(rows) > MOST_IMAGES:
        raise ValueError(
            f"images has {len(rows)} images, and the page takes at most {MOST_IMAGES}: pass images[:{MOST_IMAGES}]."
        )
    return rows


def _label_texts(labels, n_images, known):
    """Text below each image, or an empty list without labels."""
    if labels is None:
        return []
    labels = np.asarray(labels)
    if known.multilabel and labels.shape == (n_images, known.n_outputs):
        return [", ".join(map(str, np.flatnonzero(row))) or "none" for row in labels]
    if labels.shape != (n_images,):
        raise ValueError(f"labels of shape {labels.shape} must have one label for each of the {n_images} images.")
    return [str(label) for label in labels.tolist()]


def _pixel_range(rows, network):
    """Smallest and largest value for drawing, and the values of a blank image's channels."""
    height, width, n_channels = network.image_shape
    if len(rows) and rows.min() < rows.max():
        blank = np.median(rows.reshape(-1, n_channels), axis=0)
        return float(rows.min()), float(rows.max()), blank.tolist()
    # The scale of the training images, before rescaling; 1 for pixels between 0 and 1.
    high = abs(network.input_scale / network.rescale)
    return (-high if min(height, width) == 1 else 0.0), high, [0.0] * n_channels


def _encode(values, name):
    """Numbers as base64 of unsigned bytes, if they are integers from 0 to 255, or of little-endian float32."""
    if values.dtype == np.uint8 or ((values >= 0) & (values <= 255) & (values == np.floor(values))).all():
        return {"type": "uint8", "base64": b64encode(values.astype(np.uint8)).decode()}
    with np.errstate(over="ignore"):
        values = values.astype("<f4")
    if not np.isfinite(values).all():
        raise ValueError(f"{name} must hold no values too large for float32, in which the page has them.")
    return {"type": "float32", "base64": b64encode(values).decode()}
