"""Files are written as a whole or not at all: full disks, missing permissions, kills and interrupts at every step."""

import os
import signal
import stat
import sys
import threading
from errno import EACCES, EINVAL, EIO, ENOSPC, ENOTSUP, EPERM, EXDEV
from pathlib import Path

import joblib
import pytest

from skcnn import __main__ as command_line
from skcnn.files import check_writable, free_names, replaced
from tests.helpers.faults import KILLED_AFTER, KILLED_BEFORE, build_faults
from tests.helpers.interrupts import interrupt_at
from tests.helpers.scripts import run_script

# Runs the command in a child for each call that it makes to change a file, and in each of them that call has the fault.
EVERY_CALL = """
import ctypes, os, sys, warnings
from pathlib import Path
from skcnn import __main__ as command_line
from tqdm import tqdm

tqdm.get_lock()  # which writes to a process of multiprocessing from Python 3.14 on
warnings.simplefilter("ignore")  # Python 3.12 and later warn of forks beside threads, here OpenBLAS's
faults = ctypes.CDLL(None)
faults.faults_end.restype = ctypes.c_long
fault, old = int(sys.argv[1]), sys.argv[2] == "old"
command = "--epochs 2 --no-baseline --n-train 40 --n-test 20 --save model.joblib --html page.html".split()
command += ["--overwrite"] * old

def in_a_child(number):
    "Exit code, or minus the signal."
    folder = Path(sys.argv[3], str(number))
    folder.mkdir()
    if old:
        (folder / "model.joblib").write_bytes(b"old")
        (folder / "page.html").write_bytes(b"old")
    pid = os.fork()
    if pid:
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    os.chdir(folder)
    for stream, name in ((1, "out"), (2, "err")):
        os.dup2(os.open(name, os.O_WRONLY | os.O_CREAT), stream)
    faults.faults_begin(ctypes.c_long(number), fault)
    status = command_line.main(command)
    n_calls = faults.faults_end()
    sys.stdout.flush()
    os._exit(status if number else n_calls)

n_calls = in_a_child(0)
print(n_calls, *(in_a_child(number) for number in range(1, n_calls + 1)))
"""


@pytest.mark.parametrize("before", ["old", "none"])
@pytest.mark.parametrize(
    "fault",
    [ENOSPC, EACCES, EIO, KILLED_BEFORE, KILLED_AFTER],
    ids=["ENOSPC", "EACCES", "EIO", "killed", "killed after"],
)
def test_every_call_of_the_command(fault, before, tmp_path):
    output = run_script(EVERY_CALL, fault, before, tmp_path, **build_faults(tmp_path))
    n_calls, *statuses = map(int, output.split())
    assert n_calls >= 12  # open, write, fsync and rename, of two files that have been tried before
    if fault > 0:
        assert set(statuses) == {2}
    else:
        assert set(statuses) == {-signal.SIGKILL}
    contents = set()
    for number in range(n_calls + 1):
        contents.add(check_folder(tmp_path / str(number), before, fault if number else 0))
    assert len(contents) == 3  # neither new, the model, both
    assert contents == {(False, False), (True, False), (True, True)}


def check_folder(folder, before, fault):
    """Check the files that a command has left behind; returns which of them are new."""
    model, page = folder / "model.joblib", folder / "page.html"
    are_new = []
    for path in (model, page):
        if before == "old":
            assert path.exists()
            are_new.append(path.read_bytes() != b"old")
        else:
            are_new.append(path.exists())
    if are_new[0]:
        assert joblib.load(model).n_iter_ == 2
    if are_new[1]:
        assert page.read_text().rstrip().endswith("</html>")
    errors = (folder / "err").read_text()
    parts = list(folder.glob(".skcnn-*"))
    if fault > 0:
        assert errors.startswith("skcnn: error: [Errno ")
        assert errors.count("\n") == 1
        assert ("model.joblib" in errors) != ("page.html" in errors)
        assert os.strerror(fault) in errors
    else:
        assert errors == ""
    assert len(parts) <= (2 if fault < 0 else 0)  # the page's is written with a part of its own
    return tuple(are_new)


# ---- interrupts ----


# Between a call of open and the `with` that takes the file, an interrupt leaves it to the garbage collection.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_interrupted_at_every_moment(tmp_path, quick, digits):
    """Ctrl-C while a model is saved, at each call, line and return of skcnn.files."""
    clf = quick(max_iter=3).fit(*digits)
    path = tmp_path / "model.joblib"
    contents, before, n_left = set(), sys.gettrace(), 0
    for number in range(10_000):
        path.write_bytes(b"old")
        try:
            sys.settrace(interrupt_at(number, "files.py", "contextlib.py"))
            with replaced(path) as part:
                joblib.dump(clf, part)
        except KeyboardInterrupt:
            pass
        else:
            break
        finally:
            sys.settrace(before)
        is_new = path.read_bytes() != b"old"
        contents.add(is_new)
        for part in tmp_path.glob(".skcnn-*"):  # if it was the removal that was interrupted
            part.unlink()
            n_left += 1
        if is_new:
            joblib.load(path)
    assert number > 30
    assert contents == {False, True}
    assert n_left <= 2


