"""What happens in a study, as values: the lines of its journal."""

from __future__ import annotations

import time as clock
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any, ClassVar, Literal

STUDY = "study"
"""The study's own place among the ids of its runs."""

Status = Literal["running", "completed", "stopped", "failed"]
RANKED: tuple[Status, ...] = ("completed", "stopped")
"""Those of a trial that has a value; one that failed has none."""
Kind = Literal["trial", "confirm", "spread"]
"""A trial of the search, a seed of a confirmation, or a further seed of the default, for how far seeds differ."""
Role = Literal["choose", "report"]
"""Of a confirmation: whether its seeds choose the winner, by validation data, or report on it, on the test split."""
LIMITS = ("time budget", "device hours", "cost", "patience")
"""What can end a search before all of its trials have been."""
Metrics = dict[str, float]
Files = dict[str, str]
"""What is on the disk, by the file's name: its size in bytes and the SHA-256 of its content (`study.record.kept`)."""
Config = dict[str, Any]  # flat; a value is a number, a word or a switch


def _now() -> float:
    return round(clock.time(), 3)


@dataclass(frozen=True)
class Event:
    """Something that happened.

    Attributes:
        time: in seconds since 1970, by the machine's clock, which somebody may set.
        elapsed: seconds since this driver opened the journal, by a clock that nobody sets; None until the event is
            written, and in journals of an earlier version.

    A line of the journal is {"event": name, "time": ..., field: ...}. A field that a later version of the project wrote
    is left where it is, in the file; one that an earlier version did not write has its default.
    """

    name: ClassVar[str]
    synced: ClassVar[bool] = True
    """Whether the disk has it before the study goes on. What a power cut takes back of the others is done again."""
    time: float = field(default_factory=_now, kw_only=True)
    elapsed: float | None = field(default=None, kw_only=True, compare=False)

    def to_json(self) -> dict[str, Any]:
        """Return the event as a line of the journal says it."""
        values = asdict(self)
        clocks = {"time": values.pop("time"), "elapsed": values.pop("elapsed")}
        return {"event": self.name, **{key: value for key, value in clocks.items() if value is not None}, **values}


@dataclass(frozen=True)
class StudyStarted(Event):
    """A study began; the fields are those of study.json.

    Attributes:
        settings: `study.settings.Settings` as JSON.
        objective: {"metric": ..., "mode": "min" or "max"}.
        searched: the range of each parameter of the space, in words; empty where nothing is searched. An earlier
            version may not have said it: None.
        data: name, digest, sizes of the splits, image_shape, class_names, split and notes.
        encoder: the earlier study whose encoder classifiers are built on.
        own: of a space in a user's own file: its name, SHA-256, family and the facts of that; None of a built-in one.
        environment: git commit, versions, hardware.
        gpu: how runs share a GPU; None without one.
        uuid: who it is, whatever its name: the key of its runs elsewhere. An earlier version had the name alone.
        place: where it lies (`study.record.folder.place_of`).
        warm_start: what of earlier studies it begins with: key ("STUDY/TRIAL"), config, and params as Optuna has them.
    """

    name: ClassVar[str] = "study"
    settings: dict[str, Any]
    objective: dict[str, str] = field(default_factory=dict)
    searched: dict[str, str] | None = None
    data: dict[str, Any] = field(default_factory=dict)
    encoder: dict[str, Any] | None = None
    own: dict[str, Any] | None = None
    environment: dict[str, Any] = field(default_factory=dict)
    gpu: dict[str, Any] | None = None
    uuid: str | None = None
    place: dict[str, Any] | None = None
    warm_start: list[dict[str, Any]] = field(default_factory=list)


@dataclass(frozen=True)
class SessionStarted(Event):
    """Another driver went on with the study.

    Attributes:
        changed: settings by which there is more to do.
        gpu: how runs share a GPU; None without one.
        uuid: who it is from here on: a copy of a study is a study of its own. None where it stays the same.
        place: where it lies now.
        moved: settings that say where things lie now, or which of a folder from elsewhere are not obeyed.
        environment: git commit, versions, hardware; an earlier version did not say them.
    """

    name: ClassVar[str] = "session"
    changed: dict[str, Any]
    gpu: dict[str, Any] | None = None
    uuid: str | None = None
    place: dict[str, Any] | None = None
    moved: dict[str, Any] = field(default_factory=dict)
    environment: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class RunStarted(Event):
    """A training run began: a trial of the search, one seed of a confirmation, or a further seed of the default.

    Attributes:
        id: `t0007` for a trial, `t0007-s1` for a seed of its confirmation, `again2` for a second seed of the default.
        number: its place among the runs of its kind, from 0.
        budget: epochs of the last stage; `pretrain_budget` of a first one.
        key: "default", a reported key, or None for a sampled config; "default again 2" for a second seed.
        confirm_of: what a confirmation confirms.
        devices: the GPUs that it has, or the processors where it has none; an earlier version did not say it.
        role: of a confirmation; None in journals of an earlier version, whose seeds did both.
        optuna: what makes the trial anew in another Optuna storage.
    """

    name: ClassVar[str] = "run"
    id: str
    kind: Kind
    number: int
    config: Config
    seed: int
    budget: int
    params: int
    key: str | None
    confirm_of: str | None = None
    pretrain_budget: int = 0
    optuna: dict[str, Any] = field(default_factory=dict)
    role: Role | None = None
    devices: float = 1.0


@dataclass(frozen=True)
class Refused(Event):
    """A config that the sampler drew is too large to be a trial."""

    name: ClassVar[str] = "refused"
    reason: str
    key: str | None
    config: Config
    params: int
    optuna: dict[str, Any]


