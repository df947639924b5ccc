"""scikit-learn's callbacks, which it has from 1.9 on: every epoch is a task."""

from skcnn.training import Observer

try:
    from sklearn.callback import CallbackSupportMixin, with_callbacks
except ImportError:
    CallbackSupportMixin = None

    class CallbackSupport:
        """Nothing: this scikit-learn has no callbacks."""

    def with_callbacks(method):
        return method

else:
    CallbackSupport = CallbackSupportMixin


class EpochCallbacks(Observer):
    """Tells an estimator's callbacks of a fit and of each of its epochs.

    Parameters
    ----------
    estimator : ConvSigmoidClassifier
        Its hyper-parameters checked.
    max_iter : int
        The most epochs that it will take.
    """

    def __init__(self, estimator, max_iter):
        self.estimator = estimator
        self.fit_task = estimator._init_callback_context(max_subtasks=max_iter)

    @classmethod
    def of(cls, estimator, max_iter):
        """None where scikit-learn has no callbacks."""
        return None if CallbackSupportMixin is None else cls(estimator, max_iter)

    def begin_fit(self, X, y, sample_weight, attributes):
        """The observer of the epochs; `attributes` makes of a state what the estimator would have if they ended."""
        metadata = None if sample_weight is None else {"sample_weight": sample_weight}
        self.shown = {"estimator": self.estimator, "X": X, "y": y, "metadata": metadata}
        self.attributes = attributes
        self.fit_task.call_on_fit_task_begin(**self.shown)
        return self

    def begin(self, state):
        self.epoch_task = self.fit_task.subcontext(task_name="epoch")
        self.epoch_task.call_on_fit_task_begin(**self.shown, reconstruction_attributes=lambda: self.attributes(state))

    def end(self, state):
        return self.epoch_task.call_on_fit_task_end(
            **self.shown, reconstruction_attributes=lambda: self.attributes(state)
        )

    def end_fit(self):
        """With the estimator fitted."""
        self.fit_task.call_on_fit_task_end(**self.shown, reconstruction_attributes={})
