"""All of the public interface, for type checkers: test_types.py has mypy read it. Nothing here is ever called.

What has to be an error is marked `type: ignore`, which mypy takes for an error of its own where there is none.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal, assert_type

import numpy as np
from numpy.typing import NDArray

import skcnn
from skcnn import ConvSigmoidClassifier, show_versions
from skcnn.dask import DaskConvSigmoidClassifier, shuffle
from skcnn.datasets import Split, load_digits_split, load_keras_mnist, load_mnist_sample, load_npz
from skcnn.export import from_keras, register_onnx_converter, to_html, to_keras, to_onnx, to_torch
from skcnn.inspection import (
    ClassEvidenceDisplay,
    FeatureMapsDisplay,
    FiltersDisplay,
    LossCurveDisplay,
    MisclassifiedDisplay,
    OcclusionDisplay,
    class_evidence,
    feature_maps,
    misclassified,
    occlusion,
)
from skcnn.summary import Summary

Floats = NDArray[np.floating[Any]]


def construct() -> None:
    ConvSigmoidClassifier()
    ConvSigmoidClassifier(
        (16, 32),
        [3, (3, 5)],
        image_shape=(28, 28),
        padding="same",
        pool_size=((2, 2), 1),
        activation="relu",
        batch_norm=True,
        global_pool="average",
        random_shift=(1, 2),
        random_flip=True,
        loss="squared_error",
        standardize=True,
        fit_intercept=False,
        init="he_uniform",
        rescale=1 / 255,
        solver="sgd",
        alpha=np.float32(0),
        label_smoothing=0.1,
        class_weight={"cat": 1.0, "dog": 2},
        batch_size=np.int64(64),
        learning_rate="invscaling",
        learning_rate_init=0.1,
        power_t=0.5,
        average=1000,
        max_iter=10,
        shuffle=False,
        random_state=np.random.RandomState(0),
        tol=0,
        n_iter_no_change=float("inf"),
        early_stopping=True,
        validation_fraction=0.2,
        verbose=True,
        warm_start=True,
        n_jobs=-1,
        momentum=0.9,
        nesterovs_momentum=False,
        beta_1=0.9,
        beta_2=0.999,
        epsilon=1e-7,
    )
    ConvSigmoidClassifier(
        n_filters=[8],
        kernel_size="auto",
        image_shape=np.zeros((10, 28, 28, 1)).shape[1:],
        pool_size="auto",
        global_pool=None,
        random_shift=2,
        rescale="auto",
        class_weight="balanced",
        batch_size="auto",
        average=False,
        max_iter="auto",
        random_state=0,
        n_iter_no_change=5,
        n_jobs=None,
    )


def misconstruct() -> None:
    ConvSigmoidClassifier(n_kernels=16)  # type: ignore[call-arg]
    ConvSigmoidClassifier(n_filters=1.5)  # type: ignore[arg-type]
    ConvSigmoidClassifier(kernel_size="large")  # type: ignore[arg-type]
    ConvSigmoidClassifier(image_shape=28)  # type: ignore[arg-type]
    ConvSigmoidClassifier(padding="full")  # type: ignore[arg-type]
    ConvSigmoidClassifier(pool_size=None)  # type: ignore[arg-type]
    ConvSigmoidClassifier(activation="foo")  # type: ignore[arg-type]
    ConvSigmoidClassifier(global_pool="min")  # type: ignore[arg-type]
    ConvSigmoidClassifier(random_shift=(1, 2, 3))  # type: ignore[arg-type]
    ConvSigmoidClassifier(loss="hinge")  # type: ignore[arg-type]
    ConvSigmoidClassifier(init="zeros")  # type: ignore[arg-type]
    ConvSigmoidClassifier(rescale=None)  # type: ignore[arg-type]
    ConvSigmoidClassifier(solver="lbfgs")  # type: ignore[arg-type]
    ConvSigmoidClassifier(class_weight="auto")  # type: ignore[arg-type]
    ConvSigmoidClassifier(learning_rate=0.1)  # type: ignore[arg-type]
    ConvSigmoidClassifier(random_state=np.random.default_rng(0))  # type: ignore[arg-type]


class Sparse:
    """Stands for SciPy's sparse arrays: an indicator of several labels."""

    def toarray(self) -> NDArray[np.intp]:
        return np.eye(10, dtype=np.intp)


