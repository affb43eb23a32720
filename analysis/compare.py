"""Studies side by side: the winner of each with its intervals, and which of two is better where that can be said.

One verdict for each two studies of the same data, family and budget (trials, epochs), by what both are ranked by, on
test images; Holm's correction is over all of them. Other metrics are shown without a verdict.

Examples:
    python analysis/compare.py night-ae night-vae
    python analysis/compare.py mnist fashion cifar --csv compared.csv --out compared.html
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

if __package__ in (None, ""):
    # Run as a file: import the packages from the checkout, not this folder's modules from the top.
    sys.path[0] = str(Path(__file__).resolve().parents[1])

from rich.console import Console
from rich.text import Text

from analysis import output
from analysis.comparisons.views import (
    compute_differences,
    compute_scores,
    compute_studies,
    pair_words,
    plot_scores,
    side_by_side,
)
from analysis.comparisons.winners import Pair, Winner, compare_pairs, winner_of
from analysis.page.parts import Item, Page, Paragraph, Section, Table
from analysis.page.pictures import embed
from analysis.study_files import NoStudyError, StudyFiles, read_study
from study.record import commands

_STUDY_WIDTH = 30  # columns of a terminal that a study needs beside others


@dataclass(frozen=True, eq=False)
class Compared:
    """The winners of the studies, and each two of them."""

    winners: list[Winner]
    pairs: list[Pair]


def compute_comparison(names: Sequence[str], storage: Path, tracking_uri: str | None = None) -> Compared:
    """Read the studies, from their files or, with `tracking_uri`, from MLflow alone, and compare them.

    Raises:
        NoStudyError: one of them does not exist or cannot be read, or lacks what a study has.
    """
    read = partial(read_study, storage=storage)
    if tracking_uri is not None:
        from analysis.mlflow_files import read_study_from_mlflow

        read = partial(read_study_from_mlflow, tracking_uri=tracking_uri)
    winners = [_winner(read(name)) for name in dict.fromkeys(names)]
    return Compared(winners, compare_pairs(winners))


def _winner(study: StudyFiles) -> Winner:
    try:
        return winner_of(study)
    except KeyError as error:
        raise NoStudyError(f"study {study.name!r} lacks {error} in its files") from None


def page_of(compared: Compared) -> Page:
    """Return the comparison as a page."""
    names = ", ".join(one.study for one in compared.winners)
    differences = compute_differences(compared.pairs).dropna(subset=["difference"]).drop(columns="verdict")
    items: list[Item] = [Table("side_by_side", "The winner of each study", side_by_side(compared.winners), rows=50)]
    scores = compute_scores(compared.winners, compared.pairs)
    if scores is not None:
        items.append(embed(plot_scores(scores), "Scores", scores.caption))
    verdicts: list[Item] = [Paragraph(words) for words in map(pair_words, compared.pairs) if words]
    if len(differences):
        verdicts.append(Table("differences", "The first minus the second, by metric", differences, len(differences)))
    numbers = Table("studies", "All numbers", compute_studies(compared.winners), rows=50, folded=True)
    sections = [
        Section("studies", "Side by side", items, "Mean over seeds with its 95 % interval (Student's t)."),
        Section(
            "differences",
            "Differences",
            [*verdicts, numbers],
            "One verdict for each two studies of the same data, family and budget, by what both are ranked by; p after "
            "Holm's correction over all verdicts. In pairs, seed by seed, where seeds, architecture and number of "
            "parameters are the same, else by Welch's test. Other metrics have no verdict.",
        ),
    ]
    return Page(f"Comparison of {names}", "Confirmed on fresh seeds; the test split chose nothing.", sections)


def show(compared: Compared, console: Console) -> None:
    """Print a column per study where there is room, else one study after the other; then the differences."""
    table = side_by_side(compared.winners)
    width = max(_STUDY_WIDTH, console.width)
    together = max(1, (width - 24) // _STUDY_WIDTH)
    for start in range(1, table.shape[1], together):
        part = table.iloc[:, [0, *range(start, min(start + together, table.shape[1]))]]
        console.print(output.grid(part[(part.iloc[:, 1:] != "–").any(axis="columns")]))
    for words in filter(None, map(pair_words, compared.pairs)):
        console.print(Text(words))


def main(argv: Sequence[str] | None = None) -> int:
    """Print the comparison; 2 if a study cannot be read or a file not be written."""
    return commands.exit_status(lambda: _run(argv))


def _run(argv: Sequence[str] | None) -> None:
    parser = commands.parser("compare", __doc__)
    parser.add_argument("names", nargs="+", metavar="NAME", help="studies")
    commands.add_storage(parser)
    parser.add_argument(
        "--tracking-uri", metavar="URI", help="read the studies from MLflow alone, not from their files"
    )
    output.add_page_options(parser)
    options = parser.read(argv)
    output.check_outputs(options)
    compared = compute_comparison(options.names, options.storage, options.tracking_uri)
    if options.csv:
        output.write_table(options.csv, compute_studies(compared.winners))
        beside = options.csv.with_stem(f"{options.csv.stem}-differences")
        output.write_table(beside, compute_differences(compared.pairs))
    if options.out:
        output.write_page(options.out, page_of(compared))
    show(compared, Console())
    if options.open:
        commands.open_in_browser(options.out)


if __name__ == "__main__":
    sys.exit(main())
