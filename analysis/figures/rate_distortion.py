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
from analysis.study_files import StudyFiles
from analysis.trials import (
    completed_confirmations,
    confirmed_order,
    ended_trials,
    mean_of,
    numbers,
    pca_errors,
    pca_is_clipped,
    records,
    unmet_by_mean,
)
from analysis.words import interval_text
from study.record.metrics import PCA_ERROR_FLOOR, on_test
from study.record.tables import UNMET
from study.record.words import counted, number


@dataclass(frozen=True, eq=False)
class RateDistortion:
    """Trials, confirmed configs and PCA by latent size.

    Attributes:
        trials: a row per ended trial: trial_id, architecture, latent_size, val_mse, pca_val_mse at that size,
            equivalent_rank and, where PCA's curve does not reach so far, equivalent_rank_beyond ("below", "above").
        confirmed: a row per confirmed config, the winner first: the same, with val_mse as the mean over its seeds,
            test_mse, test_low and test_high (95 %), pca_test_mse and ratio_to_pca on the test split.
        pca: n_components, val_mse, test_mse.
        clipped: whether the reconstructions were clipped to [0, 1] before their errors were taken, PCA's and networks'.
    """

    trials: pd.DataFrame
    confirmed: pd.DataFrame
    pca: pd.DataFrame
    clipped: bool = True

    def table(self) -> pd.DataFrame:
        """Return trials and confirmed configs below each other; `what` says which, PSNR is −10 log10 of the MSE."""
        table = pd.concat([self.trials.assign(what="trial"), self.confirmed.assign(what="confirmed")])
        for split in ("val", "test"):
            if f"{split}_mse" in table:
                table[f"{split}_psnr_of_mse"] = -10 * np.log10(table[f"{split}_mse"].astype(float))
        return table.reset_index(drop=True)

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
            error = f"{who} has a test MSE of {number(best['test_mse'], 4)}"
            if np.isfinite(best["test_low"]):
                error += f" ({interval_text(best['test_low'], best['test_high'])}, {counted(best['seeds'], 'seed')})"
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


def by_size(rows: pd.DataFrame, name: str, metric: str = "val_mse") -> pd.DataFrame:
    """Return the columns `name`, architecture, latent_size and a validation metric, without rows that lack either."""
    found = pd.DataFrame(
        {
            name: rows.get(name),
            "architecture": rows.get("config.architecture", pd.Series(dtype=object)),
            "latent_size": numbers(rows, "config.latent_size"),
            metric: numbers(rows, metric),
        }
    )
    measured = found[metric].notna() | numbers(rows, on_test(metric)).notna()
    return found[found["latent_size"].notna() & measured]


def confirmed_by_size(study: StudyFiles, metric: str = "val_mse") -> pd.DataFrame:
    """Return a row per confirmed config, the winner first, with the mean of a metric and its test namesake's interval.

    Columns confirm_of, architecture, latent_size, the metric, its namesake, test_low, test_high and seeds; `UNMET`
    where a config does not keep constraints in the mean. Those that do come first.
    """
    runs, test_metric = completed_confirmations(study), on_test(metric)
    rows = by_size(runs, "confirm_of", metric).assign(**{test_metric: numbers(runs, test_metric)})
    found = []
    for name in confirmed_order(study):
        mine = rows[rows["confirm_of"] == name]
        if mine[test_metric].isna().all():
            continue
        chose, tested = runs.loc[mine.index, "value"].notna(), runs.loc[mine.index, "test_value"].notna()
        test = mean_of(mine.loc[tested, test_metric].dropna(), test_metric)
        found.append(
            {
                "confirm_of": name,
                "architecture": mine["architecture"].iloc[0],
                "latent_size": mine["latent_size"].iloc[0],
                metric: mine.loc[chose if chose.any() else mine.index, metric].mean(),
                test_metric: test.mean,
                "test_low": test.ci95[0] if test.ci95 else np.nan,
                "test_high": test.ci95[1] if test.ci95 else np.nan,
                "seeds": test.n,
            }
        )
    table = pd.DataFrame(found, columns=None if found else ["architecture", "latent_size", metric, test_metric])
    if found and (beyond := unmet_by_mean(study, runs)):
        table[UNMET] = table["confirm_of"].map(beyond).fillna("")
    return table


