"""The CSV and JSON files of a study, as projections of its state."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from study.record import constraints, files
from study.record.folder import StudyFolder
from study.record.state import Run, StudyState

Row = dict[str, Any]

UNMET = "unmet"
"""The column that says which constraints a run did not keep."""
ABOUT, SUMMARY = "study.json", "summary.json"
_NOT_ABOUT = ("event", "time", "elapsed")
_NOT_METRICS = frozenset({"epoch", "seconds"})
_END = ("status", "reason", "key", "epochs", "pretrain_epochs", "seconds", "params", "ended_s")  # of every run


@dataclass(frozen=True)
class Table:
    """A CSV file of a study.

    Attributes:
        name: of the file, without its ending.
        columns: what it has when it has no rows yet, and what comes first when it has.
        rows: from the state.
        optional: whether it is written only where there are rows.
    """

    name: str
    columns: tuple[str, ...]
    rows: Callable[[StudyState], list[Row]]
    optional: bool = False

    @property
    def file(self) -> str:
        """The name of the file."""
        return f"{self.name}.csv"


def about(state: StudyState) -> Row:
    """Return the content of study.json; `started` is when it began, in seconds since 1970.

    `later_environments` are those of drivers that went on with it on other machines or with other versions, each once,
    with `on_gpu`, whether runs had one. `energy` is what the machines say that they took: how many were asked
    (`machines`), the `joules` by kind ("processor", "memory", "GPU") of those that tell, and how many do (`told_by`).
    None until a run has been trained.
    """
    assert state.about is not None
    said = {key: value for key, value in state.about.to_json().items() if key not in _NOT_ABOUT}
    own = {"started": state.about.time, "settings": state.settings, "place": state.place, "energy": _energy(state)}
    return said | own | {"later_environments": _later_environments(state)}


def _later_environments(state: StudyState) -> list[Row]:
    assert state.about is not None
    first = {**state.about.environment, "on_gpu": state.about.gpu is not None}
    known = [first]
    for session in state.later_sessions:
        ran = {**session.environment, "on_gpu": session.gpu is not None}
        if session.environment and ran not in known:
            known.append(ran)
    return known[1:]


def _energy(state: StudyState) -> Row | None:
    if not state.energy:
        return None
    told = list(state.energy.values())
    kinds = sorted({kind for of in told for kind in of})
    return {
        "machines": len(told),
        "joules": {kind: round(sum(of.get(kind, 0.0) for of in told), 3) for kind in kinds},
        "told_by": {kind: sum(kind in of for of in told) for kind in kinds},
    }


def write(folder: StudyFolder, state: StudyState) -> None:
    """Write study.json and every table of `TABLES` anew, each whole or not at all."""
    files.write_json(folder.path / ABOUT, about(state))
    for table in TABLES:
        rows = table.rows(state)
        if rows or not table.optional:
            files.write_csv(folder.path / table.file, rows, table.columns)


def trials(state: StudyState) -> list[Row]:
    """Return a row per trial, in order; `seconds` is the sum of its epochs, metrics are those of the last one."""
    return [
        {"trial_id": run.id, "number": run.number, **_end(run), **_unmet(state, run)}
        | {**_config(run), **_metrics(run.last)}
        for run in state.trials
    ]


def history(state: StudyState) -> list[Row]:
    """Return a row per trial and epoch with every metric."""
    return _epochs("trial_id", state.trials)


def confirmations(state: StudyState) -> list[Row]:
    """Return a row per confirmed config and seed, with the metrics of its last epoch and of the test split."""
    return [
        {"confirm_id": run.id, "confirm_of": run.confirm_of, "role": run.role, "seed": run.seed, **_end(run)}
        | _unmet(state, run)
        | {**_config(run), **_metrics(run.last), **run.final}
        for run in state.confirmations
    ]


def spread(state: StudyState) -> list[Row]:
    """Return a row per further seed of the default, with the metrics of its last epoch."""
    return [
        {"run_id": run.id, "seed": run.seed, **_end(run), **_config(run), **_metrics(run.last)}
        for run in state.spread_runs
    ]


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


def baseline(state: StudyState) -> list[Row]:
    """Return a row per number of components."""
    return [state.baseline[rank] for rank in sorted(state.baseline)]


TRIALS = Table("trials", ("trial_id", "number", *_END), trials)
HISTORY = Table("history", ("trial_id", "epoch", "seconds"), history)
CONFIRM = Table(
    "confirm", ("confirm_id", "confirm_of", "key", "role", "seed", *(n for n in _END if n != "key")), confirmations
)
BASELINE = Table(
    "baseline",
    (
        "n_components",
        "explained_variance",
        "train_mse",
        "val_mse",
        "test_mse",
        "train_mse_clipped",
        "val_mse_clipped",
        "test_mse_clipped",
        "train_pixel_rmse_255",
        "test_pixel_rmse_255",
        "train_nelbo",
        "val_nelbo",
        "test_nelbo",
        "val_nelbo_clipped",
        "test_nelbo_clipped",
        "fit_seconds",
    ),
    baseline,
)
CONFIRM_HISTORY = Table("confirm_history", ("confirm_id", "epoch", "seconds"), confirm_history, optional=True)
PRETRAINING = Table("pretraining", ("run_id", "epoch", "seconds"), pretraining, optional=True)
SPREAD = Table("spread", ("run_id", "seed", *_END), spread, optional=True)
TABLES = (TRIALS, HISTORY, CONFIRM, BASELINE, CONFIRM_HISTORY, PRETRAINING, SPREAD)
ALWAYS = (ABOUT, *(table.file for table in TABLES if not table.optional))
"""The files that `write` leaves of any study."""


def _epochs(name: str, runs: list[Run]) -> list[Row]:
    return [
        {name: run.id, "epoch": epoch["epoch"], "seconds": epoch["seconds"], **_metrics(epoch)}
        for run in runs
        for epoch in run.epochs
    ]


def _end(run: Run) -> Row:
    values = {
        "status": run.status,
        "reason": run.reason,
        "key": run.key,
        "epochs": len(run.epochs),
        "pretrain_epochs": len(run.pretraining),
        "seconds": run.seconds,
        "params": run.params,
        "ended_s": run.ended_s,
    }
    return {name: values[name] for name in _END}


def _unmet(state: StudyState, run: Run) -> Row:
    """Return the constraints that an ended run did not keep, "" of one that has; no column where there are none."""
    asked = constraints.of_settings(state.settings)
    if not asked:
        return {}
    return {UNMET: constraints.said(constraints.unmet(asked, run.facts)) if run.is_ranked else None}


def _config(run: Run) -> Row:
    return {f"config.{key}": value for key, value in run.config.items()}


def _metrics(epoch: Mapping[str, Any]) -> Row:
    return {key: value for key, value in epoch.items() if key not in _NOT_METRICS}
