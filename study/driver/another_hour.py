"""What a search would be expected to gain by going on for another hour, from the trials that it had.

The next m trials are to the n before as the last part of these was to those before it: of n trials in any order, the first
k = n² / (n + m) have the ratio to n that n has to n + m. How much better the best of all is than the best of k, over all
orders, is what m more trials may gain, with its probabilities. For trials that are alike these give a gain the chance
m / (n + m), which is exact; how large it is assumes that equal ratios gain as much as before, which is exact for
exponential tails and too much where values have a bound that is near.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from study.record.metrics import label, mode, sign, split_of
from study.record.ranking import keeping
from study.record.settings import Settings
from study.record.state import Run, StudyState
from study.record.words import counted, duration, number

LEAST_TRIALS = 10
"""Completed trials that the sampler drew, below which nothing is said."""
_SURE = 0.9
_HOUR = 3600.0
_ASSUMED = "if further trials are like those; of validation values, the luck of a seed included"


@dataclass(frozen=True)
class Outlook:
    """What going on would be expected to gain.

    Attributes:
        seconds: how much longer: an hour, or as long again where the search was shorter. 0 where nothing is known.
        trials: completed ones in that time, at the search's rate.
        gain: by how much the best value would be better, in the mean; None where it is not known.
        at_most: by how much with a probability of 0.9.
        none: the probability that it would be no better.
        what: the same in words, or that it is not known.
        how: what that assumes, or why.
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
    comparable = [run for run in keeping(state) if run.status == "completed" and metric in run.known]
    drawn = [run for run in comparable if run.key is None]
    searched = busy_seconds(state.trials)
    seconds = min(_HOUR, searched)
    trials = len(drawn) * seconds / searched if searched else 0.0
    if reason := _unknown(settings, drawn, trials):
        return Outlook(0.0, 0.0, None, None, None, "not known what more would bring", reason)
    drawn.sort(key=lambda run: (run.ended_s or 0.0, run.number))
    of = sign(mode(metric))
    best = min(of * run.known[metric] for run in comparable)
    chances = gains([of * run.known[metric] for run in drawn], trials, best)
    gain = sum(size * chance for size, chance in chances)
    at_most, none = quantile(chances, _SURE), sum(chance for size, chance in chances if size <= 0)
    again = "another hour" if seconds == _HOUR else f"another {duration(seconds)}, as long again,"
    better = "lower" if of > 0 else "raise"
    what = f"{again} would be expected to {better} {label(metric)} by {number(gain)}"
    unsure = f"by nothing with a chance of {none:.0%}, by at most {number(at_most)} with one of {_SURE:.0%}"
    how = f"{unsure}; with {counted(round(trials), 'more completed trial')}, {_ASSUMED}"
    return Outlook(seconds, trials, gain, at_most, none, what, how)


def _unknown(settings: Settings, drawn: Sequence[Run], trials: float) -> str | None:
    """Return why nothing can be said; None where something can."""
    metric, *others = settings.objectives
    if others:
        return "there are several objectives"
    if split_of(metric)[0] != "val":
        return f"{label(metric)} is not measured on validation images"
    if len(drawn) < LEAST_TRIALS:
        has = f"{len(drawn)} of the trials that the sampler drew were completed"
        return f"{has}{' and keep the constraints' if settings.constraints else ''}, and {LEAST_TRIALS} are needed"
    if trials < 1:
        return "an hour completes less than one trial"
    return None


def gains(values: Sequence[float], more: float, best: float) -> list[tuple[float, float]]:
    """Return how much better the best may become, each size with its probability, the smallest first.

    Args:
        values: Of the completed trials, (n,), smaller being better.
        more: How many there would be, at most n.
        best: The best of all trials, also of those that no sampler drew.
    """
    ordered, n = sorted(values), len(values)
    size = n * n / (n + more)
    found: dict[float, float] = {}
    for first, weight in ((math.floor(size), 1 - size % 1), (math.floor(size) + 1, size % 1)):
        without = 1.0  # the probability that none of the better ones is among the `first`
        for place in range(n - first + 1):
            is_best = first / (n - place)
            gain = max(0.0, ordered[place] - ordered[0] - (ordered[0] - best))
            found[gain] = found.get(gain, 0.0) + weight * without * is_best
            without *= 1 - is_best
    return sorted(found.items())


def quantile(chances: Sequence[tuple[float, float]], level: float) -> float:
    """Return the least size whose probability, with those of all smaller ones, is at least `level`."""
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
