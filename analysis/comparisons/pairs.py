"""Two winners, metric by metric: how far apart they are, or why they cannot be compared."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

from analysis.comparisons.winner import METRICS, RATIO, Winner
from search_spaces import FAMILY_FACTS
from study.record.intervals import Interval, difference

_HIGHER_IS_BETTER = ("accuracy", "psnr", "ssim")


@dataclass(frozen=True)
class Pair:
    """Two studies and a metric.

    Attributes:
        first: a study's name, as is `second`.
        metric: of `METRICS`, or None where no metric of theirs can be compared.
        gap: the first minus the second; None where they cannot be compared.
        verdict: which is better, that it cannot be told, or why they cannot be compared.
    """

    first: str
    second: str
    metric: str | None
    gap: Interval | None
    verdict: str


def compare_pairs(winners: Sequence[Winner]) -> list[Pair]:
    """Compare each two of the winners by every metric that both have."""
    return [pair for first, second in combinations(winners, 2) for pair in _compare(first, second)]


def _compare(first: Winner, second: Winner) -> list[Pair]:
    for one in (first, second):
        if one.name is None:
            return [Pair(first.study, second.study, None, None, f"cannot be compared: of {one.study}, {one.note}")]
    shared = [metric for metric in METRICS if metric in first.samples and metric in second.samples]
    reasons = {metric: obstacle(first, second, metric) for metric in shared}
    if not shared or all(reasons.values()):
        why = "; ".join(dict.fromkeys(filter(None, reasons.values()))) or _other_metric(first, second)
        return [Pair(first.study, second.study, None, None, f"cannot be compared: {why}")]
    refused = dict.fromkeys(reason for reason in reasons.values() if reason)
    pairs = [_pair(first, second, metric) for metric in shared if reasons[metric] is None]
    for reason in refused:
        names = ", ".join(metric for metric in shared if reasons[metric] == reason)
        pairs.append(Pair(first.study, second.study, None, None, f"{names} cannot be compared: {reason}"))
    return pairs


def obstacle(first: Winner, second: Winner, metric: str) -> str | None:
    """Return why two winners cannot be compared by a metric that both have, None if they can.

    Raw metrics need the same images in the same splits. The ratio to PCA has the difficulty of the data taken out of
    it, so data sets may differ; but not how much of one was seen, nor what an error is.
    """
    other = _other_data(first, second)
    if metric != RATIO:
        return other
    if FAMILY_FACTS[first.family].compared != FAMILY_FACTS[second.family].compared:
        return (
            "other metric: a classifier's ratio is of error rates, the other one of square errors, and its accuracy is "
            "of a trained head, not of a linear probe"
        )
    if first.data["name"] == second.data["name"]:
        return other
    if first.is_subset != second.is_subset:
        part, whole = (first, second) if first.is_subset else (second, first)
        return f"other train size: {part.study} saw a part of its images, {whole.study} all of them"
    return None


def _other_data(first: Winner, second: Winner) -> str | None:
    one, other = first.data, second.data
    if one["name"] != other["name"]:
        return f"other data: {one['name']} and {other['name']}"
    if one["sizes"]["train"] != other["sizes"]["train"]:
        return f"other train size: {one['sizes']['train']:,} and {other['sizes']['train']:,} images of {one['name']}"
    if one["sizes"] != other["sizes"] or one["split"] != other["split"]:
        return f"other split of {one['name']}"
    if one["image_shape"] != other["image_shape"] or one["digest"] != other["digest"]:
        return f"other images under the name {one['name']}: digests {one['digest']} and {other['digest']}"
    return None


def _other_metric(first: Winner, second: Winner) -> str:
    kinds = [", ".join(metric for metric in METRICS if metric in one.samples) or "nothing" for one in (first, second)]
    return f"other metrics: {first.study} has {kinds[0]}; {second.study} has {kinds[1]}"


def _pair(first: Winner, second: Winner, metric: str) -> Pair:
    gap = difference(first.samples[metric], second.samples[metric])
    higher = metric.endswith(_HIGHER_IS_BETTER)
    better, worse = (first, second) if (gap.mean > 0) == higher else (second, first)
    if gap.low is None or gap.high is None:
        verdict = f"{better.study} is ahead of {worse.study}, but one seed has no interval"
    elif gap.low > 0 or gap.high < 0:
        verdict = f"{better.study} is better than {worse.study}"
    else:
        verdict = f"{first.study} and {second.study} cannot be told apart"
    sizes = [one.config.get("latent_size") for one in (first, second)]
    if metric != RATIO and "accuracy" not in metric and "entropy" not in metric and sizes[0] != sizes[1]:
        verdict += f"; their codes have {sizes[0]} and {sizes[1]} numbers, and the error falls with the size"
    return Pair(first.study, second.study, metric, gap, verdict)
