"""The studies of the reports' own configurations: what they are called, and what of each the repository keeps."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from study.record import tables

KEPT = Path(__file__).resolve().parents[2] / "analysis" / "reproductions"
"""The folder of what is kept, one folder per study, and PCA's own tables in `BASELINES`."""

BASELINES = "baselines"
"""The folder that `study baseline` writes its tables to, each named after its data set; below `results`, too."""

CONFUSION = "confusion.csv"
"""How many test images of a class were taken for another, by run: a row for each two where there are any."""
CONFUSION_COLUMNS = ("confirm_id", "true", "predicted", "images")

PACES = "paces.json"
"""Seconds of an epoch of each stage by machine and configuration, as `study reproduce` measured them on some batches;
beside the studies, and beside what is kept."""

TABLES = (tables.CONFIRM, tables.CONFIRM_HISTORY, tables.PRETRAINING, tables.BASELINE)
"""The tables of a study that are kept; of a search there is nothing."""

LIKE_THE_REPORT: tuple[str, ...] = ("--as-reported",)
"""Options of `study run` by which a study keeps to its report beyond the configuration."""


def name_of(key: str, seeds: int | Literal["*"], *, held_out: bool = False) -> str:
    """Return the name of the study that trains a reported configuration on so many seeds; "*" stands for any number.

    `held_out` is the one with validation images, of a report that had none.
    """
    return "-".join(["reproduce", *key.split("/"), f"x{seeds}"]) + "-held-out" * held_out
