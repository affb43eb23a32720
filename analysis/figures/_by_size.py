"""A metric by latent size, of trials and of what was confirmed, beside PCA's: what figures of errors and nats share."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from analysis.figures import style
from analysis.study_files import StudyFiles
from analysis.trials import completed_confirmations, confirmed_order, mean_of, numbers, records, unmet_by_mean
from analysis.words import interval_text
from study.record.metrics import on_test
from study.record.tables import UNMET
from study.record.words import counted

_HEIGHT = 3.0  # inches of a panel


@dataclass(frozen=True, eq=False)
class BySize:
    """Trials, confirmed configs and PCA by latent size.

    Attributes:
        trials: a row per ended trial, as of `by_size`.
        confirmed: a row per confirmed config, as of `confirmed_by_size`, the winner first.
        pca: n_components, and a metric on validation and on test images.
    """

    trials: pd.DataFrame
    confirmed: pd.DataFrame
    pca: pd.DataFrame

    def table(self) -> pd.DataFrame:
        """Return trials and confirmed configs below each other; `what` says which."""
        table = pd.concat([self.trials.assign(what="trial"), self.confirmed.assign(what="confirmed")])
        return table.reset_index(drop=True)

    @property
    def sizes(self) -> pd.Series:
        """The latent sizes of all of them."""
        found: pd.Series = pd.concat([self.trials["latent_size"], self.confirmed["latent_size"]])
        return found

    @property
    def near_pca(self) -> pd.DataFrame:
        """The part of `pca` that lies around the networks' sizes."""
        sizes = self.sizes
        return self.pca[self.pca["n_components"].between(sizes.min() / 2, sizes.max() * 2)]


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


def interval_of_test(first: pd.Series) -> str:
    """Return the interval and the seeds of a row of `confirmed_by_size` in brackets, nothing where it has none."""
    if not np.isfinite(first["test_low"]):
        return ""
    return f" ({interval_text(first['test_low'], first['test_high'])}, {counted(first['seeds'], 'seed')})"


def panels(data: BySize, metric: str, pca: pd.DataFrame, curve: str, below: str) -> tuple[Figure, dict[str, Axes]]:
    """Draw a validation metric of the trials, and its test namesake of what was confirmed, both beside PCA's curve.

    Args:
        data: What is drawn.
        metric: Without its split, such as "mse".
        pca: The rows of `data.pca` that are drawn.
        curve: What PCA is called.
        below: What the axis of sizes is called.

    Returns:
        The figure, and its panels by split, "val" and "test", each where it has anything.
    """
    splits = [split for split, rows in (("val", data.trials), ("test", data.confirmed)) if not rows.empty]
    drawn, axes = style.figure(1.0 + _HEIGHT * len(splits), len(splits), sharex=True)
    marks = style.marks([*data.trials["architecture"], *data.confirmed["architecture"]])
    for axis, split in zip(axes, splits, strict=True):
        known = pca[pca[f"{split}_{metric}"].notna()]
        axis.plot(known["n_components"], known[f"{split}_{metric}"], color=style.INK, linewidth=1.4, label=curve)
        if split == "val":
            _scatter(axis, data.trials, f"val_{metric}", marks)
        else:
            _intervals(axis, data.confirmed, f"test_{metric}", marks, named="val" not in splits)
        style.title(axis, "Trials, on validation images" if split == "val" else "Confirmed, on test images")
        axis.set_xlim(data.sizes.min() / 1.6, data.sizes.max() * 1.6)
        style.log_axis(axis, "x")
    axes[-1].set_xlabel(below)
    style.legend_below(drawn, axes[0])
    return drawn, dict(zip(splits, axes, strict=True))


def _scatter(axis: Axes, trials: pd.DataFrame, metric: str, marks: dict[str, tuple[str, str]]) -> None:
    """Draw a metric of trials by their latent size, with a mark per architecture."""
    for name, rows in trials.groupby("architecture", sort=False):
        colour, marker = marks[str(name)]
        axis.scatter(
            rows["latent_size"], rows[metric], 42, colour, marker=marker, alpha=0.75, linewidths=0, label=str(name)
        )


def _intervals(
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