# ---- rules ----


def run(capsys, *args):
    """Exit status, output and errors of the command."""
    status = command_line.main(["--epochs", "2", "--no-baseline", "--n-train", "40", "--n-test", "20", *args])
    captured = capsys.readouterr()
    return status, captured.out, captured.err


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_default_name_is_a_free_one(folder, capsys):
    for name in ("skcnn-model.joblib", "skcnn-model-2.joblib", "skcnn-model-3.joblib"):
        status, out, _ = run(capsys)
        assert status == 0
        assert f"model saved in {name};" in out
    before = Path("skcnn-model-2.joblib").read_bytes()
    status, out, _ = run(capsys, "--overwrite", "--seed", "5")
    assert "model saved in skcnn-model.joblib;" in out
    assert joblib.load("skcnn-model.joblib").random_state == 5
    assert Path("skcnn-model-2.joblib").read_bytes() == before
    assert len(list(folder.iterdir())) == 3


def test_the_default_name_is_checked_before_training(folder, capsys, monkeypatch):
    Path("skcnn-model.joblib").mkdir()
    assert run(capsys)[0] == 0  # -2 is free
    status, out, err = run(capsys, "--overwrite")
    assert (status, out, err) == (2, "", "skcnn: error: [Errno 21] Is a directory: 'skcnn-model.joblib'\n")

    def part(target):
        return folder / "nowhere" / target.name

    monkeypatch.setattr("skcnn.files._part_beside", part)
    status, out, err = run(capsys)
    assert (status, out, err) == (2, "", "skcnn: error: [Errno 2] No such file or directory: 'skcnn-model-3.joblib'\n")


@pytest.mark.parametrize("option", ["--save", "--html", "--plot"])
def test_a_file_that_exists_is_kept(folder, capsys, option):
    name = "file.png"
    Path(name).write_bytes(b"old")
    status, out, err = run(capsys, option, name)
    assert (status, out) == (2, "")
    assert err == f"skcnn: error: {name} exists: choose another name, or replace it with --overwrite\n"
    assert Path(name).read_bytes() == b"old"
    assert run(capsys, option, name, "--overwrite")[0] == 0
    assert Path(name).stat().st_size > 1000


@pytest.mark.parametrize("option", ["--save", "--html", "--plot"])
def test_a_file_that_another_process_makes_meanwhile(folder, capsys, monkeypatch, option):
    """Both files are kept."""

    def make_file(self, state):
        Path("file.png").write_bytes(b"other")

    monkeypatch.setattr(command_line.Progress, "end", make_file)
    status, out, _ = run(capsys, option, "file.png")
    assert status == 0
    assert "file-2.png" in out
    assert Path("file.png").read_bytes() == b"other"
    assert Path("file-2.png").stat().st_size > 1000


def test_not_even_for_an_instant(folder, monkeypatch):
    """A file that appears just before the new one gets its name."""
    link = os.link

    def make_file(part, target):
        Path(target).write_bytes(b"other")
        link(part, target)

    monkeypatch.setattr(os, "link", make_file)
    with pytest.raises(FileExistsError, match=r"file\.txt"), replaced("file.txt", overwrite=False) as part:
        part.write_text("new")
    assert Path("file.txt").read_bytes() == b"other"
    assert [path.name for path in folder.iterdir()] == ["file.txt"]


@pytest.mark.parametrize("reason", [ENOTSUP, EPERM, EINVAL, EACCES, EXDEV], ids=os.strerror)
def test_a_file_system_without_links(folder, monkeypatch, reason):
    def link(part, target):
        raise OSError(reason, os.strerror(reason))

    monkeypatch.setattr(os, "link", link)
    with replaced("file.txt", overwrite=False) as part:
        part.write_text("new")
    assert Path("file.txt").read_text() == "new"
    with pytest.raises(FileExistsError), replaced("file.txt", overwrite=False) as part:
        part.write_text("newer")
    assert Path("file.txt").read_text() == "new"
    assert len(list(folder.iterdir())) == 1


def test_links_are_followed_and_permissions_kept(folder):
    Path("target.txt").write_text("old")
    Path("target.txt").chmod(0o600)
    Path("link.txt").symlink_to("target.txt")
    with replaced("link.txt") as part:
        part.write_text("new")
    assert Path("link.txt").is_symlink()
    assert Path("target.txt").read_text() == "new"
    assert stat.S_IMODE(Path("target.txt").stat().st_mode) == 0o600


