"""Per parameter: how trials with each of its values did, after the same number of epochs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from analysis.figures import Drawing, style
from analysis.figures._parameters import groups, varied_parameters
from analysis.study_files import StudyFiles
from analysis.trials import (
    columns_of,
    ended_trials,
    matched_epoch,
    mean_of,
    objective_of,
    ranked_words,
    records,
    values_at_epoch,
)
from analysis.words import parameter_label
from study.record import metrics
from study.record.words import counted

_SHOWN = 6  # parameters in the picture; the table has all
_LEAST_TRIALS = 2
_LEAST_OF_A_VALUE = 3  # trials, below which a value has no mean: what two trials share is mostly chance
_MOST_GROUPS = 8  # of one parameter in the picture


@dataclass(frozen=True, eq=False)
class Effects:
    """The objective by value of each parameter.

    Attributes:
        groups: a row per parameter and value (or third of many numbers): parameter, value, n (trials compared), mean,
            low and high (95 %, Student's t; none of fewer than three trials), median, best, ended_or_failed and failed
            trials, failed_share, and explained, the share of the objective's variance that the parameter's groups of
            three trials and more account for (adjusted for their number: ε², Kelley 1935).
        points: a row per trial and parameter: parameter, value, objective.
        metric, mode: the objective.
        epoch: after which it is compared, None where there is no history and each trial's last value stands for it.
        compared, ended: how many trials reached that epoch, of how many that ended.
    """

    groups: pd.DataFrame
    points: pd.DataFrame
    metric: str
    mode: str
    epoch: int | None
    compared: int
    ended: int

    def table(self) -> pd.DataFrame:
        """Return a row per parameter and value."""
        return self.groups.assign(epoch=self.epoch)

    @property
    def shown(self) -> list[str]:
        """The parameters in the picture, those whose groups differ most."""
        several = self.groups.groupby("parameter", sort=False).filter(lambda rows: (rows["n"] > 0).sum() > 1)
        order = several.drop_duplicates("parameter").sort_values("explained", ascending=False, kind="stable")
        return [str(name) for name in order["parameter"].head(_SHOWN)]

    @property
    def caption(self) -> str:
        """What is seen, with its numbers."""
        when = f"after epoch {self.epoch}" if self.epoch else "after each trial's last epoch"
        failed = self.groups.drop_duplicates("parameter")
        share = f"; {counted(int(failed['all_failed'].iloc[0]), 'trial')} failed" if len(failed) else ""
        return (
            f"Mean {metrics.label(self.metric)} {when}, which {self.compared} of {ranked_words(self.ended)} "
            f"reached{share}. A value of fewer than {_LEAST_OF_A_VALUE} trials has no mean; an arrow is an interval "
            "that goes on. Observational: the search chose the values, and trials of one value differ in others too, "
            "so a difference here need not be the parameter's doing."
        )


def compute_effects(study: StudyFiles) -> Effects | None:
    """Return the objective by value of every parameter that varied; None with fewer than two ended trials.

    It is taken after the last epoch that nine tenths of the ended trials reached, so that a stopped trial is compared
    with the others as they were then. Failed trials have no value, and are counted beside.
    """
    objective = objective_of(study)
    ended = ended_trials(study)
    if len(ended) < _LEAST_TRIALS:
        return None
    tried = study.trials[study.trials["status"].isin(["completed", "stopped", "failed"])]
    epoch = matched_epoch(study, ended)
    if epoch is None:
        values = ended.set_index("trial_id")["value"]
    else:
        values = values_at_epoch(study, objective.metric, epoch)
        values = values[values.index.isin(ended["trial_id"])]
    names = varied_parameters(tried)
    if len(values) < _LEAST_TRIALS or not names:
        return None
    rows, points = [], []
    for name in names:
        grouped, order = groups(tried[name])
        frame = pd.DataFrame(
            {
                "parameter": name.removeprefix("config."),
                "value": grouped,
                "objective": tried["trial_id"].map(values).astype(float),
                "failed": tried["status"] == "failed",
            }
        )
        frame = frame[frame["value"].notna()]
        parts = [part["objective"].dropna() for _, part in frame.groupby("value")]
        explained = _explained([part for part in parts if len(part) >= _LEAST_OF_A_VALUE])
        rows += [_group(frame[frame["value"] == value], objective.metric, objective.mode, explained) for value in order]
        points.append(frame[frame["objective"].notna()][["parameter", "value", "objective"]])
    table = pd.DataFrame(rows).assign(all_failed=int((tried["status"] == "failed").sum()))
    return Effects(
        table,
        pd.concat(points, ignore_index=True),
        objective.metric,
        objective.mode,
        epoch,
        len(values),
        len(ended),
    )


def _group(rows: pd.DataFrame, metric: str, mode: str, explained: float) -> dict[str, object]:
    values = rows["objective"].dropna()
    few = len(values) < _LEAST_OF_A_VALUE
    return {
        "parameter": rows["parameter"].iloc[0],
        "value": rows["value"].iloc[0],
        "n": len(values),
        **(dict.fromkeys(("mean", "low", "high"), np.nan) if few else columns_of(mean_of(values, metric))),
        "median": values.median(),
        "best": values.min() if mode == "min" else values.max(),
        "ended_or_failed": len(rows),
        "failed": int(rows["failed"].sum()),
        "failed_share": float(rows["failed"].mean()),
        "explained": explained,
    }


def _explained(parts: list[pd.Series]) -> float:
    """Return ε² of groups: 1 − (variance within) / (variance in all), each with its own degrees of freedom."""
    parts = [part for part in parts if len(part)]
    total = sum(len(part) for part in parts)
    if len(parts) < 2 or total <= len(parts):
        return 0.0
    everything = np.concatenate([part.to_numpy() for part in parts])
    within = sum(float(((part - part.mean()) ** 2).sum()) for part in parts) / (total - len(parts))
    variance = float(everything.var(ddof=1))
    return max(0.0, 1 - within / variance) if variance > 0 else 0.0


def plot_effects(data: Effects) -> Figure:
    """Draw, per parameter and value, every trial and the mean with its interval."""
    names = data.shown
    parts = {
        name: data.groups[(data.groups["parameter"] == name) & (data.groups["n"] > 0)].head(_MOST_GROUPS)
        for name in names
    }
    heights = [len(rows) + 0.9 for rows in parts.values()] or [1.0]
    drawn, axes = style.figure(
        0.8 + 0.27 * sum(heights), max(len(names), 1), sharex=True, gridspec_kw={"height_ratios": heights}
    )
    values = data.points["objective"]
    wide = style.spans_decades(values)
    for axis, (name, rows) in zip(axes, parts.items(), strict=False):
        places = np.arange(len(rows))
        for place, row in zip(places, records(rows), strict=True):
            mine = data.points[(data.points["parameter"] == name) & (data.points["value"] == row.value)]["objective"]
            axis.scatter(mine, np.full(len(mine), place), 22, style.PALE, linewidths=0, alpha=0.7)
        axis.hlines(places, rows["low"], rows["high"], color=style.COLOURS[0], linewidth=2)
        axis.scatter(rows["mean"], places, 46, style.COLOURS[0], marker="D", zorder=3)
        axis.set_yticks(places, [f"{row.value}  ({row.n}{', too few' * _is_few(row)})" for row in records(rows)])
        for label, row in zip(axis.get_yticklabels(), records(rows), strict=True):
            label.set_color(style.EDGE if _is_few(row) else style.INK)
        axis.set_ylim(len(rows) - 0.4, -0.6)
        style.title(axis, parameter_label(name))
        axis.grid(visible=False, axis="y")
    if wide:
        axes[0].set_xlim(values.min() / 1.15, values.max() * 1.15)
        style.log_axis(axes[0], "x")
    else:
        room = 0.05 * ((values.max() - values.min()) or 1.0)
        axes[0].set_xlim(values.min() - room, values.max() + room)
    for axis, rows in zip(axes, parts.values(), strict=False):
        _arrows(axis, rows)
    when = f", epoch {data.epoch}" if data.epoch else ""
    axes[-1].set_xlabel(f"{metrics.label(data.metric)}{when}")
    return drawn


def _is_few(row: Any) -> bool:
    return bool(row.n < _LEAST_OF_A_VALUE)


def _arrows(axis: Axes, rows: pd.DataFrame) -> None:
    """Put an arrow at each end of an interval that goes on beyond the axis."""
    least, most = axis.get_xlim()
    for ends, edge, marker in ((rows["low"] < least, least, "<"), (rows["high"] > most, most, ">")):
        places = np.flatnonzero(ends)
        axis.scatter(np.full(len(places), edge), places, 40, style.COLOURS[0], marker=marker, clip_on=False, zorder=3)


DRAWINGS = (Drawing("what-mattered", "effects", "Observed differences", compute_effects, plot_effects),)
