"""The tables of a report that belong to no figure."""

from __future__ import annotations

import pandas as pd

from analysis.leaderboard import compute_leaderboard
from analysis.page.parts import Table
from analysis.study_files import StudyFiles

_REASON_WIDTH = 160  # characters of a reason; its whole text is in trials.csv


def leaderboard(study: StudyFiles) -> Table | None:
    """Return every trial that was completed or stopped, the best first; None if there is none."""
    metric, mode = _objective(study)
    board = compute_leaderboard(study, metric, mode, top=len(study.trials))
    if board.empty:
        return None
    numbers = [name for name in (metric, "pca", "ratio_to_pca") if name in board]
    first = ["trial_id", *numbers]  # what is looked for, where a phone shows it
    board = board[[*first, *(name for name in board if name not in first)]]
    caption = "Trials, completed before stopped ones, by their last epoch on validation data"
    return Table("leaderboard", caption, _without_empty(board))


def seeds(study: StudyFiles) -> Table | None:
    """Return every confirmation run with its test metrics."""
    metric, _ = _objective(study)
    first = [name for name in ("confirm_of", "seed", "status", "epochs", metric) if name in study.confirm]
    tests = [name for name in study.confirm if str(name).startswith("test_")]
    if study.confirm.empty:
        return None
    table = _without_empty(study.confirm[[*first, *tests]])
    if "seed" in table:
        table = table.assign(seed=table["seed"].astype("str"))  # a name, not a quantity
    return Table("confirmation_runs", "Each config and seed, with every test metric", table, folded=True)


def baseline(study: StudyFiles) -> Table | None:
    """Return the baseline, a row per number of components."""
    if study.baseline.empty:
        return None
    linear = "test_accuracy" in study.baseline
    what = "Logistic regression on PCA codes" if linear else "PCA of the same training images"
    return Table("baseline", what, study.baseline, rows=60, folded=True)


def failures(study: StudyFiles) -> Table | None:
    """Return how many trials and confirmation runs failed for which reason; None if none did."""
    runs = pd.concat([study.trials, study.confirm], ignore_index=True)
    failed = runs[runs["status"] == "failed"]
    if failed.empty:
        return None
    known = failed["reason"] if "reason" in failed else pd.Series("", index=failed.index)
    reasons = known.fillna("").map(_one_line).replace("", "not recorded")
    counts = reasons.value_counts(sort=True).rename_axis("reason").reset_index(name="failed")
    share = counts["failed"] / len(runs)
    return Table("failures", "Why runs failed", counts.assign(share_of_all_runs=share))


def _one_line(reason: str) -> str:
    line = " ".join(str(reason).split())
    return line if len(line) <= _REASON_WIDTH else line[: _REASON_WIDTH - 1] + "…"


def _objective(study: StudyFiles) -> tuple[str, str]:
    return study.about["objective"]["metric"], study.about["objective"]["mode"]


def _without_empty(table: pd.DataFrame) -> pd.DataFrame:
    return table.dropna(axis="columns", how="all")
