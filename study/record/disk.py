"""The disk below a study: what it will need, and whether an error is the disk's."""

from __future__ import annotations

import errno
import shutil
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from study.record.errors import StudyError, UsageError, chain
from study.record.folder import StudyFolder

_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})
# One that was mounted read-only, went away, or does not answer.
_AWAY = frozenset({errno.EROFS, errno.EIO, errno.ESTALE, errno.ENOTCONN, errno.ETIMEDOUT, errno.ENODEV, errno.ENXIO})
# Of the study's own folder only: of any other path they say that this program looked for what is not there.
_CLOSED = frozenset({errno.EPERM, errno.EACCES, errno.ENOENT, errno.ENOTDIR})
_CHECKPOINT = 3 * 4  # bytes for each parameter: the weight and an optimizer's two moments
_NETWORK = 4
BESIDES = 64 * 2**20
"""Bytes of a study's journal, tables, samples and pictures, at most."""


def problem(error: BaseException, folder: Path) -> str | None:
    """Say what is wrong with the study's disk and what to do, if that is the cause of `error`; None if it is not.

    PyTorch closes its archive after a failed write, which fails again and hides the first error behind its own.

    Args:
        error: What was raised.
        folder: The study's; that a file below it is not there, or not allowed, is the disk's doing, too.
    """
    for cause in chain(error):
        if not isinstance(cause, OSError) or (below := _is_below(cause.filename, folder)) is False:
            continue
        if cause.errno in _FULL:
            return f"cannot be written ({cause.strerror}); make space"
        if cause.errno in _AWAY or (cause.errno in _CLOSED and below):
            return f"cannot be written ({cause.strerror}); see that it is there and may be written"
    return None


def elsewhere(error: BaseException, folder: Path) -> str | None:
    """Name the path and this host, if the cause of `error` is a disk that is not the study's, such as a full /tmp."""
    for cause in chain(error):
        if isinstance(cause, OSError) and cause.errno in _FULL | _AWAY and _is_below(cause.filename, folder) is False:
            return f"{cause.filename} on {socket.gethostname()}: {cause.strerror}"
    return None


def _is_below(file: object, folder: Path) -> bool | None:
    """Return whether the file of an error lies below `folder`, by whichever of its names; None where it has no name."""
    if not isinstance(file, str | Path):
        return None
    path = Path(file).absolute()
    return path.is_relative_to(folder.absolute()) or path.resolve().is_relative_to(folder.resolve())


@contextmanager
def explained(folder: Path) -> Iterator[None]:
    """Turn an error of the disk into one line that says what to do.

    Raises:
        StudyError: `folder`'s disk is full or cannot be written, or another one.
    """
    try:
        yield
    except Exception as error:
        if isinstance(error, StudyError):
            raise
        if found := problem(error, folder):
            raise error_of(folder, found) from error
        if other := elsewhere(error, folder):
            raise StudyError(f"{other}; see to it, then go on with: {StudyFolder(folder).resume_command()}") from error
        raise


def error_of(folder: Path, problem: str) -> StudyError:
    """Return the error of a study with a problem with its `folder`, such as "cannot be written (...); make space"."""
    return StudyError(f"{folder} {problem}, then go on with: {StudyFolder(folder).resume_command()}")


def check(storage: Path, params: int, running: int, kept: int, confirmed: int) -> None:
    """Look before a study begins whether its checkpoints will fit on the disk, estimated from its first configs.

    Args:
        storage: The storage folder, which need not exist yet.
        params: Parameters of the largest network known before the search.
        running: Runs at once, each with its latest checkpoint.
        kept: Trials that keep their checkpoint after their end.
        confirmed: Confirmation runs that are tested, each of which leaves its network until the study's end.

    Raises:
        UsageError: there is less space than that.
    """
    size = needed(params, running, kept, confirmed)
    existing = next(folder for folder in (storage, *storage.parents) if folder.exists())
    free = shutil.disk_usage(existing).free
    if free < size:
        raise UsageError(
            f"--storage {str(storage)!r} has {_gib(free)} GiB free, and this study's checkpoints need about "
            f"{_gib(size)} GiB; make space, name another folder, or lower --max-params or --confirm"
        )


def needed(params: int, running: int, kept: int, confirmed: int) -> int:
    """Return the bytes that a study of networks of so many parameters needs, with the arguments of `check`."""
    return params * (_CHECKPOINT * (running + kept) + (_CHECKPOINT + _NETWORK) * confirmed) + BESIDES


def _gib(size: int) -> str:
    return f"{size / 2**30:.2f}"
