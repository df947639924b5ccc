"""What a fitted network shows of its parameters."""

import numpy as np
from sklearn.utils.validation import check_is_fitted

from skcnn.network import restore_network


class FittedNetwork:
    """Attributes that view the one vector of parameters; `_model` begins with the network's state and that vector."""

    def __sklearn_is_fitted__(self):
        return hasattr(self, "_model")

    @property
    def _parameters(self):
        check_is_fitted(self)
        return self._model[1]

    def _views(self):
        check_is_fitted(self)
        network, parameters, *_ = self._model
        return restore_network(network).views(parameters)

    @property
    def coefs_(self):
        """Filters, and output weights (n_hidden, n_outputs)."""
        views = self._views()
        return [views["filters"], views["weights"].T]

    @property
    def intercepts_(self):
        """Intercepts of the filters and of the outputs."""
        views = self._views()
        return [views["filter_intercepts"], views["intercepts"]]

    @property
    def filters_(self):
        """Filters as images: (n_filters, kernel_height, kernel_width), and n_channels if there are several."""
        filters = np.moveaxis(self._views()["filters"], 1, -1)
        return filters[..., 0] if filters.shape[-1] == 1 else filters
