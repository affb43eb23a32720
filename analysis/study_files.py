"""A study's files as tables: finished, interrupted or running, they are read the same way."""

from __future__ import annotations

import io
import json
import zipfile
import zlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd

from search_spaces import FAMILY_FACTS, FamilyFacts
from study.record import ablation, files, journal, kept, tables
from study.record.errors import StudyError, UsageError, one_line
from study.record.folder import StudyFolder, did_you_mean
from study.record.tables import BASELINE, CONFIRM, CONFIRM_HISTORY, HISTORY, PRETRAINING, SPREAD, TRIALS, UNMET, Table
from study.record.words import counted

LARGEST_ARRAYS = 512 * 2**20
"""Bytes of a file of samples, as it lies there and unpacked: more is no study's."""

State = Literal["finished", "running", "interrupted", "failed", "incomplete"]

# What a table has at the least; a file without them is not one of a study. Earlier versions wrote fewer columns.
_NEEDED = {
    TRIALS: ("trial_id", "status"),
    HISTORY: ("trial_id", "epoch"),
    CONFIRM: ("confirm_of", "status"),
    BASELINE: ("n_components",),
    CONFIRM_HISTORY: CONFIRM_HISTORY.columns,
    PRETRAINING: PRETRAINING.columns,
    SPREAD: ("run_id", "status"),
}
_TEXT = dict.fromkeys(
    ("trial_id", "confirm_id", "confirm_of", "role", "run_id", "status", "reason", "key", UNMET), "str"
)

_PARTIAL: dict[State, str] = {
    "running": "This study is still running: what follows is what it had when this was written.",
    "interrupted": "This study was interrupted before its end and can be resumed: what follows is what it has so far.",
    "incomplete": "This study ended, but its files are out of reach: what follows was made again from its MLflow runs.",
}


class NoStudyError(UsageError):
    """There is no study to read: it is unknown, has not written its tables yet, or its files are missing or damaged."""


@dataclass(frozen=True, eq=False)
class StudyFiles:
    """What a study left.

    Attributes:
        folder: where it lies; its name is the study's.
        about: study.json: settings, data and environment.
        trials: a row per trial, [number of trials x columns].
        history: a row per trial and epoch.
        confirm: a row per confirmed config and seed.
        baseline: a row per number of PCA components.
        summary: summary.json, None while the study is not finished.
        pretraining: a row per run and epoch of a first stage, empty where there was none.
        confirm_history: a row per confirmation run and epoch, empty where there was none.
        spread: a row per further seed of the default, empty without `--patience`.
        ablation: a row per step from the default to the winner, and one of the whole; empty without `study ablate`.
        state: whether it is finished, running, interrupted or failed; "incomplete" if its files are out of reach.
        failed: why it failed, as far as that is known.
    """

    folder: Path
    about: dict[str, Any]
    trials: pd.DataFrame
    history: pd.DataFrame
    confirm: pd.DataFrame
    baseline: pd.DataFrame
    summary: dict[str, Any] | None
    pretraining: pd.DataFrame = field(default_factory=lambda: _empty(PRETRAINING))
    confirm_history: pd.DataFrame = field(default_factory=lambda: _empty(CONFIRM_HISTORY))
    spread: pd.DataFrame = field(default_factory=lambda: _empty(SPREAD))
    ablation: pd.DataFrame = field(default_factory=lambda: pd.DataFrame(columns=list(ablation.COLUMNS)))
    state: State = "finished"
    failed: str = ""

    @property
    def name(self) -> str:
        """The study's name."""
        return self.folder.name

    @property
    def paths(self) -> StudyFolder:
        """Where its other files lie; they need not exist."""
        return StudyFolder(self.folder)

    @property
    def metric(self) -> str:
        """What its trials are ranked by."""
        return str(self.about["objective"]["metric"])

    @property
    def settings(self) -> dict[str, Any]:
        """Its settings, empty where it does not say them."""
        settings: dict[str, Any] = self.about.get("settings", {})
        return settings

    @property
    def family(self) -> str:
        """The family of its networks."""
        own = self.about.get("own")
        return str(own["family"]) if own else str(self.about["settings"]["space"]).rpartition("_")[2]

    @property
    def facts(self) -> FamilyFacts:
        """What its family is searched for and compared with; that of a user's own file is in the record.

        Raises:
            KeyError: the record does not say it.
        """
        own = self.about.get("own")
        return FamilyFacts.from_json(own["facts"]) if own else FAMILY_FACTS[self.family]

    @property
    def chooses(self) -> bool:
        """Whether there were validation images, by which the first of its confirmed configs has won."""
        by = (self.summary or {}).get("chosen_by", "")  # not of an earlier version, which always had some
        return by is not None and self.about.get("data", {}).get("sizes", {}).get("val", 1) > 0

    @property
    def classifies(self) -> bool:
        """Whether its networks are compared by their errors of class, whatever its trials are ranked by."""
        return self.facts.baseline == "linear_classifier"

    @property
    def partial(self) -> str | None:
        """What has to be said of a study that is not finished, in a sentence; None for one that is."""
        if self.state == "failed":
            why = f": {self.failed.rstrip('.')}" if self.failed else " before its end"
            return f"This study failed{why}. What follows is what it left."
        return _PARTIAL.get(self.state)

    def arrays(self, name: str) -> dict[str, np.ndarray] | None:
        """Return the arrays of samples/NAME.npz, None where there is no such file or it was cut off."""
        return read_arrays(self.paths.samples / f"{name}.npz")

    def class_names(self, count: int) -> list[str]:
        """Return the names of the classes, their numbers where the study has none."""
        names = self.about.get("data", {}).get("class_names") or []
        return [str(names[i]) if i < len(names) else str(i) for i in range(count)]


