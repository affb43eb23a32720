"""A study in MLflow: read from there alone, for who has no files of it, and its report put there."""

from __future__ import annotations

import ast
import atexit
import json
import logging
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import search_spaces
from analysis.study_files import NoStudyError, State, StudyFiles, read_tables
from study.record import metrics, tables
from study.record.errors import UsageError, one_line
from study.record.events import (
    STUDY,
    EpochEnded,
    Event,
    Metrics,
    Pretrained,
    Role,
    RunEnded,
    RunStarted,
    Status,
    StudyStarted,
)
from study.record.folder import StudyFolder
from study.record.state import StudyState
from study.record.tracking_uri import (
    UUID_TAG,
    masked,
    scrubbed,
    sqlite_file,
    tracker_of,
    unreachable,
    unusable_database,
)

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

_FILES = (tables.SUMMARY, tables.ABOUT, *(table.file for table in tables.TABLES if not table.optional))
_OPTIONAL = tuple(table.file for table in tables.TABLES if table.optional)
_NOT_CONFIG = ("params", "epochs", "pretrain_epochs")  # params of a run that are not of its config
_FIRST_STAGE = "pretrain_"
_ROLES: dict[str, Role] = {"choose": "choose", "report": "report"}
_OF_THE_END = ("test_", "train_eval_")  # metrics that are not of an epoch
_LONGEST = 10_000  # runs of a study
# What a study is without its artifacts, by the status of its own run; "KILLED" is an interruption.
_STATES: dict[str, State] = {"RUNNING": "running", "FAILED": "failed", "FINISHED": "incomplete"}


def read_study_from_mlflow(name: str, tracking_uri: str, into: Path | None = None) -> StudyFiles:
    """Read the study `name` from an MLflow server or database.

    A finished study has its tables and samples as artifacts of its own run, and they give the same numbers as its
    files. Of one that has not finished, or whose driver was killed, trials, history and confirmations are rebuilt from
    the params and metrics of its runs; its baseline, class names and environment are then not known.

    Args:
        name: The study's name.
        tracking_uri: Such as "http://host:5000" or "sqlite:///mlflow.db".
        into: A folder for what is downloaded; by default one that is removed when the process ends.

    Raises:
        NoStudyError: MLflow does not answer, has no such study, or has no ended run of it; in one line.
    """
    if into is None:
        into = Path(tempfile.mkdtemp(prefix="study-from-mlflow-"))
        atexit.register(shutil.rmtree, into, ignore_errors=True)
    try:
        client = _client(tracking_uri)
        parent = _parent(client, name, tracking_uri)
        folder = into / name
        folder.mkdir(parents=True, exist_ok=True)
        # Of a study that goes on after its end, the artifacts are those of the earlier end.
        if parent.info.status == "FINISHED" and _download(client, parent, folder):
            return read_tables(folder, "incomplete")
        tables.write(StudyFolder(folder), StudyState.fold(_events(client, parent)))
    except NoStudyError:
        raise
    except Exception as error:  # of a driver or a database, whatever their libraries raise
        raise NoStudyError(f"{masked(tracking_uri)} cannot be read: {_reason(error, tracking_uri)}") from None
    left = _STATES.get(parent.info.status, "interrupted")
    return read_tables(folder, left, failed=parent.data.tags.get("reason", ""))


def log_report(name: str, tracking_uri: str, folder: Path, uuid: str | None = None) -> None:
    """Store a report, its page and its tables, with the study's own run, below `report/`.

    Args:
        name: The study's name.
        tracking_uri: Where its runs are.
        folder: The report's.
        uuid: The study's; without it, the newest of that name is taken.

    Raises:
        NoStudyError: MLflow does not answer, does not take the files, or has no such study; in one line.
    """
    try:
        client = _client(tracking_uri)
        parent = _parent(client, name, tracking_uri, uuid)
        for file in (folder / "index.html", *sorted(folder.glob("*.csv"))):
            client.log_artifact(parent.info.run_id, str(file), "report")
    except NoStudyError:
        raise
    except Exception as error:  # of a driver or a database, whatever their libraries raise
        raise NoStudyError(f"{masked(tracking_uri)} cannot be written: {_reason(error, tracking_uri)}") from None


def _reason(error: Exception, tracking_uri: str) -> str:
    return scrubbed(one_line(error), tracking_uri)[:300]


def _client(tracking_uri: str) -> MlflowClient:
    """Return a client that says soon, and in one line, that there is nobody."""
    try:
        tracker = tracker_of(tracking_uri)
    except UsageError as error:
        raise NoStudyError(str(error)) from None
    if tracker != "MLflow":
        raise NoStudyError(f"{masked(tracking_uri)} is {tracker}'s; a study is read from its files, or from MLflow")
    file = sqlite_file(tracking_uri)
    if file is not None and not file.is_file():
        raise NoStudyError(f"there is no MLflow database {masked(tracking_uri)}")  # MLflow would make one
    reason = unreachable(tracking_uri)
    if reason is not None:
        raise NoStudyError(f"{masked(tracking_uri)} does not answer: {reason}")
    if problem := unusable_database(tracking_uri):
        raise NoStudyError(f"{masked(tracking_uri)} cannot be used: {problem}")
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")  # asks the network
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    import mlflow

    for logger in ("mlflow", "alembic"):
        logging.getLogger(logger).setLevel(logging.ERROR)
    return mlflow.MlflowClient(tracking_uri=tracking_uri)


