"""The winner of a study with all of its test metrics, ready to be put beside another study's."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from analysis.study_files import StudyFiles
from search_spaces import FAMILY_FACTS
from study.record.intervals import Interval, Sample

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
    """Return the winner; raises KeyError if the files lack what a study has."""
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
    row = summary["baseline"]
    facts = FAMILY_FACTS[family]
    if summary["ratio_to_pca"] is None or row is None or facts.compared not in samples:
        return None
    baseline = facts.error(row[facts.compared])
    errors = {seed: facts.error(value) for seed, value in samples[facts.compared].values.items()}
    return Sample({seed: error / baseline for seed, error in errors.items()}, least=0.0)
