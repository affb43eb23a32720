"""The CSV and JSON files of a study, as projections of its state."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from study import atomic
from study.records.folder import StudyFolder
from study.records.state import Run, StudyState

Row = dict[str, Any]

_NOT_METRICS = frozenset({"epoch", "time", "seconds"})
# What a table has when it has no rows yet, and what comes first when it has.
TRIAL_COLUMNS = ("trial_id", "number", "status", "reason", "key", "epochs", "pretrain_epochs", "seconds", "params")
HISTORY_COLUMNS = ("trial_id", "epoch", "seconds")
CONFIRM_HISTORY_COLUMNS = ("confirm_id", "epoch", "seconds")
PRETRAINING_COLUMNS = ("run_id", "epoch", "seconds")
BASELINE_COLUMNS = (
    "n_components",
    "explained_variance",
    "train_mse",
    "val_mse",
    "test_mse",
    "train_pixel_rmse_255",
    "test_pixel_rmse_255",
    "fit_seconds",
)
CONFIRM_COLUMNS = (
    "confirm_id",
    "confirm_of",
    "key",
    "seed",
    "status",
    "reason",
    "epochs",
    "pretrain_epochs",
    "seconds",
    "params",
)


def write(folder: StudyFolder, state: StudyState) -> None:
    """Write study.json, trials.csv, history.csv, confirm.csv and baseline.csv anew, each whole or not at all.

    Where there were any, epochs of confirmations are in confirm_history.csv, those of first stages in pretraining.csv.
    """
    about = {key: value for key, value in state.about.items() if key not in ("event", "time")}
    atomic.write_json(folder.path / "study.json", {**about, "settings": state.settings})
    _write_csv(folder.path / "trials.csv", TRIAL_COLUMNS, trials(state))
    _write_csv(folder.path / "history.csv", HISTORY_COLUMNS, history(state))
    _write_csv(folder.path / "confirm.csv", CONFIRM_COLUMNS, confirmations(state))
    if rows := confirm_history(state):
        _write_csv(folder.path / "confirm_history.csv", CONFIRM_HISTORY_COLUMNS, rows)
    if rows := pretraining(state):
        _write_csv(folder.path / "pretraining.csv", PRETRAINING_COLUMNS, rows)
    _write_csv(
        folder.path / "baseline.csv", BASELINE_COLUMNS, [state.baseline[rank] for rank in sorted(state.baseline)]
    )


def trials(state: StudyState) -> list[Row]:
    """Return a row per trial, in order; `seconds` is the sum of its epochs, metrics are those of the last one."""
    return [
        {"trial_id": run.id, "number": run.number, **_end(run), **_config(run), **_metrics(run.last)}
        for run in state.trials
    ]


def history(state: StudyState) -> list[Row]:
    """Return a row per trial and epoch with every metric."""
    return _epochs("trial_id", state.trials)


def confirm_history(state: StudyState) -> list[Row]:
    """Return a row per confirmation run and epoch with every metric."""
    return _epochs("confirm_id", state.confirmations)


def pretraining(state: StudyState) -> list[Row]:
    """Return a row per epoch of a first stage, of trials and of confirmations."""
    return [
        {"run_id": run.id, "epoch": epoch["epoch"], "seconds": epoch["seconds"], **_metrics(epoch)}
        for run in state.runs.values()
        for epoch in run.pretraining
    ]


def confirmations(state: StudyState) -> list[Row]:
    """Return a row per confirmed config and seed, with the metrics of its last epoch and of the test split."""
    return [
        {"confirm_id": run.id, "confirm_of": run.confirm_of, "seed": run.seed, **_end(run)}
        | {**_config(run), **_metrics(run.last), **run.final}
        for run in state.confirmations
    ]


def _epochs(name: str, runs: list[Run]) -> list[Row]:
    return [
        {name: run.id, "epoch": epoch["epoch"], "seconds": epoch["seconds"], **_metrics(epoch)}
        for run in runs
        for epoch in run.epochs
    ]


def _end(run: Run) -> Row:
    return {
        "status": run.status,
        "reason": run.reason,
        "key": run.key,
        "epochs": len(run.epochs),
        "pretrain_epochs": len(run.pretraining),
        "seconds": run.seconds,
        "params": run.params,
    }


def _config(run: Run) -> Row:
    return {f"config.{key}": value for key, value in run.config.items()}


def _metrics(epoch: Mapping[str, Any]) -> Row:
    return {key: value for key, value in epoch.items() if key not in _NOT_METRICS}


def _write_csv(path: Path, first: tuple[str, ...], rows: list[Row]) -> None:
    """Write rows with the columns `first` before all others that any row has; numbers in full precision."""
    columns = [*first, *dict.fromkeys(key for row in rows for key in row if key not in first)]

    def produce(part: Path) -> None:
        with part.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, columns, lineterminator="\n")
            writer.writeheader()
            writer.writerows(rows)

    atomic.write(path, produce)
