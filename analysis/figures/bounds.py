"""Where the best trials lie in the ranges that were searched: on a bound, the range may be too narrow."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from analysis.figures import Drawing, style
from analysis.figures._parameters import sampled_ranges
from analysis.study_files import StudyFiles
from analysis.trials import ended_trials, records, suggested
from analysis.words import joined, parameter_label
from study.record.words import number

_BEST = 5
_LEAST_TRIALS = 10
_AT_BOUND = 0.05  # of the range, on its own scale
_FEWEST = 3  # of the best trials that a word about a bound rests on
_FLOORS = (0.0, 1.0)  # no dropout, one layer: a range that begins there cannot begin lower
_SHOWN = 16


@dataclass(frozen=True, eq=False)
class Bounds:
    """The numeric parameters, with where the best trials lie.

    Attributes:
        parameters: a row per range, those with most of the best trials first: parameter (Optuna's name, which tells
            ranges of one key apart, such as lr and adagrad_lr), low, high, log, trials and best (how many of all and of
            the best drew it), at_low and at_high (how many of the best lie within 5 % of the range of that bound).
        points: a row per trial and parameter: parameter, trial_id, value, position (0 to 1), best.
        best: how many trials count as the best.
    """

    parameters: pd.DataFrame
    points: pd.DataFrame
    best: int

    def table(self) -> pd.DataFrame:
        """Return a row per parameter."""
        return self.parameters

    @property
    def caption(self) -> str:
        """What is seen, with its numbers."""
        words = [
            f"{parameter_label(row.parameter)} at its {end} bound, {number(value)} ({count} of {row.best})"
            for row in records(self.parameters)
            for end, value, count in (("lower", row.low, row.at_low), ("upper", row.high, row.at_high))
            if row.best >= _FEWEST and count > row.best / 2 and (end == "upper" or row.log or value not in _FLOORS)
        ]
        if words:
            first = (
                f"Of the best {self.best} suggested trials most have {joined(words)}: a wider range might do better."
            )
        else:
            first = f"No range has most of the best {self.best} suggested trials at a bound that could be widened."
        return f"{first} A line is the range that a parameter was drawn from, logarithmic where it was searched so."


def compute_bounds(study: StudyFiles) -> Bounds | None:
    """Return where the best five suggested trials lie in the searched ranges; None with fewer than ten of them.

    Given configurations (the default, reported ones) have settings of their own: no wider range would move them.
    """
    ended = suggested(ended_trials(study))
    if len(ended) < _LEAST_TRIALS:
        return None
    points = pd.DataFrame(
        [
            {
                "parameter": drawn.name,
                "trial_id": trial,
                "value": drawn.value,
                "position": drawn.position,
                "low": drawn.low,
                "high": drawn.high,
                "log": drawn.log,
                "best": place < _BEST,
            }
            for place, (trial, ranges) in enumerate(zip(ended["trial_id"], sampled_ranges(study, ended), strict=True))
            for drawn in ranges
            if drawn.high > drawn.low
        ]
    )
    if points.empty or not points["best"].any():
        return None
    points = points.assign(
        at_low=points["best"] & (points["position"] <= _AT_BOUND),
        at_high=points["best"] & (points["position"] >= 1 - _AT_BOUND),
    )
    rows = points.groupby(["parameter", "low", "high", "log"], sort=False)
    table = rows.agg(
        trials=("trial_id", "size"), best=("best", "sum"), at_low=("at_low", "sum"), at_high=("at_high", "sum")
    ).reset_index()
    table = table.sort_values(["best", "trials"], ascending=False, kind="stable", ignore_index=True)
    return Bounds(table, points.drop(columns=["low", "high", "log", "at_low", "at_high"]), _BEST)


def plot_bounds(data: Bounds) -> Figure:
    """Draw a line per parameter from its lower to its upper bound, the best trials large on it."""
    rows = data.parameters[data.parameters["best"] > 0].head(_SHOWN)
    drawn, (axis,) = style.figure(0.8 + 0.4 * len(rows))
    for place, row in enumerate(records(rows)):
        mine = data.points[data.points["parameter"] == row.parameter]
        others, best = mine[~mine["best"]], mine[mine["best"]]
        axis.hlines(place, 0, 1, color=style.GRID, linewidth=2, zorder=1)
        axis.scatter(others["position"], np.full(len(others), place), 70, style.PALE, marker="|", linewidths=1)
        axis.scatter(best["position"], np.full(len(best), place), 60, style.COLOURS[1], alpha=0.6, zorder=3)
        axis.text(-0.04, place, number(row.low), ha="right", va="center", fontsize=9)
        axis.text(1.04, place, number(row.high), ha="left", va="center", fontsize=9)
    axis.scatter([], [], 70, style.PALE, marker="|", label="trial")
    axis.scatter([], [], 60, style.COLOURS[1], alpha=0.6, label=f"best {data.best}")
    axis.set_yticks(np.arange(len(rows)), [parameter_label(name) for name in rows["parameter"]])
    axis.set_ylim(len(rows) - 0.5, -0.5)
    room = 0.2 * style.WIDTH / style.width()  # of the numbers at the ends
    axis.set_xlim(-room, 1 + room)
    axis.set_xticks([])
    axis.grid(visible=False)
    axis.spines[["bottom", "left"]].set_visible(False)
    axis.tick_params(left=False)
    style.legend_below(drawn, axis)
    return drawn


DRAWINGS = (
    Drawing("what-mattered", "bounds", "Best trials in the range that was searched", compute_bounds, plot_bounds),
)
