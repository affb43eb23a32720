"""What a finished study of a report's configuration leaves in the repository: its tables and pictures, no networks."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from study.record import files, journal, tables
from study.record.folder import StudyFolder
from study.record.reproductions import CONFUSION, CONFUSION_COLUMNS, TABLES
from study.record.settings import place_fields
from study.record.state import StudyState

MOST_BYTES = 300_000
"""Of a picture."""
_PATH = re.compile(r"(?<![\w/:.])~?/[^\s'\",;]+")
_TIMES = frozenset({"train_seconds", "val_seconds", "compile_seconds", "images_per_second"})
_COLOURS = 256
_SMALLER = 0.85  # of each side, until a picture is small enough


def keep(folder: StudyFolder, into: Path) -> Path:
    """Write what is kept of a finished study into a folder of its name below `into`, and return that folder.

    It takes the place of what was there, whole or not at all. Left out is where the study ran and lies, and of the
    times all but the seconds of each epoch and run.
    """
    state = journal.read_state(folder.journal)
    assert state.summary is not None
    target = into / folder.name
    with files.replaced(target) as part:
        files.write_json(part / tables.ABOUT, _about(state))
        files.write_json(part / tables.SUMMARY, state.summary)
        for table in TABLES:
            if rows := [_kept_row(row) for row in table.rows(state)]:
                files.write_csv(part / table.file, rows, table.columns)
        if confusions := list(_confusions(folder, state)):
            files.write_csv(part / CONFUSION, confusions, CONFUSION_COLUMNS)
        for picture in sorted(folder.samples.glob("*.png")):
            (part / picture.name).write_bytes(small_png(picture))
    return target


def _about(state: StudyState) -> dict[str, Any]:
    """Return study.json without the settings that say where a study runs or is kept, and with its hours."""
    about = {key: value for key, value in tables.about(state).items() if key != "place"}
    places = place_fields()
    settings = {key: value for key, value in state.settings.items() if key not in places}
    hours = {
        "wall": state.wall_s / 3600,
        "training": sum(run.seconds for run in state.confirmations) / 3600,
    }
    return {**about, "settings": settings, "hours": {key: round(value, 4) for key, value in hours.items()}}


def _kept_row(row: dict[str, Any]) -> dict[str, Any]:
    """Return a row of a table as it is kept; the reason of a run that failed may have named a file of the machine."""
    row = {key: value for key, value in row.items() if key not in _TIMES}
    return row | {"reason": _PATH.sub("…", row["reason"])} if row.get("reason") else row


def _confusions(folder: StudyFolder, state: StudyState) -> Iterator[dict[str, Any]]:
    """Return the cells of each run's confusion matrix that are not 0; of what has no classes, none."""
    names = state.about.data["class_names"] if state.about else []
    for run in state.confirmations:
        file = folder.checkpoints / run.id / "predictions.npz"
        if not file.is_file():
            continue
        with np.load(file, allow_pickle=False) as arrays:
            confusion = arrays["confusion"]
        for true, predicted in np.argwhere(confusion).tolist():
            cell = (run.id, names[true], names[predicted], int(confusion[true, predicted]))
            yield dict(zip(CONFUSION_COLUMNS, cell, strict=True))


def compared(folder: StudyFolder, into: Path) -> list[str]:
    """Return a line on each run of a study, of whose configuration, images and seed there is one below `into` already.

    It says whether the numbers are the same to the last digit, else by how much they differ at most.
    """
    lines = []
    state = journal.read_state(folder.journal)
    assert state.about is not None
    same_images = state.about.data["digest"]
    before = {(row["key"], row["seed"]): (file.parent.name, row) for file, row in _kept_runs(into, same_images)}
    for row in tables.confirmations(state):
        name, old = before.get((row["key"], str(row["seed"])), ("", {}))
        changes = [change for key, value in _kept_row(row).items() if (change := _change(old.get(key), value, key))]
        if changes:
            part, column = max(changes)
            lines.append(
                f"{row['confirm_id']} differs, most in {column}, by {part:.2g} of it, from what was kept in {name}"
            )
        elif name:
            lines.append(f"{row['confirm_id']} has the same numbers as was kept in {name}")
    return lines


def _kept_runs(into: Path, digest: str) -> Iterator[tuple[Path, dict[str, str]]]:
    """Return the runs of the kept studies whose images, as they are divided, have this digest."""
    for file in sorted(into.glob(f"*/{tables.CONFIRM.file}")):
        if json.loads((file.parent / tables.ABOUT).read_bytes())["data"]["digest"] != digest:
            continue
        with file.open(newline="", encoding="utf-8") as lines:
            yield from ((file, row) for row in csv.DictReader(lines))


def _change(old: str | None, new: object, column: str) -> tuple[float, str] | None:
    """Return by what part a measured number has changed, and its column; None where it is the same or no measure."""
    if not isinstance(new, float) or not column.startswith(("train_", "val_", "test_")):
        return None
    if not old or old == str(new):
        return None
    before = float(old)
    return abs(new - before) / max(abs(before), 1e-300), column


def small_png(picture: Path) -> bytes:
    """Return a picture as PNG of at most `MOST_BYTES`: as it is, else of fewer colours, else smaller."""
    if picture.stat().st_size <= MOST_BYTES:
        return picture.read_bytes()
    with Image.open(picture) as opened:
        image = opened.convert("RGB")
    while True:
        stream = io.BytesIO()
        image.quantize(_COLOURS).save(stream, format="PNG", optimize=True)
        if stream.tell() <= MOST_BYTES:
            return stream.getvalue()
        width, height = (max(1, round(side * _SMALLER)) for side in image.size)
        image = image.resize((width, height), Image.Resampling.LANCZOS)
