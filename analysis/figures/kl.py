"""How much each dimension of a VAE's code is used."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from analysis.figures import style
from analysis.figures._samples import read_arrays
from analysis.figures.labels import number
from analysis.study_files import StudyFiles


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
    arrays = read_arrays(study, "kl")
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
