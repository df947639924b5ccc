"""The stubs say what the package is, and type checkers take them.

With mypy: typed_usage.py passes `mypy --strict`, and stubtest finds no difference. Without it: typed_usage.py leaves
nothing out, and strings are those that are checked for.
"""

import ast
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import skcnn
from skcnn.validation import OPTIONS

PACKAGE = Path(skcnn.__file__).parent
USAGE = Path(__file__).with_name("typed_usage.py")
INTERFACE = Path(__file__).with_name("interface.txt")

# For stubtest, sources are no stubs, and scikit-learn has none. PyTorch, where it is, takes half a minute to read.
CONFIG = r"""
[mypy]
exclude = \.py$
follow_imports = silent
ignore_missing_imports = True
[mypy-torch.*]
follow_imports = skip
"""

ALLOWED = [
    # Of the compiled modules functions are compared; their classes have no signatures, and Cython adds to the names.
    r"skcnn\.kernels\.\w+\.(_|[A-Z]).*",
    # From scikit-learn 1.9 on.
    r"skcnn\.classifier\.ConvSigmoidClassifier\.set_callbacks",
    # Until 1.8, scikit-learn gives it the parameters of the local class's.
    r"skcnn\.dask\.DaskConvSigmoidClassifier\.set_partial_fit_request",
]


def run_mypy(folder, *arguments):
    """mypy or stubtest, in a folder of its own."""
    pytest.importorskip("mypy")
    environment = dict(os.environ)
    if PACKAGE.parent.name not in ("site-packages", "dist-packages"):  # an editable install: mypy would not find it
        environment["MYPYPATH"] = str(PACKAGE.parent)
    done = subprocess.run(
        [sys.executable, "-P", "-m", *map(str, arguments)], cwd=folder, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture
def config(tmp_path):
    path = tmp_path / "mypy.ini"
    path.write_text(CONFIG, encoding="utf-8")
    return path


def test_typed_usage_passes_mypy(tmp_path, config):
    run_mypy(tmp_path, "mypy", "--strict", "--config-file", config, USAGE)


def test_stubtest(tmp_path, config):
    allowlist = tmp_path / "allowlist.txt"
    allowlist.write_text("\n".join([*ALLOWED, *modules_without_stubs()]), encoding="utf-8")
    options = ["--concise", "--ignore-disjoint-bases", "--ignore-unused-allowlist"]
    run_mypy(tmp_path, "mypy.stubtest", *options, "--mypy-config-file", config, "--allowlist", allowlist, "skcnn")


def modules_without_stubs():
    """Patterns of what is not public; of the package of the kernels, its own names and the compiled modules."""
    for path in PACKAGE.rglob("*.py"):
        if not path.with_suffix(".pyi").exists():
            module = ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts)
            package = module.removesuffix(".__init__")
            yield re.escape(package) + (r"(\..*)?" if package == module else r"(\.\w+)?")


def test_package_is_typed():
    assert (PACKAGE / "py.typed").is_file()


def test_typed_usage_is_complete():
    nodes = list(ast.walk(ast.parse(USAGE.read_text(encoding="utf-8"))))
    keywords = {node.arg for node in nodes if isinstance(node, ast.keyword)}
    names = {node.id for node in nodes if isinstance(node, ast.Name)}
    names |= {node.attr for node in nodes if isinstance(node, ast.Attribute)}
    for line in INTERFACE.read_text(encoding="utf-8").splitlines():
        name, _, parameters = line.removeprefix("fitted: ").partition("(")
        assert name.rpartition(".")[2] in names, line
        assert not set(re.findall(r"(\w+)=", parameters)) - keywords, line


def annotations_of_parameters():
    """Of the stub: those of the constructor's parameters, and of the attributes that have their names."""
    (stub,) = (
        node
        for node in ast.parse((PACKAGE / "classifier.pyi").read_text(encoding="utf-8")).body
        if isinstance(node, ast.ClassDef) and node.name == "ConvSigmoidClassifier"
    )
    attributes = {node.target.id: node.annotation for node in stub.body if isinstance(node, ast.AnnAssign)}
    (constructor,) = (node for node in stub.body if getattr(node, "name", None) == "__init__")
    arguments = constructor.args.args[1:] + constructor.args.kwonlyargs
    return {one.arg: one.annotation for one in arguments}, attributes


def test_parameters_are_attributes():
    parameters, attributes = annotations_of_parameters()
    for name, annotation in parameters.items():
        assert ast.unparse(annotation) == ast.unparse(attributes[name]), name


@pytest.mark.parametrize("name", OPTIONS)
def test_strings_of_a_parameter(name):
    annotation = annotations_of_parameters()[0][name]
    strings = {node.value for node in ast.walk(annotation) if isinstance(node, ast.Constant)}
    assert strings == set(OPTIONS[name])
