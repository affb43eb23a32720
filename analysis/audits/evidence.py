"""Everything that can speak for or against a claim: studies and PCA's own tables, a user's and the repository's."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from analysis.study_files import StudyFiles, read_arrays, read_kept, read_study
from study.record import tables
from study.record.commands import STORAGE
from study.record.errors import StudyError, UsageError, one_line
from study.record.reproductions import BASELINES, CONFUSION

KEPT_AS = "reproductions"
"""What stands before the name of a study, or of a table, that the repository keeps."""
_WHOLE = re.compile(r"A stratified \d+ of (\d+) training, \d+ of (\d+) validation images")
_NEEDED = ("confirm_id", "confirm_of", "key", "seed", "status", "epochs", "pretrain_epochs")


@dataclass(frozen=True, eq=False)
class Evidence:
    """What was measured.

    Attributes:
        studies: those that could be read, by name.
        baselines: PCA of all training images of a data set, a user's own before the repository's.
        skipped: a line on each folder or file that could not be read.
    """

    studies: tuple[MeasuredStudy, ...]
    baselines: tuple[PcaTable, ...]
    skipped: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class PcaTable:
    """PCA of all training images of a data set, [numbers of components x columns], and what it is called."""

    dataset: str
    source: str
    rows: pd.DataFrame


class MeasuredStudy:
    """A study's runs of reported configurations, and its data. Confirmations only: a trial has no fresh seed."""

    def __init__(self, files: StudyFiles, *, kept: bool = False) -> None:
        """Take the files of a study, or what the repository keeps of it.

        Raises:
            KeyError, TypeError: they lack what a study has.
        """
        self.name = f"{KEPT_AS}/{files.folder.name}" if kept else files.folder.name
        self.folder = files.paths
        self.about = files.about
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
        reported = files.confirm[files.confirm["key"].notna()]
        self.runs: list[dict[Any, Any]] = reported[reported["status"] == "completed"].to_dict("records")
        self.failed: list[dict[Any, Any]] = reported[reported["status"] == "failed"].to_dict("records")
        self._epochs = files.confirm_history
        self._confusions: dict[str, np.ndarray | None] = {}

    @property
    def whole_sizes(self) -> dict[str, int] | None:
        """Images in each split before a subset was taken, None if the study does not say."""
        if not self.is_subset:
            return self.sizes
        for note in self.data["notes"]:
            if match := _WHOLE.search(note):
                return {"train": int(match[1]), "val": int(match[2]), "test": self.sizes["test"]}
        return None

    def history(self, run_ids: Collection[str]) -> pd.DataFrame:
        """Return a row for each of these runs and epochs of its last stage, with every metric."""
        return self._epochs[self._epochs["confirm_id"].isin(list(run_ids))]

    def at_epoch(self, run_id: str, epoch: int) -> dict[str, float] | None:
        """Return the metrics after an epoch of a run's last stage, None if there was no such epoch."""
        rows = self._epochs[(self._epochs["confirm_id"] == run_id) & (self._epochs["epoch"] == epoch)]
        if rows.empty:
            return None
        return {str(name): float(value) for name, value in rows.iloc[0].drop("confirm_id").dropna().items()}

    def confusion(self, run: Mapping[Any, Any]) -> np.ndarray | None:
        """Return how many test images of a class (rows) were taken for another (columns), None where it is gone.

        Each run has its own beside its network, or in one table with the others; the winner's are in samples/ too.
        """
        run_id = str(run["confirm_id"])
        if run_id not in self._confusions:
            self._confusions[run_id] = self._from_cells(run_id) if self._cells is not None else self._from_arrays(run)
        return self._confusions[run_id]

    @cached_property
    def _cells(self) -> pd.DataFrame | None:
        """What each run took for what, without the pairs that it never did; None where it is beside the networks."""
        table = self.folder.path / CONFUSION
        return pd.read_csv(table, dtype={"true": str, "predicted": str}) if table.is_file() else None

    def _from_cells(self, run_id: str) -> np.ndarray | None:
        assert self._cells is not None
        names = self.data["class_names"]
        confusion = np.zeros((len(names), len(names)), dtype=np.int64)
        mine = self._cells[self._cells["confirm_id"] == run_id]
        for cell in mine.to_dict("records"):
            confusion[names.index(cell["true"]), names.index(cell["predicted"])] = cell["images"]
        return confusion if len(mine) else None

    def _from_arrays(self, run: Mapping[Any, Any]) -> np.ndarray | None:
        files = [self.folder.checkpoints / str(run["confirm_id"]) / "predictions.npz"]
        best = (self.summary or {}).get("best") or {}
        if best.get("trial_id") == str(run["confirm_of"]) and (best.get("model") or {}).get("seed") == int(run["seed"]):
            files.append(self.folder.samples / "predictions.npz")
        for file in files:
            if (arrays := read_arrays(file)) is not None:
                return np.asarray(arrays["confusion"])
        return None


def read_evidence(storage: Path | None, kept: Path | None = None) -> Evidence:
    """Read every study below the storage folder, and what the repository keeps; what cannot be read gives a line.

    Args:
        storage: The folder of the studies, None for none. That of the default name need not be there.
        kept: The folder of what `study reproduce` keeps, None for none.

    Raises:
        UsageError: there is no such storage folder.
    """
    if storage and not storage.is_dir() and (kept is None or storage != Path(STORAGE)):
        raise UsageError(f"--storage {str(storage)!r} is no folder; name the one that holds the studies")
    studies: list[MeasuredStudy] = []
    baselines: list[PcaTable] = []
    skipped: list[str] = []
    folders = [(file.parent, False) for file in sorted(storage.glob("*/journal.jsonl"))] if storage else []
    folders += [(file.parent, True) for file in sorted(kept.glob(f"*/{tables.ABOUT}"))] if kept else []
    for folder, is_kept in folders:
        try:
            found = read_kept(folder) if is_kept else read_study(folder.name, folder.parent)
            studies.append(MeasuredStudy(found, kept=is_kept))
        except (StudyError, OSError, ValueError, KeyError, TypeError) as error:
            skipped.append(f"study {folder.name!r} is left out: {_reason(error)}")
    for parent in (storage, kept):
        for file in sorted((parent / BASELINES).glob("*.csv")) if parent else []:
            source = f"{KEPT_AS}/{BASELINES}/{file.name}" if parent == kept else f"{BASELINES}/{file.name}"
            try:
                baselines.append(PcaTable(file.stem, source, pd.read_csv(file).set_index("n_components")))
            except (OSError, ValueError, KeyError) as error:
                skipped.append(f"{source} is left out: {_reason(error)}")
    return Evidence(tuple(studies), tuple(baselines), tuple(skipped))


def _reason(error: Exception) -> str:
    return f"{one_line(error)} is missing" if isinstance(error, KeyError) else one_line(error)
