"""The same network in other libraries, as their users write it and in the fastest way that we found.

A twin is built from a `tasks.Task`. `arrange(rows)` prepares the rows in their order, untimed; `epoch()` trains on them
and returns the epoch's loss; `predict_proba()` returns the probabilities of `task.pixels_new`; `predictions` has the
timed ways of predicting, by name; `knows(config)` says whether the twin takes part. The libraries are imported when a
twin is built, after `machine.limit_threads`. `predict_batch` is the number of images predicted at once, and
`predict_batches` are several such numbers: the fastest or nearly fastest ones from 50 to all.
"""

from functools import partial
from types import MappingProxyType

import numpy as np
from peers_keras import KerasTwin, StepsKerasTwin
from sklearn.base import BaseEstimator, ClassifierMixin
from tasks import Data, make_task, to_classes


class TorchTwin:
    """nn.Sequential, BCEWithLogitsLoss, Adam and the usual eager loop."""

    name = "PyTorch"
    modules = ("torch",)
    predict_batches = (50, 250)
    fused = None
    channels_last = False

    @staticmethod
    def knows(config):
        return True

    def __init__(self, task, threads):
        import torch

        self._torch = torch
        torch.set_num_threads(threads)
        network = task.network
        steps = []
        for stage in network.stages:
            layer = stage.convolution
            shape = {"kernel_size": layer.kernel_size, "padding": layer.padding, "bias": not network.batch_norm}
            steps += [torch.nn.Conv2d(layer.in_shape[2], layer.n_filters, **shape)]
            steps += [torch.nn.BatchNorm2d(layer.n_filters)] if network.batch_norm else []
            steps += [torch.nn.ReLU() if network.activation == "relu" else torch.nn.Sigmoid()]
            steps += [torch.nn.MaxPool2d(stage.pool_size)] if stage.pooling else []
        dense = torch.nn.Linear(network.n_hidden, network.n_outputs)
        self._format = torch.channels_last if self.channels_last else torch.contiguous_format
        self._model = torch.nn.Sequential(*steps, torch.nn.Flatten(), dense)
        with torch.no_grad():
            for own, initial in zip(self._model.parameters(), task.initial.values(), strict=False):
                own.copy_(torch.from_numpy(initial))
        self._model.to(memory_format=self._format)
        self._criterion = torch.nn.BCEWithLogitsLoss(reduction="sum")
        groups = [
            {"params": [own], "lr": one.learning_rate(task.learning_rate)}
            for own, (one, *_) in zip(self._model.parameters(), network.layout, strict=False)
        ]
        self._optimizer = torch.optim.Adam(groups, betas=(0.9, 0.99), fused=self.fused)
        self._batch_size = task.batch_size
        self._channels_first = task.channels_first
        self._X, self._X_new = self._images(task.pixels), self._images(task.pixels_new)
        self._targets = torch.from_numpy(task.targets)

    def _images(self, rows):
        return self._torch.from_numpy(self._channels_first(rows)).contiguous(memory_format=self._format)

    def _take(self, rows):
        return self._X.index_select(0, rows)

    def arrange(self, rows):
        self._rows = self._torch.from_numpy(rows)

    def epoch(self):
        total = 0.0
        self._model.train()
        for batch in self._rows.split(self._batch_size):
            self._optimizer.zero_grad()
            logits = self._model(self._take(batch))
            loss = self._criterion(logits, self._targets.index_select(0, batch)) / len(batch)
            loss.backward()
            self._optimizer.step()
            total += loss.item() * len(batch)
        return total / len(self._rows)

    def predict_proba(self, n_at_once=None):
        return self._probabilities(self._X_new, n_at_once or self.predict_batches[-1])

    def predict_proba_of(self, pixels):
        return self._probabilities(self._images(pixels), self.predict_batches[-1])

    def _probabilities(self, X, n_at_once):
        self._model.eval()
        with self._torch.inference_mode():
            parts = [self._torch.sigmoid(self._model(images)) for images in X.split(n_at_once)]
        return to_classes(self._torch.cat(parts).numpy())

    @property
    def predictions(self):
        return {
            f"{self.name}, {n} at once": partial(self.predict_proba, n)
            for n in (*self.predict_batches, len(self._X_new))
        }


