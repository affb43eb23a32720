"""The sections of a study's report, in the order in which they are read."""

from __future__ import annotations

import pandas as pd

from analysis.figures import Drawings
from analysis.page import background, pictures, remarks
from analysis.page.headline import headline, verdict
from analysis.page.parts import Item, Page, Paragraph, Section, Table
from analysis.study_files import StudyFiles
from analysis.trials import compute_beyond, compute_leaderboard, given_and_suggested
from study.record.tables import UNMET

_REASON_WIDTH = 160  # characters of a reason; its whole text is in trials.csv


def report_page(study: StudyFiles, drawings: Drawings) -> Page:
    """Return the report of a study, finished or not, with these figures; a section without anything is left out."""

    def drawn(section: str) -> list[Item]:
        return [item for one in drawings if one.section == section for item in pictures.drawn(one, study)]

    def kept(*items: Item | None) -> list[Item]:
        return [item for item in items if item is not None]

    of_samples = drawn("pictures")
    shown = frozenset(item.name for item in of_samples if isinstance(item, Table))
    sections = [
        headline(study),
        remarks.section(study),
        Section("leaderboard", "Leaderboard", kept(_leaderboard(study), _beyond(study), _baseline(study))),
        Section("search", "How the search went", drawn("search")),
        Section("rate-distortion", "Error against the size of the code", drawn("rate-distortion")),
        _confirmation(study, drawn("confirmation")),
        Section(
            "ablation",
            "What earned the gain",
            drawn("ablation"),
            "An experiment: one parameter at a time takes the winner's value, each step the best on seeds of its own, "
            "and every config is trained again on seeds that chose nothing. Of validation images.",
        ),
        Section(
            "pictures",
            "Pictures",
            [*pictures.sample_pictures(study, without=shown), *of_samples],
            "Of test images, by the winner's network of the seed that was best on validation data."
            if study.chooses
            else "Of test images, by the first configuration's network of the first seed: nothing was chosen.",
        ),
        Section("learning-curves", "Learning curves", drawn("learning-curves")),
        Section(
            "what-mattered",
            "What mattered",
            [*drawn("what-mattered"), *kept(_failures(study))],
            f"Observational ({given_and_suggested(study)}): settings were chosen together. These figures say where to "
            "look next; they prove no cause.",
        ),
        Section("stopping", "Which trials were stopped", drawn("stopping")),
        Section("parallel-coordinates", "Every trial's settings", drawn("parallel-coordinates")),
        Section("pareto", "Several objectives", drawn("pareto")),
        Section("cost", "Cost against quality", _cost(study, drawn("cost"))),
    ]
    kind = study.settings.get("space", "a space")
    return Page(
        title=f"Study {study.name}",
        lead=f"A study of {kind}{_date(study)}",
        verdict=verdict(study),
        warning=" ".join(filter(None, (_no_measurement(study), study.partial))) or None,
        sections=[
            *(section for section in sections if section.items),
            background.settings(study),
            background.methods(study),
        ],
    )


def _cost(study: StudyFiles, drawn: list[Item]) -> list[Item]:
    """Return what there is on cost, hardware and energy first."""
    return [Paragraph(background.hardware(study)), *drawn] if drawn else []


def _date(study: StudyFiles) -> str:
    """Return when a study began, "" where its files do not say it."""
    started = study.about.get("started")  # not of an earlier version
    if started is None:
        return ""
    return f", begun on {remarks.written(started)}"


def _no_measurement(study: StudyFiles) -> str | None:
    """Return what has to be said of a smoke study, in a sentence; None for any other."""
    if not study.settings.get("smoke"):
        return None
    return "This is a smoke study, of a few images and epochs: it shows that the whole path works and measures nothing."


def _confirmation(study: StudyFiles, drawn: list[Item]) -> Section:
    """Return the section on confirmation, which says so if there was none."""
    seeds = _seeds(study)
    items: list[Item] = [*drawn, *([] if seeds is None else [seeds])]
    if not (study.confirm["status"] == "completed").any():
        asked = study.settings.get("confirm_top", 1)
        reason = "no confirmation run has been completed" if asked else "it was turned off (--confirm 0)"
        words = f"There is no confirmation: {reason}. No number of a network here is of the test images."
        items = [Paragraph(words, note=True), *items]
    return Section("confirmation", "Confirmation", items, background.confirmation(study))


def _leaderboard(study: StudyFiles) -> Table | None:
    """Return every trial that was completed or stopped, the best first; None if there is none."""
    metric = study.metric
    board = compute_leaderboard(study)
    if board.empty:
        return None
    numbers = [name for name in (metric, "pca", "regression", "ratio_to_pca") if name in board]
    first = ["trial_id", *numbers]  # what is looked for, where a phone shows it
    board = board[[*first, *(name for name in board if name not in first)]]
    caption = "Trials, completed before stopped ones, by their last epoch on validation data"
    if metric == "val_nelbo":
        board = board.rename(columns={"pca": "probabilistic PCA"})  # in nats, as the metric
    return Table("leaderboard", caption, _without_empty(board))


def _beyond(study: StudyFiles) -> Table | None:
    """Return the trials that do not keep the study's constraints; None if there are none."""
    table = compute_beyond(study)
    if table.empty:
        return None
    return Table("beyond", "Trials that do not keep a constraint: they can win nothing", _without_empty(table))


def _seeds(study: StudyFiles) -> Table | None:
    """Return every confirmation run with its test metrics."""
    shown = ("confirm_of", "seed", "status", "epochs", UNMET, study.metric)
    first = [name for name in shown if name in study.confirm]
    tests = [name for name in study.confirm if str(name).startswith("test_")]
    if study.confirm.empty:
        return None
    table = _without_empty(study.confirm[[*first, *tests]])
    if "seed" in table:
        table = table.assign(seed=table["seed"].astype("str"))  # a name, not a quantity
    return Table("confirmation_runs", "Each config and seed, with every test metric", table, folded=True)


def _baseline(study: StudyFiles) -> Table | None:
    """Return the baseline, a row per number of components."""
    if study.baseline.empty:
        return None
    linear = "test_accuracy" in study.baseline
    what = "Logistic regression on PCA codes" if linear else "PCA of the same training images"
    return Table("baseline", what, study.baseline, rows=60, folded=True)


def _failures(study: StudyFiles) -> Table | None:
    """Return how many trials and confirmation runs failed for which reason; None if none did."""
    runs = pd.concat([study.trials, study.confirm], ignore_index=True)
    failed = runs[runs["status"] == "failed"]
    if failed.empty:
        return None
    known = failed["reason"] if "reason" in failed else pd.Series("", index=failed.index)
    reasons = known.fillna("").map(_cut).replace("", "not recorded")
    counts = reasons.value_counts(sort=True).rename_axis("reason").reset_index(name="failed")
    share = counts["failed"] / len(runs)
    return Table("failures", "Why runs failed", counts.assign(share_of_all_runs=share))


def _cut(reason: str) -> str:
    line = " ".join(reason.split())
    return line if len(line) <= _REASON_WIDTH else line[: _REASON_WIDTH - 1] + "…"


def _without_empty(table: pd.DataFrame) -> pd.DataFrame:
    return table.dropna(axis="columns", how="all")
