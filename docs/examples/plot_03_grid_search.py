"""
Tune a network with GridSearchCV
================================

The hyper-parameters of :class:`~skcnn.ConvSigmoidClassifier` are
searched like those of any other classifier: in a
:class:`~sklearn.pipeline.Pipeline`, with
:class:`~sklearn.model_selection.GridSearchCV`. A large ``tol`` makes
the search quick, and the best network is then fitted to the end.
"""

# %%
# A pipeline and a grid
# ---------------------
# The network does not need the scaler. It stands for any step of a
# pipeline. ``tol=0.1`` ends a fit once the loss has not improved by
# that much for some epochs.

import matplotlib.pyplot as plt
import numpy as np
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.model_selection import GridSearchCV, train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler

from skcnn import ConvSigmoidClassifier

X, y = load_digits(return_X_y=True)
X_train, X_test, y_train, y_test = train_test_split(
    X, y, stratify=y, random_state=0
)

pipeline = make_pipeline(
    MinMaxScaler(), ConvSigmoidClassifier(tol=0.1, random_state=0)
)
grid = {
    "convsigmoidclassifier__kernel_size": [2, 3, 4, 5],
    "convsigmoidclassifier__n_filters": [4, 8, 16, 32],
}
search = GridSearchCV(pipeline, grid, cv=3).fit(X_train, y_train)

# %%
# The scores
# ----------
# The 16 candidates were each fitted to three folds. ``n_jobs=-1`` would
# fit several at a time.

sizes, numbers = grid.values()


def draw_heat_map(ax, key, title, digits, cmap):
    values = search.cv_results_[key].reshape(len(sizes), len(numbers))
    im = ax.imshow(values, cmap=cmap)
    for (i, j), value in np.ndenumerate(values):
        # White on dark colours, black on light ones.
        light = sum(im.cmap(im.norm(value))[:3]) > 1.5
        color = "black" if light else "white"
        text = f"{value:.{digits}f}"
        ax.text(j, i, text, ha="center", va="center", color=color)
    ax.set(title=title, xlabel="n_filters", ylabel="kernel_size")
    ax.set_xticks(range(len(numbers)), numbers)
    ax.set_yticks(range(len(sizes)), sizes)


fig, (left, right) = plt.subplots(
    1, 2, figsize=(7.2, 3.6), layout="constrained"
)
draw_heat_map(left, "mean_test_score", "accuracy", 3, "viridis")
draw_heat_map(right, "mean_fit_time", "seconds a fit", 2, "viridis_r")
plt.show()

# %%
# More filters do better and take longer. A ``kernel_size`` of 3 does
# best on these small images. With 2 and 4, what the filters return has
# an odd side, 7 or 5, and the pools of 2 x 2 drop its last row and
# column.

std = search.cv_results_["std_test_score"][search.best_index_]
for name, value in search.best_params_.items():
    print(f"{name} = {value}")
print(f"accuracy {search.best_score_:.3f}, over the folds ± {std:.3f}")

# %%
# The best network, fitted to the end
# -----------------------------------
# ``tol`` goes back to its default, and the test set is used for the
# first time.

final = clone(search.best_estimator_)
final.set_params(convsigmoidclassifier__tol=1e-3).fit(X_train, y_train)
print("test accuracy")
print(f"tol=0.1    {search.score(X_test, y_test):.3f}")
print(f"tol=0.001  {final.score(X_test, y_test):.3f}")

# %%
# A search over depths takes a list of grids, because ``kernel_size``
# and ``pool_size`` may have one entry for each layer: see
# :doc:`/guide/networks`.
