"""What a study under a scheduler reached, when, and at what cost: in one order of the trials, and over many orders.

Numbers over orders are medians, which bear infinite times, and shares, with 95 % intervals.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import inf
from statistics import median

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binom, binomtest

from study.simulation.recorded import RecordedStudy
from study.simulation.replay import Ended

BUDGETS = (25, 50)  # per cent of the time that the study takes with --scheduler none and as many workers
_SHUFFLES = 400


@dataclass(frozen=True)
class Spread:
    """A median or a share with its 95 % interval; `low` and `high` are None where there are too few orders for one."""

    middle: float
    low: float | None
    high: float | None


@dataclass(frozen=True)
class OrderResult:
    """What one order reached. A value counts when its trial has had its whole budget, as in the study's own ranking.

    Attributes:
        seconds_within: Per cent -> seconds until a value is so close to the best final one, infinite if none ever is.
        regret_at: Per cent of the time without a scheduler -> how far the best value by then is from the best final
            one, in per cent of that; infinite if no trial has completed.
        regret: The same at the end.
        wall_seconds: When the last trial ended.
        trial_seconds: What all trials cost together.
        epochs: The epochs of all trials.
    """

    seconds_within: Mapping[float, float]
    regret_at: Mapping[int, float]
    regret: float
    wall_seconds: float
    trial_seconds: float
    epochs: int

    @property
    def found(self) -> bool:
        """Whether the best trial had its whole budget."""
        return self.regret <= 0


@dataclass(frozen=True)
class Summary:
    """Medians over orders with their 95 % intervals; the fields are those of `OrderResult`.

    Attributes:
        reached: Per cent -> the share of orders that ever came so close.
        found: The share of orders that found the best trial.
        times_none: Per cent -> seconds until within it over those without a scheduler, of the same order.
        cost_of_none: Trial-seconds over those without a scheduler.
    """

    seconds_within: Mapping[float, Spread]
    reached: Mapping[float, Spread]
    regret_at: Mapping[int, Spread]
    regret: Spread
    wall_seconds: Spread
    trial_seconds: Spread
    epochs: Spread
    found: Spread
    times_none: Mapping[float, Spread]
    cost_of_none: Spread


def measure_order(
    study: RecordedStudy, ends: Sequence[Ended], best: float, *, within: Sequence[float], whole_seconds: float
) -> OrderResult:
    """Return what one order reached, by the ends of its trials.

    Args:
        study: What was replayed.
        ends: In the order of time.
        best: The best final value that there is to find.
        within: Distances from the best final value, in per cent of it.
        whole_seconds: How long this order takes without a scheduler.
    """
    regrets = [(end.time, study.regret(end.value, best)) for end in ends if end.status == "completed"]

    def first_within(limit: float) -> float:
        return next((time for time, regret in regrets if regret <= limit), inf)

    def best_by(time: float) -> float:
        return min((regret for at, regret in regrets if at <= time), default=inf)

    return OrderResult(
        seconds_within={limit: first_within(limit) for limit in within},
        regret_at={budget: best_by(whole_seconds * budget / 100) for budget in BUDGETS},
        regret=best_by(inf),
        wall_seconds=ends[-1].time,
        trial_seconds=sum(end.seconds for end in ends),
        epochs=sum(end.epochs for end in ends),
    )


def summarize(results: Sequence[OrderResult], unstopped: Sequence[OrderResult]) -> Summary:
    """Return medians and shares over orders; `unstopped` are the same orders without a scheduler."""
    within, pairs = results[0].seconds_within, list(zip(results, unstopped, strict=True))
    return Summary(
        seconds_within={limit: median_of([one.seconds_within[limit] for one in results]) for limit in within},
        reached={limit: share_of([one.seconds_within[limit] < inf for one in results]) for limit in within},
        regret_at={budget: median_of([one.regret_at[budget] for one in results]) for budget in BUDGETS},
        regret=median_of([one.regret for one in results]),
        wall_seconds=median_of([one.wall_seconds for one in results]),
        trial_seconds=median_of([one.trial_seconds for one in results]),
        epochs=median_of([one.epochs for one in results]),
        found=share_of([one.found for one in results]),
        times_none={
            limit: median_of([one.seconds_within[limit] / none.seconds_within[limit] for one, none in pairs])
            for limit in within
        },
        cost_of_none=median_of([one.trial_seconds / none.trial_seconds for one, none in pairs]),
    )


def median_of(values: Sequence[float]) -> Spread:
    """Return the median with its distribution-free interval (Conover 1999, Practical Nonparametric Statistics, 3.2).

    The interval lies between the k-th smallest and the k-th largest value, with the largest k for which fewer than k of
    n fair coins show heads with a probability of at most 2.5 %; below six values there is none.
    """
    ordered, n = sorted(values), len(values)
    k = int(binom.ppf(0.025, n, 0.5))
    low, high = (ordered[k - 1], ordered[n - k]) if k else (None, None)
    return Spread(float(median(ordered)), low, high)


def share_of(hits: Sequence[bool]) -> Spread:
    """Return the share of hits with its interval (Wilson 1927), which is right at 0 and 1, too."""
    share = sum(hits) / len(hits)
    interval = binomtest(sum(hits), len(hits)).proportion_ci(method="wilson")
    return Spread(share, float(interval.low), float(interval.high))


def told_slower(times: NDArray[np.float64], soonest: int) -> NDArray[np.bool_]:
    """Return which variants are behind the soonest one in more orders than chance gives: (variants,).

    Chance is of all of them: if they were alike, the soonest would have been picked by these same orders, and it would
    seem to lead one of the many. So the times of each order are shuffled among the variants, the soonest is picked
    again, and its greatest lead counts, by which any is told in at most 5 % of the studies in which all are alike. A
    lead is the statistic of a sign test; orders in which two are equal say nothing (Conover 1999, 3.4).

    Args:
        times: (variants, orders) seconds, infinite if never.
        soonest: The variant with the smallest median.
    """
    generator = np.random.default_rng(0)
    greatest = []
    for _ in range(_SHUFFLES):
        shuffled = generator.permuted(times, axis=0)
        greatest.append(_leads(shuffled, int(np.median(shuffled, axis=1).argmin())).max())
    found: NDArray[np.bool_] = _leads(times, soonest) > np.quantile(greatest, 0.95, method="higher")
    return found


def _leads(times: NDArray[np.float64], soonest: int) -> NDArray[np.float64]:
    ahead, behind = ((sign * times[soonest] < sign * times).sum(axis=1) for sign in (1, -1))
    leads: NDArray[np.float64] = (ahead - behind) / np.sqrt(np.maximum(ahead + behind, 1))
    return leads
