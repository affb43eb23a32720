"""What a driver says to a tracker, whichever it is, and what trackers share."""

from __future__ import annotations

import math
import time as clock
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol

from study.record import constraints, tables
from study.record.constraints import Constraint
from study.record.events import STUDY, EpochEnded, Event, Metrics, Pretrained, RunEnded, RunStarted, StudyStarted
from study.record.folder import StudyFolder
from study.record.metrics import on_test, sign, sizes
from study.record.state import StudyState

if TYPE_CHECKING:
    from pandas import DataFrame

_FILES = (tables.SUMMARY, tables.ABOUT, *(table.file for table in tables.TABLES))


@dataclass(frozen=True)
class Ending:
    """How a driver leaves a study.

    Attributes:
        status: "finished", or what the study can be resumed from.
        metrics: The numbers of the study as a whole.
        verdict: What the study found beside its baseline, in one line.
        text: The study's summary for a person.
        reason: Why the study failed.
        time: In seconds since 1970.
    """

    status: Literal["finished", "interrupted", "failed"]
    metrics: Mapping[str, float] = field(default_factory=dict)
    verdict: str = ""
    text: str = ""
    reason: str = ""
    time: float = field(default_factory=clock.time)

    @property
    def markdown(self) -> str:
        """The verdict, and below it the summary; "" where there is none."""
        verdict = f"Verdict: {self.verdict}\n\n" if self.verdict else ""
        return f"{verdict}```\n{self.text}\n```" if self.text else ""


@dataclass(frozen=True)
class Serving:
    """How others load a saved network, and ask it about images as they have them.

    Attributes:
        module: Its `_load_pyfunc(folder, config)` gives what has the method `predict`.
        config: What can be said where it is loaded, as it stands where nothing is.
        example: What the network in a folder answers to one image; None if it is one that cannot be asked.
    """

    module: str
    config: Mapping[str, Any]
    example: Callable[[Path], DataFrame | None]


class Tracker(Protocol):
    """Shows a study in another program, from the events of its journal.

    Nothing but `close` waits for that program: what it cannot be told now it is told later, by this driver or by the
    next one, to which `started` gives the whole journal.
    """

    name: str
    """The program's, for people."""
    error: str | None
    """The last failure, while it lasts; after a `close` that returned False, why."""

    def started(self, before: Sequence[Event]) -> None:
        """Begin to follow a study; `before` are the events that earlier drivers wrote, none of a new study."""

    def event(self, event: Event) -> None:
        """Take in an event of the journal."""

    def artifact(self, path: Path, folder: str = "", run: str = STUDY) -> None:
        """Keep a file with a run, or with the study, below `folder`; ignore one that this tracker has no use for."""

    def model(self, folder: Path, serving: Serving, registered: str | None = None) -> None:
        """Keep the study's network, which `models.load(folder)` gives, with the way to ask it about images.

        With `registered`, put it into the registry of models under that name, too; `close` says where that fails.
        """

    def close(self, ending: Ending, seconds: float) -> bool:
        """Deliver what is left, events for at most `seconds`, and return whether all was delivered."""


@dataclass(frozen=True)
class Point:
    """One value of a metric of a run; `time` is in seconds since 1970."""

    run: str
    key: str
    value: float
    step: int
    time: float


class Points:
    """Turns the events of a journal, in order, into points: each number once, at its own event's time.

    It needs no more than the events themselves, so a journal that is read back gives the points that it gave live.
    """

    def __init__(self) -> None:
        self._epochs: dict[str, int] = {}

    def of(self, event: Event) -> list[Point]:
        """Return the finite numbers of an event; those of a run's end are at the step of its last epoch."""
        match event:
            case Pretrained():
                return [
                    point
                    for step, metrics in enumerate(event.epochs, start=1)
                    for point in _points(event, step, {f"pretrain_{key}": value for key, value in metrics.items()})
                ]
            case EpochEnded() if event.epoch == self._epochs.get(event.id, 0) + 1:  # others are repeated
                self._epochs[event.id] = event.epoch
                return list(_points(event, event.epoch, event.metrics))
            case RunEnded():
                return list(_points(event, self._epochs.get(event.id, 0), event.final))
        return []


