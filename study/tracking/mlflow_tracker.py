"""MLflow: a projection of the journal, written by a thread of the driver, off the training path.

Each flush sends what a run has gathered in one `log_batch`. Metrics carry the time of their journal event, so
sending one twice is sending it once; run ids are journalled, so a resumed study finds its runs.
"""

from __future__ import annotations

import os
import queue
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from study.record.errors import UsageError, first_line
from study.record.events import (
    Delivered,
    EpochEnded,
    Event,
    Pretrained,
    RunEnded,
    RunStarted,
    SessionStarted,
    StudyStarted,
    Tracked,
    TrackingChanged,
)
from study.record.journal import Recorder
from study.tracking import sqlite_database
from study.tracking.mlflow_run import Pending, child_run, parent_run, undelivered

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from torch import nn

PROBE_SECONDS = 3.0
FLUSH_SECONDS = 2.0
_RETRY_SECONDS = 5.0
_BATCH = {"metrics": 1000, "params": 100, "tags": 100}  # MLflow's limits for one log_batch
_REFUSALS = {"INVALID_PARAMETER_VALUE", "BAD_REQUEST", "RESOURCE_DOES_NOT_EXIST", "INVALID_STATE"}  # of one request
_STUDY = "study"  # the parent run's place among the runs


def check(uri: str) -> None:
    """Find out within three seconds whether tracking can work.

    MLflow's own client takes four minutes to say that a server is unreachable.

    Raises:
        UsageError: no server answers, the folder of the database does not exist, or the URI is of no known kind.
    """
    parts = urlsplit(uri)
    if parts.scheme in ("http", "https"):
        try:
            with urllib.request.urlopen(f"{uri.rstrip('/')}/health", timeout=PROBE_SECONDS):
                return
        except (OSError, ValueError, urllib.error.URLError) as error:
            reason = getattr(error, "reason", error)
            raise UsageError(
                f"--tracking-uri {uri!r} does not answer ({reason}); start the server or name another"
            ) from None
    if parts.scheme == "sqlite":
        folder = Path(uri.removeprefix("sqlite:///")).parent
        if not folder.is_dir():
            raise UsageError(f"--tracking-uri {uri!r} cannot be used: there is no folder {folder}")
        if not os.access(folder, os.W_OK):
            raise UsageError(f"--tracking-uri {uri!r} cannot be used: {folder} is not writable")
        return
    if parts.scheme not in ("postgresql", "mysql", "mssql"):
        raise UsageError(
            f"--tracking-uri {uri!r} is not allowed; give sqlite:///FILE, http(s)://HOST or a database URI"
        )


@dataclass(frozen=True)
class _StudyEnded(Event):
    """The driver leaves; said to the tracker alone, in line with the events before."""

    status: str
    metrics: Mapping[str, float]
    tags: Mapping[str, str]


