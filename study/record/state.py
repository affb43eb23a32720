"""What a study knows: the fold of its journal, in memory, the same whether it is live or read back."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any, get_args

from study.record import metrics
from study.record.events import (
    RANKED,
    STUDY,
    BaselineMeasured,
    Chooses,
    Config,
    Delivered,
    EnergySpent,
    EpochEnded,
    Event,
    Failed,
    Files,
    Finished,
    Kind,
    Metrics,
    Notified,
    Placed,
    Pretrained,
    Published,
    Refused,
    Remade,
    Role,
    RunEnded,
    RunStarted,
    SearchEnded,
    SessionStarted,
    Status,
    StudyStarted,
    Tracked,
    TriedAgain,
)
from study.record.prices import UNKNOWN, Part
from study.record.settings import reporting_seeds


@dataclass
class Run:
    """One training run: a trial of the search (`t0007`), one seed of a confirmation of it (`t0007-s1`), or a further
    seed of the default (`again2`).

    The first fields are those of `RunStarted`; `started` and `ended` are in seconds since 1970, `started_s` and
    `ended_s` in seconds of the study, as its `wall_s` counts them.
    """

    id: str
    kind: Kind
    number: int
    config: Config
    seed: int
    budget: int
    params: int
    key: str | None
    started: float
    ended: float | None = None
    started_s: float = 0.0
    ended_s: float | None = None
    confirm_of: str | None = None
    pretrain_budget: int = 0
    optuna: dict[str, Any] = field(default_factory=dict)
    role: Role | None = None
    devices: float = 1.0
    part: Part = UNKNOWN  # of the machine that it trains on
    elsewhere: tuple[int, int] = (0, 0)  # epochs of each stage that it had when it was last placed on a machine
    pretraining: list[Metrics] = field(default_factory=list)  # the first stage's epochs
    epochs: list[Metrics] = field(default_factory=list)
    status: Status = "running"
    reason: str | None = None
    by_machine: bool = False  # of a failed run: whether it may do better later, or elsewhere
    tried_again: bool = False  # after it had failed
    final: Metrics = field(default_factory=dict)  # a confirmation's test metrics
    files: Files = field(default_factory=dict)  # a confirmation's network and samples

    @property
    def is_ranked(self) -> bool:
        """Whether it ended with a value, before its whole budget or after it."""
        return self.status in RANKED

    @property
    def last(self) -> Metrics:
        """The metrics of the last epoch, empty before the first one."""
        return self.epochs[-1] if self.epochs else {}

    @property
    def known(self) -> Metrics:
        """The metrics of the last epoch, those of the end, and the network's sizes."""
        return self.last | self.final | self.sizes

    @property
    def sizes(self) -> Metrics:
        """What is known of the network before it trains, see `metrics.sizes`."""
        return metrics.sizes(self.config, self.params)

    @property
    def facts(self) -> dict[str, Any]:
        """What a constraint can be of: the config, the network's sizes, the metrics of the last epoch and the end."""
        return self.config | self.known

    @property
    def seconds(self) -> float:
        """The seconds spent in the epochs that are recorded, those of a first stage included."""
        return sum(epoch.get("seconds") or 0.0 for epoch in (*self.pretraining, *self.epochs))


