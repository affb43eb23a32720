"""Every trial as a line across its parameters, coloured by its rank."""

from __future__ import annotations

import math
from dataclasses import dataclass

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.cm import ScalarMappable
from matplotlib.collections import LineCollection
from matplotlib.colors import Normalize
from matplotlib.figure import Figure

from analysis.figures import Drawing, style
from analysis.figures._parameters import Scale, varied_parameters
from analysis.study_files import StudyFiles
from analysis.trials import ended_trials, ranked_words
from analysis.words import parameter_label
from study.record import metrics
from study.record.words import joined

_AXES = 12
_LEAST_TRIALS = 3
_THICK = 10  # lines at most
_ABSENT = -0.13  # where a line passes an axis of a parameter that the trial does not have
_WORDS = 8  # of one axis
_LETTERS = 46  # of one axis' labels in a figure of the usual width, beyond which words are cut
_NAMES = 1.4  # inches beside the axes, for their names
_END = 0.01  # of an axis, from its end
_LINE = 11  # points from a line of labels to the next


@dataclass(frozen=True, eq=False)
class ParallelCoordinates:
    """Trials with the parameters that varied.

    Attributes:
        trials: a row per ended trial, best first: trial_id, rank, value, and the parameters by their key.
        scales: of each parameter, in the order of the axes, and of "value", the objective, last.
        left_out: parameters without an axis, which fewest trials had.
        metric: the objective.
    """

    trials: pd.DataFrame
    scales: dict[str, Scale]
    left_out: tuple[str, ...]
    metric: str

    def table(self) -> pd.DataFrame:
        """Return a row per trial, a parameter's column named as in trials.csv."""
        return self.trials.rename(columns={key: f"config.{key}" for key in self.scales if key != "value"})

    @property
    def caption(self) -> str:
        """What is seen, with its numbers."""
        hidden = joined([parameter_label(name) for name in self.left_out])
        return (
            f"{ranked_words(len(self.trials))}, each a line from axis to axis, coloured by its rank in "
            f"{metrics.label(self.metric)}, which has the last axis. Numbers lie between the least and the greatest "
            "that a trial had, on a logarithmic scale where these are far apart. A line passes left of an axis (–) "
            "where the trial has no such parameter" + (f"; not shown: {hidden}." if hidden else ".")
        )


def compute_parallel_coordinates(study: StudyFiles) -> ParallelCoordinates | None:
    """Return the ended trials with up to 12 parameters that varied; None with fewer than three trials or two axes."""
    trials = ended_trials(study)
    names = varied_parameters(trials)
    if len(trials) < _LEAST_TRIALS or len(names) < 2:
        return None
    common = sorted(names, key=lambda name: -trials[name].notna().sum())[:_AXES]
    shown = [name for name in names if name in common]
    keys = {name: name.removeprefix("config.") for name in shown}
    table = trials[["trial_id", "rank", "value", *shown]].rename(columns=keys)
    return ParallelCoordinates(
        table,
        {keys[name]: Scale.of(trials[name]) for name in shown} | {"value": Scale.of(trials["value"])},
        tuple(name.removeprefix("config.") for name in names if name not in common),
        study.metric,
    )


