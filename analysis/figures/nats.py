"""A VAE's nats against latent size, beside probabilistic PCA."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from analysis.figures import Drawing, style
from analysis.figures._by_size import BySize, by_size, confirmed_by_size, interval_of_test, named, panels
from analysis.study_files import StudyFiles
from analysis.trials import ended_trials, nats_at, pca_nats
from study.record import metrics
from study.record.words import number


@dataclass(frozen=True, eq=False)
class Nats(BySize):
    """Trials, confirmed configs and probabilistic PCA by latent size.

    Attributes:
        trials: a row per ended trial: trial_id, architecture, latent_size, val_nelbo and PCA's at that size,
            pca_val_nelbo.
        confirmed: a row per confirmed config, the winner first: the same, with val_nelbo as the mean over its seeds,
            test_nelbo, test_low and test_high (95 %), seeds and pca_test_nelbo.
        pca: n_components, val_nelbo, test_nelbo: with at most so many components.
    """

    @property
    def caption(self) -> str:
        """What is seen, with its numbers."""
        split, rows = ("val", self.trials) if self.confirmed.empty else ("test", self.confirmed)
        best = rows.iloc[0]
        who = "The best trial, which was not confirmed," if split == "val" else named(best)
        text = f"{who} has a {metrics.label(f'{split}_nelbo')} of {number(best[f'{split}_nelbo'], 4)}"
        text += interval_of_test(best) if split == "test" else ""
        text += f" with {best['latent_size']:,.0f} numbers a code"
        pca = best[f"pca_{split}_nelbo"]
        beside = f"probabilistic PCA {number(pca, 4)} with at most as many" if np.isfinite(pca) else "PCA none there"
        return (
            f"{text}, {beside}. All are upper bounds of −log p of the 8-bit image, in which black and white stand for "
            "all that lies beyond; of numbers of components up to the code's, PCA has the best on validation images."
        )


def compute_nats(study: StudyFiles) -> Nats | None:
    """Return nats by latent size; None for other families than VAEs, and where PCA's were not measured."""
    pca = pca_nats(study)
    trials = by_size(ended_trials(study), "trial_id", "val_nelbo")
    confirmed = confirmed_by_size(study, "val_nelbo")
    if pca.empty or (trials.empty and confirmed.empty):
        return None
    return Nats(_with_pca(trials, pca), _with_pca(confirmed, pca), pca)


def _with_pca(rows: pd.DataFrame, pca: pd.DataFrame) -> pd.DataFrame:
    beside = nats_at(pca, rows["latent_size"])
    rows = rows.assign(pca_val_nelbo=beside["val_nelbo"])
    if "test_nelbo" in rows:
        rows = rows.assign(pca_test_nelbo=beside["test_nelbo"])
    return rows.reset_index(drop=True)


def plot_nats(data: Nats) -> Figure:
    """Draw validation nats of the trials, and test nats of what was confirmed, both beside PCA's curve."""
    drawn, axes = panels(data, "nelbo", data.near_pca, "probabilistic PCA", "latent size, or most components of PCA")
    for split, axis in axes.items():
        axis.set_ylabel("−ELBO (nats per image)")
        values = (data.trials if split == "val" else data.confirmed)[f"{split}_nelbo"]
        if style.spans_decades(values):  # of a network that learnt nothing
            style.log_axis(axis, "y")
    return drawn


DRAWINGS = (Drawing("rate-distortion", "nats", "Nats against the size of the code", compute_nats, plot_nats),)
