"""What the figures ask of a study's trials: the objective, the ended trials best first, values at an epoch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from analysis.study_files import StudyFiles

_HIGHER_IS_BETTER = ("accuracy", "psnr", "ssim", "active_units")


@dataclass(frozen=True)
class Objective:
    """A metric and its direction, "min" or "max"."""

    metric: str
    mode: str

    @property
    def sign(self) -> int:
        """What makes smaller better."""
        return 1 if self.mode == "min" else -1

    @property
    def test_metric(self) -> str:
        """Its namesake on the test split."""
        return self.metric.replace("val_", "test_", 1)


def objective_of(study: StudyFiles) -> Objective:
    """Return what the study's trials are ranked by."""
    return Objective(study.about["objective"]["metric"], study.about["objective"]["mode"])


def objectives_of(study: StudyFiles) -> list[Objective]:
    """Return every objective of a study, more than one where it looked for a Pareto front."""
    main = objective_of(study)
    names = study.about.get("settings", {}).get("objectives") or [main.metric]
    return [
        main
        if name == main.metric
        else Objective(name, "max" if any(name.endswith(end) for end in _HIGHER_IS_BETTER) else "min")
        for name in names
    ]


def numbers(table: pd.DataFrame, column: str) -> pd.Series:
    """Return a column as floats, NaN where it is missing, infinite or no number."""
    if column not in table:
        return pd.Series(np.nan, index=table.index, dtype=float)
    return pd.to_numeric(table[column], errors="coerce").astype(float).replace([np.inf, -np.inf], np.nan)


def records(table: pd.DataFrame) -> list[Any]:
    """Return the rows as named tuples; what type a field has is the table's affair."""
    return list(table.itertuples())


def ended_trials(study: StudyFiles) -> pd.DataFrame:
    """Return the completed and stopped trials that have the objective, best first.

    Completed trials come before stopped ones, and those before others that were stopped after fewer epochs, as a study
    ranks them. `value` is the objective after the trial's last epoch, `rank` counts from 1.
    """
    objective = objective_of(study)
    trials = study.trials.assign(value=numbers(study.trials, objective.metric))
    ended = trials[trials["status"].isin(["completed", "stopped"]) & trials["value"].notna()]
    order = pd.DataFrame(
        {
            "stopped": ended["status"] != "completed",
            "short": np.where(ended["status"] != "completed", -numbers(ended, "epochs"), 0.0),
            "value": objective.sign * ended["value"],
        },
        index=ended.index,
    ).sort_values(["stopped", "short", "value"], kind="stable")
    ranked = ended.loc[order.index].reset_index(drop=True)
    return ranked.assign(rank=np.arange(1, len(ranked) + 1))


def completed_confirmations(study: StudyFiles) -> pd.DataFrame:
    """Return the confirmation runs that have the objective, with it as `value` and its namesake as `test_value`."""
    objective = objective_of(study)
    runs = study.confirm
    if "confirm_of" not in runs:
        return pd.DataFrame(columns=["confirm_of", "seed", "status", "value", "test_value"])
    runs = runs.assign(value=numbers(runs, objective.metric), test_value=numbers(runs, objective.test_metric))
    return runs[(runs["status"] == "completed") & runs["value"].notna()].reset_index(drop=True)


def confirmed_order(study: StudyFiles) -> list[str]:
    """Return the confirmed configs, the winner first: most seeds, then the best mean validation value."""
    runs = completed_confirmations(study)
    if runs.empty:
        return []
    groups = runs.groupby("confirm_of", sort=False)["value"]
    order = pd.DataFrame({"n": -groups.size(), "mean": objective_of(study).sign * groups.mean()})
    return [str(name) for name in order.sort_values(["n", "mean"], kind="stable").index]


def matched_epoch(study: StudyFiles, trials: pd.DataFrame) -> int | None:
    """Return the last epoch that nine tenths of these trials reached, None without a history of them.

    Compared at it, trials differ by their settings and not by how long they were allowed to train; and it is not only
    the survivors that are compared.
    """
    history = study.history[study.history["trial_id"].isin(trials["trial_id"])]
    if history.empty:
        return None
    reached = history.groupby("trial_id")["epoch"].max().to_numpy()
    return int(np.quantile(reached, 0.1, method="lower"))


def values_at_epoch(study: StudyFiles, metric: str, epoch: int) -> pd.Series:
    """Return a metric at an epoch by trial_id, without the trials that have none there."""
    rows = study.history[study.history["epoch"] == epoch]
    values = numbers(rows, metric)
    return pd.Series(values.to_numpy(), index=rows["trial_id"].to_numpy()).dropna()
