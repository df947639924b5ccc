"""scikit-learn's callbacks: each epoch is a task, after which they may stop the fit."""

import pickle

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_array_equal
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler, StandardScaler

callback = pytest.importorskip("sklearn.callback", reason="scikit-learn has callbacks from 1.9 on")


class Recorder:
    """A user's callback, which records each call and can stop after an epoch."""

    def __init__(self, stop_after=None):
        self.stop_after = stop_after
        self.calls = []
        self.models = []

    def setup(self, estimator, context):
        self.calls.append("setup")

    def teardown(self, estimator, context):
        self.calls.append("teardown")

    def on_fit_task_begin(self, estimator, context):
        self.calls.append(("begin", context.task_name, context.task_id))

    def on_fit_task_end(self, estimator, context, *, X, y, metadata, fitted_estimator):
        self.calls.append(("end", context.task_name, context.task_id))
        self.data = X, y, metadata
        if context.task_name == "epoch":
            self.models.append(fitted_estimator)
        return context.task_name == "epoch" and context.task_id + 1 == self.stop_after


def test_every_epoch_is_a_task(quick, digits):
    X, y = digits
    weights = np.ones(300)
    recorder = Recorder()
    clf = quick(max_iter=3).set_callbacks(recorder).fit(X, y, weights)
    epochs = [(what, "epoch", i) for i in range(3) for what in ("begin", "end")]
    assert recorder.calls == ["setup", ("begin", "fit", 0), *epochs, ("end", "fit", 0), "teardown"]
    assert_array_equal(recorder.data[0], X)
    assert_array_equal(recorder.data[1], y)
    assert recorder.data[2] == {"sample_weight": weights}
    expected = quick(max_iter=3).fit(X, y)
    assert_array_equal(clf._parameters, expected._parameters)
    attributes = ({name for name in vars(model) if not name.startswith("_")} for model in (clf, expected))
    assert next(attributes) == next(attributes)


@pytest.mark.parametrize("parameters", [{}, {"standardize": True}, {"early_stopping": True}], ids=str)
def test_models_are_those_of_a_fit_that_ended_there(quick, digits, parameters):
    X, y = digits
    recorder = Recorder()
    quick(max_iter=4, **parameters).set_callbacks(recorder).fit(X, y)
    for i, model in enumerate(recorder.models, start=1):
        expected = quick(max_iter=4, **parameters).set_params(max_iter=i)
        if i < 4:
            with pytest.warns(ConvergenceWarning):
                expected.fit(X, y)
        else:
            expected.fit(X, y)
        assert_array_equal(model._parameters, expected._parameters)
        assert model.loss_curve_ == expected.loss_curve_


def test_an_early_stop_of_ones_own(quick, digits):
    """A callback's stop is not a failure to converge."""
    clf = quick(max_iter=50, tol=0.0).set_callbacks(Recorder(stop_after=2)).fit(*digits)
    assert clf.n_iter_ == 2


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_an_error_after_the_fit_does_not_take_the_model(quick, digits, error):
    class Failing(Recorder):
        def on_fit_task_end(self, estimator, context):
            if context.task_name == "fit":
                raise error

    clf = quick().set_callbacks(Failing())
    with pytest.raises(error):
        clf.fit(*digits)
    assert_array_equal(clf._parameters, quick().fit(*digits)._parameters)


def test_an_epoch_interrupted_by_a_callback(quick, digits):
    class Interrupting(Recorder):
        def on_fit_task_begin(self, estimator, context):
            if (context.task_name, context.task_id) == ("epoch", 2):
                raise KeyboardInterrupt

    clf = quick().set_callbacks(Interrupting())
    with pytest.warns(UserWarning, match="interrupted"):
        assert clf.fit(*digits).n_iter_ == 2


def test_frames_are_shown_as_frames(quick, digits):
    """Callbacks get data frames as such, so that scorers find the names of the columns."""
    X, y = digits
    frame = pd.DataFrame(X, columns=[f"pixel{i}" for i in range(64)])
    monitor = callback.ScoringMonitor(scoring="accuracy")
    quick().set_callbacks(monitor).fit(frame, y)
    assert len(monitor.get_logs().data) == 6


def test_teardown_after_a_failed_fit(quick, digits):
    X, y = digits
    recorder = Recorder()
    clf = quick(standardize=True, learning_rate_init=1e22, batch_size=300).set_callbacks(recorder)
    with pytest.raises(ValueError, match="Training diverged"):
        clf.fit(X.astype("float32"), y)
    assert recorder.calls[-1] == "teardown"
    assert clf.set_params(learning_rate_init=0.01).fit(X, y).n_iter_ == 5
    assert clone(quick()).get_params() == quick().get_params()


def test_a_progress_bar(quick, digits, capsys):
    quick(max_iter=3).set_callbacks(callback.ProgressBar()).fit(*digits)
    assert "ConvSigmoidClassifier" in capsys.readouterr().out


def test_a_progress_bar_around_a_search(quick, digits, capsys):
    """The callback propagates to the classifier in the pipeline."""
    pipeline = make_pipeline(StandardScaler(), quick(max_iter=3))
    search = GridSearchCV(pipeline, {"convsigmoidclassifier__alpha": [1e-4, 1e-2]}, cv=2)
    search.set_callbacks(callback.ProgressBar(max_propagation_depth=None)).fit(*digits)
    assert "ConvSigmoidClassifier" in capsys.readouterr().out


def test_scores_of_every_epoch_of_a_grid_search(quick, digits):
    X, y = digits
    monitor = callback.ScoringMonitor(scoring="accuracy")
    pipeline = make_pipeline(MinMaxScaler(), quick(max_iter=10, learning_rate_init=0.05).set_callbacks(monitor))
    search = GridSearchCV(pipeline, {"convsigmoidclassifier__alpha": [1e-4, 1e-2]}, cv=2, n_jobs=2)
    search.fit(X, y)
    scores = [row for row in monitor.get_logs().data if row["task_name"] == "epoch"]
    assert len(scores) == (2 * 2 + 1) * 10
    assert max(row["accuracy"] for row in scores) > 0.5
    assert pickle.loads(pickle.dumps(search)).best_score_ == search.best_score_
