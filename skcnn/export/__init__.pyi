import os
from collections.abc import Sequence
from pathlib import Path
from typing import Literal, TypeAlias

import numpy as np

# Where one of these is not installed, its types are Any, without an error: checkers are silent about what is wrong in
# an installed package. Any throughout would be an error where a caller returns a model from a typed function.
from keras import Sequential as KerasSequential
from numpy.typing import ArrayLike
from onnx import ModelProto
from torch.nn import Sequential as TorchSequential

from skcnn.classifier import ConvSigmoidClassifier

__all__ = ["from_keras", "register_onnx_converter", "to_html", "to_keras", "to_onnx", "to_torch"]

_Pixel: TypeAlias = np.float32 | np.float64 | np.uint8

def from_keras(
    model: KerasSequential, classes: ArrayLike | None = None, *, multilabel: bool = False
) -> ConvSigmoidClassifier: ...
def register_onnx_converter() -> None: ...
def to_html(
    estimator: ConvSigmoidClassifier,
    path: str | os.PathLike[str],
    *,
    images: ArrayLike | None = None,
    labels: ArrayLike | Sequence[object] | None = None,
) -> Path: ...
def to_keras(estimator: ConvSigmoidClassifier) -> KerasSequential: ...
def to_onnx(
    estimator: ConvSigmoidClassifier,
    *,
    dtype: Literal["float32", "float64", "uint8"] | np.dtype[_Pixel] | type[_Pixel] = "float32",
    target_opset: int = 17,
) -> ModelProto: ...
def to_torch(estimator: ConvSigmoidClassifier) -> TorchSequential: ...
