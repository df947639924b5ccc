"""Random flips in training: which images are mirrored, and training on them."""

from itertools import pairwise

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from sklearn.datasets import load_digits

from tests.helpers import reference


@pytest.mark.parametrize("random_shift", [0, 2])
def test_half_of_the_images_anew_in_each_epoch(quick, digits, epochs, random_shift):
    quick(random_flip=True, random_shift=random_shift, max_iter=4).fit(*digits)
    flips = np.stack([moves[:, 2] for _, moves in epochs])
    assert_array_equal(np.unique(flips), [0, 1])
    assert abs(flips.mean() - 0.5) < 0.05
    for one, other in pairwise(flips):
        assert abs((one != other).mean() - 0.5) < 0.1
    shifts = np.stack([moves[:, :2] for _, moves in epochs])
    assert_array_equal(np.unique(shifts), np.arange(-random_shift, random_shift + 1))


@pytest.mark.parametrize("x_dtype", ["uint8", "float32", "float64"])
@pytest.mark.parametrize("shape", [(8, 8, 1), (4, 8, 2), (1, 32, 2)], ids=str)
def test_learning_is_from_the_mirrored_images(quick, digits, epochs, shape, x_dtype):
    X, y = (digits[0] * 16).astype(x_dtype), digits[1]
    options = {"rescale": 1 / 16, "random_state": 3, "image_shape": shape}
    clf = quick(random_flip=True, random_shift=1, **options).fit(X, y)
    again = quick(shuffle=False, **options)
    for rows, moves in list(epochs):
        moved = reference.move_images(X[rows].reshape(-1, *shape), moves).reshape(X.shape)
        again.partial_fit(moved, y[rows], classes=np.arange(10))
    assert_array_equal(clf._parameters, again._parameters)
    assert clf.loss_curve_ == again.loss_curve_


def test_mirrored_digits_are_recognised_better(quick):
    X, y = load_digits(return_X_y=True)
    mirrored = X[1000:].reshape(-1, 8, 8)[:, :, ::-1].reshape(-1, 64)
    stack = {"n_filters": (6, 8), "padding": "same", "activation": "relu", "rescale": 1 / 16, "max_iter": 30}
    plain, flipped = (
        quick(random_flip=flip, **stack).fit(X[:1000], y[:1000]).score(mirrored, y[1000:]) for flip in (False, True)
    )
    assert flipped > plain + 0.1
