"""The CSV and JSON files of a study, as projections of its state."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import pandas as pd

from study import atomic
from study.folder import StudyFolder
from study.pca import COLUMNS
from study.state import Run, StudyState

_NOT_METRICS = frozenset({"epoch", "time", "seconds"})


def write(folder: StudyFolder, state: StudyState) -> None:
    """Write study.json, trials.csv, history.csv, confirm.csv and baseline.csv anew, each whole or not at all."""
    about = {key: value for key, value in state.about.items() if key not in ("event", "time")}
    atomic.write_json(folder.path / "study.json", {**about, "settings": state.settings})
    _write_csv(folder, "trials.csv", trials(state))
    _write_csv(folder, "history.csv", history(state))
    _write_csv(folder, "confirm.csv", confirmations(state))
    _write_csv(folder, "baseline.csv", baseline(state))


def trials(state: StudyState) -> pd.DataFrame:
    """Return a row per trial, in order; `seconds` is the sum of its epochs, metrics are those of the last one."""
    fixed = ("trial_id", "number", "status", "reason", "key", "epochs", "seconds", "params")
    return _frame(
        (
            {
                "trial_id": run.id,
                "number": run.number,
                "status": run.status,
                "reason": run.reason,
                "key": run.key,
                "epochs": len(run.epochs),
                "seconds": run.seconds,
                "params": run.params,
                **_config(run),
                **_metrics(run.last),
            }
            for run in state.trials
        ),
        fixed,
    )


def history(state: StudyState) -> pd.DataFrame:
    """Return a row per trial and epoch with every metric."""
    return _frame(
        (
            {"trial_id": run.id, "epoch": epoch["epoch"], **_metrics(epoch), "seconds": epoch["seconds"]}
            for run in state.trials
            for epoch in run.epochs
        ),
        ("trial_id", "epoch"),
    )


def confirmations(state: StudyState) -> pd.DataFrame:
    """Return a row per confirmed config and seed, with the metrics of its last epoch and of the test split."""
    return _frame(
        (
            {
                "confirm_id": run.id,
                "confirm_of": run.confirm_of,
                "key": run.key,
                "seed": run.seed,
                "status": run.status,
                "reason": run.reason,
                "epochs": len(run.epochs),
                "seconds": run.seconds,
                "params": run.params,
                **_metrics(run.last),
                **run.final,
                **_config(run),
            }
            for run in state.confirmations
        ),
        ("confirm_id", "confirm_of", "key", "seed", "status", "reason", "epochs", "seconds", "params"),
    )


def baseline(state: StudyState) -> pd.DataFrame:
    """Return a row per number of PCA components, ascending."""
    return _frame((state.baseline[rank] for rank in sorted(state.baseline)), COLUMNS)


def _config(run: Run) -> dict[str, Any]:
    return {f"config.{key}": value for key, value in run.config.items()}


def _metrics(epoch: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in epoch.items() if key not in _NOT_METRICS}


def _frame(rows: Iterable[Mapping[str, Any]], columns: tuple[str, ...]) -> pd.DataFrame:
    """Return a table that has `columns` first, also when there are no rows; whole numbers stay whole."""
    table = pd.DataFrame(list(rows))
    rest = [name for name in table.columns if name not in columns]
    return table.reindex(columns=[*columns, *rest]).convert_dtypes(
        convert_string=False, convert_boolean=False, convert_floating=False
    )


def _write_csv(folder: StudyFolder, name: str, table: pd.DataFrame) -> None:
    atomic.write(folder.path / name, lambda part: table.to_csv(part, index=False))
