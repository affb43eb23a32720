"""One number of a claim's audit, looked up in the evidence: its value by seed, and under which conditions."""

from __future__ import annotations

import math
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import pandas as pd

import search_spaces
from analysis.audits.evidence import Evidence, MeasuredStudy
from search_spaces import OPEN_LAYERS, Measured, Reported
from study.record import metrics
from study.record.intervals import Layers, Sample

_CONFUSED = "test_confusion:"  # then the class and what it was taken for, see `Measured`
_ALWAYS_WHOLE = ("params",)  # neither epochs nor the number of images change it, nor how it is trained


@dataclass(frozen=True)
class Reading:
    """What was found for a `Measured`.

    Attributes:
        measured: what was asked for.
        sample: its values, in this project's units; None if there are none.
        missing: why there are none.
        source: the study or the file that it comes from.
        epochs: epochs of each stage of our runs; `reported_epochs` are the report's.
        other_epochs: the runs were shorter or longer than the report's, so that they cannot be its measure.
        images: training images of our runs; `all_images` of the whole data set, None if it is not known;
            `reported_images` those that the report trained on.
        is_subset: fewer images than the data set has, by --train-size.
        open_choices: what the report left open of the configuration and could change the number.
        failed: runs beside ours that failed, of which there is no number.
        seen_with: how many seeds each verdict was by that was seen before there were these.
    """

    measured: Measured
    sample: Sample | None = None
    missing: str | None = None
    source: str | None = None
    epochs: tuple[int, ...] = ()
    reported_epochs: tuple[int, ...] = ()
    other_epochs: bool = False
    images: int | None = None
    all_images: int | None = None
    reported_images: int | None = None
    is_subset: bool = False
    open_choices: tuple[str, ...] = ()
    failed: int = 0
    seen_with: tuple[int, ...] = ()


@dataclass(frozen=True, eq=False)
class Runs:
    """The completed runs of a reported configuration in one study, and how many `failed` beside them."""

    study: MeasuredStudy
    entry: Reported
    rows: Sequence[Mapping[Any, Any]]
    failed: int

    @property
    def epochs(self) -> tuple[int, ...]:
        """The epochs of each stage, the fewest of any run."""
        first, last = (int(min(row[stage] for row in self.rows)) for stage in ("pretrain_epochs", "epochs"))
        return (first, last) if len(self.entry.epochs) > 1 else (last,)

    @property
    def rank(self) -> tuple[Any, ...]:
        """Most epochs first, then the report's own images, then most images, then most seeds.

        More epochs than the report's count for nothing.
        """
        counted = sum(map(min, self.epochs, self.entry.epochs))
        beyond = sum(self.epochs) - counted
        sizes = self.study.sizes
        own = (sizes["train"], sizes["val"]) == (self.entry.split.train, self.entry.split.val)
        return counted, -beyond, own, sizes["train"], len(self.rows), self.study.name

    def values(self, measured: Measured) -> dict[int, float]:
        """Return a number of the runs by seed, without those that have none."""
        found = {int(row["seed"]): _value(self.study, row, measured) for row in self.rows}
        return {seed: value for seed, value in found.items() if value is not None}


def find(measured: Measured, evidence: Evidence, *, beside: str | None = None) -> Reading:
    """Look a number up.

    Args:
        measured: What to look for. Its `minus` is taken off seed by seed; both parts' conditions count.
        evidence: Where to look.
        beside: The study whose networks a PCA number is compared with: its own PCA saw the same images.
    """
    minus = measured.minus
    # Both parts of one network's difference come from the same runs.
    both_of = (measured, minus) if minus is not None and minus.subject == measured.subject else ()
    first = _plain(measured, evidence, beside, both_of)
    if minus is None or first.sample is None:
        return first
    second = _plain(minus, evidence, beside, both_of) if both_of else find(minus, evidence, beside=beside)
    if second.sample is None:
        return replace(first, sample=None, missing=second.missing)
    both = first.sample.minus(second.sample)
    if both is None:
        return replace(first, sample=None, missing="no seed has both numbers of the difference")
    worse = first if first.other_epochs or not second.other_epochs else second
    sources = dict.fromkeys(source for source in (first.source, second.source) if source)
    return replace(
        worse,
        measured=measured,
        sample=both,
        source=", ".join(sources),
        is_subset=first.is_subset or second.is_subset,
        failed=max(first.failed, second.failed),
        seen_with=max(first.seen_with, second.seen_with, key=len),
        open_choices=tuple(dict.fromkeys((*first.open_choices, *second.open_choices))),
    )


