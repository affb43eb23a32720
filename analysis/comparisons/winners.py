"""The winner of a study with all of its test metrics, and how two winners compare, metric by metric."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

from analysis.study_files import StudyFiles
from search_spaces import FAMILY_FACTS
from study.record import metrics
from study.record.intervals import Interval, Sample, difference

RATIO = "ratio_to_pca"
METRICS = (
    "test_mse",
    "test_psnr",
    "test_ssim",
    "test_nelbo",
    "test_bits_per_dimension",
    "test_accuracy",
    "test_cross_entropy",
    "test_probe_accuracy",
    RATIO,
)
"""What is compared, in this order, where two studies have it."""


@dataclass(frozen=True, eq=False)
class Winner:
    """A study's best config, confirmed on fresh seeds.

    Attributes:
        study: the study's name.
        family: "ae", "vae" or "classifier".
        data: study.json's data: name, digest, sizes, split, image_shape.
        is_subset: whether it saw only a part of the training images.
        metric: what the study ranked by.
        name: the trial's id or the key of a reported configuration; None where nothing is confirmed yet.
        config: its settings.
        params: its parameters.
        samples: each of `METRICS` that it has, by seed; of `RATIO`, its error over that of the baseline, which has
            none.
        seconds: of training, one run of it.
        epochs: of the last stage of a run, and `trials` how many the search had.
        note: why something is missing.
    """

    study: str
    family: str
    data: Mapping[str, Any]
    is_subset: bool
    metric: str
    name: str | None
    config: Mapping[str, Any]
    params: int | None
    samples: Mapping[str, Sample]
    seconds: Interval | None
    epochs: int | None
    trials: int
    note: str | None


def winner_of(files: StudyFiles) -> Winner:
    """Return the winner.

    Raises:
        KeyError: the files lack what a study has.
    """
    about, summary = files.about, files.summary
    best = (summary or {}).get("best")
    family = about["settings"]["space"].rpartition("_")[2]
    shared = {
        "study": files.folder.name,
        "family": family,
        "data": about["data"],
        "is_subset": about["settings"]["train_size"] is not None,
        "metric": about["objective"]["metric"],
        "trials": len(files.trials),
    }
    nothing: dict[str, Any] = {"name": None, "config": {}, "params": None, "samples": {}, "seconds": None}
    if summary is None or best is None:
        note = "it is not finished" if summary is None else "none of its trials was completed"
        return Winner(**shared, **nothing, epochs=None, note=note)
    rows = files.confirm
    rows = rows[(rows["status"] == "completed") & (rows["confirm_of"] == best["trial_id"])]
    if rows.empty:
        return Winner(**shared, **nothing, epochs=None, note="nothing was confirmed, so the test split was not touched")
    samples = {}
    for metric in METRICS:
        if metric in rows and rows[metric].notna().any():
            known = rows[rows[metric].notna()]
            samples[metric] = Sample.of(metric, dict(zip(known["seed"], known[metric], strict=True)))
    if (ratio := _ratio(family, summary, samples)) is not None:
        samples[RATIO] = ratio
    return Winner(
        **shared,
        name=best["trial_id"],
        config=best["config"],
        params=best["params"],
        samples=samples,
        seconds=Sample.of("seconds", dict(zip(rows["seed"], rows["seconds"], strict=True))).interval(),
        epochs=int(rows["epochs"].max()),
        note=None if RATIO in samples else summary["ratio_note"],
    )


def _ratio(family: str, summary: Mapping[str, Any], samples: Mapping[str, Sample]) -> Sample | None:
    """Return, by seed, the test error over that of the study's own baseline; error rates for a classifier."""
    row, facts = summary["baseline"], FAMILY_FACTS[family]
    if summary["ratio_to_pca"] is None or row is None or facts.compared not in samples:
        return None
    # a summary of an earlier version compared errors that are not clipped
    baseline = facts.error(row[facts.baseline_column if facts.baseline_column in row else facts.compared])
    errors = {seed: facts.error(value) for seed, value in samples[facts.compared].values.items()}
    return Sample.of(RATIO, {seed: error / baseline for seed, error in errors.items()})


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
    better, worse = (first, second) if (gap.mean > 0) == (metrics.mode(metric) == "max") else (second, first)
    if gap.ci95 is None:
        verdict = f"{better.study} is ahead of {worse.study}, but one seed has no interval"
    elif gap.ci95[0] > 0 or gap.ci95[1] < 0:
        verdict = f"{better.study} is better than {worse.study}"
    else:
        verdict = f"{first.study} and {second.study} cannot be told apart"
    sizes = [one.config.get("latent_size") for one in (first, second)]
    if metric != RATIO and "accuracy" not in metric and "entropy" not in metric and sizes[0] != sizes[1]:
        verdict += f"; their codes have {sizes[0]} and {sizes[1]} numbers, and the error falls with the size"
    return Pair(first.study, second.study, metric, gap, verdict)
