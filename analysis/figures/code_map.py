"""The codes of test images in two dimensions, coloured by class."""

from __future__ import annotations

from dataclasses import dataclass

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from analysis.figures import style
from analysis.figures._samples import class_names, read_arrays
from analysis.study_files import StudyFiles

_NAMED = 12  # classes, up to which each has its own colour
_COLOURS = (*style.COLOURS, "#882255", "#999933", "#88CCEE", "#661100", "#6699CC")  # with some of Tol's "muted"


@dataclass(frozen=True, eq=False)
class CodeMap:
    """Codes as points.

    Attributes:
        points: a row per image: x, y, label, class_name.
        latent_size: numbers in a code.
        explained: the share of the codes' variance that x and y hold; None where x and y are the code itself.
    """

    points: pd.DataFrame
    latent_size: int
    explained: float | None

    def table(self) -> pd.DataFrame:
        """Return a row per image."""
        return self.points

    @property
    def caption(self) -> str:
        """What is seen, with its numbers."""
        first = f"The codes of {len(self.points):,} test images"
        if self.latent_size == 1:
            return f"{first}, one number each, spread at random from top to bottom. Classes played no part in the axes."
        if self.explained is None:
            return f"{first}, in their own two dimensions. Colours are the classes, which the code need not have seen."
        return (
            f"{first} of {self.latent_size:,} numbers, on their first two principal components, which hold "
            f"{self.explained:.0%} of their variance. Classes that overlap here may lie apart in the other "
            f"{self.latent_size - 2:,} directions."
        )


def compute_code_map(study: StudyFiles) -> CodeMap | None:
    """Return the codes as they are where they have two numbers, else on their first two principal components.

    None where no network with a code was confirmed.
    """
    arrays = read_arrays(study, "codes")
    if arrays is None or len(arrays["codes"]) < 2:
        return None
    codes = arrays["codes"].reshape(len(arrays["codes"]), -1).astype(np.float64)
    labels = arrays["labels"].astype(int)
    known = np.isfinite(codes).all(1)
    codes, labels = codes[known], labels[known]
    if len(codes) < 2:
        return None
    size, explained = codes.shape[1], None
    if size == 1:
        places = np.column_stack([codes[:, 0], np.random.default_rng(0).uniform(-1, 1, len(codes))])
    elif size == 2:
        places = codes
    else:
        places, explained = _principal(codes)
    names = class_names(study, int(labels.max()) + 1)
    points = pd.DataFrame(places, columns=["x", "y"]).assign(label=labels, class_name=[names[i] for i in labels])
    return CodeMap(points, size, explained)


def _principal(codes: np.ndarray) -> tuple[np.ndarray, float]:
    centred = codes - codes.mean(0)
    if centred.shape[1] <= len(centred):
        values, vectors = np.linalg.eigh(centred.T @ centred)
        places = centred @ vectors[:, :-3:-1]
    else:  # more numbers than images: the images' own Gram matrix is the smaller one
        values, vectors = np.linalg.eigh(centred @ centred.T)
        places = vectors[:, :-3:-1] * np.sqrt(np.maximum(values[:-3:-1], 0))
    total = float(np.maximum(values, 0).sum())
    return places, float(values[-2:].sum() / total) if total > 0 else 0.0


def plot_code_map(data: CodeMap) -> Figure:
    """Draw a point per image; up to twelve classes have a colour and, at their median, their name."""
    drawn, (axis,) = style.figure(5.4)
    labels = sorted(data.points["label"].unique())
    if len(labels) <= _NAMED:
        shown = data.points.sample(frac=1, random_state=0)  # so that no class covers another
        colours = {label: _COLOURS[i % len(_COLOURS)] for i, label in enumerate(labels)}
        axis.scatter(shown["x"], shown["y"], 12, shown["label"].map(colours), alpha=0.6, linewidths=0)
        for label in labels:
            name = data.points.loc[data.points["label"] == label, "class_name"].iloc[0]
            axis.scatter([], [], 40, colours[label], label=name)
        style.legend_below(drawn, axis, columns=5 if max(map(len, data.points["class_name"])) < 8 else 3)
    else:
        palette = mpl.colormaps["turbo"]
        axis.scatter(data.points["x"], data.points["y"], 12, palette(data.points["label"] / max(labels)), linewidths=0)
    low, high = data.points[["x", "y"]].quantile(0.002), data.points[["x", "y"]].quantile(0.998)
    room = 0.06 * (high - low).clip(lower=1e-9)
    axis.set_xlim(low["x"] - room["x"], high["x"] + room["x"])
    axis.set_ylim(low["y"] - room["y"], high["y"] + room["y"])
    kind = "principal component" if data.explained is not None else "dimension of the code"
    axis.set_xlabel(f"first {kind}" if data.latent_size > 1 else "the code")
    axis.set_ylabel(f"second {kind}" if data.latent_size > 1 else "spread at random")
    return drawn
