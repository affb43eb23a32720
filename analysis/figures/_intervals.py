"""Means with intervals, paired tests, and how many pairs a difference would need to be seen."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

from study.record.intervals import Sample

POWER, LEVEL = 0.8, 0.05
_MOST_PAIRS = 10_000


@dataclass(frozen=True)
class Mean:
    """A mean of n values with its 95 % interval; `low` and `high` are NaN of fewer than two values."""

    mean: float
    low: float
    high: float
    n: int


def mean_interval(values: ArrayLike, least: float = -math.inf, most: float = math.inf) -> Mean:
    """Return the mean with Student's t interval, cut at the `least` and `most` that a value can be."""
    numbers = np.asarray(values, dtype=float).tolist()
    if not numbers:
        return Mean(math.nan, math.nan, math.nan, 0)
    found = Sample(dict(enumerate(numbers)), None, least, most).interval()
    low, high = (math.nan if end is None else end for end in (found.low, found.high))
    return Mean(found.mean, low, high, found.n)


def paired_p(differences: ArrayLike) -> float:
    """Return the two-sided p value of the paired t-test; NaN of fewer than two differences or where none varies."""
    sample = np.asarray(differences, dtype=float)
    if len(sample) < 2 or np.ptp(sample) == 0:
        return math.nan
    return float(stats.ttest_1samp(sample, 0.0).pvalue)


def pairs_needed(differences: ArrayLike) -> int | None:
    """Return how many pairs a paired t-test at 5 % needs to see such a difference with a chance of 80 %.

    Taken at its word are the mean and the standard deviation of the differences at hand, which few pairs know badly.
    The power is that of the noncentral t distribution (Cohen, "Statistical power analysis", 1988, chapter 2). None
    where the differences do not vary, or more than 10,000 are needed.
    """
    sample = np.asarray(differences, dtype=float)
    if len(sample) < 2 or np.ptp(sample) == 0:
        return None
    effect = abs(float(sample.mean())) / float(sample.std(ddof=1))

    def power(n: int) -> float:
        critical = float(stats.t.ppf(1 - LEVEL / 2, n - 1))
        shifted = stats.nct(n - 1, effect * math.sqrt(n))
        return float(shifted.sf(critical))

    low, high = 2, 2
    while power(high) < POWER:
        low, high = high, high * 2
        if high > _MOST_PAIRS:
            return None
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if power(middle) >= POWER else (middle + 1, high)
    return high


def holm(p_values: list[float]) -> list[float]:
    """Return p values adjusted for being several (Holm, Scand. J. Statist. 6, 1979); NaN stay and do not count."""
    adjusted = [math.nan] * len(p_values)
    known = sorted((p, i) for i, p in enumerate(p_values) if not math.isnan(p))
    highest = 0.0
    for step, (p, i) in enumerate(known):
        highest = max(highest, min(1.0, p * (len(known) - step)))
        adjusted[i] = highest
    return adjusted
