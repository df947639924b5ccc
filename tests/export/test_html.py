"""The web page that computes a network: the contents of the file."""

import json
import os
import re
from base64 import b64decode
from functools import partial

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.pipeline import make_pipeline

from skcnn.datasets import load_mnist_sample
from skcnn.export import to_html
from tests.helpers.pages import NETWORKS, fit_network


@pytest.fixture
def fit(quick):
    return partial(fit_network, quick)


def read_model(path):
    """The description that the page contains."""
    text = path.read_text(encoding="utf-8")
    return json.loads(re.search(r'<script type="application/json" id="model">(.*?)</script>', text)[1])


def numbers(encoded):
    return np.frombuffer(b64decode(encoded["base64"]), {"uint8": "u1", "float32": "<f4"}[encoded["type"]])


def test_size_and_self_containedness(tmp_path, quick):
    """A network of 16 and 32 filters with 50 images; the page loads nothing, and its policy forbids loading."""
    X, y = load_mnist_sample(return_X_y=True)
    path = tmp_path / "digits.html"
    stack = quick(n_filters=(16, 32), padding="same", pool_size=2, max_iter=1, n_iter_no_change=5, activation="relu")
    with pytest.warns(match="Maximum iterations"):
        stack.fit(X[:100], y[:100])
    assert to_html(stack, str(path), images=X[:50], labels=y[:50]) == path
    assert path.stat().st_size < 300_000
    text = path.read_text(encoding="utf-8")
    assert text.startswith("<!doctype html>")
    assert not re.search(r"https?://|\bsrc\s*=|\bimport\b|url\(|fetch\(|\$(page|model|name)", text)
    assert re.findall(r'href="([^"]*)"', text) == ["data:,"]
    assert "default-src 'none'" in text
    assert numbers(read_model(path)["images"]).reshape(50, 784).tolist() == X[:50].tolist()


def test_the_model(tmp_path, fit):
    clf, X, y = fit("stack, same padding, pools", "float32")
    model = read_model(to_html(clf, tmp_path / "a.html", images=X[:3], labels=y[:3]))
    assert [layer["type"] for layer in model["layers"]] == [
        "convolution", "activation", "max-pooling", "convolution", "activation", "dense",
    ]  # fmt: skip
    assert model["layers"][3]["pads"] == [0, 1]
    assert model["classes"] == ["a", "b", "c"]
    assert model["labels"] == y[:3].tolist()
    parts = [clf.coefs_[0], clf.intercepts_[0], clf.coefs_[1], clf.intercepts_[1], clf.coefs_[2].T, clf.intercepts_[2]]
    assert_array_equal(numbers(model["parameters"]), np.concatenate([part.ravel() for part in parts]))
    assert [size for layer in model["layers"] for _, size in layer["arrays"]] == [part.size for part in parts]
    assert_array_equal(numbers(model["images"]), X[:3].ravel())
    assert (model["low"], model["high"]) == (X[:3].min(), X[:3].max())
    assert model["blank"] == [np.median(X[:3])]


KINDS = {
    "BatchNormalization": "batch normalization",
    "MaxPooling": "max-pooling",
    "GlobalPooling": "global pooling",
}


@pytest.mark.parametrize("name", NETWORKS)
def test_layers(tmp_path, fit, name):
    """All but normalisations, which the filters contain."""
    clf, _, _ = fit(name)
    network = clf._model.network.folded
    model = read_model(to_html(clf, tmp_path / "a.html"))
    layers = network.layers[:-1]  # the last one, the sigmoid, is each page's own
    kinds = [type(layer).__name__ for layer in layers]
    assert [layer["type"] for layer in model["layers"]] == [KINDS.get(kind, kind.lower()) for kind in kinds]
    assert sum(size for layer in model["layers"] for _, size in layer["arrays"]) == network.n_parameters
    assert [layer["out_shape"] for layer in model["layers"]] == [list(layer.out_shape) for layer in layers]


