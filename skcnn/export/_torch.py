"""Conversion of a fitted network to a `torch.nn.Sequential`."""

from skcnn.export._folded import dense_arrays, fitted_model, has_bias
from skcnn.extras import import_extra
from skcnn.layers import Activation, Convolution, Dense, GlobalPooling, MaxPooling

_ACTIVATIONS = {"sigmoid": "Sigmoid", "tanh": "Tanh", "relu": "ReLU"}


def to_torch(estimator):
    """Convert a fitted network to a `torch.nn.Sequential` of PyTorch's own layers.

    The model takes tensors of shape (n_samples, n_channels, height, width), channels first, of the dtype that the
    estimator was trained in, with the same pixel values as in `fit`. To convert rows::

        images = X.reshape(-1, *estimator.image_shape_).transpose(0, 3, 1, 2)
        torch.tensor(images, dtype=model[-2].weight.dtype)

    If the estimator rescales pixels, the first layer is a 1 x 1 convolution that does so; its weights require no
    gradient, so optimizers leave them unchanged. `batch_norm` is folded into the filters and `standardize` into the
    dense layer. If "same" padding adds an odd number of zeros, a ZeroPad2d precedes the convolution.

    The model has one sigmoid for each output of the network, as in `to_keras`. For two classes, this is the probability
    of `classes_[1]`; for multilabel targets, it is `predict_proba`. For more classes, `predict_proba` is each row of
    outputs divided by its sum. `model[:-1]` computes the logits of `decision_function`.

    Parameters
    ----------
    estimator : ConvSigmoidClassifier
        Fitted.

    Returns
    -------
    model : torch.nn.Sequential
        In evaluation mode; no layer behaves differently in training mode.

    Raises
    ------
    ImportError
        If PyTorch is not installed.
    TypeError
        If `estimator` is of another kind.
    NotFittedError
        If there has been no `fit`.
    ValueError
        If `standardize` divides weights by deviations so small that they overflow.

    See Also
    --------
    to_keras : The same for Keras, on any backend.

    Examples
    --------
    >>> import numpy as np
    >>> from skcnn import ConvSigmoidClassifier
    >>> from skcnn.datasets import load_mnist_sample
    >>> from skcnn.export import to_torch
    >>> X, y = load_mnist_sample(return_X_y=True)
    >>> clf = ConvSigmoidClassifier(learning_rate="cosine", max_iter=5, random_state=0).fit(X, y)
    >>> import torch  # doctest: +SKIP
    >>> images = torch.tensor(X.reshape(-1, 1, 28, 28), dtype=torch.float32)  # doctest: +SKIP
    >>> p = to_torch(clf)(images).detach().numpy()  # doctest: +SKIP
    >>> np.allclose(p / p.sum(axis=1, keepdims=True), clf.predict_proba(X), atol=1e-6)  # doctest: +SKIP
    True
    """
    torch = import_extra("torch", "torch")
    model = fitted_model(estimator)
    network = model.network.folded
    layers = []
    if network.rescale != 1:
        layers.append(make_rescaling(torch, network, model.folded.dtype.name))
    for layer in network.layers:
        layers += torch_layers(torch, layer, model)
    return torch.nn.Sequential(*layers).eval()


def make_rescaling(torch, network, dtype):
    """A 1 x 1 convolution that multiplies each channel by `rescale`."""
    n_channels = network.image_shape[2]
    settings = {"groups": n_channels, "bias": False, "dtype": getattr(torch, dtype)}
    made = torch.nn.utils.skip_init(torch.nn.Conv2d, n_channels, n_channels, 1, **settings)
    torch.nn.init.constant_(made.weight, network.rescale)
    return made.requires_grad_(False)


def torch_layers(torch, layer, model):
    """The PyTorch layers for a layer of the network, as a list."""
    network = model.network.folded
    views = network.views(model.folded)
    match layer:
        case Convolution():
            arrays = (views[f"{name}_{layer.number}"] for name in ("filters", "filter_intercepts"))
            return make_convolution(torch, layer, network, *arrays)
        case Activation():
            return [getattr(torch.nn, _ACTIVATIONS[layer.function])()]
        case MaxPooling():
            return [torch.nn.MaxPool2d(layer.pool_size)]
        case GlobalPooling(function="max"):
            return [torch.nn.AdaptiveMaxPool2d(1)]
        case GlobalPooling():
            return [torch.nn.AdaptiveAvgPool2d(1)]
        case Dense():
            weights, intercepts = dense_arrays(model)
            weights = weights.reshape(layer.n_outputs, -1)  # PyTorch also flattens in the order (filter, row, column)
            made = make_layer(torch, torch.nn.Linear, (weights.shape[1], layer.n_outputs), network, weights, intercepts)
            return [torch.nn.Flatten(), made]
    return []  # standardisation is part of the dense layer


def make_convolution(torch, layer, network, filters, intercepts):
    """A Conv2d, preceded by a ZeroPad2d for asymmetric padding, which Conv2d lacks."""
    (above, below), (before, behind) = layer.pads
    alike = above == below and before == behind
    settings = {"padding": (above, before) if alike else 0}
    sizes = (filters.shape[1], layer.n_filters, layer.kernel_size)
    made = make_layer(torch, torch.nn.Conv2d, sizes, network, filters, intercepts, **settings)
    return [made] if alike else [torch.nn.ZeroPad2d((before, behind, above, below)), made]


def make_layer(torch, kind, sizes, network, weights, intercepts, **settings):
    """A layer with these weights, made without drawing random initial weights."""
    bias = has_bias(network, intercepts)
    dtype = getattr(torch, weights.dtype.name)
    made = torch.nn.utils.skip_init(kind, *sizes, bias=bias, dtype=dtype, **settings)
    with torch.no_grad():
        made.weight.copy_(torch.tensor(weights))
        if bias:
            made.bias.copy_(torch.tensor(intercepts))
    return made
