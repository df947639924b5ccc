from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, Protocol, Self, TypeAlias, type_check_only

import numpy as np
from numpy.typing import ArrayLike, NDArray

# These have no types: mypy takes them for Any, without an error, as it does in every installed package. That makes it
# silent about attributes that are not below; isinstance and annotations with them are right even so.
from sklearn.base import BaseEstimator, ClassifierMixin, ClassNamePrefixFeaturesOutMixin, TransformerMixin

from skcnn.summary import Summary

# Of float32 or float64, as the model was trained.
_Floats: TypeAlias = NDArray[np.floating[Any]]

# NumPy's scalars are taken too: loops over its arrays have them.
_Int: TypeAlias = int | np.integer[Any]
_Float: TypeAlias = float | np.floating[Any] | np.integer[Any]

# Lists and tuples mean the same; the length of a list is not known to a type checker.
_Pair: TypeAlias = tuple[int, int] | list[int]
_Sizes: TypeAlias = Literal["auto"] | _Int | Sequence[_Int | _Pair]

# Indicators of several labels may be sparse.
@type_check_only
class _Sparse(Protocol):
    def toarray(self) -> Any: ...

_Labels: TypeAlias = ArrayLike | _Sparse

# Of metadata routing: whether a method is to be given an argument, or under which name.
_Request: TypeAlias = bool | str | None