@dataclass(frozen=True)
class Placed(Event):
    """A run goes on, after `epoch` epochs, in another process than before.

    Attributes:
        node_type, gpu_model, gpus, cpus, share: what it has of the machine (`study.record.prices.Part`); an earlier
            version did not say it.
    """

    name: ClassVar[str] = "placed"
    synced: ClassVar[bool] = False
    id: str
    host: str
    pid: int
    epoch: int
    node_type: str = ""
    gpu_model: str = ""
    gpus: float = 0.0
    cpus: float = 0.0
    share: float = 0.0


@dataclass(frozen=True)
class Pretrained(Event):
    """A run's first stage is over; `epochs` are the metrics of each of its epochs."""

    name: ClassVar[str] = "pretrained"
    id: str
    epochs: list[Metrics]


@dataclass(frozen=True)
class EpochEnded(Event):
    """A run trained and validated an epoch, counted from 1."""

    name: ClassVar[str] = "epoch"
    synced: ClassVar[bool] = False
    id: str
    epoch: int
    metrics: Metrics


@dataclass(frozen=True)
class RunEnded(Event):
    """A run ended.

    Attributes:
        final: a confirmation's metrics of the test split and of the training images.
        files: its network and samples, in its folder of checkpoints.
        by_machine: of a failed run, whether it may do better on another machine or later: its worker died, or memory
            ran out.
    """

    name: ClassVar[str] = "end"
    id: str
    status: Status
    reason: str | None
    final: Metrics
    files: Files = field(default_factory=dict)
    by_machine: bool = False


@dataclass(frozen=True)
class TriedAgain(Event):
    """A failed run is to be trained once more."""

    name: ClassVar[str] = "again"
    id: str


@dataclass(frozen=True)
class Chooses(Event):
    """A seed that reported on a search's only candidate chooses: an extension has brought more, which share it."""

    name: ClassVar[str] = "chooses"
    id: str


@dataclass(frozen=True)
class EnergySpent(Event):
    """A machine took energy while runs were trained on it, by its own counters, which count all that it does.

    Attributes:
        host: the machine's name.
        joules: since the event before, by kind: "processor" (packages), "memory", "GPU"; without those that it does not
            tell.
    """

    name: ClassVar[str] = "energy"
    synced: ClassVar[bool] = False
    host: str
    joules: dict[str, float]


@dataclass(frozen=True)
class Noted(Event):
    """Something that a person should know of a run which goes on."""

    name: ClassVar[str] = "note"
    id: str
    text: str


@dataclass(frozen=True)
class BaselineMeasured(Event):
    """Rows of the baseline, one for each number of components."""

    name: ClassVar[str] = "baseline"
    rows: list[dict[str, Any]]


@dataclass(frozen=True)
class SearchEnded(Event):
    """The search is over.

    Attributes:
        reason: "trials", or one of `LIMITS`.
        why: the same in words, with its numbers; an earlier version did not say it.
    """

    name: ClassVar[str] = "search_end"
    reason: str
    why: str = ""


@dataclass(frozen=True)
class Finished(Event):
    """The study is finished, and this is its summary.json; `files` are all that it left in its folder."""

    name: ClassVar[str] = "finish"
    summary: dict[str, Any]
    files: Files = field(default_factory=dict)


@dataclass(frozen=True)
class Remade(Event):
    """What was missing or damaged of a run that has ended, or of the finished study ("study"), was made again."""

    name: ClassVar[str] = "remade"
    id: str
    files: Files


@dataclass(frozen=True)
class TrackingChanged(Event):
    """The tracker fails, with this problem, or works again: None."""

    name: ClassVar[str] = "tracking"
    problem: str | None


@dataclass(frozen=True)
class Tracked(Event):
    """The tracker's own name of a run; the study's is "study"."""

    name: ClassVar[str] = "tracked"
    synced: ClassVar[bool] = False
    id: str
    run_id: str


@dataclass(frozen=True)
class Delivered(Event):
    """The tracker has all of a run that has ended."""

    name: ClassVar[str] = "delivered"
    synced: ClassVar[bool] = False
    id: str


@dataclass(frozen=True)
class Published(Event):
    """The tracker has the files, the pictures and the network of the finished study."""

    name: ClassVar[str] = "published"


@dataclass(frozen=True)
class Failed(Event):
    """A driver left the study before its end because of an error, which `reason` says in one line."""

    name: ClassVar[str] = "failed"
    reason: str


@dataclass(frozen=True)
class Notified(Event):
    """The user's command has been told that the study came to an end: finished, failed or interrupted."""

    name: ClassVar[str] = "notified"
    status: str


EVENTS: Mapping[str, type[Event]] = {
    kind.name: kind
    for kind in (
        StudyStarted,
        SessionStarted,
        RunStarted,
        Refused,
        Placed,
        Pretrained,
        EpochEnded,
        RunEnded,
        TriedAgain,
        Chooses,
        EnergySpent,
        Noted,
        BaselineMeasured,
        SearchEnded,
        Finished,
        Remade,
        TrackingChanged,
        Tracked,
        Delivered,
        Published,
        Failed,
        Notified,
    )
}


def own(events: Iterable[Event]) -> list[Event]:
    """Return the events of a journal without what is of the study that it was copied from: what its tracker has."""
    kept: list[Event] = []
    for event in events:
        if isinstance(event, SessionStarted) and event.uuid:
            kept = [one for one in kept if not isinstance(one, Tracked | Delivered | Published)]
            kept = [replace(one, uuid=event.uuid) if isinstance(one, StudyStarted) else one for one in kept]
        kept.append(event)
    return kept
