"""Fixtures of the tests of single kernels."""

import numpy as np
import pytest

from skcnn.kernels import LANES
from skcnn.network import own


@pytest.fixture
def new_output():
    """Makes arrays for kernels to fill; at the end, the NaN behind each of them must be intact."""
    margins = []

    def new(dtype, *shape, fill=np.nan):
        size = int(np.prod(shape))
        whole = own(np.full(size + 4 * LANES, np.nan), dtype)
        whole[:size] = fill
        margins.append(whole[size:])
        return whole[:size].reshape(shape)

    yield new
    assert np.isnan(np.concatenate(margins)).all()
