"""The sections of a study's report, in the order in which they are read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from analysis.page import background, tables
from analysis.page.drawings import Drawing
from analysis.page.headline import headline
from analysis.page.parts import Item, Page, Paragraph, Section, Table
from analysis.page.pictures import sample_pictures
from analysis.study_files import StudyFiles


def report_page(study: StudyFiles, drawings: Mapping[str, Sequence[Drawing]]) -> Page:
    """Return the report of a study; a section that has nothing to show is left out.

    Args:
        study: The study, finished or not.
        drawings: The figures of each section by the section's id, as `analysis.page.registry.DRAWINGS` has them.
    """

    def drawn(section: str) -> list[Item]:
        return [item for drawing in drawings.get(section, ()) for item in drawing.items(study)]

    def kept(*items: Item | None) -> list[Item]:
        return [item for item in items if item is not None]

    pictures = drawn("pictures")
    shown = frozenset(item.name for item in pictures if isinstance(item, Table))
    sections = [
        headline(study),
        Section("rate-distortion", "Error against the size of the code", drawn("rate-distortion")),
        _confirmation(study, drawn("confirmation")),
        Section(
            "pictures",
            "Pictures",
            [*sample_pictures(study, without=shown), *pictures],
            "Of test images, by the winner's network of the seed that was best on validation data.",
        ),
        Section("learning-curves", "Learning curves", drawn("learning-curves")),
        Section(
            "what-mattered",
            "What mattered",
            [*drawn("what-mattered"), *kept(tables.failures(study))],
            "Observational: settings were chosen together, and more often where they had been good. These figures say "
            "where to look next; they prove no cause.",
        ),
        Section("stopping", "Which trials were stopped", drawn("stopping")),
        Section("parallel-coordinates", "Every trial's settings", drawn("parallel-coordinates")),
        Section("pareto", "Several objectives", drawn("pareto")),
        Section("cost", "Cost against quality", drawn("cost")),
        Section("leaderboard", "Leaderboard", kept(tables.leaderboard(study), tables.baseline(study))),
    ]
    kind = study.about.get("settings", {}).get("space", "a space")
    return Page(
        title=f"Study {study.name}",
        lead=f"A study of {kind}: what was searched, what was found, how sure that is, and what it cost.",
        warning=study.partial,
        sections=[
            *(section for section in sections if section.items),
            background.settings(study),
            background.methods(study),
        ],
    )


def _confirmation(study: StudyFiles, drawn: list[Item]) -> Section:
    """Return the section on confirmation, which says so if there was none."""
    seeds = tables.seeds(study)
    items: list[Item] = [*drawn, *([] if seeds is None else [seeds])]
    if not (study.confirm["status"] == "completed").any():
        asked = study.about.get("settings", {}).get("confirm_top", 1)
        reason = "no confirmation run has been completed" if asked else "it was turned off (--confirm 0)"
        words = f"There is no confirmation: {reason}. No number of a network here is of the test images."
        items = [Paragraph(words, note=True), *items]
    intro = "The configs that were best on validation data, trained again on fresh seeds, and tested once."
    return Section("confirmation", "Confirmation", items, intro)
