"""interface.txt records the public interface, so that it only changes on purpose.

To update it: `python -P -m tests.packaging.test_interface > tests/packaging/interface.txt`, and read the difference.
"""

import inspect
import warnings
from pathlib import Path

import numpy as np

import skcnn
from skcnn import dask, datasets, export, inspection

RECORDED = Path(__file__).with_name("interface.txt")


def interface():
    """Lines with names, signatures without annotations, and attributes of a fitted estimator."""
    for module in (skcnn, dask, datasets, export, inspection):
        for name in sorted(module.__all__):
            thing = getattr(module, name)
            if inspect.isclass(thing):
                yield f"{module.__name__}.{name}{signature(thing)}"
                yield from (f"{module.__name__}.{name}.{method}" for method in sorted(methods(thing)))
            elif callable(thing):
                yield f"{module.__name__}.{name}{signature(thing)}"
            elif not inspect.ismodule(thing):
                yield f"{module.__name__}.{name}"
    yield from (f"fitted: {name}" for name in sorted(fitted_attributes()))


def methods(cls):
    """Methods of this package; those of scikit-learn may change with it."""
    for name, method in inspect.getmembers(cls, callable):
        if not name.startswith("_") and (getattr(method, "__module__", None) or "").startswith("skcnn"):
            yield name + signature(method)


def signature(thing):
    found = inspect.signature(thing)
    parameters = [one.replace(annotation=inspect.Parameter.empty) for one in found.parameters.values()]
    return str(found.replace(parameters=parameters, return_annotation=inspect.Signature.empty))


def fitted_attributes():
    X, y = np.random.default_rng(0).normal(size=(30, 16)), np.arange(30) % 3
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        clf = skcnn.ConvSigmoidClassifier(2, early_stopping=True, max_iter=2, random_state=0).fit(X, y)
    for name in dir(clf):
        if name.endswith("_") and not name.startswith("_") and hasattr(clf, name):
            yield name


def test_interface():
    assert list(interface()) == RECORDED.read_text(encoding="utf-8").splitlines()


if __name__ == "__main__":
    print(*interface(), sep="\n")
