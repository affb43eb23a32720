"""How the search went: the best value so far, by trial and by time."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from analysis.figures import Drawing, style
from analysis.study_files import StudyFiles
from analysis.trials import Objective, compute_leaderboard, keeping, numbers, objective_of
from study.record import metrics
from study.record.words import counted, duration, number

_LEAST_TRIALS = 2
_UNITS = ((7200.0, 3600.0, "hours"), (180.0, 60.0, "minutes"), (0.0, 1.0, "seconds"))
_OUTLIER = 20.0  # times the spread of the better half, beyond which a value is left out of the picture


@dataclass(frozen=True, eq=False)
class BestSoFar:
    """Ended trials in the order of their ends.

    Attributes:
        trials: a row per trial that ended: trial_id, status, value (the objective after its last epoch), best (of all
            up to it), trial (how many had ended, from 1) and ended_s, seconds of the study, missing where it is not
            known.
        objective: the metric and its direction.
        pca: PCA's value at the size of the best trial's code, None where there is none.
    """

    trials: pd.DataFrame
    objective: Objective
    pca: float | None

    def table(self) -> pd.DataFrame:
        """Return a row per trial."""
        return self.trials

    @property
    def improvements(self) -> pd.DataFrame:
        """The trials that were better than all before them."""
        return self.trials[self.trials["best"].notna() & self.trials["best"].diff().ne(0)]

    @property
    def caption(self) -> str:
        """What is seen, with its numbers."""
        last = self.improvements.iloc[-1]
        when = "" if pd.isna(last["ended_s"]) else f", {duration(last['ended_s'])} after the study began"
        moves = "falls" if self.objective.mode == "min" else "rises"
        return (
            f"The best {metrics.label(self.objective.metric)} so far, {number(last['best'], 4)}, came with the "
            f"{_ordinal(int(last['trial']))} of {counted(len(self.trials), 'ended trial')} ({last['trial_id']}{when}). "
            f"A line that still {moves} at its end asks for more trials; one that has long been flat does not."
        )


def _ordinal(count: int) -> str:
    ending = "th" if count % 100 in (11, 12, 13) else {1: "st", 2: "nd", 3: "rd"}.get(count % 10, "th")
    return f"{count:,}{ending}"


def compute_best_so_far(study: StudyFiles) -> BestSoFar | None:
    """Return the ended trials in order; None where fewer than two have the objective, or none keeps the constraints."""
    objective = objective_of(study)
    trials = study.trials[study.trials["status"].isin(["completed", "stopped", "failed"])]
    table = pd.DataFrame(
        {
            "trial_id": trials["trial_id"],
            "status": trials["status"],
            "value": numbers(trials, objective.metric).where(trials["status"] != "failed"),
            "ended_s": numbers(trials, "ended_s"),
        }
    )
    table = table.sort_values("ended_s", kind="stable", ignore_index=True)
    ranked = table["value"].where(table["trial_id"].isin(keeping(trials)["trial_id"]))
    if table["value"].notna().sum() < _LEAST_TRIALS or ranked.isna().all():
        return None
    best = ranked.cummin() if objective.mode == "min" else ranked.cummax()
    table = table.assign(best=best.ffill(), trial=np.arange(1, len(table) + 1))
    board = compute_leaderboard(study, top=1)
    pca = board["pca"].iloc[0] if "pca" in board and len(board) else np.nan
    return BestSoFar(table, objective, None if pd.isna(pca) else float(pca))


def plot_best_so_far(data: BestSoFar) -> Figure:
    """Draw the trials and the best so far as steps, over the trials and, where it is known, over the time."""
    unit, name = _unit(data.trials["ended_s"])
    panels: list[tuple[pd.Series, str]] = [(data.trials["trial"], "ended trials")]
    if data.trials["ended_s"].notna().all():
        panels.append((data.trials["ended_s"] / unit, f"{name} since the study began"))
    drawn, axes = style.figure(0.9 + 2.2 * len(panels), len(panels), sharey=True)
    for axis, (along, words) in zip(axes, panels, strict=True):
        for status, colour in (("completed", style.COLOURS[0]), ("stopped", style.COLOURS[5])):
            rows = data.trials["status"] == status
            if rows.any():
                axis.scatter(along[rows], data.trials.loc[rows, "value"], 26, colour, alpha=0.75, label=status)
        axis.step(along, data.trials["best"], where="post", color=style.INK, linewidth=1.8, label="best so far")
        if data.pca is not None:
            axis.axhline(
                data.pca, color=style.COLOURS[1], linestyle="--", linewidth=1.2, label="PCA at the best's size"
            )
        axis.set_xlim(left=0)
        axis.set_xlabel(words)
        axis.set_ylabel(metrics.label(data.objective.metric).replace(" (", "\n("))
    style.whole_ticks(axes[0], "x")
    shown = _shown(data)
    if style.spans_decades(shown):
        axes[0].set_ylim(shown.min() / 1.15, shown.max() * 1.15)
        style.log_axis(axes[0], "y")
    elif shown.max() > shown.min():
        room = 0.06 * (shown.max() - shown.min())
        axes[0].set_ylim(shown.min() - room, shown.max() + room)
    style.legend_below(drawn, axes[0], columns=4)
    return drawn


def _unit(seconds: pd.Series) -> tuple[float, str]:
    most = seconds.max()
    return next(((unit, name) for least, unit, name in _UNITS if most >= least), (1.0, "seconds"))


def _shown(data: BestSoFar) -> pd.Series:
    """Return the values that the picture has room for: without those of diverged trials."""
    values = data.trials["value"].dropna()
    far = (values - values.median()).abs()
    kept = values[far <= _OUTLIER * max(far.median(), 1e-12)]
    shown: pd.Series = pd.concat([kept, pd.Series([] if data.pca is None else [data.pca], dtype=float)])
    return shown


DRAWINGS = (Drawing("search", "best_so_far", "The best so far", compute_best_so_far, plot_best_so_far),)
