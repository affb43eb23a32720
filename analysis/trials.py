"""What is asked of a study's trials and confirmations: the objectives, who is best, values at an epoch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from analysis.study_files import StudyFiles
from study.record import constraints, intervals, metrics, ranking
from study.record.events import LIMITS, RANKED
from study.record.intervals import Interval
from study.record.metrics import Mode
from study.record.tables import UNMET
from study.record.words import counted

_SHOWN = ("trial_id", "status", "epochs", "params", "config.architecture", "config.latent_size", "config.optimizer")


@dataclass(frozen=True)
class Objective:
    """A metric and its direction, "min" or "max"."""

    metric: str
    mode: Mode

    @property
    def sign(self) -> int:
        """What makes smaller better."""
        return metrics.sign(self.mode)

    @property
    def test_metric(self) -> str:
        """Its namesake on the test split."""
        return metrics.on_test(self.metric)


def objective_of(study: StudyFiles) -> Objective:
    """Return what the study's trials are ranked by."""
    return Objective(study.metric, study.about["objective"]["mode"])


def objectives_of(study: StudyFiles) -> list[Objective]:
    """Return every objective of a study, more than one where it looked for a Pareto front."""
    main = objective_of(study)
    names = study.settings.get("objectives") or [main.metric]
    return [main if name == main.metric else Objective(name, metrics.mode(name)) for name in names]


def numbers(table: pd.DataFrame, column: str) -> pd.Series:
    """Return a column as floats, NaN where it is missing, infinite or no number."""
    if column not in table:
        return pd.Series(np.nan, index=table.index, dtype=float)
    return pd.to_numeric(table[column], errors="coerce").astype(float).replace([np.inf, -np.inf], np.nan)


def trained_seconds(study: StudyFiles) -> float:
    """Return the seconds of training of all runs of a study."""
    tables = (study.trials, study.spread, study.confirm)
    return float(sum(table["seconds"].sum() for table in tables if "seconds" in table))


def records(table: pd.DataFrame) -> list[Any]:
    """Return the rows as named tuples; what type a field has is the table's affair."""
    return list(table.itertuples())


def mean_of(values: ArrayLike, metric: str | None = None) -> Interval:
    """Return the mean of values with its interval, cut at the limits of a metric; NaN where there is no value."""
    known: Sequence[float] = np.asarray(values, dtype=float).tolist()
    limits = metrics.limits(metric) if metric else ()
    return intervals.mean_interval(known, *limits) if known else Interval(float("nan"), None, None, 0)


def columns_of(interval: Interval, prefix: str = "") -> dict[str, float]:
    """Return the columns mean, low and high of a table, NaN where there is no interval."""
    low, high = interval.ci95 or (np.nan, np.nan)
    return {f"{prefix}mean": interval.mean, f"{prefix}low": low, f"{prefix}high": high}


def ended_trials(study: StudyFiles) -> pd.DataFrame:
    """Return the completed and stopped trials that have the objective, best first, as a study ranks them.

    `value` is the objective after the trial's last epoch, `rank` counts from 1. Those that do not keep the study's
    constraints are left out.
    """
    objective = objective_of(study)
    trials = keeping(study.trials)
    trials = trials.assign(value=numbers(trials, objective.metric))
    ended = trials[trials["status"].isin(RANKED) & trials["value"].notna()]
    epochs = numbers(ended, "epochs").fillna(0).astype(int)
    keys = [
        ranking.trial_key(status, reached, value, place, objective.mode)
        for place, (status, reached, value) in enumerate(zip(ended["status"], epochs, ended["value"], strict=True))
    ]
    order = [place for *_, place in sorted(keys)]
    ranked = ended.iloc[order].reset_index(drop=True)
    return ranked.assign(rank=np.arange(1, len(ranked) + 1))


def ranked_words(count: int) -> str:
    """Return so many of `ended_trials` in words; a study has more trials where some failed or run."""
    return f"{counted(count, 'ranked trial')} (completed or stopped)"


def keeping(runs: pd.DataFrame) -> pd.DataFrame:
    """Return the runs that keep every constraint of their study; all where it has none."""
    return runs[runs[UNMET].fillna("") == ""] if UNMET in runs else runs


def compute_beyond(study: StudyFiles) -> pd.DataFrame:
    """Return the completed and stopped trials that do not keep a constraint, and which: they take part in no ranking.

    Columns `trial_id`, `unmet`, `status`, `epochs`, `params`, the network's `config.*` and the metric.
    """
    ended = study.trials[study.trials["status"].isin(RANKED)]
    rows = ended.drop(keeping(ended).index)
    asked = [one.name for one in constraints.of_settings(study.settings)]
    columns = ["trial_id", UNMET, *_SHOWN[1:], study.metric, *asked, *(f"config.{name}" for name in asked)]
    return rows[[name for name in dict.fromkeys(columns) if name in rows]].reset_index(drop=True)


