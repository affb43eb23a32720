"""Where the best trials lie in the ranges that were searched: on a bound, the range may be too narrow."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from analysis.figures import Drawing, _chance, style
from analysis.figures._parameters import sampled_ranges
from analysis.study_files import StudyFiles
from analysis.trials import ended_trials, records, suggested
from analysis.words import parameter_label
from study.record.words import joined, number

_BEST = 5
_LEAST_TRIALS = 10
_AT_BOUND = 0.05  # of the range, on its own scale
_FEWEST = 3  # of the best trials that a word about a bound rests on
_RANGE = ["parameter", "low", "high", "log"]
_FLOORS = (0.0, 1.0)  # no dropout, one layer: a range that begins there cannot begin lower
_SHOWN = 16
_TESTED = (
    "A bound is named where the trials at it rank better than the others that drew the parameter, by more than any "
    "bound does in 95 % of the shuffles of the ranks."
)


@dataclass(frozen=True, eq=False)
class Bounds:
    """The numeric parameters, with where the best trials lie.

    Attributes:
        parameters: a row per range, those with most of the best trials first: parameter (Optuna's name, which tells
            ranges of one key apart, such as lr and adagrad_lr), low, high, log, trials and best (how many of all and of
            the best drew it), at_low and at_high (how many of the best lie within 5 % of the range of that bound),
            all_at_low and all_at_high (how many of all), low_named and high_named (whether the trials there are better
            than the others that drew it by more than chance gives, most of the best among them, and the range could be
            widened).
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
            f"{parameter_label(row.parameter)} at its {end} bound, {number(value)} ({count} of {row.best}, of all "
            f"{every} of {row.trials})"
            for row in records(self.parameters)
            for end, value, count, every, named in (
                ("lower", row.low, row.at_low, row.all_at_low, row.low_named),
                ("upper", row.high, row.at_high, row.all_at_high, row.high_named),
            )
            if named
        ]
        if words:
            first = (
                f"Of the best {self.best} suggested trials most have {joined(words)}: a wider range might do better."
            )
        else:
            first = (
                f"At no bound that could be widened do most of the best {self.best} suggested trials lie with more "
                "than chance would give."
            )
        line = "A line is the range that a parameter was drawn from, logarithmic where it was searched so."
        return f"{first} {_TESTED} {line}"


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
                "rank": place,
            }
            for place, (trial, ranges) in enumerate(zip(ended["trial_id"], sampled_ranges(study, ended), strict=True))
            for drawn in ranges
            if drawn.high > drawn.low
        ]
    )
    if points.empty or not points["best"].any():
        return None
    lows, highs = points["position"] <= _AT_BOUND, points["position"] >= 1 - _AT_BOUND
    rows = points.assign(
        all_at_low=lows, all_at_high=highs, at_low=points["best"] & lows, at_high=points["best"] & highs
    ).groupby(_RANGE, sort=False)
    table = rows.agg(
        trials=("trial_id", "size"),
        **{name: (name, "sum") for name in ("best", "at_low", "at_high", "all_at_low", "all_at_high")},
    ).reset_index()
    table = table.sort_values(["best", "trials"], ascending=False, kind="stable", ignore_index=True)
    return Bounds(_named(table, points, len(ended)), points.drop(columns=["rank", "low", "high", "log"]), _BEST)


def _named(table: pd.DataFrame, points: pd.DataFrame, trials: int) -> pd.DataFrame:
    """Return the table with the bounds that are named."""
    drew, at_low, at_high = (np.zeros((len(table), trials)) for _ in range(3))
    place = {tuple(row): i for i, row in enumerate(table[_RANGE].itertuples(index=False, name=None))}
    for point in records(points):
        row = place[(point.parameter, point.low, point.high, point.log)]
        drew[row, point.rank] = 1
        at_low[row, point.rank] = point.position <= _AT_BOUND
        at_high[row, point.rank] = point.position >= 1 - _AT_BOUND
    at_low[~table["log"].to_numpy(dtype=bool) & table["low"].isin(_FLOORS).to_numpy()] = 0
    both = np.concatenate([drew, drew]), np.concatenate([at_low, at_high])
    low, high = np.split(lead_beyond_chance(*both, np.random.default_rng(0)), 2)
    return table.assign(low_named=low, high_named=high)


def lead_beyond_chance(drew: np.ndarray, at_bound: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """Return which bounds have most of the best trials, and trials that are better than chance gives any bound.

    Args:
        drew: (bounds, trials) 1 where a trial drew the parameter, the best trial first.
        at_bound: (bounds, trials) 1 where it lies at the bound.
        generator: Shuffles the ranks.
    """
    ranks = np.arange(drew.shape[1])
    chance = _chance.greatest_by_chance(lambda shuffled: _leads(drew, at_bound, shuffled).max(axis=0), ranks, generator)
    found: np.ndarray = _leads(drew, at_bound, ranks[np.newaxis])[:, 0] > max(chance, 0.0)
    return found


def _leads(drew: np.ndarray, at_bound: np.ndarray, ranks: np.ndarray) -> np.ndarray:
    """Return by how much the trials at a bound rank better than all that drew the parameter: (bounds, shuffles).

    It is in standard errors of the mean rank of so many of them, and -∞ where not most of the best are there.

    Args:
        drew: (bounds, trials) 1 where a trial drew the parameter.
        at_bound: (bounds, trials) 1 where it lies at the bound.
        ranks: (shuffles, trials) from 0.
    """
    many, there = drew.sum(axis=1, keepdims=True), at_bound.sum(axis=1, keepdims=True)
    best = (ranks < _BEST).astype(float).T
    known, most = drew @ best, at_bound @ best
    mean = drew @ ranks.T / many
    variance = drew @ (ranks.T**2) / many - mean**2
    with np.errstate(divide="ignore", invalid="ignore"):
        error = np.sqrt(variance * (many - there) / (there * (many - 1)))
        leads = (mean - at_bound @ ranks.T / there) / error
    return np.where((known >= _FEWEST) & (most > known / 2) & (there < many), leads, -np.inf)


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
