"""The data sets: the packaged sample, digits, .npz files, and errors about Keras's MNIST."""

import sys

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from skcnn import datasets


def test_packaged_sample():
    sample = datasets.load_mnist_sample()
    assert sample.data.shape == (1000, 784)
    assert sample.data.dtype == np.uint8
    assert sample.images.shape == (1000, 28, 28)
    assert np.shares_memory(sample.images, sample.data)
    counts = np.bincount(sample.target[: sample.n_train])
    assert counts.tolist() == [21, 26, 20, 21, 21, 13, 19, 21, 15, 23]
    assert "Creative Commons Attribution-Share Alike 3.0" in sample.DESCR
    X, y = datasets.load_mnist_sample(return_X_y=True)
    np.testing.assert_array_equal(X, sample.data)
    np.testing.assert_array_equal(y, sample.target)


def test_packaged_sample_as_split():
    split = datasets.load_mnist_sample(as_split=True)
    assert (split.X_train.shape, split.X_test.shape) == ((200, 784), (800, 784))
    assert (split.image_shape, split.rescale) == ((28, 28), 1 / 255)


def test_digits():
    split = datasets.load_digits_split()
    assert split.X_train.max() * split.rescale == 1
    assert len(split.y_train) + len(split.y_test) == 1797


@pytest.fixture
def arrays(rng):
    return {
        "x_train": rng.randint(0, 256, size=(12, 6, 5, 3)).astype(np.uint8),
        "y_train": np.arange(12) % 3,
        "x_test": rng.randint(0, 256, size=(4, 6, 5, 3)).astype(np.uint8),
        "y_test": np.arange(4) % 3,
    }


def test_npz(arrays, tmp_path):
    np.savez(tmp_path / "images.npz", **arrays)
    split = datasets.load_npz(tmp_path / "images.npz")
    assert split.image_shape == (6, 5, 3)
    assert split.rescale == 1 / 255
    np.testing.assert_array_equal(split.X_train, arrays["x_train"].reshape(12, -1))


def test_npz_of_floats_is_taken_as_it_is(arrays, tmp_path):
    arrays |= {"x_train": arrays["x_train"] / 255, "x_test": arrays["x_test"] / 255}
    np.savez(tmp_path / "images.npz", **arrays)
    assert datasets.load_npz(tmp_path / "images.npz").rescale == 1


def test_npz_of_wide_integers(arrays, tmp_path):
    arrays |= {"x_train": arrays["x_train"].astype(np.uint16) * 257, "x_test": arrays["x_test"].astype(np.uint16)}
    np.savez(tmp_path / "images.npz", **arrays)
    assert datasets.load_npz(tmp_path / "images.npz").rescale == 1 / 65535


@pytest.mark.parametrize("dtype", ["int32", "uint32", "int64", "uint64"])
def test_npz_of_integers_wider_than_images(arrays, tmp_path, dtype):
    """NumPy's default type says nothing about how large they may be."""
    for factor, white in ((1, 255), (8, 2047), (257, 65535)):
        wide = {name: arrays[name].astype(dtype) * factor for name in ("x_train", "x_test")}
        np.savez(tmp_path / "images.npz", **arrays | wide)
        assert datasets.load_npz(tmp_path / "images.npz").rescale == 1 / white


def test_npz_laid_out_otherwise(arrays, tmp_path):
    path = tmp_path / "images.npz"
    np.savez(path, **{key: value for key, value in arrays.items() if key != "y_test"})
    with pytest.raises(ValueError, match=r"has no array y_test; it takes x_train, y_train, x_test, y_test"):
        datasets.load_npz(path)
    np.savez(path, **(arrays | {"y_train": np.arange(11)}))
    with pytest.raises(ValueError, match=r"x_train of shape \(12, 6, 5, 3\) and y_train of shape \(11,\)"):
        datasets.load_npz(path)
    path.write_bytes(b"not an archive")
    with pytest.raises(ValueError, match=r"not an \.npz file"):
        datasets.load_npz(path)
    np.save(tmp_path / "one.npy", arrays["x_train"])
    with pytest.raises(ValueError, match=r"not an \.npz file"):
        datasets.load_npz(tmp_path / "one.npy")
    np.savez(path, **(arrays | {"x_test": arrays["x_test"][:0], "y_test": arrays["y_test"][:0]}))
    with pytest.raises(ValueError, match=r"x_test of shape \(0, 6, 5, 3\) and type uint8 holds no numbers"):
        datasets.load_npz(path)
    np.savez(path, **(arrays | {key: arrays[key].astype(str) for key in ("x_train", "x_test")}))
    with pytest.raises(ValueError, match=r"x_train of shape .* and type <U3 holds no numbers"):
        datasets.load_npz(path)
    np.savez(path, **(arrays | {"x_test": arrays["x_test"] / 255}))
    with pytest.raises(ValueError, match="x_train holds uint8 and x_test float64; both must be of one type"):
        datasets.load_npz(path)
    with pytest.raises(OSError, match="No such file"):
        datasets.load_npz(tmp_path / "missing.npz")


