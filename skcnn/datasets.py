"""Data sets to try the classifier on: a packaged MNIST sample, scikit-learn's digits, Keras's MNIST, .npz files."""

import os
import warnings
from dataclasses import dataclass
from importlib import resources
from importlib.util import find_spec
from math import prod
from textwrap import shorten
from zipfile import is_zipfile

import numpy as np
from sklearn.utils import Bunch

__all__ = ["Split", "load_digits_split", "load_keras_mnist", "load_mnist_sample", "load_npz"]

_KEYS = ("x_train", "y_train", "x_test", "y_test")


@dataclass(frozen=True)
class Split:
    """A data set split for training and testing.

    Attributes
    ----------
    X_train, X_test : ndarray of shape (n_samples, n_features)
        Images, flattened to rows.
    y_train, y_test : ndarray of shape (n_samples,)
        Labels.
    image_shape : tuple of (height, width) or (height, width, n_channels)
        Shape of an image.
    rescale : float
        Factor that scales pixels to between 0 and 1.
    """

    X_train: np.ndarray
    y_train: np.ndarray
    X_test: np.ndarray
    y_test: np.ndarray
    image_shape: tuple
    rescale: float


def load_mnist_sample(*, return_X_y=False, as_split=False):
    """Load the packaged sample of MNIST: its first 200 training and first 800 test images.

    Parameters
    ----------
    return_X_y : bool, default=False
        Whether to return (data, target) instead of a Bunch.
    as_split : bool, default=False
        Whether to return a `Split`, which separates training and test images; overrides `return_X_y`.

    Returns
    -------
    sample : Bunch, tuple or Split
        The Bunch has `data`, uint8 of shape (1000, 784) with the training images first; `target`, the digits, uint8 of
        shape (1000,); `images`, a view of `data` of shape (1000, 28, 28); `n_train`, 200; and `DESCR`, with the authors
        and the licence.

    Examples
    --------
    >>> from skcnn.datasets import load_mnist_sample
    >>> X, y = load_mnist_sample(return_X_y=True)
    >>> X.shape, X.dtype.name
    ((1000, 784), 'uint8')
    """
    folder = resources.files("skcnn") / "data"
    with (folder / "mnist_sample.npz").open("rb") as file, np.load(file) as arrays:
        split = _split_of(arrays, "the packaged sample")
    if as_split:
        return split
    data = np.concatenate([split.X_train, split.X_test])
    target = np.concatenate([split.y_train, split.y_test])
    if return_X_y:
        return data, target
    return Bunch(
        data=data,
        target=target,
        images=data.reshape(-1, *split.image_shape),
        n_train=len(split.y_train),
        DESCR=(folder / "LICENSE.txt").read_text(encoding="utf-8"),
    )


def load_digits_split():
    """Load scikit-learn's 8 x 8 digits, with a stratified quarter for testing.

    Returns
    -------
    split : Split
        float64 pixels from 0 to 16, 1347 training and 450 test images; `rescale` is 1 / 16.
    """
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split

    X, y = load_digits(return_X_y=True)
    X_train, X_test, y_train, y_test = train_test_split(X, y, test_size=0.25, stratify=y, random_state=0)
    return Split(X_train, y_train, X_test, y_test, (8, 8), 1 / 16)


def load_keras_mnist():
    """Load all of MNIST through `keras.datasets.mnist`, which downloads it once.

    Returns
    -------
    split : Split
        uint8 pixels, 60 000 training and 10 000 test images of 28 x 28; `rescale` is 1 / 255.

    Raises
    ------
    ImportError
        If Keras or its backend is not installed; the extra `skcnn[keras]` installs both.
    OSError
        If the images are not cached and cannot be downloaded.
    """
    if not _keras_backend():
        raise ImportError("MNIST comes by way of Keras: pip install 'skcnn[keras]', or give the path of an .npz file")
    from keras.datasets import mnist

    try:
        (x_train, y_train), (x_test, y_test) = mnist.load_data()
    except Exception as error:  # Keras wraps urllib's errors in a bare Exception
        raise OSError(f"Keras could not download MNIST ({error}); give the path of an .npz file instead") from error
    arrays = dict(zip(_KEYS, (x_train, y_train, x_test, y_test), strict=True))
    return _split_of(arrays, "Keras's MNIST")


