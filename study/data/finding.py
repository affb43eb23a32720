"""Which files of a user's folder are its images, of which class and split: what is found, what is left out and why."""

from __future__ import annotations

import csv
import os
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from study.record import words
from study.record.errors import DataError

SplitName = Literal["train", "val", "test"]
SPLIT_FOLDERS: Mapping[str, SplitName] = {
    "train": "train",
    "training": "train",
    "val": "val",
    "valid": "val",
    "validation": "val",
    "test": "test",
    "testing": "test",
}
"""Names of folders, in small letters, that are splits, not classes: where there are images to train on and others."""

ONLY_CLASS = "images"
"""The class of images that lie in a split's folder itself."""

HIDDEN, LINKED, BESIDE = "hidden", "in linked folders", "not below a class's folder"
NOT_LABELLED, NO_IMAGE = "not named by --labels", "of no format that is read here"

LEFT_OUT = "Files left out:"
"""How the note begins that counts them."""

_SHOWN = 10


@dataclass(frozen=True)
class Candidate:
    """A file that may be an image; `split` is None where the project draws the splits."""

    path: Path
    class_name: str
    split: SplitName | None = None


@dataclass(frozen=True)
class Candidates:
    """What a folder holds, in the order of its classes' names and of the paths.

    Attributes:
        root: The folder that the classes or splits lie in.
        files: Each may be an image.
        class_names: Those of all folders or labels, sorted, those without files included.
        left_out: How many files are not used, by the reason.
    """

    root: Path
    files: tuple[Candidate, ...]
    class_names: tuple[str, ...]
    left_out: Counter[str]


def find(folder: Path, labels: Path | None) -> Candidates:
    """Find the files of a folder: one sub-folder per class, or per split and in it per class, or as a table says.

    A single sub-folder that holds nothing but folders is entered. Links to folders are not, below a class.

    Args:
        folder: It exists.
        labels: A CSV file with the columns file, relative to the folder, and label.

    Raises:
        DataError: there are no sub-folders, the table is damaged, or it names files that are not there.
        OSError: the folder cannot be read.
    """
    if labels is not None:
        return _by_table(folder, labels)
    root = _unwrapped(folder)
    left_out: Counter[str] = Counter()
    if root != folder:
        _count_beside(folder, root, left_out)
    inner = _folders(root)
    if not inner:
        raise DataError(
            f"--data {folder} has no sub-folders; it takes one per class, such as {folder / 'cat' / '1.png'} "
            "(for images without classes, one sub-folder for all; for a table of classes, --labels FILE.csv)"
        )
    splits = _splits(root, inner)
    files: list[Candidate] = []
    names: set[str] = set()
    _count_files(root, left_out)
    if splits is None:
        for entry in inner:
            files += _of_class(entry, None, left_out)
            names.add(shown(entry.name))
    else:
        for entry in inner:
            if entry not in splits.values():
                left_out[BESIDE] += sum(1 for _ in _walk(entry, Counter()))
        classes = {split: _folders(entry) for split, entry in splits.items()}
        for split, entry in splits.items():
            found = list(_of_split(entry, split, classes[split], left_out))
            if not found:
                raise DataError(f"--data {folder}: {shown(entry.name)} has no images; add some or take the folder away")
            files += found
            names |= {shown(one.name) for one in classes[split]} or {ONLY_CLASS}
        _check_classes(folder, splits, classes, files)
    if len(names) < len({one.name for one in inner}) and splits is None:
        raise DataError(f"--data {folder}: two classes have names that look the same; rename one")
    return Candidates(root, tuple(files), tuple(sorted(names)), left_out)


def shown(name: str) -> str:
    """Return a file's name as text that anything can show: what is not printable, or not UTF-8, is written as escapes.

    A class gets its name here: so it cannot move a terminal's cursor, nor break a file that is written in UTF-8.
    """
    return words.shown(os.fsencode(name).decode("utf-8", "backslashreplace"))


def suffixes(paths: Iterable[Path]) -> str:
    """Say which suffixes files have, such as "6 .npy, 1 without": the commonest first."""
    counts = Counter(shown(path.suffix.lower()) for path in paths)
    return ", ".join(f"{count} {suffix or 'without a suffix'}" for suffix, count in counts.most_common(5))


def first_of(lines: list[str]) -> str:
    """Return the first ten of what is to be said, and how many more there are."""
    more = f"; and {len(lines) - _SHOWN} more" if len(lines) > _SHOWN else ""
    return "; ".join(lines[:_SHOWN]) + more


def _unwrapped(folder: Path) -> Path:
    """Return the folder that the classes lie in: the only sub-folder is gone into where it holds folders alone."""
    inner = _folders(folder)
    while len(inner) == 1 and _folders(inner[0]) and not any(_files(inner[0])):
        folder = inner[0]
        inner = _folders(folder)
    return folder


def _splits(root: Path, inner: list[Path]) -> dict[SplitName, Path] | None:
    """Return the folders of the splits, None where the sub-folders are classes."""
    found: dict[SplitName, Path] = {}
    for entry in inner:
        split = SPLIT_FOLDERS.get(entry.name.lower())
        if split in found:
            raise DataError(f"--data {root}: both {found[split].name!r} and {entry.name!r} are the {split} split")
        if split is not None:
            found[split] = entry
    return found if "train" in found and len(found) > 1 else None


