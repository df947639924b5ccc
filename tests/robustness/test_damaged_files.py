"""Random damage to model files and data sets: a right model or one clear error, never a crash."""

import io
import re
import warnings
import zipfile
from math import inf
from pathlib import Path

import numpy as np
import pytest

from skcnn import __main__ as command_line
from skcnn.datasets import load_npz
from tests.helpers.cases import cases
from tests.helpers.damaged_models import FORMATS, fitted, use, with_damage, with_damaged_member
from tests.helpers.marks import few_steps
from tests.helpers.scripts import run_command

pytestmark = few_steps
N_GROUPS = 10

# ---- model files ----

# Loads and uses damaged files one after another, from a number on; a file has the bytes that are being read.
LOAD = """
import sys
from pathlib import Path
sys.path.append(sys.argv[1])  # behind skcnn: its source folder, which is not compiled, may lie there
from tests.helpers.damaged_models import FORMATS, cases_of, fitted, use
form, group, begin, end, file = sys.argv[2], int(sys.argv[3]), int(sys.argv[4]), int(sys.argv[5]), Path(sys.argv[6])
clf, X, y = fitted()
n_models, expected = 0, clf.predict_proba(X)
for number, data in enumerate(cases_of(form, clf, group, end)):
    if number < begin:
        continue
    file.write_bytes(data)
    file.with_suffix(".number").write_text(str(number))
    n_models += use(FORMATS[form].read, data, X, y, expected)
print(n_models)
"""

# Unpickles a file without skcnn: its classes are replaced by one that ignores its state.
WITHOUT_US = """
import pickle, sys

class Anything:
    def __setstate__(self, state):
        pass

class Unpickler(pickle.Unpickler):
    def find_class(self, module, name):
        return Anything if module.startswith("skcnn") else super().find_class(module, name)

with open(sys.argv[1], "rb") as file:
    try:
        Unpickler(file).load()
    except Exception:
        pass
"""


@pytest.mark.parametrize("group", range(2))
@pytest.mark.parametrize("form", FORMATS)
def test_damaged_models(form, group, tmp_path):
    """A file that crashes Python or NumPy is not ours to mend if it does so without skcnn: pickle is like that."""
    file, n_cases = tmp_path / "model", cases(25)
    begin = n_models = n_crashes = 0
    while begin < n_cases:
        args = Path(__file__).parents[2], form, group, begin, n_cases, file
        result = run_command(LOAD, *args, timeout=None)
        if result.returncode == 0:
            n_models += int(result.stdout.split()[-1])
            break
        assert crashed(result), result.stderr
        assert FORMATS[form].is_pickle, result.stderr
        assert crashed(run_command(WITHOUT_US, file)), result.stderr
        n_crashes += 1
        begin = int(file.with_suffix(".number").read_text()) + 1
    print(f"{form}: {n_cases} files, {n_models} models, {n_crashes} crashes without skcnn")
    assert n_models < n_cases


def crashed(result):
    """Whether a process was ended by a signal or a sanitiser."""
    return result.returncode < 0 or "Sanitizer" in result.stderr


def test_undamaged_models():
    """What the tests above would find: these are right models."""
    clf, X, y = fitted()
    for form in FORMATS.values():
        assert use(form.read, form.write(clf), X, y, clf.predict_proba(X)) == 1


# ---- data sets ----


@pytest.fixture(scope="module")
def archives():
    """Bytes of .npz files."""
    rng = np.random.RandomState(0)
    y = np.arange(12) % 3
    found = []
    for x, labels in (
        (rng.randint(256, size=(12, 6, 5), dtype=np.uint8), y),
        (rng.rand(12, 6, 5, 3), y.astype(str)),
    ):
        arrays = {"x_train": x, "y_train": labels, "x_test": x[:5], "y_test": labels[:5]}
        for save in (np.savez, np.savez_compressed):
            file = io.BytesIO()
            save(file, **arrays)
            found.append(file.getvalue())
    return found


def check_command(data, path, capsys):
    """Run the command on an .npz file: it trains, or ends with status 2 and one sentence. Returns the status."""
    path.write_bytes(data)
    args = ["--dataset", path, "--classes", "all", "--epochs", 1, "--no-baseline", "--save", "/dev/null"]
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        status = command_line.main([str(arg) for arg in args])
    out, err = capsys.readouterr()
    assert [str(warning.message) for warning in caught] == []
    if status == 0:
        assert re.search(r"^skcnn +[01]\.\d+ +[01]\.\d+ ", out, re.MULTILINE)
        assert err == ""
    else:
        assert status == 2
        assert err.startswith("skcnn: error: ")
        assert err.count("\n") == 1
        assert len(err) < 1000
    return status


def with_other_header(data, rng):
    """An archive in which one array's header has another number, another type, or a damaged byte."""
    return with_damaged_member(data, rng, change_header)


