"""The meaning of "auto", and the attributes that show it."""

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from skcnn import ConvSigmoidClassifier
from tests.helpers.marks import few_steps

pytestmark = few_steps

TO_THE_END = {"max_iter": 3, "n_iter_no_change": 1, "tol": 1e9, "random_state": 0}


def test_one_layer(digits):
    clf = ConvSigmoidClassifier(4, **TO_THE_END).fit(*digits)
    assert (clf.kernel_size_, clf.pool_size_) == ([(5, 5)], [(2, 2)])
    assert (clf.padding_, clf.activation_, clf.rescale_) == ("valid", "sigmoid", 1.0)
    same = ConvSigmoidClassifier(4, 5, pool_size=2, padding="valid", activation="sigmoid", rescale=1.0, **TO_THE_END)
    assert_array_equal(same.fit(*digits)._parameters, clf._parameters)


def test_a_stack(digits):
    clf = ConvSigmoidClassifier((4, 6), **TO_THE_END).fit(*digits)
    assert (clf.kernel_size_, clf.pool_size_) == ([(3, 3), (3, 3)], [(2, 2), (1, 1)])
    assert (clf.padding_, clf.activation_) == ("same", "relu")
    same = ConvSigmoidClassifier((4, 6), 3, pool_size=[2, 1], padding="same", activation="relu", **TO_THE_END)
    assert_array_equal(same.fit(*digits)._parameters, clf._parameters)
    table = str(clf.summary())
    for row in ("convolution 1, 3 x 3, relu", "max-pooling 1, 2 x 2", "convolution 2, 3 x 3, relu"):
        assert row in table


@pytest.mark.parametrize("call", ["fit", "partial_fit"])
@pytest.mark.parametrize(("dtype", "rescale"), [("uint8", 1 / 255), ("float32", 1.0), ("float64", 1.0), ("int64", 1.0)])
def test_bytes_are_scaled(digits, call, dtype, rescale):
    X, y = (digits[0] * 16).astype(dtype), digits[1]
    clf = ConvSigmoidClassifier(2, **TO_THE_END)
    clf.fit(X, y) if call == "fit" else clf.partial_fit(X, y, classes=np.arange(10))
    assert clf.rescale_ == rescale
    assert clf.get_params()["rescale"] == "auto"


def test_a_stream_keeps_the_scale_of_its_first_chunk(digits):
    """Later chunks may be of another type but have the same pixels."""
    X, y = digits[0] * 16, digits[1]
    mixed, bytes_alone = (ConvSigmoidClassifier(2, random_state=0) for _ in range(2))
    for clf, dtype in ((mixed, "float64"), (bytes_alone, "uint8")):
        clf.partial_fit(X.astype("uint8"), y, classes=np.arange(10)).partial_fit(X.astype(dtype), y)
        assert clf.rescale_ == 1 / 255
    assert_array_equal(mixed._parameters, bytes_alone._parameters)


def test_the_last_scale_is_that_of_a_warm_start(digits):
    X, y = digits[0] * 16, digits[1]
    clf = ConvSigmoidClassifier(2, warm_start=True, **TO_THE_END).fit(X.astype("uint8"), y)
    assert clf.fit(X, y).rescale_ == 1 / 255
