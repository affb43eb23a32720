"""Numbers over seeds: the 95 % intervals of their means, and the tests of differences, in pairs or by Welch.

Two networks are compared in pairs, seed by seed, only where their seeds are the same and they have the same layers (the
same architecture and number of parameters): only then do weights and batches of a seed have anything in common. Else
it is Welch's test. The rule goes by what was trained, never by what came out.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, variance
from typing import Any, Literal, NamedTuple

from study.record import metrics

LEVEL = 0.05
"""The p value, after Holm's correction, below which a difference is told apart."""
LEAST_SEEDS = 3
"""Of two seeds the spread is unknown: a paired test has one degree of freedom. Fewer tell no two configs apart."""
ROUNDING = 1e-12
"""The part by which values may differ that are the same but for their arithmetic."""


@dataclass(frozen=True)
class Interval:
    """A mean with its 95 % interval over seeds.

    `low` and `high` are None for one seed, and where seeds do not differ at all: their spread is then unknown, not 0.
    They are the mean for an exact number. `n` is the number of seeds, of a difference the smaller one.
    """

    mean: float
    low: float | None
    high: float | None
    n: int

    @property
    def ci95(self) -> tuple[float, float] | None:
        """The ends of the interval, None where there is none."""
        return None if self.low is None or self.high is None else (self.low, self.high)

    @property
    def missing(self) -> str | None:
        """Why there is no interval, in words; None where there is one."""
        if self.ci95 is not None:
            return None
        return "one seed has no interval" if self.n < 2 else f"{self.n} seeds do not differ, so no interval"

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
class Difference(Interval):
    """The mean of one sample minus that of another, with its interval and its test.

    Attributes:
        p: the two-sided p value; None where no test can be made, or both numbers are exact.
        test: what was made, or would be with more seeds; "one_sample" against an exact number, "one_seed" against one
            other seed, "none" of two exact numbers.
    """

    p: float | None = None
    test: Literal["paired", "welch", "one_sample", "one_seed", "none"] = "none"

    @property
    def test_words(self) -> str:
        """What the test is called."""
        return _TESTS[self.test]


_TESTS = {
    "paired": "paired t-test",
    "welch": "Welch's t-test",
    "one_sample": "one-sample t-test",
    "one_seed": "t-test of one more seed",
    "none": "no test",
}


class Layers(NamedTuple):
    """What two networks share that have the same layers: the architecture and the number of parameters."""

    architecture: str
    params: int


@dataclass(frozen=True)
class Sample:
    """What was measured: a value by seed, or one `exact` number that has no seeds, such as PCA's error.

    `least` and `most` are what a value can be; intervals are cut there. `layers` are of the networks, None where they
    are not known.
    """

    values: Mapping[int, float]
    exact: float | None = None
    least: float = -math.inf
    most: float = math.inf
    layers: Layers | None = None

    @classmethod
    def of(cls, metric: str, values: Mapping[int, float], layers: Layers | None = None) -> Sample:
        """Return the values of a metric by seed, with the limits that its name tells."""
        return cls(values, None, *metrics.limits(metric), layers)

    def interval(self) -> Interval:
        """Return the mean with its interval."""
        if self.exact is not None:
            return Interval.exact(self.exact)
        values = list(self.values.values())
        mean = fmean(values)
        if len(values) < 2 or _do_not_differ(values):
            return Interval(mean, None, None, len(values))
        low, high = _ends(mean, variance(values) / len(values), len(values) - 1)
        return Interval(mean, max(low, self.least), min(high, self.most), len(values))

    @property
    def is_at_limit(self) -> bool:
        """Whether each of three seeds or more is at the least or the most that a value can be, up to rounding."""
        ends = [end for end in (self.least, self.most) if math.isfinite(end)]
        return len(self.values) >= LEAST_SEEDS and any(_do_not_differ([*self.values.values(), end]) for end in ends)

    def minus(self, other: Sample) -> Sample | None:
        """Return the differences seed by seed, None if no seed has both."""
        if self.exact is not None and other.exact is not None:
            return Sample({}, self.exact - other.exact)
        seeds = (self if other.exact is not None else other).values
        both = {seed: _at(self, seed) - _at(other, seed) for seed in seeds if _has(self, seed) and _has(other, seed)}
        return Sample(both, layers=self.layers) if both else None


def mean_interval(values: Sequence[float], least: float = -math.inf, most: float = math.inf) -> Interval:
    """Return the mean of one value or more with Student's t interval, cut at the `least` and `most` of a value."""
    return Sample(dict(enumerate(values)), None, least, most).interval()


