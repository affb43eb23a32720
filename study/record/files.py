"""Files that are either whole or absent: written under a temporary name, then renamed."""

from __future__ import annotations

import csv
import errno
import json
import os
import shutil
import stat
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from study.record.errors import UsageError


def part_name(name: str, process: int | str = "*") -> str:
    """Return what a process calls the file that it makes and then names `name`; by default a pattern of any process."""
    return f".{name}.{process}.part"


def write(path: Path, produce: Callable[[Path], object]) -> None:
    """Let `produce` write a temporary sibling of `path`, then rename it to `path`.

    The disk has both, content and name, when this returns: a journal may then say that the file is there.

    Raises:
        OSError: the disk is full or the folder is not writable; `path` is then as it was before.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(part_name(path.name, os.getpid()))
    try:
        produce(part)
        sync(part)
        os.replace(part, path)
        sync(path.parent)
    finally:
        part.unlink(missing_ok=True)


@contextmanager
def replaced(folder: Path) -> Iterator[Path]:
    """Give an empty sibling of a folder to fill, which takes its place at the end; the disk has it and its files then.

    Where the block raises, the folder is as it was.
    """
    fresh = folder.with_name(f".{folder.name}.part")
    shutil.rmtree(fresh, ignore_errors=True)
    fresh.mkdir(parents=True)
    yield fresh
    for path in (*fresh.iterdir(), fresh):
        sync(path)
    shutil.rmtree(folder, ignore_errors=True)
    fresh.rename(folder)
    sync(folder.parent)


def read_plain(path: Path, limit: int) -> bytes:
    """Return the content of a file that somebody else may have made.

    Raises:
        OSError: it is a link, a pipe or a device, or has more than `limit` bytes.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    try:
        about = os.fstat(descriptor)
        if not stat.S_ISREG(about.st_mode):
            raise OSError(errno.EINVAL, "it is no plain file", str(path))
        if about.st_size > limit:
            raise OSError(errno.EFBIG, f"it has {about.st_size:,} bytes, more than {limit:,}", str(path))
        with open(descriptor, "rb", closefd=False) as file:
            return file.read()
    finally:
        os.close(descriptor)


def sync(path: Path) -> None:
    """Wait until the disk has a file's content, or the names of the files in a folder."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_text(path: Path, text: str) -> None:
    """Write `text` to `path` as UTF-8."""
    write(path, lambda part: part.write_text(text, encoding="utf-8"))


def write_json(path: Path, value: Mapping[str, Any]) -> None:
    """Write `value` to `path` as indented JSON; a non-finite number becomes null, which JSON can say."""
    write_text(path, json.dumps(finite(value), indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def write_csv(path: Path, rows: Sequence[Mapping[str, Any]], first: Sequence[str] = ()) -> None:
    """Write rows with the columns `first` before all others that any row has; numbers in full precision."""
    columns: dict[str, None] = dict.fromkeys(first)
    for row in rows:
        columns |= dict.fromkeys(row)

    def produce(part: Path) -> None:
        with part.open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(columns)
            writer.writerows([row.get(column, "") for column in columns] for row in rows)

    write(path, produce)


def finite(value: Any) -> Any:
    """Return `value` with every NaN and infinity, at any depth, replaced by None."""
    if isinstance(value, float):
        return value if value - value == 0 else None
    if isinstance(value, Mapping):
        return {key: finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [finite(item) for item in value]
    return value


def check_writable(out: Path, example: str, option: str = "--out") -> None:
    """Return if the file `out`, which a command's `option` names, can be written; `example` is a name it could have.

    Raises:
        UsageError: it is a folder, or lies where nothing can be written.
    """
    folder = next(parent for parent in out.absolute().parents if parent.exists())
    if out.is_dir():
        raise UsageError(f"{option} '{out}' is a folder; allowed: a file's path, such as {out / example}")
    if not folder.is_dir():
        raise UsageError(f"{option} '{out}' cannot be written: {folder} is not a folder")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise UsageError(f"{option} '{out}' cannot be written: {folder} is read-only; name another place")


def write_output(out: Path, rows: Sequence[Mapping[str, Any]], first: Sequence[str] = ()) -> None:
    """Write the CSV file `out`, which a command is asked for, as `write_csv` does.

    Raises:
        UsageError: the disk is full or the folder is not writable.
    """
    try:
        write_csv(out, rows, first)
    except OSError as error:
        raise UsageError(f"'{out}' cannot be written: {error.strerror}; name another place") from error
