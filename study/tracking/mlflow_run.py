"""What MLflow is to be told of each run, as values: from events of the journal to tags, params and metrics."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Literal

from study.record import metrics
from study.record.events import (
    STUDY,
    Chooses,
    Delivered,
    Event,
    RunEnded,
    RunStarted,
    SessionStarted,
    StudyStarted,
    TriedAgain,
)
from study.record.tracking_uri import UUID_TAG
from study.tracking.tracker import BestSoFar, Ending, Point, Points, ending_points

Status = Literal["RUNNING", "FINISHED", "FAILED", "KILLED"]

DESCRIPTION = "mlflow.note.content"
"""The tag that MLflow shows as a run's description."""
_STATUSES: dict[str, Status] = {"finished": "FINISHED", "interrupted": "KILLED", "failed": "FAILED"}


@dataclass
class Pending:
    """What MLflow has not been told of one run yet; times are in milliseconds since 1970, as MLflow's are."""

    started_ms: int
    name: str
    tags: dict[str, str] = field(default_factory=dict)
    params: dict[str, Any] = field(default_factory=dict)
    points: list[Point] = field(default_factory=list)
    ended: tuple[Status, int] | None = None  # and when

    def __bool__(self) -> bool:
        return bool(self.tags or self.params or self.points or self.ended)

    def goes_on(self, ms: int) -> None:
        """Let it be running again, since a time."""
        self.tags |= {"status": "running", "reason": ""}
        self.ended = ("RUNNING", ms)


def delivered(events: Iterable[Event]) -> set[str]:
    """Return the runs of a journal that MLflow has in full, of whose events it lacks none.

    A run that failed may be tried again, with its events before that, and one that reported may come to choose; they
    are sent once more, and are the same.
    """
    events = list(events)
    found = {event.id for event in events if isinstance(event, Delivered)}
    return found - {
        event.id
        for event in events
        if isinstance(event, Chooses) or (isinstance(event, RunEnded) and event.status == "failed")
    }


class Outbox:
    """Gathers from events what MLflow is to be told, by run; the sender empties it.

    The events of a run come in order, from its first one on, live or read back: what is told twice is the same.
    """

    def __init__(self) -> None:
        self.pending: dict[str, Pending] = {}
        self._points, self._best = Points(), BestSoFar()
        self._about: StudyStarted | None = None
        self._running: set[str] = set()

    def __bool__(self) -> bool:
        return any(self.pending.values())

    @property
    def about(self) -> StudyStarted:
        """The study's first event, which comes before anything is to be told."""
        assert self._about is not None
        return self._about

    def take(self, event: Event | Ending) -> None:
        """Take in what happened next."""
        ms = milliseconds(event.time)
        match event:
            case StudyStarted():
                self._about = event
                self.pending[STUDY] = _parent_run(event, ms)
            case SessionStarted():
                parent = self._of(STUDY, ms)
                parent.ended = ("RUNNING", ms)
                parent.tags["reason"] = ""  # of the failure that an earlier driver may have left
                for run_id in self._running:  # in flight as an earlier driver left
                    self._of(run_id, ms).goes_on(ms)
            case RunStarted():
                self._running.add(event.id)
                self.pending[event.id] = _child_run(event, ms, self.about)
            case RunEnded():
                self._running.discard(event.id)
                ended = self._of(event.id, ms)
                ended.tags |= {"status": event.status, "reason": event.reason or ""}
                ended.ended = ("FAILED" if event.status == "failed" else "FINISHED", ms)
            case TriedAgain():
                self._running.add(event.id)
                self._of(event.id, ms).goes_on(ms)
            case Chooses():
                self._of(event.id, ms).tags["role"] = "choose"
            case Ending():
                parent = self._of(STUDY, ms)
                parent.points += ending_points(event)
                if event.text:
                    parent.tags[DESCRIPTION] = event.markdown
                parent.tags["reason"] = event.reason
                parent.ended = (_STATUSES[event.status], ms)
                for run_id in self._running:
                    left = self._of(run_id, ms)
                    left.tags["status"] = "interrupted"
                    left.ended = ("KILLED", ms)
        if isinstance(event, Event):
            for point in self._points.of(event):
                self._of(point.run, ms).points.append(point)
            self.recall(event)

    def recall(self, event: Event) -> None:
        """Take in an event of a run that MLflow has in full, for what it says of the study as a whole."""
        if point := self._best.of(event):
            self._of(STUDY, milliseconds(event.time)).points.append(point)

    def _of(self, run_id: str, ms: int) -> Pending:
        return self.pending.setdefault(run_id, Pending(ms, ""))


def milliseconds(time: float) -> int:
    """Return seconds since 1970 as MLflow's integer, always the same of one event's time."""
    return int(time * 1000)  # truncated: what an earlier version has sent is only then the same point


def _parent_run(event: StudyStarted, ms: int) -> Pending:
    """Return what the study's own run is told at its beginning."""
    settings, data = event.settings, event.data
    params = {key: value for key, value in settings.items() if key not in ("name", "storage", "tracking_uri")}
    params |= {f"data.{key}": value for key, value in data.items() if key in ("digest", "sizes", "image_shape")}
    if event.own is not None:
        params["own"] = event.own
    tags = {"space": settings["space"], DESCRIPTION: _described(event), **_of_study(event)}
    return Pending(ms, settings["name"], tags, params)


def _child_run(event: RunStarted, ms: int, about: StudyStarted) -> Pending:
    """Return what the run of a trial, of a confirmation or of a further seed is told at its beginning."""
    config = event.config
    latent = f" z{config['latent_size']}" if "latent_size" in config else ""
    tags = {
        "status": "running",
        "architecture": str(config["architecture"]),
        "reported": event.key or "",
        "seed": str(event.seed),
        **_of_study(about),
    }
    if event.confirm_of is None:
        tags["phase"] = "search"
    if event.kind == "trial":
        tags["trial_id"] = event.id
    elif event.confirm_of is not None:
        tags |= {"phase": "confirmation", "confirm_of": event.confirm_of, "role": event.role or ""}
    params = {**config, "params": event.params, "epochs": event.budget}
    if event.pretrain_budget:
        params["pretrain_epochs"] = event.pretrain_budget
    architecture = str(config["architecture"])
    named = "" if architecture.replace("/", "_") in event.id else f" {architecture}"  # MLflow's list cuts long names
    return Pending(ms, f"{event.id}{named}{latent}", tags, params)


def param_text(value: object) -> str:
    """Return a param's value as MLflow shows it: words as they are, all else as JSON says it."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _described(event: StudyStarted) -> str:
    """Return what a study is about, until its summary can say more."""
    settings, data = event.settings, event.data
    if settings.get("reported"):
        what = f"The reported configurations {settings['reported']}, without a search"
    else:
        what = f"A search of {settings['space']}"
        if settings.get("trials") and settings.get("epochs"):
            what += f": {settings['trials']} trials of at most {settings['epochs']} epochs"
    ranked = f", ranked by {metrics.label(event.objective['metric'])}" if event.objective else ""
    return f"{what}{ranked}, on {data.get('name', 'its data')} ({data.get('digest', 'no digest')}). Not finished yet."


def _of_study(about: StudyStarted) -> dict[str, str]:
    """Return the tags that say which study a run is of, and what made it; MLflow's UI shows its own two as the source.

    The name is for people; another study may have the same.
    """
    commit = about.environment.get("git_commit") or "unknown"
    source = {"git_commit": commit, "mlflow.source.name": "study/run.py", "mlflow.source.type": "LOCAL"}
    return {"study": about.settings["name"], **({UUID_TAG: about.uuid} if about.uuid else {}), **source}
