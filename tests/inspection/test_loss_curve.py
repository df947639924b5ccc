"""The display of loss curves."""

import pytest
from numpy.testing import assert_array_equal
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline

from skcnn import ConvSigmoidClassifier, extras
from skcnn.inspection import FiltersDisplay, LossCurveDisplay


@pytest.fixture
def validated(quick, digits):
    X, y = digits
    return quick().fit(X[:200], y[:200], X_val=X[200:], y_val=y[200:])


def test_training_only(fitted):
    display = LossCurveDisplay.from_estimator(fitted)
    assert_array_equal(display.line_.get_xdata(), [1, 2, 3, 4, 5])
    assert_array_equal(display.line_.get_ydata(), fitted.loss_curve_)
    assert display.validation_line_ is display.best_line_ is None
    assert display.figure_ is display.ax_.figure
    assert display.line_.get_label() == "ConvSigmoidClassifier, training"
    assert display.ax_.get_xlabel() == "Epoch"
    assert display.plot() is display


def test_validation(validated):
    display = LossCurveDisplay.from_estimator(make_pipeline(validated), name="net")
    assert_array_equal(display.validation_line_.get_ydata(), validated.validation_loss_curve_)
    assert display.validation_line_.get_color() == display.line_.get_color()
    best = validated.best_validation_score_
    epoch = validated.validation_scores_.index(best) + 1
    assert_array_equal(display.best_line_.get_xdata(), [epoch, epoch])
    labels = [text.get_text() for text in display.ax_.get_legend().get_texts()]
    assert labels == ["net, training", "net, validation", f"net, best score {best:.3f}, epoch {epoch}"]


def test_several_on_the_same_axes(pyplot, fitted, validated):
    _, ax = pyplot.subplots()
    first = LossCurveDisplay.from_estimator(fitted, ax=ax)
    second = LossCurveDisplay.from_estimator(validated, ax=first.ax_, name="validated")
    assert second.ax_ is ax
    assert first.line_.get_color() != second.line_.get_color()


def test_styles(validated):
    display = LossCurveDisplay.from_estimator(validated, curve_kwargs={"c": "red", "lw": 3})
    assert [line.get_color() for line in (display.line_, display.validation_line_)] == ["red", "red"]
    display.plot(name="other", curve_kwargs=[{"color": "red"}, {"color": "blue", "label": "held out"}])
    assert display.validation_line_.get_color() == "blue"
    assert display.validation_line_.get_label() == "held out"
    assert display.line_.get_label() == "other, training"
    with pytest.raises(ValueError, match="curve_kwargs must be None, a dict or a list of 2"):
        display.plot(curve_kwargs=[{}])


@pytest.mark.filterwarnings("ignore:Stochastic Optimizer:sklearn.exceptions.ConvergenceWarning")
def test_a_perceptron(digits):
    mlp = MLPClassifier(5, max_iter=4, early_stopping=True, random_state=0).fit(*digits)
    display = LossCurveDisplay.from_estimator(mlp)
    assert_array_equal(display.line_.get_ydata(), mlp.loss_curve_)
    assert display.validation_line_ is None
    assert display.best_line_.get_label().startswith(f"MLPClassifier, best score {mlp.best_validation_score_:.3f}")


def test_errors(digits):
    with pytest.raises(NotFittedError):
        LossCurveDisplay.from_estimator(ConvSigmoidClassifier())
    with pytest.raises(TypeError, match="must have a loss_curve_, as ConvSigmoidClassifier has; got Logistic"):
        LossCurveDisplay.from_estimator(LogisticRegression(max_iter=1000).fit(*digits))


def test_without_a_name():
    display = LossCurveDisplay([3.0, 2.0], validation_loss_curve=[3.5, 3.0]).plot()
    assert display.line_.get_label() == "Training"
    assert display.validation_line_.get_label() == "Validation"


def test_nothing_to_draw_and_one_epoch(digits):
    clf = ConvSigmoidClassifier(2, random_state=0).partial_fit(*digits, classes=range(10))
    assert LossCurveDisplay.from_estimator(clf).line_.get_marker() == "o"
    clf.loss_curve_ = []
    with pytest.raises(ValueError, match="empty loss_curve_"):
        LossCurveDisplay.from_estimator(clf)


@pytest.mark.parametrize("display", [LossCurveDisplay, FiltersDisplay])
def test_without_matplotlib(monkeypatch, fitted, display):
    def find_nothing(module):
        raise ModuleNotFoundError(name=module.partition(".")[0])

    monkeypatch.setattr(extras, "import_module", find_nothing)
    with pytest.raises(ImportError, match=r"this needs matplotlib: pip install 'skcnn\[plot\]'"):
        display.from_estimator(fitted)


def test_an_extra_package_without_its_own_dependency(monkeypatch, fitted):
    """Its error says more than that the package is missing, which it is not."""

    def lack_pillow(module):
        raise ModuleNotFoundError("No module named 'PIL'", name="PIL")

    monkeypatch.setattr(extras, "import_module", lack_pillow)
    with pytest.raises(ModuleNotFoundError, match="No module named 'PIL'"):
        FiltersDisplay.from_estimator(fitted)
