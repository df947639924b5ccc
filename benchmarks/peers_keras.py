"""The same network in Keras on TensorFlow; peers.py explains twins."""

from types import MappingProxyType

import numpy as np
from tasks import to_classes


def make_adam(keras, learning_rate, factors):
    """Adam with a factor of the learning rate for each variable; `factors` has them by path."""

    class Adam(keras.optimizers.Adam):
        def update_step(self, gradient, variable, learning_rate):
            super().update_step(gradient, variable, learning_rate * factors[variable.path])

    return Adam(learning_rate, beta_2=0.99, epsilon=1e-8)


class KerasTwin:
    """model.fit on a tf.data.Dataset of prepared batches, which is faster than on arrays and leaves the order untimed.

    Compiled with jit_compile="auto", which means without XLA for this network on a CPU.
    """

    name = "Keras on TensorFlow"
    modules = ("keras", "tensorflow")
    predict_batch = 1000
    whole_epoch_a_call = False

    @staticmethod
    def knows(config):
        return not config.batch_norm

    def __init__(self, task, threads):  # machine.limit_threads has set threads
        import keras
        import tensorflow

        self._tensorflow = tensorflow
        network = task.network
        height, width, n_channels = network.image_shape
        n_batches = -(-len(task.X) // task.batch_size)
        steps = [keras.Input((height, width, n_channels))]
        for stage in network.stages:
            layer = stage.convolution
            how = {"activation": network.activation, "padding": layer.padding}
            steps += [keras.layers.Conv2D(layer.n_filters, layer.kernel_size, **how)]
            steps += [keras.layers.MaxPooling2D(stage.pool_size)] if stage.pooling else []
        self._model = keras.Sequential([*steps, keras.layers.Flatten(), keras.layers.Dense(network.n_outputs)])
        self._load(network, task.initial)
        factors = {
            variable.path: one.learning_rate(task.learning_rate) / task.learning_rate
            for variable, (one, *_) in zip(self._model.trainable_variables, network.layout, strict=True)
        }
        self._model.compile(
            optimizer=make_adam(keras, task.learning_rate, factors),
            loss=keras.losses.BinaryCrossentropy(from_logits=True),
            loss_weights=float(network.n_outputs),  # turns Keras's mean over outputs into the sum
            steps_per_execution=n_batches if self.whole_epoch_a_call else 1,
        )
        self._batch_size = task.batch_size
        self._X = task.pixels.reshape(-1, height, width, n_channels)
        self._targets = task.targets
        self._X_new = tensorflow.constant(task.pixels_new.reshape(-1, height, width, n_channels))
        self._probabilities = tensorflow.function(lambda X: tensorflow.sigmoid(self._model(X, training=False)))

    def _load(self, network, initial):
        """Load the initial weights, with channels last in filters and in the dense layer's input, as Keras has them."""
        arrays = []
        for number in range(len(network.stages)):
            arrays += [initial[f"filters_{number}"].transpose(2, 3, 1, 0), initial[f"filter_intercepts_{number}"]]
        height, width, n_filters = network.hidden_shape
        weights = initial["weights"].reshape(network.n_outputs, n_filters, height, width).transpose(2, 3, 1, 0)
        self._model.set_weights([*arrays, weights.reshape(-1, network.n_outputs), initial["intercepts"]])

    def arrange(self, rows):
        n_whole = len(rows) // self._batch_size * self._batch_size
        slices = self._tensorflow.data.Dataset.from_tensor_slices
        batches = rows[:n_whole].reshape(-1, self._batch_size)
        self._batches = slices((self._X[batches], self._targets[batches]))
        if n_whole < len(rows):
            rest = rows[np.newaxis, n_whole:]
            self._batches = self._batches.concatenate(slices((self._X[rest], self._targets[rest])))
        self._batches = self._batches.prefetch(2)

    def epoch(self):
        return self._model.fit(self._batches, epochs=1, shuffle=False, verbose=0).history["loss"][0]

    def predict_proba(self):
        parts = [
            self._probabilities(self._X_new[start : start + self.predict_batch])
            for start in range(0, len(self._X_new), self.predict_batch)
        ]
        return to_classes(np.concatenate(parts))

    def _predict(self):
        """Predict with the method that users call."""
        logits = self._model.predict(self._X_new, batch_size=self.predict_batch, verbose=0)
        return to_classes(self._tensorflow.sigmoid(logits).numpy())

    @property
    def predictions(self):
        at_once = f"{self.predict_batch} at once"
        return {
            f"{self.name}, model.predict, {at_once}": self._predict,
            f"{self.name}, tf.function, {at_once}": self.predict_proba,
        }


class StepsKerasTwin(KerasTwin):
    """KerasTwin with steps_per_execution: all batches of an epoch in one call of the compiled function."""

    name = "Keras on TensorFlow, an epoch a call"
    whole_epoch_a_call = True
    predictions = MappingProxyType({})  # the same as KerasTwin's