def learn(X: NDArray[np.uint8], y: list[str]) -> None:
    clf = ConvSigmoidClassifier()
    assert_type(clf.fit(X, y), ConvSigmoidClassifier)
    assert_type(clf.fit(X, y, np.ones(10), X_val=X, y_val=y, sample_weight_val=[1.0] * 10), ConvSigmoidClassifier)
    assert_type(clf.partial_fit(X, y, sample_weight=np.ones(10), classes=["cat", "dog"]), ConvSigmoidClassifier)
    clf.fit([[0.0] * 64] * 10, Sparse())
    clf.fit(X)  # type: ignore[call-arg]
    clf.fit(X, y, validation_data=(X, y))  # type: ignore[call-arg]
    assert_type(clf.decision_function(X), Floats)
    assert_type(clf.predict(X), NDArray[Any])
    assert_type(clf.predict_log_proba(X), Floats)
    assert_type(clf.predict_proba(X), Floats)
    assert_type(clf.transform(X), Floats)


def read(clf: ConvSigmoidClassifier) -> None:
    assert_type(clf.classes_, NDArray[Any])
    assert_type(clf.n_features_in_, int)
    assert_type(clf.feature_names_in_, NDArray[np.object_])
    assert_type(clf.image_shape_, tuple[int, int, int])
    assert_type(clf.kernel_size_, list[tuple[int, int]])
    assert_type(clf.pool_size_, list[tuple[int, int]])
    assert_type(clf.padding_, Literal["valid", "same"])
    assert_type(clf.activation_, Literal["sigmoid", "tanh", "relu"])
    assert_type(clf.rescale_, float)
    assert_type(clf.coefs_, list[Floats])
    assert_type(clf.intercepts_, list[Floats])
    assert_type(clf.filters_, Floats)
    assert_type(clf.n_outputs_, int)
    assert_type(clf.n_layers_, int)
    assert_type(clf.n_iter_, int)
    assert_type(clf.t_, int)
    assert_type(clf.learning_rate_, float)
    assert_type(clf.loss_, float)
    assert_type(clf.best_loss_, float | None)
    assert_type(clf.loss_curve_, list[float])
    assert_type(clf.validation_loss_curve_, list[float] | None)
    assert_type(clf.validation_scores_, list[float] | None)
    assert_type(clf.best_validation_score_, float | None)
    assert_type(clf.summary(), Summary)
    assert_type(clf.summary().rows, list[tuple[str, tuple[int, ...], int]])
    assert_type(clf.summary().n_parameters, int)
    assert_type(clf.onnx_converter(), Callable[[Any, Any, Any], None])
    assert_type(clf.onnx_shape_calculator(), Callable[[Any], None])
    clf.classes_ = np.arange(10)  # type: ignore[misc]
    assert_type(clf.batch_size, int | np.integer[Any] | Literal["auto"])
    clf.activation = "tanh"
    clf.activation = "foo"  # type: ignore[assignment]


def use_as_scikit_learn_does(X: NDArray[np.float32], y: NDArray[np.intp]) -> None:
    clf = ConvSigmoidClassifier()
    assert_type(clf.get_params(deep=False), dict[str, Any])
    assert_type(clf.set_params(alpha=0.1), ConvSigmoidClassifier)
    assert_type(clf.score(X, y, sample_weight=np.ones(10)), float)
    assert_type(clf.fit_transform(X, y), Floats)
    assert_type(clf.get_feature_names_out(), NDArray[np.object_])
    assert_type(clf.set_output(transform="pandas"), ConvSigmoidClassifier)
    assert_type(clf.set_callbacks(object()), ConvSigmoidClassifier)
    clf = clf.set_fit_request(X_val=True, y_val=True, sample_weight=None, sample_weight_val="weights")
    clf = clf.set_partial_fit_request(classes=True, sample_weight=False)
    clf = clf.set_score_request(sample_weight=True)


