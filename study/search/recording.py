"""From what Tune says of a run to the events of the journal."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ray import tune
from ray.tune.experiment import Trial

from study import interrupt
from study.cluster.pricing import wanted
from study.record import disk
from study.record.errors import StudyError
from study.record.events import EpochEnded, Noted, Placed, Pretrained, Remade, RunEnded, Status
from study.record.folder import StudyFolder
from study.record.journal import Recorder
from study.record.prices import Part, of_settings
from study.record.ranking import best_trials
from study.record.settings import Settings
from study.record.state import Run
from study.search.energy import EnergyAccount
from study.search.engine import BudgetStopper, Unpickled
from study.search.stall import StallWatch
from study.training import checkpoint
from study.worker.job import Job, Report, StepResult, ending, jobs_of, node_of, step_of

_ENERGY_EVERY_S = 60.0  # at most so much of it is lost with a driver that is killed
_MACHINE_FAILURES = 3  # in a row, after which a study stops instead of going through all of its trials


class TuneRecorder(Unpickled, tune.Callback):
    """Records what Tune's runs report, and deletes the checkpoints that are of no more use.

    Args:
        recorder: Writes the events.
        folder: The study's folder.
        metric: The objective, such as "val_mse".
        keep: How many ended trials keep their checkpoint: those with the best objective.
        stopper: Knows which runs it has stopped, and why.
        placed: Returns what a run has of a node, by the node's id, and says so where that has no price.
        watch: Is told how many runs have a process.
    """

    def __init__(
        self,
        recorder: Recorder,
        folder: StudyFolder,
        metric: str,
        keep: int,
        stopper: BudgetStopper,
        *,
        placed: Callable[[str, str], Part] = lambda run_id, node: Part(),
        watch: StallWatch | None = None,
    ) -> None:
        self._watch, self._placed = watch, placed
        self._recorder, self._stopper = recorder, stopper
        self._folder = folder
        self._metric, self._keep = metric, keep
        self._places: dict[str, tuple[str, int]] = {}  # run -> host and process
        self._energy, self._energy_due = EnergyAccount(), 0.0
        self._fault: Exception | None = None
        self._failed_by_machine = 0  # runs, since the last one that did not fail
        self._kept: set[str] = {run.id for run in recorder.state.trials if run.is_ranked}

    def on_step_begin(self, iteration: int, trials: list[Trial], **info: Any) -> None:
        """Leave between two steps of Tune's loop, several of which pass in a second, if the user asked to.

        Raises:
            Interrupted: a signal has come.
            StudyError: no run has had a process for too long, or the machine fails one after the other.
        """
        interrupt.check()
        self.check()
        if self._watch is not None:
            running, waiting = (sum(one.status == of for one in trials) for of in (Trial.RUNNING, Trial.PENDING))
            self._watch.look(running, waiting)

    def on_trial_result(
        self, iteration: int, trials: list[Trial], trial: Trial, result: dict[str, Any], **info: Any
    ) -> None:
        """Record an epoch, and the worker that trained it where it is another one than before.

        Raises:
            StudyError: the worker could not write its checkpoint or does not share the study's storage; no other
                trial will do better.
        """
        step = step_of(result)
        if step.storage_problem:
            raise disk.error_of(self._folder.path, step.storage_problem)
        if step.declined:
            first, *others = (job.id for job in jobs_of(trial.config))
            text = f"and {', '.join(others)} are trained each by itself: {step.declined}"
            self._recorder.record(Noted(first, text))
        for run_id, report in step.reports.items():
            self._report(run_id, report, (result["hostname"], result["pid"]), node_of(result))
        self._account(step)

    def _account(self, step: StepResult) -> None:
        """Record the energy of the machines, once a minute and as runs end."""
        for reading in step.energy:
            self._energy.add(reading)
        if step.done or time.monotonic() >= self._energy_due:
            self._energy_due = time.monotonic() + _ENERGY_EVERY_S
            for event in self._energy.taken():
                self._recorder.record(event)

    def _report(self, run_id: str, report: Report, place: tuple[str, int], node: str) -> None:
        run = self._recorder.state.runs[run_id]
        if report.note:
            self._recorder.record(Noted(run.id, report.note))
        if self._places.get(run.id) != place:
            self._places[run.id] = place
            # The first report of a worker repeats the epoch of the checkpoint that it goes on from.
            part = self._placed(run.id, node)
            self._recorder.record(Placed(run.id, *place, epoch=report.epoch, **vars(part)))
        if report.pretraining and not run.pretraining:
            self._recorder.record(Pretrained(run.id, list(report.pretraining)))
        # A power cut can take the last epochs from the journal whose checkpoint the disk has.
        for epoch, metrics in enumerate(report.earlier[len(run.epochs) :], start=len(run.epochs) + 1):
            self._recorder.record(EpochEnded(run.id, epoch, metrics))
        if not report.failed and report.epoch == len(run.epochs) + 1:
            self._recorder.record(EpochEnded(run.id, report.epoch, report.metrics))

    def on_trial_complete(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        """Record the end that a run came to by itself, by the scheduler or by the budget of the search."""
        step = step_of(trial.last_result)
        if step.declined:
            return
        with self._held():
            for job in jobs_of(trial.config):
                report = step.reports.get(job.id)
                status, reason = ending(report, job.epochs)
                if status == "stopped" and reason is None:
                    by = self._stopper.stopped.get(trial.trial_id, "scheduler")
                    reason = f"by the {by} after epoch {len(self._recorder.state.runs[job.id].epochs)}"
                self._end(job, status, reason, report)

    def on_trial_recover(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        """Say that a run's worker died, and that the run is set up again."""
        for job in jobs_of(trial.config):
            self._recorder.record(Noted(job.id, f"is set up again from its checkpoint: {_error(trial)}"))

    def on_trial_error(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        """Record a run whose worker died more often than a run is retried; several that it had are tried alone."""
        first, *others = jobs_of(trial.config)
        with self._held():
            if others:
                self._recorder.record(Noted(first.id, f"and the others are trained each by itself: {_error(trial)}"))
            else:
                self._end(first, "failed", f"its worker died: {_error(trial)}", None)

    @contextmanager
    def _held(self) -> Iterator[None]:
        """Keep an error back until `check`: Tune takes one that is raised as a run ends for another of the run.

        One of the disk, too: its end is in the journal by then, and to train the run again would end it twice.
        """
        try:
            with disk.explained(self._folder.path):
                yield
        except Exception as error:
            self._fault = error

    def _end(self, job: Job, status: Status, reason: str | None, last: Report | None) -> None:
        run, report = self._recorder.state.runs[job.id], last or Report(0)
        if run.status != "running":  # it is trained once more, for the files that it left
            self._end_again(run, status, reason, report)
            return
        by_machine = status == "failed" and (last is None or report.by_machine)
        self._recorder.record(RunEnded(job.id, status, reason, report.final, report.files, by_machine))
        if status != "failed":
            self._failed_by_machine = 0
        self._failed_by_machine += by_machine
        if job.test or by_machine:  # which may be tried again
            return
        # What a run that only chooses the winner has learned is of no use either.
        self._kept.add(job.id)
        state = self._recorder.state  # what was once not among the best never is again
        ended = [state.runs[run_id] for run_id in self._kept if state.runs[run_id].kind == "trial"]
        best = {run.id for run in best_trials(state, self._metric, ended)[: self._keep]}
        for run_id in self._kept - best:
            checkpoint.delete(self._folder.checkpoints, run_id)
        self._kept &= best

    def check(self) -> None:
        """Stop the study where a run's end could not be recorded, or all runs would go the same way.

        Raises:
            StudyError: why.
        """
        if self._fault is not None:
            raise self._fault
        if self._failed_by_machine >= _MACHINE_FAILURES:
            reason = [run.reason for run in self._recorder.state.runs.values() if run.by_machine][-1]
            raise StudyError(
                f"{self._failed_by_machine} runs in a row failed by the machine's doing, the last one: {reason}; see "
                f"to it, then go on, which tries them again, with: {self._folder.resume_command()}"
            )

    def _end_again(self, run: Run, status: Status, reason: str | None, report: Report) -> None:
        """Record what is there anew of a run that had ended, and say where its numbers are not those of the journal."""
        if status == "failed":
            self._recorder.record(Noted(run.id, f"cannot be trained again: {reason}"))
            return
        before, now = run.last.get(self._metric), report.metrics.get(self._metric)
        if before != now:
            self._recorder.record(Noted(run.id, f"trained again, its {self._metric} is {now} instead of {before}"))
        self._recorder.record(Remade(run.id, report.files))


class Placing:
    """Says what a run has of the machine that it trains on, and where that has no price.

    Args:
        settings: The study's, with its prices.
        recorder: Writes the note of a run whose machine has none.
        part_of: Returns what a run has of a node, by the node's id.
        folder: The study's folder.
    """

    def __init__(
        self, settings: Settings, recorder: Recorder, part_of: Callable[[str], Part], folder: StudyFolder
    ) -> None:
        self._prices, self._is_limited = of_settings(vars(settings)), settings.max_cost is not None
        self._recorder, self._part_of, self._folder = recorder, part_of, folder
        self._said: set[Part] = set()

    def __call__(self, run_id: str, node: str) -> Part:
        """Return the run's part of the node.

        Raises:
            StudyError: it has no price, and the run is of a search that --max-cost limits.
        """
        part = self._part_of(node)
        if self._prices is None or self._prices.rate(part) is not None or part in self._said:
            return part
        what = f"its machine has no price: {wanted(part, self._prices)}"
        if self._is_limited and self._recorder.state.runs[run_id].kind != "confirm":
            again = self._folder.resume_command("--prices", "FILE")
            raise StudyError(f"--max-cost cannot be kept to; run {run_id}: {what}; then go on with: {again}")
        self._said.add(part)
        self._recorder.record(Noted(run_id, f"{what}; until then its time counts as unpriced"))
        return part


def _error(trial: Trial) -> str:
    """Return the first line of the last error that Tune wrote down for a run, below a heading of its own."""
    *_, last = Path(trial.error_file).read_text().split("Failure # ")
    lines = last.strip().splitlines()[1:]
    return lines[0] if lines else "no reason was given"
