"""The winner of a study with all of its test metrics, and how two winners compare.

A pair gets one verdict, by the test namesake of what both studies are ranked by, if both have the same data, family and
budget: else a difference says as much of those as of what was searched. Holm's correction is over all pairs that get
one. Every other metric is shown without a verdict.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

from analysis.study_files import StudyFiles
from analysis.words import why_no_best
from search_spaces import FamilyFacts
from study.record import about_seeds, metrics
from study.record.intervals import Difference, Interval, Layers, Sample, difference, holm, told_apart

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
"""What is compared, in this order, where two studies have it; then what they are ranked by, if it is none of these."""


@dataclass(frozen=True, eq=False)
class Winner:
    """A study's best config, confirmed on fresh seeds.

    Attributes:
        study: the study's name.
        family: "ae", "vae" or "classifier", or one of the user's own.
        facts: what the family is compared by.
        data: study.json's data: name, digest, sizes, split, image_shape.
        is_subset: whether it saw only a part of the training images.
        metric: what the study ranked by.
        name: the trial's id or the key of a reported configuration; None where nothing is confirmed yet.
        config: its settings.
        params: its parameters.
        samples: each of `METRICS` and of what it is ranked by that it has, by seed, in that order; of `RATIO`, its
            error over that of the baseline, which has none.
        seconds: of training, one run of it.
        epochs: of the last stage of a run, and `trials` how many the search had.
        note: why something is missing.
        failed: of how many of its seeds it is, where others failed by its own doing, in words; "" where none did.
        added: that seeds were added after a verdict was seen, in words; "" where none were.
        pca_nelbo: of a VAE, the test −ELBO of the probabilistic PCA that its study was compared with.
    """

    study: str
    family: str
    facts: FamilyFacts
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
    failed: str = ""
    added: str = ""
    pca_nelbo: float | None = None


def winner_of(files: StudyFiles) -> Winner:
    """Return the winner.

    Raises:
        KeyError: the files lack what a study has.
    """
    about, summary = files.about, files.summary
    best = (summary or {}).get("best")
    shared = {
        "study": files.folder.name,
        "family": files.family,
        "facts": files.facts,
        "data": about["data"],
        "is_subset": about["settings"]["train_size"] is not None,
        "metric": about["objective"]["metric"],
        "trials": len(files.trials),
    }
    nothing: dict[str, Any] = {"name": None, "config": {}, "params": None, "samples": {}, "seconds": None}
    if summary is None or best is None:
        note = "it is not finished" if summary is None else why_no_best(summary)
        return Winner(**shared, **nothing, epochs=None, note=note)
    rows = files.confirm
    rows = rows[(rows["status"] == "completed") & (rows["confirm_of"] == best["trial_id"])]
    if "role" in rows and (rows["role"] == "report").any():
        rows = rows[rows["role"] == "report"]  # seeds that did not choose it
    if rows.empty:
        return Winner(**shared, **nothing, epochs=None, note="nothing was confirmed, so the test split was not touched")
    samples, layers = {}, Layers(str(best["config"].get("architecture")), int(best["params"]))
    for metric in dict.fromkeys((*METRICS, metrics.on_test(shared["metric"]))):
        if metric in rows and rows[metric].notna().any():
            known = rows[rows[metric].notna()]
            samples[metric] = Sample.of(metric, dict(zip(known["seed"], known[metric], strict=True)), layers)
    if (ratio := _ratio(files.facts, summary, samples)) is not None:
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
        failed=about_seeds.failed_of_best(summary),
        added=about_seeds.added_to(summary),
        pca_nelbo=(summary.get("nats") or {}).get("test_nelbo_clipped"),
    )


def _ratio(facts: FamilyFacts, summary: Mapping[str, Any], samples: Mapping[str, Sample]) -> Sample | None:
    """Return, by seed, the test error over that of the study's own baseline; error rates for a classifier."""
    row = summary["baseline"]
    if summary["ratio_to_pca"] is None or row is None or facts.compared not in samples:
        return None
    # a summary of an earlier version compared errors that are not clipped
    baseline = facts.error(row[facts.baseline_column if facts.baseline_column in row else facts.compared])
    errors = {seed: facts.error(value) for seed, value in samples[facts.compared].values.items()}
    return Sample.of(RATIO, {seed: error / baseline for seed, error in errors.items()}, samples[facts.compared].layers)


