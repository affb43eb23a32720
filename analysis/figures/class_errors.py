"""The test error of a study's first config class by class over its seeds, beside the baseline's."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from analysis.figures import Drawing, Drawings, style
from analysis.study_files import StudyFiles
from analysis.trials import columns_of, mean_of
from study.record import metrics
from study.record.words import counted, number

_SHOWN = 20  # classes in the picture
_LEAST_SEEDS, _LEAST_IMAGES = 2, 10  # for an interval; of a class


@dataclass(frozen=True, eq=False)
class ClassErrors:
    """Errors by class.

    Attributes:
        classes: a row per class with test images, the largest error first: name, images, mean (over the networks), low
            and high (95 % over seeds), baseline and over_baseline (the mean over it), NaN where there is none, and
            note: why a row says little, "" where it does not.
        metric: "mse", or "error_rate" of a classifier.
        seeds: how many networks there are, each of a seed of its own.
        components: of PCA, or of the regression on its codes.
        of: whose they are: "the winner" or, where nothing was chosen, "the first configuration".
    """

    classes: pd.DataFrame
    metric: str
    seeds: int
    components: int
    of: str

    def table(self) -> pd.DataFrame:
        """Return a row per class."""
        return self.classes

    @property
    def caption(self) -> str:
        """What is seen, with its numbers."""
        worst, best = self.classes.iloc[0], self.classes.iloc[-1]
        what = metrics.label(self.metric)
        least, most = (f"{number(row['mean'])} ({self._called(row)})" for row in (best, worst))
        said = f"{self.of.capitalize()}'s {what} goes from {least} to {most}, {self._means}. {self._beside}"
        hidden = len(self.classes) - _SHOWN
        if hidden > 0:
            said += f" The picture has the {_SHOWN} classes with the largest errors; the table has all."
        return f"{said} Classes are not tested one by one: of many, some differ by luck.".replace("  ", " ")

    @property
    def _means(self) -> str:
        if self.seeds == 1:
            return "of one seed: too few for intervals"
        known = int(self.classes["low"].notna().sum())
        which = "each" if known == len(self.classes) else f"{known} of {len(self.classes)}"
        spread = f"{which} with a 95 % interval over seeds" if known else "no interval"
        return f"means of {self.seeds} seeds, {spread}"

    def _called(self, row: pd.Series[Any]) -> str:
        """Return a class's name, or how many there are with the same error."""
        alike = int((self.classes["mean"] == row["mean"]).sum())
        return str(row["name"]) if alike == 1 else f"{alike} classes"

    @property
    def baseline(self) -> str:
        """What stands beside it."""
        components = counted(self.components, "component")
        if self.metric == "error_rate":
            return f"the logistic regression on PCA codes of {components}"
        return f"PCA with {components}"

    @property
    def _beside(self) -> str:
        known = self.classes.dropna(subset=["baseline"])
        if known.empty:
            return ""
        lower, higher = int((known["mean"] < known["baseline"]).sum()), int((known["mean"] > known["baseline"]).sum())
        same = len(known) - lower - higher
        equal = f", the same in {same}" if same else ""
        of = f"{len(known)} classes" if len(known) > 1 else "1 class"
        return f"Of {of} the mean is lower than that of {self.baseline} in {lower}, higher in {higher}{equal}."


def compute_class_errors(study: StudyFiles) -> ClassErrors | None:
    """Return the errors by class of the first confirmed config; None where none were kept, or there is one class."""
    arrays = study.arrays("per_class")
    metric = "error_rate" if study.classifies else "mse"
    if arrays is None or not {"images", "components", metric} <= arrays.keys():
        return None
    images, errors = arrays["images"], arrays[metric]
    if np.count_nonzero(images) < 2:
        return None
    baseline = arrays.get(f"baseline_{metric}", np.full(len(images), np.nan))
    rows = [
        {
            "name": name,
            "images": int(images[place]),
            **columns_of(mean_of(errors[:, place], metric)),
            "baseline": float(baseline[place]),
            "note": _note(len(errors), int(images[place])),
        }
        for place, name in enumerate(study.class_names(len(images)))
        if images[place]
    ]
    table = pd.DataFrame(rows).sort_values("mean", ascending=False, kind="stable", ignore_index=True)
    beside = table["baseline"].where(table["baseline"] > metrics.PCA_ERROR_FLOOR)
    table.insert(len(table.columns) - 1, "over_baseline", table["mean"] / beside)
    winner = "the winner" if study.chooses else "the first configuration"
    return ClassErrors(table, metric, len(errors), int(arrays["components"]), winner)


def _note(seeds: int, images: int) -> str:
    few = [*["seeds"] * (seeds < _LEAST_SEEDS), *["images"] * (images < _LEAST_IMAGES)]
    return f"too few {' and '.join(few)}" if few else ""


def plot_class_errors(data: ClassErrors) -> Figure:
    """Draw a point with its interval per class, the largest error on top, and the baseline's as an open one."""
    rows = data.classes.head(_SHOWN)
    drawn, (axis,) = style.figure(1.2 + 0.27 * len(rows))
    places = np.arange(len(rows))
    axis.hlines(places, rows["low"], rows["high"], color=style.COLOURS[0], linewidth=2)
    axis.scatter(rows["mean"], places, 46, style.COLOURS[0], zorder=3, label=f"{data.of}, mean of its seeds")
    if rows["baseline"].notna().any():
        axis.scatter(
            rows["baseline"], places, 46, "none", edgecolors=style.COLOURS[1], linewidths=1.6, zorder=3,
            marker="D", label=data.baseline,
        )  # fmt: skip
    axis.set_yticks(places, rows["name"].map(style.as_text))
    axis.set_ylim(len(rows) - 0.5, -0.5)
    axis.set_xlim(left=-0.02 * axis.get_xlim()[1])
    axis.set_xlabel(f"test {metrics.label(data.metric)}")
    style.legend_below(drawn, axis, columns=1)
    return drawn


DRAWINGS: Drawings = (
    Drawing("confirmation", "class_errors", "Error by class", compute_class_errors, plot_class_errors),
)