def plot_parallel_coordinates(data: ParallelCoordinates) -> Figure:
    """Draw the axes one below the other, so that their labels have room, and the best trials on top."""
    count = len(data.scales)
    drawn, (axis,) = style.figure(0.9 + 0.58 * count)
    places = {key: scale.positions(data.trials[key]) for key, scale in data.scales.items()}
    places = {key: _apart(np.where(np.isnan(at), _ABSENT, at), data.scales[key]) for key, at in places.items()}
    heights = np.arange(count, dtype=float)
    lines = np.stack([np.column_stack([along, heights]) for along in np.column_stack(list(places.values()))])
    share = (data.trials["rank"].to_numpy() - 1) / max(len(data.trials) - 1, 1)
    order = np.argsort(-share, kind="stable")
    thick = (share <= 0.1) & (data.trials["rank"].to_numpy() <= _THICK)
    colours = mpl.colormaps[style.SEQUENTIAL](0.95 * share)
    axis.add_collection(
        LineCollection(
            list(lines[order]),
            colors=list(colours[order]),
            linewidths=list(np.where(thick[order], 2.2, 1.0)),
            alpha=list(np.where(thick[order], 0.9, 0.85 if len(lines) < 100 else 0.3)),
        )
    )
    for height, (key, scale) in zip(heights, data.scales.items(), strict=True):
        axis.hlines(height, 0, 1, color=style.INK, linewidth=1, zorder=3)
        for at, label, below in _labels(scale):
            axis.plot([at], [height], "|", color=style.INK, markersize=7, zorder=4)
            axis.annotate(
                label,
                (at, height),
                (0, -5 - _LINE * below),
                textcoords="offset points",
                ha="left" if at < _END else "right" if at > 1 - _END else "center",
                va="top",
                fontsize=9,
                zorder=5,
                bbox={"boxstyle": "square,pad=0.1", "facecolor": style.PAPER, "edgecolor": "none", "alpha": 0.75},
            )
        if data.trials[key].isna().any():
            axis.text(_ABSENT, height, "–", ha="center", va="center", fontsize=10, zorder=4)
    objective = metrics.label(data.metric).replace(" (", "\n(").replace(" MSE", "\nMSE")
    axis.set_yticks(heights, [*(parameter_label(key) for key in list(data.scales)[:-1]), objective])
    axis.set_ylim(count - 0.45, -0.3)
    axis.set_xlim(-0.17, 1.04)
    axis.set_xticks([])
    axis.grid(visible=False)
    axis.spines[:].set_visible(False)
    axis.tick_params(left=False)
    bar = drawn.colorbar(
        ScalarMappable(Normalize(1, max(len(data.trials), 2)), mpl.colormaps[style.SEQUENTIAL]),
        ax=axis,
        orientation="horizontal",
        aspect=40,
        shrink=0.6,
    )
    bar.set_ticks([1, max(len(data.trials), 2)], labels=["best", "worst"])
    bar.ax.tick_params(labelsize=9)
    return drawn


def _apart(at: np.ndarray, scale: Scale) -> np.ndarray:
    """Spread the lines of one category a little, in the order of the trials, so that they can be told apart."""
    if scale.kind != "categories" or len(at) < 2:
        return at
    room = 0.5 / max(len(scale.categories), 6)
    return np.where(at < 0, at, at + room * (np.linspace(-0.5, 0.5, len(at))) * np.minimum(1.0, len(at) / 20))


def _labels(scale: Scale) -> list[tuple[float, str, int]]:
    """Return an axis' ticks: the place, the label, "" where there is no room for one, and on which line it stands.

    Words have two lines, by turns, where one has no room. Where two have none they are cut, so that they still differ.
    """
    ticks = scale.ticks()
    if scale.kind != "categories":
        return [(at, label, 0) for at, label in _without_overlaps(ticks)]
    if len(ticks) > _WORDS:  # only the ends have theirs
        return [(at, label if at in (0.0, 1.0) else "", 0) for at, label in ticks]
    room, words = _room(), [label for _, label in ticks]
    lines = 1 if sum(len(label) + 2 for label in words) <= room else 2
    if any(sum(len(label) + 2 for label in words[line::lines]) > room for line in range(lines)):
        most = max(3, room // math.ceil(len(words) / lines) - 1)
        sizes = range(most, max(map(len, words)))
        cuts = (_cut(words, size, end) for size in sizes for end in range(size - 1))
        words = next((cut for cut in cuts if len(set(cut)) == len(cut)), words)
    return [(at, label, place % lines) for place, ((at, _), label) in enumerate(zip(ticks, words, strict=True))]


def _cut(words: list[str], most: int, end: int) -> list[str]:
    """Return the words with so many letters at most, the last ones so many of their end."""
    return [word if len(word) <= most else f"{word[: most - 1 - end]}…{word[len(word) - end :]}" for word in words]


def _room() -> int:
    """Return for how many letters an axis has room."""
    return round(_LETTERS * (style.width() - _NAMES) / (style.WIDTH - _NAMES))


def _without_overlaps(ticks: list[tuple[float, str]]) -> list[tuple[float, str]]:
    """Leave out the labels that would stand on others; the ends keep theirs."""
    ends = [ticks[0], ticks[-1]]
    kept = list(ends)
    for tick in ticks[1:-1]:
        left, right = _span(*tick)
        if all(right < other_left or left > other_right for other_left, other_right in (_span(*one) for one in kept)):
            kept.append(tick)
    return [(at, label if (at, label) in kept else "") for at, label in ticks]


def _span(at: float, label: str) -> tuple[float, float]:
    """Return where a label begins and ends: it is centred at its tick, but at the ends of the axis within it."""
    width = (len(label) + 1) / _room()
    left = 0.0 if at < _END else 1 - width if at > 1 - _END else at - width / 2
    return left, left + width


DRAWINGS = (
    Drawing(
        "parallel-coordinates",
        "parallel_coordinates",
        "A line per trial",
        compute_parallel_coordinates,
        plot_parallel_coordinates,
    ),
)
