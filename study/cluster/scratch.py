"""Private temporary folders of a driver: gone with it, those of drivers that were killed at the next one's start."""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import stat
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from study.record.errors import UsageError

SESSIONS = "r"
"""The folder in a driver's private one that Ray puts its sockets and logs below."""

_PREFIX = "study-"
_NAME = re.compile(rf"{_PREFIX}[a-z0-9_]{{8}}")
_LOCK = "lock"
_REMADE_S = 600.0  # after which a folder without a lock is not one that a driver is just making
_LONGEST = 40  # bytes of the path that it lies in: a socket's has 107 at most, and what Ray adds is 65


@contextmanager
def folder() -> Iterator[Path]:
    """Make a folder that this user alone can look into, and remove it at the end; remove what killed drivers left.

    Raises:
        UsageError: its path would be too long for the sockets that Ray puts below it.
    """
    base = _base()
    for left in base.glob(f"{_PREFIX}*"):
        _remove_if_dead(left)
    while True:
        path = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=base))  # 0700
        descriptor = os.open(path / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            if not _is_at(path / _LOCK, descriptor):
                continue  # another driver took it for a dead one's before it was locked
            yield path
            return
        finally:
            shutil.rmtree(path, ignore_errors=True)
            os.close(descriptor)


def _is_at(path: Path, descriptor: int) -> bool:
    """Return whether an open file still lies at a path."""
    try:
        return os.path.samestat(path.lstat(), os.fstat(descriptor))
    except FileNotFoundError:
        return False


def _base() -> Path:
    """Return where temporary folders go: $TMPDIR, or /tmp where a socket's path would be too long below it."""
    base, short = Path(tempfile.gettempdir()), Path("/tmp")
    if len(os.fsencode(base)) <= _LONGEST:
        return base
    if os.access(short, os.W_OK | os.X_OK):
        return short
    raise UsageError(f"TMPDIR {base} is too long for Ray, whose sockets lie below it; set TMPDIR to a shorter folder")


def _remove_if_dead(path: Path) -> None:
    """Remove a folder of this user's that no driver holds any more: the kernel lets a lock go, however it ended."""
    with suppress(FileNotFoundError):  # another driver, which begins at the same time, has removed it
        about = path.lstat()
        if not _NAME.fullmatch(path.name) or not stat.S_ISDIR(about.st_mode) or about.st_uid != os.geteuid():
            return
        try:
            descriptor = os.open(path / _LOCK, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
        except FileNotFoundError:
            # Not ready yet; another program's; or made anew by a process of Ray, which outlives its driver for a while.
            if time.time() - about.st_mtime > _REMADE_S and [inside.name for inside in path.iterdir()] == [SESSIONS]:
                shutil.rmtree(path, ignore_errors=True)
            return
        except OSError:
            return  # another's
        try:
            with suppress(OSError):
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(path, ignore_errors=True)
        finally:
            os.close(descriptor)
