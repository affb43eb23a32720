"""Studies with chosen numbers, written through the record: events in a journal, and the files that are made of it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from study.record import files, tables
from study.record.events import (
    BaselineMeasured,
    EpochEnded,
    Event,
    Finished,
    Metrics,
    Pretrained,
    RunEnded,
    RunStarted,
    SearchEnded,
    StudyStarted,
)
from study.record.folder import StudyFolder
from study.record.journal import Journal, read_state

OBJECTIVES = {"ae": ("val_mse", "min"), "vae": ("val_nelbo", "min"), "classifier": ("val_accuracy", "max")}


@dataclass
class MadeUpRun:
    """A trial or, with `confirm_of`, one seed of a confirmation; the fields are those of the record's `Run`.

    Attributes:
        epochs: the metrics of each epoch of the last stage, and `pretraining` of a first one.
        seconds: of an epoch that does not say it itself.
        status: "running" of a run that has not ended.
    """

    id: str
    number: int
    config: dict[str, Any] = field(default_factory=dict)
    epochs: list[Metrics] = field(default_factory=list)
    status: str = "completed"
    reason: str | None = None
    seed: int = 0
    params: int = 1000
    key: str | None = None
    confirm_of: str | None = None
    role: str | None = None
    pretraining: list[Metrics] = field(default_factory=list)
    final: Metrics = field(default_factory=dict)
    seconds: float = 1.0
    budget: int | None = None

    def events(self) -> Iterator[Event]:
        """Return what is recorded of the run."""
        yield RunStarted(
            self.id,
            "confirm" if self.confirm_of else "trial",
            self.number,
            self.config,
            self.seed,
            self.budget or len(self.epochs),
            self.params,
            self.key,
            self.confirm_of,
            role=self.role,
        )
        if self.pretraining:
            yield Pretrained(self.id, [{"seconds": self.seconds} | epoch for epoch in self.pretraining])
        for number, epoch in enumerate(self.epochs, start=1):
            yield EpochEnded(self.id, number, {"seconds": self.seconds} | epoch)
        if self.status != "running":
            yield RunEnded(self.id, self.status, self.reason, self.final)


def made_up_trial(number: int, **about: Any) -> MadeUpRun:
    """Return a trial with the id that a study gives it."""
    return MadeUpRun(f"t{number:04d}", number, **about)


def made_up_seeds(
    candidate: str, last: Mapping[str, Sequence[float]], *, epochs: int = 1, first_seed: int = 1, **about: Any
) -> list[MadeUpRun]:
    """Return a confirmation run per value of the metrics; those of the test split are of its end, others of its epochs.

    Args:
        candidate: What is confirmed.
        last: Values by metric, one for each seed.
        epochs: Of a run; every one has the same metrics.
        first_seed: The first run's seed.
        **about: Further fields of `MadeUpRun`.
    """
    runs = []
    for place in range(len(next(iter(last.values()), ()))):
        mine = {metric: values[place] for metric, values in last.items()}
        final = {metric: value for metric, value in mine.items() if metric.startswith("test_")}
        epoch = {metric: value for metric, value in mine.items() if metric not in final}
        shared = {key: value.copy() if isinstance(value, dict) else value for key, value in about.items()}
        runs.append(
            MadeUpRun(
                f"{candidate}-s{place + 1}",
                place,
                seed=first_seed + place,
                confirm_of=candidate,
                epochs=[epoch.copy() for _ in range(epochs)],
                final=final,
                **shared,
            )
        )
    return runs


def write_study(
    storage: Path,
    name: str,
    runs: Iterable[MadeUpRun],
    *,
    space: str = "digits_ae",
    baseline: Sequence[Mapping[str, Any]] = (),
    search_end: bool = True,
    summary: Mapping[str, Any] | None = None,
    **about: Any,
) -> Path:
    """Write a study's folder as study/ does, and return it.

    Args:
        storage: Where studies lie.
        name: The study's name.
        runs: Its trials and confirmation runs, in the order in which they began.
        space: Its space; the objective is that of the space's family.
        baseline: Rows of the baseline.
        search_end: Whether the search came to its end.
        summary: summary.json of a finished study.
        **about: Further fields of `StudyStarted`; of `settings`, what differs from the space alone.
    """
    folder = StudyFolder(storage / name)
    folder.path.mkdir(parents=True)
    metric, mode = OBJECTIVES[space.rpartition("_")[2]]
    settings = {"space": space} | about.pop("settings", {})
    events: list[Event] = [StudyStarted(settings, **{"objective": {"metric": metric, "mode": mode}} | about)]
    events += [event for run in runs for event in run.events()]
    events += [BaselineMeasured([dict(row) for row in baseline])] if baseline else []
    events += [SearchEnded("trials")] if search_end else []
    record(folder, *events, *([Finished(dict(summary))] if summary is not None else []))
    return folder.path


def record(folder: StudyFolder, *events: Event) -> None:
    """Add events to a study's journal, and make its files of it anew."""
    journal = Journal(folder.journal)
    for event in events:
        journal.append(event)
    journal.close()
    state = read_state(folder.journal)
    tables.write(folder, state)
    if state.summary is not None:
        files.write_json(folder.path / tables.SUMMARY, state.summary)
