"""The codes of test images: a map of them coloured by class, and how much each dimension of a VAE's code is used."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from analysis.figures import Drawing, Drawings, style
from analysis.study_files import StudyFiles
from study.record.words import number

_NAMED = len(style.CLASS_COLOURS)  # classes, up to which each has its own colour
_MEDIAN: dict[str, Any] = {
    **{"fontsize": 10, "fontweight": "bold", "color": style.INK, "ha": "center", "va": "center", "zorder": 4},
    "bbox": {"boxstyle": "round,pad=0.15", "facecolor": style.PAPER, "edgecolor": style.EDGE, "alpha": 0.85},
}


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
    arrays = study.arrays("codes")
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
    names = study.class_names(int(labels.max()) + 1)
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
        colours = dict(zip(labels, style.CLASS_COLOURS, strict=False))
        axis.scatter(shown["x"], shown["y"], 12, shown["label"].map(colours), alpha=0.6, linewidths=0)
        for label, mine in data.points.groupby("label"):
            name = style.as_text(mine["class_name"].iloc[0])
            axis.scatter([], [], 40, colours[label], label=name)
            axis.text(mine["x"].median(), mine["y"].median(), name.strip(), **_MEDIAN)
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


@dataclass(frozen=True, eq=False)
class KlDimensions:
    """A row per dimension, the largest KL first: dimension (from 0), kl (nats per image), active."""

    dimensions: pd.DataFrame

    def table(self) -> pd.DataFrame:
        """Return a row per dimension."""
        return self.dimensions

    @property
    def caption(self) -> str:
        """What is seen, with its numbers."""
        kl, active = self.dimensions["kl"], int(self.dimensions["active"].sum())
        return (
            f"{active} of {len(kl)} dimensions are active (the posterior mean varies by more than 0.01 over the test "
            f"images); together they cost {number(kl.sum())} nats per image, the largest {number(kl.iloc[0])}. A "
            "dimension near 0 carries nothing: its code is the prior."
        )


def compute_kl(study: StudyFiles) -> KlDimensions | None:
    """Return the KL of each dimension of the best network; None where that is no VAE or was not confirmed."""
    arrays = study.arrays("kl")
    if arrays is None or not len(arrays["kl_per_dimension"]):
        return None
    table = pd.DataFrame({"kl": arrays["kl_per_dimension"].astype(float), "active": arrays["active"].astype(bool)})
    table = table.rename_axis("dimension").reset_index()
    return KlDimensions(table.sort_values("kl", ascending=False, kind="stable", ignore_index=True))


def plot_kl(data: KlDimensions) -> Figure:
    """Draw a bar per dimension, the largest first."""
    drawn, (axis,) = style.figure(3.2)
    places = np.arange(1, len(data.dimensions) + 1)
    active = data.dimensions["active"].to_numpy()
    for chosen, colour, name in ((active, style.COLOURS[0], "active"), (~active, style.PALE, "not active")):
        if chosen.any():
            label = f"{name} ({int(chosen.sum())})"
            axis.bar(places[chosen], data.dimensions["kl"][chosen], 0.9, color=colour, label=label)
    style.whole_ticks(axis, "x")
    axis.set_xlim(0.3, len(places) + 0.7)
    axis.grid(visible=False, axis="x")
    axis.set_xlabel("dimension of the code, by its KL")
    axis.set_ylabel("KL (nats per image)")
    style.legend_below(drawn, axis)
    return drawn


DRAWINGS: Drawings = (
    Drawing("pictures", "code_map", "Map of the codes", compute_code_map, plot_code_map),
    Drawing("pictures", "kl", "KL of each dimension of the code", compute_kl, plot_kl),
)