class ConvSigmoidClassifier(ClassNamePrefixFeaturesOutMixin, TransformerMixin, ClassifierMixin, BaseEstimator):
    n_filters: _Int | Sequence[_Int]
    kernel_size: _Sizes
    image_shape: tuple[int, ...] | list[int] | None
    padding: Literal["auto", "valid", "same"]
    pool_size: _Sizes
    activation: Literal["auto", "sigmoid", "tanh", "relu"]
    batch_norm: bool
    global_pool: Literal["average", "max"] | None
    random_shift: _Int | _Pair
    random_flip: bool
    loss: Literal["log_loss", "squared_error"]
    standardize: bool
    fit_intercept: bool
    init: Literal["auto", "glorot_uniform", "he_uniform", "uniform"]
    rescale: _Float | Literal["auto"]
    solver: Literal["adam", "sgd"]
    alpha: _Float
    label_smoothing: _Float
    class_weight: Mapping[Any, _Float] | Literal["balanced"] | None
    batch_size: _Int | Literal["auto"]
    learning_rate: Literal["constant", "cosine", "invscaling", "adaptive"]
    learning_rate_init: _Float
    power_t: _Float
    average: bool | _Int
    max_iter: _Int | Literal["auto"]
    shuffle: bool
    random_state: _Int | np.random.RandomState | None
    tol: _Float
    n_iter_no_change: _Float | Literal["auto"]
    early_stopping: bool
    validation_fraction: _Float
    verbose: bool | _Int
    warm_start: bool
    n_jobs: _Int | None
    momentum: _Float
    nesterovs_momentum: bool
    beta_1: _Float
    beta_2: _Float
    epsilon: _Float

    def __init__(
        self,
        n_filters: _Int | Sequence[_Int] = 16,
        kernel_size: _Sizes = "auto",
        *,
        # Of any length for X.shape[1:], whose length a type checker does not know.
        image_shape: tuple[int, ...] | list[int] | None = None,
        padding: Literal["auto", "valid", "same"] = "auto",
        pool_size: _Sizes = "auto",
        activation: Literal["auto", "sigmoid", "tanh", "relu"] = "auto",
        batch_norm: bool = False,
        global_pool: Literal["average", "max"] | None = None,
        random_shift: _Int | _Pair = 0,
        random_flip: bool = False,
        loss: Literal["log_loss", "squared_error"] = "log_loss",
        standardize: bool = False,
        fit_intercept: bool = True,
        init: Literal["auto", "glorot_uniform", "he_uniform", "uniform"] = "auto",
        rescale: _Float | Literal["auto"] = "auto",
        solver: Literal["adam", "sgd"] = "adam",
        alpha: _Float = 1e-3,
        label_smoothing: _Float = 0.0,
        class_weight: Mapping[Any, _Float] | Literal["balanced"] | None = None,
        batch_size: _Int | Literal["auto"] = "auto",
        learning_rate: Literal["constant", "cosine", "invscaling", "adaptive"] = "constant",
        learning_rate_init: _Float = 5e-3,
        power_t: _Float = 0.5,
        average: bool | _Int = True,
        max_iter: _Int | Literal["auto"] = "auto",
        shuffle: bool = True,
        random_state: _Int | np.random.RandomState | None = None,
        tol: _Float = 1e-3,
        n_iter_no_change: _Float | Literal["auto"] = "auto",  # an int, or infinity, which is a float
        early_stopping: bool = False,
        validation_fraction: _Float = 0.1,
        verbose: bool | _Int = False,
        warm_start: bool = False,
        n_jobs: _Int | None = None,
        momentum: _Float = 0.9,
        nesterovs_momentum: bool = True,
        beta_1: _Float = 0.9,
        beta_2: _Float = 0.99,
        epsilon: _Float = 1e-8,
    ) -> None: ...

    # ---- fitted attributes ----

    n_features_in_: int
    feature_names_in_: NDArray[np.object_]
    n_iter_: int
    t_: int
    learning_rate_: float
    best_loss_: float | None
    loss_curve_: list[float]
    validation_loss_curve_: list[float] | None
    validation_scores_: list[float] | None
    best_validation_score_: float | None
    @property
    def classes_(self) -> NDArray[Any]: ...
    @property
    def image_shape_(self) -> tuple[int, int, int]: ...
    @property
    def kernel_size_(self) -> list[tuple[int, int]]: ...
    @property
    def pool_size_(self) -> list[tuple[int, int]]: ...
    @property
    def padding_(self) -> Literal["valid", "same"]: ...
    @property
    def activation_(self) -> Literal["sigmoid", "tanh", "relu"]: ...
    @property
    def rescale_(self) -> float: ...
    @property
    def coefs_(self) -> list[_Floats]: ...
    @property
    def intercepts_(self) -> list[_Floats]: ...
    @property
    def filters_(self) -> _Floats: ...
    @property
    def n_outputs_(self) -> int: ...
    @property
    def n_layers_(self) -> int: ...
    @property
    def loss_(self) -> float: ...

    # ---- methods ----

    def fit(
        self,
        X: ArrayLike,
        y: _Labels,
        sample_weight: ArrayLike | None = None,
        *,
        X_val: ArrayLike | None = None,
        y_val: _Labels | None = None,
        sample_weight_val: ArrayLike | None = None,
    ) -> Self: ...
    def partial_fit(
        self, X: ArrayLike, y: _Labels, sample_weight: ArrayLike | None = None, classes: ArrayLike | None = None
    ) -> Self: ...
    def decision_function(self, X: ArrayLike) -> _Floats: ...
    def predict(self, X: ArrayLike) -> NDArray[Any]: ...
    def predict_log_proba(self, X: ArrayLike) -> _Floats: ...
    def predict_proba(self, X: ArrayLike) -> _Floats: ...
    def transform(self, X: ArrayLike) -> _Floats: ...  # a data frame after set_output, which no type can say
    def summary(self) -> Summary: ...
    def onnx_converter(self) -> Callable[[Any, Any, Any], None]: ...
    def onnx_shape_calculator(self) -> Callable[[Any], None]: ...

    # ---- scikit-learn's own ----

    def fit_transform(self, X: ArrayLike, y: _Labels = ..., **fit_params: Any) -> _Floats: ...
    def get_feature_names_out(self, input_features: ArrayLike | None = None) -> NDArray[np.object_]: ...
    def get_params(self, deep: bool = True) -> dict[str, Any]: ...
    def set_params(self, **params: Any) -> Self: ...
    def score(self, X: ArrayLike, y: _Labels, sample_weight: ArrayLike | None = None) -> float: ...
    def set_output(self, *, transform: Literal["default", "pandas", "polars"] | None = None) -> Self: ...
    def set_callbacks(self, *callbacks: Any) -> Self: ...  # from scikit-learn 1.9 on
    def set_fit_request(
        self,
        *,
        X_val: _Request = ...,
        sample_weight: _Request = ...,
        sample_weight_val: _Request = ...,
        y_val: _Request = ...,
    ) -> Self: ...
    def set_partial_fit_request(self, *, classes: _Request = ..., sample_weight: _Request = ...) -> Self: ...
    def set_score_request(self, *, sample_weight: _Request = ...) -> Self: ...
    def __sklearn_tags__(self) -> Any: ...
