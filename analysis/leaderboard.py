"""The best configs of a study beside PCA, in the terminal: `python analysis/leaderboard.py NAME`."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

if __package__ in (None, ""):
    # Run as a file: import the packages from the checkout, not this folder's modules from the top.
    sys.path[0] = str(Path(__file__).resolve().parents[1])

import pandas as pd

from analysis.study_files import StudyFiles, read_study

_SHOWN = ("trial_id", "status", "epochs", "params", "config.architecture", "config.latent_size", "config.optimizer")


def compute_leaderboard(study: StudyFiles, metric: str, mode: str, top: int) -> pd.DataFrame:
    """Return the best trials, completed before stopped ones, with PCA at the same number of components.

    Args:
        study: The study's tables.
        metric: The objective, such as "val_mse"; `mode`, "min" or "max", is its direction.
        top: The most rows to return.

    Returns:
        Columns `trial_id`, `status`, `epochs`, `params`, `config.*` of the network, the metric, and, where the metric
        is an error that PCA has too, `pca` and `ratio_to_pca`.
    """
    trials = study.trials
    if metric not in trials:
        return pd.DataFrame(columns=[*_SHOWN, metric])
    ended = trials[trials["status"].isin(["completed", "stopped"]) & trials[metric].notna()]
    ended = ended.assign(stopped=ended["status"] != "completed")
    order = ["stopped", metric]
    best = ended.sort_values(order, ascending=[True, mode == "min"], kind="stable").head(top)
    table = best[[name for name in _SHOWN if name in best] + [metric]]
    if metric != "val_mse":
        return table  # PCA has no other metric at a latent size
    pca = study.baseline.set_index("n_components")[metric]
    at_size = table["config.latent_size"].map(pca)
    return table.assign(pca=at_size, ratio_to_pca=table[metric] / at_size)


def compute_confirmation(study: StudyFiles, metric: str, mode: str) -> pd.DataFrame:
    """Return, per confirmed config, the number of seeds and the mean and standard deviation of its metrics.

    Args:
        study: The study's tables.
        metric: The objective on validation data; its namesake on test data comes beside it.
        mode: "min" or "max".
    """
    columns = [metric, metric.replace("val_", "test_", 1)]
    done = study.confirm[study.confirm["status"] == "completed"]
    if done.empty:
        return pd.DataFrame()
    grouped = done.groupby("confirm_of", sort=False)[columns].agg(["count", "mean", "std"])
    table = pd.DataFrame({"seeds": grouped[(metric, "count")]})
    for column in columns:
        table[column] = grouped[(column, "mean")]
        table[f"± {column}"] = grouped[(column, "std")]
    return table.sort_values(metric, ascending=mode == "min").reset_index()


def main(argv: list[str] | None = None) -> int:
    """Print a study's leaderboard; 2 if there is no such study."""
    parser = argparse.ArgumentParser(prog="analysis/leaderboard.py", description=__doc__)
    parser.add_argument("name", help="the study's name")
    parser.add_argument("--storage", default="results", type=Path, help="default results")
    parser.add_argument("--top", default=10, type=int, metavar="N", help="rows; default 10")
    options = parser.parse_args(argv)
    try:
        study = read_study(options.name, options.storage)
    except FileNotFoundError as error:
        print(f"leaderboard: {error}", file=sys.stderr)
        return 2
    metric, mode = study.about["objective"]["metric"], study.about["objective"]["mode"]
    counts = study.trials["status"].value_counts()
    print(f"{options.name}: " + ", ".join(f"{count} {status}" for status, count in counts.items()))
    if study.summary is None:
        print("This study is not finished; the tables are what it has so far.")
    print("\nBest trials (validation data, last epoch)")
    print(compute_leaderboard(study, metric, mode, options.top).to_string(index=False))
    confirmation = compute_confirmation(study, metric, mode)
    if not confirmation.empty:
        print("\nConfirmed (mean over fresh seeds)")
        print(confirmation.to_string(index=False))
    return 0


if __name__ == "__main__":
    sys.exit(main())
