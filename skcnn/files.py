"""Files are written beside their place and then renamed: there is the old file or the complete new one, never half."""

import os
import shutil
from contextlib import contextmanager
from errno import EACCES, EEXIST, EIO, EISDIR, ELOOP
from itertools import count
from pathlib import Path
from stat import S_IMODE, S_IWUSR
from uuid import uuid4


@contextmanager
def replaced(path, *, overwrite=True):
    """A temporary path beside `path`; the file written there takes its place at the end, or is removed after an error.

    Links are followed, and a file that is replaced keeps its permissions. What is no regular file, as /dev/null, is
    written to directly.

    Parameters
    ----------
    path : path-like
    overwrite : bool, default=True
        Whether a file that exists by then may be replaced.

    Raises
    ------
    FileExistsError
        If there is a file and `overwrite` is False.
    OSError
        If the file cannot be written; names `path`, whichever file the error was about.
    """
    path = Path(path)
    with _errors_naming(path):
        if path.exists() and not path.is_file():
            yield path
            return
        target = path.resolve()
        part = _part_beside(target)
        try:
            # Nobody who cannot read the old file can read the new one.
            part.touch(S_IMODE(target.stat().st_mode) | S_IWUSR if target.exists() else 0o666)
            yield part
            _finish(part, target, overwrite)
        finally:
            part.unlink(missing_ok=True)


def check_writable(path):
    """Check that `replaced` can write to a path, as far as that can be known beforehand.

    Raises
    ------
    OSError
        If it cannot, as in a folder that does not exist or is read-only.
    """
    path = Path(path)
    with _errors_naming(path):
        if path.exists() and not path.is_file():
            if path.is_dir():
                raise IsADirectoryError(EISDIR, os.strerror(EISDIR))
            if not os.access(path, os.W_OK):  # opening it could wait for a reader
                raise PermissionError(EACCES, os.strerror(EACCES))
            return
        if path.exists():
            with path.open("ab"):  # is not read-only
                pass
        part = _part_beside(path.resolve())
        try:
            part.touch()
        finally:
            part.unlink(missing_ok=True)


def free_names(path):
    """`path`, and then the same with -2, -3 and so on before the suffix."""
    path = Path(path)
    yield path
    for number in count(2):
        yield path.with_name(f"{path.stem}-{number}{path.suffix}")


def _part_beside(target):
    """A name with the same suffix, which decides the format for some writers."""
    return target.with_name(f".skcnn-{uuid4().hex}.part{target.suffix}")


def _finish(part, target, overwrite):
    """Give the written part its name once it is on the disk."""
    with part.open("rb+") as file:
        os.fsync(file.fileno())
    if target.exists():
        shutil.copymode(target, part)
    if overwrite:
        os.replace(part, target)
        return
    try:
        os.link(part, target)  # fails if another process has just made the file
    except OSError:  # of that, or of a file system without links
        if target.exists():
            raise FileExistsError(EEXIST, os.strerror(EEXIST)) from None
        os.replace(part, target)


@contextmanager
def _errors_naming(path):
    try:
        yield
    except OSError as error:
        raise OSError(error.errno or EIO, error.strerror or str(error), str(path)) from error
    except RuntimeError as error:  # before Python 3.13, of links that lead to themselves
        if "Symlink loop" not in str(error):
            raise
        raise OSError(ELOOP, os.strerror(ELOOP), str(path)) from error
