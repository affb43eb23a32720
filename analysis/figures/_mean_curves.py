"""Learning curves of reported configurations side by side, each the mean over its seeds."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd
from matplotlib.figure import Figure

from analysis.figures import style
from study.record import metrics

_HEIGHT = 2.9  # inches


def compute_mean_curves(histories: Mapping[str, pd.DataFrame], metric: str) -> dict[str, pd.DataFrame]:
    """Return the mean over the runs of a metric on training and validation images, by name.

    Args:
        histories: A row per run and epoch, by the name of what was run.
        metric: Without its split, such as "mse".

    Each table has a row per epoch and the columns "train" and "val"; a name without the metric is left out.
    """
    columns = {f"train_{metric}": "train", f"val_{metric}": "val"}
    found = {}
    for name, history in histories.items():
        if set(columns) <= set(history):
            found[name] = history.groupby("epoch")[list(columns)].mean().rename(columns=columns).dropna()
    return {name: curve for name, curve in found.items() if len(curve)}


def plot_mean_curves(curves: Mapping[str, pd.DataFrame], metric: str) -> Figure:
    """Draw validation as lines and training dashed, a colour for each name."""
    drawn, (axes,) = style.figure(_HEIGHT)
    for name, (colour, _) in style.marks(curves).items():
        curve = curves[name]
        axes.plot(curve.index, curve["val"], color=colour, label=name)
        axes.plot(curve.index, curve["train"], color=colour, linestyle="--", linewidth=1)
    values = pd.concat([curve[split] for curve in curves.values() for split in ("train", "val")])
    if style.spans_decades(values):
        style.log_axis(axes, "y")
    style.whole_ticks(axes, "x")
    axes.set_xlabel("epoch")
    axes.set_ylabel(metrics.label(metric))
    style.legend_below(drawn, axes)
    return drawn
