"""Export of fitted networks to ONNX, Keras, PyTorch and web pages, and import from Keras."""

from skcnn.export._html import to_html
from skcnn.export._keras import from_keras, to_keras
from skcnn.export._onnx import register_onnx_converter, to_onnx
from skcnn.export._torch import to_torch

__all__ = ["from_keras", "register_onnx_converter", "to_html", "to_keras", "to_onnx", "to_torch"]
