"""Accuracy of each class on test images, the worst first."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from scipy import stats

from analysis.figures import style
from analysis.figures._samples import class_names, read_arrays
from analysis.figures._trials import records
from analysis.figures.labels import counted
from analysis.study_files import StudyFiles

_SHOWN = 20


@dataclass(frozen=True, eq=False)
class ClassAccuracy:
    """A row per class with test images, the worst first: name, right, images, accuracy, low, high (95 %, Wilson)."""

    classes: pd.DataFrame

    def table(self) -> pd.DataFrame:
        """Return a row per class."""
        return self.classes

    @property
    def caption(self) -> str:
        """What is seen, with its numbers."""
        worst, best = self.classes.iloc[0], self.classes.iloc[-1]
        first = f"From {worst['accuracy']:.1%} ({worst['name']}) to {best['accuracy']:.1%} ({best['name']})"
        hidden = len(self.classes) - _SHOWN
        more = f"; the picture leaves out the best {counted(hidden, 'class').replace('classs', 'classes')}"
        return (
            f"{first} of a class's test images are named rightly{more if hidden > 0 else ''}. Intervals are Wilson's, "
            "over the images of one network; another seed moves a class further."
        )


def compute_class_accuracy(study: StudyFiles) -> ClassAccuracy | None:
    """Return the accuracy of each class of the best network; None where it is no classifier or was not confirmed."""
    arrays = read_arrays(study, "predictions")
    if arrays is None or "confusion" not in arrays:
        return None
    counts = arrays["confusion"]
    table = pd.DataFrame({"name": class_names(study, len(counts)), "right": np.diag(counts), "images": counts.sum(1)})
    table = table[table["images"] > 0]
    if table.empty:
        return None
    ends = [stats.binomtest(int(row.right), int(row.images)).proportion_ci(method="wilson") for row in records(table)]
    table = table.assign(
        accuracy=table["right"] / table["images"], low=[end.low for end in ends], high=[end.high for end in ends]
    )
    return ClassAccuracy(table.sort_values("accuracy", kind="stable", ignore_index=True))


def plot_class_accuracy(data: ClassAccuracy) -> Figure:
    """Draw a point with its interval per class, the worst on top, twenty at most."""
    rows = data.classes.head(_SHOWN)
    drawn, (axis,) = style.figure(0.8 + 0.27 * len(rows))
    places = np.arange(len(rows))
    axis.hlines(places, 100 * rows["low"], 100 * rows["high"], color=style.COLOURS[0], linewidth=2)
    axis.scatter(100 * rows["accuracy"], places, 46, style.COLOURS[0], zorder=3)
    axis.set_yticks(places, rows["name"])
    axis.set_ylim(len(rows) - 0.5, -0.5)
    axis.set_xlim(-2, 102)
    axis.set_xlabel("test accuracy (%)")
    return drawn
