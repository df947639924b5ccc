"""What a fitted network shows of its parameters."""

from math import nan

import numpy as np
from sklearn.utils.validation import check_is_fitted

from skcnn.pictures import draw_filters
from skcnn.saved import read_state, write_state
from skcnn.summary import Summary


class FittedNetwork:
    """Attributes that show parts of `_model`, a skcnn.model.Model; and the state that is saved of it."""

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
        """The parameters that predict, by name."""
        return self._network.folded.views(self._fitted_model().folded)

    @property
    def classes_(self):
        """Class labels; with several labels a sample, the numbers of these."""
        return self._fitted_model().labels.classes

    @property
    def image_shape_(self):
        """(height, width, n_channels) that a row was taken for."""
        return self._network.image_shape

    @property
    def kernel_size_(self):
        """(kernel_height, kernel_width) of each layer."""
        return list(self._network.kernel_size)

    @property
    def pool_size_(self):
        """(pool_height, pool_width) of each layer."""
        return list(self._network.pool_size)

    @property
    def padding_(self):
        """Of all layers: "valid" or "same"."""
        return self._network.padding

    @property
    def activation_(self):
        """Of all layers: "sigmoid", "tanh" or "relu"."""
        return self._network.activation

    @property
    def rescale_(self):
        """What pixels are multiplied by."""
        return self._network.rescale

    @property
    def n_outputs_(self):
        """1 for two classes, otherwise the number of classes or labels."""
        return self._network.n_outputs

    @property
    def n_layers_(self):
        """Input, convolutional layers and output."""
        return len(self._network.stages) + 2

    @property
    def loss_(self):
        """The last epoch's loss."""
        self._fitted_model()
        return self.loss_curve_[-1] if self.loss_curve_ else nan

    def summary(self):
        """The network's layers: a table that shows itself.

        Returns
        -------
        summary : skcnn.summary.Summary
            Has the table's `rows`, and prints as it.

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

    # scikit-learn's diagram of the estimator, with a link to its documentation, and the layers and the first filters
    # below it once they are known.

    _doc_link_module = "skcnn"
    _doc_link_template = "https://skcnn.readthedocs.io/en/stable/api/generated/skcnn.{estimator_name}.html"

    @property
    def _repr_html_(self):
        diagram = super()._repr_html_  # an AttributeError if set_config(display="text") wants none
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
        """The filters of each layer, and output weights (n_hidden, n_outputs)."""
        views = self._views()
        return [view for name, view in views.items() if name.startswith("filters_")] + [views["weights"].T]

    @property
    def intercepts_(self):
        """Intercepts of the filters of each layer, and of the outputs."""
        views = self._views()
        return [view for name, view in views.items() if name.startswith("filter_intercepts_")] + [views["intercepts"]]

    @property
    def filters_(self):
        """The first layer's filters as images: (n_filters, kernel_height, kernel_width[, n_channels])."""
        filters = np.moveaxis(self._views()["filters_0"], 1, -1)
        return filters[..., 0] if filters.shape[-1] == 1 else filters