@pytest.mark.parametrize("group", range(N_GROUPS))
@pytest.mark.parametrize("damage", [with_damage, with_other_header])
def test_damaged_npz(archives, tmp_path, capsys, group, damage):
    """Damaged bytes, or arrays whose checksum is right and whose header says something else."""
    rng = np.random.default_rng(group)
    statuses = set()
    for number in range(cases(150) // N_GROUPS):
        data = damage(archives[number % len(archives)], rng)
        statuses.add(check_command(data, tmp_path / "images.npz", capsys))
    assert 2 in statuses


NUMBERS = [
    "0",
    "-1",
    "1",
    "13",
    "11",
    "7",
    "2**3",
    "99999",
    "10**23",
    str(10**23),
    str(2**63),
    str(2**64),
    "True",
    "1.5",
]
DESCRIPTIONS = [
    "|O",
    "<U4",
    "|S3",
    "<f2",
    "<f16",
    "|V8",
    "<M8[s]",
    "<c8",
    ">f8",
    ">u2",
    "|b1",
    "<i8",
    "bogus",
    "<f8,<f8",
    "",
]


def change_header(content, rng):
    length = int.from_bytes(content[8:10], "little")
    header, values = content[10 : 10 + length].decode("latin1"), content[10 + length :]
    match rng.integers(4):
        case 0 | 1:
            numbers = list(re.finditer(r"\d+(?=[,)])", header))
            where = numbers[int(rng.integers(len(numbers)))]
            other = NUMBERS[int(rng.integers(len(NUMBERS)))]
            header = header[: where.start()] + other + header[where.end() :]
        case 2:
            other = DESCRIPTIONS[int(rng.integers(len(DESCRIPTIONS)))]
            header = re.sub(r"(?<='descr': ')[^']*", other, header)
        case 3:
            where = int(rng.integers(len(header)))
            header = header[:where] + chr(rng.integers(32, 127)) + header[where + 1 :]
    header = header.encode("latin1")
    return content[:8] + len(header).to_bytes(2, "little") + header + values


def save_parts(path, parts):
    """Write (name, array) pairs as an .npz file; names may occur twice."""
    with zipfile.ZipFile(path, "w") as archive, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # zipfile warns of doubled names
        for name, array in parts:
            file = io.BytesIO()
            np.save(file, array, allow_pickle=True)
            archive.writestr(f"{name}.npy", file.getvalue())


X, Y = np.zeros((4, 3, 3)), np.arange(4)
PARTS = {"x_train": X, "y_train": Y, "x_test": X, "y_test": Y}
SPECIFIC = {
    "doubled": ([*PARTS.items(), ("x_train", X)], "more than one array x_train"),
    "missing": ([("x_train", X)], "has no array y_train, x_test, y_test"),
    "empty": ([], "damaged, or holds objects: No data left|has no array x_train"),  # from NumPy 2.5 on the second
    "objects": ((PARTS | {"y_train": np.array([{}] * 4, object)}).items(), "damaged, or holds objects"),
    "labels of another length": ((PARTS | {"y_test": np.arange(5)}).items(), r"x_test of shape \(4, 3, 3\) and y_test"),
    "labels in two axes": ((PARTS | {"y_train": Y[:, None]}).items(), r"y_train of shape \(4, 1\)"),
    "complex pixels": ((PARTS | {"x_train": X * 1j, "x_test": X * 1j}).items(), "complex128 holds no numbers"),
    "records": ((PARTS | {"y_train": np.zeros(4, "i4,i4")}).items(), "y_train of type .* holds neither numbers"),
    "dates": ((PARTS | {"x_train": X.astype("M8[s]"), "x_test": X.astype("M8[s]")}).items(), "holds no numbers"),
    "labels without number": ((PARTS | {"y_train": Y / [np.nan, 1, 1, 1]}).items(), "NaN"),
    "test labels without number": ((PARTS | {"y_test": Y / [np.nan, 1, 1, 1]}).items(), "y_test holds NaN"),
    "infinite labels": ((PARTS | {"y_train": Y / [1, 1, 1, inf] + [inf, 0, 0, 0]}).items(), "infinity"),
    "complex labels": ((PARTS | {"y_train": Y * 1j}).items(), "y_train of type complex128 holds neither"),
    "pixels without number": ((PARTS | {"x_train": X + np.nan}).items(), "NaN"),
    "test pixels without number": ((PARTS | {"x_test": X + np.nan}).items(), "NaN"),
    "one label": ((PARTS | {"y_train": Y * 0}).items(), "class"),
}  # fmt: skip


@pytest.mark.parametrize(("parts", "message"), SPECIFIC.values(), ids=SPECIFIC)
def test_specific_damage(parts, message, tmp_path, capsys):
    path = tmp_path / "images.npz"
    save_parts(path, parts)
    assert command_line.main(["--dataset", str(path), "--classes", "all", "--epochs", "1", "--save", "/dev/null"]) == 2
    err = capsys.readouterr().err
    assert re.search(message, err), err
    assert err.count("\n") == 1
    assert list(tmp_path.iterdir()) == [path]


def test_shapes_beyond_memory(tmp_path):
    """A header may declare any size: nothing is allocated that could not be filled."""
    path = tmp_path / "images.npz"
    for shape in ((10**23, 3, 3), (2**40, 2**20, 1), (2**62, 2, 2)):
        file = io.BytesIO()
        np.lib.format.write_array_header_1_0(file, {"descr": "<f8", "fortran_order": False, "shape": shape})
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("x_train.npy", file.getvalue() + bytes(72))
        with pytest.raises((ValueError, MemoryError), match=re.escape(str(path))):
            load_npz(path)
