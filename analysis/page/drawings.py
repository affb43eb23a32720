"""Figures as items of a page: computed, drawn, and embedded as SVG, or as PNG where that would be large."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

import matplotlib as mpl
import pandas as pd
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from analysis.page.parts import Item, Picture, Table
from analysis.study_files import StudyFiles

_SVG_LIMIT = 250_000  # bytes; scatter plots and heat maps with thousands of marks are smaller as pixels
_DPI = 160
_CSS_DPI = 116  # a figure of 6 inches is 700 px wide, as its letters want
_SHOWN_ROWS = 200


class FigureData(Protocol):
    """What a figure shows."""

    @property
    def caption(self) -> str:
        """What is seen, in plain sentences."""

    def table(self) -> pd.DataFrame:
        """Return its numbers."""


D = TypeVar("D", bound=FigureData)


@dataclass(frozen=True)
class Drawing(Generic[D]):
    """A figure of a report: `compute` gives its data, or None for a study that has nothing to show there.

    Attributes:
        name: of its table's file.
        title: what it is called.
        compute: from a study to its data.
        plot: from the data to the figure.
        more: further tables, from the data.
        folded: whether its table is shown only when asked for.
    """

    name: str
    title: str
    compute: Callable[[StudyFiles], D | None]
    plot: Callable[[D], Figure]
    more: Callable[[D], Sequence[Table]] = lambda _: ()
    folded: bool = True

    def items(self, study: StudyFiles) -> list[Item]:
        """Return the picture and its table, or nothing."""
        data = self.compute(study)
        if data is None:
            return []
        numbers = Table(self.name, f"{self.title}: the numbers", data.table(), rows=_SHOWN_ROWS, folded=self.folded)
        return [embed(self.plot(data), self.title, data.caption), numbers, *self.more(data)]


def embed(figure: Figure, title: str, caption: str) -> Picture:
    """Return a figure as a picture of a page; the same figure gives the same bytes."""
    width = round(figure.get_figwidth() * _CSS_DPI)
    FigureCanvasAgg(figure)
    # Letters as outlines: a reader's machine need not have the font.
    with mpl.rc_context({"svg.hashsalt": title, "svg.fonttype": "path"}):
        data = _saved(figure, format="svg", metadata={"Date": None, "Creator": None})
    if len(data) <= _SVG_LIMIT:
        return Picture(title, caption, "image/svg+xml", data, width)
    data = _saved(figure, format="png", dpi=_DPI, metadata={"Software": None})
    return Picture(title, caption, "image/png", data, width)


def _saved(figure: Figure, **options: Any) -> bytes:
    file = io.BytesIO()
    figure.savefig(file, facecolor="white", bbox_inches="tight", pad_inches=0.08, **options)
    return file.getvalue()
