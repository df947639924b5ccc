"""Put the errors of mutations.toml into the code, one by one, and see some test find each: [NUMBER ...], or all.

An error of the kernels is built for the baseline level alone. Prints, for each error, the tests that found it, and ends
with 1 if there was one that none did. Needs what the tests need, and takes an hour.
"""

import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import tomllib
import venv
from pathlib import Path

ROOT = Path(__file__).parents[1]

TIMEOUT = 3600  # seconds of the tests of one error; all tests together, without an error, take some minutes


def is_kernel(name):
    return name.startswith("kernels/")


class Workplace:
    """A copy of the tree, and an environment in which it is installed."""

    def __init__(self, folder):
        self.source, self.tests = folder / "source", folder / "tests-alone"
        listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True)
        for name in listed.stdout.splitlines():
            target = self.source / name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, target)
        # One level is enough: a third of the time.
        meson = self.source / "skcnn/kernels/meson.build"
        meson.write_text(meson.read_text().replace("host_machine.cpu_family() == 'x86_64'", "false"))
        self.tests.mkdir()
        shutil.copytree(self.source / "tests", self.tests / "tests")
        for name in ("README.md", "pyproject.toml"):
            shutil.copy(self.source / name, self.tests)
        venv.create(folder / "environment", with_pip=True)
        self.bin = folder / "environment/bin"
        self.run("pip", "install", "-q", f"{self.source}[test]", "pytest-xdist", "cython", "meson", "ninja")
        script = "import os, skcnn; print(os.path.dirname(skcnn.__file__))"
        output = subprocess.run([self.bin / "python", "-P", "-c", script], capture_output=True, text=True, check=True)
        self.installed = Path(output.stdout.strip())
        # For errors of the kernels, each of which is built: the compiler's first level takes a third of the time.
        self.build = folder / "build"
        self.run("meson", "setup", "-Dbuildtype=custom", "-Doptimization=1", self.build, self.source)

    def run(self, *command):
        environment = os.environ | {"PATH": f"{self.bin}:{os.environ['PATH']}"}
        subprocess.run([self.bin / command[0], *command[1:]], check=True, env=environment, stdout=subprocess.DEVNULL)

    def put(self, name, text):
        """Write a source file, where it is installed as well; of the kernels, it still has to be built."""
        for folder in (self.source / "skcnn", *([] if is_kernel(name) else [self.installed])):
            (folder / name).write_text(text)

    def build_kernels(self):
        self.run("ninja", "-C", self.build)
        for module in self.build.glob("skcnn/kernels/*.so"):
            shutil.copy(module, self.installed / "kernels")

    def run_tests(self, tests):
        """The first test that fails, or None; an error that is not a test's, as of an import, ends this script."""
        command = [self.bin / "pytest", "-x", "-q", "-n", "2", "-p", "no:cacheprovider", *tests.split()]
        pipe = subprocess.PIPE
        with subprocess.Popen(
            command, cwd=self.tests, stdout=pipe, stderr=pipe, text=True, start_new_session=True
        ) as process:
            try:
                output, errors = process.communicate(timeout=TIMEOUT)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)  # the workers as well
                return "a test that does not end"
        found = re.search(r"^(?:FAILED|ERROR) (\S+::\S+)", output, re.MULTILINE)
        if process.returncode and not found:
            raise RuntimeError(f"{tests}: no test failed, but pytest did:\n{output[-3000:]}{errors}")
        return found[1] if found else None


def main(*numbers):
    errors = tomllib.loads((ROOT / ".ci/mutations.toml").read_text())["error"]
    chosen = [(number, errors[number]) for number in numbers or range(len(errors))]
    groups = [[one for one in chosen if is_kernel(one[1]["file"]) == built] for built in (False, True)]
    missed = []
    with tempfile.TemporaryDirectory() as folder:
        place = Workplace(Path(folder))
        for group in filter(None, groups):
            missed += find(place, group)
    print(f"{len(chosen)} errors, {len(missed)} not found{': ' if missed else ''}{', '.join(map(str, missed))}")
    return 1 if missed else 0


def find(place, group):
    """The numbers of the errors that no test finds, of errors that are all of the kernels or all of Python."""
    built = is_kernel(group[0][1]["file"])
    if built:
        place.build_kernels()
    found = place.run_tests(" ".join(sorted({name for _, error in group for name in error["tests"].split()})))
    if found is not None:
        raise SystemExit(f"Without an error fails {found}")
    missed = []
    for number, error in group:
        old, new = error["old"], error["new"]
        text = (ROOT / "skcnn" / error["file"]).read_text()
        if text.count(old) != 1:
            raise SystemExit(f"{number}: {error['file']} has {old!r} {text.count(old)} times")
        place.put(error["file"], text.replace(old, new))
        if built:
            place.build_kernels()
        found = place.run_tests(error["tests"])
        change = f"{' '.join(old.split())[:60]} -> {' '.join(new.split())[:60]}"
        print(f"{number}  {error['file']}: {change}: {found}", flush=True)
        if found is None:
            missed.append(number)
        place.put(error["file"], text)
    return missed


if __name__ == "__main__":
    sys.exit(main(*map(int, sys.argv[1:])))