def _of_split(folder: Path, split: SplitName, classes: Sequence[Path], left_out: Counter[str]) -> Iterator[Candidate]:
    if classes:
        _count_files(folder, left_out)
    for entry in classes:
        yield from _of_class(entry, split, left_out)
    if not classes:
        yield from (Candidate(path, ONLY_CLASS, split) for path in sorted(_walk(folder, left_out)))


def _check_classes(
    folder: Path,
    splits: Mapping[SplitName, Path],
    classes: Mapping[SplitName, Sequence[Path]],
    files: Iterable[Candidate],
) -> None:
    """Refuse a split without folders of classes beside one that has them."""
    bare = next((split for split in splits if not classes[split]), None)
    sorted_one = next((split for split in splits if classes[split]), None)
    if bare is None or sorted_one is None:
        return
    there = suffixes(one.path for one in files if one.split == bare)
    names = [shown(one.name) for one in classes[sorted_one]]
    listed = ", ".join(names[:_SHOWN]) + (" …" if len(names) > _SHOWN else "")
    raise DataError(
        f"--data {folder}: {shown(splits[bare].name)} has images but no class folders (files there: {there}), while "
        f"{shown(splits[sorted_one].name)} has {listed}; sort them into classes or move the folder away"
    )


def _of_class(folder: Path, split: SplitName | None, left_out: Counter[str]) -> list[Candidate]:
    return [Candidate(path, shown(folder.name), split) for path in sorted(_walk(folder, left_out))]


def _by_table(folder: Path, table: Path) -> Candidates:
    labels = _labels(table)
    splits = _splits(folder, _folders(folder)) or {}
    names = {entry.name: split for split, entry in splits.items()}
    left_out: Counter[str] = Counter()
    there = {os.path.relpath(path, folder): path for path in _walk(folder, left_out) if path != table.absolute()}
    missing = [f"{file!r}" for file in labels if file not in there]
    if missing:
        raise DataError(f"--labels {table} names {len(missing)} files that are not in {folder}: {first_of(missing)}")
    files = [
        Candidate(there[file], label, names.get(Path(file).parts[0]))
        for file, label in sorted(labels.items(), key=lambda item: (item[1], item[0]))
    ]
    if unplaced := [one for one in files if names and one.split is None]:
        raise DataError(f"--labels {table}: {unplaced[0].path} is in none of the splits' folders {', '.join(names)}")
    if rest := len(there) - len(files):
        left_out[NOT_LABELLED] += rest
    return Candidates(folder, tuple(files), tuple(sorted(set(labels.values()))), left_out)


def _labels(table: Path) -> dict[str, str]:
    """Read the label of each file from a CSV file; two spellings of a path are one file."""
    option = f"--labels {table}"
    try:
        with table.open(encoding="utf-8-sig", newline="") as file:
            rows = csv.DictReader(file)
            columns = [name.strip() for name in rows.fieldnames or ()]
            if not {"file", "label"} <= {*columns}:
                has = f"has the columns {', '.join(columns)}" if columns else "has no columns"
                raise DataError(f"{option} {has}; it needs file and label, separated by commas")
            rows.fieldnames = columns
            found: dict[str, str] = {}
            for row in rows:
                # Spreadsheets and hands leave blanks, which would make a class of their own.
                name, label = (row["file"] or "").strip(), (row["label"] or "").strip()
                if not name or not label:
                    raise DataError(f"{option}: line {rows.line_num} lacks a file or a label")
                name = os.path.normpath(name)
                if found.setdefault(name, shown(label)) != shown(label):
                    raise DataError(f"{option}: {name!r} has two labels, {found[name]!r} and {label!r}")
    except (OSError, ValueError, csv.Error) as error:
        raise DataError(f"{option} cannot be read: {getattr(error, 'strerror', None) or error}") from error
    if not found:
        raise DataError(f"{option} has no lines below its header")
    return found


def _folders(folder: Path) -> list[Path]:
    return sorted(entry for entry in folder.iterdir() if not entry.name.startswith(".") and entry.is_dir())


def _files(folder: Path) -> Iterator[Path]:
    return (entry for entry in folder.iterdir() if not entry.name.startswith(".") and not entry.is_dir())


def _count_files(folder: Path, left_out: Counter[str]) -> None:
    """Count the files that lie directly in a folder of classes."""
    for entry in folder.iterdir():
        if entry.is_dir():
            if entry.name.startswith("."):
                left_out[HIDDEN] += sum(len(names) for _, _, names in os.walk(entry))
        else:
            left_out[HIDDEN if entry.name.startswith(".") else BESIDE] += 1


def _count_beside(folder: Path, root: Path, left_out: Counter[str]) -> None:
    """Count the files on the way to the folder that the classes lie in."""
    while folder != root:
        _count_files(folder, left_out)
        folder = folder / root.relative_to(folder).parts[0]


def _walk(folder: Path, left_out: Counter[str]) -> Iterator[Path]:
    """Yield the files below a folder; count those that are hidden or behind a link to a folder."""
    for parent, folders, names in os.walk(folder):
        for name in folders:
            path = os.path.join(parent, name)
            if name.startswith("."):
                left_out[HIDDEN] += sum(len(files) for _, _, files in os.walk(path))
            elif os.path.islink(path):
                left_out[LINKED] += sum(len(files) for _, _, files in os.walk(path))
        folders[:] = [name for name in folders if not name.startswith(".")]
        left_out[HIDDEN] += sum(name.startswith(".") for name in names)
        yield from (Path(parent) / name for name in names if not name.startswith("."))
