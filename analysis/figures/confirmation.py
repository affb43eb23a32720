"""The confirmed configs on fresh seeds, and whether the first three can be told apart."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from scipy import stats

from analysis.figures import Drawing, FurtherTable, style
from analysis.study_files import StudyFiles
from analysis.trials import (
    Objective,
    baseline_at,
    columns_of,
    completed_confirmations,
    confirmed_order,
    mean_of,
    numbers,
    objective_of,
    records,
    unmet_by_mean,
)
from study.record import about_seeds, metrics
from study.record.intervals import (
    LEAST_SEEDS,
    LEVEL,
    Layers,
    Sample,
    are_pairs,
    difference,
    holm,
    told_apart,
)
from study.record.tables import UNMET
from study.record.words import counted, number

_TESTED = 3
_SHOWN, _PANELS = 24, 6  # configs in one panel, and with one each
_POWER = 0.8
_MOST_SEEDS = 10_000


@dataclass(frozen=True, eq=False)
class Confirmation:
    """Confirmed configs, their seeds, and the tests between the first three.

    Attributes:
        configs: a row per config, the winner first: rank, confirm_of, architecture, n, the seeds of its test metric (of
            its validation metric where it was not tested), and of the objective on validation (val_) and test images
            (test_) mean, low and high (95 % over seeds), and baseline, what the baseline has on the same images: PCA
            at the size of its code, a classifier's regression; missing where the config has no mean.
        seeds: a row per config and seed: confirm_of, seed, val, test, architecture, params.
        tests: a row per pair among the first three: first, second, split, test ("paired" or "welch", by the rule of
            `study.record.intervals`), seeds n of the one with fewer, difference (of the first minus the second, mean),
            low and high, p, p_holm, seeds_needed of each for a power of 80 %, and told_apart.
        objective: the metric and its direction.
        remarks: sentences on seeds that failed or were added later, a space before each.
    """

    configs: pd.DataFrame
    seeds: pd.DataFrame
    tests: pd.DataFrame
    objective: Objective
    remarks: str

    def table(self) -> pd.DataFrame:
        """Return a row per config."""
        return self.configs

    @property
    def verdict(self) -> str:
        """Whether the first three can be told apart: one or two sentences, no surer than the seeds allow."""
        if self.tests.empty:
            what = "confirmed" if len(self.configs) == 1 else "tested on the seeds that report"
            return f"One config was {what}, so there is nothing to tell apart."
        return " ".join(self._sentence(row) for row in records(self.tests))

    def _sentence(self, row: Any) -> str:
        ranks = f"{row.first} and {row.second}"
        if self._ranked:
            ranks = f"Ranks {row.first_rank} and {row.second_rank} ({ranks})"
        if row.n < 2:
            return f"{ranks} cannot be told apart: one of them has {counted(row.n, 'seed')}."
        gap = f"difference {number(row.difference)} on {_SPLITS[row.split]} data"
        if np.isnan(row.p):
            what = "the same difference on every seed" if row.test == "paired" else "each the same value on every seed"
            return f"{ranks} gave {what} ({gap}), so no test can be made."
        if row.n < LEAST_SEEDS:
            return f"{ranks} cannot be told apart from {row.n} seeds ({gap}); {self._needed(row)}."
        p = f"{_TEST_WORDS[row.test]}, p = {number(row.p_holm, 2)} after Holm's correction, {row.n} seeds"
        if row.told_apart:
            as_ranked = (row.difference * self.objective.sign) < 0
            found = f"{row.first if as_ranked else row.second} is better"
            found += ", unlike on validation data" if self._ranked and not as_ranked else ""
            return f"{ranks} can be told apart: {found} ({gap}; {p})."
        return f"{ranks} are not distinguishable ({gap}; {p}); {self._needed(row)}."

    def _needed(self, row: Any) -> str:
        if pd.isna(row.seeds_needed):
            return "no reasonable number of seeds would tell such a difference"
        seeds = max(int(row.seeds_needed), row.n + 1)  # those that there are were not enough
        return f"if difference and spread are what they seem, about {seeds} seeds would be needed"

    @property
    def caption(self) -> str:
        """What is seen, with its numbers."""
        best = self.configs.iloc[0]
        which = "The winner on validation data" if self._ranked else "Nothing was chosen; the first"
        if unmet := best.get(UNMET):  # keeping ones come first
            which = f"Nothing won, as no confirmed config keeps {unmet}; the first"
        split = "test" if np.isfinite(best["test_mean"]) else "val"
        mean, low, high, baseline = (best[f"{split}_{name}"] for name in ("mean", "low", "high", "baseline"))
        score = f"{_SPLITS[split]} {metrics.label(self._name)}"
        first = f"{which}, {best['confirm_of']}, has a {score} of {number(mean, 4)}"
        if np.isfinite(low):
            first += f" ({number(low, 4)} … {number(high, 4)})"
        few = " With so few seeds the t-test leans on their differences being normal." if self._leans else ""
        beside = f" The baseline has {number(baseline, 4)} on the same images." if np.isfinite(baseline) else ""
        return (
            f"{first} over {counted(int(best['n']), 'seed')}.{self.remarks}{beside} {self.verdict}{few}"
            f"{_RULE * (not self.tests.empty)} "
            "Intervals are over seeds on one split; they do not cover other images."
        )

    @property
    def _leans(self) -> bool:
        return not self.tests.empty and bool(self.tests["n"].between(LEAST_SEEDS, 5).any())

    @property
    def _ranked(self) -> bool:
        """Whether there were validation images to rank the configs by."""
        return bool(self.configs["val_mean"].notna().any())

    @property
    def _name(self) -> str:
        return self.objective.metric.removeprefix("val_")


_SPLITS = {"val": "validation", "test": "test"}
_TEST_WORDS = {"paired": "paired t-test", "welch": "Welch's t-test"}
_RULE = (
    " Configs are compared seed by seed where seeds, architecture and number of parameters agree, else by Welch's test."
)


def compute_confirmation(study: StudyFiles) -> Confirmation | None:
    """Return the confirmed configs with their tests; None where no confirmation run was completed."""
    objective = objective_of(study)
    runs = completed_confirmations(study)
    order = confirmed_order(study)
    if not order:
        return None
    rows = []
    for rank, name in enumerate(order, start=1):
        mine = runs[runs["confirm_of"] == name]
        val = mean_of(mine["value"].dropna(), objective.metric)
        test = mean_of(mine["test_value"].dropna(), objective.metric)
        rows.append(
            {
                "rank": rank,
                "confirm_of": name,
                "architecture": mine["config.architecture"].iloc[0] if "config.architecture" in mine else "",
                "n": test.n or val.n,
                **columns_of(val, "val_"),
                **columns_of(test, "test_"),
            }
        )
    configs = pd.DataFrame(rows)
    sizes = numbers(runs, "config.latent_size").groupby(runs["confirm_of"]).first()
    for split in _SPLITS:
        beside = baseline_at(study, configs["confirm_of"].map(sizes), split)
        configs[f"{split}_baseline"] = beside.where(configs[f"{split}_mean"].notna())
    columns = {"value": "val", "test_value": "test", "config.architecture": "architecture"}
    kept = ["confirm_of", "seed", *columns, "params"]
    seeds = runs[[name for name in kept if name in runs]].rename(columns=columns)
    if beyond := unmet_by_mean(study, runs):
        configs[UNMET] = configs["confirm_of"].map(beyond).fillna("")
    remarks = about_seeds.sentences(study.summary or {})
    return Confirmation(configs, seeds, _tests(seeds, order, objective), objective, remarks)


def _tests(seeds: pd.DataFrame, names: list[str], objective: Objective) -> pd.DataFrame:
    """Return the tests on test data, which chose nothing; on validation data where that is missing."""
    split = "test" if seeds["test"].notna().any() else "val"
    known = seeds[seeds[split].notna()]
    ranks = {name: rank for rank, name in enumerate(names, start=1) if (known["confirm_of"] == name).any()}
    samples = {name: _sample(known[known["confirm_of"] == name], split, objective) for name in ranks}
    rows, found = [], []
    pairs = list(combinations(list(ranks.items())[:_TESTED], 2))
    for (first, i), (second, j) in pairs:
        gap = difference(samples[first], samples[second])
        found.append(gap)
        rows.append(
            {
                "first": first,
                "second": second,
                "first_rank": i,
                "second_rank": j,
                "split": split,
                "test": gap.test,
                "n": gap.n,
                **columns_of(gap),
                "p": np.nan if gap.p is None else gap.p,
                "seeds_needed": seeds_needed(samples[first], samples[second], LEVEL / len(pairs)),
            }
        )
    if not rows:
        return pd.DataFrame()
    table = pd.DataFrame(rows).rename(columns={"mean": "difference"})
    adjusted = holm([gap.p for gap in found])
    table["p_holm"] = [np.nan if p is None else p for p in adjusted]
    table["told_apart"] = [told_apart(gap, p) for gap, p in zip(found, adjusted, strict=True)]
    return table


def _sample(rows: pd.DataFrame, split: str, objective: Objective) -> Sample:
    rows = rows.drop_duplicates("seed")
    values = {int(seed): float(value) for seed, value in zip(rows["seed"], rows[split], strict=True)}
    layers = None
    if {"architecture", "params"} <= set(rows):
        layers = Layers(str(rows["architecture"].iloc[0]), int(rows["params"].iloc[0]))
    return Sample.of(objective.test_metric if split == "test" else objective.metric, values, layers)


def plot_confirmation(data: Confirmation) -> Figure:
    """Draw, per config, validation and test means with their intervals, and each seed.

    A few configs whose seeds would be one point on the scale of all have a panel and a scale each.
    """
    rows = data.configs.head(_SHOWN)
    apart = _scales_differ(rows, data.seeds)
    parts = [rows.iloc[[place]] for place in range(len(rows))] if apart else [rows]
    drawn, axes = style.figure(1.1 + (0.9 if apart else 0.55) * len(rows), len(parts))
    for axis, part in zip(axes, parts, strict=True):
        _draw(axis, part, data)
    spread = pd.concat([rows[f"{split}_{name}"] for split in _SPLITS for name in ("mean", "baseline")]).dropna()
    if not apart and data.objective.metric != "val_accuracy" and style.spans_decades(spread):
        style.log_axis(axes[0], "x")
    axes[-1].set_xlabel(metrics.label(data.objective.metric).removeprefix("validation "))
    style.legend_below(drawn, axes[0])
    return drawn


def _scales_differ(rows: pd.DataFrame, seeds: pd.DataFrame) -> bool:
    """Whether the seeds of every config lie within a thirtieth of the configs' range, and there are not many."""
    means = pd.concat([rows["val_mean"], rows["test_mean"]])
    by_config = seeds[seeds["confirm_of"].isin(rows["confirm_of"])].groupby("confirm_of")[["val", "test"]]
    widest = float((by_config.max() - by_config.min()).max().max())
    return 1 < len(rows) <= _PANELS and bool(30 * widest < means.max() - means.min())