class FusedTorchTwin(TorchTwin):
    """TorchTwin with Adam(fused=True)."""

    name = "PyTorch, fused Adam"
    fused = True
    predictions = MappingProxyType({})  # the same as TorchTwin's


class ChannelsLastTorchTwin(TorchTwin):
    """TorchTwin with Adam(fused=True), and images, filters and maps in PyTorch's channels_last layout."""

    name = "PyTorch, fused Adam, channels last"
    fused = True
    channels_last = True

    def _take(self, rows):
        return self._X[rows]  # index_select would change to channels first


class JaxTwin:
    """A whole epoch in one compiled function: a scan over batches with donated state, and the data as arguments."""

    name = "JAX"
    modules = ("jax",)
    predict_batch = 100

    @staticmethod
    def knows(config):
        """Not with batch_norm, nor with three layers, whose epochs take minutes."""
        return not config.batch_norm and len(config.n_filters) < 3

    def __init__(self, task, threads):  # machine.limit_threads has set threads
        import jax

        self._jax = jax
        self._stages = task.network.stages
        self._activation = jax.nn.relu if task.network.activation == "relu" else jax.nn.sigmoid
        self._batch_size = task.batch_size
        self._learning_rates = {one.name: one.learning_rate(task.learning_rate) for one, *_ in task.network.layout}
        self._X, self._X_new = (jax.device_put(task.channels_first(rows)) for rows in (task.pixels, task.pixels_new))
        self._targets = jax.device_put(task.targets)
        parameters = {k: v for k, v in task.initial.items() if not k.startswith("running")}
        zeros = {name: np.zeros_like(value) for name, value in parameters.items()}
        self._state = jax.device_put((parameters, zeros, zeros, np.int32(0)))
        self._train = jax.jit(self._scan, donate_argnums=0)
        self._probabilities = jax.jit(lambda parameters, X: jax.nn.sigmoid(self._logits(parameters, X)))

    def arrange(self, rows):
        n_whole = len(rows) // self._batch_size * self._batch_size
        batches = rows[:n_whole].reshape(-1, self._batch_size).astype(np.int32)
        self._batches, self._rest = batches, rows[n_whole:].astype(np.int32)

    def epoch(self):
        self._state, total = self._train(self._state, self._X, self._targets, self._batches, self._rest)
        return float(total) / (self._batches.size + self._rest.size)

    def predict_proba(self):
        parameters, size = self._state[0], self.predict_batch
        starts = range(0, len(self._X_new), size)
        parts = [self._probabilities(parameters, self._X_new[start : start + size]) for start in starts]
        return to_classes(np.concatenate(parts))

    @property
    def predictions(self):
        return {f"{self.name}, {self.predict_batch} at once": self.predict_proba}

    # ---- compiled functions ----

    def _convolve(self, X, filters, padding):
        return self._jax.lax.conv(X, filters, (1, 1), padding.upper())

    def _pool(self, X, size):
        window = (1, 1, *size)
        return self._jax.lax.reduce_window(X, -np.inf, self._jax.lax.max, window, window, "VALID")

    def _logits(self, parameters, X):
        for number, stage in enumerate(self._stages):
            c = self._convolve(X, parameters[f"filters_{number}"], stage.convolution.padding)
            X = self._activation(c + parameters[f"filter_intercepts_{number}"][:, None, None])
            X = self._pool(X, stage.pool_size) if stage.pooling else X
        return X.reshape(X.shape[0], -1) @ parameters["weights"].T + parameters["intercepts"]

    def _loss(self, parameters, X, targets):
        logits = self._logits(parameters, X)
        return (self._jax.nn.softplus(logits) - targets * logits).sum() / X.shape[0]

    def _step(self, state, X, targets, beta_1=0.9, beta_2=0.99, epsilon=1e-8):
        """One step of Adam; returns the new state, and the batch's loss times its size."""
        tree_map, sqrt = self._jax.tree_util.tree_map, self._jax.numpy.sqrt
        parameters, first, second, n_steps = state
        loss, gradient = self._jax.value_and_grad(self._loss)(parameters, X, targets)
        n_steps = n_steps + 1
        correction = sqrt(1 - beta_2**n_steps) / (1 - beta_1**n_steps)
        rates = {name: self._learning_rates[name] * correction for name in parameters}
        first = tree_map(lambda m, g: beta_1 * m + (1 - beta_1) * g, first, gradient)
        second = tree_map(lambda v, g: beta_2 * v + (1 - beta_2) * g * g, second, gradient)
        parameters = tree_map(lambda p, m, v, r: p - r * m / (sqrt(v) + epsilon), parameters, first, second, rates)
        return (parameters, first, second, n_steps), loss * X.shape[0]

    def _scan(self, state, X, targets, batches, rest):
        """All batches, the incomplete one last; returns the new state, and the loss summed over images."""
        state, losses = self._jax.lax.scan(lambda state, b: self._step(state, X[b], targets[b]), state, batches)
        if not rest.shape[0]:
            return state, losses.sum()
        state, loss = self._step(state, X[rest], targets[rest])
        return state, losses.sum() + loss


