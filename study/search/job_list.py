"""A given list of jobs, as confirmation has: in which order they are trained, and which of them together."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from typing import Any

from ray.tune.search import Searcher

from study.record.metrics import mode
from study.record.settings import Fuse
from study.search.engine import UnsavedSearcher
from study.search.last_runs import NOTHING, Ahead
from study.worker.job import Job, job_config, step_of


class JobList(UnsavedSearcher):
    """A searcher that suggests a given list of jobs, in order, and calls `begin` with each one that starts.

    Args:
        groups: The jobs; several in one group are to be trained together.
        begin: Called with each job that starts, again where it starts anew.
        metric: The objective, such as "val_mse".
    """

    def __init__(self, groups: list[tuple[Job, ...]], begin: Callable[[Job], None], metric: str) -> None:
        super().__init__(metric, mode(metric))
        self._groups = list(groups)
        self._begin = begin
        self._together: dict[str, tuple[Job, ...]] = {}  # groups under way, which may be declined

    # Tune's annotation leaves FINISHED out.
    def suggest(self, trial_id: str) -> dict[str, Any] | str | None:  # type: ignore[override]
        """Return the next job or group, None while one may come back, or FINISHED after the last one."""
        if not self._groups:
            return None if self._together else Searcher.FINISHED
        group = self._groups.pop(0)
        for job in group:
            self._begin(job)
        if len(group) > 1:
            self._together[trial_id] = group
        return job_config(*group)

    def ahead(self) -> Ahead:
        """Return how many jobs or groups have not begun, and the epochs of the next one."""
        first = self._groups[0][0] if self._groups else None
        return Ahead(len(self._groups), first.epochs + first.pretrain_epochs) if first else NOTHING

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
        """Suggest anew what has not been trained together: in halves if it was too large, else job by job.

        So is a group whose worker has died as often as a run is retried: it may have been one of them.
        """
        group = self._together.pop(trial_id, ())
        step = step_of(result)
        if not group or not (error or step.declined):
            return
        half = len(group) // 2
        self._groups[:0] = [group[:half], group[half:]] if step.too_large else [(job,) for job in group]


class Beside(UnsavedSearcher):
    """Suggests a list of jobs, then what another searcher does, without waiting for the end of the jobs.

    Args:
        jobs: Jobs of one run each.
        then: Hears of its own runs alone.
        metric: The objective, such as "val_mse".
    """

    def __init__(self, jobs: JobList, then: UnsavedSearcher, metric: str) -> None:
        super().__init__(metric, mode(metric))
        self._jobs, self._then = jobs, then
        self._theirs: set[str] = set()  # Tune's ids

    # Tune's annotation leaves FINISHED out.
    def suggest(self, trial_id: str) -> dict[str, Any] | str | None:  # type: ignore[override]
        """Return the next job, or what the other searcher says after the last one."""
        found = self._jobs.suggest(trial_id)
        if found != Searcher.FINISHED:
            return found
        self._theirs.add(trial_id)
        return self._then.suggest(trial_id)

    def ahead(self) -> Ahead:
        """Return the jobs that have not begun, and what is ahead of the other searcher."""
        jobs, then = self._jobs.ahead(), self._then.ahead()
        return Ahead(jobs.runs + then.runs, jobs.epochs or then.epochs)

    def on_trial_result(self, trial_id: str, result: dict[str, Any]) -> None:
        """Pass on a result that is not the last one."""
        if trial_id in self._theirs:
            self._then.on_trial_result(trial_id, result)

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
        """Pass on that a run has ended."""
        if trial_id in self._theirs:
            self._then.on_trial_complete(trial_id, result, error)


def most_together(fuse: Fuse, jobs: int, concurrent: int, gpus: float) -> int:
    """Return how many runs may be trained together, of `jobs` in all, so that no device is left without any.

    With "auto" it is 1 without a GPU. A CPU is busy with one run already; and which of two ways is faster is found out
    by the clock, so that a study on a CPU would lose its promise of the same numbers to the last digit, whatever
    happens to it, for the little that there is to gain.

    Args:
        fuse: what the user asks for.
        jobs: how many runs there are.
        concurrent: how many run at once, when each is by itself.
        gpus: of each of them; runs that share a GPU keep it busy as well when they are trained together on it.
    """
    match fuse:
        case "off":
            return 1
        case "on":
            return jobs
        case "auto":
            devices = math.ceil(concurrent * gpus)
            return max(1, jobs // devices) if devices else 1


def grouped(jobs: Sequence[tuple[str, Job]], most: Mapping[str, int]) -> list[tuple[Job, ...]]:
    """Put the jobs of a config into groups of about the same size, in the order in which each begins.

    Args:
        jobs: names of configs, each with a job of it.
        most: the most jobs of a group, by the config's name.
    """
    of_config: dict[str, list[Job]] = {}
    for name, job in jobs:
        of_config.setdefault(name, []).append(job)
    groups = []
    for name, members in of_config.items():
        count = math.ceil(len(members) / most[name])
        bounds = [round(number * len(members) / count) for number in range(count + 1)]
        groups += [tuple(members[start:end]) for start, end in pairwise(bounds)]
    place = {job.id: number for number, (_, job) in enumerate(jobs)}
    return sorted(groups, key=lambda group: place[group[0].id])