def _plain(measured: Measured, evidence: Evidence, beside: str | None, together: Iterable[Measured]) -> Reading:
    kind, *rest = measured.subject.split("/")
    if kind == "pca":
        return _of_pca(measured, evidence, rest[0], int(rest[1]), beside)
    if kind == "data":
        return _of_data(measured, evidence, rest[0])
    return _of_runs(measured, evidence, together)


def _of_runs(measured: Measured, evidence: Evidence, together: Iterable[Measured]) -> Reading:
    runs = best_runs(measured.subject, evidence, {measured, *together})
    if runs is None:
        return Reading(measured, missing=f"{measured.subject} has not been run")
    study, entry = runs.study, runs.entry
    free = measured.metric in _ALWAYS_WHOLE
    wanted = (*entry.epochs[:-1], entry.epochs[-1] if measured.epoch is None else measured.epoch)
    enough = runs.epochs == wanted if measured.epoch is None else _reaches(runs.epochs, wanted)
    whole = study.whole_sizes
    reading = Reading(
        measured,
        source=study.name,
        epochs=runs.epochs,
        reported_epochs=entry.epochs,
        other_epochs=not enough and not free,
        images=study.sizes["train"],
        all_images=whole["train"] if whole else None,
        reported_images=entry.split.train,
        is_subset=study.is_subset and study.sizes != whole and not free,
        open_choices=tuple(one for one in entry.open_choices if not free or one in OPEN_LAYERS),
        failed=runs.failed,
        seen_with=tuple((study.summary or {}).get("seen_with", ())),
    )
    known = runs.values(measured)
    if not known:
        when = f" after epoch {measured.epoch}" if measured.epoch is not None else ""
        return replace(reading, missing=f"the runs of {measured.subject} have no {measured.metric}{when}")
    if free:
        return replace(reading, sample=Sample({}, next(iter(known.values()))))
    counts = {int(row["params"]) for row in runs.rows if not pd.isna(row.get("params"))}
    layers = Layers(entry.config["architecture"], counts.pop()) if len(counts) == 1 else None
    return replace(reading, sample=Sample(known, None, *_limits(measured.metric, runs), layers))


def _limits(metric: str, runs: Runs) -> tuple[float, float]:
    """Return the least and the most that a number of runs can be, which the metric's name alone may not tell."""
    least, most = metrics.limits(metric)
    if metric.startswith(_CONFUSED):  # no more than there are test images of the class
        rows = [_taken_for(runs.study, row, metric) for row in runs.rows]
        return least, max((float(sum(row.values())) for row in rows), default=most)
    if metrics.split_of(metric)[1] == "loss" and runs.entry.config["family"] != "vae":
        return 0.0, most  # a square error or a cross entropy; a VAE's may be a density, whose logarithm has no bound
    return least, most


def _reaches(epochs: tuple[int, ...], wanted: tuple[int, ...]) -> bool:
    """Whether runs passed through the wanted epoch: reported rates are constant, so later epochs do not matter."""
    return epochs[:-1] == wanted[:-1] and epochs[-1] >= wanted[-1]


def best_runs(key: str, evidence: Evidence, wanted: Iterable[Measured] = ()) -> Runs | None:
    """Return the runs that speak: of those that have all of the wanted numbers, else of all, the first by their rank.

    A study as reported may have no validation images, where another one has. None where there are no runs.
    """
    found = runs_of(key, evidence)
    whole = [runs for runs in found if all(runs.values(measured) for measured in wanted)]
    return max(whole or found, key=lambda runs: runs.rank, default=None)


def runs_of(key: str, evidence: Evidence) -> list[Runs]:
    """Return the completed runs of a reported configuration, by study."""
    entry = search_spaces.reported()[key]
    dataset = entry.space.split("_", maxsplit=1)[0]
    names = search_spaces.same_runs(key)
    found = []
    for study in evidence.studies:
        if study.dataset != dataset:
            continue  # a reported network on other data
        ended, failed = (
            [run for run in runs if run["key"] in names and _same_settings(run, entry.config)]
            for runs in (study.runs, study.failed)
        )
        if ended:
            found.append(Runs(study, entry, ended, len(failed)))
    return found