class BestSoFar:
    """Turns the events of a journal, in order, into the best value of the objective so far, a point of the study's own.

    Its step is how many trials have ended; a trial that is told of twice is counted once.
    """

    KEY = "best_so_far"

    def __init__(self) -> None:
        self._objective: tuple[str, int] | None = None
        self._constraints: list[Constraint] = []
        self._begun: dict[str, RunStarted] = {}
        self._last: dict[str, Metrics] = {}  # of each trial
        self._ended: set[str] = set()
        self._best: float | None = None

    def of(self, event: Event) -> Point | None:
        """Return the point that a trial's end makes, None of any other event."""
        match event:
            case StudyStarted() if event.objective:
                self._objective = event.objective["metric"], sign("min" if event.objective["mode"] == "min" else "max")
                self._constraints = constraints.of_settings(event.settings)
            case RunStarted(kind="trial"):
                self._begun[event.id] = event
                self._last.setdefault(event.id, {})
            case EpochEnded() if self._objective and event.id in self._last:
                self._last[event.id] = event.metrics
            case RunEnded() if self._objective and event.id in self._last.keys() - self._ended:
                self._ended.add(event.id)
                (metric, factor), begun = self._objective, self._begun[event.id]
                value = self._last[event.id].get(metric)
                facts = begun.config | sizes(begun.config, begun.params) | self._last[event.id]
                ranked = event.status != "failed" and not constraints.unmet(self._constraints, facts)
                if ranked and value is not None and math.isfinite(value):
                    known = [one for one in (self._best, value) if one is not None]
                    self._best = min(known, key=lambda one: factor * one)
                if self._best is not None:
                    return Point(STUDY, self.KEY, self._best, len(self._ended), event.time)
        return None


def ending_points(ending: Ending) -> list[Point]:
    """Return the finite numbers of the study as a whole, at step 0."""
    return [
        Point(STUDY, key, float(value), 0, ending.time) for key, value in ending.metrics.items() if math.isfinite(value)
    ]


def _points(
    event: Pretrained | EpochEnded | RunEnded, step: int, metrics: Mapping[str, float | None]
) -> Iterator[Point]:
    for key, value in metrics.items():
        if value is not None and math.isfinite(value):  # the journal has None for a number that is not
            yield Point(event.id, key, float(value), step, event.time)


def end_metrics(summary: Mapping[str, Any]) -> dict[str, float]:
    """Return the numbers of a summary that are shown of the study as a whole."""
    best = summary["best"]
    if best is None:
        return {}
    metrics = {f"best_{name}": value["mean"] for name, value in best["val"].items()}
    if best["test"]:
        metrics[f"best_{on_test(summary['metric'])}"] = best["test"]["mean"]
    if summary["baseline"]:
        row = summary["baseline"]
        metrics |= {f"pca_{name}": row[name] for name in ("test_mse", "test_mse_clipped") if name in row}
    nats = summary.get("nats") or {}  # not of an earlier version
    metrics |= {f"pca_{name}": nats[name] for name in ("test_nelbo", "test_nelbo_clipped") if name in nats}
    if summary["ratio_to_pca"] is not None:
        metrics["ratio_to_pca"] = summary["ratio_to_pca"]
    return metrics


def publish(tracker: Tracker, folder: StudyFolder, state: StudyState, serving: Serving) -> None:
    """Give a tracker what a finished study leaves: tables, pictures and samples, and the network."""
    summary = state.summary
    assert summary is not None
    for name in _FILES:
        if (folder.path / name).is_file():
            tracker.artifact(folder.path / name)
    best = summary["best"]
    if best is None:
        return
    tracker.model(folder.best, serving, state.settings["name"] if state.settings.get("register") else None)
    shown_with = (STUDY, _kept(state, best))
    pictures = sorted(folder.samples.glob("*.png"))
    for path in pictures:
        for run in shown_with:
            tracker.artifact(path, "pictures", run)
    if pictures:  # a colleague who has the tracker and no files makes the same report from these
        for path in sorted(folder.samples.glob("*.npz")):
            tracker.artifact(path, "samples")


def _kept(state: StudyState, best: Mapping[str, Any]) -> str:
    """Return the run whose network is the one that is kept, and has made the pictures."""
    if best["model"] is None:
        return str(best["trial_id"])
    chosen = (best["trial_id"], best["model"]["seed"])
    return next(run.id for run in state.confirmations if (run.confirm_of, run.seed) == chosen)