def are_pairs(first: Sample, second: Sample) -> bool:
    """Whether two samples are compared seed by seed: the same seeds, and networks of the same layers."""
    same_layers = first.layers is not None and first.layers == second.layers
    return same_layers and first.values.keys() == second.values.keys()


def difference(first: Sample, second: Sample, *, pairs: bool | None = None) -> Difference:
    """Return the mean of `first` minus that of `second`, with its interval and p value.

    Args:
        first: The one.
        second: The other. Either may be an exact number, which a t-test of one sample compares with.
        pairs: Whether by the paired t-test, which needs the same seeds, or by Welch's (Welch 1947, eq. 28 for the
            degrees of freedom); by the rule, `are_pairs`, unless it is said.
    """
    if first.exact is not None and second.exact is not None:
        gap = first.exact - second.exact
        return Difference(gap, gap, gap, 1)
    if first.exact is not None or second.exact is not None:
        return _of_pairs(first, second, "one_sample")
    if are_pairs(first, second) if pairs is None else pairs:
        return _of_pairs(first, second, "paired")
    return _welch(list(first.values.values()), list(second.values.values()))


def from_one_seed(values: Sequence[float], other: float) -> Difference:
    """Return the mean of seeds minus the value of one other seed, which has as much luck in it as each of them.

    The interval is that of a new seed, t · s · √(1 + 1/n), and `n` the number of `values`.
    """
    mean = fmean(values) - other
    if len(values) < 2 or _do_not_differ(values):
        return Difference(mean, None, None, len(values), None, "one_seed")
    from scipy.stats import ttest_ind

    found = ttest_ind(values, [other])  # Student's: of two samples, one of which has no spread of its own
    low, high = found.confidence_interval(0.95)
    return Difference(mean, float(low), float(high), len(values), float(found.pvalue), "one_seed")


def _of_pairs(first: Sample, second: Sample, test: Literal["paired", "one_sample"]) -> Difference:
    seeds = [seed for seed in {**first.values, **second.values} if _has(first, seed) and _has(second, seed)]
    ones, others = ([_at(sample, seed) for seed in seeds] for sample in (first, second))
    gaps = [one - other for one, other in zip(ones, others, strict=True)]
    if len(gaps) < 2 or _do_not_differ(gaps, max(map(abs, (*ones, *others)))):
        return Difference(fmean(gaps), None, None, len(gaps), None, test)
    from scipy.stats import ttest_rel

    found = ttest_rel(ones, others)  # against equal numbers it is the test of one sample
    low, high = found.confidence_interval(0.95)
    return Difference(fmean(gaps), float(low), float(high), len(gaps), float(found.pvalue), test)


def _welch(first: list[float], second: list[float]) -> Difference:
    mean, n = fmean(first) - fmean(second), min(len(first), len(second))
    if n < 2 or (_do_not_differ(first) and _do_not_differ(second)):
        return Difference(mean, None, None, n, None, "welch")
    from scipy.stats import ttest_ind

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # of a precision that is lost where one of the two is constant
        found = ttest_ind(first, second, equal_var=False)
    low, high = found.confidence_interval(0.95)
    return Difference(mean, float(low), float(high), n, float(found.pvalue), "welch")


def _do_not_differ(values: Sequence[float], size: float | None = None) -> bool:
    """Whether values are equal up to the rounding of numbers of this size, their own if it is not said."""
    return max(values) - min(values) <= ROUNDING * (max(map(abs, values)) if size is None else size)


def holm(p_values: Sequence[float | None]) -> list[float | None]:
    """Return p values adjusted for being several (Holm, Scand. J. Statist. 6, 1979); None stays and does not count."""
    adjusted: list[float | None] = [None] * len(p_values)
    known = sorted((p, i) for i, p in enumerate(p_values) if p is not None)
    highest = 0.0
    for step, (p, i) in enumerate(known):
        highest = max(highest, min(1.0, p * (len(known) - step)))
        adjusted[i] = highest
    return adjusted


def told_apart(found: Difference, p_holm: float | None) -> bool:
    """Whether a difference is surer than chance: of three seeds at least, and below 5 % after Holm's correction."""
    return found.n >= LEAST_SEEDS and p_holm is not None and p_holm < LEVEL


def _ends(mean: float, squared_error: float, freedom: float) -> tuple[float, float]:
    from scipy.stats import t

    half = float(t.ppf(0.975, freedom)) * math.sqrt(squared_error)
    return mean - half, mean + half


def _has(sample: Sample, seed: int) -> bool:
    return sample.exact is not None or seed in sample.values


def _at(sample: Sample, seed: int) -> float:
    return sample.values[seed] if sample.exact is None else sample.exact
