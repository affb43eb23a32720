"""Numbers over seeds, and the 95 % intervals of their means and differences (Student's t)."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, variance
from typing import Any

from study.record import metrics


@dataclass(frozen=True)
class Interval:
    """A mean with its 95 % interval; `low` and `high` are None for one seed, and the mean for an exact number.

    `n` is the number of seeds, of a difference the smaller one.
    """

    mean: float
    low: float | None
    high: float | None
    n: int

    @property
    def ci95(self) -> tuple[float, float] | None:
        """The ends of the interval; None for one seed."""
        return None if self.low is None or self.high is None else (self.low, self.high)

    def to_json(self) -> dict[str, Any]:
        """Return {mean, ci95, n}, as summary.json has it."""
        return {"mean": self.mean, "ci95": self.ci95 and list(self.ci95), "n": self.n}

    @classmethod
    def exact(cls, value: float) -> Interval:
        """Return a number that no seed changes."""
        return cls(value, value, value, 1)

    def scaled(self, factor: float) -> Interval:
        """Return the interval in another unit."""
        low, high = (None if end is None else end * factor for end in (self.low, self.high))
        return Interval(self.mean * factor, *((high, low) if factor < 0 else (low, high)), self.n)


@dataclass(frozen=True)
class Sample:
    """What was measured: a value by seed, or one `exact` number that has no seeds, such as PCA's error.

    `least` and `most` are what a value can be; intervals are cut there.
    """

    values: Mapping[int, float]
    exact: float | None = None
    least: float = -math.inf
    most: float = math.inf

    @classmethod
    def of(cls, metric: str, values: Mapping[int, float]) -> Sample:
        """Return the values of a metric by seed, with the limits that its name tells."""
        return cls(values, None, *metrics.limits(metric))

    def interval(self) -> Interval:
        """Return the mean with its interval."""
        if self.exact is not None:
            return Interval.exact(self.exact)
        values = list(self.values.values())
        if len(values) < 2:
            return Interval(fmean(values), None, None, len(values))
        found = _around(fmean(values), variance(values) / len(values), len(values) - 1, len(values))
        assert found.low is not None
        assert found.high is not None
        return Interval(found.mean, max(found.low, self.least), min(found.high, self.most), found.n)

    def minus(self, other: Sample) -> Sample | None:
        """Return the differences seed by seed, None if no seed has both."""
        if self.exact is not None and other.exact is not None:
            return Sample({}, self.exact - other.exact)
        seeds = (self if other.exact is not None else other).values
        both = {seed: _at(self, seed) - _at(other, seed) for seed in seeds if _has(self, seed) and _has(other, seed)}
        return Sample(both) if both else None


def mean_interval(values: Sequence[float], least: float = -math.inf, most: float = math.inf) -> Interval:
    """Return the mean of one value or more with Student's t interval, cut at the `least` and `most` of a value."""
    return Sample(dict(enumerate(values)), None, least, most).interval()


def difference(first: Sample, second: Sample) -> Interval:
    """Return the mean of `first` minus that of `second`, with its interval.

    In pairs where at least two seeds are in both, else by Welch's test (Welch 1947, eq. 28 for the degrees of freedom).
    """
    pairs = first.minus(second)
    if pairs is not None and (pairs.exact is not None or len(pairs.values) > 1):
        return pairs.interval()
    mean = first.interval().mean - second.interval().mean
    sizes = [len(sample.values) for sample in (first, second) if sample.exact is None]
    if min(sizes) < 2:
        return Interval(mean, None, None, min(sizes))
    parts = [(variance(sample.values.values()) / len(sample.values), len(sample.values)) for sample in (first, second)]
    total = sum(part for part, _ in parts)
    freedom = total**2 / sum(part**2 / (n - 1) for part, n in parts) if total else math.inf
    return _around(mean, total, freedom, min(sizes))


def _around(mean: float, squared_error: float, freedom: float, n: int) -> Interval:
    from scipy.stats import t

    half = float(t.ppf(0.975, freedom)) * math.sqrt(squared_error)
    return Interval(mean, mean - half, mean + half, n)


def _has(sample: Sample, seed: int) -> bool:
    return sample.exact is not None or seed in sample.values


def _at(sample: Sample, seed: int) -> float:
    return sample.values[seed] if sample.exact is None else sample.exact
