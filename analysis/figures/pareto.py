"""Trials in several objectives, and those that no other beats in all of them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from analysis.figures import Drawing, style
from analysis.study_files import StudyFiles
from analysis.trials import Objective, keeping, numbers, objectives_of
from study.record import metrics
from study.record.ranking import on_front
from study.record.words import counted, joined, number


@dataclass(frozen=True, eq=False)
class Pareto:
    """Completed trials in the study's objectives.

    Attributes:
        trials: a row per completed trial: trial_id, architecture, the objectives, and front: whether no other trial is
            at least as good in all of them and better in one.
        objectives: in the order of the study; the first is the y axis.
    """

    trials: pd.DataFrame
    objectives: tuple[Objective, ...]

    def table(self) -> pd.DataFrame:
        """Return a row per trial, the front first."""
        first = self.objectives[0]
        return self.trials.sort_values(
            ["front", first.metric], ascending=[False, first.mode == "min"], kind="stable", ignore_index=True
        )

    @property
    def caption(self) -> str:
        """What is seen, with its numbers."""
        front = self.table()[lambda rows: rows["front"]]
        names = [metrics.label(objective.metric) for objective in self.objectives]
        first = f"{len(front)} of {counted(len(self.trials), 'completed trial')} are on the front of {joined(names)}"
        ends = [front.iloc[0], front.iloc[-1]] if len(front) > 1 else [front.iloc[0]]
        words = [f"{row['trial_id']} ({', '.join(number(row[o.metric], 4) for o in self.objectives)})" for row in ends]
        return f"{first}, from {' to '.join(words)}. Each point is one seed on validation data; none is confirmed here."


def compute_pareto(study: StudyFiles) -> Pareto | None:
    """Return the completed trials and the front; None with one objective or without a completed trial."""
    objectives = tuple(objectives_of(study))
    if len(objectives) < 2:
        return None
    rows = keeping(study.trials[study.trials["status"] == "completed"])
    # The size of a code is a setting, not a measurement.
    columns = {name: f"config.{name}" if name == "latent_size" else name for name in (one.metric for one in objectives)}
    table = pd.DataFrame({name: numbers(rows, column) for name, column in columns.items()})
    table.insert(0, "architecture", rows.get("config.architecture", pd.Series("", index=rows.index)))
    table.insert(0, "trial_id", rows["trial_id"])
    table = table.dropna(subset=[objective.metric for objective in objectives]).reset_index(drop=True)
    if table.empty:
        return None
    costs = np.column_stack([objective.sign * table[objective.metric] for objective in objectives])
    return Pareto(table.assign(front=on_front(costs.tolist())), objectives)


def plot_pareto(data: Pareto) -> Figure:
    """Draw the first objective against each other one, the front joined by a line where there are two."""
    first, *others = data.objectives
    drawn, axes = style.figure(0.7 + 3.2 * len(others), len(others))
    front, rest = data.trials[data.trials["front"]], data.trials[~data.trials["front"]]
    for axis, other in zip(axes, others, strict=True):
        axis.scatter(rest[other.metric], rest[first.metric], 34, style.PALE, linewidths=0, label="dominated")
        if len(others) == 1:
            line = front.sort_values(other.metric, kind="stable")
            axis.plot(line[other.metric], line[first.metric], color=style.COLOURS[0], drawstyle="steps-post")
        axis.scatter(front[other.metric], front[first.metric], 50, style.COLOURS[0], zorder=3, label="on the front")
        axis.set_xlabel(metrics.label(other.metric))
        axis.set_ylabel(metrics.label(first.metric))
        for which, name in (("x", other.metric), ("y", first.metric)):
            if style.spans_decades(data.trials[name]):
                style.log_axis(axis, which)
    style.legend_below(drawn, axes[0])
    return drawn


DRAWINGS = (Drawing("pareto", "pareto", "Pareto front", compute_pareto, plot_pareto),)
