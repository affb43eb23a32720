"""What earned the gain: the steps of an ablation from the default to the winner, with their intervals."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from analysis.figures import Drawing, style
from analysis.study_files import StudyFiles
from analysis.trials import numbers, objective_of
from analysis.words import parameter_label
from study.record import metrics
from study.record.ablation import AND, flattery_sentence, sentences

_SHOWN = 20
_LABEL = 30  # letters of a step's change; the table has all


@dataclass(frozen=True, eq=False)
class Ablation:
    """The steps of an ablation.

    Attributes:
        rows: as ablation.csv has them: a row per step in order, and the last one of the whole way.
        metric: the objective, of validation data; gains are of it, and more is better.
        flattered: by how much the search's own value flattered the winner, in a sentence; "" where that is not known.
    """

    rows: pd.DataFrame
    metric: str
    flattered: str

    def table(self) -> pd.DataFrame:
        """Return a row per step, and one of the whole way."""
        return self.rows

    @property
    def caption(self) -> str:
        """What is seen, with its numbers."""
        said = sentences(_records(self.rows), self.metric)
        seen = (
            "Filled: told from noise after the correction. Square: the gain of the same change from the default alone."
        )
        return " ".join(filter(None, (*said, self.flattered, seen)))


def _records(rows: pd.DataFrame) -> list[dict[str, Any]]:
    known = rows.astype(object).where(rows.notna(), None)
    return [{str(name): value for name, value in row.items()} for row in known.to_dict("records")]


def compute_ablation(study: StudyFiles) -> Ablation | None:
    """Return the steps to the study's winner; None without an ablation, or of one to an earlier winner."""
    best = (study.summary or {}).get("best")
    if study.ablation.empty or not best or study.ablation["after"].iloc[-1] != best["trial_id"]:
        return None
    return Ablation(study.ablation, study.metric, _flattered(study, str(best["trial_id"])))


def _flattered(study: StudyFiles, winner: str) -> str:
    objective = objective_of(study)
    trial = study.trials[(study.trials["trial_id"] == winner) & (study.trials["status"] == "completed")]
    found = numbers(trial, objective.metric).dropna()
    runs = study.confirm.assign(value=numbers(study.confirm, objective.metric))
    reported = runs["role"] == "report" if "role" in runs else np.zeros(len(runs), dtype=bool)
    fresh = runs[(runs["confirm_of"] == winner) & (runs["status"] == "completed") & reported & runs["value"].notna()]
    if found.empty or fresh.empty:
        return ""
    by_seed = {int(seed): float(value) for seed, value in zip(fresh["seed"], fresh["value"], strict=True)}
    return flattery_sentence(objective.metric, winner, float(found.iloc[0]), by_seed)


def plot_ablation(data: Ablation) -> Figure:
    """Draw each step's gain with its interval, the first one on top and the whole way below, and the gain alone."""
    rows = pd.concat([data.rows.iloc[:-1].head(_SHOWN), data.rows.iloc[-1:]], ignore_index=True)
    drawn, (axis,) = style.figure(1.2 + 0.5 * len(rows))
    places = np.arange(len(rows))
    axis.axvline(0, color=style.EDGE, linewidth=1)
    colours = [style.COLOURS[0]] * (len(rows) - 1) + [style.INK]
    axis.hlines(places, rows["gain_low"], rows["gain_high"], colors=colours, linewidth=2, label="95 % interval")
    told = rows["told_apart"].astype(bool).to_numpy()
    for is_told, name in ((True, "gain, told from noise"), (False, "gain, not told from noise")):
        these = np.flatnonzero(told == is_told)
        edges = [colours[place] for place in these]
        face = edges if is_told else style.PAPER
        if len(these):
            axis.scatter(rows["gain"].iloc[these], places[these], 52, face, edgecolors=edges, zorder=3, label=name)
    if rows["alone"].notna().any():
        axis.scatter(
            rows["alone"], places + 0.24, 26, style.COLOURS[1], marker="s", zorder=2, label="from the default alone"
        )
    axis.set_yticks(places, [_label(row) for row in _records(rows)])
    axis.invert_yaxis()
    axis.grid(visible=False, axis="y")
    axis.set_xlabel(f"gain in {metrics.label(data.metric)}, more is better")
    style.legend_below(drawn, axis, columns=2)
    return drawn


def _label(row: dict[str, Any]) -> str:
    """Return a step's number and what it changes, in two lines that are not too long."""
    names = str(row["parameter"]).split(AND)
    name = parameter_label(names[0]) if len(names) == 1 else f"{len(names)} parameters together"
    step = "" if row["step"] is None else f"{row['step']:.0f}. "
    change = str(row["change"])
    shown = change if len(change) <= _LABEL else f"{change[: _LABEL - 1]}…"
    return style.as_text(f"{step}{name}\n{shown}")


DRAWINGS = (Drawing("ablation", "ablation", "From the default to the winner", compute_ablation, plot_ablation),)
