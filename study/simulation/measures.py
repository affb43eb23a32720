"""What a study under a scheduler reached, when, and what it cost: of one order of the trials, and over many."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import inf

from study.simulation.over_orders import Spread, median_of, share_of
from study.simulation.recorded import RecordedStudy
from study.simulation.replay import Ended

BUDGETS = (25, 50)  # per cent of the time that the study takes with --scheduler none and as many workers


@dataclass(frozen=True)
class Outcome:
    """One order. A value counts when its trial has had its whole budget, as in the study's own ranking.

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
    """Medians over orders with their 95 % intervals; the fields are those of `Outcome`.

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


def outcome(
    study: RecordedStudy, ends: Sequence[Ended], best: float, *, within: Sequence[float], whole_seconds: float
) -> Outcome:
    """Return what the ends of all trials amount to.

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

    return Outcome(
        seconds_within={limit: first_within(limit) for limit in within},
        regret_at={budget: best_by(whole_seconds * budget / 100) for budget in BUDGETS},
        regret=best_by(inf),
        wall_seconds=ends[-1].time,
        trial_seconds=sum(end.seconds for end in ends),
        epochs=sum(end.epochs for end in ends),
    )


def summarize(outcomes: Sequence[Outcome], unstopped: Sequence[Outcome]) -> Summary:
    """Return medians and shares over orders; `unstopped` are the same orders without a scheduler."""
    within, pairs = outcomes[0].seconds_within, list(zip(outcomes, unstopped, strict=True))
    return Summary(
        seconds_within={limit: median_of([one.seconds_within[limit] for one in outcomes]) for limit in within},
        reached={limit: share_of([one.seconds_within[limit] < inf for one in outcomes]) for limit in within},
        regret_at={budget: median_of([one.regret_at[budget] for one in outcomes]) for budget in BUDGETS},
        regret=median_of([one.regret for one in outcomes]),
        wall_seconds=median_of([one.wall_seconds for one in outcomes]),
        trial_seconds=median_of([one.trial_seconds for one in outcomes]),
        epochs=median_of([one.epochs for one in outcomes]),
        found=share_of([one.found for one in outcomes]),
        times_none={
            limit: median_of([one.seconds_within[limit] / none.seconds_within[limit] for one, none in pairs])
            for limit in within
        },
        cost_of_none=median_of([one.trial_seconds / none.trial_seconds for one, none in pairs]),
    )