@pytest.mark.parametrize("where", [40, 200, -200])
def test_damaged_npz(arrays, tmp_path, where):
    path = tmp_path / "images.npz"
    np.savez(path, **arrays)
    damaged = bytearray(path.read_bytes())
    damaged[where : where + 30] = b"?" * 30
    path.write_bytes(damaged)
    with pytest.raises(ValueError, match=r"is damaged|has no array|is not an \.npz file"):
        datasets.load_npz(path)


def test_mnist_without_keras(monkeypatch):
    monkeypatch.setattr(datasets, "find_spec", lambda name: None)
    with pytest.raises(ImportError, match=r"pip install 'skcnn\[keras\]'"):
        datasets.load_keras_mnist()


def test_a_file_that_does_not_fit_into_memory(tmp_path, monkeypatch):
    def load(*args, **options):
        raise MemoryError("Unable to allocate 3 TiB")

    np.savez(tmp_path / "data.npz", x_train=np.zeros((2, 4)))
    monkeypatch.setattr(datasets.np, "load", load)
    with pytest.raises(MemoryError, match=r"data\.npz does not fit into memory: Unable to allocate 3 TiB"):
        datasets.load_npz(tmp_path / "data.npz")


def put_in_place_of_keras(monkeypatch, load_data):
    mnist = type("mnist", (), {"load_data": staticmethod(load_data)})
    monkeypatch.setattr(datasets, "_keras_backend", lambda: True)
    monkeypatch.setitem(sys.modules, "keras.datasets", type("datasets", (), {"mnist": mnist}))
    monkeypatch.setitem(sys.modules, "keras", type("keras", (), {}))


def test_mnist_of_keras(monkeypatch):
    arrays = {part: (np.full((n, 28, 28), n, np.uint8), np.arange(n)) for part, n in (("train", 5), ("test", 3))}
    put_in_place_of_keras(monkeypatch, lambda: (arrays["train"], arrays["test"]))
    split = datasets.load_keras_mnist()
    assert (split.X_train.shape, split.X_test.shape) == ((5, 784), (3, 784))
    assert_array_equal(split.y_train, np.arange(5))
    assert_array_equal(split.y_test, np.arange(3))


def test_mnist_without_a_network(monkeypatch):
    """Keras raises a bare Exception if its download fails."""

    def load_data():
        raise Exception("URL fetch failure")

    put_in_place_of_keras(monkeypatch, load_data)
    with pytest.raises(OSError, match=r"Keras could not download MNIST \(URL fetch failure\); give the path"):
        datasets.load_keras_mnist()


@pytest.mark.parametrize(
    ("chosen", "installed", "expected", "backend"),
    [
        ("", {"keras"}, False, None),
        ("", {"keras", "jax"}, True, "jax"),
        ("", {"keras", "jax", "torch", "tensorflow"}, True, "tensorflow"),
        ("torch", {"keras", "jax"}, False, "torch"),
        ("torch", {"keras", "torch"}, True, "torch"),
        ("", {"jax"}, False, None),
    ],
)
def test_keras_backend(monkeypatch, chosen, installed, expected, backend):
    monkeypatch.setattr(datasets, "find_spec", lambda name: name if name in installed else None)
    monkeypatch.setenv("KERAS_BACKEND", chosen)
    assert datasets._keras_backend() is expected
    assert (datasets.os.environ["KERAS_BACKEND"] or None) == backend