def read_arrays(path: Path) -> dict[str, np.ndarray] | None:
    """Return the arrays of an .npz file, None where there is none, it was cut off, or it is larger than it looks."""
    try:
        data = io.BytesIO(files.read_plain(path, LARGEST_ARRAYS))
        with zipfile.ZipFile(data) as packed:
            if sum(entry.file_size for entry in packed.infolist()) > LARGEST_ARRAYS:
                return None
        with np.load(data, allow_pickle=False) as arrays:
            found = {key: arrays[key] for key in arrays}
        return found if all(isinstance(one, np.ndarray) for one in found.values()) else None
    except (OSError, ValueError, EOFError, zipfile.BadZipFile, zlib.error):
        return None


def read_study(name: str, storage: Path) -> StudyFiles:
    """Read the study `name` below the storage folder.

    Raises:
        NoStudyError: there is no such study, it has not written its tables yet, they are missing or damaged, or those
            of a finished one are not those that its journal names; the message, of one line, says which.
    """
    folder = StudyFolder(storage / name)
    if Path(name).name != name or not folder.journal.is_file():
        known = sorted(path.parent.name for path in storage.glob(f"*/{folder.journal.name}"))
        meant = did_you_mean(storage, name)
        raise NoStudyError(f"there is no study {name!r} in {storage}{meant}; there are: {', '.join(known) or 'none'}")
    begins = f"study {name!r} has no tables yet; they come with its first ended trial"
    if folder.is_locked:
        if not (folder.path / tables.ABOUT).is_file():
            raise NoStudyError(begins)
        return read_tables(folder.path, "running", ended=False)
    try:
        state = journal.read_state(folder.journal)
    except StudyError as error:
        raise NoStudyError(one_line(error)) from None
    finished = state.summary is not None
    expected = [*tables.ALWAYS, *([tables.SUMMARY] if finished else [])]
    if missing := [file for file in expected if not (folder.path / file).is_file()]:
        if all(run.status == "running" for run in state.all_runs):
            raise NoStudyError(begins)
        raise NoStudyError(f"study {name!r} lacks {_made_again(missing, folder)}")
    # An earlier version has not said what they are; that they are there has been seen.
    if finished and state.files and (changed := kept.damaged(folder, state, kept.OF_TABLES)):
        raise NoStudyError(f"study {name!r} has a changed or damaged {_made_again(changed, folder)}")
    left: State = "interrupted" if state.failed is None else "failed"
    return read_tables(folder.path, left, ended=finished, failed=state.failed or "")


def _made_again(names: list[str], folder: StudyFolder) -> str:
    more = f" and {counted(len(names) - 1, 'more file')}" if len(names) > 1 else ""
    return f"{names[0]}{more}, made again from its journal by: {folder.resume_command()}"


def read_kept(folder: Path) -> StudyFiles:
    """Read what the repository keeps of a finished study.

    Raises:
        NoStudyError: a file is missing, damaged or not one of a study.
    """
    return read_tables(folder, "incomplete", without=(TRIALS, HISTORY, BASELINE))


def read_tables(
    folder: Path, unfinished: State, *, ended: bool = True, failed: str = "", without: tuple[Table, ...] = ()
) -> StudyFiles:
    """Read the tables in a folder.

    Args:
        folder: Where study.json and the .csv files lie.
        unfinished: What the study is if it has no summary.
        ended: Whether a summary.json that is there is the study's last word.
        failed: Why it failed, if that is known.
        without: Tables that are empty where there is no file.

    Raises:
        NoStudyError: a file is missing, damaged or not one of a study.
    """
    about = _json(folder / tables.ABOUT)
    objective = about.get("objective")
    if not isinstance(objective, dict) or not {"metric", "mode"} <= objective.keys():
        raise NoStudyError(f"{folder / tables.ABOUT} is not of a study: it names no objective")
    summary = _json(folder / tables.SUMMARY) if ended and (folder / tables.SUMMARY).is_file() else None
    found = {
        table.name: _csv(folder / table.file, _NEEDED[table])
        if (folder / table.file).is_file() or not (table.optional or table in without)
        else _empty(table)
        for table in tables.TABLES
    }
    state: State = "finished" if summary is not None else unfinished
    if (folder / ablation.FILE).is_file():
        found["ablation"] = _csv(folder / ablation.FILE, ablation.COLUMNS)
    return StudyFiles(folder=folder, about=about, summary=summary, state=state, failed=failed, **found)


def _empty(table: Table) -> pd.DataFrame:
    return pd.DataFrame(columns=list(table.columns))


def _json(path: Path) -> dict[str, Any]:
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise NoStudyError(f"{path} cannot be read: {one_line(error)}") from None
    if not isinstance(value, dict):
        raise NoStudyError(f"{path} is not of a study: it holds no settings")
    return value


def _csv(path: Path, columns: tuple[str, ...]) -> pd.DataFrame:
    try:
        table = pd.read_csv(path, dtype=_TEXT, low_memory=False)
    except (OSError, ValueError) as error:  # pandas' own errors are ValueErrors
        raise NoStudyError(f"{path} cannot be read: {one_line(error)}") from None
    missing = [column for column in columns if column not in table]
    if missing:
        raise NoStudyError(f"{path} is not of a study: it has no column {missing[0]!r}")
    return table
