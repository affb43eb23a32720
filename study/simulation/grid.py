"""Schedulers and settings × numbers of workers × orders, replayed over studies: which is soonest, and at what cost."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import isinf
from statistics import fmean

import numpy as np

from study.search.schedulers import SchedulerSettings, default_settings
from study.simulation.measures import OrderResult, Summary, measure_order, summarize, told_slower
from study.simulation.recorded import RecordedStudy
from study.simulation.replay import Replay


@dataclass(frozen=True)
class Variant:
    """A scheduler with settings that mean the same in studies of any length; None is this project's default.

    Attributes:
        scheduler: Its name.
        grace: A number of epochs, or below 1 a fraction of a study's.
        reduction: One trial in so many passes a rung.
    """

    scheduler: str
    grace: Fraction | None = None
    reduction: int | None = None

    def settings(self, max_epochs: int) -> SchedulerSettings:
        """Return the settings in a study of `max_epochs`; a grace period is at least one epoch, and at most all."""
        default = default_settings(self.scheduler, max_epochs)
        grace, reduction = default.grace_period, default.reduction_factor
        if self.grace is not None:
            wanted = self.grace if self.grace >= 1 else self.grace * max_epochs
            grace = min(max(1, int(wanted)), max_epochs)
        return SchedulerSettings(grace, self.reduction or reduction)

    @property
    def is_default(self) -> bool:
        """Whether this is what `--scheduler` alone means."""
        return self.grace is None and self.reduction is None


def variants(
    schedulers: Sequence[str], graces: Sequence[Fraction], reductions: Sequence[int], budgets: Sequence[int]
) -> list[Variant]:
    """Return the default and every other settings of each scheduler, none of them twice.

    Args:
        schedulers: Names; "none", which the others are measured by, comes first whether it is among them or not.
        graces: Grace periods.
        reductions: Reduction factors, of the schedulers that have one.
        budgets: The epochs of the studies: settings that are the same in all of them are one variant.
    """
    found: dict[tuple[str | SchedulerSettings, ...], Variant] = {}
    for scheduler in dict.fromkeys(["none", *schedulers]):
        default = default_settings(scheduler, budgets[0])
        grid = [Variant(scheduler)]
        if default.reduction_factor is not None:
            grid += [Variant(scheduler, grace, reduction) for grace in graces for reduction in reductions]
        elif default.grace_period is not None:
            grid += [Variant(scheduler, grace) for grace in graces]
        for variant in grid:
            found.setdefault((scheduler, *(variant.settings(epochs) for epochs in budgets)), variant)
    return list(found.values())


@dataclass(frozen=True)
class Cell:
    """What one variant did with one number of workers; `orders` are the same ones in every cell."""

    variant: Variant
    settings: SchedulerSettings
    workers: int
    orders: tuple[OrderResult, ...]
    summary: Summary


def shuffled_orders(study: RecordedStudy, orders: int, seed: int, sample: int | None = None) -> list[list[int]]:
    """Return so many orders of the numbers of the trials; the same seed gives the same ones.

    Args:
        study: What was recorded.
        orders: How many.
        seed: Of the shuffling.
        sample: Leave as many trials in each order, drawn anew, at least one of which completed; None leaves all.
    """
    generator = np.random.default_rng(seed)
    completed = set(study.completed)
    found: list[list[int]] = []
    while len(found) < orders:
        order = generator.permutation(len(study.trials)).tolist()[:sample]
        if not completed.isdisjoint(order):
            found.append(order)
    return found


def simulate(
    study: RecordedStudy,
    variants: Sequence[Variant],
    workers: Sequence[int],
    orders: Sequence[Sequence[int]],
    within: Sequence[float],
) -> Iterator[Cell]:
    """Replay the study and yield a cell per number of workers and variant.

    Args:
        study: What was recorded.
        variants: "none" is the first of them.
        workers: Numbers of workers.
        orders: Numbers of trials in the order in which they start; what there is to find is the best of them.
        within: Distances from the best final value that are timed, in per cent of it.
    """
    replay = Replay(study)
    bests = [study.best_of(order) for order in orders]
    for count in workers:
        unstopped: tuple[OrderResult, ...] = ()
        for variant in variants:
            settings = variant.settings(study.max_epochs)
            every = [replay.run(variant.scheduler, settings, count, order) for order in orders]
            whole = [one.wall_seconds for one in unstopped] or [ends[-1].time for ends in every]
            results = tuple(
                measure_order(study, ends, best, within=within, whole_seconds=seconds)
                for ends, best, seconds in zip(every, bests, whole, strict=True)
            )
            unstopped = unstopped or results
            yield Cell(variant, settings, count, results, summarize(results, unstopped))


@dataclass(frozen=True)
class Ranking:
    """Which variant reaches the best error soonest, how sure that is, and at what cost, with one number of workers.

    Attributes:
        soonest: The cell with the smallest median time, of equal ones the cheapest.
        surest: The soonest of those that get there in every order.
        level: The cells that are not told apart from the soonest (`told_slower`).
    """

    soonest: Cell
    surest: Cell
    level: tuple[Cell, ...]


def rank_cells(cells: Sequence[Cell], limit: float) -> Ranking:
    """Rank the cells of one number of workers by the seconds until a value within `limit` per cent of the best."""
    ranked = sorted(cells, key=lambda cell: time_and_cost(cell, limit))
    soonest = ranked[0]
    sure = [cell for cell in ranked if not any(isinf(one.seconds_within[limit]) for one in cell.orders)]
    slower = told_slower(np.array([[one.seconds_within[limit] for one in cell.orders] for cell in ranked]), 0)
    level = tuple(cell for cell, is_slower in zip(ranked[1:], slower[1:], strict=True) if not is_slower)
    return Ranking(soonest, sure[0], level)  # without a scheduler, every order gets there


def time_and_cost(cell: Cell, limit: float) -> tuple[float, float]:
    """Return what cells are sorted by: the median time, then the cost."""
    return cell.summary.seconds_within[limit].middle, cell.summary.trial_seconds.middle


@dataclass(frozen=True)
class StudyMean:
    """One variant with one number of workers; every number is a mean over studies of a median or share over orders.

    Attributes:
        times_none: Seconds until within the limit over those without a scheduler; infinite if they are in any study.
        reached: The share of orders that ever came within the limit.
        found: The share of orders that found the best trial.
        regret_at: Per cent of the time without a scheduler -> regret by then, in per cent of the best final value.
        regret: The same at the end.
        cost_of_none: Trial-seconds over those without a scheduler.
        worst_found: The smallest share of orders that found the best trial, of any study.
    """

    variant: Variant
    workers: int
    times_none: float
    reached: float
    found: float
    regret_at: Mapping[int, float]
    regret: float
    cost_of_none: float
    worst_found: float


def means_over_studies(studies: Sequence[Sequence[Cell]], limit: float) -> list[StudyMean]:
    """Return the means, in the order of the cells, which is the same in all studies.

    Args:
        studies: The cells of each study.
        limit: The distance from the best final value that is timed, in per cent of it.
    """
    return [_mean(cells, limit) for cells in zip(*studies, strict=True)]


def _mean(cells: Sequence[Cell], limit: float) -> StudyMean:
    summaries = [cell.summary for cell in cells]
    return StudyMean(
        cells[0].variant,
        cells[0].workers,
        times_none=fmean(summary.times_none[limit].middle for summary in summaries),
        reached=fmean(summary.reached[limit].middle for summary in summaries),
        found=fmean(summary.found.middle for summary in summaries),
        regret_at={
            budget: fmean(summary.regret_at[budget].middle for summary in summaries)
            for budget in summaries[0].regret_at
        },
        regret=fmean(summary.regret.middle for summary in summaries),
        cost_of_none=fmean(summary.cost_of_none.middle for summary in summaries),
        worst_found=min(summary.found.middle for summary in summaries),
    )
