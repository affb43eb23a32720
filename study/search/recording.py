"""From what Tune says of a run to the events of the journal."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ray import tune
from ray.tune.experiment import Trial

from study import interrupt
from study.record import disk
from study.record.events import EpochEnded, Noted, Placed, Pretrained, RunEnded, Status
from study.record.folder import StudyFolder
from study.record.journal import Recorder
from study.record.ranking import best_trials
from study.search.unpickled import Unpickled
from study.training import checkpoint
from study.worker.job import (
    DECLINED,
    EPOCH,
    FAILED,
    FINAL,
    METRICS,
    NOTE,
    PRETRAINING,
    REPORTS,
    STORAGE_FAILED,
    Job,
    jobs_of,
)


class TuneRecorder(Unpickled, tune.Callback):
    """Records what Tune's runs report, and deletes the checkpoints that are of no more use.

    Args:
        recorder: Writes the events.
        folder: The study's folder.
        metric: The objective, such as "val_mse".
        keep: How many ended trials keep their checkpoint: those with the best objective.
    """

    def __init__(self, recorder: Recorder, folder: StudyFolder, metric: str, keep: int) -> None:
        self._recorder = recorder
        self._folder = folder
        self._metric, self._keep = metric, keep
        self._places: dict[str, tuple[str, int]] = {}  # run -> host and process
        self._kept: set[str] = {run.id for run in recorder.state.trials if run.status in ("completed", "stopped")}

    def on_step_begin(self, iteration: int, trials: list[Trial], **info: Any) -> None:
        """Leave between two steps of Tune's loop, several of which pass in a second, if the user asked to.

        Raises:
            Interrupted: a signal has come.
        """
        interrupt.check()

    def on_trial_result(
        self, iteration: int, trials: list[Trial], trial: Trial, result: dict[str, Any], **info: Any
    ) -> None:
        """Record an epoch, and the worker that trained it where it is another one than before.

        Raises:
            StudyError: the worker could not write its checkpoint or does not share the study's storage; no other
                trial will do better.
        """
        if result.get(STORAGE_FAILED):
            raise disk.error_of(self._folder.path, result[STORAGE_FAILED])
        jobs = jobs_of(trial.config)
        if result.get(DECLINED):
            text = f"and {_names(jobs[1:])} are trained each by itself: {result[DECLINED]}"
            self._recorder.record(Noted(jobs[0].id, text))
            return
        for job, report in _reports(jobs, result):
            self._report(job, report, (result["hostname"], result["pid"]))

    def _report(self, job: Job, result: Mapping[str, Any], place: tuple[str, int]) -> None:
        run = self._recorder.state.runs[job.id]
        if result.get(NOTE):
            self._recorder.record(Noted(run.id, result[NOTE]))
        if self._places.get(run.id) != place:
            self._places[run.id] = place
            # The first report of a worker repeats the epoch of the checkpoint that it goes on from.
            self._recorder.record(Placed(run.id, *place, epoch=result[EPOCH]))
        if result.get(PRETRAINING) and not run.pretraining:
            self._recorder.record(Pretrained(run.id, result[PRETRAINING]))
        if not result.get(FAILED) and result[EPOCH] == len(run.epochs) + 1:
            self._recorder.record(EpochEnded(run.id, result[EPOCH], result[METRICS]))

    def on_trial_complete(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        """Record the end that a run came to by itself or by the scheduler."""
        if trial.last_result.get(DECLINED):
            return
        for job, report in _reports(jobs_of(trial.config), trial.last_result):
            status, reason = outcome(job.epochs, report)
            self._end(job, status, reason, report.get(FINAL) or {})

    def on_trial_recover(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        """Say that a run's worker died, and that the run is set up again."""
        for job in jobs_of(trial.config):
            self._recorder.record(Noted(job.id, f"is set up again from its checkpoint: {_error(trial)}"))

    def on_trial_error(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        """Record a run whose worker died more often than a run is retried."""
        for job in jobs_of(trial.config):
            self._end(job, "failed", f"its worker died: {_error(trial)}", {})

    def _end(self, job: Job, status: Status, reason: str | None, final: Mapping[str, Any]) -> None:
        if status == "stopped" and reason is None:
            reason = f"by the scheduler after epoch {len(self._recorder.state.runs[job.id].epochs)}"
        self._recorder.record(RunEnded(job.id, status, reason, dict(final)))
        if job.test:
            return
        self._kept.add(job.id)
        best = {run.id for run in best_trials(self._recorder.state, self._metric)[: self._keep]}
        for run_id in self._kept - best:
            checkpoint.delete(self._folder.checkpoints, run_id)
        self._kept &= best


def _reports(jobs: list[Job], result: Mapping[str, Any]) -> list[tuple[Job, Mapping[str, Any]]]:
    """Return the jobs of a result, each with its own report: of one job, that is the result."""
    if len(jobs) == 1:
        return [(jobs[0], result)]
    reports = result.get(REPORTS, {})
    return [(job, reports.get(job.id, {})) for job in jobs]


def _names(jobs: list[Job]) -> str:
    return ", ".join(job.id for job in jobs)


def _error(trial: Trial) -> str:
    """Return the first line of the last error that Tune wrote down for a run, below a heading of its own."""
    *_, last = Path(trial.error_file).read_text().split("Failure # ")
    lines = last.strip().splitlines()[1:]
    return lines[0] if lines else "no reason was given"


def outcome(budget: int, result: Mapping[str, Any]) -> tuple[Status, str | None]:
    """Say how a run ended from its last result: completed its `budget` of epochs, stopped before, or failed and why."""
    if result.get(FAILED):
        return "failed", result[FAILED]
    if not result or math.isnan(result.get(EPOCH, math.nan)):
        return "failed", "the run ended before its first result"
    return ("completed" if result[EPOCH] >= budget else "stopped"), None
