"""The confirmed configs on fresh seeds, and whether the first three can be told apart."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from analysis.figures import style
from analysis.figures._intervals import LEVEL, holm, mean_interval, paired_p, pairs_needed
from analysis.figures._trials import Objective, completed_confirmations, confirmed_order, objective_of, records
from analysis.figures.labels import counted, metric_label, metric_name, number
from analysis.study_files import StudyFiles
from study.record.metrics import limits

_TESTED = 3
_LEAST_SEEDS = 3  # of two, a paired test has one degree of freedom and an unknown spread
_SHOWN = 24


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
        first = f"The winner on validation data, {best['confirm_of']}, has a test {metric_name(self._name)} of "
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
    bounds = limits(objective.metric)
    rows = []
    for rank, name in enumerate(order, start=1):
        mine = runs[runs["confirm_of"] == name]
        val = mean_interval(mine["value"], *bounds)
        test = mean_interval(mine["test_value"].dropna(), *bounds)
        rows.append(
            {
                "rank": rank,
                "confirm_of": name,
                "architecture": mine["config.architecture"].iloc[0] if "config.architecture" in mine else "",
                "n": val.n,
                **{f"val_{field}": getattr(val, field) for field in ("mean", "low", "high")},
                **{f"test_{field}": getattr(test, field) for field in ("mean", "low", "high")},
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
        mean = mean_interval(differences)
        rows.append(
            {
                "first": first,
                "second": second,
                "first_rank": i,
                "second_rank": j,
                "split": split,
                "n": mean.n,
                "difference": mean.mean,
                "low": mean.low,
                "high": mean.high,
                "p": paired_p(differences),
                "pairs_needed": pairs_needed(differences),
            }
        )
    if not rows:
        return pd.DataFrame()
    table = pd.DataFrame(rows)
    table["p_holm"] = holm(table["p"].tolist())
    table["told_apart"] = (table["n"] >= _LEAST_SEEDS) & (table["p_holm"] < LEVEL)
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
    axis.set_xlabel(metric_label(data.objective.metric).removeprefix("validation "))
    style.legend_below(drawn, axis)
    return drawn
