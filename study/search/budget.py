"""What ends a search before all of its trials have been: time, device hours, cost, or that it gains nothing more."""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterable
from dataclasses import dataclass

from study.record.metrics import Mode, mode, sign
from study.record.prices import Cost, of_settings
from study.record.ranking import keeping
from study.record.settings import Settings
from study.record.state import StudyState
from study.record.words import counted, duration, number

SEEDS = 3
"""Of the default, by which the spread of seeds is measured: that of its trial, and further ones."""


@dataclass(frozen=True)
class Spread:
    """How far seeds of one config differ in the objective: their standard deviation, and of how many seeds it is."""

    value: float
    seeds: int


class SearchBudget:
    """Watches a search's limits; the one that is reached first stays the reason.

    Args:
        settings: The study's.
        state: What its journal says; hours, cost and trials without a gain are counted from it, whoever wrote it.
        searched_s: Seconds of the search before this driver, which count; what this one does before it begins does not.
        device: What a trial has: "GPU" or "processor".
    """

    def __init__(self, settings: Settings, state: StudyState, searched_s: float, device: str) -> None:
        self._settings, self._state, self._device = settings, state, device
        self._metric = settings.objectives[0]
        self._prices = of_settings(vars(settings))
        budget = settings.time_budget_s
        self._time_ends = None if budget is None else time.monotonic() + budget - searched_s
        self._reached: str | None = None
        self._spread: Spread | None = None  # by which patience has ended the search
        self._looked_at = -1  # ended runs when trials without a gain were last counted

    def spent(self) -> str | None:
        """Return which of `events.LIMITS` has been reached, None where none has: every search has a trial."""
        if self._reached is None and self._has_begun():
            self._reached = self._look()
        return self._reached

    def _has_begun(self) -> bool:
        return any(self._state.count("trial").values())

    def ending(self) -> tuple[str, str]:
        """Return why the search has ended, as `SearchEnded` has it: the reason, and the same in words."""
        settings = self._settings
        match self._reached:
            case "time budget":
                return "time budget", f"the time budget of {duration(settings.time_budget_s or 0)} is used up"
            case "device hours":
                hours = f"{number(self._state.device_s / 3600)} {self._device} hours"
                return "device hours", f"{hours} of {settings.device_hours:g} are used up"
            case "cost" if self._prices is not None:
                cost, of = self._cost(), f"{settings.max_cost:g} {self._prices.currency}"
                return "cost", f"{number(cost.amount)} of {of} are used up{cost.unpriced}"
            case "patience":
                spread = self._spread
                assert spread is not None
                return "patience", (
                    f"{counted(settings.patience or 0, 'trial')} without a gain of more than {number(spread.value)}, "
                    f"the standard deviation of {spread.seeds} seeds of the default"
                )
        said = "all of its trials have been"
        if settings.patience and spread_of_seeds(self._state, self._metric) is None:
            said += "; --patience ended nothing, as fewer than two seeds of the default had their whole budget"
        return "trials", said

    def _look(self) -> str | None:
        settings = self._settings
        if self._time_ends is not None and time.monotonic() >= self._time_ends:
            return "time budget"
        if settings.device_hours is not None and self._state.device_s >= 3600 * settings.device_hours:
            return "device hours"
        if settings.max_cost is not None and self._cost().amount >= settings.max_cost:
            return "cost"
        if settings.patience is not None and self._has_gained_nothing(settings.patience):
            return "patience"
        return None

    def _cost(self) -> Cost:
        return self._prices.cost(self._state.search_s) if self._prices else Cost(0.0, 0.0)

    def _has_gained_nothing(self, patience: int) -> bool:
        ended = sum(self._state.ended(kind) for kind in ("trial", "spread"))
        if ended == self._looked_at:
            return False
        self._looked_at = ended
        spread = spread_of_seeds(self._state, self._metric)
        if spread is None:
            return False
        self._spread = spread
        return without_gain(_values(self._state, self._metric), spread.value, mode(self._metric)) >= patience


def spread_of_seeds(state: StudyState, metric: str) -> Spread | None:
    """Return how far the default's seeds differ; None while one of them trains, or if fewer than two had their budget.

    A trial of the default that the scheduler has stopped has no value that compares.
    """
    further, trial = state.spread_runs, [run for run in state.trials if run.key == "default"]
    runs = [*further, *trial]
    if not (further and trial) or any(run.status == "running" for run in runs):
        return None
    values = [run.known[metric] for run in runs if run.status == "completed" and metric in run.known]
    return Spread(statistics.stdev(values), len(values)) if len(values) > 1 else None


def without_gain(values: Iterable[float | None], spread: float, of: Mode) -> int:
    """Return how many trials there have been since the last gain; none before the first value.

    A gain is a value that is better, by more than the spread, than that of the gain before it: so small steps add up,
    and most of a seed's luck does not count.

    Args:
        values: of the objective, as the trials ended; None of one that was stopped, whose value does not compare,
            or that does not keep the study's constraints.
        spread: of seeds.
        of: the objective's direction.
    """
    count, reference = 0, None
    for value in values:
        gained = value is not None and (reference is None or sign(of) * (reference - value) > spread)
        count, reference = (0, value) if gained else (count + (reference is not None), reference)
    return count


def _values(state: StudyState, metric: str) -> list[float | None]:
    ended = [run for run in state.trials if run.is_ranked]
    ended.sort(key=lambda run: (run.ended_s or 0.0, run.number))
    comparable = {run.id for run in keeping(state) if run.status == "completed"}
    return [run.known.get(metric) if run.id in comparable else None for run in ended]
