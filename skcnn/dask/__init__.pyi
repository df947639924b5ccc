from collections.abc import Mapping, Sequence
from typing import Any, Literal, NoReturn, Self, overload

import numpy as np

from skcnn.classifier import ConvSigmoidClassifier, _Float, _Int, _Pair, _Sizes

__all__ = ["DaskConvSigmoidClassifier", "shuffle"]

# Collections and clients of Dask are Any, and so is what comes of them: dask arrays for these, arrays for arrays, and
# awaitables with an asynchronous client.
class DaskConvSigmoidClassifier(ConvSigmoidClassifier):
    n_replicas: _Int | Literal["auto"]
    rounds_per_epoch: _Int
    persist: bool
    @property
    def client(self) -> Any: ...
    @client.setter
    def client(self, client: Any) -> None: ...
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
        n_replicas: _Int | Literal["auto"] = "auto",
        rounds_per_epoch: _Int = 4,
        persist: bool = True,
        client: Any = None,
    ) -> None: ...

    # ---- fitted attributes ----

    n_replicas_: int

    # ---- methods ----

    def fit(
        self,
        X: Any,
        y: Any,
        sample_weight: Any = None,
        *,
        X_val: Any = None,
        y_val: Any = None,
        sample_weight_val: Any = None,
    ) -> Self: ...
    def partial_fit(self) -> NoReturn: ...  # type: ignore[override]  # a fit with warm_start=True takes its place
    def to_local(self) -> ConvSigmoidClassifier: ...
    def decision_function(self, X: Any) -> Any: ...
    def predict(self, X: Any) -> Any: ...
    def predict_log_proba(self, X: Any) -> Any: ...
    def predict_proba(self, X: Any) -> Any: ...
    def transform(self, X: Any) -> Any: ...
    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float: ...
    def set_partial_fit_request(self) -> Self: ...  # type: ignore[override]

@overload
def shuffle(
    X: Any, y: Any, sample_weight: None = None, *, random_state: _Int | np.random.RandomState | None = None
) -> tuple[Any, Any]: ...
@overload
def shuffle(
    X: Any, y: Any, sample_weight: Any, *, random_state: _Int | np.random.RandomState | None = None
) -> tuple[Any, Any, Any]: ...
