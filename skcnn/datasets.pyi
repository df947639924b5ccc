import os
from dataclasses import dataclass
from typing import Any, Literal, overload, type_check_only

import numpy as np
from numpy.typing import NDArray
from sklearn.utils import Bunch

__all__ = ["Split", "load_digits_split", "load_keras_mnist", "load_mnist_sample", "load_npz"]

@dataclass(frozen=True)
class Split:
    X_train: NDArray[Any]
    y_train: NDArray[Any]
    X_test: NDArray[Any]
    y_test: NDArray[Any]
    image_shape: tuple[int, int] | tuple[int, int, int]
    rescale: float

# What the Bunch has that load_mnist_sample returns.
@type_check_only
class _MnistSample(Bunch):
    data: NDArray[np.uint8]
    target: NDArray[np.uint8]
    images: NDArray[np.uint8]
    n_train: int
    DESCR: str

@overload
def load_mnist_sample(*, return_X_y: Literal[False] = False, as_split: Literal[False] = False) -> _MnistSample: ...
@overload
def load_mnist_sample(
    *, return_X_y: Literal[True], as_split: Literal[False] = False
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]: ...
@overload
def load_mnist_sample(*, return_X_y: bool = False, as_split: Literal[True]) -> Split: ...
def load_digits_split() -> Split: ...
def load_keras_mnist() -> Split: ...
def load_npz(path: str | os.PathLike[str]) -> Split: ...