@dataclass
class StudyState:
    """Everything that the journal says, in the order in which it was said."""

    about: StudyStarted | None = None
    settings: dict[str, Any] = field(default_factory=dict)
    runs: dict[str, Run] = field(default_factory=dict)
    refused: list[Refused] = field(default_factory=list)
    baseline: dict[int, dict[str, Any]] = field(default_factory=dict)  # by number of components
    tracked: dict[str, str] = field(default_factory=dict)  # the tracker's names of runs; "study" is the study's own
    delivered: set[str] = field(default_factory=set)  # the ids of ended runs that the tracker has in full
    search_ended: str | None = None
    summary: dict[str, Any] | None = None
    seen_with: list[int] = field(default_factory=list)  # how many seeds reported in each earlier summary with fewer
    files: Files = field(default_factory=dict)  # what the finished study left in its folder
    failed: str | None = None  # why the last driver left the study before its end, where that was an error
    published: bool = False  # the tracker has the artifacts of the finished study
    notified: bool = False  # the user's command has been told that the study is finished
    finished_at: float = 0.0  # in seconds since 1970, when `summary` was made
    place: dict[str, Any] | None = None  # where the study lay when it was last worked on
    later_sessions: list[SessionStarted] = field(default_factory=list)  # of drivers after the first
    why_ended: str = ""  # the search, in words
    device_s: float = 0.0  # of the search: seconds of its runs' epochs, times the devices that each run has
    search_s: dict[Part, float] = field(default_factory=dict)  # seconds of its runs' epochs, by where they trained
    confirmation_s: dict[Part, float] = field(default_factory=dict)  # the same of the runs that confirm
    energy: dict[str, dict[str, float]] = field(default_factory=dict)  # joules by kind, of each machine that was asked
    wall_s: float = 0.0
    search_wall_s: float = 0.0  # those of `wall_s` in which the search had not ended
    _session_start: float = 0.0
    _wall_before: float = 0.0
    _counts: dict[Kind, dict[Status, int]] = field(init=False)  # of the runs, kept as they begin and end

    def __post_init__(self) -> None:
        self._counts = {kind: dict.fromkeys(get_args(Status), 0) for kind in get_args(Kind)}
        for run in self.runs.values():
            self._counts[run.kind][run.status] += 1

    @classmethod
    def fold(cls, events: Iterable[Event]) -> StudyState:
        """Fold `events` in order."""
        state = cls()
        for event in events:
            state.apply(event)
        return state

    @property
    def all_runs(self) -> list[Run]:
        """All runs in the order in which they began; the display's thread looks at them while others begin."""
        return list(self.runs.values())

    @property
    def trials(self) -> list[Run]:
        """The trials of the search in the order of their numbers."""
        return [run for run in self.all_runs if run.kind == "trial"]

    @property
    def confirmations(self) -> list[Run]:
        """The confirmation runs in the order in which they began."""
        return [run for run in self.all_runs if run.kind == "confirm"]

    @property
    def spread_runs(self) -> list[Run]:
        """The further seeds of the default that say how far seeds differ."""
        return [run for run in self.all_runs if run.kind == "spread"]

    def count(self, kind: Kind) -> dict[Status, int]:
        """Return how many runs of a kind have each status, at once however many there are."""
        return dict(self._counts[kind])

    def ended(self, kind: Kind) -> int:
        """Return how many runs of a kind have ended."""
        return sum(many for status, many in self._counts[kind].items() if status != "running")

    def apply(self, event: Event) -> None:  # noqa: PLR0912, PLR0915 - a case for each kind of event
        """Take in one event; one that is already known changes nothing, nor do those that are for a person to read."""
        searches, wall_before = self.search_ended is None, self.wall_s
        match event:
            case StudyStarted():
                self.about, self.settings, self._session_start = event, event.settings, event.time
                self.place = event.place
            case SessionStarted():
                self._begin_session(event)
            case RunStarted():
                if event.id not in self.runs:
                    about = {key: value for key, value in vars(event).items() if key not in ("time", "elapsed")}
                    self.runs[event.id] = Run(**about, started=event.time, started_s=self._seconds_at(event))
                    self._counts[event.kind]["running"] += 1
            case Placed():
                had = (event.node_type, event.gpu_model, event.gpus, event.cpus, event.share)
                run = self.runs[event.id]
                run.part, run.elsewhere = Part(*had), (len(run.pretraining), len(run.epochs))
            case Refused():
                self.refused.append(event)
            case Pretrained():
                run = self.runs[event.id]
                before = run.pretraining
                run.pretraining = [{"epoch": number, **metrics} for number, metrics in enumerate(event.epochs, start=1)]
                self._count(run, [] if before else event.epochs)
            case EpochEnded():
                run = self.runs[event.id]
                epochs = run.epochs
                if event.epoch > len(epochs) + 1:
                    raise ValueError(f"epoch {event.epoch} of run {event.id!r} follows on epoch {len(epochs)}")
                if event.epoch == len(epochs) + 1:
                    epochs.append({"epoch": event.epoch, **event.metrics})
                    self._count(run, [event.metrics])
            case RunEnded():
                run = self.runs[event.id]
                self._set_status(run, event.status)
                run.reason, run.by_machine = event.reason, event.by_machine
                run.final, run.files, run.ended = event.final, event.files, event.time
                run.ended_s = self._seconds_at(event)
            case TriedAgain():
                self._try_again(self.runs[event.id])
            case Chooses():
                self.runs[event.id].role = "choose"
            case EnergySpent():
                told = self.energy.setdefault(event.host, {})
                told.update({kind: told.get(kind, 0.0) + joules for kind, joules in event.joules.items()})
            case BaselineMeasured():
                self.baseline.update({row["n_components"]: row for row in event.rows})
            case Tracked():
                self.tracked[event.id] = event.run_id
            case Delivered():
                self.delivered.add(event.id)
            case SearchEnded():
                self.search_ended, self.why_ended = event.reason, event.why
            case Finished():
                self.summary, self.files, self.finished_at = event.summary, event.files, event.time
            case Remade() if event.id == STUDY:
                self.files = event.files
            case Remade():
                self.runs[event.id].files = event.files
            case Published():
                self.published = True
            case Failed():
                self.failed = event.reason
            case Notified():
                self.notified = event.status == "finished"
        self.wall_s = self._wall_before + self._since_start(event)
        if searches:
            self.search_wall_s += self.wall_s - wall_before

    def _seconds_at(self, event: Event) -> float:
        return round(self._wall_before + self._since_start(event), 3)

    def _since_start(self, event: Event) -> float:
        """Return the seconds of this session; an earlier version wrote down only what the machine's clock said."""
        return max(0.0, event.time - self._session_start) if event.elapsed is None else event.elapsed

    def _count(self, run: Run, epochs: Iterable[Metrics]) -> None:
        seconds = sum(epoch.get("seconds") or 0.0 for epoch in epochs)
        where = self.confirmation_s if run.kind == "confirm" else self.search_s
        where[run.part] = where.get(run.part, 0.0) + seconds
        if run.kind != "confirm":
            self.device_s += run.devices * seconds

    def _set_status(self, run: Run, status: Status) -> None:
        self._counts[run.kind][run.status] -= 1
        run.status = status
        self._counts[run.kind][status] += 1

    def _try_again(self, run: Run) -> None:
        self._set_status(run, "running")
        run.reason, run.by_machine, run.tried_again = None, False, True
        self.delivered.discard(run.id)
        self.summary, self.published, self.notified = None, False, False
        if run.kind != "confirm":
            self.search_ended = None

    def _begin_session(self, event: SessionStarted) -> None:
        self.later_sessions.append(event)
        self.failed = None
        self._wall_before, self._session_start = self.wall_s, event.time
        if "report_seeds" in event.changed and self.summary is not None:
            self.seen_with.append(reporting_seeds(self.settings))
        self.settings = {**self.settings, **event.moved, **event.changed}
        self.place = event.place or self.place
        if event.uuid and self.about:
            self.about = replace(self.about, uuid=event.uuid)
            self.tracked, self.delivered, self.published = {}, set(), False
        if event.changed.keys() - {"report_seeds"}:
            self.search_ended = None
        if event.changed:
            self.summary = None
            self.notified = False
            self.published = False