def named(first: pd.Series) -> str:
    """Return what the first row of `confirmed_by_size` is to a reader: the winner, where anything has won."""
    unmet = first.get(UNMET)
    return f"The first confirmed config, no winner, as it does not keep {unmet}," if unmet else "The confirmed winner"


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
    panels = [split for split, rows in (("val", data.trials), ("test", data.confirmed)) if not rows.empty]
    drawn, axes = style.figure(1.0 + 3.1 * len(panels), len(panels), sharex=True)
    marks = style.marks([*data.trials["architecture"], *data.confirmed["architecture"]])
    for axis, split in zip(axes, panels, strict=True):
        pca = data.pca[data.pca[f"{split}_mse"].notna()]
        axis.plot(pca["n_components"], pca[f"{split}_mse"], color=style.INK, linewidth=1.4, label="PCA")
        if split == "val":
            scatter(axis, data.trials, "val_mse", marks)
        else:
            intervals(axis, data.confirmed, "test_mse", marks, named="val" not in panels)
        style.title(axis, "Trials, on validation images" if split == "val" else "Confirmed, on test images")
        axis.set_ylabel("MSE per pixel")
        _zoom(axis, data, split)
        style.log_axis(axis, "y")
        style.log_axis(axis, "x")
        decibels = axis.secondary_yaxis("right", functions=(_psnr, _mse))
        decibels.set_ylabel("PSNR (dB)", fontsize=10)
        # A function axis of a logarithmic one takes over its scale; decibels are logarithmic already.
        decibels.yaxis.set_major_locator(MaxNLocator(6))
        decibels.yaxis.set_major_formatter(FuncFormatter(lambda value, _: number(value)))
        decibels.yaxis.set_minor_locator(NullLocator())
        decibels.tick_params(labelsize=9)
    axes[-1].set_xlabel("latent size, or components of PCA")
    style.legend_below(drawn, axes[0])
    return drawn


def scatter(axis: Axes, trials: pd.DataFrame, metric: str, marks: dict[str, tuple[str, str]]) -> None:
    """Draw a metric of trials by their latent size, with a mark per architecture."""
    for name, rows in trials.groupby("architecture", sort=False):
        colour, marker = marks[str(name)]
        axis.scatter(
            rows["latent_size"], rows[metric], 42, colour, marker=marker, alpha=0.75, linewidths=0, label=str(name)
        )


def intervals(
    axis: Axes, confirmed: pd.DataFrame, metric: str, marks: dict[str, tuple[str, str]], *, named: bool
) -> None:
    """Draw the means of a metric and their intervals, columns `test_low` and `test_high`, by latent size."""
    seen: set[str] = set()
    for row in records(confirmed):
        colour, marker = marks[row.architecture]
        mean = getattr(row, metric)
        spread = [[mean - row.test_low], [row.test_high - mean]]
        axis.errorbar(
            row.latent_size,
            mean,
            yerr=np.nan_to_num(spread),
            color=colour,
            marker=marker,
            markersize=8,
            capsize=4,
            label=row.architecture if named and row.architecture not in seen else None,
        )
        seen.add(row.architecture)


def _zoom(axis: Axes, data: RateDistortion, split: str) -> None:
    """Show the sizes and errors that networks had, and PCA around them."""
    sizes = pd.concat([data.trials["latent_size"], data.confirmed["latent_size"]])
    errors = pd.concat([data.trials["val_mse"]] if split == "val" else [data.confirmed["test_mse"]])
    pca = data.pca[data.pca["n_components"].between(sizes.min() / 2, sizes.max() * 2)][f"{split}_mse"].dropna()
    pca = pca[pca > errors.min() / 20]
    everything = pd.concat([errors, pca])
    axis.set_xlim(sizes.min() / 1.6, sizes.max() * 1.6)
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