class Mine(ConvSigmoidClassifier):
    """A subclass keeps its type."""


def subclass(X: NDArray[np.float32], y: NDArray[np.intp]) -> Mine:
    return Mine().fit(X, y)


def load() -> None:
    sample = load_mnist_sample()
    assert_type(sample.data, NDArray[np.uint8])
    assert_type(sample.target, NDArray[np.uint8])
    assert_type(sample.images, NDArray[np.uint8])
    assert_type(sample.n_train, int)
    assert_type(sample.DESCR, str)
    assert_type(load_mnist_sample(return_X_y=True), tuple[NDArray[np.uint8], NDArray[np.uint8]])
    assert_type(load_mnist_sample(as_split=True), Split)
    assert_type(load_digits_split(), Split)
    assert_type(load_keras_mnist(), Split)
    assert_type(load_npz("mnist.npz"), Split)
    split = load_npz(Path("mnist.npz"))
    split.rescale = 1.0  # type: ignore[misc]
    Split(split.X_train, split.y_train, split.X_test, split.y_test, image_shape=(28, 28), rescale=split.rescale)
    ConvSigmoidClassifier(image_shape=split.image_shape, rescale=split.rescale).fit(split.X_train, split.y_train)


def look_inside(clf: ConvSigmoidClassifier, X: NDArray[np.uint8], y: NDArray[np.uint8]) -> None:
    found = class_evidence(clf, X, target=7)
    assert_type(found.evidence, NDArray[np.float64])
    assert_type(found.offset, NDArray[np.float64])
    assert_type(found.target, NDArray[Any])
    maps = assert_type(feature_maps(clf, X, layer=0), Floats)
    drops = assert_type(occlusion(clf, X, target=y, patch_size=(3, 5), stride=2, baseline=0.5), Floats)
    mistakes = misclassified(y, clf.predict_proba(X), classes=clf.classes_)
    assert_type(mistakes.indices, NDArray[np.intp])
    assert_type(mistakes.y_pred, NDArray[Any])
    assert_type(mistakes.confidence, Floats | None)
    extent = (-0.5, 27.5, 27.5, -0.5)
    ClassEvidenceDisplay(found.evidence, found.offset, target=found.target, images=X, extent=extent).plot()
    FeatureMapsDisplay(maps, images=X, layer=0).plot(cmap=None)
    FiltersDisplay(filters=clf.coefs_[0], layer=0).plot()
    LossCurveDisplay(
        loss_curve=clf.loss_curve_,
        validation_loss_curve=clf.validation_loss_curve_,
        validation_scores=np.ones(10),
        name="mine",
    ).plot()
    MisclassifiedDisplay(
        X, y_true=y, y_pred=y, indices=mistakes.indices, confidence=mistakes.confidence, n_mistakes=5, n_samples=10
    ).plot()
    OcclusionDisplay(drops=drops, target=y, images=X, extent=extent).plot()