def _same_settings(row: Mapping[Any, Any], config: Mapping[str, Any]) -> bool:
    """Whether a run had the settings that the key stands for now: older studies may have had others."""
    for name, value in config.items():
        cell = row.get(f"config.{name}", value)
        if name == "decay" and pd.isna(cell):
            continue  # a run of an earlier version, whose L2 was on all parameters
        number = isinstance(value, int | float) and not isinstance(value, bool)
        if (float(cell) != value) if number else (str(cell) != str(value)):
            return False
    return True


def _value(study: MeasuredStudy, row: Mapping[Any, Any], measured: Measured) -> float | None:
    metric, run = measured.metric, str(row["confirm_id"])
    if metric.startswith(_CONFUSED):
        return _taken_for(study, row, metric).get(metric.split(":")[2])
    values = row if measured.epoch is None else study.at_epoch(run, measured.epoch) or {}
    # Networks that stay within [0, 1] have one error, and an earlier version clipped none.
    for name in (metric, metric.removesuffix("_unclipped")):
        value = values.get(name)
        if value is not None and not pd.isna(value):
            return float(value)
    return None


def _taken_for(study: MeasuredStudy, row: Mapping[Any, Any], metric: str) -> dict[str, float]:
    """Return how many test images of a metric's class a run took for each class; empty where that is not known."""
    try:
        table = study.confusion(row)
        names = study.data["class_names"]
        counts = [] if table is None else table[names.index(metric.split(":")[1])]
        return {name: float(count) for name, count in zip(names, counts, strict=False)}
    except (OSError, ValueError, KeyError, IndexError, zipfile.BadZipFile):
        return {}  # damaged


def _of_pca(measured: Measured, evidence: Evidence, dataset: str, components: int, beside: str | None) -> Reading:
    """Find PCA of all training images in its own table, else in the study that saw most of them."""
    studies = [study for study in evidence.studies if study.dataset == dataset]
    own = [study for study in studies if study.name == beside]
    for study in own:
        if (value := _pca_value(_by_components(study.baseline), components, measured.metric)) is not None:
            return Reading(measured, Sample({}, value), source=study.name, images=study.sizes["train"])
    for table in evidence.baselines:
        if table.dataset == dataset and (value := _pca_value(table.rows, components, measured.metric)) is not None:
            return Reading(measured, Sample({}, value), source=table.source)
    for study in sorted(studies, key=lambda one: -one.sizes["train"]):
        if (value := _pca_value(_by_components(study.baseline), components, measured.metric)) is not None:
            # A study's PCA leaves out the images that are held out for validation; the reports' did not.
            whole, used = study.whole_sizes, study.sizes["train"]
            every = whole["train"] + whole["val"] if whole else None
            sample = Sample({}, value)
            return Reading(measured, sample, source=study.name, images=used, all_images=every, is_subset=used != every)
    command = f"python study/baseline.py --data {dataset} --components {components}"
    return Reading(measured, missing=f"no PCA of {dataset} with {components} components: {command}")


def _by_components(baseline: pd.DataFrame) -> pd.DataFrame:
    return baseline.set_index("n_components")


def _pca_value(table: pd.DataFrame, components: int, metric: str) -> float | None:
    if components not in table.index or metric not in table:
        return None
    value = float(table[metric].to_dict()[components])
    return None if math.isnan(value) else value


def _of_data(measured: Measured, evidence: Evidence, dataset: str) -> Reading:
    # A study that divides the training images as a report did says nothing of that report's numbers of them. Those of
    # a set that has validation images of its own are nobody's division.
    official = search_spaces.datasets()[dataset].validation == "official"
    undivided = measured.metric in ("classes", "test_images") or (official and measured.metric == "train_images")
    for study in evidence.studies:
        sizes = study.whole_sizes
        if study.dataset == dataset and sizes is not None and (undivided or not study.as_reported):
            counts = {f"{split}_images": size for split, size in sizes.items()}
            counts["classes"] = len(study.data["class_names"])
            return Reading(measured, Sample({}, float(counts[measured.metric])), source=study.name)
    dividing = "" if undivided else " that divides the training images itself"
    return Reading(measured, missing=f"no study of {dataset}{dividing}")
