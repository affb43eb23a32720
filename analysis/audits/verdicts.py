"""What our numbers say about a claim."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

import search_spaces
from analysis.audits.evidence import Evidence
from analysis.audits.readings import Reading, find
from search_spaces import Audit, Bound, Check, Claim, Comparison, Measured, measured_by
from study.record.intervals import (
    LEAST_SEEDS,
    LEVEL,
    ROUNDING,
    Difference,
    Interval,
    Sample,
    difference,
    from_one_seed,
    holm,
)


class Verdict(StrEnum):
    """What can be said of a claim, the first that applies to any of its audits."""

    FAILS = "does not hold"
    FAILS_OPEN = "does not hold under settings that the report leaves open"
    MISSING = "not measured yet"
    OTHER_EPOCHS = "measured at other epochs"
    SUBSET = "measured on a subset"
    UNDECIDED = "cannot be told apart"
    SHOWN = "shown without a verdict"
    HOLDS = "holds"
    NO_TEST = "no run could tell"


DECIDED = (Verdict.HOLDS, Verdict.FAILS, Verdict.FAILS_OPEN)
"""The verdicts that say something of a claim."""

_POINTS = {
    Verdict.HOLDS: "points the claim's way",
    Verdict.FAILS: "points against the claim",
    Verdict.UNDECIDED: "no clear direction",
}


@dataclass(frozen=True)
class Piece:
    """A number of ours with its part in the audit: "measured", "lower" or "higher".

    `interval` is in the claim's unit, `scale` times ours.
    """

    role: str
    reading: Reading
    interval: Interval | None
    scale: float


@dataclass(frozen=True)
class Audited:
    """A claim and what was found.

    Attributes:
        claim: what the report says.
        verdict: what our numbers say about it.
        words: the verdict for a reader, with the epochs and the images where they are why there is none.
        direction: what a subset's numbers point to, None elsewhere.
        pieces: the numbers of ours, each once.
        notes: on the configurations of its numbers, what their report left open and what was chosen here, each with the
            keys that it is about, "mnist_ae/dense, mnist_ae/vae: ...".
    """

    claim: Claim
    verdict: Verdict
    words: str
    direction: str | None
    pieces: tuple[Piece, ...]
    notes: tuple[str, ...] = ()

    @property
    def decided_by(self) -> tuple[str, ...]:
        """The studies and tables whose numbers gave the verdict; none where there is none yet."""
        if self.verdict not in DECIDED:
            return ()
        return tuple(dict.fromkeys(piece.reading.source for piece in self.pieces if piece.reading.source))


def audit(claim: Claim, evidence: Evidence) -> Audited:
    """Put a claim beside the evidence.

    All of its audits have to hold; one that does not is enough for "does not hold". Where the networks of such a one
    have settings that the report left open, other settings might have made it hold, and the verdict says so. Numbers
    that are missing, of other epochs than the report's, or of a part of the images give no verdict.
    """
    found: list[tuple[Verdict, str, str | None]] = []
    pieces: dict[tuple[str, Measured], Piece] = {}
    readings = [list(_readings(one, evidence)) for one in claim.audited_by]
    gaps = [_gaps(one, those) for one, those in zip(claim.audited_by, readings, strict=True)]
    for place, (one, those) in enumerate(zip(claim.audited_by, readings, strict=True)):
        scale = one.scale if isinstance(one, Check) else 1.0
        others = [gap for of_one in (*gaps[:place], *gaps[place + 1 :]) for gap in of_one]
        found.append(_judged(claim, one, [reading for _, reading in those], gaps[place], others))
        pieces |= {(role, reading.measured): _piece(role, reading, scale) for role, reading in those}
    if not found:
        return Audited(claim, Verdict.NO_TEST, Verdict.NO_TEST, None, ())
    verdict, words, direction = min(found, key=lambda one: list(Verdict).index(one[0]))
    return Audited(claim, verdict, words, direction, tuple(pieces.values()), _notes(claim.audited_by))


def _notes(audits: Iterable[Audit]) -> tuple[str, ...]:
    """Return each note of ours on the configurations of these audits once, with the keys that it is about."""
    reported = search_spaces.reported()
    keys: dict[str, list[str]] = {}
    for subject in dict.fromkeys(measured.subject for one in audits for measured in measured_by(one)):
        if subject in reported:
            keys.setdefault(reported[subject].note, []).append(subject)
    return tuple(f"{', '.join(subjects)}: {note}" for note, subjects in keys.items())


def judge_check(sample: Sample, value: float, tolerance: float, runs: Sequence[float] = ()) -> Verdict:
    """Say whether a claimed number is ours, all in our unit.

    It is if our whole interval is within the tolerance of it, an equivalence as `judge_bound` asks for. It is not if
    the difference is greater than the tolerance with the report's own noise: a run has another seed than ours, and how
    far seeds differ does not shrink with how many we train. Of several `runs` that the report prints the difference has
    Welch's interval; a single one has to be further off than one more seed of ours would be. All else says nothing.
    Seeds that do not differ have no interval, and hold if each has exactly what is claimed, or as `judge_bound` says.
    """
    low, high = value - tolerance, value + tolerance
    if judge_bound(sample, low, high) is Verdict.HOLDS:
        return Verdict.HOLDS
    ours = sample.interval()
    if ours.ci95 is None:
        same = ours.n >= LEAST_SEEDS and math.isclose(ours.mean, value, rel_tol=ROUNDING)
        return Verdict.HOLDS if same else Verdict.UNDECIDED
    if len(runs) > 1:
        gap = difference(sample, Sample(dict(enumerate(runs))), pairs=False)
    elif sample.exact is not None:
        gap = difference(sample, Sample({}, value))
    else:
        gap = from_one_seed(list(sample.values.values()), value)
    return Verdict.FAILS if _is_outside(gap, -tolerance, tolerance) else Verdict.UNDECIDED


def judge_bound(sample: Sample, at_least: float | None, at_most: float | None) -> Verdict:
    """Say whether the interval lies within the bounds, outside of one of them, or across one.

    Seeds that do not differ have none, and say nothing, but where a value cannot be more, or less, than theirs, as
    100 % of the images: these hold where they are within the bounds.
    """
    interval = sample.interval()
    if interval.ci95 is None:
        if not sample.is_at_limit:
            return Verdict.UNDECIDED
        interval = Interval.exact(interval.mean)
        return Verdict.UNDECIDED if _is_outside(interval, at_least, at_most) else Verdict.HOLDS
    if _is_outside(interval, at_least, at_most):
        return Verdict.FAILS
    low, high = interval.ci95
    inside = (at_least is None or low >= at_least) and (at_most is None or high <= at_most)
    return Verdict.HOLDS if inside else Verdict.UNDECIDED


def _is_outside(interval: Interval, at_least: float | None, at_most: float | None) -> bool:
    """Return whether all of an interval lies below or above the bounds."""
    assert interval.low is not None
    assert interval.high is not None
    return (at_least is not None and interval.high < at_least) or (at_most is not None and interval.low > at_most)


def differences(lower: Iterable[Sample], higher: Iterable[Sample]) -> list[Difference]:
    """Return the difference of each of `lower` from each of `higher`.

    In pairs or by Welch's test: the rule of `study.record.intervals`.
    """
    above = list(higher)
    return [difference(one, other) for one in lower for other in above]


def judge_comparison(gaps: Sequence[Difference], others: Iterable[Difference] = ()) -> Verdict:
    """Say whether each lower number of a comparison is below each higher one, with three seeds at least.

    The claim holds if every pair is as it says, which needs no correction; it does not if one is the other way round,
    and that may be one of many by chance, so that p has Holm's correction over all the pairs of the claim: `others` are
    those of its other comparisons.
    """
    corrected = holm([gap.p for gap in (*gaps, *others)])
    verdicts = [_judge_pair(gap, p) for gap, p in zip(gaps, corrected, strict=False)]
    return min(verdicts, key=list(Verdict).index)


def _judge_pair(gap: Difference, p_holm: float | None) -> Verdict:
    few = gap.test in ("paired", "welch") and gap.n < LEAST_SEEDS
    if few or gap.low is None or gap.high is None:
        return Verdict.UNDECIDED
    if gap.high < 0:
        return Verdict.HOLDS
    sure = p_holm is None or p_holm < LEVEL  # two exact numbers have none
    return Verdict.FAILS if gap.low >= 0 and sure else Verdict.UNDECIDED


def _gaps(one: Audit, readings: Iterable[tuple[str, Reading]]) -> list[Difference]:
    """Return the differences of a comparison whose numbers are all there, of another audit none."""
    if not isinstance(one, Comparison):
        return []
    samples = [(role, reading.sample) for role, reading in readings]
    lower, higher = ([sample for side, sample in samples if side == name] for name in ("lower", "higher"))
    there = [[sample for sample in side if sample is not None] for side in (lower, higher)]
    return differences(*there) if there == [lower, higher] else []


def _judged(
    claim: Claim, one: Audit, readings: list[Reading], gaps: Sequence[Difference], others: Iterable[Difference]
) -> tuple[Verdict, str, str | None]:
    """Return the verdict of one audit, its words, and the direction that a subset shows."""
    for reading in readings:
        if reading.sample is None and not reading.other_epochs:  # of too few epochs a later one is missing anyway
            return Verdict.MISSING, f"{Verdict.MISSING}: {reading.missing}", None
    for reading in readings:
        if reading.other_epochs:
            return Verdict.OTHER_EPOCHS, _epochs_words(reading), None
    samples = [reading.sample for reading in readings if reading.sample is not None]
    if isinstance(one, Check):
        if one.tolerance is None or claim.value is None:
            verdict = Verdict.SHOWN
        else:
            value, tolerance, *runs = (number / one.scale for number in (claim.value, one.tolerance, *claim.values))
            verdict = judge_check(samples[0], value, tolerance, runs)
    elif isinstance(one, Bound):
        verdict = judge_bound(samples[0], one.at_least, one.at_most)
    else:
        verdict = judge_comparison(gaps, others)
    part = next((reading for reading in readings if reading.is_subset), None)
    if part is not None and verdict in _POINTS:
        direction = _POINTS[verdict]
        return Verdict.SUBSET, f"{Verdict.SUBSET}: {direction}", direction
    if verdict is Verdict.UNDECIDED:
        why = next((sample.interval().missing for sample in samples if sample.interval().missing), None)
        return verdict, f"{verdict}: {why}" if why else str(verdict), None
    choices = dict.fromkeys(choice for reading in readings for choice in reading.open_choices)
    if verdict is Verdict.FAILS and choices:
        return Verdict.FAILS_OPEN, f"{Verdict.FAILS_OPEN}: {', '.join(choices)}", None
    return verdict, str(verdict), None


def _epochs_words(reading: Reading) -> str:
    """Return "measured at fewer epochs (3 of 40)"; of two stages, both."""
    pairs = zip(reading.epochs, reading.reported_epochs, strict=True)
    word = "fewer" if any(ours < theirs for ours, theirs in pairs) else "more"
    return f"measured at {word} epochs ({stages(reading.epochs)} of {stages(reading.reported_epochs)})"


def stages(epochs: Iterable[int]) -> str:
    """Return the epochs of each stage in words, "15 + 15"."""
    return " + ".join(map(str, epochs))


def _sides(one: Audit) -> tuple[tuple[Measured, ...], tuple[Measured, ...]]:
    return (one.lower, one.higher) if isinstance(one, Comparison) else ((one.measured,), ())


def _readings(one: Audit, evidence: Evidence) -> Iterator[tuple[str, Reading]]:
    """Yield each number with its side. PCA's are of the networks' own study, where they have one study."""
    lower, higher = _sides(one)
    asked = [("lower" if higher else "measured", measured) for measured in lower]
    asked += [("higher", measured) for measured in higher]
    found = {measured: find(measured, evidence) for _, measured in asked if not measured.subject.startswith("pca/")}
    sources = {reading.source for reading in found.values()}
    beside = sources.pop() if len(sources) == 1 else None
    with_pca = any(measured.subject.startswith("pca/") for measured in measured_by(one))
    for side, measured in asked:
        yield side, find(measured, evidence, beside=beside) if with_pca else found[measured]


def _piece(role: str, reading: Reading, scale: float) -> Piece:
    return Piece(role, reading, reading.sample.interval().scaled(scale) if reading.sample else None, scale)
