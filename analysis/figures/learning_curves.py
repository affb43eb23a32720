"""Training and validation by epoch: the best trials in colour, the others pale."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import permutations
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from analysis.figures import Drawing, style
from analysis.study_files import StudyFiles
from analysis.trials import confirmed_order, ended_trials, numbers, objective_of
from study.record import metrics
from study.record.words import counted, number

_HIGHLIGHTED = 3
_HIGHLIGHTED_CONFIGS = 6  # where there is no search, the curves are of the configs themselves
_PANELS = {
    "mse": ("mse",),
    "nelbo": ("nelbo", "reconstruction", "kl"),
    "accuracy": ("accuracy", "cross_entropy", "loss"),  # a loss of its own under a double softmax alone
}
_LOG_RATIO = 10.0


@dataclass(frozen=True, eq=False)
class LearningCurves:
    """Every run's metrics by epoch.

    Attributes:
        curves: a row per run and epoch: stage ("first" or "main"), run_id, name (what it is a run of), epoch,
            highlighted, and train_ and val_ columns.
        panels: (stage, metric without its split), in the order of the panels.
        runs, of: how many runs with an epoch, and of what ("trial" or "confirmation run").
        metric, mode: the objective.
        continued: (shorter, longer, epoch): of two configs alike but for their epochs, whose curves are the same to the
            end of the shorter one, which the longer one goes on from.
    """

    curves: pd.DataFrame
    panels: tuple[tuple[str, str], ...]
    runs: int
    of: str
    metric: str
    mode: str
    continued: tuple[tuple[str, str, int], ...] = ()

    def table(self) -> pd.DataFrame:
        """Return a row per run and epoch."""
        return self.curves

    @property
    def caption(self) -> str:
        """What is seen, with its numbers."""
        main = self.curves[(self.curves["stage"] == "main") & self.curves["highlighted"]]
        name = main["name"].iloc[0] if len(main) else ""
        best = main[main["name"] == name].dropna(subset=[self.metric]) if self.metric in main else main[:0]
        if len(best):
            value = best[self.metric].min() if self.mode == "min" else best[self.metric].max()
            epoch = best.loc[best[self.metric] == value, "epoch"].iloc[0]
            first = f"{name} has its best {metrics.label(self.metric)}, {number(value, 4)}, after epoch {epoch:.0f} of "
            first += f"{best['epoch'].max():.0f}; {counted(self.runs, self.of)} with an epoch."
        else:
            first = f"{counted(self.runs, self.of)} with an epoch."
        worse = ", so they can look worse than the validation values" if _is_validated(self.curves) else ""
        for shorter, longer, epoch in self.continued:
            first += f" {longer} goes on where {shorter} ends, after epoch {epoch}: up to there they are the same."
        return (
            f"{first} Training values are taken in the course of an epoch, with dropout and what else training adds"
            f"{worse}."
        )


def compute_learning_curves(study: StudyFiles) -> LearningCurves | None:
    """Return the curves of all trials or, without a search, of the confirmation runs; None where no epoch has ended."""
    objective = objective_of(study)
    ended = ended_trials(study)
    searched = not study.history.empty
    epochs = study.history if searched else study.confirm_history
    main = epochs.rename(columns={"trial_id": "run_id", "confirm_id": "run_id"})
    if main.empty:
        return None
    first = study.pretraining[study.pretraining["run_id"].isin(main["run_id"])]
    if searched:
        best = list(ended["trial_id"].head(_HIGHLIGHTED))
        architectures = study.trials.set_index("trial_id").get("config.architecture", pd.Series(dtype=object))
        names = {run: f"{run} {architectures.get(run, '')}".strip() for run in main["run_id"].unique()}
    else:
        running = study.confirm.loc[study.confirm["status"] == "running", "confirm_of"]
        best = list(dict.fromkeys([*confirmed_order(study), *running]))[:_HIGHLIGHTED_CONFIGS]
        of = study.confirm.set_index("confirm_id")["confirm_of"]
        names = {run: str(of.get(run, run)) for run in main["run_id"].unique()}
    curves = pd.concat([first.assign(stage="first"), main.assign(stage="main")], ignore_index=True)
    curves["name"] = curves["run_id"].map(names)
    curves["highlighted"] = curves["run_id" if searched else "name"].isin(best)
    order = {name: i for i, name in enumerate(best)}
    place = curves["run_id" if searched else "name"].map(order).fillna(len(order))
    curves = curves.assign(place=place).sort_values(["place", "stage", "run_id", "epoch"], kind="stable")
    columns = [str(name) for name in curves]
    measured = [name for name in columns if name.startswith(("train_", "val_")) and not name.endswith("seconds")]
    curves = curves[["stage", "run_id", "name", "epoch", "highlighted", *measured]]
    for name in measured:
        curves[name] = numbers(curves, name)
    panels = _panels(curves, objective.metric.removeprefix("val_"))
    if not panels:
        return None
    of_what = "trial" if searched else "confirmation run"
    runs = curves.loc[curves["stage"] == "main", "run_id"].nunique()
    curves = curves.reset_index(drop=True)
    continued = () if searched else _continued(study, curves)
    return LearningCurves(curves, panels, runs, of_what, objective.metric, objective.mode, continued)


def _continued(study: StudyFiles, curves: pd.DataFrame) -> tuple[tuple[str, str, int], ...]:
    """Find configs alike but for their epochs, of which the longer is the shorter one trained on.

    A network depends on its config and seed alone, where the learning rate is constant. Said is only what the curves
    of both show, seed by seed, to the last digit: a GPU need not repeat itself.
    """
    settings = [name for name in study.confirm if str(name).startswith("config.")]
    configs = study.confirm.drop_duplicates("confirm_of").set_index("confirm_of")[settings].astype(str)
    config_of = dict(zip(map(str, configs.index), configs.to_numpy().tolist(), strict=True))
    seeds = study.confirm.set_index("confirm_id")["seed"]
    main = curves[curves["stage"] == "main"]
    main = main.assign(seed=main["run_id"].map(seeds)).set_index(["seed", "epoch"])
    numbers_of = {str(name): rows for name, rows in main.groupby("name", sort=False)}
    found = []
    for (shorter, first), (longer, second) in permutations(numbers_of.items(), 2):
        alike = shorter in config_of and config_of[shorter] == config_of.get(longer)
        ends = [int(rows.index.get_level_values("epoch").max()) for rows in (first, second)]
        if alike and ends[0] < ends[1] and first.index.isin(second.index).all():
            columns = [name for name in first if str(name).startswith(("train_", "val_"))]
            if first[columns].equals(second.loc[first.index, columns]):
                found.append((shorter, longer, ends[0]))
    return tuple(found)


def _panels(curves: pd.DataFrame, metric: str) -> tuple[tuple[str, str], ...]:
    wanted = [("main", name) for name in _PANELS.get(metric, (metric,))]
    wanted.insert(0, ("first", "mse"))
    return tuple(
        (stage, name)
        for stage, name in wanted
        for split in ["val" if _is_validated(curves) else "train"]
        if f"{split}_{name}" in curves and curves.loc[curves["stage"] == stage, f"{split}_{name}"].notna().any()
    )


def _is_validated(curves: pd.DataFrame) -> bool:
    """Whether there were validation images; without any, training curves are all that there is."""
    return any(str(name).startswith("val_") for name in curves)


def plot_learning_curves(data: LearningCurves) -> Figure:
    """Draw a panel per metric: validation as lines, training of the highlighted runs dashed."""
    drawn, axes = style.figure(0.9 + 2.3 * len(data.panels), len(data.panels))
    named = data.curves[data.curves["highlighted"]]["name"].drop_duplicates()
    colours = dict(zip(named, style.COLOURS, strict=False))
    for axis, (stage, metric) in zip(axes, data.panels, strict=True):
        rows = data.curves[data.curves["stage"] == stage]
        _draw(axis, rows[~rows["highlighted"]], metric, colours)
        _draw(axis, rows[rows["highlighted"]], metric, colours)
        axis.set_ylabel(metrics.label(metric).replace(" (", "\n("))
        axis.set_xlabel("epoch of the first stage" if stage == "first" else "epoch")
        for _, _, epoch in data.continued if stage == "main" else ():
            axis.axvline(epoch, color=style.INK, linewidth=1, linestyle=":")
        _window(axis, rows, metric)
    last = axes[-1]
    for name, colour in colours.items():
        last.plot([], [], color=colour, linewidth=2, label=name)
    if _is_validated(data.curves):
        last.plot([], [], color=style.INK, linestyle="--", label="training")
    if not data.curves["highlighted"].all():
        last.plot([], [], color=style.PALE, label="others")
    style.legend_below(drawn, last)
    return drawn


def _draw(axis: Axes, rows: pd.DataFrame, metric: str, colours: dict[str, str]) -> None:
    solid, dashed = f"val_{metric}", f"train_{metric}"
    if solid not in rows:
        solid = dashed
    for colour, runs in rows.groupby(rows["name"].map(colours).fillna(style.PALE), sort=False):
        if not runs["highlighted"].iloc[0]:
            look: dict[str, Any] = {"linewidth": 0.9, "zorder": 2, "size": 3}
        else:
            look = {"linewidth": 2, "zorder": 3, "size": 5}
            if solid != dashed in runs:
                thin = {"linewidth": 1.2, "linestyle": "--", "zorder": 3}
                style.lines(axis, runs, "run_id", "epoch", dashed, color=colour, marker="x", size=4, **thin)
        style.lines(axis, runs, "run_id", "epoch", solid, color=colour, marker="o", **look)


def _window(axis: Axes, rows: pd.DataFrame, metric: str) -> None:
    """Leave out what lies far beyond the others, such as a diverged run; logarithmic where values span decades."""
    shown = [rows[f"val_{metric}"]] if f"val_{metric}" in rows else []
    if f"train_{metric}" in rows:
        shown.append(rows.loc[rows["highlighted"], f"train_{metric}"])
    values = pd.concat(shown).dropna()
    low, high = values.min(), values.quantile(0.98) if len(values) > 50 else values.max()
    style.whole_ticks(axis, "x")
    if low > 0 and high / low > _LOG_RATIO and metric != "accuracy":
        axis.set_ylim(low / 1.15, high * 1.15)
        style.log_axis(axis, "y")
    elif np.isfinite([low, high]).all() and high > low:
        room = 0.06 * (high - low)
        axis.set_ylim(low - room, high + room)


DRAWINGS = (
    Drawing(
        "learning-curves",
        "learning_curves",
        "Training and validation by epoch",
        compute_learning_curves,
        plot_learning_curves,
    ),
)
