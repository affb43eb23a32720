"""What trials cost, in seconds, epochs and parameters, against how good they were; what stopping saved."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd
from matplotlib.figure import Figure

from analysis.figures import Drawing, Drawings, style
from analysis.study_files import StudyFiles
from analysis.trials import ended_trials, is_cut_off, numbers, ranked_words
from study.record import metrics
from study.record.words import counted, joined, number

_COSTS = ("seconds", "epochs", "params")


@dataclass(frozen=True, eq=False)
class Cost:
    """Ranked trials with their costs.

    Attributes:
        trials: a row per ranked trial, best first: trial_id, status, architecture, seconds (of all its epochs), epochs,
            params, value.
        metric: the objective.
        timed: what seconds are of, in a sentence.
    """

    trials: pd.DataFrame
    metric: str
    timed: str

    def table(self) -> pd.DataFrame:
        """Return a row per trial."""
        return self.trials

    @property
    def caption(self) -> str:
        """What is seen, with its numbers."""
        best, total = self.trials.iloc[0], self.trials["seconds"].sum()
        text = (
            f"{ranked_words(len(self.trials))} took {number(total)} s of training. The best, {best['trial_id']}, took "
            f"{number(best['seconds'])} s for {counted(int(best['epochs']), 'epoch')} with "
            f"{counted(int(best['params']), 'parameter')}"
        )
        smaller = self.trials[self.trials["params"] <= best["params"] / 10]
        if len(smaller):
            near = smaller.iloc[0]
            text += (
                f"; the best with a tenth of these parameters, {near['trial_id']}, has {number(near['value'], 4)} "
                f"instead of {number(best['value'], 4)}"
            )
        return f"{text}. {self.timed}"


def compute_cost(study: StudyFiles) -> Cost | None:
    """Return the costs of the trials that were completed or stopped with a value; None where none was."""
    ended = ended_trials(study)
    if ended.empty:
        return None
    table = ended[["trial_id", "status"]].assign(
        architecture=ended.get("config.architecture", pd.Series("", index=ended.index)),
        **{name: numbers(ended, name).fillna(0) for name in _COSTS},
        value=ended["value"],
    )
    return Cost(table, study.metric, _timed(study, len(study.trials), "trial"))


def _timed(study: StudyFiles, runs: int, of: str) -> str:
    """Return what the seconds of a study's runs are of, in a sentence."""
    alone = runs < 2 or study.settings.get("max_concurrent") == 1
    return f"Seconds are of this machine{'' if alone else f', on which other {of}s could run beside'}."


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
        if style.spans_decades(costs):
            style.log_axis(axis, "x")
        elif name == "epochs":
            style.whole_ticks(axis, "x")
        axis.set_xlabel(metrics.label(name))
    if style.spans_decades(values):
        style.log_axis(axes[0], "y")
    drawn.supylabel(metrics.label(data.metric), fontsize=10, color=style.INK)
    for architecture, (colour, marker) in marks.items():
        axes[0].scatter([], [], 44, colour, marker=marker, label=architecture)
    if (data.trials["status"] != "completed").any():
        axes[0].scatter([], [], 44, facecolors="none", edgecolors=style.INK, label="hollow: stopped")
    style.legend_below(drawn, axes[0])
    return drawn


_CUT_OFF = "cut off"
_STATUSES = ("completed", "stopped", _CUT_OFF, "failed")