def test_new_files_have_the_permissions_of_any_other(folder):
    Path("other.txt").write_text("")
    with replaced("file.txt") as part:
        part.write_text("new")
    assert Path("file.txt").stat().st_mode == Path("other.txt").stat().st_mode


def test_devices_are_written_to(folder, capsys):
    status, out, _ = run(capsys, "--save", "/dev/null")
    assert status == 0
    assert "saved in /dev/null" in out
    assert not Path("/dev/null").is_file()
    status, _, err = run(capsys, "--save", "/dev/full")
    assert (status, err) == (2, "skcnn: error: [Errno 28] No space left on device: '/dev/full'\n")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no pipes with names")
def test_pipes_have_one_writer(folder):
    """A check that opened the pipe would end its reader."""
    os.mkfifo("pipe")
    received = []
    reader = threading.Thread(target=lambda: received.append(Path("pipe").read_bytes()), daemon=True)
    reader.start()
    check_writable("pipe")
    with replaced("pipe", overwrite=False) as part:
        part.write_bytes(b"all")
    reader.join(timeout=60)
    assert received == [b"all"]


def test_links_that_lead_to_themselves(folder, capsys):
    """An error before Python 3.13, and another link to follow since."""
    Path("loop.joblib").symlink_to("loop.joblib")
    status, _, err = run(capsys, "--save", "loop.joblib")
    if status:
        assert (status, err) == (2, "skcnn: error: [Errno 40] Too many levels of symbolic links: 'loop.joblib'\n")


def test_nobody_else_can_read_what_will_be_private(folder):
    Path("file.txt").write_text("old")
    Path("file.txt").chmod(0o600)
    with replaced("file.txt") as part:
        part.write_text("new")
        assert stat.S_IMODE(part.stat().st_mode) == 0o600
    assert stat.S_IMODE(Path("file.txt").stat().st_mode) == 0o600


def test_an_error_keeps_the_old_file(folder):
    Path("file.txt").write_text("old")
    with pytest.raises(UnicodeEncodeError), replaced("file.txt") as part:
        part.write_text("half, and \ud800", encoding="utf-8")
    assert [path.read_text() for path in folder.iterdir()] == ["old"]


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="the administrator may write anywhere")
def test_without_permission(folder):
    Path("file.txt").write_text("old")
    Path("file.txt").chmod(0o400)
    with pytest.raises(PermissionError, match=r"file\.txt"):
        check_writable("file.txt")
    Path("file.txt").chmod(0o600)
    folder.chmod(0o500)
    try:
        with pytest.raises(PermissionError, match=r"new\.txt"):
            check_writable("new.txt")
    finally:
        folder.chmod(0o700)


def test_checks_leave_nothing_behind(folder):
    check_writable("new.txt")
    Path("file.txt").write_text("old")
    check_writable("file.txt")
    check_writable(os.devnull)
    assert [path.read_text() for path in folder.iterdir()] == ["old"]
    with pytest.raises(FileNotFoundError, match="nowhere"):
        check_writable("nowhere/new.txt")
    with pytest.raises(IsADirectoryError):
        check_writable(".")


def test_free_names():
    names = free_names("a/model.tar.gz")
    assert [str(next(names)) for _ in range(3)] == ["a/model.tar.gz", "a/model.tar-2.gz", "a/model.tar-3.gz"]


def test_a_file_that_is_read_only_stays_so(folder):
    """What is written beside it is not; root could write to it all the same."""
    Path("file.txt").write_text("old")
    Path("file.txt").chmod(0o444)
    with replaced("file.txt") as part:
        assert part.stat().st_mode & stat.S_IWUSR
        part.write_text("new")
    assert Path("file.txt").read_text() == "new"
    assert stat.S_IMODE(Path("file.txt").stat().st_mode) == 0o444


# ---- names ----


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--html", "skcnn-model.joblib"], "--html and --save both name skcnn-model.joblib"),
        (["--dataset", "data.npz", "--save", "data.npz"], "--dataset and --save both name data.npz"),
        (["--save", "model.joblib.lz4"], "--save model.joblib.lz4: LZ4 is not installed"),
    ],
    ids=["default", "data", "compression"],
)
def test_names_that_would_lose_a_file(folder, capsys, monkeypatch, arguments, message):
    monkeypatch.setattr("joblib.compressor.lz4", None)
    for name in ("skcnn-model.joblib", "data.npz"):
        Path(name).write_text("old")
    status, _, err = run(capsys, "--overwrite", *arguments)
    assert status == 2
    assert err.startswith(f"skcnn: error: {message}")
    assert {path.name for path in folder.iterdir()} == {"skcnn-model.joblib", "data.npz"}
