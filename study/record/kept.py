"""What the journal says that a study has left on the disk, and whether it is there: by size and digest."""

from __future__ import annotations

import hashlib
from collections.abc import Container, Iterable
from functools import partial
from pathlib import Path

from study.record import tables
from study.record.events import Files
from study.record.folder import StudyFolder
from study.record.state import StudyState

NETWORK = ("model.pt", "config.json")
"""The files of every network."""
OF_NETWORK = (*NETWORK, "space.py")
"""The files of a network, with the code of one whose layers are in a person's own file."""

OF_TABLES = (tables.ABOUT, tables.SUMMARY, *(table.file for table in tables.TABLES))
"""The files that are a study's tables; those that are optional need not be there."""

_CHUNK = 2**20  # bytes read at a time


def fingerprint(path: Path) -> str:
    """Return a file's size in bytes and the SHA-256 of its content, as "SIZE:DIGITS"."""
    with path.open("rb") as file:
        return of_content(iter(partial(file.read, _CHUNK), b""))


def of_content(chunks: Iterable[bytes]) -> str:
    """Return what `fingerprint` says of a file that holds these bytes, one chunk after the other."""
    digest = hashlib.sha256()
    size = 0
    for chunk in chunks:
        digest.update(chunk)
        size += len(chunk)
    return f"{size}:{digest.hexdigest()}"


def fingerprints(folder: Path, patterns: Iterable[str]) -> Files:
    """Return the fingerprint of every file below `folder` that one of `patterns` names, by its path from there."""
    found = sorted(path for pattern in patterns for path in folder.glob(pattern) if path.is_file())
    return {path.relative_to(folder).as_posix(): fingerprint(path) for path in found}


def is_intact(path: Path, expected: str) -> bool:
    """Return whether a file is there and has this fingerprint."""
    try:
        return expected.startswith(f"{path.stat().st_size}:") and fingerprint(path) == expected
    except OSError:
        return False


def of_study(folder: StudyFolder) -> Files:
    """Return the files of a finished study, by their paths from its folder: tables, summary, network and samples."""
    return fingerprints(folder.path, [*OF_TABLES, f"{folder.best.name}/*", f"{folder.samples.name}/*"])


def damaged(folder: StudyFolder, state: StudyState, among: Container[str] | None = None) -> list[str]:
    """Return which files of a finished study are missing, or are not what its journal says, by their paths from there.

    An earlier version has not said what they are: of its studies those are named that are missing or empty.

    Args:
        folder: The study's.
        state: What its journal says.
        among: The files that are looked at, such as `OF_TABLES`; all of them by default.
    """
    if state.files:
        said = {name: expected for name, expected in state.files.items() if among is None or name in among}
        return [name for name, expected in said.items() if not is_intact(folder.path / name, expected)]
    expected = [*tables.ALWAYS, tables.SUMMARY]
    if state.summary is not None and state.summary["best"] is not None:
        expected += [f"{folder.best.name}/{name}" for name in NETWORK]
    paths = {name: folder.path / name for name in expected if among is None or name in among}
    return [name for name, path in paths.items() if not path.is_file() or not path.stat().st_size]
