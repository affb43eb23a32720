"""Studies side by side: the winner of each with its intervals, and which of them can be compared by what.

Examples:
    python analysis/compare.py night-ae night-vae
    python analysis/compare.py mnist fashion cifar --csv compared.csv --out compared.html
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

if __package__ in (None, ""):
    # Run as a file: import the packages from the checkout, not this folder's modules from the top.
    sys.path[0] = str(Path(__file__).resolve().parents[1])

import pandas as pd
from rich import box
from rich.console import Console
from rich.table import Table as Grid
from rich.text import Text

from analysis.comparisons.pairs import Pair, compare_pairs
from analysis.comparisons.scores import compute_scores, plot_scores
from analysis.comparisons.table import compute_differences, compute_studies, pair_words, side_by_side
from analysis.comparisons.winner import Winner, winner_of
from analysis.page.drawings import embed
from analysis.page.parts import Item, Page, Paragraph, Section, Table
from analysis.page.render import render
from analysis.study_files import read_study

_STUDY_WIDTH = 30  # columns of a terminal that a study needs beside others


@dataclass(frozen=True, eq=False)
class Compared:
    """The winners of the studies, and each two of them."""

    winners: list[Winner]
    pairs: list[Pair]


def compute_comparison(names: Sequence[str], storage: Path, tracking_uri: str | None = None) -> Compared:
    """Read the studies, from their files or, with `tracking_uri`, from MLflow alone, and compare them.

    Raises:
        FileNotFoundError: one of them does not exist or cannot be read.
        KeyError: one of them lacks what a study has.
    """
    read = partial(read_study, storage=storage)
    if tracking_uri is not None:
        from analysis.mlflow_files import read_study_from_mlflow

        read = partial(read_study_from_mlflow, tracking_uri=tracking_uri)
    winners = [winner_of(read(name)) for name in dict.fromkeys(names)]
    return Compared(winners, compare_pairs(winners))


def page_of(compared: Compared) -> Page:
    """Return the comparison as a page."""
    names = ", ".join(one.study for one in compared.winners)
    differences = compute_differences(compared.pairs).dropna(subset=["difference"]).drop(columns="verdict")
    items: list[Item] = [Table("side_by_side", "The winner of each study", side_by_side(compared.winners), rows=50)]
    scores = compute_scores(compared.winners, compared.pairs)
    if scores is not None:
        items.append(embed(plot_scores(scores), "Scores", scores.caption))
    verdicts: list[Item] = [Paragraph(pair_words(pair)) for pair in compared.pairs]
    if len(differences):
        verdicts.append(Table("differences", "The first minus the second, by metric", differences, len(differences)))
    numbers = Table("studies", "All numbers", compute_studies(compared.winners), rows=50, folded=True)
    sections = [
        Section("studies", "Side by side", items, "Mean over seeds with its 95 % interval (Student's t)."),
        Section(
            "differences", "Differences", [*verdicts, numbers], "In pairs where the seeds are the same, else Welch's."
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
        console.print(_grid(part))
    for pair in compared.pairs:
        console.print(Text(pair_words(pair)))


def _grid(table: pd.DataFrame) -> Grid:
    grid = Grid(box=box.SIMPLE_HEAD, pad_edge=False)
    for name in table.columns:
        grid.add_column(str(name), overflow="fold")
    for row in table.itertuples(index=False, name=None):
        if any(cell != "–" for cell in row[1:]):
            grid.add_row(*(Text(str(cell)) for cell in row))
    return grid


def main(argv: Sequence[str] | None = None) -> int:
    """Print the comparison; 2 if a study cannot be read or a file not be written."""
    parser = argparse.ArgumentParser(
        prog="analysis/compare.py", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("names", nargs="+", metavar="NAME", help="studies")
    parser.add_argument("--storage", default="results", type=Path, metavar="DIR", help="default results")
    parser.add_argument(
        "--tracking-uri", metavar="URI", help="read the studies from MLflow alone, not from their files"
    )
    parser.add_argument("--csv", type=Path, metavar="FILE", help="write the studies; the differences beside it")
    parser.add_argument("--out", type=Path, metavar="FILE", help="write a page, and its tables as CSV beside it")
    options = parser.parse_args(argv)
    try:
        compared = compute_comparison(options.names, options.storage, options.tracking_uri)
        if options.csv:
            compute_studies(compared.winners).to_csv(options.csv, index=False)
            beside = options.csv.with_stem(f"{options.csv.stem}-differences")
            compute_differences(compared.pairs).to_csv(beside, index=False)
        if options.out:
            page = page_of(compared)
            for table in page.tables:  # to which the page links
                table.frame.to_csv(options.out.with_name(f"{table.name}.csv"), index=False)
            options.out.write_text(render(page), encoding="utf-8")
    except OSError as error:
        print(f"compare: {error}", file=sys.stderr)
        return 2
    except KeyError as error:
        print(f"compare: a study's files lack {error}", file=sys.stderr)
        return 2
    show(compared, Console())
    return 0


if __name__ == "__main__":
    sys.exit(main())
