"""The schedulers of the command, by name. All of them count our own epochs and see one budget, `max_epochs`."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from math import inf
from typing import Any

import numpy as np
from numpy.random.mtrand import get_bit_generator, set_bit_generator
from ray.tune.schedulers import AsyncHyperBandScheduler, FIFOScheduler, MedianStoppingRule, TrialScheduler

from study.record.metrics import mode
from study.record.state import Run, StudyState
from study.search.engine import Unpickled
from study.search.moasha import Moasha, rungs_of
from study.settings.algorithms import REDUCTION_FACTOR, SCHEDULERS
from study.worker.job import EPOCH, Job, job_config, job_of, jobs_of

LAST_RUNG = Fraction(2, 3)  # of the budget: no rung of successive halving lies later, but for a longer grace period


@dataclass(frozen=True)
class SchedulerSettings:
    """What can be set of a scheduler, None where it has no such setting."""

    grace_period: int | None = None  # epochs that every trial has
    reduction_factor: int | None = None  # one trial in so many passes a rung


@dataclass(eq=False)  # hashable by identity, as Tune's trials are
class ReplayedTrial:
    """As much of a Tune trial as a scheduler reads."""

    trial_id: str
    config: dict[str, Any]


class _Remembering(Unpickled):
    """A scheduler that has seen what the journal says, which Tune's own restore forgets.

    Runs that ended are replayed at the start; one that goes on is replayed when Tune adds it, under its new Tune id.
    It hears of trials of the search alone: the seeds of a confirmation are never stopped.
    """

    _state: StudyState
    _judged: dict[str, tuple[float, str]]  # by Tune id: the last epoch of which there was a decision, and the decision

    def remember(self, state: StudyState) -> None:
        """Replay the ended trials of `state`."""
        self._state = state
        self._judged = {}
        for run in state.trials:
            if run.is_ranked and run.epochs:
                trial = ReplayedTrial(run.id, job_config(Job(run.id, run.config, run.seed, run.budget)))
                self.on_trial_add(None, trial)
                super().on_trial_complete(None, trial, _result(run, run.last))  # type: ignore[misc]

    def judges(self, trial: Any) -> bool:
        """Say whether a trial of Tune's is one of the search."""
        return all(self._state.runs[job.id].kind == "trial" for job in jobs_of(trial.config))

    def on_trial_add(self, tune_controller: Any, trial: Any) -> None:
        """Add a trial, with the epochs that it had under an earlier driver."""
        if not self.judges(trial):
            return
        super().on_trial_add(tune_controller, trial)  # type: ignore[misc]
        run = self._state.runs[job_of(trial.config).id]
        for epoch in run.epochs:
            decision = super().on_trial_result(tune_controller, trial, _result(run, epoch))  # type: ignore[misc]
            self._judged[trial.trial_id] = epoch["epoch"], decision

    def on_trial_result(self, tune_controller: Any, trial: Any, result: dict[str, Any]) -> str:
        """Decide on a result.

        Where a driver was killed after it wrote an epoch down, and before it stopped the run, the next one hears of
        that epoch again, and before it of earlier ones where the run's checkpoint is of an earlier epoch. An epoch is
        decided on only once, as it is recorded once, so the decision of the replay stands.
        """
        decision: str = TrialScheduler.CONTINUE
        if not self.judges(trial):
            return decision
        epoch = result[EPOCH]
        last, judgement = self._judged.get(trial.trial_id, (0, decision))
        if epoch > last:
            decision = super().on_trial_result(tune_controller, trial, result)  # type: ignore[misc]
            self._judged[trial.trial_id] = epoch, decision
        elif epoch == last:
            decision = judgement
        return decision

    def on_trial_complete(self, tune_controller: Any, trial: Any, result: dict[str, Any]) -> None:
        """Take in a trial's last result."""
        if self.judges(trial):
            super().on_trial_complete(tune_controller, trial, result)  # type: ignore[misc]

    def on_trial_error(self, tune_controller: Any, trial: Any) -> None:
        """Take in that a trial has failed."""
        if self.judges(trial):
            super().on_trial_error(tune_controller, trial)  # type: ignore[misc]

    def on_trial_remove(self, tune_controller: Any, trial: Any) -> None:
        """Take in that a trial has ended before its process was up."""
        if self.judges(trial):
            super().on_trial_remove(tune_controller, trial)  # type: ignore[misc]


class StudyAsha(_Remembering, AsyncHyperBandScheduler):
    """Tune's AsyncHyperBand with a bracket that follows from the trial's number, not from a global generator."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._bits = np.random.MT19937()

    def on_trial_add(self, tune_controller: Any, trial: Any) -> None:
        """Add a trial to the bracket that its run always has."""
        if not self.judges(trial):
            return
        # Tune draws the bracket from the global generator. Exchanging its bits takes a tenth of the time that reading
        # and writing its state does, which a simulation of a thousand studies waits for.
        shared = get_bit_generator()
        set_bit_generator(self._bits)
        np.random.seed(job_of(trial.config).seed)  # noqa: NPY002
        try:
            super().on_trial_add(tune_controller, trial)
        finally:
            set_bit_generator(shared)


class _MedianStopping(MedianStoppingRule):
    """Tune's median stopping rule, for runs that may have gone on where a replay would have stopped them.

    When such a run was judged, fewer others had come as far as it. Tune's rule takes no result after its verdict.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._means: dict[tuple[Any, float, int], Any] = {}

    def on_trial_result(self, tune_controller: Any, trial: Any, result: dict[str, Any]) -> str:
        """Decide on a result, whatever was decided on an earlier one: there is a later one, so the run went on."""
        self._stopped_trials.discard(trial)
        decision: str = super().on_trial_result(tune_controller, trial, result)
        return decision

    def _running_mean(self, trial: Any, time: float) -> Any:
        """Return Tune's running mean, which it works out anew for every trial at every result of any other one."""
        results = self._results[trial]
        # While the last result is of `time`, another one of the same may come: a trial's end reports it once more.
        count = len(results) if results[-1][self._time_attr] <= time else 0
        if (trial, time, count) not in self._means:
            self._means[trial, time, count] = super()._running_mean(trial, time)
        return self._means[trial, time, count]


