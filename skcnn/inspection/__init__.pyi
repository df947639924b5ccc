from collections.abc import Sequence
from typing import Any, Self, TypeAlias, type_check_only

import numpy as np

# Where it is not installed, its types are Any, without an error: checkers are silent about what is wrong in an
# installed package.
from matplotlib.axes import Axes
from matplotlib.colorbar import Colorbar
from matplotlib.colors import Colormap
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator
from sklearn.utils import Bunch

from skcnn.classifier import _Floats, _Labels, _Pair

__all__ = [
    "ClassEvidenceDisplay",
    "FeatureMapsDisplay",
    "FiltersDisplay",
    "LossCurveDisplay",
    "MisclassifiedDisplay",
    "OcclusionDisplay",
    "class_evidence",
    "feature_maps",
    "misclassified",
    "occlusion",
]

_Axes: TypeAlias = Axes | Sequence[Axes] | Sequence[Sequence[Axes]] | NDArray[np.object_] | None
_Cmap: TypeAlias = str | Colormap
_Keywords: TypeAlias = dict[str, Any] | None
_Curve: TypeAlias = Sequence[float] | _Floats
_Extent: TypeAlias = tuple[float, float, float, float]

# What the Bunches have that class_evidence and misclassified return.
@type_check_only
class _Evidence(Bunch):
    evidence: NDArray[np.float64]
    offset: NDArray[np.float64]
    target: NDArray[Any]

@type_check_only
class _Mistakes(Bunch):
    indices: NDArray[np.intp]
    y_pred: NDArray[Any]
    confidence: _Floats | None

def class_evidence(estimator: BaseEstimator, X: ArrayLike, *, target: ArrayLike | None = None) -> _Evidence: ...
def feature_maps(estimator: BaseEstimator, X: ArrayLike, *, layer: int = -1) -> _Floats: ...
def misclassified(y_true: _Labels, y_pred: _Labels, *, classes: ArrayLike | None = None) -> _Mistakes: ...
def occlusion(
    estimator: BaseEstimator,
    X: ArrayLike,
    *,
    target: ArrayLike | None = None,
    patch_size: int | _Pair = 4,
    stride: int | _Pair = 1,
    baseline: float = 0,
) -> _Floats: ...

# What displays of several axes have in common; arrays are of matplotlib's artists, None where there is none.
# `figure_` is a SubFigure if axes of one were given: said here only, as it could not be saved without a check then.
@type_check_only
class _Grid:
    figure_: Figure
    bounding_ax_: Axes | None
    axes_: NDArray[np.object_]
    im_: NDArray[np.object_]
    line_: NDArray[np.object_]

@type_check_only
class _ColoredGrid(_Grid):
    colorbar_: Colorbar | None
    def plot(
        self,
        ax: _Axes = None,
        *,
        n_cols: int = 8,
        cmap: _Cmap = "RdBu_r",
        colorbar: bool = True,
        im_kw: _Keywords = None,
        curve_kwargs: _Keywords = None,
    ) -> Self: ...

class ClassEvidenceDisplay(_ColoredGrid):
    evidence: _Floats
    offset: _Floats
    target: NDArray[Any]
    images: NDArray[Any]
    extent: _Extent
    def __init__(
        self, evidence: _Floats, offset: _Floats, target: NDArray[Any], images: NDArray[Any], extent: _Extent
    ) -> None: ...
    @classmethod
    def from_estimator(
        cls,
        estimator: BaseEstimator,
        X: ArrayLike,
        *,
        target: ArrayLike | None = None,
        ax: _Axes = None,
        n_cols: int = 8,
        cmap: _Cmap = "RdBu_r",
        colorbar: bool = True,
        im_kw: _Keywords = None,
        curve_kwargs: _Keywords = None,
    ) -> Self: ...

class FeatureMapsDisplay(_ColoredGrid):
    maps: _Floats
    images: NDArray[Any]
    layer: int
    def __init__(self, maps: _Floats, images: NDArray[Any], *, layer: int = 0) -> None: ...
    @classmethod
    def from_estimator(
        cls,
        estimator: BaseEstimator,
        X: ArrayLike,
        *,
        layer: int = -1,
        ax: _Axes = None,
        n_cols: int = 8,
        cmap: _Cmap | None = None,
        colorbar: bool = True,
        im_kw: _Keywords = None,
        curve_kwargs: _Keywords = None,
    ) -> Self: ...
    def plot(
        self,
        ax: _Axes = None,
        *,
        n_cols: int = 8,
        cmap: _Cmap | None = None,
        colorbar: bool = True,
        im_kw: _Keywords = None,
        curve_kwargs: _Keywords = None,
    ) -> Self: ...

