"""What a study knows: the fold of its journal, in memory, the same whether it is live or read back."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from study.records import journal
from study.records.journal import Event

Status = Literal["running", "completed", "stopped", "failed"]


@dataclass
class Run:
    """One training run: a trial of the search (`t0007`), or one seed of a confirmation of it (`t0007-s1`)."""

    id: str
    kind: Literal["trial", "confirm"]
    number: int
    config: dict[str, Any]
    seed: int
    budget: int  # epochs
    params: int
    key: str | None  # "default", a reported key, or None for a sampled config
    started: float  # seconds since the epoch
    confirm_of: str | None = None
    pretrain_budget: int = 0  # epochs of a first stage
    optuna: dict[str, Any] = field(default_factory=dict)
    pretraining: list[dict[str, Any]] = field(default_factory=list)  # the first stage's epochs
    epochs: list[dict[str, Any]] = field(default_factory=list)
    status: Status = "running"
    reason: str | None = None
    final: dict[str, Any] = field(default_factory=dict)  # a confirmation's test metrics

    @property
    def last(self) -> dict[str, Any]:
        """The metrics of the last epoch, empty before the first one."""
        return self.epochs[-1] if self.epochs else {}

    @property
    def seconds(self) -> float:
        """The seconds spent in the epochs that are recorded, those of a first stage included."""
        return sum(epoch["seconds"] for epoch in (*self.pretraining, *self.epochs))


@dataclass
class StudyState:
    """Everything that the journal says, in the order in which it was said."""

    about: dict[str, Any] = field(default_factory=dict)  # the `study` event: settings, data, environment
    settings: dict[str, Any] = field(default_factory=dict)
    runs: dict[str, Run] = field(default_factory=dict)
    refused: list[Event] = field(default_factory=list)
    baseline: dict[int, dict[str, Any]] = field(default_factory=dict)  # by number of components
    tracked: dict[str, str] = field(default_factory=dict)  # MLflow run ids by run id; "study" is the parent
    delivered: set[str] = field(default_factory=set)  # the ids of ended runs that MLflow has in full
    search_ended: str | None = None
    summary: dict[str, Any] | None = None
    published: bool = False  # MLflow has the artifacts of the finished study
    wall_s: float = 0.0
    _session_start: float = 0.0
    _wall_before: float = 0.0

    @classmethod
    def read(cls, path: Path) -> StudyState:
        """Fold the journal at `path`."""
        return cls.fold(journal.read(path))

    @classmethod
    def fold(cls, events: Iterable[Event]) -> StudyState:
        """Fold `events` in order."""
        state = cls()
        for event in events:
            state.apply(event)
        return state

    @property
    def trials(self) -> list[Run]:
        """The trials of the search in the order of their numbers."""
        return [run for run in self.runs.values() if run.kind == "trial"]

    @property
    def confirmations(self) -> list[Run]:
        """The confirmation runs in the order in which they began."""
        return [run for run in self.runs.values() if run.kind == "confirm"]

    def count(self, kind: str) -> dict[str, int]:
        """Count the runs of a kind by status."""
        counts = dict.fromkeys(("running", "completed", "stopped", "failed"), 0)
        for run in self.runs.values():
            if run.kind == kind:
                counts[run.status] += 1
        return counts

    def apply(self, event: Event) -> None:
        """Take in one event; one that is already known changes nothing."""
        getattr(self, f"_on_{event['event']}")(event)
        self.wall_s = self._wall_before + event["time"] - self._session_start

    def _on_study(self, event: Event) -> None:
        self.about = event
        self.settings = event["settings"]
        self._session_start = event["time"]

    def _on_session(self, event: Event) -> None:
        self._wall_before, self._session_start = self.wall_s, event["time"]
        self.settings = {**self.settings, **event["changed"]}
        if event["changed"]:
            self.search_ended = self.summary = None
            self.published = False

    def _on_baseline(self, event: Event) -> None:
        self.baseline.update({row["n_components"]: row for row in event["rows"]})

    def _on_refused(self, event: Event) -> None:
        self.refused.append(event)

    def _on_run(self, event: Event) -> None:
        known = {key: value for key, value in event.items() if key not in ("event", "time")}
        self.runs.setdefault(event["id"], Run(**known, started=event["time"]))

    def _on_pretrained(self, event: Event) -> None:
        run = self.runs[event["id"]]
        run.pretraining = [
            {"epoch": number, "time": event["time"], **metrics}
            for number, metrics in enumerate(event["epochs"], start=1)
        ]

    def _on_placed(self, event: Event) -> None:
        """Take no notice: on which worker process a run goes on, and after which epoch, is for a person to read."""

    def _on_epoch(self, event: Event) -> None:
        run = self.runs[event["id"]]
        if event["epoch"] == len(run.epochs) + 1:
            run.epochs.append({"epoch": event["epoch"], "time": event["time"], **event["metrics"]})

    def _on_end(self, event: Event) -> None:
        run = self.runs[event["id"]]
        run.status, run.reason, run.final = event["status"], event["reason"], event["final"]

    def _on_note(self, event: Event) -> None:
        """Take in what happened to a run that goes on; it is shown, and changes nothing."""

    def _on_tracking(self, event: Event) -> None:
        """Take in that MLflow is away or back; what it lacks is told by `delivered`."""

    def _on_tracked(self, event: Event) -> None:
        self.tracked[event["id"]] = event["run_id"]

    def _on_delivered(self, event: Event) -> None:
        self.delivered.add(event["id"])

    def _on_search_end(self, event: Event) -> None:
        self.search_ended = event["reason"]

    def _on_finish(self, event: Event) -> None:
        self.summary = event["summary"]

    def _on_published(self, event: Event) -> None:
        self.published = True
