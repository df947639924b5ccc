"""Loss curves."""

import numpy as np
from sklearn.utils.validation import check_is_fitted

from skcnn.extras import import_extra
from skcnn.inspection._inputs import unwrap
from skcnn.inspection._plotting import style


class LossCurveDisplay:
    """Display of the training loss after each epoch and, with a validation set, its loss and the best score.

    Use :meth:`from_estimator` to create one. All parameters are stored as attributes.

    Parameters
    ----------
    loss_curve : array-like of shape (n_epochs,)
    validation_loss_curve : array-like of shape (n_epochs,), default=None
    validation_scores : array-like of shape (n_epochs,), default=None
        The epoch of the best score is marked.
    name : str, default=None
        Name of the model for the legend.

    Attributes
    ----------
    ax_ : matplotlib Axes
    figure_ : matplotlib Figure
    line_ : matplotlib Line2D
        The training loss.
    validation_line_, best_line_ : matplotlib Line2D or None
        The validation loss, and a vertical line at the epoch of the best validation score; None without them.

    Examples
    --------
    >>> from skcnn import ConvSigmoidClassifier
    >>> from skcnn.datasets import load_mnist_sample
    >>> from skcnn.inspection import LossCurveDisplay
    >>> X, y = load_mnist_sample(return_X_y=True)
    >>> clf = ConvSigmoidClassifier(learning_rate="cosine", max_iter=20, random_state=0)
    >>> clf = clf.fit(X[:200], y[:200] > 4, X_val=X[200:], y_val=y[200:] > 4)
    >>> display = LossCurveDisplay.from_estimator(clf)
    >>> len(display.loss_curve), len(display.validation_loss_curve)
    (20, 20)
    """

    def __init__(self, loss_curve, *, validation_loss_curve=None, validation_scores=None, name=None):
        self.loss_curve = loss_curve
        self.validation_loss_curve = validation_loss_curve
        self.validation_scores = validation_scores
        self.name = name

    @classmethod
    def from_estimator(cls, estimator, *, name=None, ax=None, curve_kwargs=None):
        """Draw the loss of a fit.

        Parameters
        ----------
        estimator : estimator, Pipeline or search
            Fitted, with a `loss_curve_`: a ConvSigmoidClassifier or MLPClassifier, a Pipeline that ends in one, or a
            search over either.
        name : str, default=None
            Name for the legend; None is the name of the estimator's class.
        ax, curve_kwargs
            See :meth:`plot`.

        Returns
        -------
        display : LossCurveDisplay

        Raises
        ------
        NotFittedError
            If the estimator is not fitted.
        TypeError
            If it has no `loss_curve_`.
        ValueError
            If `loss_curve_` is empty: the estimator comes from `from_keras` and has not been trained since.
        """
        estimator, _ = unwrap(estimator)
        check_is_fitted(estimator)
        if not hasattr(estimator, "loss_curve_"):
            raise TypeError(
                f"estimator must have a loss_curve_, as ConvSigmoidClassifier has; got {type(estimator).__name__}."
            )
        if not len(estimator.loss_curve_):
            raise ValueError("estimator has an empty loss_curve_: it has not been trained, only made of another model.")
        display = cls(
            estimator.loss_curve_,
            validation_loss_curve=getattr(estimator, "validation_loss_curve_", None),
            validation_scores=getattr(estimator, "validation_scores_", None),
            name=type(estimator).__name__ if name is None else name,
        )
        return display.plot(ax, curve_kwargs=curve_kwargs)

    def plot(self, ax=None, *, name=None, curve_kwargs=None):
        """Draw the curves.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            None creates a figure.
        name : str, default=None
            Name for the legend; None is the `name` of the display, if it has one.
        curve_kwargs : dict or list of dict, default=None
            Keyword arguments of `matplotlib.axes.Axes.plot` for both losses, or a list with an entry for the training
            loss and one for the validation loss.

        Returns
        -------
        self : LossCurveDisplay

        Raises
        ------
        ValueError
            If a list of `curve_kwargs` does not have an entry for each curve.
        """
        plt = import_extra("matplotlib.pyplot", "plot")
        from matplotlib.lines import Line2D

        curves = {"training": self.loss_curve, "validation": self.validation_loss_curve}
        curves = {kind: np.asarray(curve, dtype=float) for kind, curve in curves.items() if curve is not None}
        styles = curve_kwargs if isinstance(curve_kwargs, list) else [curve_kwargs] * len(curves)
        if len(styles) != len(curves):
            raise ValueError(f"curve_kwargs must be None, a dict or a list of {len(curves)}; got {curve_kwargs!r}.")
        if ax is None:
            _, ax = plt.subplots()
            ax.xaxis.get_major_locator().set_params(integer=True)
        name = self.name if name is None else name
        color, lines = None, {}
        for (kind, curve), given in zip(curves.items(), styles, strict=True):
            # Both losses have one colour, as several models may share the axes.
            linestyle = "-" if kind == "training" else "--"
            defaults = {"label": f"{name}, {kind}" if name else kind.capitalize(), "linestyle": linestyle}
            if len(curve) == 1:
                defaults["marker"] = "o"
            if color is not None:
                defaults["color"] = color
            (lines[kind],) = ax.plot(np.arange(1, len(curve) + 1), curve, **style(Line2D, defaults, given))
            color = lines["training"].get_color()
        self.line_, self.validation_line_ = lines["training"], lines.get("validation")
        self.best_line_ = None
        if self.validation_scores is not None and len(self.validation_scores):
            best = int(np.argmax(self.validation_scores))
            label = f"best score {self.validation_scores[best]:.3f}, epoch {best + 1}"
            label = f"{name}, {label}" if name else label
            self.best_line_ = ax.axvline(best + 1, color=color, linestyle=":", linewidth=1, label=label)
        ax.set(xlabel="Epoch", ylabel="Loss")
        ax.legend()
        self.ax_, self.figure_ = ax, ax.figure
        return self
