"""Virtual workers that replay recorded trials under a scheduler of Tune's, in virtual time."""

from __future__ import annotations

import heapq
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import count
from typing import Any

from ray.tune.schedulers import TrialScheduler

from study.record.events import Status
from study.record.state import Run, StudyState
from study.search.schedulers import ReplayedTrial, SchedulerSettings, build_scheduler
from study.simulation.recorded import RecordedStudy, RecordedTrial
from study.worker.job import Job, job_config


@dataclass(frozen=True)
class Ended:
    """A trial's end in a replay, or in a real study.

    `time` is in seconds since the first trial's start, `seconds` is what the trial cost; `value` is the metric after
    the last epoch that it had.
    """

    id: str
    status: Status
    epochs: int
    value: float
    time: float
    seconds: float


class Replay:
    """Replays the trials of a study; one object serves any number of replays.

    Args:
        study: What was recorded.
    """

    def __init__(self, study: RecordedStudy) -> None:
        self._study = study
        self._state = StudyState(runs={trial.run.id: _unstarted(trial.run) for trial in study.trials})
        self._tune = [ReplayedTrial(trial.run.id, job_config(_job(trial.run))) for trial in study.trials]

    def run(self, scheduler: str, settings: SchedulerSettings, workers: int, order: Sequence[int]) -> list[Ended]:
        """Return the ends of all trials, in their order in virtual time.

        The callbacks come as from Tune's controller (ray/tune/execution/tune_controller.py, `_process_trial_result` and
        `stop_trial`): a trial's last result, marked as done, is not put before the scheduler, which is told of the end
        only, as it is of the end that it decided on.

        Args:
            scheduler: Its name.
            settings: Its settings.
            workers: How many trials run at a time.
            order: The numbers of the trials in the order in which they start.
        """
        with warnings.catch_warnings():
            # A rung in which every trial failed has no quantile: Tune stops nothing there, and NumPy warns.
            warnings.filterwarnings("ignore", "All-NaN slice encountered", RuntimeWarning)
            return self._run(scheduler, settings, workers, order)

    def _run(self, scheduler: str, settings: SchedulerSettings, workers: int, order: Sequence[int]) -> list[Ended]:
        study = self._study
        # Typed as what it is given: of Tune's controller and trials the schedulers read next to nothing.
        rule: Any = build_scheduler(scheduler, study.metric, study.max_epochs, self._state, settings)
        ends: list[Ended] = []
        busy: list[tuple[float, int, int, int]] = []  # time of the next result, tie-breaker, trial, index of the result
        ticket, waiting = count(), iter(order)

        def start(now: float) -> None:
            for number in waiting:
                rule.on_trial_add(None, self._tune[number])
                heapq.heappush(busy, (now + study.trials[number].seconds[0], next(ticket), number, 0))
                return

        for _ in range(workers):
            start(0.0)
        while busy:
            now, _, number, step = heapq.heappop(busy)
            trial, tune_trial = study.trials[number], self._tune[number]
            result, done = trial.results[step], step + 1 == len(trial.results)
            decision = TrialScheduler.STOP if done else rule.on_trial_result(None, tune_trial, result)
            if decision == TrialScheduler.CONTINUE:
                heapq.heappush(busy, (now + trial.seconds[step + 1], next(ticket), number, step + 1))
                continue
            if decision != TrialScheduler.STOP:
                raise NotImplementedError(f"scheduler {scheduler} decided {decision}: only stopping can be replayed")
            rule.on_trial_complete(None, tune_trial, result)
            ends.append(_ended(trial, step, study.metric, now))
            start(now)
        return ends


def _ended(trial: RecordedTrial, step: int, metric: str, now: float) -> Ended:
    done = step + 1 == len(trial.results)
    status: Status = trial.run.status if done else "stopped"
    epochs = min(step + 1, len(trial.run.epochs))
    return Ended(trial.run.id, status, epochs, trial.results[step][metric], now, sum(trial.seconds[: step + 1]))


def _unstarted(run: Run) -> Run:
    """Return the run before its first epoch, which is what a scheduler is to remember of it."""
    return Run(run.id, run.kind, run.number, run.config, run.seed, run.budget, run.params, run.key, run.started)


def _job(run: Run) -> Job:
    return Job(run.id, run.config, run.seed, run.budget, run.pretrain_budget)
