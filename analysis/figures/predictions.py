"""What a classifier takes test images for: the confusion matrix, and the accuracy of each class."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure
from scipy import stats

from analysis.figures import Drawing, Drawings, style
from analysis.study_files import StudyFiles
from analysis.trials import records
from study.record.words import counted, joined

_PAIRS = 3
_WRITTEN = 12  # classes, up to which every cell has its number
_NAMED = 30  # classes, up to which every row has its name


@dataclass(frozen=True, eq=False)
class Confusion:
    """A confusion matrix.

    Attributes:
        counts: (classes, classes) test images of the row's class that were taken for the column's.
        names: of the classes.
    """

    counts: np.ndarray
    names: list[str]

    def table(self) -> pd.DataFrame:
        """Return the matrix: a row per true class, a column per predicted one."""
        table = pd.DataFrame(self.counts, columns=self.names)
        table.insert(0, "true", self.names, allow_duplicates=True)  # a class may have any name, this one too
        return table

    @property
    def pairs(self) -> list[tuple[str, str, int, int]]:
        """The most confused pairs of classes: their names, images confused either way, and images of both."""
        both = np.triu(self.counts + self.counts.T, 1)
        of = self.counts.sum(1)
        order = np.argsort(-both, axis=None, kind="stable")[:_PAIRS]
        places = [divmod(int(place), len(both)) for place in order]
        return [
            (self.names[i], self.names[j], int(both[i, j]), int(of[i] + of[j])) for i, j in places if both[i, j] > 0
        ]

    @property
    def caption(self) -> str:
        """What is seen, with its numbers."""
        total = int(self.counts.sum())
        first = f"The network names {np.trace(self.counts) / max(total, 1):.1%} of {total:,} test images rightly."
        words = [f"{a} and {b} ({count:,} of their {of:,} images)" for a, b, count, of in self.pairs]
        most = f" Most confused are {joined(words)}." if words else " It confuses no classes."
        return f"{first}{most} It is one network, of one seed."


def compute_confusion(study: StudyFiles) -> Confusion | None:
    """Return the confusion matrix of the best network; None where it is no classifier or was not confirmed."""
    counts = _counts(study)
    if counts is None:
        return None
    return Confusion(counts, study.class_names(len(counts)))


def _counts(study: StudyFiles) -> np.ndarray | None:
    """Return the confusion matrix that a confirmation left."""
    return (study.arrays("predictions") or {}).get("confusion")


def plot_confusion(data: Confusion) -> Figure:
    """Draw each row as shares of the class's images, in per cent; the diagonal is what was right."""
    count = len(data.counts)
    share = 100 * data.counts / np.maximum(data.counts.sum(1, keepdims=True), 1)
    drawn, (axis,) = style.figure(6.4)
    named = [style.as_text(name) for name in data.names] if count <= _NAMED else False
    written = count <= _WRITTEN
    sns.heatmap(
        pd.DataFrame(share),
        vmin=0,
        vmax=100,
        cmap="Blues",
        square=True,
        annot=np.vectorize(lambda value: f"{value:.0f}" if value >= 0.5 else "")(share) if written else False,
        fmt="",
        annot_kws={"fontsize": 9},
        linewidths=0.5 if written else 0,
        xticklabels=named,
        yticklabels=named,
        cbar_kws={"label": "% of the true class's images", "shrink": 0.6, "orientation": "horizontal", "pad": 0.02},
        ax=axis,
    )
    long = written and max(map(len, data.names)) > 3
    axis.tick_params(axis="x", rotation=90 if long or count > _WRITTEN else 0)
    axis.tick_params(axis="y", rotation=0)
    axis.set_xlabel("predicted class")
    axis.set_ylabel("true class")
    return drawn


_SHOWN = 20  # classes in the picture of their accuracies


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
    """Return the accuracy of each class of the best network; None where it is no classifier or was not confirmed.

    None, too, where the errors of all seeds by class are kept: `analysis.figures.class_errors` shows them.
    """
    counts = _counts(study)
    if counts is None or study.arrays("per_class") is not None:
        return None
    table = pd.DataFrame({"name": study.class_names(len(counts)), "right": np.diag(counts), "images": counts.sum(1)})
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
    axis.set_yticks(places, rows["name"].map(style.as_text))
    axis.set_ylim(len(rows) - 0.5, -0.5)
    axis.set_xlim(-2, 102)
    axis.set_xlabel("test accuracy (%)")
    return drawn


DRAWINGS: Drawings = (
    Drawing("pictures", "confusion", "Confusion matrix", compute_confusion, plot_confusion),
    Drawing("pictures", "class_accuracy", "Accuracy by class", compute_class_accuracy, plot_class_accuracy),
)
