"""How many epochs each trial was given, and what stopping the bad ones early saved."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd
from matplotlib.figure import Figure

from analysis.figures import style
from analysis.figures._trials import numbers
from analysis.figures.labels import counted, joined
from analysis.study_files import StudyFiles

_STATUSES = ("completed", "stopped", "failed")


@dataclass(frozen=True, eq=False)
class Stopping:
    """Epochs by trial.

    Attributes:
        trials: a row per ended trial: trial_id, number, status, epochs (of the last stage).
        budget: the most epochs that a trial could have.
        scheduler: what stopped trials.
    """

    trials: pd.DataFrame
    budget: int
    scheduler: str

    def table(self) -> pd.DataFrame:
        """Return a row per trial."""
        return self.trials

    @property
    def run(self) -> int:
        """Epochs that were run."""
        return int(self.trials["epochs"].sum())

    @property
    def saved(self) -> int:
        """Epochs that stopped trials would have run to the end of the budget."""
        stopped = self.trials[self.trials["status"] == "stopped"]
        return int((self.budget - stopped["epochs"]).clip(lower=0).sum())

    @property
    def caption(self) -> str:
        """What is seen, with its numbers."""
        counts = self.trials["status"].value_counts()
        words = joined([f"{counts[status]} {status}" for status in _STATUSES if counts.get(status)])
        first = f"{counted(len(self.trials), 'ended trial')} ({words}) ran {counted(self.run, 'epoch')}."
        if not self.saved:
            return f"{first} None was stopped early."
        share = self.saved / (self.run + self.saved)
        return (
            f"{first} The {self.scheduler} scheduler saved {counted(self.saved, 'epoch')}, {share:.0%} of what the "
            "same trials would have run to their end; whether a stopped one would have become the best is not known."
        )


def compute_stopping(study: StudyFiles) -> Stopping | None:
    """Return the epochs of every ended trial; None where none has ended.

    The budget is the most epochs that a completed trial had or, without one, what the study was asked for.
    """
    trials = study.trials[study.trials["status"].isin(_STATUSES)]
    if trials.empty:
        return None
    epochs = numbers(trials, "epochs").fillna(0).astype(int)
    rows = trials[["trial_id", "number", "status"]].assign(epochs=epochs).sort_values("number", kind="stable")
    settings = study.about.get("settings", {})
    completed = rows.loc[rows["status"] == "completed", "epochs"]
    budget = completed.max() if len(completed) else max(int(settings.get("epochs") or 0), int(epochs.max()))
    return Stopping(rows.reset_index(drop=True), int(budget), str(settings.get("scheduler") or "study's"))


def plot_stopping(data: Stopping) -> Figure:
    """Draw a bar of epochs per trial, coloured by how it ended."""
    drawn, (axis,) = style.figure(3.4)
    width = 0.9 if len(data.trials) < 100 else 1.0
    for status in _STATUSES:
        rows = data.trials[data.trials["status"] == status]
        if len(rows):
            colour = style.STATUS_COLOURS[status]
            label = f"{status} ({len(rows)})"
            axis.bar(rows["number"], rows["epochs"], width, color=colour, label=label)
            none = rows[rows["epochs"] == 0]
            axis.scatter(none["number"], none["epochs"], 30, colour, marker="x", clip_on=False, zorder=4)
    axis.axhline(data.budget, color=style.INK, linewidth=1, linestyle="--")
    axis.set_ylim(0, max(data.budget, int(data.trials["epochs"].max()), 1) * 1.05)
    axis.grid(visible=False, axis="x")
    style.whole_ticks(axis, "x")
    style.whole_ticks(axis, "y")
    axis.set_xlabel("trial, in order of start")
    axis.set_ylabel("epochs")
    style.legend_below(drawn, axis)
    return drawn
