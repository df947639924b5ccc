"""Conversion to a torch.nn.Sequential: equal outputs and gradients, and a normal PyTorch model."""

import io
import pickle
import sys
from functools import cache

import numpy as np
import pytest
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression

from skcnn import ConvSigmoidClassifier
from skcnn.export import to_torch
from tests.helpers import harness
from tests.helpers.differences import split_gradient
from tests.helpers.drawn_networks import (
    N_NETWORKS,
    assert_variety,
    draw_fitted,
    float32_tolerance,
    images_of,
    run_example,
    sigmoids,
)
from tests.helpers.marks import every_dtype, few_steps

torch = pytest.importorskip("torch")
pytestmark = few_steps

every_network = pytest.mark.parametrize("number", range(N_NETWORKS))
drawn = cache(draw_fitted)


def tensor_of(clf, X, dtype):
    """Images as a tensor, channels first."""
    return torch.tensor(images_of(clf, X).transpose(0, 3, 1, 2), dtype=getattr(torch, dtype))


def test_everything_is_drawn():
    assert_variety()


@every_dtype
@every_network
def test_outputs(number, dtype):
    clf, X = drawn(number, dtype)
    model = to_torch(clf)
    assert type(model) is torch.nn.Sequential
    assert not model.training
    assert {parameter.dtype for parameter in model.parameters()} == {getattr(torch, dtype)}
    images = tensor_of(clf, X, dtype)
    outputs = model(images).detach().numpy()
    assert outputs.dtype == dtype
    tolerance = 1e-12 if dtype == "float64" else float32_tolerance(clf, X)
    np.testing.assert_allclose(outputs, sigmoids(clf, X), rtol=0, atol=tolerance)
    np.testing.assert_array_equal(model.train()(images).detach().numpy(), outputs)


@every_network
def test_gradient(number):
    """The gradient of the folded parameters."""
    clf, X = drawn(number, "float64", standardize=False)
    network, parameters = clf._model.network.folded, clf._model.folded
    targets = np.random.default_rng(0).uniform(size=(len(X), network.n_outputs))
    ones = np.ones(len(X))
    value, gradient, _ = harness.batch_gradient(network, parameters, X, targets, ones, loss="squared_error")
    model = to_torch(clf)
    loss = ((torch.tensor(targets) - model(tensor_of(clf, X, "float64"))) ** 2).sum() / 2 / len(X)
    loss.backward()
    assert loss.item() == pytest.approx(value, rel=1e-12)
    views = split_gradient(network, gradient)
    trained = [layer for layer in model if isinstance(layer, torch.nn.Conv2d | torch.nn.Linear)]
    trained = [layer for layer in trained if layer.weight.requires_grad]
    names = [f"filters_{i}" for i in range(len(network.n_filters))] + ["weights"]
    for layer, name in zip(trained, names, strict=True):
        np.testing.assert_allclose(layer.weight.grad.numpy(), views[name], rtol=1e-9, atol=1e-12)
        if network.fit_intercept:
            biases = views[name.replace("filters", "filter_intercepts").replace("weights", "intercepts")]
            np.testing.assert_allclose(layer.bias.grad.numpy(), biases, rtol=1e-9, atol=1e-12)


@pytest.fixture(scope="module")
def digits_classifier(digits):
    """A classifier with rescaling, an even kernel and a global pool."""
    X, y = digits
    X = np.round(255 * X).astype(np.uint8)
    clf = ConvSigmoidClassifier((4, 5), (3, 2), learning_rate="cosine", max_iter=3, random_state=0)
    return clf.fit(X, y), X


def test_layers(digits_classifier):
    model = to_torch(digits_classifier[0])
    names = "Conv2d Conv2d ReLU MaxPool2d ZeroPad2d Conv2d ReLU Flatten Linear Sigmoid"
    assert [type(layer).__name__ for layer in model] == names.split()
    rescaling, first, second = model[0], model[1], model[4:6]
    assert rescaling.weight.flatten().tolist() == [np.float32(1 / 255)]
    assert [parameter.requires_grad for parameter in model.parameters()] == [False] + 6 * [True]
    assert first.padding == (1, 1)
    assert second[0].padding == (0, 1, 0, 1)
    assert second[1].padding == (0, 0)


