"""The network in plain NumPy and float64, as simple as possible, as a reference for the compiled kernels.

Nothing here comes from skcnn or knows its calls (harness.py does), and there are no lanes and no work in place.
`parameters` is a dict in the order of skcnn's vector: for each layer, from 0, `filters_0` (n_filters, n_channels,
kernel_height, kernel_width) and `filter_intercepts_0` (n_filters,), or with normalisation `scales_0` and `shifts_0`;
then `weights` (n_outputs, n_hidden) and `intercepts` (n_outputs,). Gradients are dicts with the same keys. `images` and
the inputs of all layers are (n_samples, height, width, n_channels).
"""

from itertools import pairwise

import numpy as np
from scipy.special import expit

# ---- layers ----


def im2col(images, kernel_height, kernel_width):
    """Patches of grey images (n_samples, height, width): (n_samples, n_positions, kernel_height, kernel_width)."""
    patches = np.lib.stride_tricks.sliding_window_view(images, (kernel_height, kernel_width), axis=(1, 2))
    return patches.reshape(len(images), -1, kernel_height, kernel_width)


def windows(images, kernel_height, kernel_width):
    """All windows of a filter: (n_samples, out_height, out_width, n_channels, kernel_height, kernel_width)."""
    return np.lib.stride_tricks.sliding_window_view(images, (kernel_height, kernel_width), axis=(1, 2))


def correlate(images, filters, intercepts):
    """Valid cross-correlation: (n_samples, n_filters, out_height, out_width)."""
    correlated = np.einsum("nijcuv,fcuv->nfij", windows(images, *filters.shape[2:]), filters, optimize=True)
    return correlated + intercepts[:, np.newaxis, np.newaxis]


def correlate_backward(images, d_correlated, filters):
    """Gradients of filters and intercepts, in their shapes."""
    seen = windows(images, *filters.shape[2:])
    return np.einsum("nfij,nijcuv->fcuv", d_correlated, seen, optimize=True), d_correlated.sum(axis=(0, 2, 3))


def correlate_backward_images(d_correlated, filters):
    """Gradient of the images: every value propagates to all pixels of its window."""
    n_samples, _, out_height, out_width = d_correlated.shape
    _, n_channels, kernel_height, kernel_width = filters.shape
    d_images = np.zeros((n_samples, out_height + kernel_height - 1, out_width + kernel_width - 1, n_channels))
    for u in range(kernel_height):
        for v in range(kernel_width):
            d_images[:, u : u + out_height, v : v + out_width] += np.einsum(
                "nfij,fc->nijc", d_correlated, filters[:, :, u, v]
            )
    return d_images


def move_images(images, moves):
    """Images moved by (down, right, mirrored), one triple for each; border pixels are repeated."""
    moved = np.empty_like(images)
    for image, (down, right, mirrored), out in zip(images, moves, moved, strict=True):
        for i, j in np.ndindex(image.shape[:2]):
            out[i, j] = image[min(max(i - down, 0), image.shape[0] - 1), min(max(j - right, 0), image.shape[1] - 1)]
        if mirrored:
            out[:] = out[:, ::-1].copy()
    return moved


