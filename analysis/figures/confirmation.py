"""The confirmed configs on fresh seeds, and whether the first three can be told apart."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from numpy.typing import ArrayLike
from scipy import stats

from analysis.figures import Drawing, FurtherTable, style
from analysis.study_files import StudyFiles
from analysis.trials import (
    Objective,
    columns_of,
    completed_confirmations,
    confirmed_order,
    mean_of,
    objective_of,
    records,
)
from analysis.words import counted, number
from study.record import metrics

_TESTED = 3
_LEAST_SEEDS = 3  # of two, a paired test has one degree of freedom and an unknown spread
_SHOWN = 24
_POWER, _LEVEL = 0.8, 0.05  # of the paired tests
_MOST_PAIRS = 10_000


@dataclass(frozen=True, eq=False)
class Confirmation:
    """Confirmed configs, their seeds, and paired tests.

    Attributes:
        configs: a row per config, the winner first: rank, confirm_of, architecture, n, and mean, low and high (95 %
            over seeds) of the objective on validation (val_) and test images (test_).
        seeds: a row per config and seed: confirm_of, seed, val, test.
        tests: a row per pair among the first three: first, second, split, shared seeds n, difference (of the first
            minus the second, mean), low and high, p, p_holm, pairs_needed for a power of 80 %, and told_apart.
        objective: the metric and its direction.
    """

    configs: pd.DataFrame
    seeds: pd.DataFrame
    tests: pd.DataFrame
    objective: Objective

    def table(self) -> pd.DataFrame:
        """Return a row per config."""
        return self.configs

    @property
    def verdict(self) -> str:
        """Whether the first three can be told apart: one or two sentences, no surer than the seeds allow."""
        if self.tests.empty:
            return "One config was confirmed, so there is nothing to tell apart."
        return " ".join(self._sentence(row) for row in records(self.tests))

    def _sentence(self, row: Any) -> str:
        ranks = f"Ranks {row.first_rank} and {row.second_rank} ({row.first} and {row.second})"
        if row.n < 2:
            return f"{ranks} cannot be told apart: they share {counted(row.n, 'seed')}."
        gap = f"difference {number(row.difference)} on {_SPLITS[row.split]} data"
        if row.n < _LEAST_SEEDS:
            return f"{ranks} cannot be told apart from {row.n} seeds ({gap}); {self._needed(row)}."
        if np.isnan(row.p):
            return f"{ranks} gave the same difference on every seed ({gap}), so no test can be made."
        p = f"paired t-test, p = {number(row.p_holm, 2)} after Holm's correction, {row.n} seeds"
        if row.told_apart:
            as_ranked = (row.difference * self.objective.sign) < 0
            found = f"{row.first} is better" if as_ranked else f"{row.second} is better, unlike on validation data"
            return f"{ranks} can be told apart: {found} ({gap}; {p})."
        return f"{ranks} are not distinguishable ({gap}; {p}); {self._needed(row)}."

    def _needed(self, row: Any) -> str:
        if pd.isna(row.pairs_needed):
            return "no reasonable number of seeds would tell such a difference"
        seeds = max(int(row.pairs_needed), row.n + 1)  # those that there are were not enough
        return f"if difference and spread are what they seem, about {seeds} seeds would be needed"

    @property
    def caption(self) -> str:
        """What is seen, with its numbers."""
        best = self.configs.iloc[0]
        first = f"The winner on validation data, {best['confirm_of']}, has a test {metrics.label(self._name)} of "
        first += number(best["test_mean"], 4) if np.isfinite(best["test_mean"]) else "–"
        if np.isfinite(best["test_low"]):
            first += f" ({number(best['test_low'], 4)} … {number(best['test_high'], 4)})"
        few = " With so few seeds the t-test leans on their differences being normal." if self._leans else ""
        return (
            f"{first} over {counted(int(best['n']), 'seed')}. {self.verdict}{few} Intervals are over seeds on one "
            "split; they do not cover other images."
        )

    @property
    def _leans(self) -> bool:
        return not self.tests.empty and bool(self.tests["n"].between(_LEAST_SEEDS, 5).any())

    @property
    def _name(self) -> str:
        return self.objective.metric.removeprefix("val_")


_SPLITS = {"val": "validation", "test": "test"}


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
        val = mean_of(mine["value"], objective.metric)
        test = mean_of(mine["test_value"].dropna(), objective.metric)
        rows.append(
            {
                "rank": rank,
                "confirm_of": name,
                "architecture": mine["config.architecture"].iloc[0] if "config.architecture" in mine else "",
                "n": val.n,
                **columns_of(val, "val_"),
                **columns_of(test, "test_"),
            }
        )
    seeds = runs[["confirm_of", "seed", "value", "test_value"]].rename(columns={"value": "val", "test_value": "test"})
    return Confirmation(pd.DataFrame(rows), seeds, _tests(seeds, order[:_TESTED]), objective)


def _tests(seeds: pd.DataFrame, names: list[str]) -> pd.DataFrame:
    """Return the paired tests on test data, which chose nothing; on validation data where that is missing."""
    split = "test" if seeds["test"].notna().all() else "val"
    wide = seeds.drop_duplicates(["confirm_of", "seed"]).pivot(index="seed", columns="confirm_of", values=split)
    rows = []
    for (i, first), (j, second) in combinations(enumerate(names, start=1), 2):
        differences = (wide[first] - wide[second]).dropna()
        gap = mean_of(differences)
        rows.append(
            {
                "first": first,
                "second": second,
                "first_rank": i,
                "second_rank": j,
                "split": split,
                "n": gap.n,
                **columns_of(gap),
                "p": paired_p(differences),
                "pairs_needed": pairs_needed(differences),
            }
        )
    if not rows:
        return pd.DataFrame()
    table = pd.DataFrame(rows).rename(columns={"mean": "difference"})
    table["p_holm"] = holm(table["p"].tolist())
    table["told_apart"] = (table["n"] >= _LEAST_SEEDS) & (table["p_holm"] < _LEVEL)
    return table


def plot_confirmation(data: Confirmation) -> Figure:
    """Draw, per config, validation and test means with their intervals, and each seed."""
    rows = data.configs.head(_SHOWN)
    drawn, (axis,) = style.figure(1.1 + 0.55 * len(rows))
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
    axis.scatter([], [], 45, style.INK, marker="|", label="a seed")
    names = [
        str(row.confirm_of)
        if not row.architecture or str(row.architecture).replace("/", "_") in str(row.confirm_of)
        else f"{row.confirm_of}\n{row.architecture}"
        for row in records(rows)
    ]
    axis.set_yticks(np.arange(len(rows)), names)
    axis.set_ylim(len(rows) - 0.5, -0.5)
    axis.grid(visible=False, axis="y")
    axis.set_xlabel(metrics.label(data.objective.metric).removeprefix("validation "))
    style.legend_below(drawn, axis)
    return drawn


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
        critical = float(stats.t.ppf(1 - _LEVEL / 2, n - 1))
        shifted = stats.nct(n - 1, effect * math.sqrt(n))
        return float(shifted.sf(critical))

    low, high = 2, 2
    while power(high) < _POWER:
        low, high = high, high * 2
        if high > _MOST_PAIRS:
            return None
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if power(middle) >= _POWER else (middle + 1, high)
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


def _paired_tests(data: Confirmation) -> list[FurtherTable]:
    caption = "Paired tests between the first three: p, and p after Holm's correction"
    return [] if data.tests.empty else [FurtherTable("paired_tests", caption, data.tests)]


DRAWINGS = (
    Drawing(
        "confirmation",
        "confirmation",
        "Confirmed configs, every seed",
        compute_confirmation,
        plot_confirmation,
        more=_paired_tests,
        folded=False,
    ),
)