def test_probabilities(digits_classifier):
    clf, X = digits_classifier
    images = tensor_of(clf, X, "float32")
    p = to_torch(clf)(images).detach().numpy()
    np.testing.assert_allclose(p / p.sum(axis=1, keepdims=True), clf.predict_proba(X), rtol=0, atol=1e-6)
    logits = to_torch(clf)[:-1](images).detach().numpy()
    np.testing.assert_allclose(logits, clf.decision_function(X), rtol=0, atol=1e-5)


def test_several_channels_are_rescaled():
    rng = np.random.default_rng(0)
    X, y = rng.integers(256, size=(20, 6, 5, 3), dtype=np.uint8), np.arange(20) % 2
    clf = ConvSigmoidClassifier(2, 3, learning_rate="cosine", max_iter=1, random_state=0).fit(X, y)
    outputs = to_torch(clf)(tensor_of(clf, X, "float32")).detach().numpy()
    np.testing.assert_allclose(outputs[:, 0], clf.predict_proba(X)[:, 1], rtol=0, atol=1e-6)


def test_no_intercepts_are_no_biases(digits):
    clf = ConvSigmoidClassifier(2, fit_intercept=False, learning_rate="cosine", max_iter=1, random_state=0)
    names = [name for name, _ in to_torch(clf.fit(*digits)).named_parameters()]
    assert names == ["0.weight", "4.weight"]


def test_is_a_copy(digits_classifier):
    clf, X = digits_classifier
    before = clf.predict_proba(X)
    with torch.no_grad():
        for parameter in to_torch(clf).parameters():
            parameter.zero_()
    np.testing.assert_array_equal(clf.predict_proba(X), before)


def test_draws_no_random_numbers(digits_classifier):
    torch.manual_seed(0)
    expected = torch.rand(1)
    torch.manual_seed(0)
    to_torch(digits_classifier[0])
    assert torch.rand(1) == expected


def test_goes_on_learning(digits_classifier, digits):
    """The model trains on in plain PyTorch; the rescaling stays fixed."""
    clf, X = digits_classifier
    images, y = tensor_of(clf, X, "float32"), torch.tensor(np.eye(10)[digits[1]], dtype=torch.float32)
    model = to_torch(clf)
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.01)
    losses = []
    for _ in range(5):
        loss = torch.nn.functional.binary_cross_entropy(model(images), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses == sorted(losses, reverse=True)
    assert losses[-1] < 0.9 * losses[0]
    assert model[0].weight.item() == np.float32(1 / 255)


def test_pickles(digits_classifier):
    clf, X = digits_classifier
    model, images = to_torch(clf), tensor_of(clf, X, "float32")
    expected = model(images)
    assert b"skcnn" not in pickle.dumps(model)
    assert torch.equal(pickle.loads(pickle.dumps(model))(images), expected)
    file = io.BytesIO()
    torch.save(model.state_dict(), file)
    file.seek(0)
    other = to_torch(clf)
    other.load_state_dict(torch.load(file))
    assert torch.equal(other(images), expected)


def test_is_exported(digits_classifier):
    clf, X = digits_classifier
    model, images = to_torch(clf), tensor_of(clf, X[:3], "float32")
    program = torch.export.export(model, (images,)).module()
    torch.testing.assert_close(program(images), model(images))


def test_other_estimators(digits):
    with pytest.raises(TypeError, match="must be a fitted ConvSigmoidClassifier; got LogisticRegression"):
        to_torch(LogisticRegression())
    with pytest.raises(NotFittedError):
        to_torch(ConvSigmoidClassifier())


def test_without_torch(monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(ImportError, match=r"this needs torch: pip install 'skcnn\[torch\]'"):
        to_torch(None)


def test_example():
    run_example(to_torch)