@dataclass(frozen=True, eq=False)
class Stopping:
    """Epochs by trial.

    Attributes:
        trials: a row per ended trial: trial_id, number, status, epochs (of the last stage). "stopped" is by the
            scheduler, "cut off" by the end of the search.
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
        """Epochs that the trials that the scheduler stopped would have run to the end of the budget."""
        stopped = self.trials[self.trials["status"] == "stopped"]
        return int((self.budget - stopped["epochs"]).clip(lower=0).sum())

    @property
    def caption(self) -> str:
        """What is seen, with its numbers."""
        counts = self.trials["status"].value_counts()
        words = joined([f"{counts[status]} {status}" for status in _STATUSES if counts.get(status)])
        first = f"{counted(len(self.trials), 'ended trial')} ({words}) ran {counted(self.run, 'epoch')}."
        if cut := counts.get(_CUT_OFF, 0):
            first += f" The end of the search cut {counted(int(cut), 'trial')} off: that saved nothing."
        if not self.saved:
            return f"{first} {'The scheduler stopped none' if cut else 'None was stopped early'}."
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
    status = trials["status"].mask(is_cut_off(trials), _CUT_OFF)
    rows = trials[["trial_id", "number"]].assign(status=status, epochs=epochs).sort_values("number", kind="stable")
    settings = study.settings
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
            style.bars(axis, rows["number"], rows["epochs"], width, facecolors=colour, label=label)
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


@dataclass(frozen=True, eq=False)
class EpochSeconds:
    """How long each epoch took.

    Attributes:
        epochs: a row per run and epoch of the last stage: run_id, name (of the config that was confirmed, or a trial's
            architecture), epoch, seconds (of training and validation).
        of: what a run is, "trial" or "confirmation run".
        timed: what seconds are of, in a sentence.
    """

    epochs: pd.DataFrame
    of: str
    timed: str

    def table(self) -> pd.DataFrame:
        """Return a row per run and epoch."""
        return self.epochs

    @property
    def caption(self) -> str:
        """What is seen, with its numbers."""
        medians = self.epochs.groupby("name", sort=False)["seconds"].median().sort_values()
        least, most = medians.index[0], medians.index[-1]
        text = f"An epoch takes {number(medians.iloc[0])} s of {least}"
        if len(medians) > 1:
            text += f" and {number(medians.iloc[-1])} s of {most}"
        runs = self.epochs["run_id"].nunique()
        return f"{text} (medians; {counted(runs, self.of)} with an epoch). {self.timed}"


def compute_epoch_seconds(study: StudyFiles) -> EpochSeconds | None:
    """Return the seconds of the trials' epochs or, without a search, of the confirmation runs'; None without any."""
    searched = not study.history.empty
    table = study.history if searched else study.confirm_history
    runs = (study.trials if searched else study.confirm).set_index("trial_id" if searched else "confirm_id")
    names = runs.get("config.architecture" if searched else "confirm_of", pd.Series(dtype=object))
    rows = table.rename(columns={"trial_id": "run_id", "confirm_id": "run_id"})
    if rows.empty:
        return None
    rows = rows.assign(name=rows["run_id"].map(names).fillna(""), seconds=numbers(rows, "seconds"))
    rows = rows.loc[rows["seconds"].notna(), ["run_id", "name", "epoch", "seconds"]].reset_index(drop=True)
    if rows.empty:
        return None
    of = "trial" if searched else "confirmation run"
    return EpochSeconds(rows, of, _timed(study, len(runs), of))


def plot_epoch_seconds(data: EpochSeconds) -> Figure:
    """Draw the seconds of each run's epochs as a line."""
    drawn, (axis,) = style.figure(3.4)
    marks = style.marks(data.epochs["name"])
    for name, rows in data.epochs.groupby("name", sort=False):
        colour, marker = marks[str(name)]
        style.lines(axis, rows, "run_id", "epoch", "seconds", color=colour, linewidth=1, marker=marker)
    for name, (colour, _) in marks.items():
        axis.plot([], [], color=colour, linewidth=2, label=name)
    if style.spans_decades(data.epochs["seconds"]):
        style.log_axis(axis, "y")
    style.whole_ticks(axis, "x")
    axis.set_xlabel("epoch")
    axis.set_ylabel("seconds of an epoch")
    style.legend_below(drawn, axis)
    return drawn


DRAWINGS: Drawings = (
    Drawing("stopping", "stopping", "Where trials were stopped", compute_stopping, plot_stopping),
    Drawing("cost", "cost", "What quality cost", compute_cost, plot_cost),
    Drawing("cost", "epoch_seconds", "Seconds of each epoch", compute_epoch_seconds, plot_epoch_seconds),
)