@dataclass(frozen=True)
class Pair:
    """Two studies and a metric.

    Attributes:
        first: a study's name, as is `second`.
        metric: of their samples, or None where no metric of theirs can be compared.
        gap: the first minus the second; None where they cannot be compared.
        verdict: by the primary metric which is better, that it cannot be told, or why there is no verdict; None for the
            other metrics, which are shown without one.
        p_holm: the p value that the verdict goes by, after Holm's correction over all pairs that get one; None without.
    """

    first: str
    second: str
    metric: str | None
    gap: Difference | None
    verdict: str | None = None
    p_holm: float | None = None


def compare_pairs(winners: Sequence[Winner]) -> list[Pair]:
    """Compare each two of the winners: a verdict by the primary metric of each pair that can have one."""
    twos = list(combinations(winners, 2))
    reasons = [obstacle(first, second) for first, second in twos]
    gaps = [
        None if reason else _gap(first, second, metrics.on_test(first.metric))
        for (first, second), reason in zip(twos, reasons, strict=True)
    ]
    adjusted = holm([None if gap is None else gap.p for gap in gaps])
    pairs = []
    for (first, second), reason, gap, p in zip(twos, reasons, gaps, adjusted, strict=True):
        if gap is None:
            pairs.append(Pair(first.study, second.study, None, None, f"no verdict: {reason}"))
        else:
            primary, words = metrics.on_test(first.metric), _verdict(first, second, gap, p)
            pairs.append(Pair(first.study, second.study, primary, gap, words, p))
        pairs += _others(first, second, judged=gap is not None)
    return pairs


def obstacle(first: Winner, second: Winner) -> str | None:
    """Return why two winners get no verdict, None if they get one.

    Their images, splits, family, ranking and budgets have to be the same.
    """
    unknown = next((one for one in (first, second) if one.name is None), None)
    if unknown is not None:
        return f"of {unknown.study}, {unknown.note}"
    primary = metrics.on_test(first.metric)
    without = next((one.study for one in (first, second) if primary not in one.samples), None)
    reasons = {
        f"other family: {first.family} and {second.family}": first.family != second.family,
        f"ranked by other metrics: {first.metric} and {second.metric}": first.metric != second.metric,
        f"other budget: {first.trials} and {second.trials} trials": first.trials != second.trials,
        f"other budget: runs of {first.epochs} and of {second.epochs} epochs": first.epochs != second.epochs,
        f"{without} has no {primary}": without is not None,
    }
    return _other_data(first, second) or next((reason for reason, applies in reasons.items() if applies), None)


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


def _others(first: Winner, second: Winner, *, judged: bool) -> list[Pair]:
    """Return the differences that get no verdict, of metrics of the same images and the same meaning."""
    if first.name is None or second.name is None or _other_data(first, second) is not None:
        return []
    same_error = first.facts.compared == second.facts.compared
    shared = [metric for metric in first.samples if metric in second.samples]
    # A classifier's ratio is of error rates, and its accuracy on codes is of a trained head, not of a linear probe.
    shared = [metric for metric in shared if same_error or metric not in (RATIO, "test_probe_accuracy")]
    primary = metrics.on_test(first.metric) if judged else None
    return [
        Pair(first.study, second.study, metric, _gap(first, second, metric)) for metric in shared if metric != primary
    ]


def _gap(first: Winner, second: Winner, metric: str) -> Difference:
    return difference(first.samples[metric], second.samples[metric])


def _verdict(first: Winner, second: Winner, gap: Difference, p: float | None) -> str:
    metric = metrics.on_test(first.metric)
    better, worse = (first, second) if (gap.mean > 0) == (metrics.mode(metric) == "max") else (second, first)
    if gap.missing:
        words = f"{better.study} is ahead of {worse.study}, but {gap.missing}" if gap.mean else gap.missing
    elif told_apart(gap, p):
        words = f"{better.study} is better than {worse.study}"
    else:
        words = f"{first.study} and {second.study} cannot be told apart"
    if sizes := metrics.unequal_codes(first.metric, first.config, second.config):
        words += f"; {sizes}"
    words += "".join(f"; {one.study} has {one.failed}" for one in (first, second) if one.failed)
    words += "".join(f"; of {one.study} {one.added}" for one in (first, second) if one.added)
    return words
