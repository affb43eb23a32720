"""Which classes a classifier takes for which, on test images."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure

from analysis.figures import style
from analysis.figures._samples import class_names, read_arrays
from analysis.figures.labels import joined
from analysis.study_files import StudyFiles

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
        return pd.DataFrame(self.counts, columns=self.names).set_axis(self.names).rename_axis("true").reset_index()

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
        first = f"The best network names {np.trace(self.counts) / max(total, 1):.1%} of {total:,} test images rightly."
        words = [f"{a} and {b} ({count:,} of their {of:,} images)" for a, b, count, of in self.pairs]
        most = f" Most confused are {joined(words)}." if words else " It confuses no classes."
        return f"{first}{most} It is one network, of one seed."


def compute_confusion(study: StudyFiles) -> Confusion | None:
    """Return the confusion matrix of the best network; None where it is no classifier or was not confirmed."""
    arrays = read_arrays(study, "predictions")
    if arrays is None or "confusion" not in arrays:
        return None
    counts = arrays["confusion"]
    return Confusion(counts, class_names(study, len(counts)))


def plot_confusion(data: Confusion) -> Figure:
    """Draw each row as shares of the class's images, in per cent; the diagonal is what was right."""
    count = len(data.counts)
    share = 100 * data.counts / np.maximum(data.counts.sum(1, keepdims=True), 1)
    drawn, (axis,) = style.figure(6.4)
    named = data.names if count <= _NAMED else False
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
