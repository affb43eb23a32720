"""Which scheduler reaches the best error soonest, how sure that is, and at what cost."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import isinf

from study.simulation.grid import Row
from study.simulation.over_orders import sign_test


@dataclass(frozen=True)
class Verdict:
    """The answer for one number of workers.

    Attributes:
        soonest: The row with the smallest median time, of equal ones the cheapest.
        surest: The soonest of those that get there in every order.
        level: The rows that are not told apart from the soonest by a sign test over the orders (p of at least 0.05).
    """

    soonest: Row
    surest: Row
    level: tuple[Row, ...]


def judge(rows: Sequence[Row], limit: float) -> Verdict:
    """Judge the rows of one number of workers by the seconds until a value within `limit` per cent of the best."""
    ranked = sorted(rows, key=lambda row: rank(row, limit))
    soonest = ranked[0]
    sure = [row for row in ranked if not any(isinf(one.seconds_within[limit]) for one in row.outcomes)]
    times = _times(soonest, limit)
    level = tuple(row for row in ranked[1:] if sign_test(times, _times(row, limit)) >= 0.05)
    return Verdict(soonest, sure[0], level)  # without a scheduler, every order gets there


def rank(row: Row, limit: float) -> tuple[float, float]:
    """Return what rows are sorted by: the median time, then the cost."""
    return row.summary.seconds_within[limit].middle, row.summary.trial_seconds.middle


def _times(row: Row, limit: float) -> list[float]:
    return [one.seconds_within[limit] for one in row.outcomes]
