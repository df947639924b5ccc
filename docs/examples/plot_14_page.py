"""
A page to draw on
=================

:func:`~skcnn.export.to_html` writes a fitted network as one web page.
One draws a digit, and sees at every stroke the probabilities and the
feature maps of each layer. The page computes the network itself and
needs no server. It is shown below.
"""

# %%
# A network for digits that people draw
# -------------------------------------
# Drawn digits are never quite in the middle, so the network learns from
# shifted copies of the images.

from html import escape
from pathlib import Path
from tempfile import TemporaryDirectory

import matplotlib.pyplot as plt

from skcnn import ConvSigmoidClassifier
from skcnn.datasets import load_mnist_sample
from skcnn.export import to_html

X, y = load_mnist_sample(return_X_y=True)
clf = ConvSigmoidClassifier(
    (16, 32),
    random_shift=2,
    learning_rate="cosine",
    max_iter=40,
    random_state=0,
)
clf.fit(X[:900], y[:900])
print(f"test accuracy: {clf.score(X[900:], y[900:]):.2f}")

# %%
# It is as good at drawn digits as these are like the ones that it has
# learnt: centred, some 20 pixels high, with strokes of 2 to 3 pixels.

fig, axes = plt.subplots(4, 8, figsize=(6.4, 3.3), layout="compressed")
for ax, image in zip(axes.flat, X, strict=False):
    ax.imshow(image.reshape(28, 28), cmap="gray")
    ax.set_axis_off()
fig.suptitle("Some of the training images")
plt.show()

# %%
# Write the page
# --------------
# ``images`` are some to choose from, and tell the page how bright the
# pen is. The file contains them.

with TemporaryDirectory() as folder:
    path = Path(folder, "digits.html")
    to_html(clf, path, images=X[900:920], labels=y[900:920])
    page = path.read_text(encoding="utf-8")
print(f"{len(page) / 1000:.0f} kB")

# %%
# The page
# --------
# The file is there to be opened in a browser. Here the page is in a
# frame; scroll down in it to see the feature maps and the filters.


class Frame:
    def _repr_html_(self):
        title = "A page to draw digits on"
        style = "width: 100%; height: 720px; border: 1px solid #ccc"
        options = f'title="{title}" style="{style}"'
        return f'<iframe srcdoc="{escape(page)}" {options}></iframe>'


Frame()

# %%
# :doc:`/guide/export` describes what the page shows and what it can be
# told.
