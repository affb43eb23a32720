"""The complete learning curves of a study that no scheduler stopped."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from math import isfinite, nan
from pathlib import Path

from study.record import folder as folders
from study.record.errors import UsageError
from study.record.events import Metrics
from study.record.folder import StudyFolder
from study.record.journal import read_state
from study.record.metrics import mode
from study.record.state import Run, StudyState
from study.worker.job import EPOCH

_NEEDED = "a replay needs complete curves: a finished study of --scheduler none without --time-budget"


@dataclass(frozen=True, eq=False)
class RecordedTrial:
    """A trial as it ran, an entry of `results` and of `seconds` per epoch.

    A first stage is part of the first epoch, as it is to Tune. A trial that failed ends with a result of NaN.

    Attributes:
        run: As the journal has it.
        results: What Tune's scheduler is shown, {"epoch": ..., metric: ...}.
        seconds: How long the worker was busy for each result.
        value: The metric after the last epoch, NaN if the trial failed.
    """

    run: Run
    results: tuple[Metrics, ...]
    seconds: tuple[float, ...]
    value: float


@dataclass(frozen=True, eq=False)
class RecordedStudy:
    """What was recorded: the trials in the order of their numbers, at least two of which completed."""

    name: str
    metric: str
    mode: str  # "min" or "max"
    max_epochs: int
    sampler: str
    trials: tuple[RecordedTrial, ...]

    @property
    def completed(self) -> list[int]:
        """The numbers of the trials that completed."""
        return [number for number, trial in enumerate(self.trials) if isfinite(trial.value)]

    def best_of(self, numbers: Iterable[int]) -> float:
        """Return the best final value of some trials, at least one of which completed."""
        values = [self.trials[number].value for number in numbers if isfinite(self.trials[number].value)]
        return min(values) if self.mode == "min" else max(values)

    def regret(self, value: float, best: float) -> float:
        """Return how much worse than `best` a value is, in per cent of `best`."""
        distance = value - best if self.mode == "min" else best - value
        return 100 * distance / (abs(best) or 1.0)


def read_recorded(storage: Path, name: str) -> RecordedStudy:
    """Read the study `name` below the storage folder.

    Raises:
        UsageError: there is no such study, or it has no complete curves; the message says why and what is needed.
        StudyError: its journal is damaged.
    """
    return recorded(folders.existing(storage, name, "NAME"))


def recorded(folder: StudyFolder) -> RecordedStudy:
    """Return the curves of the study in a folder.

    Raises:
        UsageError: they are not complete; the message says why and what is needed.
        StudyError: its journal is damaged.
    """
    name, state = folder.name, read_state(folder.journal)
    if not state.trials:
        raise UsageError(f"study {name!r} has no trials of a search; {_NEEDED}")
    metric = state.settings["objectives"][0]
    _check(folder, state, metric)
    trials = tuple(_trial(run, metric) for run in state.trials)
    return RecordedStudy(name, metric, mode(metric), state.settings["epochs"], state.settings["sampler"], trials)


def _check(folder: StudyFolder, state: StudyState, metric: str) -> None:
    name, statuses = folder.name, Counter(run.status for run in state.trials)
    total = len(state.trials)
    scheduler = state.settings["scheduler"]
    if scheduler != "none":
        stopped = f", which stopped {statuses['stopped']} of {total} trials" if statuses["stopped"] else ""
        raise UsageError(f"study {name!r} was run with --scheduler {scheduler}{stopped}; {_NEEDED}")
    if state.search_ended is None or statuses["running"]:
        ended = total - statuses["running"]
        raise UsageError(
            f"study {name!r} is not finished, {ended} trials have ended; {folder.resume_command()} ends it; {_NEEDED}"
        )
    if statuses["stopped"]:
        raise UsageError(
            f"study {name!r} stopped {statuses['stopped']} of {total} trials as its search ended; {_NEEDED}"
        )
    if statuses["completed"] < 2:
        raise UsageError(
            f"study {name!r} has {statuses['completed']} completed and {statuses['failed']} failed trials; "
            "a replay needs two that completed"
        )
    completed = [run for run in state.trials if run.status == "completed"]
    if not all(metric in epoch for run in completed for epoch in run.epochs):
        raise UsageError(f"study {name!r} searched for {metric}, which has no curve; {_NEEDED}")


def _trial(run: Run, metric: str) -> RecordedTrial:
    results = [{EPOCH: epoch["epoch"], metric: epoch[metric]} for epoch in run.epochs]
    seconds = [epoch["seconds"] for epoch in run.epochs]
    if run.status == "failed":
        # The journal has no seconds of an epoch that was not finished: it is taken to be as long as those before.
        seconds.append(sum(seconds) / len(seconds) if seconds else 0.0)
        results.append({EPOCH: len(results) + 1, metric: nan})
    seconds[0] += sum(epoch["seconds"] for epoch in run.pretraining)
    return RecordedTrial(run, tuple(results), tuple(seconds), nan if run.status == "failed" else run.last[metric])
