"""Fitted attributes, `summary`, notebook display and saved state of the classifier."""

from math import nan

import numpy as np
from sklearn.utils.validation import check_is_fitted

from skcnn.pictures import draw_filters
from skcnn.saved import read_state, write_state
from skcnn.summary import Summary


class FittedNetwork:
    """Mixin for the attributes and the saved state of `_model`, a skcnn.model.Model."""

    def __sklearn_is_fitted__(self):
        return hasattr(self, "_model")

    def __getstate__(self):
        return write_state(super().__getstate__())

    def __setstate__(self, state):
        super().__setstate__(read_state(state, type(self)))

    def _fitted_model(self):
        check_is_fitted(self)
        return self._model

    @property
    def _parameters(self):
        return self._fitted_model().parameters

    @property
    def _network(self):
        return self._fitted_model().network

    def _views(self):
        """The folded parameters by name."""
        return self._network.folded.views(self._fitted_model().folded)

    @property
    def classes_(self):
        """Class labels; column numbers with multilabel targets."""
        return self._fitted_model().labels.classes

    @property
    def image_shape_(self):
        """Shape of the images: (height, width, n_channels)."""
        return self._network.image_shape

    @property
    def kernel_size_(self):
        """Size of each layer's filters: list of (kernel_height, kernel_width)."""
        return list(self._network.kernel_size)

    @property
    def pool_size_(self):
        """Size of each layer's pools: list of (pool_height, pool_width)."""
        return list(self._network.pool_size)

    @property
    def padding_(self):
        """Padding of all convolutional layers: "valid" or "same"."""
        return self._network.padding

    @property
    def activation_(self):
        """Activation of all convolutional layers: "sigmoid", "tanh" or "relu"."""
        return self._network.activation

    @property
    def rescale_(self):
        """Factor by which pixels are multiplied."""
        return self._network.rescale

    @property
    def n_outputs_(self):
        """1 for two classes, otherwise the number of classes or labels."""
        return self._network.n_outputs

    @property
    def n_layers_(self):
        """Number of convolutional layers plus 2, for the input and the output."""
        return len(self._network.stages) + 2

    @property
    def loss_(self):
        """Loss of the last epoch."""
        self._fitted_model()
        return self.loss_curve_[-1] if self.loss_curve_ else nan

    def summary(self):
        """Summarise the network's layers in a table.

        Returns
        -------
        summary : skcnn.summary.Summary
            Prints as the table and has its `rows`.

        Raises
        ------
        NotFittedError
            If there has been no `fit`.

        Examples
        --------
        >>> from skcnn import ConvSigmoidClassifier
        >>> from skcnn.datasets import load_mnist_sample
        >>> X, y = load_mnist_sample(return_X_y=True)
        >>> clf = ConvSigmoidClassifier(
        ...     (16, 32), 3, padding="same", pool_size=2, activation="relu", rescale=1 / 255, max_iter=3, tol=1e9,
        ...     n_iter_no_change=1,
        ... )
        >>> clf.fit(X, y).summary()
        layer                       output shape  parameters
        --------------------------  ------------  ----------
        images                      28 x 28 x 1            0
        convolution 1, 3 x 3, relu  28 x 28 x 16         160
        max-pooling 1, 2 x 2        14 x 14 x 16           0
        convolution 2, 3 x 3, relu  14 x 14 x 32       4,640
        max-pooling 2, 2 x 2        7 x 7 x 32             0
        dense, sigmoid              10                15,690
        all                                           20,490
        """
        return Summary(self._network)

    # scikit-learn's diagram with a link to the documentation and, once fitted, the layers and the first filters below.

    _doc_link_module = "skcnn"
    _doc_link_template = "https://skcnn.readthedocs.io/en/stable/api/generated/skcnn.{estimator_name}.html"

    @property
    def _repr_html_(self):
        diagram = super()._repr_html_  # raises an AttributeError with set_config(display="text")
        return lambda: diagram() + self._layers_html()

    def _repr_mimebundle_(self, **options):
        bundle = super()._repr_mimebundle_(**options)
        if "text/html" in bundle:
            bundle["text/html"] += self._layers_html()
        return bundle

    def _layers_html(self):
        if not self.__sklearn_is_fitted__():
            return ""
        filters = np.moveaxis(self._views()["filters_0"], 1, -1)
        return self.summary()._repr_html_() + draw_filters(filters)

    @property
    def coefs_(self):
        """Filters of each layer, and the output weights (n_hidden, n_outputs)."""
        views = self._views()
        return [view for name, view in views.items() if name.startswith("filters_")] + [views["weights"].T]

    @property
    def intercepts_(self):
        """Intercepts of each layer's filters, and of the outputs."""
        views = self._views()
        return [view for name, view in views.items() if name.startswith("filter_intercepts_")] + [views["intercepts"]]

    @property
    def filters_(self):
        """The first layer's filters as images: (n_filters, kernel_height, kernel_width[, n_channels])."""
        filters = np.moveaxis(self._views()["filters_0"], 1, -1)
        return filters[..., 0] if filters.shape[-1] == 1 else filters
