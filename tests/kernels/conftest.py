"""Shared by the tests of single kernels."""

import numpy as np
import pytest

from skcnn.kernels import LANES
from skcnn.network import aligned_empty


@pytest.fixture
def new_output():
    """Make an array for a kernel to fill; in the end, the NaN behind each of them must still be there."""
    margins = []

    def new(dtype, *shape, fill=np.nan):
        size = int(np.prod(shape))
        whole = aligned_empty(size + 4 * LANES, dtype)
        whole[:size], whole[size:] = fill, np.nan
        margins.append(whole[size:])
        return whole[:size].reshape(shape)

    yield new
    assert np.isnan(np.concatenate(margins)).all()
