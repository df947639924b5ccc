"""
Where the evidence is
=====================

Why does the network take an image for a 7? The output layer is linear
in the last feature maps, so the logit of a class is a sum over their
positions. :class:`~skcnn.inspection.ClassEvidenceDisplay` draws the
terms of this sum. :class:`~skcnn.inspection.OcclusionDisplay` asks the
same question from outside, by covering parts of the image.
"""

# %%
# A network and some images
# -------------------------

import matplotlib.pyplot as plt
import numpy as np

from skcnn import ConvSigmoidClassifier
from skcnn.datasets import load_mnist_sample
from skcnn.inspection import (
    ClassEvidenceDisplay,
    OcclusionDisplay,
    class_evidence,
)

X, y = load_mnist_sample(return_X_y=True)
X_test, y_test = X[900:], y[900:]
clf = ConvSigmoidClassifier(
    (8, 16), (5, 3), learning_rate="cosine", max_iter=30, random_state=0
)
clf.fit(X[:900], y[:900])
shown = [
    np.flatnonzero(y_test == digit)[0] for digit in (0, 3, 4, 7, 9)
]

# %%
# Evidence for the predicted class
# --------------------------------
# Red positions speak for the class, blue ones against it. The thin
# lines are the outline of the image above.

ClassEvidenceDisplay.from_estimator(clf, X_test[shown])
plt.show()

# %%
# The evidence is exact. With the offset, which is the intercept of the
# class, it sums to the logit that ``decision_function`` returns:

found = class_evidence(clf, X_test[shown])
evidence = found.evidence.sum(axis=(1, 2))
logits = clf.decision_function(X_test[shown])
logits = logits[np.arange(len(shown)), found.target]

print("class  evidence  offset     sum   logit")
sums = evidence + found.offset
for row in zip(
    found.target, evidence, found.offset, sums, logits, strict=True
):
    print("{:5d} {:9.3f} {:7.3f} {:7.3f} {:7.3f}".format(*row))

# %%
# Each value stands at the middle of the pixels that it is made of,
# which are more than it covers: here 12 x 12.
#
# Evidence for another class
# --------------------------
# ``target`` names the class that is asked about, one for all images or
# one for each. What makes this image a 4, and what would make it a 9?

four = X_test[shown[2]]
ClassEvidenceDisplay.from_estimator(clf, [four, four], target=[4, 9])
plt.show()

# %%
# Covering a part
# ---------------
# :class:`~skcnn.inspection.OcclusionDisplay` moves a black patch of 4 x
# 4 pixels over the image, and draws how much the logit falls. Where it
# is red, the logit falls; where it is blue, it rises.

OcclusionDisplay.from_estimator(clf, X_test[shown])
plt.show()

# %%
# The two questions are different ones. Evidence is what a position adds
# to the logit as the image is. Occlusion is the difference to an image
# with a hole, which the network has never seen in training. Evidence
# takes one pass through the network, occlusion one for each position of
# the patch: 625 for each of these images.
