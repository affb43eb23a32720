"""The tables of a study that did not finish, made again from the params, metrics and tags of its MLflow runs."""

from __future__ import annotations

import ast
import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

import search_spaces
from analysis.study_files import NoStudyError
from study.record import metrics

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

Row = dict[str, Any]
_NOT_CONFIG = ("params", "epochs", "pretrain_epochs")  # params of a run that are not of its config
_END = ("status", "reason", "key", "epochs", "pretrain_epochs", "seconds", "params")  # columns of every run
_FIRST_STAGE = "pretrain_"
_LONGEST = 10_000  # runs of a study


def rebuild(client: MlflowClient, parent: Run, folder: Path) -> None:
    """Write study.json, trials.csv, history.csv, confirm.csv, an empty baseline.csv, and the tables of other epochs.

    Args:
        client: Of the MLflow that has the runs.
        parent: The study's own run.
        folder: Where the files go.

    Raises:
        NoStudyError: no run of the study has ended an epoch yet, or its space is unknown.
    """
    query = f"tags.`mlflow.parentRunId` = '{parent.info.run_id}'"
    children = list(client.search_runs([parent.info.experiment_id], query, max_results=_LONGEST))
    if not any(run.data.metrics for run in children):
        raise NoStudyError(f"MLflow has no metrics of study {parent.data.tags.get('study')!r} yet, and no artifacts")
    trials: list[Row] = []
    confirmations: list[Row] = []
    history: list[Row] = []
    confirm_history: list[Row] = []
    pretraining: list[Row] = []
    for run in sorted(children, key=lambda run: run.data.tags.get("run", "")):
        name = run.data.tags["run"]
        epochs, first_stage = _epochs(client, run)
        row = _row(run, epochs, first_stage)
        if "confirm_of" in run.data.tags:
            seed = int(run.data.tags["seed"])
            confirmations.append({"confirm_id": name, "confirm_of": run.data.tags["confirm_of"], "seed": seed, **row})
            confirm_history += [{"confirm_id": name, **epoch} for epoch in epochs]
        else:
            trials.append({"trial_id": name, "number": len(trials), **row})
            history += [{"trial_id": name, **epoch} for epoch in epochs]
        pretraining += [{"run_id": name, **epoch} for epoch in first_stage]
    (folder / "study.json").write_text(json.dumps(_about(parent)), encoding="utf-8")
    _write(folder / "trials.csv", trials, ["trial_id", "number", *_END])
    _write(folder / "history.csv", history, ["trial_id", "epoch", "seconds"])
    _write(folder / "confirm.csv", confirmations, ["confirm_id", "confirm_of", "seed", *_END])
    _write(folder / "baseline.csv", [], ["n_components"])
    if confirm_history:
        _write(folder / "confirm_history.csv", confirm_history, ["confirm_id", "epoch", "seconds"])
    if pretraining:
        _write(folder / "pretraining.csv", pretraining, ["run_id", "epoch", "seconds"])


def _epochs(client: MlflowClient, run: Run) -> tuple[list[Row], list[Row]]:
    """Return a row per epoch of a run's last stage, and of its first one."""
    stages: tuple[dict[int, Row], dict[int, Row]] = ({}, {})
    for name in run.data.metrics:
        if name.startswith(("test_", "train_eval_")):
            continue  # of the end, not of an epoch
        first = name.startswith(_FIRST_STAGE)
        for point in client.get_metric_history(run.info.run_id, name):
            stage = stages[first].setdefault(point.step, {"epoch": point.step})
            stage[name.removeprefix(_FIRST_STAGE)] = point.value
    last, before = ([stage[step] for step in sorted(stage)] for stage in stages)
    return last, before


def _row(run: Run, epochs: list[Row], first_stage: list[Row]) -> Row:
    """Return what trials.csv and confirm.csv have of a run."""
    params = {key: _value(text) for key, text in run.data.params.items()}
    tags = run.data.tags
    final = {key: run.data.metrics[key] for key in run.data.metrics if key.startswith(("test_", "train_eval_"))}
    return {
        "status": tags.get("status", "running"),
        "reason": tags.get("reason", ""),
        "key": tags.get("reported", ""),
        "epochs": len(epochs),
        "pretrain_epochs": len(first_stage),
        "seconds": sum(epoch.get("seconds", 0.0) for epoch in (*first_stage, *epochs)),
        "params": params.get("params"),
        **{f"config.{key}": value for key, value in params.items() if key not in _NOT_CONFIG},
        **{key: value for key, value in (epochs[-1] if epochs else {}).items() if key not in ("epoch", "seconds")},
        **final,
    }


def _about(parent: Run) -> dict[str, Any]:
    """Return what study.json has, as far as the study's own run tells it."""
    params = {key: _value(text) for key, text in parent.data.params.items()}
    settings = {key: value for key, value in params.items() if not key.startswith("data.")}
    try:
        space = search_spaces.get(str(settings["space"]))
    except KeyError as error:  # `search_spaces.UnknownSpace` is one
        raise NoStudyError(f"MLflow's run of the study names no space that is known: {error}") from None
    data = {key.removeprefix("data."): value for key, value in params.items() if key.startswith("data.")}
    return {
        "settings": settings | {"name": parent.data.tags["study"]},
        "objective": {"metric": space.metric, "mode": metrics.mode(space.metric)},
        "data": {"name": settings.get("data"), **data},
        "environment": {"git_commit": parent.data.tags.get("git_commit")},
    }


def _value(text: str) -> Any:
    """Return what a param was before MLflow made it text."""
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return text


def _write(path: Path, rows: list[Mapping[str, Any]] | list[Row], first: list[str]) -> None:
    columns = [*first, *dict.fromkeys(key for row in rows for key in row if key not in first)]
    pd.DataFrame(rows, columns=columns).to_csv(path, index=False)
