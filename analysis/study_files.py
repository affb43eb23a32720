"""A study's files as tables: finished, interrupted or running, they are read the same way."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd


@dataclass(frozen=True, eq=False)
class StudyFiles:
    """What a study left.

    Attributes:
        folder: where it lies.
        about: study.json: settings, data and environment.
        trials: a row per trial, [number of trials x columns].
        history: a row per trial and epoch.
        confirm: a row per confirmed config and seed.
        baseline: a row per number of PCA components.
        summary: summary.json, None while the study is not finished.
    """

    folder: Path
    about: dict[str, Any]
    trials: pd.DataFrame
    history: pd.DataFrame
    confirm: pd.DataFrame
    baseline: pd.DataFrame
    summary: dict[str, Any] | None


def read_study(name: str, storage: Path) -> StudyFiles:
    """Read the study `name` below the storage folder.

    Raises:
        FileNotFoundError: there is no such study, or it has not written its tables yet; the message says which.
    """
    folder = storage / name
    if not (folder / "journal.jsonl").is_file():
        known = sorted(path.parent.name for path in storage.glob("*/journal.jsonl"))
        raise FileNotFoundError(f"there is no study {name!r} in {storage}; there are: {', '.join(known) or 'none'}")
    if not (folder / "study.json").is_file():
        raise FileNotFoundError(f"study {name!r} has no tables yet; they come with its first ended trial")
    summary = folder / "summary.json"
    return StudyFiles(
        folder=folder,
        about=json.loads((folder / "study.json").read_text(encoding="utf-8")),
        trials=pd.read_csv(folder / "trials.csv"),
        history=pd.read_csv(folder / "history.csv"),
        confirm=pd.read_csv(folder / "confirm.csv"),
        baseline=pd.read_csv(folder / "baseline.csv"),
        summary=json.loads(summary.read_text(encoding="utf-8")) if summary.is_file() else None,
    )