def _keras_backend():
    """Whether Keras can be imported; sets an installed backend if the user has not chosen one."""
    if find_spec("keras") is None:
        return False
    chosen = os.environ.get("KERAS_BACKEND")
    if chosen:
        return chosen == "numpy" or find_spec(chosen) is not None
    for backend in ("tensorflow", "jax", "torch"):
        if find_spec(backend) is not None:
            os.environ["KERAS_BACKEND"] = backend
            return True
    return False


def load_npz(path):
    """Load images from an .npz file with the layout of Keras's mnist.npz.

    Parameters
    ----------
    path : path-like
        File with arrays x_train and x_test of shape (n_samples, height, width) or (n_samples, height, width,
        n_channels), y_train and y_test of shape (n_samples,). `rescale` is 1 / 255 for integers up to 255. If some
        are larger, it is 1 over the largest integer of the type if this has 16 bits, and of as many bits as the data
        needs otherwise. It is 1 for other numbers.

    Returns
    -------
    split : Split

    Raises
    ------
    OSError
        If the file does not exist or cannot be read.
    ValueError
        If the file is damaged or has another layout.
    """
    with open(path, "rb") as file:
        if not is_zipfile(file):
            raise ValueError(f"{path} is not an .npz file")
        try:
            with warnings.catch_warnings(), np.load(file, allow_pickle=False) as archive:
                warnings.simplefilter("ignore")  # of shapes beyond all numbers, and of odd texts
                twice = [key for key in _KEYS if archive.files.count(key) > 1]
                arrays = {key: archive[key] for key in _KEYS if key in archive}
        except MemoryError as error:
            raise MemoryError(f"{path} does not fit into memory: {error}") from error
        except Exception as error:  # zipfile, zlib and numpy's reader raise errors of a dozen kinds
            reason = shorten(str(error) or type(error).__name__, 200)  # some quote what they read
            raise ValueError(f"{path} is damaged, or holds objects: {reason}") from error
    if twice:
        raise ValueError(f"{path} has more than one array {', '.join(twice)}")
    return _split_of(arrays, path)


def _split_of(arrays, source):
    missing = [key for key in _KEYS if key not in arrays]
    if missing:
        raise ValueError(f"{source} has no array {', '.join(missing)}; it takes {', '.join(_KEYS)}")
    x_train, y_train, x_test, y_test = (np.asarray(arrays[key]) for key in _KEYS)
    for name, x, y in (("train", x_train, y_train), ("test", x_test, y_test)):
        if x.dtype != x_train.dtype:
            raise ValueError(
                f"{source}: x_train holds {x_train.dtype} and x_{name} {x.dtype}; both must be of one type"
            )
        if x.ndim not in (3, 4) or x.shape[1:] != x_train.shape[1:] or y.shape != x.shape[:1]:
            raise ValueError(
                f"{source}: x_{name} of shape {x.shape} and y_{name} of shape {y.shape} are not images "
                "(n_samples, height, width) or (n_samples, height, width, n_channels) and their labels"
            )
        if x.dtype.kind not in "biuf" or x.size == 0:
            raise ValueError(f"{source}: x_{name} of shape {x.shape} and type {x.dtype} holds no numbers")
        if y.dtype.kind not in "biufUS":
            raise ValueError(f"{source}: y_{name} of type {y.dtype} holds neither numbers nor text")
        for key, values in ((f"x_{name}", x), (f"y_{name}", y)):
            if values.dtype.kind == "f" and not np.isfinite(values).all():
                raise ValueError(f"{source}: {key} holds NaN or infinity")
    return Split(
        x_train.reshape(len(x_train), prod(x_train.shape[1:])),
        y_train,
        x_test.reshape(len(x_test), prod(x_test.shape[1:])),
        y_test,
        x_train.shape[1:],
        1 / _white(x_train, x_test) if x_train.dtype.kind in "iu" else 1.0,
    )


def _white(*integers):
    """The value of white: 255 if that is enough, otherwise the largest of as many bits as the images have."""
    largest = max(int(x.max()) for x in integers)
    if largest <= 255:
        return 255
    dtype = integers[0].dtype
    return np.iinfo(dtype).max if dtype.itemsize <= 2 else 2 ** largest.bit_length() - 1
