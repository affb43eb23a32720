"""What a search would be expected to gain by going on for another hour, from the trials that it had.

Of n trials the first k = n² / (n + m) are to the n as these are to n + m: what came after the k stands for what m more
bring. How much better the best of all is than the best of k is asked in one of two ways.

Random draws are alike, so every order of them counts, by its probability. The best of n + m is then one of the m more
with the probability m / (n + m) = 1 - k / n. Gains shrink with the number of trials: the mean is that of the last part,
times what this is to the mean of the part before it, from k² / n to k, a power law, as of values near a bound. What is
said at most is of the last part itself.

A sampler that learns brings more than that, so the order in which the trials ended counts: the mean is what the last
part gained, and at most is what any m trials gained since the first third, where either is more.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

from study.record.metrics import label, mode, sign, split_of
from study.record.ranking import keeping
from study.record.settings import Settings
from study.record.state import Run, StudyState
from study.record.words import counted, duration, number
from study.settings.algorithms import RANDOM_START

LEAST_TRIALS = 10
"""Completed trials that the sampler drew, below which nothing is said; a sampler that learns draws others before."""
_LEVEL = 0.95  # of the gain that is said at most; simulated searches gained no more in 80 % of cases at least
_RANDOM = "random"  # the sampler that does not learn
_HOUR = 3600.0
_AHEAD = 0.5  # of the search's time, which it is looked ahead at most
_ASSUMED = "if more trials are like those that the sampler drew; of validation values, the luck of a seed included"

Chances = list[tuple[float, float]]
"""Gains, the smallest first, each with its probability."""


@dataclass(frozen=True)
class Outlook:
    """What going on would be expected to gain.

    Attributes:
        seconds: how much longer: an hour, or half of the search's time where that is less. 0 where nothing is known.
        trials: completed ones in that time, at the search's rate.
        gain: by how much the best value would be better, in the mean; None where it is not known.
        at_most: by how much in four of five cases at least.
        none: the probability that it would be no better, at most.
        what: the same in words, or that it is not known.
        how: how sure that is and what it assumes, or why it is not known.
    """

    seconds: float
    trials: float
    gain: float | None
    at_most: float | None
    none: float | None
    what: str
    how: str

    def to_json(self) -> dict[str, Any]:
        """Return it as summary.json has it."""
        return dict(vars(self))


def expected(state: StudyState, settings: Settings) -> Outlook:
    """Return what another hour of a study's search would be expected to gain in its objective."""
    metric = settings.objectives[0]
    of = sign(mode(metric))
    comparable = [run for run in keeping(state) if run.status == "completed" and metric in run.known]
    comparable.sort(key=lambda run: (run.ended_s or 0.0, run.number))
    drawn = [of * run.known[metric] for run in comparable if run.key is None]
    searched = busy_seconds(state.trials)
    seconds = min(_HOUR, _AHEAD * searched)
    learns = settings.sampler != _RANDOM
    trials = len(drawn) * seconds / searched if searched else 0.0
    if reason := _unknown(settings, drawn, trials, learns):
        return Outlook(0.0, 0.0, None, None, None, "what more time would bring is not known", reason)
    best = min(of * run.known[metric] for run in comparable)
    gain, at_most, none = forecast(drawn, trials, best, learns=learns)
    again = "another hour" if seconds == _HOUR else f"another {duration(seconds)}, half as long again,"
    better = "lower" if of > 0 else "raise"
    what = f"{again} would be expected to {better} {label(metric)} by {number(gain)}"
    or_less = " or less" if learns else ""
    unsure = (
        f"by nothing with a chance of {none:.0%}{or_less}, by at most {number(at_most)} in four of five such searches"
    )
    how = f"{unsure}; {counted(round(trials), 'more completed trial')}, {_ASSUMED}"
    return Outlook(seconds, trials, gain, at_most, none, what, how)


def _unknown(settings: Settings, drawn: Sequence[float], trials: float, learns: bool) -> str | None:
    """Return why nothing can be said; None where something can."""
    metric, *others = settings.objectives
    if others:
        return "there are several objectives"
    if split_of(metric)[0] != "val":
        return f"{label(metric)} is not measured on validation images"
    least = LEAST_TRIALS + (RANDOM_START if learns else 0)
    if len(drawn) < least:
        has = f"{len(drawn)} of the sampler's trials completed"
        return f"{has}{' and kept the constraints' if settings.constraints else ''}, {least} needed"
    if trials < 1:
        return "an hour completes less than one trial"
    return None


def forecast(values: Sequence[float], more: float, best: float, *, learns: bool) -> tuple[float, float, float]:
    """Return how much better the best would be in the mean, at most (in 80 % of cases or more), and the chance of 0.

    Args:
        values: Of the completed trials that were drawn, (n,), in the order in which they ended, smaller being better.
        more: How many there would be, at most n / 2.
        best: The best of all trials, also of those that no sampler drew.
        learns: Whether the sampler does.
    """
    n = len(values)
    first = n * n / (n + more)
    last, both = gains(values, first), mean(gains(values, max(1.0, first * first / n)))
    before = both - mean(last)
    shrinks = min(1.0, mean(last) / before) if before > 0 else 1.0
    ahead = min(values) - best  # of what the sampler found is what was given
    gain = mean([(max(0.0, shrinks * size - ahead), chance) for size, chance in last])
    none = sum(chance for size, chance in last if size <= ahead)
    at_most = quantile(last, _LEVEL)
    if learns:
        gained, most = gains_in_order(values, math.floor(first), max(1, round(more)))
        gain, at_most = max(gain, gained - ahead), max(at_most, most)
    return gain, max(0.0, at_most - ahead), none


def gains_in_order(values: Sequence[float], first: int, more: int) -> tuple[float, float]:
    """Return what the values after the first so many gained, and the most that `more` in a row did.

    In a row since the first third: what a sampler gains as it begins to learn it gains once.
    """
    best = list(accumulate(values, min))
    ends = range(max(len(values) // 3, 1) + more, len(values) + 1)
    return best[first - 1] - best[-1], max(best[end - more - 1] - best[end - 1] for end in ends)


def gains(values: Sequence[float], first: float) -> Chances:
    """Return how much better the best of all values is than that of the first so many of them, in any order.

    Args:
        values: (n,), smaller being better.
        first: From 1 to n; between two whole numbers, either of them by how near it is.
    """
    ordered, n = sorted(values), len(values)
    found: dict[float, float] = {}
    for count, weight in ((math.floor(first), 1 - first % 1), (math.floor(first) + 1, first % 1)):
        without = weight  # times the probability that none of the better values is among the `count`
        for place in range(n - count + 1 if weight else 0):
            among = count / (n - place)
            gain = ordered[place] - ordered[0]
            found[gain] = found.get(gain, 0.0) + without * among
            without *= 1 - among
    return sorted(found.items())


def mean(chances: Chances) -> float:
    """Return the mean of gains."""
    return sum(size * chance for size, chance in chances)


def quantile(chances: Chances, level: float) -> float:
    """Return the least gain whose probability, with those of all smaller ones, is at least `level`."""
    total = 0.0
    for size, chance in chances:
        total += chance
        if total >= level - 1e-9:
            return size
    return chances[-1][0]


def busy_seconds(runs: Iterable[Run]) -> float:
    """Return the seconds of the study in which at least one of the runs was in training."""
    total = until = 0.0
    for start, end in sorted((run.started_s, run.ended_s) for run in runs if run.ended_s is not None):
        total += max(0.0, end - max(start, until))
        until = max(until, end)
    return total