def _draw(axis: Axes, rows: pd.DataFrame, data: Confirmation) -> None:
    for split, shift, colour, marker in (("val", -0.16, style.COLOURS[4], "s"), ("test", 0.16, style.COLOURS[0], "o")):
        if rows[f"{split}_mean"].isna().all():
            continue
        places = np.arange(len(rows)) + shift
        axis.hlines(places, rows[f"{split}_low"], rows[f"{split}_high"], color=colour, linewidth=2)
        axis.scatter(
            rows[f"{split}_mean"], places, 52, colour, marker=marker, zorder=3, label=f"{_SPLITS[split]}, mean"
        )
        for place, name in zip(places, rows["confirm_of"], strict=True):
            mine = data.seeds.loc[data.seeds["confirm_of"] == name, split]
            axis.scatter(mine, np.full(len(mine), place), 45, style.INK, marker="|", zorder=4)
        known = rows[f"{split}_baseline"].notna().to_numpy()
        beside, between = rows.loc[known, f"{split}_baseline"], np.flatnonzero(known)
        axis.vlines(beside, between, between + math.copysign(0.42, shift), style.COLOURS[1], "dashed", linewidth=1.6)
    axis.scatter([], [], 45, style.INK, marker="|", label="a seed")
    if rows[["val_baseline", "test_baseline"]].notna().any(axis=None):
        axis.vlines([], [], [], style.COLOURS[1], "dashed", linewidth=1.6, label="the baseline on the same images")
    names = [
        str(row.confirm_of)
        if not row.architecture or str(row.architecture).replace("/", "_") in str(row.confirm_of)
        else f"{row.confirm_of}\n{row.architecture}"
        for row in records(rows)
    ]
    axis.set_yticks(np.arange(len(rows)), names)
    axis.set_ylim(len(rows) - 0.5, -0.5)
    axis.grid(visible=False, axis="y")


