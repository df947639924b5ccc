"""The examples of the README and of the docstrings do what they say."""

import doctest
from pathlib import Path

import pytest

import skcnn
from skcnn import datasets

README = Path(__file__).parents[2] / "README.md"


@pytest.mark.parametrize(
    "documented", [skcnn.ConvSigmoidClassifier, datasets.load_mnist_sample], ids=lambda documented: documented.__name__
)
def test_docstring(documented):
    example = doctest.DocTestParser().get_doctest(documented.__doc__, {}, documented.__name__, None, None)
    assert example.examples
    assert doctest.DocTestRunner(verbose=False).run(example).failed == 0


def test_readme():
    result = doctest.testfile(str(README), module_relative=False)
    assert result.attempted > 10
    assert result.failed == 0