def suggested(trials: pd.DataFrame) -> pd.DataFrame:
    """Return the trials that the sampler suggested; given ones, the default and those of a report, have a key."""
    return trials[trials["key"].fillna("") == ""] if "key" in trials else trials


def given_and_suggested(study: StudyFiles) -> str:
    """Return how many trials were given and how many suggested, "3 given, 5 suggested"."""
    count = len(suggested(study.trials))
    return f"{len(study.trials) - count:,} given, {count:,} suggested"


def is_cut_off(trials: pd.DataFrame) -> pd.Series:
    """Return whether each trial was stopped because the search had reached a limit, and not by the scheduler."""
    reasons = trials["reason"] if "reason" in trials else pd.Series("", index=trials.index)
    return (trials["status"] == "stopped") & reasons.fillna("").str.startswith(
        tuple(f"by the {limit}" for limit in LIMITS)
    )


def compute_leaderboard(study: StudyFiles, top: int | None = None) -> pd.DataFrame:
    """Return the best trials, with PCA at the same number of components.

    Args:
        study: The study's tables.
        top: The most rows to return; all by default.

    Returns:
        Columns `trial_id`, `status`, `epochs`, `params`, `config.*` of the network, the metric, and, where the baseline
        has it too, `pca`, or `regression` of an accuracy; of an error also `ratio_to_pca`.
    """
    metric = study.metric
    if metric not in study.trials:
        return pd.DataFrame(columns=[*_SHOWN, metric])
    best = ended_trials(study).head(top if top is not None else len(study.trials))
    table = best[[name for name in _SHOWN if name in best] + [metric]]
    baseline = baseline_at(study, numbers(table, "config.latent_size"), "val")
    if baseline.isna().all() and metric != "val_mse":
        return table
    name = "regression" if metric == "val_accuracy" else "pca"
    table = table.assign(**{name: baseline})
    return table.assign(ratio_to_pca=table[metric] / baseline) if metric == "val_mse" else table


def pca_is_clipped(study: StudyFiles) -> bool:
    """Whether PCA's reconstructions were clipped to [0, 1], and networks'; an earlier version clipped neither."""
    return any(numbers(study.baseline, f"{split}_mse_clipped").notna().any() for split in ("val", "test"))


def pca_errors(study: StudyFiles) -> pd.DataFrame:
    """Return PCA's errors that networks' compare with, clipped if theirs are: n_components, val_mse, test_mse."""
    ending = "_clipped" if pca_is_clipped(study) else ""
    columns = {"n_components": "n_components", "val_mse": f"val_mse{ending}", "test_mse": f"test_mse{ending}"}
    return pd.DataFrame({name: numbers(study.baseline, column) for name, column in columns.items()})


def pca_nats(study: StudyFiles) -> pd.DataFrame:
    """Return the nats of probabilistic PCA that a VAE's compare with, ascending; empty where none were measured.

    Columns n_components, val_nelbo and test_nelbo: with at most so many components, of as many as have the fewest
    nats on validation images, as the study's own verdict has it.
    """
    columns = {"n_components": "n_components", "val_nelbo": "val_nelbo_clipped", "test_nelbo": "test_nelbo_clipped"}
    rows = pd.DataFrame({name: numbers(study.baseline, column) for name, column in columns.items()})
    rows = rows[rows["n_components"].notna() & rows["val_nelbo"].notna()].sort_values("n_components")
    best = [int(rows["val_nelbo"].iloc[: end + 1].argmin()) for end in range(len(rows))]
    chosen = rows[["val_nelbo", "test_nelbo"]].iloc[best].reset_index(drop=True)
    return chosen.assign(n_components=rows["n_components"].to_numpy())


def baseline_at(study: StudyFiles, latent_sizes: pd.Series, split: str) -> pd.Series:
    """Return what the baseline has of the objective on a split, for each latent size; NaN where it was not measured.

    Of an autoencoder's error PCA's at that size, of its ratio to that 1, of a VAE's nats those of probabilistic PCA of
    at most that size, of an accuracy that of the logistic regression that is best on validation images, whatever the
    size.
    """
    metric = study.metric
    missing = pd.Series(np.nan, index=latent_sizes.index, dtype=float)
    if metric == "val_mse":
        pca = pca_errors(study).dropna(subset=["n_components"]).drop_duplicates("n_components")
        return latent_sizes.map(pca.set_index("n_components")[f"{split}_mse"]).astype(float)
    if metric == metrics.RATIO:  # PCA's error over itself
        pca = pca_errors(study).dropna(subset=[f"{split}_mse"])
        return missing.mask(latent_sizes.isin(pca["n_components"]), 1.0)
    if metric == "val_nelbo":
        nats = pca_nats(study)
        return missing if nats.empty else nats_at(nats, latent_sizes)[f"{split}_nelbo"]
    best = numbers(study.baseline, "val_accuracy").fillna(numbers(study.baseline, "n_components") * 0)
    if metric != "val_accuracy" or best.isna().all() or f"{split}_accuracy" not in study.baseline:
        return missing
    rows = study.baseline.assign(best=best).sort_values(["best", "n_components"])
    return missing.fillna(float(numbers(rows, f"{split}_accuracy").iloc[-1]))


