"""MLflow: a projection of the journal, written by a thread of the driver, off the training path.

Each flush sends what a run has gathered in one `log_batch`. Metrics carry the time of their journal event, so
sending one twice is sending it once; run ids are journalled, so a resumed study finds its runs.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from study.record.errors import StudyError
from study.record.events import STUDY, Delivered, Event, Tracked, TrackingChanged
from study.record.tracking_uri import UUID_TAG, scrubbed
from study.tracking import mlflow_client
from study.tracking.mlflow_run import Outbox, Pending, delivered, milliseconds, param_text
from study.tracking.tracker import Ending, Serving

if TYPE_CHECKING:
    from mlflow import MlflowClient

FLUSH_SECONDS = 2.0
# How much longer events are gathered at most where MLflow takes long for what has been: two minutes.
_LONGER = 60
RETRY_SECONDS = 5.0
# MLflow's limits for one log_batch
_METRICS, _PARAMS, _TAGS = 1000, 100, 100
_REFUSALS = {"INVALID_PARAMETER_VALUE", "BAD_REQUEST", "RESOURCE_DOES_NOT_EXIST", "INVALID_STATE"}  # of one request


class MLflowTracker:
    """Follows a study's events into MLflow: a parent run for the study, a child run for each run.

    Args:
        uri: The tracking URI, already checked.
        record: Writes an event to the journal, which keeps the ids of MLflow's runs and which of them MLflow has.
        artifacts: The folder below which the experiment's artifacts go.
    """

    name = "MLflow"

    def __init__(self, uri: str, record: Callable[[Event], None], artifacts: Path) -> None:
        # Tune imports MLflow too, to see whether it is used. Two threads that import it at once find halves of it, and
        # either wait for each other or never can use it: so it is whole before there is a second one.
        import mlflow  # noqa: F401

        self._uri, self._record, self._place = uri, record, artifacts
        self._events: queue.SimpleQueue[Event | Ending | None] = queue.SimpleQueue()
        self._outbox = Outbox()
        self._known: dict[str, str] = {}  # MLflow's id of each run
        self._earlier: set[str] = set()  # runs that an earlier driver has made
        self._before: list[Event] = []  # what earlier drivers wrote, until it is known what of it MLflow still has
        self._unsure = False  # whether MLflow may have runs whose ids are not known here
        self._client: MlflowClient | None = None
        self._experiment = ""
        self._artifacts: list[Callable[[], None]] = []
        self._stop_at = float("inf")
        self._ended_ms = 0
        self.error: str | None = None
        self._thread = threading.Thread(target=self._run, name="mlflow", daemon=True)

    def started(self, before: Sequence[Event]) -> None:
        """Begin to follow; what MLflow may lack of the events of earlier drivers is sent again, as it was."""
        self._known = {event.id: event.run_id for event in before if isinstance(event, Tracked)}
        self._earlier = set(self._known)
        self._before = list(before)
        self._unsure = bool(before)
        there = delivered(before)
        for event in before:
            if getattr(event, "id", None) in there:
                self._outbox.recall(event)
            else:
                self._outbox.take(event)
        self._thread.start()

    def event(self, event: Event) -> None:
        """Take in an event of the journal; the thread sends it."""
        self._events.put(event)

    def artifact(self, path: Path, folder: str = "", run: str = STUDY) -> None:
        """Store a file with a run once `close` has delivered all events."""
        self._artifacts.append(lambda: self._connect().log_artifact(self._known[run], str(path), folder or None))

    def model(self, folder: Path, serving: Serving, registered: str | None = None) -> None:
        """Store the network with the study's run, and register it, once `close` has delivered all events."""
        self._artifacts.append(lambda: self._log_model(folder, serving, registered))

    def close(self, ending: Ending, seconds: float) -> bool:
        """Deliver what is left, events for at most `seconds`, then the files; return whether all was delivered.

        The study's run gets its end, and the runs that are in flight are KILLED.
        """
        self._ended_ms = milliseconds(ending.time)
        self._stop_at = time.monotonic() + seconds
        self._events.put(ending)
        self._events.put(None)
        self._thread.join(seconds + 1)
        if self._thread.is_alive() or self._outbox:
            self.error = self.error or "time is up"
        if self.error is not None:
            return False
        try:
            for store in self._artifacts:
                store()
        except Exception as error:  # whatever MLflow raises when its server or its artifact store is away
            self.error = mlflow_client.reason(error, self._uri)
        return self.error is None

    def _log_model(self, folder: Path, serving: Serving, registered: str | None) -> None:
        run = self._known[STUDY]
        mlflow_client.log_model(self._connect(), self._uri, run, folder, serving)
        # MLflow logs a model with a run that is open, and closes it by its own clock.
        self._connect().set_terminated(run, end_time=self._ended_ms)
        if registered is not None:
            mlflow_client.register(self._connect(), run, folder, registered)

    def _run(self) -> None:
        try:
            self._follow()
        except StudyError as error:  # the journal cannot be written, of which the driver hears as well
            self.error = str(error)
        except BaseException as error:  # a fault of this file's, which is not to look as if all had been delivered
            self.error = scrubbed(repr(error), self._uri)
            raise

    def _follow(self) -> None:
        """Gather events, and flush them every two seconds until `close`, more seldom where a flush takes long.

        One epoch of a run costs sqlite's MLflow about half of what ten do. So the epochs of hundreds of runs are sent
        several at a time: after ten times as long as it took to send the last ones, within bounds. Runs that have ended
        are sent no more, and to wait for more of them would save nothing.
        """
        closing, took = False, 0.0
        while not closing or (self._outbox and time.monotonic() < self._stop_at):
            closing = self._gather(FLUSH_SECONDS * min(max(1, 10 * took / FLUSH_SECONDS), _LONGER)) or closing
            if not self._outbox:
                continue
            try:
                self._connect()  # which takes seconds where there is no database yet
                took = self._flush()
                if not self._outbox:  # else time was up
                    self._say(None)
            except StudyError:
                raise
            except Exception as error:  # whatever MLflow or the network raises: the events stay and are sent again
                self._unsure = True  # a run may have been made and only the answer lost
                self._say(mlflow_client.reason(error, self._uri))
                closing = self._gather(min(RETRY_SECONDS, max(0.0, self._stop_at - time.monotonic()))) or closing

    def _say(self, problem: str | None) -> None:
        """Tell the study when MLflow begins to fail and when it works again."""
        if (problem is None) != (self.error is None):
            self._record(TrackingChanged(problem))
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
            self._outbox.take(event)

    def _connect(self) -> MlflowClient:
        if self._client is None:
            client = mlflow_client.connect(self._uri)
            about = self._outbox.about.settings
            self._experiment = mlflow_client.experiment_id(client, about["space"], self._place)
            self._find_lost(mlflow_client.runs_of(client, self._experiment, self._mine()) if self._known else set())
            self._client = client
        return self._client

    def _mine(self) -> str:
        """Return what MLflow's search finds the study's runs by: in an earlier version they had its name alone."""
        about = self._outbox.about
        return f"tags.{UUID_TAG} = '{about.uuid}'" if about.uuid else f"tags.study = '{about.settings['name']}'"

    def _find_lost(self, there: set[str]) -> None:
        """Forget the runs that MLflow does not have, and take in again whole those that `started` left out.

        Its database was lost, or it is another MLflow than that of earlier drivers.
        """
        lost = {run_id for run_id, mlflow_id in self._known.items() if mlflow_id not in there}
        again = lost & delivered(self._before)  # the events of all others wait already
        self._known = {run_id: mlflow_id for run_id, mlflow_id in self._known.items() if run_id not in lost}
        for event in self._before:
            if getattr(event, "id", None) in again and not isinstance(event, Delivered):
                self._outbox.take(event)
        self._before = []

    def _flush(self) -> float:
        """Send everything there is time for, and return the seconds that the runs took which go on.

        A run that MLflow refuses stays, and keeps no other from being sent.
        """
        from mlflow.exceptions import MlflowException

        client = self._connect()
        refusal, took = None, 0.0
        for run_id in sorted(self._outbox.pending, key=lambda key: key != STUDY):  # children name their parent
            if time.monotonic() >= self._stop_at:
                break
            if pending := self._outbox.pending[run_id]:
                began = time.monotonic()
                try:
                    self._send(client, run_id, pending)
                    took += 0.0 if pending.ended else time.monotonic() - began
                except MlflowException as error:
                    if error.error_code not in _REFUSALS:  # the server is in trouble, or away: so is the next run
                        raise
                    refusal = refusal or error
        if refusal:
            raise refusal
        return took

    def _send(self, client: MlflowClient, run_id: str, pending: Pending) -> None:
        from mlflow.entities import Metric, Param, RunTag

        mlflow_id = self._mlflow_id(client, run_id, pending)
        metrics = [Metric(one.key, one.value, milliseconds(one.time), one.step) for one in pending.points]
        params = [Param(key, param_text(value)) for key, value in pending.params.items() if value is not None]
        if params and run_id in self._earlier:  # an earlier version may have written them otherwise: they stay
            there = client.get_run(mlflow_id).data.params
            params = [param for param in params if param.key not in there]
        tags = [RunTag(key, value) for key, value in pending.tags.items()]
        while metrics or params or tags:
            client.log_batch(mlflow_id, metrics=metrics[:_METRICS], params=params[:_PARAMS], tags=tags[:_TAGS])
            metrics, params, tags = metrics[_METRICS:], params[_PARAMS:], tags[_TAGS:]
        if pending.ended:
            status, ms = pending.ended
            if status == "RUNNING":
                client.update_run(mlflow_id, status=status)
            else:
                client.set_terminated(mlflow_id, status=status, end_time=ms)
            if status in ("FINISHED", "FAILED") and run_id != STUDY:
                self._record(Delivered(run_id))
        self._outbox.pending[run_id] = Pending(pending.started_ms, pending.name)

    def _mlflow_id(self, client: MlflowClient, run_id: str, pending: Pending) -> str:
        """Return the id of the MLflow run, which is made, once, if there is none yet."""
        if run_id not in self._known:
            found = []
            if self._unsure:
                # Made by a driver that died before it could write the id down, or by a request without an answer.
                query = f"{self._mine()} and tags.run = '{run_id}'"
                found = list(client.search_runs([self._experiment], query, max_results=1))
            if found:
                mlflow_id = found[0].info.run_id
            else:
                tags = {"run": run_id, **pending.tags}
                if run_id != STUDY:
                    tags["mlflow.parentRunId"] = self._known[STUDY]
                run = client.create_run(
                    self._experiment, start_time=pending.started_ms, run_name=pending.name, tags=tags
                )
                mlflow_id = run.info.run_id
                pending.tags = {}
                if run_id == STUDY:
                    mlflow_client.log_data(client, mlflow_id, self._outbox.about.data)
            if run_id == STUDY:
                for child in self._known.values():  # of a study whose own run alone was lost
                    client.set_tag(child, "mlflow.parentRunId", mlflow_id)
            self._known[run_id] = mlflow_id
            self._record(Tracked(run_id, mlflow_id))
        return self._known[run_id]