@pytest.mark.parametrize(
    ("shape", "scale", "rescale", "expected"),
    [
        ((8, 8), 16, 1, (0, 16)),
        ((8, 8), 255, 1 / 255, (0, 255)),
        ((8, 8), 1, 1, (0, 1)),
        ((8, 8), 1, -1, (0, 1)),
        ((1, 64), 16, 1, (-16, 16)),
    ],
)
def test_the_range_without_images(tmp_path, quick, digits, shape, scale, rescale, expected):
    """The range is that of the training images, as far as the network knows it."""
    X, y = digits
    clf = quick(image_shape=shape, rescale=rescale).fit(X * scale, y)
    model = read_model(to_html(clf, tmp_path / "a.html"))
    assert_allclose([model["low"], model["high"]], expected)
    assert model["blank"] == [0]
    assert model["labels"] == []
    assert numbers(model["images"]).size == 0


def test_labels_cannot_become_html(tmp_path, quick, digits):
    X, y = digits
    evil = "</script><script>alert(1)</script><!--"
    names = np.array([evil, "&lt;b&gt;", "\u2028 ü '\"`${x}"])[y % 3]
    clf = quick().fit(X, names)
    path = to_html(clf, tmp_path / "a.html", images=X[:4], labels=names[:4])
    text = path.read_text(encoding="utf-8")
    assert "alert(1)<" not in text
    assert "<!--" not in text
    assert text.count("</script>") == 4
    model = read_model(path)
    assert model["classes"] == clf.classes_.tolist()
    assert model["labels"] == names[:4].tolist()


def test_indicators_as_labels(tmp_path, fit):
    clf, X, _ = fit("several labels")
    model = read_model(to_html(clf, tmp_path / "a.html", images=X[:2], labels=[[1, 0, 1], [0, 0, 0]]))
    assert model["labels"] == ["0, 2", "none"]
    assert model["classes"] == ["0", "1", "2"]


def test_images_may_come_in_any_form(tmp_path, fit):
    clf, X, _ = fit("colour")
    forms = X[:2], X[:2].reshape(2, -1), X[:2].tolist()
    models = [read_model(to_html(clf, tmp_path / "a.html", images=images)) for images in forms]
    assert models[0] == models[1] == models[2]


def test_the_file_is_replaced_as_a_whole(tmp_path, fitted, monkeypatch):
    path = tmp_path / "a.html"
    path.write_text("before")

    def fail(*_):
        raise OSError("the disk is full")

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(OSError, match="the disk is full"):
        to_html(fitted, path)
    assert path.read_text() == "before"
    assert os.listdir(tmp_path) == ["a.html"]
    monkeypatch.undo()
    to_html(fitted, path)
    assert path.read_text(encoding="utf-8").startswith("<!doctype")
    assert os.listdir(tmp_path) == ["a.html"]


def test_errors(tmp_path, fitted, digits):
    X, _ = digits
    path = tmp_path / "a.html"
    with pytest.raises(NotFittedError):
        to_html(clone(fitted), path)
    with pytest.raises(TypeError, match="must be a fitted ConvSigmoidClassifier; got Pipeline"):
        to_html(make_pipeline(fitted), path)
    with pytest.raises(ValueError, match=r"images has 51 images, and the page takes at most 50: pass images\[:50\]"):
        to_html(fitted, path, images=X[:51])
    with pytest.raises(ValueError, match="expecting 64 features"):
        to_html(fitted, path, images=X[:5, :60])
    with pytest.raises(ValueError, match=r"labels of shape \(3,\) must have one label for each of the 2 images"):
        to_html(fitted, path, images=X[:2], labels=[1, 2, 3])
    with pytest.raises(ValueError, match="for each of the 0 images"):
        to_html(fitted, path, labels=[1])
    with pytest.raises(ValueError, match="images must hold no values too large for float32"):
        to_html(fitted, path, images=X[:2] * 1e300)
    with pytest.raises(FileNotFoundError, match=r"a\.html' lies in a folder that does not exist"):
        to_html(fitted, tmp_path / "no folder" / "a.html")
    with pytest.raises(IsADirectoryError, match="is a folder"):
        to_html(fitted, tmp_path)
    assert not path.exists()
