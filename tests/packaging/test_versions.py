"""Reported versions of skcnn and its dependencies, and the build of the kernels in use."""

import platform
import re
from importlib.metadata import PackageNotFoundError, version

import skcnn
from skcnn import __main__ as command_line
from skcnn.kernels import COMPILER, LEVEL, LEVELS


def test_version():
    assert skcnn.__version__ == version("skcnn")


def test_version_on_the_command_line(capsys):
    assert command_line.main(["--version"]) == 0
    assert capsys.readouterr().out == f"skcnn {skcnn.__version__} ({LEVEL} kernels, {COMPILER})\n"


def test_show_versions(capsys):
    skcnn.show_versions()
    lines = dict(line.split(": ", 1) for line in capsys.readouterr().out.splitlines())
    assert lines["Python"].startswith(platform.python_version())
    for package in ("skcnn", "scikit-learn", "numpy", "joblib"):
        assert lines[package] == version(package)
    assert lines["kernels"] == f"{LEVEL} (built: {', '.join(LEVELS)}, by {COMPILER}; SKCNN_CPU chooses)"
    assert re.fullmatch(r"at most [1-9]\d*", lines["threads"])


def test_a_package_that_is_not_installed(capsys, monkeypatch):
    def version_of(package):
        raise PackageNotFoundError(package)

    monkeypatch.setattr("skcnn.versions.version", version_of)
    skcnn.show_versions()
    assert "keras: not installed\n" in capsys.readouterr().out
