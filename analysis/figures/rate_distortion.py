"""Error against latent size, beside PCA: autoencoders and VAEs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator, NullLocator

from analysis.figures import Drawing, style
from analysis.figures._by_size import BySize, by_size, confirmed_by_size, interval_of_test, named, panels
from analysis.study_files import StudyFiles
from analysis.trials import ended_trials, pca_errors, pca_is_clipped
from study.record.metrics import PCA_ERROR_FLOOR
from study.record.words import number


@dataclass(frozen=True, eq=False)
class RateDistortion(BySize):
    """Trials, confirmed configs and PCA by latent size.

    Attributes:
        trials: a row per ended trial: trial_id, architecture, latent_size, val_mse, pca_val_mse at that size,
            equivalent_rank and, where PCA's curve does not reach so far, equivalent_rank_beyond ("below", "above").
        confirmed: a row per confirmed config, the winner first: the same, with val_mse as the mean over its seeds,
            test_mse, test_low and test_high (95 %), pca_test_mse and ratio_to_pca on the test split.
        pca: n_components, val_mse, test_mse.
        clipped: whether the reconstructions were clipped to [0, 1] before their errors were taken, PCA's and networks'.
    """

    clipped: bool = True

    def table(self) -> pd.DataFrame:
        """Return trials and confirmed configs below each other; `what` says which, PSNR is −10 log10 of the MSE."""
        table = super().table()
        for split in ("val", "test"):
            if f"{split}_mse" in table:
                table[f"{split}_psnr_of_mse"] = -10 * np.log10(table[f"{split}_mse"].astype(float))
        return table

    @property
    def ratio(self) -> float | None:
        """The test MSE of the first config over PCA's at the same number of components, None where not known."""
        if self.confirmed.empty or not np.isfinite(self.confirmed["ratio_to_pca"].iloc[0]):
            return None
        return float(self.confirmed["ratio_to_pca"].iloc[0])

    @property
    def caption(self) -> str:
        """What is seen, with its numbers."""
        return f"{self._headline()} {self._rank()}".strip() + (
            " A larger code makes every error smaller, so points compare only with the curve above or below them; "
            "PSNR here is that of the mean MSE. "
            + (
                "Reconstructions are clipped to [0, 1], PCA's too."
                if self.clipped
                else "The study is of an earlier version: reconstructions are not clipped to [0, 1], PCA's neither."
            )
        )

    def _headline(self) -> str:
        if not self.confirmed.empty:
            best = self.confirmed.iloc[0]
            who = named(best) if np.isfinite(best["val_mse"]) else "The first configuration"
            error = f"{who} has a test MSE of {number(best['test_mse'], 4)}{interval_of_test(best)}"
            error += f" with {best['latent_size']:,.0f} numbers a code"
            if self.ratio is None:
                return f"{error}; PCA has no error to compare it with at that size."
            return f"{error}, {self.ratio:.2f} times PCA's {number(best['pca_test_mse'], 4)}."
        best = self.trials.iloc[0]
        text = f"The best trial has a validation MSE of {number(best['val_mse'], 4)} with {best['latent_size']:,.0f}"
        text += " numbers a code"
        if np.isfinite(best["pca_val_mse"]):
            text += f", {best['val_mse'] / best['pca_val_mse']:.2f} times PCA's {number(best['pca_val_mse'], 4)}"
        return f"{text}; it was not confirmed, so the test split says nothing yet."

    def _rank(self) -> str:
        best = (self.trials if self.confirmed.empty else self.confirmed).iloc[0]
        if best["equivalent_rank_beyond"] == "below":
            return f"PCA does better with its {number(self.pca['n_components'].min())} components already."
        if best["equivalent_rank_beyond"] == "above":
            return f"PCA has a larger error even with {number(self.pca['n_components'].max())} components."
        if not np.isfinite(best["equivalent_rank"]):
            return ""
        return f"PCA needs {number(best['equivalent_rank'])} components for the same validation error."


