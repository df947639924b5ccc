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
        """The filters of each layer, and output weights (n_hidden, n_outputs)."""
        views = self._views()
        return [view for name, view in views.items() if name.startswith("filters_")] + [views["weights"].T]

    @property
    def intercepts_(self):
        """Intercepts of the filters of each layer, and of the outputs."""
        views = self._views()
        return [view for name, view in views.items() if name.endswith("intercepts") or "_intercepts_" in name]

    @property
    def filters_(self):
        """The first layer's filters as images: (n_filters, kernel_height, kernel_width), and n_channels if there are several."""
        filters = np.moveaxis(self._views()["filters_0"], 1, -1)
        return filters[..., 0] if filters.shape[-1] == 1 else filters
