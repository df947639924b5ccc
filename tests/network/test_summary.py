"""The table of a fitted network's layers, by itself and below scikit-learn's diagram of the estimator."""

import re

import numpy as np
import pytest
from sklearn import config_context
from sklearn.exceptions import NotFittedError
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler

from skcnn import ConvSigmoidClassifier
from skcnn.network import Network
from skcnn.pictures import draw_filters
from skcnn.summary import Summary

STACK = {"n_filters": (3, 40), "padding": "same", "pool_size": [(2, 3), 1], "activation": "relu"}
TABLE = """\
layer                       output shape  parameters
--------------------------  ------------  ----------
images                      8 x 8 x 1              0
convolution 1, 3 x 3, relu  8 x 8 x 3             30
max-pooling 1, 2 x 3        4 x 2 x 3              0
convolution 2, 3 x 2, relu  4 x 2 x 40           760
dense, sigmoid              10                 3,210
all                                            4,000"""


def cells(html):
    """The rows of an HTML table as lists of texts."""
    rows = re.findall(r"<tr>(.*?)</tr>", html)
    return [re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row) for row in rows]


@pytest.fixture
def stack(quick, digits):
    return quick(**STACK).fit(*digits)


def test_text(stack):
    assert repr(stack.summary()) == str(stack.summary()) == TABLE


def test_rows(stack):
    summary = stack.summary()
    assert summary.rows == [
        ("images", (8, 8, 1), 0),
        ("convolution 1, 3 x 3, relu", (8, 8, 3), 30),
        ("max-pooling 1, 2 x 3", (4, 2, 3), 0),
        ("convolution 2, 3 x 2, relu", (4, 2, 40), 760),
        ("dense, sigmoid", (10,), 3210),
    ]
    assert summary.n_parameters == 4000 == stack._parameters.size


def test_html(stack):
    """The HTML table has the same cells as the text."""
    html = stack.summary()._repr_html_()
    head, *body = cells(html)
    assert head == ["layer", "output shape", "parameters"]
    assert [[*map(str.strip, row)] for row in body] == [
        [part.strip() for part in (line[:28], line[28:42], line[42:])] for line in TABLE.splitlines()[2:]
    ]
    assert html.startswith("<table><thead><tr><th>layer</th>")
    assert html.endswith("</tr></tbody></table>")
    assert html.count("<th") - html.count("<thead") == 3


@pytest.mark.parametrize("standardize", [False, True], ids=["plain", "standardize"])
@pytest.mark.parametrize("fit_intercept", [True, False], ids=["", "no intercepts"])
@pytest.mark.parametrize("n_classes", [2, 10])
def test_parameters_are_those_that_are_learnt(quick, digits, standardize, fit_intercept, n_classes):
    """Intercepts that stay 0 and statistics do not count."""
    X, y = digits
    clf = quick(**STACK, standardize=standardize, fit_intercept=fit_intercept).fit(X, y % n_classes)
    intercepts = clf.intercepts_[:-1] if standardize else clf.intercepts_  # standardisation cancels the last ones
    parts = clf.coefs_ + (intercepts if fit_intercept else [])
    summary = clf.summary()
    assert summary.n_parameters == sum(part.size for part in parts) == sum(n for *_, n in summary.rows)
    assert summary.rows[-1][0] == ("dense, standardized, sigmoid" if standardize else "dense, sigmoid")
    assert summary.rows[-1][1] == (clf.n_outputs_,)


def test_one_layer(fitted):
    assert [(what, shape) for what, shape, _ in fitted.summary().rows] == [
        ("images", (8, 8, 1)), ("convolution 1, 3 x 3, sigmoid", (6, 6, 3)), ("dense, sigmoid", (10,))
    ]  # fmt: skip


def test_shapes_are_those_of_the_arrays():
    """Values that fill no pool count in the shape of the convolution but not of the pools."""
    network = Network((9, 7, 2), (3, 2), ((2, 2), (3, 1)), 1, ((3, 4), (1, 1)), "same", "tanh")
    assert [shape for _, shape, _ in Summary(network).rows] == [
        (9, 7, 2), (9, 7, 3), (3, 1, 3), (3, 1, 2), (1,)
    ]  # fmt: skip


def test_names_are_escaped(stack):
    summary = stack.summary()
    summary.rows[0] = ("<images> & more", (8, 8, 1), 0)
    assert cells(summary._repr_html_())[1][0] == "&lt;images&gt; &amp; more"


def test_it_is_of_what_was_fitted(stack):
    stack.set_params(n_filters=5, kernel_size=1, standardize=True)
    assert repr(stack.summary()) == TABLE


def test_not_fitted():
    with pytest.raises(NotFittedError):
        ConvSigmoidClassifier().summary()


# ---- the diagram ----


def test_the_diagram_of_a_fitted_estimator_ends_with_the_table_and_the_filters(stack):
    table = stack.summary()._repr_html_()
    picture = draw_filters(np.moveaxis(stack.coefs_[0], 1, -1))
    bundle = stack._repr_mimebundle_()
    for html in (bundle["text/html"], stack._repr_html_()):
        assert html.endswith(table + picture)
        assert html.count(table) == 1
        assert "sk-top-container" in html
    assert bundle["text/plain"] == repr(stack)


def test_the_diagram_of_an_unfitted_estimator_is_scikit_learns():
    clf = ConvSigmoidClassifier(**STACK)
    for html in (clf._repr_mimebundle_()["text/html"], clf._repr_html_()):
        assert "sk-top-container" in html
        assert "convolution 1" not in html


def test_the_diagram_links_to_the_documentation(stack):
    link = "https://skcnn.readthedocs.io/en/stable/api/generated/skcnn.ConvSigmoidClassifier.html"
    assert f'href="{link}"' in stack._repr_html_()
    assert f'href="{link}"' in make_pipeline(MinMaxScaler(), stack)._repr_html_()


def test_text_instead_of_diagrams(stack):
    """With text display, scikit-learn has no diagram, and neither has the classifier."""
    with config_context(display="text"):
        assert not hasattr(stack, "_repr_html_")
        assert list(stack._repr_mimebundle_()) == ["text/plain"]
    assert hasattr(stack, "_repr_html_")


def test_in_a_pipeline(quick, stack, digits):
    """A pipeline has its diagram and its last step the table; displaying them changes no prediction."""
    pipeline = make_pipeline(quick(**STACK)).fit(*digits)
    assert "sk-top-container" in pipeline._repr_html_()
    assert repr(pipeline[-1].summary()) == TABLE
    np.testing.assert_array_equal(pipeline.predict_proba(digits[0]), stack.predict_proba(digits[0]))
