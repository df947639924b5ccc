"""
Early stopping and callbacks
============================

When some training labels are wrong, a network learns them by heart in
the end, and its predictions get worse. This example watches that on a
validation set, and ends training in time: by ``early_stopping``, which
goes by accuracy, and by a callback of one's own, which goes by the
loss. Callbacks need scikit-learn 1.9 or later.
"""

# %%
# Digits with wrong labels
# ------------------------
# 30 % of the training labels are replaced by random digits. The labels
# of the validation and test sets are right.

import matplotlib.pyplot as plt
import numpy as np
from sklearn.base import clone
from sklearn.callback import ScoringMonitor
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from skcnn import ConvSigmoidClassifier
from skcnn.inspection import LossCurveDisplay

X, y = load_digits(return_X_y=True)
X_train, X_rest, y_train, y_rest = train_test_split(
    X, y, train_size=900, stratify=y, random_state=0
)
X_val, X_test, y_val, y_test = train_test_split(
    X_rest, y_rest, train_size=400, stratify=y_rest, random_state=0
)

rng = np.random.default_rng(0)
replaced = rng.uniform(size=900) < 0.3
labels = np.where(replaced, rng.integers(10, size=900), y_train)
validation = {"X_val": X_val, "y_val": y_val}

# %%
# Train to the end, and watch
# ---------------------------
# A validation set that is passed to ``fit`` is scored after each epoch.
# By itself it changes nothing. A
# :class:`~sklearn.callback.ScoringMonitor` scores each epoch on the
# training set, wrong labels included.

monitor = ScoringMonitor(scoring="accuracy")
clf = ConvSigmoidClassifier(
    rescale=1 / 16, max_iter=1000, tol=0.01, random_state=0
)
to_the_end = clone(clf).set_callbacks(monitor)
to_the_end.fit(X_train, labels, **validation)

logs = monitor.get_logs().data
epochs = [row for row in logs if row["task_name"] == "epoch"]
training_scores = [epoch["accuracy"] for epoch in epochs]
validation_scores = to_the_end.validation_scores_
numbers = np.arange(1, to_the_end.n_iter_ + 1)

fig, (top, bottom) = plt.subplots(
    2, 1, figsize=(6.4, 5.6), layout="constrained", sharex=True
)
LossCurveDisplay.from_estimator(to_the_end, name="network", ax=top)
top.set(xlabel="", ylim=(0, None))
bottom.plot(numbers, training_scores, "C0", label="training")
bottom.plot(numbers, validation_scores, "C0--", label="validation")
right = np.mean(labels == y_train)
bottom.axhline(right, color="gray", label="right training labels")
bottom.set(xlabel="Epoch", ylabel="Accuracy", ylim=(0, 1))
bottom.legend()
plt.show()

# %%
# The training accuracy rises above the share of labels that are right:
# wrong ones are being learnt. Meanwhile the validation accuracy falls,
# and the validation loss rises.
#
# Early stopping
# --------------
# With ``early_stopping=True`` the accuracy on the validation set
# decides: training ends once it has not improved for some epochs, and
# the parameters of the best epoch are kept. Without a set of one's own,
# ``fit`` would hold out a part of the training set, with its wrong
# labels.

early = clone(clf).set_params(early_stopping=True)

# %%
# A callback of one's own
# -----------------------
# A callback has four methods. The last one is called after each epoch,
# and once more for the whole fit. Training ends when it returns true.
# This one goes by the validation loss.


class StopOnValidationLoss:
    def __init__(self, patience=5):
        self.patience = patience

    def setup(self, estimator, context):
        pass

    teardown = on_fit_task_begin = setup

    def on_fit_task_end(self, estimator, context, *, fitted_estimator):
        if context.task_name != "epoch":
            return False
        losses = fitted_estimator.validation_loss_curve_
        return len(losses) - 1 - np.argmin(losses) >= self.patience


by_loss = clone(clf).set_callbacks(StopOnValidationLoss())

# %%
# What helps?
# -----------
# Two ways to stop in time, and a larger L2 penalty, ``alpha``, which
# needs no validation set while it trains.

penalised = clone(clf).set_params(alpha=0.01)
for other in (early, by_loss, penalised):
    other.fit(X_train, labels, **validation)

results = {
    "to the end": to_the_end,
    "early_stopping": early,
    "by validation loss": by_loss,
    "alpha=0.01": penalised,
}
print("                    epochs  test accuracy")
for name, fitted in results.items():
    score = fitted.score(X_test, y_test)
    print(f"{name:18s} {fitted.n_iter_:7d} {score:14.3f}")

fig, ax = plt.subplots(figsize=(6.4, 3.4), layout="constrained")
curves = {"default penalty": to_the_end, "alpha=0.01": penalised}
ends = {"early_stopping ends": early, "callback ends": by_loss}
for name, fitted in curves.items():
    losses = fitted.validation_loss_curve_
    ax.plot(np.arange(1, len(losses) + 1), losses, label=name)
for name, fitted in ends.items():
    losses = fitted.validation_loss_curve_
    ax.plot(len(losses), losses[-1], "o", label=name)
ax.set(xlabel="Epoch", ylabel="Validation loss", ylim=(0, None))
ax.legend()
plt.show()

# %%
# Stopping in time gives most of the accuracy back. So does the stronger
# penalty, with which the loss hardly rises. ``early_stopping`` keeps
# the parameters of its best epoch; the callback only ends training, so
# its network is that of the last epoch. :doc:`/guide/training` has
# means over ten seeds.