def pad_same(images, kernel_height, kernel_width):
    """Images padded with zeros for "same" convolution; the larger half of an odd number comes after the image."""
    pads = [((side - 1) // 2, side // 2) for side in (kernel_height, kernel_width)]
    return np.pad(images, [(0, 0), *pads, (0, 0)])


def crop_same(padded, kernel_height, kernel_width):
    """The inverse of pad_same."""
    above, before = (kernel_height - 1) // 2, (kernel_width - 1) // 2
    below, behind = kernel_height // 2, kernel_width // 2
    return padded[:, above : padded.shape[1] - below, before : padded.shape[2] - behind]


def pools(maps, pool_height, pool_width):
    """Maps (n_samples, n_filters, height, width) as (..., pooled_height, pooled_width, pool), complete pools only."""
    n_samples, n_filters, height, width = maps.shape
    rows, columns = height // pool_height, width // pool_width
    whole = maps[:, :, : rows * pool_height, : columns * pool_width]
    split = whole.reshape(n_samples, n_filters, rows, pool_height, columns, pool_width)
    return split.swapaxes(3, 4).reshape(n_samples, n_filters, rows, columns, pool_height * pool_width)


def max_pool(maps, pool_height, pool_width):
    return pools(maps, pool_height, pool_width).max(axis=-1)


def max_pool_backward(maps, pool_height, pool_width, d_pooled):
    """Gradient of the maps: that of a pool goes to its first maximum."""
    d_maps = np.zeros_like(maps)
    first = pools(maps, pool_height, pool_width).argmax(axis=-1)
    for at in np.ndindex(d_pooled.shape):
        u, v = divmod(first[at], pool_width)
        d_maps[at[0], at[1], at[2] * pool_height + u, at[3] * pool_width + v] = d_pooled[at]
    return d_maps


def sigmoid(x):
    """1 / (1 + exp(-x)), for any shape and without overflow."""
    return expit(x)


def sigmoid_backward(values, d_values):
    """Gradient of x, from the sigmoid's `values` and their gradient, all of the same shape."""
    return d_values * values * (1 - values)


def relu(x):
    return np.maximum(x, 0)


# Name: function, and gradient of its argument from its values and their gradient.
ACTIVATIONS = {
    "sigmoid": (sigmoid, sigmoid_backward),
    "tanh": (np.tanh, lambda values, d_values: d_values * (1 - values**2)),
    "relu": (relu, lambda values, d_values: d_values * (values > 0)),
}


def dense(hidden, weights, intercepts):
    """Logits (n_samples, n_outputs) from hidden activations (n_samples, n_hidden)."""
    return hidden @ weights.T + intercepts


def dense_backward(hidden, weights, d_logits):
    """Gradients of weights (n_outputs, n_hidden), intercepts (n_outputs,) and hidden (n_samples, n_hidden)."""
    return d_logits.T @ hidden, d_logits.sum(axis=0), d_logits @ weights


def standardize(logits, sample_weight):
    """Standardised logits (n_samples, n_outputs), weighted means and variances, each (n_outputs,)."""
    means = np.average(logits, axis=0, weights=sample_weight)
    variances = np.average((logits - means) ** 2, axis=0, weights=sample_weight)
    return (logits - means) / np.sqrt(variances + 1e-12), means, variances


def standardize_backward(logits, sample_weight, d_standardized):
    """Gradient of the logits (n_samples, n_outputs), by the chain rule step by step."""
    share = (sample_weight / sample_weight.sum())[:, np.newaxis]
    _, means, variances = standardize(logits, sample_weight)
    centred = logits - means
    std = np.sqrt(variances + 1e-12)
    d_std = (d_standardized * -centred / std**2).sum(axis=0)
    d_variances = d_std / (2 * std)
    d_centred = d_standardized / std + d_variances * share * 2 * centred
    d_means = -d_centred.sum(axis=0)
    return d_centred + share * d_means


# ---- losses ----


def output_loss(logits, targets, sample_weight, loss):
    """Loss (a number) and its gradient with respect to logits (n_samples, n_outputs)."""
    share = (sample_weight / sample_weight.sum())[:, np.newaxis]
    p = sigmoid(logits)
    if loss == "log_loss":
        values, d_logits = np.logaddexp(0, logits) - targets * logits, p - targets
    else:
        values, d_logits = (targets - p) ** 2 / 2, sigmoid_backward(p, p - targets)
    return (share * values).sum(), share * d_logits


def groups_of(n_samples):
    """Slices of a batch: groups of at most 16 samples, as equal in size as possible."""
    n_groups = -(-n_samples // 16)
    ends = [n * n_samples // n_groups for n in range(n_groups + 1)]
    return [slice(*pair) for pair in pairwise(ends)]


def filter_statistics(maps, sample_weight):
    """Weighted mean and variance of each filter's maps (n_samples, n_filters, height, width), over all other axes.

    Both are 0 if all weights are 0.
    """
    if not sample_weight.any():
        return np.zeros((2, maps.shape[1]))
    means = np.average(maps.mean(axis=(2, 3)), axis=0, weights=sample_weight)
    squares = (maps - means[:, np.newaxis, np.newaxis]) ** 2
    return means, np.average(squares.mean(axis=(2, 3)), axis=0, weights=sample_weight)


def normalize(maps, sample_weight):
    """Maps of a group, normalised for each filter, and their standard deviations (n_filters, 1, 1)."""
    means, variances = (one[:, np.newaxis, np.newaxis] for one in filter_statistics(maps, sample_weight))
    std = np.sqrt(variances + 1e-5)
    return (maps - means) / std, std


def normalize_backward(maps, sample_weight, d_normalized):
    """Gradient of the maps of a group, by the chain rule step by step."""
    if not sample_weight.any():
        return np.zeros_like(maps)
    share = (sample_weight / sample_weight.sum())[:, np.newaxis, np.newaxis, np.newaxis] / maps[0, 0].size
    normalized, std = normalize(maps, sample_weight)
    centred = normalized * std
    d_std = (d_normalized * -centred / std**2).sum(axis=(0, 2, 3))[:, np.newaxis, np.newaxis]
    d_variances = d_std / (2 * std)
    d_centred = d_normalized / std + d_variances * share * 2 * centred
    d_means = -d_centred.sum(axis=(0, 2, 3))[:, np.newaxis, np.newaxis]
    return d_centred + share * d_means


def batch_norm(maps, scales, shifts, sample_weight):
    """Maps of a batch, normalised by groups, scaled and shifted."""
    normalized = [normalize(maps[group], sample_weight[group])[0] for group in groups_of(len(maps))]
    return scales[:, np.newaxis, np.newaxis] * np.concatenate(normalized) + shifts[:, np.newaxis, np.newaxis]


def batch_norm_backward(maps, scales, sample_weight, d_out):
    """Gradients of scales, shifts and maps."""
    normalized = np.concatenate([normalize(maps[group], sample_weight[group])[0] for group in groups_of(len(maps))])
    d_normalized = d_out * scales[:, np.newaxis, np.newaxis]
    d_maps = [
        normalize_backward(maps[group], sample_weight[group], d_normalized[group]) for group in groups_of(len(maps))
    ]
    return (d_out * normalized).sum(axis=(0, 2, 3)), d_out.sum(axis=(0, 2, 3)), np.concatenate(d_maps)


def whole_pools(maps, pool_height, pool_width):
    """Maps without the rows and columns that fill no pool."""
    height, width = maps.shape[2:]
    return maps[:, :, : height // pool_height * pool_height, : width // pool_width * pool_width]


def layer_forward(images, layer, activation, padding, pool_size, sample_weight=None):
    """A layer's output, in the layout of its input, and values for its backward pass.

    `layer` has filters, and either filter_intercepts or, with normalisation, scales and shifts.
    """
    filters = layer["filters"]
    if padding == "same":
        images = pad_same(images, *filters.shape[2:])
    intercepts = layer.get("filter_intercepts", np.zeros(len(filters)))
    correlated = whole_pools(correlate(images, filters, intercepts), *pool_size)
    values = correlated
    if "scales" in layer:
        values = batch_norm(correlated, layer["scales"], layer["shifts"], sample_weight)
    maps = ACTIVATIONS[activation][0](values)
    return max_pool(maps, *pool_size).transpose(0, 2, 3, 1), (images, correlated, maps)


def layer_backward(saved, d_out, layer, activation, padding, pool_size, sample_weight=None):
    """Gradients of a layer's parameters (a dict) and of its input, from that of its output."""
    images, correlated, maps = saved
    filters, gradient = layer["filters"], {}
    d_maps = max_pool_backward(maps, *pool_size, d_out.transpose(0, 3, 1, 2))
    d_values = ACTIVATIONS[activation][1](maps, d_maps)
    if "scales" in layer:
        gradient["scales"], gradient["shifts"], d_values = batch_norm_backward(
            correlated, layer["scales"], sample_weight, d_values
        )
    # Values that fill no pool have zero gradient.
    shape = [side - kernel + 1 for side, kernel in zip(images.shape[1:3], filters.shape[2:], strict=True)]
    d_correlated = np.zeros((*d_values.shape[:2], *shape))
    d_correlated[:, :, : d_values.shape[2], : d_values.shape[3]] = d_values
    d_images = correlate_backward_images(d_correlated, filters)
    if padding == "same":
        d_images = crop_same(d_images, *filters.shape[2:])
    gradient["filters"], d_intercepts = correlate_backward(images, d_correlated, filters)
    if "filter_intercepts" in layer:
        gradient["filter_intercepts"] = d_intercepts
    return gradient, d_images


def global_pool_forward(maps, function):
    """Hidden activations from maps (n_samples, height, width, n_filters), in the order (filter, row, column)."""
    flat = maps.transpose(0, 3, 1, 2).reshape(len(maps), maps.shape[3], -1)
    if function is None:
        return flat.reshape(len(maps), -1)
    return flat.mean(axis=2) if function == "average" else flat.max(axis=2)


def global_pool_backward(maps, function, d_hidden):
    """Gradient of the maps: that of a maximum goes to the first one."""
    flat = maps.transpose(0, 3, 1, 2).reshape(len(maps), maps.shape[3], -1)
    if function is None:
        d_flat = d_hidden.reshape(flat.shape)
    elif function == "average":
        d_flat = np.repeat(d_hidden[..., np.newaxis] / flat.shape[2], flat.shape[2], axis=2)
    else:
        d_flat = np.zeros_like(flat)
        np.put_along_axis(d_flat, flat.argmax(axis=2)[..., np.newaxis], d_hidden[..., np.newaxis], axis=2)
    return d_flat.reshape(maps.transpose(0, 3, 1, 2).shape).transpose(0, 2, 3, 1)


def layer_parameters(parameters, number):
    """A layer's parameters, by their names without its number."""
    suffix = f"_{number}"
    return {name.removesuffix(suffix): value for name, value in parameters.items() if name.endswith(suffix)}


def layer_choices(parameters, activation, padding, pool_size):
    """(activation, padding, pool_size) of each layer."""
    n_layers = sum(name.startswith("filters_") for name in parameters)
    return [(activation, padding, size) for size in pool_size or [(1, 1)] * n_layers]


def forward(
    parameters, images, *, activation="sigmoid", padding="valid", pool_size=None, global_pool=None, sample_weight=None
):
    """Hidden activations (n_samples, n_hidden), logits, the last layer's maps, and values for backward passes.

    `pool_size` has one entry for each layer; None is no pooling. Normalisation uses `sample_weight`.
    """
    saved, maps = [], images
    for number, how in enumerate(layer_choices(parameters, activation, padding, pool_size)):
        maps, layer_saved = layer_forward(maps, layer_parameters(parameters, number), *how, sample_weight)
        saved.append(layer_saved)
    hidden = global_pool_forward(maps, global_pool)
    return hidden, dense(hidden, parameters["weights"], parameters["intercepts"]), maps, saved


def fold(parameters):
    """Parameters of the network without normalisation, from those with scales, shifts, means and variances."""
    folded = {}
    for name, value in parameters.items():
        kind, _, number = name.rpartition("_")
        if kind == "filters":
            scales, shifts, means, variances = (
                parameters[f"{one}_{number}"] for one in ("scales", "shifts", "means", "variances")
            )
            std = np.sqrt(variances + 1e-5)
            folded[name] = value * (scales / std)[:, np.newaxis, np.newaxis, np.newaxis]
            folded[f"filter_intercepts_{number}"] = shifts - means * scales / std
        elif kind not in ("scales", "shifts", "means", "variances"):
            folded[name] = value
    return folded


def loss_and_gradient(
    parameters,
    images,
    targets,
    sample_weight,
    *,
    loss,
    alpha=0.0,
    standardized=False,
    fit_intercept=True,
    activation="sigmoid",
    padding="valid",
    pool_size=None,
    global_pool=None,
    input_scale=1.0,
):
    """Loss of a batch (a number), its gradient (a dict), and the logits' (means, variances) over the batch."""
    total_weight = sample_weight.sum()
    choices = layer_choices(parameters, activation, padding, pool_size)
    how = {"activation": activation, "padding": padding, "pool_size": pool_size, "global_pool": global_pool}
    # Forward pass.
    hidden, logits, maps, saved = forward(parameters, images, **how, sample_weight=sample_weight)
    outputs, *statistics = standardize(logits, sample_weight)
    if not standardized:
        outputs = logits
    value, d_outputs = output_loss(outputs, targets, sample_weight, loss)
    # Backward pass.
    gradient = dict.fromkeys(parameters)
    d_logits = standardize_backward(logits, sample_weight, d_outputs) if standardized else d_outputs
    gradient["weights"], d_intercepts, d_hidden = dense_backward(hidden, parameters["weights"], d_logits)
    # Standardisation cancels these intercepts, so their gradient is only rounding noise.
    gradient["intercepts"] = d_intercepts * (fit_intercept and not standardized)
    d_maps = global_pool_backward(maps, global_pool, d_hidden)
    for number in reversed(range(len(choices))):
        layer = layer_parameters(parameters, number)
        layer_gradient, d_maps = layer_backward(saved[number], d_maps, layer, *choices[number], sample_weight)
        for name, part in layer_gradient.items():
            gradient[f"{name}_{number}"] = part * (fit_intercept or name not in ("filter_intercepts", "shifts"))
    for name, coefficients in parameters.items():
        if name.startswith(("filters", "weights")):
            strength = alpha / total_weight * (input_scale**2 if name == "filters_0" else 1)
            gradient[name] = gradient[name] + strength * coefficients
            value += strength / 2 * (coefficients**2).sum()
    return value, gradient, statistics


# ---- solver steps as in scikit-learn's MLPClassifier; `solver` is a dict of hyper-parameters ----


def adam_step(parameters, gradient, moments, step, solver):
    """New parameters and moments; all arrays have one shape, and `moments` is a pair of them."""
    beta_1, beta_2 = solver["beta_1"], solver["beta_2"]
    first = beta_1 * moments[0] + (1 - beta_1) * gradient
    second = beta_2 * moments[1] + (1 - beta_2) * gradient**2
    rate = solver["learning_rate"] * np.sqrt(1 - beta_2**step) / (1 - beta_1**step)
    return parameters - rate * first / (np.sqrt(second) + solver["epsilon"]), (first, second)


def sgd_step(parameters, gradient, moments, step, solver):
    """New parameters and moments; all arrays have one shape, and `moments` is a tuple of one."""
    momentum, rate = solver["momentum"], solver["learning_rate"]
    velocity = momentum * moments[0] - rate * gradient
    update = momentum * velocity - rate * gradient if solver["nesterovs_momentum"] else velocity
    return parameters + update, (velocity,)


# Solver's name: its step and its number of moments.
STEPS = {"adam": (adam_step, 2), "sgd": (sgd_step, 1)}
