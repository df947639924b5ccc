"""Support of scikit-learn's callbacks (1.9 or later), with a task for each epoch."""

from skcnn.training import Observer

try:
    from sklearn.callback import CallbackSupportMixin, with_callbacks
except ImportError:
    CallbackSupportMixin = None

    class CallbackSupport:
        """An empty mixin, as this scikit-learn has no callbacks."""

    def with_callbacks(method):
        return method

else:
    CallbackSupport = CallbackSupportMixin


class EpochCallbacks(Observer):
    """Reports a fit and each of its epochs to an estimator's callbacks.

    Parameters
    ----------
    estimator : ConvSigmoidClassifier
        With checked hyper-parameters.
    max_iter : int
        Largest number of epochs.
    """

    def __init__(self, estimator, max_iter):
        self.estimator = estimator
        self.fit_task = estimator._init_callback_context(max_subtasks=max_iter)

    @classmethod
    def of(cls, estimator, max_iter):
        """An instance, or None without callbacks to report to.

        scikit-learn keeps what it knows of a fit in the estimator, where fits in several threads would meet.
        """
        called = any(hasattr(estimator, name) for name in ("_skl_callbacks", "_parent_callback_ctx"))
        return cls(estimator, max_iter) if CallbackSupportMixin is not None and called else None

    def begin_fit(self, X, y, sample_weight, attributes):
        """Begin the fit and return the observer; `attributes(state)` are the fitted ones if training ended there."""
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
        """End the fit, once the estimator is fitted."""
        self.fit_task.call_on_fit_task_end(**self.shown, reconstruction_attributes={})