def _parent(client: MlflowClient, name: str, tracking_uri: str, uuid: str | None = None) -> Run:
    """Return the study's own run: by its uuid where that is known, else of several studies of its name the newest."""
    experiments = [experiment.experiment_id for experiment in client.search_experiments()]
    of_studies = list(client.search_runs(experiments, f"tags.run = '{STUDY}'", order_by=["start_time DESC"]))
    for run in of_studies:  # a name in the query would have to be quoted
        if run.data.tags.get("study") == name and uuid in (None, run.data.tags.get(UUID_TAG)):
            return run
    known = ", ".join(sorted({run.data.tags.get("study", "") for run in of_studies})) or "none"
    raise NoStudyError(f"there is no study {name!r} in {masked(tracking_uri)}; there are: {known}")


def _download(client: MlflowClient, parent: Run, folder: Path) -> bool:
    """Copy a study's artifacts to `folder`, and return whether its tables are among them."""
    run_id = parent.info.run_id
    there = {artifact.path for artifact in client.list_artifacts(run_id)}
    if not set(_FILES) <= there:
        return False
    for path in (*_FILES, *_OPTIONAL):
        if path in there:
            client.download_artifacts(run_id, path, str(folder))
    samples = StudyFolder(folder).samples
    samples.mkdir(exist_ok=True)
    for kind in {"samples", "pictures"} & there:  # among a study's files they lie together
        for file in client.list_artifacts(run_id, kind):
            Path(client.download_artifacts(run_id, file.path, str(folder))).replace(samples / Path(file.path).name)
    return True


def _events(client: MlflowClient, parent: Run) -> Iterator[Event]:
    """Return what happened in a study, as far as the params, metrics and tags of its runs tell.

    Raises:
        NoStudyError: no run of the study has ended an epoch yet, or its space is unknown.
    """
    query = f"tags.`mlflow.parentRunId` = '{parent.info.run_id}'"
    children = list(client.search_runs([parent.info.experiment_id], query, max_results=_LONGEST))
    if not any(run.data.metrics for run in children):
        raise NoStudyError(f"MLflow has no metrics of study {parent.data.tags.get('study')!r} yet, and no artifacts")
    yield _started(parent)
    trials = 0
    for run in sorted(children, key=lambda run: str(run.data.tags.get("run", ""))):
        yield from _run_events(client, run, trials)
        trials += "trial_id" in run.data.tags


def _started(parent: Run) -> StudyStarted:
    params = {key: _value(text) for key, text in parent.data.params.items()}
    own = params.pop("own", None)
    settings = {key: value for key, value in params.items() if not key.startswith("data.")}
    try:
        metric = str(own["facts"]["metric"]) if own else search_spaces.get(str(settings["space"])).metric
        metric = metrics.ranked_by(settings.get("objectives") or (), metric)
    except (KeyError, TypeError) as error:  # `search_spaces.UnknownSpace` is a KeyError
        raise NoStudyError(f"MLflow's run of the study names no space that is known: {error}") from None
    data = {key.removeprefix("data."): value for key, value in params.items() if key.startswith("data.")}
    return StudyStarted(
        settings | {"name": parent.data.tags["study"]},
        objective={"metric": metric, "mode": metrics.mode(metric)},
        data={"name": settings.get("data"), **data},
        own=own,
        environment={"git_commit": parent.data.tags.get("git_commit")},
        time=_seconds(parent.info.start_time),
    )


def _seconds(milliseconds: int | None) -> float:
    """Return a time of MLflow's in seconds since 1970, 0 where it knows none."""
    return (milliseconds or 0) / 1000


def _run_events(client: MlflowClient, run: Run, number: int) -> Iterator[Event]:
    """Return what happened to a run; `number` is its place among the trials, if it is one."""
    tags, params = run.data.tags, {key: _value(text) for key, text in run.data.params.items()}
    name, confirm_of = str(tags["run"]), tags.get("confirm_of")
    epochs, first_stage = _epochs(client, run)
    began, ended = _seconds(run.info.start_time), _seconds(run.info.end_time)
    yield RunStarted(
        name,
        "confirm" if confirm_of else "trial" if "trial_id" in tags else "spread",
        number,
        {key: value for key, value in params.items() if key not in _NOT_CONFIG},
        seed=int(tags.get("seed", 0)),
        budget=len(epochs),
        params=params.get("params", 0),
        key=tags.get("reported"),
        confirm_of=confirm_of,
        role=_ROLES.get(tags.get("role", "")),
        time=began,
    )
    if first_stage:
        yield Pretrained(name, first_stage, time=began)
    for epoch, measured in enumerate(epochs, start=1):
        yield EpochEnded(name, epoch, measured, time=began)
    if tags.get("status", "running") != "running":
        final = {key: value for key, value in run.data.metrics.items() if key.startswith(_OF_THE_END)}
        yield RunEnded(name, cast(Status, tags["status"]), tags.get("reason"), final, time=ended)


def _epochs(client: MlflowClient, run: Run) -> tuple[list[Metrics], list[Metrics]]:
    """Return the metrics of each epoch of a run's last stage, and of its first one."""
    stages: tuple[dict[int, Metrics], dict[int, Metrics]] = ({}, {})
    for name in run.data.metrics:
        if name.startswith(_OF_THE_END):
            continue
        first = name.startswith(_FIRST_STAGE)
        for point in client.get_metric_history(run.info.run_id, name):
            measured = stages[first].setdefault(point.step, {"seconds": 0.0})
            measured[name.removeprefix(_FIRST_STAGE)] = point.value
    last, before = ([stage[step] for step in sorted(stage)] for stage in stages)
    return last, before


def _value(text: str) -> Any:
    """Return what a param was before it was made text: JSON, or what Python said of it, of an earlier version."""
    for read in (json.loads, ast.literal_eval):
        try:
            return read(text)
        except (ValueError, SyntaxError):
            pass
    return text