def seeds_needed(first: Sample, second: Sample, level: float) -> int | None:
    """Return how many seeds of each, three at least, tell the two apart with a chance of 80 %.

    Taken at its word are the mean and the standard deviations at hand, which few seeds know badly. The power is that of
    the noncentral t distribution (Cohen, "Statistical power analysis", 1988, chapter 2). None where nothing varies, or
    more than 10,000 are needed.

    Args:
        first: The one.
        second: The other.
        level: Of the test of their difference. Of several tests it is 5 % over their number: what Holm's correction
            asks of the smallest p, and more than it asks of the others.
    """
    pairs = first.minus(second) if are_pairs(first, second) else None
    parts = [list(one.values.values()) for one in ([pairs] if pairs else [first, second])]
    if min(map(len, parts)) < 2:
        return None
    variances = [float(np.var(part, ddof=1)) for part in parts]
    if not any(variances):
        return None
    total = sum(variances)
    freedom = total**2 / sum(variance**2 for variance in variances)  # degrees of freedom for each seed more than one
    effect = abs(difference(first, second).mean) / math.sqrt(total)

    def power(n: int) -> float:
        critical = float(stats.t.ppf(1 - level / 2, freedom * (n - 1)))
        return float(stats.nct(freedom * (n - 1), effect * math.sqrt(n)).sf(critical))

    low, high = LEAST_SEEDS, LEAST_SEEDS
    while power(high) < _POWER:
        low, high = high, high * 2
        if high > _MOST_SEEDS:
            return None
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if power(middle) >= _POWER else (middle + 1, high)
    return high


def _tables(data: Confirmation) -> list[FurtherTable]:
    caption = "Tests between the first three: p, and p after Holm's correction"
    return [] if data.tests.empty else [FurtherTable("tests_between_configs", caption, data.tests)]


DRAWINGS = (
    Drawing(
        "confirmation",
        "confirmation",
        "Confirmed configs, every seed",
        compute_confirmation,
        plot_confirmation,
        more=_tables,
        folded=False,
    ),
)
