"""The examples in the README and in all docstrings give the results shown."""

import doctest
import pkgutil
from importlib import import_module
from importlib.machinery import EXTENSION_SUFFIXES
from importlib.util import find_spec
from pathlib import Path

import pytest

import skcnn
from skcnn import export, inspection

README = Path(__file__).parents[2] / "README.md"


def find_modules():
    """All modules of skcnn except the compiled ones."""
    yield skcnn
    for found in pkgutil.walk_packages(skcnn.__path__, "skcnn."):
        if not find_spec(found.name).origin.endswith(tuple(EXTENSION_SUFFIXES)):
            yield import_module(found.name)


def find_examples():
    """A doctest for each docstring with examples, in a namespace with only its own imports."""
    finder = doctest.DocTestFinder()
    found = [test for module in find_modules() for test in finder.find(module, globs={}) if test.examples]
    return {test.name: test for test in found}


EXAMPLES = find_examples()


def test_every_way_into_the_package_has_an_example():
    names = {name.rpartition(".")[2] for name in EXAMPLES}
    assert names >= {"ConvSigmoidClassifier", "load_mnist_sample", "show_versions", "summary", *export.__all__}
    assert names >= set(inspection.__all__)


@pytest.mark.parametrize("name", EXAMPLES)
def test_docstring(name):
    assert doctest.DocTestRunner(verbose=False).run(EXAMPLES[name]).failed == 0


def test_readme():
    result = doctest.testfile(str(README), module_relative=False, optionflags=doctest.ELLIPSIS)
    assert result.attempted > 5
    assert result.failed == 0
