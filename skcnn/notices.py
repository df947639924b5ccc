"""Warnings that point to the line that called scikit-learn or this package."""

import sys
import warnings

# Packages between that line and the warning: the call may come through a Pipeline or a search.
_BETWEEN = ("skcnn", "sklearn", "joblib")


def warn(message, category=UserWarning):
    level, frame = 2, sys._getframe(1)
    while frame.f_back is not None and frame.f_globals.get("__name__", "").split(".")[0] in _BETWEEN:
        level, frame = level + 1, frame.f_back
    warnings.warn(message, category, stacklevel=level)