def compute_rate_distortion(study: StudyFiles) -> RateDistortion | None:
    """Return errors by latent size; None for classifiers, and where no network has a reconstruction error yet."""
    pca = pca_errors(study)
    errors = pca["val_mse"].fillna(pca["test_mse"])  # of a study as reported, which has no validation images
    pca = pca[pca["n_components"].notna() & (errors > PCA_ERROR_FLOOR)].sort_values("n_components")
    trials = _with_pca(by_size(ended_trials(study), "trial_id"), pca)
    confirmed = _with_pca(confirmed_by_size(study), pca)
    if trials.empty and confirmed.empty:
        return None
    return RateDistortion(trials, confirmed, pca.reset_index(drop=True), pca_is_clipped(study))


def equivalent_rank(error: float, components: np.ndarray, errors: np.ndarray) -> tuple[float, str]:
    """Return at how many components PCA has an error, and "", or NaN and "below" or "above" PCA's known ranks.

    Between two known ranks the logarithm of the rank is taken as linear in the logarithm of the error. "below" means
    that the network's error is larger than PCA's with the fewest components.

    Args:
        error: The network's MSE.
        components: (n,) numbers of components, ascending.
        errors: (n,) PCA's MSE at them.
    """
    if not len(components) or not np.isfinite(error) or error <= 0:
        return float("nan"), ""
    falling = np.minimum.accumulate(errors)
    if error > falling[0]:
        return float("nan"), "below"
    if error < falling[-1]:
        return float("nan"), "above"
    found = np.interp(-np.log(error), -np.log(falling), np.log(components))
    return float(np.exp(found)), ""


def _with_pca(rows: pd.DataFrame, pca: pd.DataFrame) -> pd.DataFrame:
    at_size = pca.set_index("n_components")
    ranks = [
        equivalent_rank(error, pca["n_components"].to_numpy(), pca["val_mse"].to_numpy()) for error in rows["val_mse"]
    ]
    rows = rows.assign(
        pca_val_mse=rows["latent_size"].map(at_size["val_mse"]).astype(float),
        equivalent_rank=[rank for rank, _ in ranks],
        equivalent_rank_beyond=[beyond for _, beyond in ranks],
    )
    if "test_mse" in rows:
        rows["pca_test_mse"] = rows["latent_size"].map(at_size["test_mse"]).astype(float)
        rows["ratio_to_pca"] = rows["test_mse"] / rows["pca_test_mse"]
    return rows.reset_index(drop=True)


def plot_rate_distortion(data: RateDistortion) -> Figure:
    """Draw validation errors of the trials, and test errors of what was confirmed, both beside PCA's curve."""
    drawn, axes = panels(data, "mse", data.pca, "PCA", "latent size, or components of PCA")
    for split, axis in axes.items():
        axis.set_ylabel("MSE per pixel")
        _zoom(axis, data, split)
        style.log_axis(axis, "y")
        decibels = axis.secondary_yaxis("right", functions=(_psnr, _mse))
        decibels.set_ylabel("PSNR (dB)", fontsize=10)
        # A function axis of a logarithmic one takes over its scale; decibels are logarithmic already.
        decibels.yaxis.set_major_locator(MaxNLocator(6))
        decibels.yaxis.set_major_formatter(FuncFormatter(lambda value, _: number(value)))
        decibels.yaxis.set_minor_locator(NullLocator())
        decibels.tick_params(labelsize=9)
    return drawn


def _zoom(axis: Axes, data: RateDistortion, split: str) -> None:
    """Show the errors that networks had, and PCA around them."""
    errors = data.trials["val_mse"] if split == "val" else data.confirmed["test_mse"]
    pca = data.near_pca[f"{split}_mse"].dropna()
    everything = pd.concat([errors, pca[pca > errors.min() / 20]])
    axis.set_ylim(everything.min() / 1.3, everything.max() * 1.3)


def _psnr(error: Any) -> Any:
    return -10 * np.log10(np.maximum(error, 1e-12))


def _mse(decibels: Any) -> Any:
    return 10 ** (-np.asarray(decibels) / 10)


DRAWINGS = (
    Drawing(
        "rate-distortion",
        "rate_distortion",
        "Test error against the size of the code",
        compute_rate_distortion,
        plot_rate_distortion,
    ),
)
