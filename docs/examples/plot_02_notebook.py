"""
Back-propagation put right
==========================

This package grew out of a notebook that trained a small convolutional
network by hand and never learnt, because its gradients were wrong. Here
the network is written in NumPy, with each of the notebook's mistakes as
a switch. A gradient check finds each of them, which a loss curve does
not. :class:`~skcnn.ConvSigmoidClassifier` then takes the same steps as
the right gradient. :doc:`/internals/notebook` has the mathematics.
"""

# %%
# The network
# -----------
# Is a digit greater than four? The network has three filters of 5 x 5
# pixels, a sigmoid, and one dense unit, whose sums are standardised
# over all 200 images before the last sigmoid. The loss is half the
# squared error. All weights are drawn uniformly from (0, 1), and there
# are no intercepts.

import matplotlib.pyplot as plt
import numpy as np
from sklearn.base import clone

from skcnn import ConvSigmoidClassifier
from skcnn.datasets import load_mnist_sample

digits = load_mnist_sample(as_split=True)
X, y = digits.X_train, digits.y_train > 4

images = X.reshape(-1, 28, 28) / 255
patches = np.lib.stride_tricks.sliding_window_view(
    images, (5, 5), axis=(1, 2)
).reshape(200, 576, 25)


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def forward(filters, weights):
    """Activations, standardised sums, their deviation, and the loss."""
    # Of shape (images, filters, positions).
    a = sigmoid(filters @ patches.transpose(0, 2, 1))
    z = a.reshape(200, 1728) @ weights
    deviation = z.std()
    zhat = (z - z.mean()) / deviation
    return a, zhat, deviation, np.mean((y - sigmoid(zhat)) ** 2 / 2)


# %%
# The gradient, right and wrong
# -----------------------------
# ``mistakes`` says which lines are done as in the notebook. "averages"
# stands for two of its mistakes: errors were averaged over the images
# before they met the pixels, and the pixels were those of the first
# image. The seventh, a learning rate under a name that did not exist,
# is left out.

MISTAKES = {
    "dense": "dense weights not updated",
    "standardisation": "standardisation without derivative",
    "averages": "summed errors times one image's pixels",
    "resize": "filters and positions mixed by resize",
    "one tap": "one value for all taps of a filter",
}


def gradient(filters, weights, mistakes=()):
    """Gradients of the filters and dense weights, and the loss."""
    a, zhat, deviation, loss = forward(filters, weights)
    p = sigmoid(zhat)
    d_zhat = (p - y) * p * (1 - p) / 200
    d_z = d_zhat / deviation
    if "standardisation" not in mistakes:
        shared = d_zhat.mean() + zhat * np.mean(d_zhat * zhat)
        d_z -= shared / deviation
    d_weights = d_z @ a.reshape(200, 1728)
    if "dense" in mistakes:
        d_weights = np.zeros_like(weights)
    d_a = np.outer(d_z, weights).reshape(200, 3, 576)
    if "resize" in mistakes:
        d_a = d_a.reshape(200, 576, 3).transpose(0, 2, 1)
    d_c = d_a * a * (1 - a)
    d_filters = (d_c @ patches).sum(axis=0)
    if "averages" in mistakes:
        d_filters = d_c.sum(axis=0) @ patches[0]
    if "one tap" in mistakes:
        d_filters = np.repeat(d_filters[:, -1:], 25, axis=1)
    return d_filters, d_weights, loss


# %%
# A gradient check
# ----------------
# The initial weights are those of a
# :class:`~skcnn.ConvSigmoidClassifier` with the notebook's choices. One
# call of ``partial_fit`` is one step on all 200 images, here with a
# learning rate of next to nothing.

