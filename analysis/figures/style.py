"""How figures look: sizes that stay legible on a phone, and colours that a colour-blind reader can tell apart."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.collections import PolyCollection
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter

from study.record.words import number

WIDTH, NARROW = 6.0, 4.0
"""Of every figure, in inches: a page shows it 700 px wide; a phone shows the narrow one, where 10 points are 12 pixels,
and paper two of those beside each other."""
_WIDTH = ContextVar("width", default=WIDTH)

# Okabe and Ito, "Color Universal Design" (2008), without its yellow, which is too pale on white.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#000000")
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "<", ">", "*", "h")
INK, PALE, GRID, EDGE, PAPER = "#222222", "#b4b8bd", "#e4e6e8", "#777777", "#fefefe"
DARK = {
    INK: "#e7eaee",
    "#000000": "#e7eaee",
    PALE: "#5f6873",
    GRID: "#2f363e",
    EDGE: "#8b949e",
    PAPER: "#15181c",
    "#0072b2": "#3d9be0",
}
"""What stands for a colour on a dark screen; lower case, as an SVG file has them. Others are seen on both papers."""

# Petroff, "Accessible Color Sequences for Data Visualization" (2021), ten colours, told apart also by the colour-blind.
CLASS_COLOURS = (
    *("#3f90da", "#ffa90e", "#bd1f01", "#94a4a2", "#832db6", "#a96b59", "#e76300", "#b9ac70", "#717581", "#92dadb"),
    *("#176b37", "#f28ab8"),  # two more, of our own
)
STATUS_COLOURS = {"completed": COLOURS[0], "stopped": COLOURS[5], "cut off": COLOURS[3], "failed": COLOURS[1]}
SEQUENTIAL = "viridis"
_LOG_RATIO = 10.0
# Inches of a legend: of a mark with the room around it, of a letter, and from line to line.
_HANDLE, _LETTER, _LINE = 0.55, 0.08, 0.19

_RC: dict[Any, Any] = {
    "font.family": "DejaVu Sans",
    "font.size": 10,
    "axes.labelsize": 10,
    "xtick.labelsize": 9,
    "ytick.labelsize": 9,
    "legend.fontsize": 9,
    "axes.edgecolor": EDGE,
    "axes.labelcolor": INK,
    "text.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
}


@contextmanager
def narrow() -> Iterator[None]:
    """Draw for a phone or for paper: figures are as wide as `NARROW`."""
    before = _WIDTH.set(NARROW)
    try:
        yield
    finally:
        _WIDTH.reset(before)


def width() -> float:
    """Return how wide figures are drawn, in inches."""
    return _WIDTH.get()


def figure(height: float, rows: int = 1, **options: object) -> tuple[Figure, list[Axes]]:
    """Return a figure of `height` inches on white, and its axes, one below the other.

    It belongs to no pyplot state: it is freed like any object, and threads may draw at once.

    Args:
        height: In inches.
        rows: Panels.
        **options: Of `matplotlib.figure.Figure.subplots`, such as `sharex`.
    """
    with mpl.rc_context(_RC):
        drawn = Figure(figsize=(width(), height), facecolor="white", layout="constrained")
        axes = list(drawn.subplots(rows, 1, squeeze=False, **options)[:, 0])  # type: ignore[call-overload]
        for axis in axes:
            axis.spines[["top", "right"]].set_visible(False)
            axis.grid(color=GRID, linewidth=0.8)
            axis.set_axisbelow(True)
    return drawn, axes


def title(axes: Axes, text: str) -> None:
    """Say over a panel what it shows."""
    axes.set_title(text, loc="left", fontsize=10, fontweight="bold", color=INK)


def marks(names: Iterable[str]) -> dict[str, tuple[str, str]]:
    """Return a colour and a marker per name; no two of the first 77 share both."""
    ordered = list(dict.fromkeys(names))
    return {name: (COLOURS[i % len(COLOURS)], MARKERS[i % len(MARKERS)]) for i, name in enumerate(ordered)}


def lines(
    axes: Axes, rows: pd.DataFrame, by: str, x: str, y: str, *, marker: str, size: float | None = None, **look: Any
) -> None:
    """Draw a line per value of the column `by`, and what is a single point as a marker.

    They are one artist each, whose lines are broken by NaN: one for every line of thousands takes a minute.

    Args:
        axes: Where to.
        rows: The points, of each line in their order.
        by: The column that says which line a point is of.
        x: The column of the horizontal axis.
        y: That of the vertical one.
        marker: Of single points, as matplotlib names it.
        size: Of the marker, in points.
        **look: Of `matplotlib.axes.Axes.plot`.
    """
    codes, names = pd.factorize(rows[by])
    order = np.argsort(codes, kind="stable")
    ends = np.flatnonzero(np.diff(codes[order])) + 1
    points = [rows[name].to_numpy(float)[order] for name in (x, y)]
    axes.plot(*(np.insert(values, ends, np.nan) for values in points), **look)
    alone = np.bincount(codes, minlength=len(names))[codes[order]] == 1
    if alone.any():
        axes.plot(
            *(values[alone] for values in points), **{**look, "linestyle": "none"}, marker=marker, markersize=size
        )


def bars(axes: Axes, places: pd.Series, heights: pd.Series, width: float, **look: Any) -> None:
    """Draw bars from 0 up, at `places` of the horizontal axis, as one artist; `width` in its units."""
    left, right, top = places - width / 2, places + width / 2, heights
    corners = [(left, 0 * top), (left, top), (right, top), (right, 0 * top)]
    rectangles = np.stack([np.column_stack(corner) for corner in corners], axis=1)
    axes.add_collection(PolyCollection(list(rectangles), linewidths=0, **look))
    axes.autoscale_view()


def log_axis(axes: Axes, which: str) -> None:
    """Make the axis `which`, "x" or "y", logarithmic, with plain numbers at its ticks and never just one of them."""
    axis = axes.xaxis if which == "x" else axes.yaxis
    (axes.set_xscale if which == "x" else axes.set_yscale)("log")
    low, high = sorted(axis.get_view_interval())
    decades = high / max(low, 1e-300)
    subs: tuple[float, ...] = (1.0,) if decades > 300 else (1.0, 3.0) if decades > 15 else (1.0, 2.0, 5.0)
    if decades < 3:
        subs = tuple(float(digit) for digit in range(1, 10))
    axis.set_major_locator(LogLocator(base=10, subs=subs, numticks=12))
    axis.set_major_formatter(FuncFormatter(lambda value, _: number(value)))
    axis.set_minor_formatter(NullFormatter())


def spans_decades(values: pd.Series) -> bool:
    """Whether values are positive and the largest is more than ten times the smallest, as a logarithmic axis wants."""
    return bool(values.min() > 0 and values.max() / values.min() > _LOG_RATIO)


def whole_ticks(axes: Axes, which: str) -> None:
    """Let the axis `which`, "x" or "y", have ticks at whole numbers only."""
    (axes.xaxis if which == "x" else axes.yaxis).set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))


def legend_below(drawn: Figure, axes: Axes, columns: int = 3) -> None:
    """Put the legend of `axes` under the whole figure, where it covers nothing, in as many columns as have room.

    The figure's height has room for one line of it, and grows by what it has more.
    """
    handles, names = axes.get_legend_handles_labels()
    if handles:
        columns = min(columns, max(1, int(width() / (_HANDLE + _LETTER * max(map(len, names))))))
        drawn.set_figheight(drawn.get_figheight() + _LINE * (math.ceil(len(names) / columns) - 1))
        with mpl.rc_context(_RC):
            drawn.legend(handles, names, loc="outside lower center", ncols=columns, frameon=False)


def as_text(name: str) -> str:
    """Return a name so that matplotlib shows it as it is: not as a formula, nor leaves it out of a legend."""
    plain = name.replace("$", r"\$")
    return f" {plain}" if plain.startswith("_") else plain
