"""A confusion matrix as a heat map, readable with ten classes and with a hundred."""

from __future__ import annotations

import io
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image

_ANNOTATED = 20  # classes; with more, numbers do not fit into the cells
_NAMED = 150  # classes; with more, every second, third … is named
_DPI = 100


def confusion_picture(confusion: NDArray[np.int64], class_names: Sequence[str]) -> Image.Image:
    """Return the heat map of a confusion matrix.

    A cell's colour is the share of its row's class that was taken for its column's; its number, with few classes, is
    how many images that is.

    Args:
        confusion: int64 (classes, classes), rows are the true classes.
        class_names: A name for each class.
    """
    import seaborn as sns
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    classes = len(confusion)
    totals = confusion.sum(axis=1, keepdims=True)
    shares = confusion / np.maximum(totals, 1)
    side = min(18.0, max(4.0, 2.5 + 0.55 * classes if classes <= _ANNOTATED else 3 + 0.14 * classes))  # inches
    figure = Figure(figsize=(side + 1, side), dpi=_DPI)
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    every = -(-classes // _NAMED)
    sns.heatmap(
        shares,
        vmin=0,
        vmax=1,
        cmap="Blues",
        square=True,
        xticklabels=False,  # or seaborn draws the whole figure to see whether they overlap
        yticklabels=False,
        ax=axes,
        annot=confusion if classes <= _ANNOTATED else None,
        fmt="d",
        annot_kws={"fontsize": 8},
        cbar_kws={"label": "share of the true class's images", "shrink": 0.7, "pad": 0.02},
    )
    size = 9 if classes <= _ANNOTATED else 7
    places, names = np.arange(0, classes, every) + 0.5, class_names[::every]
    axes.set_xticks(places, names, rotation=90, fontsize=size)
    axes.set_yticks(places, names, rotation=0, fontsize=size)
    axes.set_xlabel("predicted class")
    axes.set_ylabel("true class")
    accuracy = confusion.trace() / max(1, confusion.sum())
    axes.set_title(f"{accuracy:.1%} of {confusion.sum():,} test images are on the diagonal", fontsize=10)
    stream = io.BytesIO()
    figure.savefig(stream, format="png", bbox_inches="tight")
    return Image.open(stream).convert("RGB")