class PatchesJaxTwin(JaxTwin):
    """JaxTwin with convolution as a product with patches, and pooling as a maximum over reshaped axes.

    XLA's own operations may be slow inside a scan.
    """

    name = "JAX, patches"

    def _convolve(self, X, filters, padding):
        n_filters, n_channels, kernel_height, kernel_width = filters.shape
        if padding == "same":
            X = self._jax.numpy.pad(X, [(0, 0), (0, 0), *(((k - 1) // 2, k // 2) for k in filters.shape[2:])])
        n_images, _, height, width = X.shape
        out_height, out_width = height - kernel_height + 1, width - kernel_width + 1
        shifted = [
            X[:, :, u : u + out_height, v : v + out_width] for u in range(kernel_height) for v in range(kernel_width)
        ]
        patches = self._jax.numpy.stack(shifted, axis=2).reshape(n_images, n_channels * len(shifted), -1)
        return (filters.reshape(n_filters, -1) @ patches).reshape(n_images, n_filters, out_height, out_width)

    def _pool(self, X, size):
        n_images, n_filters, height, width = X.shape
        rows, columns = height // size[0], width // size[1]
        whole = X[:, :, : rows * size[0], : columns * size[1]]
        return whole.reshape(n_images, n_filters, rows, size[0], columns, size[1]).max(axis=(3, 5))


class TorchClassifier(ClassifierMixin, BaseEstimator):
    """TorchTwin's network and loop on bytes, for digits from 0 to 9, as an estimator.

    Parameters
    ----------
    config : tasks.Config
    n_epochs : int
    threads : int
    random_state : int
    """

    def __init__(self, config, n_epochs, threads, random_state=0):
        self.config = config
        self.n_epochs = n_epochs
        self.threads = threads
        self.random_state = random_state

    def fit(self, X, y):
        generator = np.random.RandomState(self.random_state)
        task = make_task(Data("", X, y, X[:1], y[:1]), self.config, generator)
        self.classes_ = np.arange(10)
        self._twin = TorchTwin(task, self.threads)
        for _ in range(self.n_epochs):
            self._twin.arrange(generator.permutation(len(X)))
            self._twin.epoch()
        return self

    def predict(self, X):
        return self._twin.predict_proba_of(X.astype(np.float32) / 255).argmax(axis=1)


PEERS = {
    "torch": TorchTwin,
    "torch-fused": FusedTorchTwin,
    "torch-channels-last": ChannelsLastTorchTwin,
    "jax": JaxTwin,
    "jax-patches": PatchesJaxTwin,
    "keras": KerasTwin,
    "keras-steps": StepsKerasTwin,
}
