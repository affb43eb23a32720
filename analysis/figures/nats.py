"""A VAE's nats against latent size, beside probabilistic PCA."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from analysis.figures import Drawing, style
from analysis.figures.rate_distortion import by_size, confirmed_by_size, intervals, named, scatter
from analysis.study_files import StudyFiles
from analysis.trials import ended_trials, nats_at, pca_nats
from analysis.words import interval_text
from study.record import metrics
from study.record.words import counted, number


@dataclass(frozen=True, eq=False)
class Nats:
    """Trials, confirmed configs and probabilistic PCA by latent size.

    Attributes:
        trials: a row per ended trial: trial_id, architecture, latent_size, val_nelbo and PCA's at that size,
            pca_val_nelbo.
        confirmed: a row per confirmed config, the winner first: the same, with val_nelbo as the mean over its seeds,
            test_nelbo, test_low and test_high (95 %), seeds and pca_test_nelbo.
        pca: n_components, val_nelbo, test_nelbo: with at most so many components.
    """

    trials: pd.DataFrame
    confirmed: pd.DataFrame
    pca: pd.DataFrame

    def table(self) -> pd.DataFrame:
        """Return trials and confirmed configs below each other; `what` says which."""
        table = pd.concat([self.trials.assign(what="trial"), self.confirmed.assign(what="confirmed")])
        return table.reset_index(drop=True)

    @property
    def caption(self) -> str:
        """What is seen, with its numbers."""
        split, rows = ("val", self.trials) if self.confirmed.empty else ("test", self.confirmed)
        best = rows.iloc[0]
        who = "The best trial, which was not confirmed," if split == "val" else named(best)
        text = f"{who} has a {metrics.label(f'{split}_nelbo')} of {number(best[f'{split}_nelbo'], 4)}"
        if split == "test" and np.isfinite(best["test_low"]):
            text += f" ({interval_text(best['test_low'], best['test_high'])}, {counted(best['seeds'], 'seed')})"
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
    panels = [split for split, rows in (("val", data.trials), ("test", data.confirmed)) if not rows.empty]
    drawn, axes = style.figure(1.0 + 2.9 * len(panels), len(panels), sharex=True)
    marks = style.marks([*data.trials["architecture"], *data.confirmed["architecture"]])
    sizes = pd.concat([data.trials["latent_size"], data.confirmed["latent_size"]])
    for axis, split in zip(axes, panels, strict=True):
        pca = data.pca[data.pca["n_components"].between(sizes.min() / 2, sizes.max() * 2)]
        axis.plot(pca["n_components"], pca[f"{split}_nelbo"], color=style.INK, linewidth=1.4, label="probabilistic PCA")
        if split == "val":
            scatter(axis, data.trials, "val_nelbo", marks)
        else:
            intervals(axis, data.confirmed, "test_nelbo", marks, named="val" not in panels)
        style.title(axis, "Trials, on validation images" if split == "val" else "Confirmed, on test images")
        axis.set_ylabel("−ELBO (nats per image)")
        values = (data.trials if split == "val" else data.confirmed)[f"{split}_nelbo"]
        if style.spans_decades(values):  # of a network that learnt nothing
            style.log_axis(axis, "y")
        axis.set_xlim(sizes.min() / 1.6, sizes.max() * 1.6)
        style.log_axis(axis, "x")
    axes[-1].set_xlabel("latent size, or most components of PCA")
    style.legend_below(drawn, axes[0])
    return drawn


DRAWINGS = (Drawing("rate-distortion", "nats", "Nats against the size of the code", compute_nats, plot_nats),)
