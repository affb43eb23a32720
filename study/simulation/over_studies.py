"""The mean over several studies of what a scheduler did in each, relative to no scheduler."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

from study.simulation.candidates import Candidate
from study.simulation.grid import Row


@dataclass(frozen=True)
class Mean:
    """One candidate with one number of workers; every number is a mean over studies of a median or share over orders.

    Attributes:
        times_none: Seconds until within the limit over those without a scheduler; infinite if they are in any study.
        reached: The share of orders that ever came within the limit.
        found: The share of orders that found the best trial.
        regret_at: Per cent of the time without a scheduler -> regret by then, in per cent of the best final value.
        regret: The same at the end.
        cost_of_none: Trial-seconds over those without a scheduler.
        worst_found: The smallest share of orders that found the best trial, of any study.
    """

    candidate: Candidate
    workers: int
    times_none: float
    reached: float
    found: float
    regret_at: Mapping[int, float]
    regret: float
    cost_of_none: float
    worst_found: float


def means(studies: Sequence[Sequence[Row]], limit: float) -> list[Mean]:
    """Return the means, in the order of the rows, which is the same in all studies.

    Args:
        studies: The rows of each study.
        limit: The distance from the best final value that is timed, in per cent of it.
    """
    return [_mean(rows, limit) for rows in zip(*studies, strict=True)]


def _mean(rows: Sequence[Row], limit: float) -> Mean:
    summaries = [row.summary for row in rows]
    return Mean(
        rows[0].candidate,
        rows[0].workers,
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