def nats_at(nats: pd.DataFrame, latent_sizes: pd.Series) -> pd.DataFrame:
    """Return the row of `pca_nats` for each latent size, NaN where PCA was not measured with so few components."""
    places = np.searchsorted(nats["n_components"], latent_sizes.astype(float), side="right") - 1
    return nats.reindex(places).set_index(latent_sizes.index)


def completed_confirmations(study: StudyFiles) -> pd.DataFrame:
    """Return the confirmation runs that have the objective, with it as `value` and its namesake as `test_value`.

    Without validation images no run has it, and its namesake is enough. Where some seeds chose the winner, `value` is
    of these alone, and missing in those that report on it. `test_value` is, as in summary.json, of the seeds that
    report on a config where there are any: in a study of reported configurations those that chose have one, too.
    """
    objective = objective_of(study)
    runs = study.confirm
    runs = runs.assign(value=numbers(runs, objective.metric), test_value=numbers(runs, objective.test_metric))
    measured = runs["value"] if runs["value"].notna().any() else runs["test_value"]
    runs = runs[(runs["status"] == "completed") & measured.notna()].reset_index(drop=True)
    if "role" in runs and (runs["role"] == "choose").any():
        chose, reports = runs["role"] == "choose", runs["role"] == "report"
        with_fresh = runs["confirm_of"].isin(runs.loc[reports & runs["test_value"].notna(), "confirm_of"])
        runs["value"] = runs["value"].mask(reports)
        runs["test_value"] = runs["test_value"].mask(chose & with_fresh)
    return runs


def by_role(runs: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the confirmation runs that chose the winner, and those that report."""
    roles = runs["role"] if "role" in runs else pd.Series("", index=runs.index)
    return runs[roles == "choose"], runs[roles != "choose"]


def confirmed_order(study: StudyFiles) -> list[str]:
    """Return the confirmed configs, the winner first: as the study's summary has them, once it has ended.

    Until then by the rule of its choice: most seeds, then the best mean validation value. Those that took no part in it
    come last, and before them those that do not keep the study's constraints.
    """
    runs = completed_confirmations(study)
    said = [str(one.get("id")) for one in (study.summary or {}).get("confirmed", ())]
    seeds = {str(name): values.dropna().tolist() for name, values in runs.groupby("confirm_of", sort=False)["value"]}
    order = ranking.confirmed_order(seeds, objective_of(study).mode, list(unmet_by_mean(study, runs)))
    return list(dict.fromkeys([*(name for name in said if name in seeds), *order, *seeds]))


def unmet_by_mean(study: StudyFiles, runs: pd.DataFrame) -> dict[str, str]:
    """Return which constraints confirmed configs do not keep in the mean over the seeds that have a `value`, in words.

    Args:
        study: The study's tables.
        runs: What `completed_confirmations` returns.
    """
    asked = constraints.of_settings(study.settings)
    found = {}
    for name, rows in runs[runs["value"].notna()].groupby("confirm_of", sort=False):
        named = rows.rename(columns=lambda column: str(column).removeprefix("config."))
        seeds = [dict(zip(named.columns, row, strict=True)) for row in named.itertuples(index=False, name=None)]
        if beyond := constraints.unmet_by_mean(asked, seeds):
            found[str(name)] = constraints.said(beyond)
    return found


def compute_confirmed(study: StudyFiles) -> pd.DataFrame:
    """Return, per confirmed config, the winner first, its seeds and the means of its metrics.

    The seeds are those of its test metric; of its validation metric where it was not tested.

    The metrics are the objective and its namesake on test images, each with the ends of its 95 % interval over the
    seeds, `METRIC_low` and `METRIC_high`, and with `METRIC_baseline`, what the baseline has on the same images at the
    size of the config's code; missing where the config has no such metric.
    """
    objective = objective_of(study)
    runs = completed_confirmations(study)
    if runs.empty:
        return pd.DataFrame()
    columns = {"val": (objective.metric, "value"), "test": (objective.test_metric, "test_value")}
    rows, beyond = [], unmet_by_mean(study, runs)
    for name in confirmed_order(study):
        mine = runs[runs["confirm_of"] == name]
        seeds = mine["test_value"].count() or mine["value"].count()
        row: dict[str, object] = {"confirm_of": name, "seeds": seeds}
        for metric, column in columns.values():
            found = columns_of(mean_of(mine[column].dropna(), metric))
            row |= {metric: found["mean"], f"{metric}_low": found["low"], f"{metric}_high": found["high"]}
        row |= {UNMET: beyond.get(name, "")} if beyond else {}
        rows.append(row | {"size": numbers(mine, "config.latent_size").iloc[0]})
    table = pd.DataFrame(rows)
    for split, (metric, _) in columns.items():
        table[f"{metric}_baseline"] = baseline_at(study, table["size"], split).where(table[metric].notna())
    return table.drop(columns="size")


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