def draw(clf: ConvSigmoidClassifier, X: NDArray[np.uint8], y: NDArray[np.uint8], ax: Any) -> None:
    evidence = ClassEvidenceDisplay.from_estimator(
        clf, X, target=7, ax=ax, n_cols=4, cmap="coolwarm", colorbar=False, im_kw={"alpha": 0.5}, curve_kwargs={"lw": 2}
    )
    assert_type(evidence, ClassEvidenceDisplay)
    assert_type(evidence.plot(ax, n_cols=4), ClassEvidenceDisplay)
    assert_type(evidence.axes_, NDArray[np.object_])
    assert_type(evidence.im_, NDArray[np.object_])
    assert_type(evidence.line_, NDArray[np.object_])
    print(evidence.figure_, evidence.bounding_ax_, evidence.colorbar_)
    maps = FeatureMapsDisplay.from_estimator(clf, X, layer=-1, ax=evidence.axes_)
    assert_type(maps.plot(), FeatureMapsDisplay)
    filters = FiltersDisplay.from_estimator(clf, layer=0, im_kw=None)
    assert_type(filters.plot(), FiltersDisplay)
    loss = LossCurveDisplay.from_estimator(clf, name="mine", ax=None, curve_kwargs=[{"lw": 2}, {"lw": 1}])
    assert_type(loss.plot(loss.ax_, name="again", curve_kwargs={"lw": 1}), LossCurveDisplay)
    print(loss.figure_, loss.line_, loss.validation_line_, loss.best_line_)
    mistakes = MisclassifiedDisplay.from_estimator(clf, X, y, image_shape=(28, 28), n_images=9, text_kw={"color": "r"})
    mistakes = MisclassifiedDisplay.from_predictions(y, clf.predict(X), X, classes=None, image_shape=None, n_images=9)
    assert_type(mistakes.plot(n_cols=3, text_kw=None), MisclassifiedDisplay)
    assert_type(mistakes.text_, NDArray[np.object_])
    covered = OcclusionDisplay.from_estimator(clf, X, target=None, patch_size=4, stride=(2, 2), baseline=0)
    assert_type(covered.plot(), OcclusionDisplay)
    evidence.plot(n_cols="many")  # type: ignore[arg-type]
    feature_maps(clf, X, layer="last")  # type: ignore[arg-type]


def export(clf: ConvSigmoidClassifier, X: NDArray[np.uint8], path: Path) -> None:
    assert_type(to_html(clf, path, images=X, labels=["one", object()]), Path)
    to_onnx(clf)
    to_onnx(clf, dtype="uint8", target_opset=18)
    to_onnx(clf, dtype=np.float64)
    to_onnx(clf, dtype=X.dtype)
    to_onnx(clf, dtype="float16")  # type: ignore[arg-type]
    to_onnx(clf, dtype=np.int64)  # type: ignore[arg-type]
    to_torch(clf)
    to_keras([clf])  # type: ignore[arg-type]
    model = to_keras(clf)
    assert_type(from_keras(model, ["cat", "dog"], multilabel=False), ConvSigmoidClassifier)
    assert_type(from_keras(model=model, classes=None), ConvSigmoidClassifier)
    register_onnx_converter()
    show_versions()
    assert_type(skcnn.__version__, str)


def distribute(X: Any, y: Any, client: Any) -> None:
    clf = DaskConvSigmoidClassifier((16, 32), rescale=1 / 255, n_jobs=2, client=client)
    clf = DaskConvSigmoidClassifier(n_replicas=4, rounds_per_epoch=np.int64(2), persist=False, random_state=0)
    clf = DaskConvSigmoidClassifier(n_replicas="auto", client=None)
    DaskConvSigmoidClassifier(n_replicas="all")  # type: ignore[arg-type]
    DaskConvSigmoidClassifier(n_workers=4)  # type: ignore[call-arg]
    clf.client = client
    assert_type(clf.fit(X, y, X_val=X, y_val=y, sample_weight_val=None), DaskConvSigmoidClassifier)
    assert_type(clf.n_replicas_, int)
    assert_type(clf.client, Any)
    assert_type(clf.persist, bool)
    assert_type(clf.score(X, y), float)
    assert_type(clf.to_local(), ConvSigmoidClassifier)
    print(clf.decision_function(X), clf.predict(X), clf.predict_log_proba(X), clf.predict_proba(X), clf.transform(X))
    clf.partial_fit(X, y)  # type: ignore[call-arg]
    assert_type(shuffle(X, y), tuple[Any, Any])
    assert_type(shuffle(X, y, np.ones(10), random_state=0), tuple[Any, Any, Any])
