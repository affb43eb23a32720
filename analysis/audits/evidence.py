"""Everything below a storage folder that can speak for or against a claim: studies, and PCA's own tables."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from analysis.study_files import StudyFiles, read_study
from study.record.errors import StudyError, UsageError, one_line

BASELINES = "baselines"
"""The folder that study/baseline.py writes its tables to, each named after its data set."""
_WHOLE = re.compile(r"A stratified \d+ of (\d+) training, \d+ of (\d+) validation images")
_NEEDED = ("confirm_id", "confirm_of", "key", "seed", "status", "epochs", "pretrain_epochs")


@dataclass(frozen=True, eq=False)
class Evidence:
    """What was measured.

    Attributes:
        studies: those that could be read, by name.
        baselines: PCA of all training images of a data set, [numbers of components x columns], by data set.
        skipped: a line on each folder or file that could not be read.
    """

    studies: tuple[MeasuredStudy, ...]
    baselines: dict[str, pd.DataFrame]
    skipped: tuple[str, ...]


class MeasuredStudy:
    """A study's runs of reported configurations, and its data. Confirmations only: a trial has no fresh seed."""

    def __init__(self, files: StudyFiles) -> None:
        """Take the files of a study.

        Raises:
            KeyError, TypeError: they lack what a study has.
        """
        self.name = files.folder.name
        self.folder = files.paths
        self.baseline = files.baseline
        self.summary = files.summary
        self.data: dict[str, Any] = files.about["data"]
        settings = files.about["settings"]
        # A folder of images may have a data set's name without being it.
        self.dataset: str | None = self.data["name"] if settings["data"] == self.data["name"] else None
        self.sizes: dict[str, int] = self.data["sizes"]
        self.is_subset: bool = settings["train_size"] is not None
        self.as_reported: bool = settings.get("as_reported", False)
        if missing := [column for column in _NEEDED if column not in files.confirm]:
            raise KeyError(f"confirm.csv's column {missing[0]}")
        self._epochs = files.confirm_history
        ended = files.confirm["status"] == "completed"
        self.runs = files.confirm[ended & files.confirm["key"].notna()]

    @property
    def whole_sizes(self) -> dict[str, int] | None:
        """Images in each split before a subset was taken, None if the study does not say."""
        if not self.is_subset:
            return self.sizes
        for note in self.data["notes"]:
            if match := _WHOLE.search(note):
                return {"train": int(match[1]), "val": int(match[2]), "test": self.sizes["test"]}
        return None

    def at_epoch(self, run_id: str, epoch: int) -> dict[str, float] | None:
        """Return the metrics after an epoch of a run's last stage, None if there was no such epoch."""
        rows = self._epochs[(self._epochs["confirm_id"] == run_id) & (self._epochs["epoch"] == epoch)]
        if rows.empty:
            return None
        return {str(name): float(value) for name, value in rows.iloc[0].drop("confirm_id").dropna().items()}

    def confusion(self, run_id: str, candidate: str, seed: int) -> np.ndarray | None:
        """Return how many test images of a class (rows) were taken for another (columns), None where it is gone.

        Each run has its own beside its network; the winner's are in samples/ too.
        """
        files = [self.folder.checkpoints / run_id / "predictions.npz"]
        best = (self.summary or {}).get("best") or {}
        if best.get("trial_id") == candidate and (best.get("model") or {}).get("seed") == seed:
            files.append(self.folder.samples / "predictions.npz")
        for file in files:
            if file.is_file():
                with np.load(file, allow_pickle=False) as arrays:
                    return np.asarray(arrays["confusion"])
        return None


def read_evidence(storage: Path) -> Evidence:
    """Read every study below the storage folder; what cannot be read is left out with a line.

    Raises:
        UsageError: there is no such folder.
    """
    if not storage.is_dir():
        raise UsageError(f"--storage {str(storage)!r} is no folder; name the one that holds the studies")
    studies, skipped = [], []
    for journal in sorted(storage.glob("*/journal.jsonl")):
        name = journal.parent.name
        try:
            studies.append(MeasuredStudy(read_study(name, storage)))
        except (StudyError, OSError, ValueError, KeyError, TypeError) as error:
            skipped.append(f"study {name!r} is left out: {_reason(error)}")
    baselines = {}
    for file in sorted((storage / BASELINES).glob("*.csv")):
        try:
            baselines[file.stem] = pd.read_csv(file).set_index("n_components")
        except (OSError, ValueError, KeyError) as error:
            skipped.append(f"{BASELINES}/{file.name} is left out: {_reason(error)}")
    return Evidence(tuple(studies), baselines, tuple(skipped))


def _reason(error: Exception) -> str:
    return f"{one_line(error)} is missing" if isinstance(error, KeyError) else one_line(error)
