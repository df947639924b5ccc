from skcnn.classifier import ConvSigmoidClassifier
from skcnn.versions import show_versions

__all__ = ["ConvSigmoidClassifier", "__version__", "show_versions"]

__version__: str
