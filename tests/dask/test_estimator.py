"""The estimator among scikit-learn's: its parameters, its client, copies, and scikit-learn's checks."""

import pickle
import subprocess
import sys
from inspect import Parameter, signature

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.pipeline import make_pipeline

da = pytest.importorskip("dask.array")
distributed = pytest.importorskip("distributed")

from skcnn import ConvSigmoidClassifier  # noqa: E402
from skcnn.dask import DaskConvSigmoidClassifier  # noqa: E402

OWN = {"n_replicas": "auto", "rounds_per_epoch": 4, "persist": True, "client": None}


def test_constructor():
    """The local class's, with its own parameters last."""
    local = list(signature(ConvSigmoidClassifier).parameters.values())
    mine = list(signature(DaskConvSigmoidClassifier).parameters.values())
    assert mine[: len(local)] == local
    assert {one.name: one.default for one in mine[len(local) :]} == OWN
    assert all(one.kind is Parameter.KEYWORD_ONLY for one in mine[len(local) :])
    with pytest.raises(TypeError, match="n_filter"):
        DaskConvSigmoidClassifier(n_filter=3)


@pytest.mark.parametrize("method", ["fit", "predict", "predict_proba", "score", "transform"])
def test_methods_have_the_signatures_of_the_local_class(method):
    assert signature(getattr(DaskConvSigmoidClassifier, method)) == signature(getattr(ConvSigmoidClassifier, method))


def test_there_is_no_partial_fit():
    assert not hasattr(DaskConvSigmoidClassifier(), "partial_fit")
    with pytest.raises(AttributeError) as caught:
        DaskConvSigmoidClassifier().partial_fit(None, None)
    assert "warm_start=True" in str(caught.value.__cause__)


def test_the_client_is_no_parameter():
    client = object()
    clf = DaskConvSigmoidClassifier((3, 4), n_replicas=5, alpha=0.5, client=client)
    assert clf.client is client
    assert "client" not in clf.get_params()
    assert clf.get_params() == ConvSigmoidClassifier((3, 4), alpha=0.5).get_params() | {
        "n_replicas": 5,
        "rounds_per_epoch": 4,
        "persist": True,
    }
    for copy in (clone(clf), pickle.loads(pickle.dumps(clf))):
        assert copy.client is None
        assert copy.get_params() == clf.get_params()
    assert clf.set_params(client=None, alpha=1.0).client is None
    assert clf.alpha == 1.0


def test_without_a_client(digits):
    with pytest.raises(ValueError, match="needs a cluster: start a client"):
        DaskConvSigmoidClassifier().fit(*digits)


def test_a_client_set_later(cluster, digits, chunked):
    clf = DaskConvSigmoidClassifier(3, max_iter=1)
    with distributed.Client(cluster, set_as_default=False) as client:
        clf.client = client
        clf.fit(*chunked[:2])
        assert clf.score(*chunked[:2]) == clf.score(*digits)


def test_fitted_pickles(client, chunked):
    dX, dy, X, _ = chunked
    clf = DaskConvSigmoidClassifier(3, max_iter=1, n_replicas=2, client=client).fit(dX, dy)
    copy = pickle.loads(pickle.dumps(clf))
    assert copy.client is None
    assert clf.client is client
    assert copy.n_replicas_ == 2
    np.testing.assert_array_equal(copy.predict_proba(X), clf.predict_proba(X))


@pytest.mark.parametrize("warm_start", [False, True])
def test_to_local(client, chunked, warm_start):
    """An ordinary classifier that can go on by itself and shares nothing."""
    dX, dy, X, y = chunked
    clf = DaskConvSigmoidClassifier(3, max_iter=1, n_replicas=2, random_state=0, warm_start=warm_start).fit(dX, dy)
    local = clf.to_local()
    assert type(local) is ConvSigmoidClassifier
    assert set(vars(local)) == set(vars(ConvSigmoidClassifier(warm_start=warm_start).fit(X[:50], y[:50])))
    assert local.get_params() == {k: v for k, v in clf.get_params().items() if k not in OWN}
    before = clf.predict_proba(X)
    np.testing.assert_array_equal(local.predict_proba(X), before)
    local.partial_fit(X, y)
    assert not np.array_equal(local.predict_proba(X), before)
    np.testing.assert_array_equal(clf.predict_proba(X), before)


def test_to_local_before_the_fit():
    local = DaskConvSigmoidClassifier(3, alpha=0.5).to_local()
    assert local.get_params() == ConvSigmoidClassifier(3, alpha=0.5).get_params()
    assert not hasattr(local, "classes_")


def test_in_a_pipeline(client, chunked):
    dX, dy, X, _ = chunked
    pipeline = make_pipeline(DaskConvSigmoidClassifier(3, max_iter=1, n_replicas=2, random_state=0)).fit(dX, dy)
    np.testing.assert_array_equal(pipeline.predict(dX).compute(), pipeline.predict(X))


def test_progress(client, chunked, capsys):
    """`verbose` prints epochs as the local class does, and a bar."""
    dX, dy, _, _ = chunked
    DaskConvSigmoidClassifier(3, max_iter=2, n_replicas=2, verbose=True).fit(dX, dy)
    printed = capsys.readouterr()
    assert [line.partition(",")[0] for line in printed.out.splitlines()] == ["Iteration 1", "Iteration 2"]
    assert "epoch 2, round 4 of 4: 100%" in printed.err
    assert "2.00k/2.00k" in printed.err
    assert "images/s" in printed.err


class Recorder:
    """A callback that keeps the model of each epoch and stops after the second."""

    def setup(self, estimator, context):
        self.models = []

    def teardown(self, estimator, context):
        pass

    def on_fit_task_begin(self, estimator, context):
        pass

    def on_fit_task_end(self, estimator, context, *, X, y, metadata, fitted_estimator):
        if context.task_name == "epoch":
            self.models.append(fitted_estimator)
        return len(self.models) == 2


def test_callbacks(client, chunked):
    """They follow the epochs on the client, have the model of each, and can stop the fit."""
    pytest.importorskip("sklearn.callback", reason="scikit-learn has callbacks from 1.9 on")
    dX, dy, X, _ = chunked
    recorder = Recorder()
    clf = DaskConvSigmoidClassifier(3, max_iter=5, n_replicas=2, batch_norm=True, random_state=0)
    clf.set_callbacks(recorder).fit(dX, dy)
    assert clf.n_iter_ == len(recorder.models) == 2
    np.testing.assert_array_equal(recorder.models[1].predict_proba(X), clf.predict_proba(X))
    assert not np.array_equal(recorder.models[0].predict_proba(X), clf.predict_proba(X))


@pytest.mark.parametrize("package", ["dask", "distributed"])
def test_without_dask(package):
    """The extra that installs it is named."""
    code = f"import sys; sys.modules[{package!r}] = None; import skcnn.dask"
    result = subprocess.run([sys.executable, "-P", "-c", code], capture_output=True, text=True, check=False)
    assert f"this needs {package}: pip install 'skcnn[dask]'" in result.stderr