class FiltersDisplay(_ColoredGrid):
    filters: _Floats
    layer: int
    def __init__(self, filters: _Floats, *, layer: int = 0) -> None: ...
    @classmethod
    def from_estimator(
        cls,
        estimator: BaseEstimator,
        *,
        layer: int = 0,
        ax: _Axes = None,
        n_cols: int = 8,
        cmap: _Cmap = "RdBu_r",
        colorbar: bool = True,
        im_kw: _Keywords = None,
        curve_kwargs: _Keywords = None,
    ) -> Self: ...

class OcclusionDisplay(_ColoredGrid):
    drops: _Floats
    target: NDArray[Any]
    images: NDArray[Any]
    extent: _Extent
    def __init__(self, drops: _Floats, target: NDArray[Any], images: NDArray[Any], extent: _Extent) -> None: ...
    @classmethod
    def from_estimator(
        cls,
        estimator: BaseEstimator,
        X: ArrayLike,
        *,
        target: ArrayLike | None = None,
        patch_size: int | _Pair = 4,
        stride: int | _Pair = 1,
        baseline: float = 0,
        ax: _Axes = None,
        n_cols: int = 8,
        cmap: _Cmap = "RdBu_r",
        colorbar: bool = True,
        im_kw: _Keywords = None,
        curve_kwargs: _Keywords = None,
    ) -> Self: ...

class LossCurveDisplay:
    loss_curve: _Curve
    validation_loss_curve: _Curve | None
    validation_scores: _Curve | None
    name: str | None
    ax_: Axes
    figure_: Figure
    line_: Line2D
    validation_line_: Line2D | None
    best_line_: Line2D | None
    def __init__(
        self,
        loss_curve: _Curve,
        *,
        validation_loss_curve: _Curve | None = None,
        validation_scores: _Curve | None = None,
        name: str | None = None,
    ) -> None: ...
    @classmethod
    def from_estimator(
        cls,
        estimator: BaseEstimator,
        *,
        name: str | None = None,
        ax: Axes | None = None,
        curve_kwargs: _Keywords | list[dict[str, Any]] = None,
    ) -> Self: ...
    def plot(
        self, ax: Axes | None = None, *, name: str | None = None, curve_kwargs: _Keywords | list[dict[str, Any]] = None
    ) -> Self: ...

class MisclassifiedDisplay(_Grid):
    images: NDArray[Any]
    y_true: NDArray[Any]
    y_pred: NDArray[Any]
    indices: NDArray[np.intp] | None
    confidence: _Floats | None
    n_mistakes: int | None
    n_samples: int | None
    text_: NDArray[np.object_]
    def __init__(
        self,
        images: NDArray[Any],
        y_true: NDArray[Any],
        y_pred: NDArray[Any],
        *,
        indices: NDArray[np.intp] | None = None,
        confidence: _Floats | None = None,
        n_mistakes: int | None = None,
        n_samples: int | None = None,
    ) -> None: ...
    @classmethod
    def from_estimator(
        cls,
        estimator: BaseEstimator,
        X: ArrayLike,
        y: _Labels,
        *,
        image_shape: tuple[int, ...] | list[int] | None = None,
        n_images: int = 25,
        ax: _Axes = None,
        n_cols: int = 5,
        im_kw: _Keywords = None,
        curve_kwargs: _Keywords = None,
        text_kw: _Keywords = None,
    ) -> Self: ...
    @classmethod
    def from_predictions(
        cls,
        y_true: _Labels,
        y_pred: _Labels,
        X: ArrayLike,
        *,
        classes: ArrayLike | None = None,
        image_shape: tuple[int, ...] | list[int] | None = None,
        n_images: int = 25,
        ax: _Axes = None,
        n_cols: int = 5,
        im_kw: _Keywords = None,
        curve_kwargs: _Keywords = None,
        text_kw: _Keywords = None,
    ) -> Self: ...
    def plot(
        self,
        ax: _Axes = None,
        *,
        n_cols: int = 5,
        im_kw: _Keywords = None,
        curve_kwargs: _Keywords = None,
        text_kw: _Keywords = None,
    ) -> Self: ...