class StudyMedianStopping(_Remembering, _MedianStopping):
    """The median stopping rule, remembering."""


class StudyMoasha(_Remembering, Moasha):
    """Successive halving of several objectives, remembering."""


def default_settings(name: str, max_epochs: int) -> SchedulerSettings:
    """Return the settings that the scheduler `name` has in a study of `max_epochs`."""
    match SCHEDULERS[name].rule:
        case "none":
            return SchedulerSettings()
        case "median":
            return SchedulerSettings(grace_period=max(1, max_epochs // 5))
        case "halving":
            return SchedulerSettings(max(1, max_epochs // REDUCTION_FACTOR**2), REDUCTION_FACTOR)


def _halving(settings: SchedulerSettings) -> tuple[int, int]:
    """Return the grace period and the reduction factor, which successive halving always has."""
    assert settings.grace_period is not None
    assert settings.reduction_factor is not None
    return settings.grace_period, settings.reduction_factor


def _last_rung(grace_period: int, max_epochs: int) -> int:
    return max(grace_period, int(LAST_RUNG * max_epochs))


def _rungs(settings: SchedulerSettings, max_epochs: int) -> list[int]:
    grace, reduction = _halving(settings)
    return rungs_of(grace, reduction, _last_rung(grace, max_epochs))


def least_epochs(name: str, max_epochs: int) -> float:
    """Return the epochs of a trial in the mean where the scheduler `name` stops as many as it is meant to.

    Of successive halving, in its first bracket, that is all but one in the reduction factor at each rung; of the median
    rule half of the trials, after the grace period. A search whose best trials come first is stopped oftener.
    """
    settings = default_settings(name, max_epochs)
    match SCHEDULERS[name].rule:
        case "none":
            return max_epochs
        case "median":
            assert settings.grace_period is not None
            return (settings.grace_period + max_epochs) / 2
        case "halving":
            _, reduction = _halving(settings)
            ends = [0, *_rungs(settings, max_epochs), max_epochs]
            return math.fsum((end - begin) / reduction**passed for passed, (begin, end) in enumerate(pairwise(ends)))


def _asha(metric: str, max_epochs: int, settings: SchedulerSettings, brackets: int) -> TrialScheduler:
    """Return successive halving whose rungs lie at two thirds of the budget at most.

    A later rung saves little, and throws away trials that are nearly done. Tune makes its rungs from `max_t`, and
    leaves what has passed the last one alone with `stop_last_trials=False`. A bracket whose first rung would lie later
    stops nothing: it is the one in which Hyperband (Li et al. 2018, section 3) gives every trial its whole budget.
    """
    grace, reduction = _halving(settings)
    # Beyond it there are no more of Hyperband's brackets, as each begins a rung later than the one before.
    while brackets > 1 and grace * reduction ** (brackets - 1) > max_epochs:
        brackets -= 1
    return StudyAsha(
        time_attr=EPOCH,
        metric=metric,
        mode=mode(metric),
        max_t=_last_rung(grace, max_epochs),
        grace_period=grace,
        reduction_factor=reduction,
        brackets=brackets,
        stop_last_trials=False,
    )


def _median(metric: str, settings: SchedulerSettings) -> TrialScheduler:
    return StudyMedianStopping(
        time_attr=EPOCH,
        metric=metric,
        mode=mode(metric),
        grace_period=settings.grace_period,
        min_samples_required=3,
        min_time_slice=inf,  # by default the rule pauses trials until it has samples: a detour over the disk
    )


def build_scheduler(
    name: str,
    metric: str,
    max_epochs: int,
    state: StudyState,
    settings: SchedulerSettings | None = None,
    *,
    further: Sequence[str] = (),
) -> TrialScheduler:
    """Return the scheduler `name` as it stands after the trials of `state`.

    Args:
        name: One of `SCHEDULERS`.
        metric: The objective.
        max_epochs: Of a trial.
        state: The study so far.
        settings: Other ones than the scheduler's defaults.
        further: Objectives besides `metric`.
    """
    settings = settings or default_settings(name, max_epochs)
    scheduler: TrialScheduler
    match SCHEDULERS[name].rule:
        case "none":
            return FIFOScheduler()  # type: ignore[no-untyped-call]
        case "median":
            scheduler = _median(metric, settings)
        case "halving" if further:
            _, reduction = _halving(settings)
            scheduler = StudyMoasha((metric, *further), _rungs(settings, max_epochs), reduction)
        case "halving":
            scheduler = _asha(metric, max_epochs, settings, SCHEDULERS[name].brackets)
    assert isinstance(scheduler, _Remembering)
    scheduler.remember(state)
    return scheduler


def _result(run: Run, epoch: Mapping[str, Any]) -> dict[str, Any]:
    return {**epoch, **run.sizes, EPOCH: epoch["epoch"]}
