"""What trials cost, in seconds, epochs and parameters, against how good they were."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd
from matplotlib.figure import Figure

from analysis.figures import style
from analysis.figures._trials import ended_trials, numbers, objective_of
from analysis.figures.labels import counted, metric_label, number
from analysis.study_files import StudyFiles

_COSTS = ("seconds", "epochs", "params")
_LOG_RATIO = 10.0


@dataclass(frozen=True, eq=False)
class Cost:
    """Ended trials with their costs.

    Attributes:
        trials: a row per ended trial, best first: trial_id, status, architecture, seconds (of all its epochs), epochs,
            params, value.
        metric: the objective.
    """

    trials: pd.DataFrame
    metric: str

    def table(self) -> pd.DataFrame:
        """Return a row per trial."""
        return self.trials

    @property
    def caption(self) -> str:
        """What is seen, with its numbers."""
        best, total = self.trials.iloc[0], self.trials["seconds"].sum()
        text = (
            f"{counted(len(self.trials), 'ended trial')} took {number(total)} s of training in all. The best, "
            f"{best['trial_id']}, took {number(best['seconds'])} s for {counted(int(best['epochs']), 'epoch')} with "
            f"{counted(int(best['params']), 'parameter')}"
        )
        smaller = self.trials[self.trials["params"] <= best["params"] / 10]
        if len(smaller):
            near = smaller.iloc[0]
            text += (
                f"; the best with a tenth of these parameters, {near['trial_id']}, has {number(near['value'], 4)} "
                f"instead of {number(best['value'], 4)}"
            )
        return f"{text}. Seconds are of this machine, while other trials ran beside."


def compute_cost(study: StudyFiles) -> Cost | None:
    """Return the ended trials' costs; None where no trial has ended with a value."""
    ended = ended_trials(study)
    if ended.empty:
        return None
    table = ended[["trial_id", "status"]].assign(
        architecture=ended.get("config.architecture", pd.Series("", index=ended.index)),
        **{name: numbers(ended, name).fillna(0) for name in _COSTS},
        value=ended["value"],
    )
    return Cost(table, objective_of(study).metric)


def plot_cost(data: Cost) -> Figure:
    """Draw the objective against seconds, epochs and parameters, stopped trials hollow."""
    drawn, axes = style.figure(7.0, len(_COSTS), sharey=True)
    values = data.trials["value"]
    marks = style.marks(data.trials["architecture"])
    for axis, name in zip(axes, _COSTS, strict=True):
        for (architecture, status), rows in data.trials.groupby(["architecture", "status"], sort=False):
            colour, marker = marks[str(architecture)]
            axis.scatter(
                rows[name],
                rows["value"],
                44 if len(data.trials) < 150 else 18,
                marker=marker,
                facecolors=colour if status == "completed" else "none",
                edgecolors=colour,
                alpha=0.8,
            )
        costs = data.trials[name]
        if costs.min() > 0 and costs.max() / costs.min() > _LOG_RATIO:
            style.log_axis(axis, "x")
        elif name == "epochs":
            style.whole_ticks(axis, "x")
        axis.set_xlabel(metric_label(name))
    if values.min() > 0 and values.max() / values.min() > _LOG_RATIO:
        style.log_axis(axes[0], "y")
    drawn.supylabel(metric_label(data.metric), fontsize=10, color=style.INK)
    for architecture, (colour, marker) in marks.items():
        axes[0].scatter([], [], 44, colour, marker=marker, label=architecture)
    if (data.trials["status"] != "completed").any():
        axes[0].scatter([], [], 44, facecolors="none", edgecolors=style.INK, label="hollow: stopped")
    style.legend_below(drawn, axes[0])
    return drawn
