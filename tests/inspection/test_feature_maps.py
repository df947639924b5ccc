"""Feature maps and their display."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.exceptions import NotFittedError
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from skcnn import ConvSigmoidClassifier
from skcnn.inspection import FeatureMapsDisplay, feature_maps
from tests.helpers import reference
from tests.helpers.harness import assert_close
from tests.helpers.scripts import run_script
from tests.inspection.conftest import fit_kind

pytestmark = pytest.mark.filterwarnings("ignore:The network learnt little:sklearn.exceptions.ConvergenceWarning")


def expected_maps(clf, X, layer):
    """Feature maps in plain NumPy, from the public attributes."""
    images = X.reshape(-1, *clf.image_shape_).astype(float) * clf.rescale_
    for filters, intercepts, pool in zip(clf.coefs_, clf.intercepts_, clf.pool_size_[: layer + 1], strict=False):
        if clf.padding_ == "same":
            images = reference.pad_same(images, *filters.shape[2:])
        convolved = reference.correlate(images, filters.astype(float), intercepts.astype(float))
        activated = reference.ACTIVATIONS[clf.activation_][0](convolved)
        images = np.moveaxis(reference.max_pool(activated, *pool), 1, -1)
    return images


def test_every_layer_is_that_of_plain_numpy(fitted_kind):
    clf, X = fitted_kind
    for layer in range(len(clf.kernel_size_)):
        maps = feature_maps(clf, X, layer=layer)
        assert maps.dtype == clf.coefs_[0].dtype
        assert_close(maps, expected_maps(clf, X, layer), factor=10)
        assert_array_equal(feature_maps(clf, X, layer=layer - len(clf.kernel_size_)), maps)


def test_the_last_layer_is_what_transform_returns(fitted_kind):
    clf, X = fitted_kind
    maps = np.moveaxis(feature_maps(clf, X), -1, 1)
    if clf.global_pool:
        maps = {"average": np.mean, "max": np.max}[clf.global_pool](maps, axis=(2, 3))
    assert_close(maps.reshape(len(X), -1), clf.transform(X), factor=10)


def test_frames(stack):
    pandas = pytest.importorskip("pandas")
    clf, X = stack
    rows = X.reshape(len(X), -1)
    frame = pandas.DataFrame(rows, columns=[f"p{number}" for number in range(rows.shape[1])])
    y = np.arange(len(X)) % 3
    of_frame = ConvSigmoidClassifier(**clf.get_params() | {"image_shape": (9, 8, 3)}).set_output(transform="pandas")
    of_frame.fit(frame, y)
    assert_array_equal(feature_maps(of_frame, frame), feature_maps(clf, X))


def test_pipeline(stack):
    clf, X = stack
    pipeline = make_pipeline(FunctionTransformer(lambda X: X / 2), clf)
    pipeline[0].fit(X)
    assert_array_equal(feature_maps(pipeline, 2 * X), feature_maps(clf, X))
    assert_array_equal(feature_maps(make_pipeline(clf), X), feature_maps(clf, X))


@pytest.mark.parametrize(
    ("layer", "error", "message"),
    [
        (2, ValueError, "layer=2 must be an integer from -2 to 1: the network has 2 convolutions"),
        (-3, ValueError, "layer=-3"),
        (1.0, TypeError, "layer must be an integer"),
        (True, TypeError, "layer must be an integer"),
    ],
)
def test_no_such_layer(stack, layer, error, message):
    clf, X = stack
    with pytest.raises(error, match=message):
        feature_maps(clf, X, layer=layer)


def test_wrong_estimators_and_images(stack):
    clf, X = stack
    with pytest.raises(NotFittedError):
        feature_maps(ConvSigmoidClassifier(), X)
    with pytest.raises(TypeError, match="a Pipeline that ends in one, or a fitted search of either; got Funct"):
        feature_maps(FunctionTransformer(), X)
    with pytest.raises(ValueError, match=r"images of shape \(9, 8\)"):
        feature_maps(clf, X[..., 0])
    clf.coefs_[0][:] = 1
    with pytest.raises(ValueError, match="X holds values too large for float64"):
        feature_maps(clf, np.full_like(X, 1e308), layer=0)
    clf.coefs_[0][:] = 1e300  # what had been computed of the filters is no longer so
    with pytest.raises(ValueError, match="X holds values too large for float64"):
        feature_maps(clf, np.full_like(X, 1e10), layer=0)


def test_display_of_pictures(stack):
    clf, X = stack
    display = FeatureMapsDisplay.from_estimator(clf, X[:2], n_cols=3, colorbar=True)
    maps = feature_maps(clf, X[:2])
    assert_array_equal(display.maps, maps)
    assert_array_equal(display.images, X[:2])
    assert display.layer == 1
    # Each of the two images has two rows of maps beside it, of 3 and 1.
    assert display.axes_.shape == display.im_.shape == (4, 4)
    drawn = display.im_ != None  # noqa: E711
    assert_array_equal(drawn, [[1, 1, 1, 1], [0, 1, 0, 0]] * 2)
    assert_array_equal(display.axes_ != None, drawn)  # noqa: E711
    for sample in range(2):
        for number, place in enumerate([(0, 1), (0, 2), (0, 3), (1, 1)]):
            artist = display.im_[place[0] + 2 * sample, place[1]]
            assert_array_equal(artist.get_array(), maps[sample, :, :, number])
            assert artist.get_clim() == (maps.min(), maps.max())
    low, high = X[:2].min(), X[:2].max()
    assert_allclose(display.im_[2, 0].get_array(), (X[1] - low) / (high - low))
    assert display.colorbar_.mappable is display.im_[0, 1]
    assert display.figure_ is display.bounding_ax_.figure
    assert not (display.line_ != None).any()  # noqa: E711
    assert display.plot() is display


def test_display_of_signals():
    clf, X = fit_kind("upright signal, two channels")
    display = FeatureMapsDisplay.from_estimator(clf, X[:2], layer=0)
    maps = feature_maps(clf, X[:2], layer=0)
    assert display.axes_.shape == (2, 4)
    assert_array_equal(display.line_[1, 3].get_ydata(), maps[1, :, 0, 2])
    assert [len(ax.lines) for ax in display.axes_[1]] == [2, 1, 1, 1]
    assert_array_equal(display.axes_[1, 0].lines[1].get_ydata(), X[1, :, 0, 1])
    assert display.colorbar_ is None


def test_signed_maps_have_0_in_the_middle():
    clf, X = fit_kind("two channels, three layers")
    display = FeatureMapsDisplay.from_estimator(clf, X[:1])
    low, high = display.im_[0, 1].get_clim()
    assert -low == high == np.abs(display.maps).max()
    assert display.im_[0, 1].get_cmap().name == "RdBu_r"
    # Images with neither 1 nor 3 channels are drawn as the mean of their channels.
    assert_allclose(display.im_[0, 0].get_array(), X[0].mean(axis=-1))


def test_styles(stack):
    clf, X = stack
    styles = {"cmap": "magma", "colorbar": False, "im_kw": {"clim": (0, 9), "interpolation": "bilinear"}}
    display = FeatureMapsDisplay.from_estimator(clf, X[:1], **styles)
    assert display.colorbar_ is None
    assert display.im_[0, 1].get_cmap().name == "magma"
    assert display.im_[0, 1].get_interpolation() == "bilinear"


def test_too_many_images(stack):
    clf, X = stack
    with pytest.raises(ValueError, match=r"needs 1200 axes, and at most 600 can be drawn"):
        FeatureMapsDisplay.from_estimator(clf, X.repeat(10, axis=0))


def test_functions_need_no_matplotlib():
    script = """
import sys
sys.modules["matplotlib"] = None
from skcnn import ConvSigmoidClassifier
from skcnn.inspection import class_evidence, feature_maps, misclassified, occlusion
import numpy as np
X, y = np.random.default_rng(0).normal(size=(24, 9, 8)), np.arange(24) % 2
clf = ConvSigmoidClassifier(2, learning_rate="cosine", max_iter=3).fit(X, y)
made = feature_maps(clf, X), class_evidence(clf, X).evidence, occlusion(clf, X), misclassified(y, y).indices
print(*[len(one) for one in made])
"""
    assert run_script(script, PYTHONWARNINGS="ignore") == "24 24 24 0\n"
