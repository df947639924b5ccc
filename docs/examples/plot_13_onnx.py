"""
Export to ONNX
==============

A fitted network is written to an ONNX file and run by `onnxruntime
<https://onnxruntime.ai>`_, which needs neither skcnn nor scikit-learn.
The example checks that labels and probabilities are the same, for the
network alone and for a whole pipeline. It needs ``pip install
"skcnn[onnx]" onnxruntime``.
"""

# %%
# A network and its file
# ----------------------

from pathlib import Path
from tempfile import TemporaryDirectory

import matplotlib.pyplot as plt
import numpy as np
import onnxruntime
import skl2onnx
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler

from skcnn import ConvSigmoidClassifier
from skcnn.datasets import load_mnist_sample
from skcnn.export import to_onnx

X, y = load_mnist_sample(return_X_y=True)
X_test, y_test = X[900:], y[900:]
clf = ConvSigmoidClassifier(
    (16, 32), learning_rate="cosine", max_iter=20, random_state=0
).fit(X[:900], y[:900])

with TemporaryDirectory() as folder:
    path = Path(folder, "digits.onnx")
    path.write_bytes(to_onnx(clf, dtype="uint8").SerializeToString())
    print(f"{path.stat().st_size / 1000:.0f} kB")
    session = onnxruntime.InferenceSession(path)

# %%
# The file takes rows of pixels as they were in ``fit``, here bytes, and
# returns labels and probabilities.

for value in [*session.get_inputs(), *session.get_outputs()]:
    print(value.name, value.shape, value.type)

# %%
# The same predictions
# --------------------

label, probabilities = session.run(None, {"X": X_test})
expected = clf.predict_proba(X_test)
differences = probabilities - expected
print("same labels:", np.array_equal(label, clf.predict(X_test)))
print(f"largest difference: {np.abs(differences).max():.0e}")

# %%
# What is left is rounding: both compute in float32, in another order.

fig, (left, right) = plt.subplots(
    1, 2, figsize=(7.2, 3.6), layout="constrained"
)
left.loglog(expected.ravel(), probabilities.ravel(), ".", markersize=4)
left.axline((1e-8, 1e-8), (1, 1), color="gray", linewidth=1, zorder=0)
ticks = [1e-24, 1e-16, 1e-8, 1]
left.set(
    xlabel="predict_proba",
    ylabel="onnxruntime",
    title="Probabilities",
    xticks=ticks,
    yticks=ticks,
)
right.hist(differences.ravel(), bins=30, log=True)
right.set(xlabel="difference", title="Their differences")
plt.show()

# %%
# Some test images with the labels and probabilities of onnxruntime:

fig, axes = plt.subplots(2, 6, figsize=(7.2, 3), layout="constrained")
for ax, image, name, row in zip(
    axes.flat, X_test, label, probabilities, strict=False
):
    ax.imshow(image.reshape(28, 28), cmap="gray")
    ax.set_title(f"{name} ({row.max():.2f})", fontsize="medium")
    ax.set_axis_off()
plt.show()

# %%
# A pipeline
# ----------
# skl2onnx converts pipelines, and asks the classifier in them for its
# part. It takes the type of the input from the X that it is given. That
# must be float32, because onnxruntime has no convolution of float64.

X = X.astype(np.float32)
X_test, y = X[900:], y.astype(int)
pipeline = make_pipeline(MinMaxScaler(), clf).fit(X[:900], y[:900])
onnx_model = skl2onnx.to_onnx(pipeline, X[:1])

session = onnxruntime.InferenceSession(onnx_model.SerializeToString())
label, probabilities = session.run(None, {"X": X_test})
differences = probabilities - pipeline.predict_proba(X_test)
print("same labels:", np.array_equal(label, pipeline.predict(X_test)))
print(f"largest difference: {np.abs(differences).max():.0e}")

# %%
# :doc:`/guide/export` has more: ensembles, labels, versions, and how to
# go on in Keras or PyTorch.
