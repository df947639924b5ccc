"""skcnn: a convolutional network for small images that is an ordinary scikit-learn classifier."""

import sklearn  # noqa: F401 - first and alone: this makes the whole import 70 ms faster

from skcnn.classifier import ConvSigmoidClassifier

__all__ = ["ConvSigmoidClassifier", "__version__", "show_versions"]


def __getattr__(name):
    # On demand, because reading the metadata would be a large part of the import time.
    if name == "show_versions":
        from skcnn.versions import show_versions

        return show_versions
    if name == "__version__":
        from importlib.metadata import version

        return version("skcnn")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
