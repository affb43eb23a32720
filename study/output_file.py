"""A file that a command is asked to write: refused before the work that its content takes, then written whole."""

from __future__ import annotations

import os
from pathlib import Path

from study import atomic
from study.errors import UsageError


def check_writable(out: Path, example: str) -> None:
    """Return if `out` can be written; `example` is a name that it could have.

    Raises:
        UsageError: it is a folder, or lies where nothing can be written.
    """
    folder = next(parent for parent in out.absolute().parents if parent.exists())
    if out.is_dir():
        raise UsageError(f"--out '{out}' is a folder; allowed: a file's path, such as {out / example}")
    if not folder.is_dir():
        raise UsageError(f"'{out}' cannot be written: {folder} is not a folder")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise UsageError(f"'{out}' cannot be written: {folder} is read-only; name another place")


def write_text(out: Path, text: str) -> None:
    """Write `text` to `out`, whole or not at all.

    Raises:
        UsageError: the disk is full or the folder is not writable.
    """
    try:
        atomic.write_text(out, text)
    except OSError as error:
        raise UsageError(f"'{out}' cannot be written: {error.strerror}; name another place") from error
