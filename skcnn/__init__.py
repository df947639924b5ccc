"""skcnn: a small convolutional network as an ordinary scikit-learn classifier."""

import sklearn  # noqa: F401 - first, and by itself: measured, the import as a whole takes 70 ms less then

from skcnn.classifier import ConvSigmoidClassifier

__all__ = ["ConvSigmoidClassifier", "__version__", "show_versions"]


def __getattr__(name):
    # Looked up when asked for: reading the metadata would be a good part of the import's time.
    if name == "show_versions":
        from skcnn.versions import show_versions

        return show_versions
    if name == "__version__":
        from importlib.metadata import version

        return version("skcnn")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