clf = ConvSigmoidClassifier(
    n_filters=3,
    kernel_size=5,
    pool_size=1,
    init="uniform",
    fit_intercept=False,
    loss="squared_error",
    standardize=True,
    alpha=0,
    batch_size=200,
    solver="sgd",
    momentum=0,
    learning_rate_init=1e-12,
    average=False,
    random_state=0,
)
clf.partial_fit(X / 255, y, classes=[False, True])
filters = clf.coefs_[0].reshape(3, 25).copy()
weights = clf.coefs_[1].ravel().copy()

# %%
# The reference is how much the loss changes when one weight is moved a
# little up and down. It is computed for some taps of the filters and
# some dense weights, and compared with what the formulas say.

theta = np.concatenate([filters.ravel(), weights])
rng = np.random.default_rng(0)
taps = rng.choice(75, 10, replace=False)
dense = 75 + rng.choice(1728, 10, replace=False)


def loss_at(theta):
    return forward(theta[:75].reshape(3, 25), theta[75:])[-1]


reference = np.zeros_like(theta)
for i in (*taps, *dense):
    step = np.zeros_like(theta)
    step[i] = 1e-4
    difference = loss_at(theta + step) - loss_at(theta - step)
    reference[i] = difference / 2e-4


def report(name, d_filters, d_weights):
    d_theta = np.concatenate([d_filters.ravel(), d_weights.ravel()])
    errors = [
        np.linalg.norm((d_theta - reference)[part])
        / np.linalg.norm(reference[part])
        for part in (taps, dense)
    ]
    print("{:40s} {:8.0e} {:8.0e}".format(name, *errors))


print(f"{'relative error of the gradient of':40s}  filters  weights")
report("right", *gradient(filters, weights)[:2])
for name, description in MISTAKES.items():
    report(description, *gradient(filters, weights, [name])[:2])
report("all of these", *gradient(filters, weights, MISTAKES)[:2])

# %%
# Each mistake shows at once. The classifier's own gradient is the
# difference that a step with a learning rate of 1 makes:

clf.set_params(learning_rate_init=1).partial_fit(X / 255, y)
report(
    "skcnn",
    filters - clf.coefs_[0].reshape(3, 25),
    weights - clf.coefs_[1].ravel(),
)

# %%
# The loss curves
# ---------------
# Twenty-five steps of gradient descent on all images. The loss is flat,
# because the sums are standardised, so the learning rate is large.


def descend(mistakes=(), n_steps=25, learning_rate=150):
    f, w, losses = filters.copy(), weights.copy(), []
    for _ in range(n_steps):
        d_filters, d_weights, loss = gradient(f, w, mistakes)
        f -= learning_rate * d_filters
        w -= learning_rate * d_weights
        losses.append(loss)
    return losses


clf = clone(clf).set_params(learning_rate_init=150)
for _ in range(25):
    clf.partial_fit(X / 255, y, classes=[False, True])

fig, ax = plt.subplots(layout="constrained")
ax.plot(descend(MISTAKES), color="black", label="all mistakes")
for i, name in enumerate(MISTAKES, start=1):
    label = f"only “{name}”"
    ax.plot(descend([name]), f"C{i}", linewidth=1, label=label)
ax.plot(descend(), "C0", linewidth=5, alpha=0.4, label="right")
ax.plot(clf.loss_curve_, "C0--", label="skcnn")
ax.set(
    xlabel="step",
    ylabel="loss",
    ylim=(0, None),
    title="Gradient descent with right and wrong gradients",
)
ax.legend(ncols=2, fontsize="small", loc="lower left")
plt.show()

# %%
# With all mistakes together the loss never falls. With a single one it
# falls, if not steadily, because the rest of the gradient is right: a
# loss that falls is no proof of a right gradient. The classifier's
# curve lies on that of the right gradient.
#
# Seventy-five steps later the network has learnt its 200 images, and
# does well on others:

for _ in range(75):
    clf.partial_fit(X / 255, y)
print(f"training accuracy  {clf.score(X / 255, y):.3f}")
X_test, y_test = digits.X_test / 255, digits.y_test > 4
print(f"test accuracy      {clf.score(X_test, y_test):.3f}")
