"""A study's files as tables: finished, interrupted or running, they are read the same way."""

from __future__ import annotations

import fcntl
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import pandas as pd

State = Literal["finished", "running", "interrupted", "failed", "incomplete"]

# What a table has at the least; a file without them is not one of a study.
_COLUMNS = {
    "trials": ("trial_id", "status"),
    "history": ("trial_id", "epoch"),
    "confirm": ("confirm_of", "status"),
    "baseline": ("n_components",),
}
# Tables that a study writes if it has something for them.
_OPTIONAL = {
    "pretraining": ("run_id", "epoch", "seconds"),
    "confirm_history": ("confirm_id", "epoch", "seconds"),
}
_TEXT = dict.fromkeys(("trial_id", "confirm_id", "confirm_of", "run_id", "status", "reason", "key"), "str")

_PARTIAL: dict[State, str] = {
    "running": "This study is still running: what follows is what it had when this was written.",
    "interrupted": "This study was interrupted before its end and can be resumed: what follows is what it has so far.",
    "failed": "This study failed: every run of it did. What follows is what it left.",
    "incomplete": "This study ended, but its files are out of reach: what follows was made again from its MLflow runs.",
}


class NoStudyError(FileNotFoundError):
    """There is no study to read: it is unknown, has not written its tables yet, or its files are damaged."""


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
        state: whether it is finished, running, interrupted or failed; "incomplete" if its files are out of reach.
    """

    folder: Path
    about: dict[str, Any]
    trials: pd.DataFrame
    history: pd.DataFrame
    confirm: pd.DataFrame
    baseline: pd.DataFrame
    summary: dict[str, Any] | None
    pretraining: pd.DataFrame = field(default_factory=lambda: _empty("pretraining"))
    confirm_history: pd.DataFrame = field(default_factory=lambda: _empty("confirm_history"))
    state: State = "finished"

    @property
    def name(self) -> str:
        """The study's name."""
        return self.folder.name

    @property
    def samples(self) -> Path:
        """The folder of the winner's samples, .npz and .png; it need not exist."""
        return self.folder / "samples"

    @property
    def best(self) -> Path:
        """The folder of the best network, model.pt and config.json; it need not exist."""
        return self.folder / "best"

    @property
    def partial(self) -> str | None:
        """What has to be said of a study that is not finished, in a sentence; None for one that is."""
        return _PARTIAL.get(self.state)


def read_study(name: str, storage: Path) -> StudyFiles:
    """Read the study `name` below the storage folder.

    Raises:
        NoStudyError: there is no such study, it has not written its tables yet, or they are damaged; the message, of
            one line, says which.
    """
    folder = storage / name
    if Path(name).name != name or not (folder / "journal.jsonl").is_file():
        known = sorted(path.parent.name for path in storage.glob("*/journal.jsonl"))
        raise NoStudyError(f"there is no study {name!r} in {storage}; there are: {', '.join(known) or 'none'}")
    if not (folder / "study.json").is_file():
        raise NoStudyError(f"study {name!r} has no tables yet; they come with its first ended trial")
    if _is_locked(folder / ".lock"):
        return read_tables(folder, "running", ended=False)
    return read_tables(folder, "interrupted", ended=not _was_extended(folder / "journal.jsonl"))


def read_tables(folder: Path, unfinished: State, *, ended: bool = True) -> StudyFiles:
    """Read the tables in a folder.

    Args:
        folder: Where study.json and the .csv files lie.
        unfinished: What the study is if it has no summary.
        ended: Whether a summary.json that is there is the study's last word.

    Raises:
        NoStudyError: a file is missing, damaged or not one of a study.
    """
    about = _json(folder / "study.json")
    objective = about.get("objective")
    if not isinstance(objective, dict) or not {"metric", "mode"} <= objective.keys():
        raise NoStudyError(f"{folder / 'study.json'} is not of a study: it names no objective")
    summary = _json(folder / "summary.json") if ended and (folder / "summary.json").is_file() else None
    tables = {name: _csv(folder / f"{name}.csv", columns) for name, columns in _COLUMNS.items()}
    for name, columns in _OPTIONAL.items():
        if (folder / f"{name}.csv").is_file():
            tables[name] = _csv(folder / f"{name}.csv", columns)
    state: State = "finished" if summary is not None else unfinished
    runs = [*tables["trials"]["status"], *tables["confirm"]["status"]]
    if state == "interrupted" and runs and all(status == "failed" for status in runs):
        state = "failed"
    return StudyFiles(folder=folder, about=about, summary=summary, state=state, **tables)


def _empty(name: str) -> pd.DataFrame:
    return pd.DataFrame(columns=list(_OPTIONAL[name]))


def _json(path: Path) -> dict[str, Any]:
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise NoStudyError(f"{path} cannot be read: {_one_line(error)}") from None
    if not isinstance(value, dict):
        raise NoStudyError(f"{path} is not of a study: it holds no settings")
    return value


def _csv(path: Path, columns: tuple[str, ...]) -> pd.DataFrame:
    try:
        table = pd.read_csv(path, dtype=_TEXT, low_memory=False)
    except (OSError, ValueError) as error:  # pandas' own errors are ValueErrors
        raise NoStudyError(f"{path} cannot be read: {_one_line(error)}") from None
    missing = [column for column in columns if column not in table]
    if missing:
        raise NoStudyError(f"{path} is not of a study: it has no column {missing[0]!r}")
    return table


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())


def _is_locked(path: Path) -> bool:
    """Return whether a driver holds the study's lock; asking takes a shared lock for a moment."""
    try:
        with path.open("rb") as file:
            try:
                fcntl.lockf(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except OSError:
                return True
            return False
    except OSError:
        return False


def _was_extended(journal: Path) -> bool:
    """Return whether a session with changed settings began after the last finish: its summary is then an old one."""
    extended = False
    with journal.open(encoding="utf-8", errors="replace") as lines:
        for line in lines:
            if line.startswith('{"event": "finish"'):
                extended = False
            elif line.startswith('{"event": "session"'):
                extended = extended or '"changed": {}' not in line
    return extended