class Tracker:
    """Follows a study's events into MLflow: a parent run for the study, a child run for each run.

    Args:
        uri: The tracking URI, already checked.
        recorder: Keeps the ids of MLflow's runs; its state says which exist.
        artifacts: The folder below which the experiment's artifacts go.
        events: Those of the journal of an earlier driver: what MLflow may lack of them is sent again.
    """

    def __init__(self, uri: str, recorder: Recorder, artifacts: Path, events: Sequence[Event] = ()) -> None:
        # Tune imports MLflow too, to see whether it is used. Two threads that import it at once find halves of it, and
        # either wait for each other or never can use it: so it is whole before there is a second one.
        import mlflow  # noqa: F401

        self._uri = uri
        self._recorder = recorder
        self._artifacts = artifacts
        self._events: queue.SimpleQueue[Event | None] = queue.SimpleQueue()
        self._pending: dict[str, Pending] = {}
        self._known = dict(recorder.state.tracked)
        self._unsure = bool(recorder.state.about)  # whether MLflow may have runs whose ids are not known here
        self._client: MlflowClient | None = None
        self._experiment = ""
        self._stop_at = float("inf")
        self.error: str | None = None  # the last failure, while it lasts
        for event in undelivered(events, recorder.state):
            self._take(event)
        self._thread = threading.Thread(target=self._run, name="mlflow", daemon=True)
        self._thread.start()
        recorder.listen(self._events.put)

    @property
    def study_run(self) -> str | None:
        """The id of the study's parent run, once it exists."""
        return self._known.get(_STUDY)

    def close(self, timeout: float) -> bool:
        """Deliver what is left, for at most `timeout` seconds, and say whether all of it was."""
        self._stop_at = time.monotonic() + timeout
        self._events.put(None)
        self._thread.join(timeout + 1)
        return not self._thread.is_alive() and self.error is None and not any(self._pending.values())

    def end_study(self, status: str, metrics: Mapping[str, float], tags: Mapping[str, str]) -> None:
        """Give the parent run its end ("FINISHED" or "KILLED"); runs in flight are then KILLED too."""
        self._events.put(_StudyEnded(status, metrics, tags))

    def log_files(self, run_id: str, files: Mapping[Path, str]) -> None:
        """Store local files as artifacts of an MLflow run, each in the named folder."""
        client = self._connect()
        for path, folder in files.items():
            client.log_artifact(run_id, str(path), folder or None)

    def log_model(
        self, run_id: str, model: nn.Module, image_shape: tuple[int, int, int], output: tuple[int, ...]
    ) -> None:
        """Store a network with its signature, so that `mlflow.pytorch.load_model` gives it back.

        Args:
            run_id: The MLflow run.
            model: In evaluation mode, on the CPU.
            image_shape: (channels, height, width) of its float32 input in [0, 1].
            output: The shape of its output for one image.
        """
        import mlflow
        import mlflow.pytorch
        import numpy as np
        from mlflow.models import ModelSignature
        from mlflow.types import Schema, TensorSpec

        self._connect()
        mlflow.set_tracking_uri(self._uri)
        float32 = np.dtype(np.float32)
        signature = ModelSignature(
            inputs=Schema([TensorSpec(float32, (-1, *image_shape))]),
            outputs=Schema([TensorSpec(float32, (-1, *output))]),
        )
        with mlflow.start_run(run_id=run_id):
            mlflow.pytorch.log_model(
                model.eval(),
                name="model",
                signature=signature,
                input_example=np.zeros((2, *image_shape), np.float32),  # MLflow traces the network with it
                pip_requirements=["torch"],  # found out by importing the model in a new process otherwise
            )

    def _connect(self) -> MlflowClient:
        if self._client is None:
            # One retry: the journal keeps what a server that is away has missed, and waiting would block the thread.
            os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")
            os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "10")
            os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")  # asks the network, and costs time in each call
            os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")  # two lines for each run
            import logging

            import mlflow

            for name in ("mlflow", "alembic"):
                logging.getLogger(name).setLevel(logging.ERROR)
            sqlite_database.create(self._uri)
            client = mlflow.MlflowClient(tracking_uri=self._uri)
            settings = self._recorder.state.settings
            experiment = client.get_experiment_by_name(settings["space"])
            if experiment is None:
                location = (self._artifacts / settings["space"]).as_uri()
                self._experiment = client.create_experiment(settings["space"], artifact_location=location)
            else:
                self._experiment = experiment.experiment_id
            self._client = client
        return self._client

    def _run(self) -> None:
        try:
            self._follow()
        except BaseException as error:  # a fault of this file's, which is not to look as if all had been delivered
            self.error = repr(error)
            raise

    def _follow(self) -> None:
        """Gather events, and flush them every two seconds until `close`."""
        closing = False
        while not closing or (any(self._pending.values()) and time.monotonic() < self._stop_at):
            closing = self._gather(FLUSH_SECONDS) or closing
            if not any(self._pending.values()):
                continue
            try:
                self._flush()
                self._say(None)
            except Exception as error:  # whatever MLflow or the network raises: the events stay and are sent again
                self._unsure = True  # a run may have been made and only the answer lost
                self._say(first_line(error))
                closing = self._gather(min(_RETRY_SECONDS, max(0.0, self._stop_at - time.monotonic()))) or closing

    def _say(self, problem: str | None) -> None:
        """Tell the study when MLflow begins to fail and when it works again."""
        if (problem is None) != (self.error is None):
            self._recorder.record(TrackingChanged(problem))
        self.error = problem

    def _gather(self, seconds: float) -> bool:
        """Take in what comes within `seconds`, and return whether that was the end."""
        deadline = min(time.monotonic() + seconds, self._stop_at)
        while True:
            try:
                event = self._events.get(timeout=max(0.0, deadline - time.monotonic()))
            except queue.Empty:
                return False
            if event is None:
                return True
            self._take(event)

    def _take(self, event: Event) -> None:
        """Turn an event into what MLflow is to be told."""
        ms = int(event.time * 1000)
        match event:
            case StudyStarted():
                self._pending[_STUDY] = parent_run(event, ms)
            case SessionStarted():
                self._pending.setdefault(_STUDY, Pending(ms, "")).ended = ("RUNNING", ms)
            case RunStarted():
                assert self._recorder.state.about is not None
                self._pending[event.id] = child_run(event, ms, self._recorder.state.about)
            case Pretrained():
                pending = self._pending_of(event.id, ms)
                for epoch, metrics in enumerate(event.epochs, start=1):
                    pending.measured({f"pretrain_{key}": value for key, value in metrics.items()}, ms, epoch)
            case EpochEnded():
                self._pending_of(event.id, ms).measured(event.metrics, ms, event.epoch)
            case RunEnded():
                pending = self._pending_of(event.id, ms)
                pending.tags |= {"status": event.status, "reason": event.reason or ""}
                pending.measured(event.final, ms, len(self._recorder.state.runs[event.id].epochs))
                pending.ended = ("FAILED" if event.status == "failed" else "FINISHED", ms)
            case _StudyEnded():
                parent = self._pending_of(_STUDY, ms)
                parent.measured(event.metrics, ms, 0)
                parent.tags |= event.tags
                parent.ended = (event.status, ms)
                for run in self._recorder.state.runs.values():
                    if run.status == "running":
                        self._pending_of(run.id, ms).ended = ("KILLED", ms)

    def _pending_of(self, run_id: str, ms: int) -> Pending:
        return self._pending.setdefault(run_id, Pending(ms, ""))

    def _flush(self) -> None:
        """Send everything; a run that MLflow refuses stays, and keeps no other from being sent."""
        from mlflow.exceptions import MlflowException

        client = self._connect()
        refusal = None
        for run_id in sorted(self._pending, key=lambda key: key != _STUDY):  # children name their parent
            if self._pending[run_id]:
                try:
                    self._send(client, run_id, self._pending[run_id])
                except MlflowException as error:
                    if error.error_code not in _REFUSALS:  # the server is in trouble, or away: so is the next run
                        raise
                    refusal = refusal or error
        if refusal:
            raise refusal

    def _send(self, client: MlflowClient, run_id: str, pending: Pending) -> None:
        from mlflow.entities import Metric, Param, RunTag

        mlflow_id = self._mlflow_id(run_id, pending)
        parts = {
            "metrics": [Metric(*metric) for metric in pending.metrics],
            "params": [Param(key, str(value)) for key, value in pending.params.items()],
            "tags": [RunTag(key, value) for key, value in pending.tags.items()],
        }
        while any(parts.values()):
            client.log_batch(mlflow_id, **{kind: items[: _BATCH[kind]] for kind, items in parts.items()})
            parts = {kind: items[_BATCH[kind] :] for kind, items in parts.items()}
        ended = pending.ended
        if ended and ended[0] == "RUNNING":
            client.update_run(mlflow_id, status="RUNNING")
        elif ended:
            client.set_terminated(mlflow_id, status=ended[0], end_time=ended[1])
            if ended[0] != "KILLED" and run_id != _STUDY:
                self._recorder.record(Delivered(run_id))
        self._pending[run_id] = Pending(pending.started_ms, pending.name)

    def _mlflow_id(self, run_id: str, pending: Pending) -> str:
        """Return the id of the MLflow run, which is made, once, if there is none yet."""
        if run_id not in self._known:
            client = self._connect()
            study = self._recorder.state.settings["name"]
            found = []
            if self._unsure:
                # Made by a driver that died before it could write the id down, or by a request without an answer.
                query = f"tags.study = '{study}' and tags.run = '{run_id}'"
                found = list(client.search_runs([self._experiment], query, max_results=1))
            if found:
                mlflow_id = found[0].info.run_id
            else:
                tags = {"study": study, "run": run_id, **pending.tags}
                if run_id != _STUDY:
                    tags["mlflow.parentRunId"] = self._known[_STUDY]
                run = client.create_run(
                    self._experiment, start_time=pending.started_ms, run_name=pending.name, tags=tags
                )
                mlflow_id = run.info.run_id
                pending.tags = {}
            self._known[run_id] = mlflow_id
            self._recorder.record(Tracked(run_id, mlflow_id))
        return self._known[run_id]
