"""Figures of a study: `compute_*` reads its tables into a dataclass, `plot_*` draws that, a `Drawing` names both.

A module has the figures of its `DRAWINGS`; `analysis/page/pictures.py` lists the modules.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

import pandas as pd
from matplotlib.figure import Figure

from analysis.study_files import StudyFiles


class FigureData(Protocol):
    """What a figure shows."""

    @property
    def caption(self) -> str:
        """What is seen, in plain sentences, and what it does not say."""

    def table(self) -> pd.DataFrame:
        """Return its numbers, which its CSV file holds."""


D = TypeVar("D", bound=FigureData)


@dataclass(frozen=True)
class FurtherTable:
    """Another table of a figure: the name of its file, what it holds, and its rows."""

    name: str
    caption: str
    frame: pd.DataFrame


@dataclass(frozen=True)
class Drawing(Generic[D]):
    """A figure of a report: `compute` gives its data, or None for a study that has nothing to show there.

    Attributes:
        section: the id of the report's section that it stands in.
        name: of its table's file.
        title: what it is called.
        compute: from a study to its data.
        plot: from the data to the figure.
        more: further tables, from the data.
        folded: whether its table is shown only when asked for.
    """

    section: str
    name: str
    title: str
    compute: Callable[[StudyFiles], D | None]
    plot: Callable[[D], Figure]
    more: Callable[[D], Sequence[FurtherTable]] = lambda _: ()
    folded: bool = True


Drawings = tuple[Drawing[Any], ...]
"""The figures of a module, each with data of its own kind."""
