"""What the commands put out: tables in the terminal, CSV files and pages, each file whole or not at all."""

from __future__ import annotations

import argparse
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

import pandas as pd
from rich import box
from rich.table import Table as Grid
from rich.text import Text

from analysis.page.parts import Page
from analysis.words import cell
from study.record import files
from study.record.commands import Parser, add_open, add_out
from study.record.errors import UsageError

_LONG_WORD = 12  # letters, beyond which a word is folded where there is no room


def add_page_options(parser: Parser) -> None:
    """Add `--csv`, `--out` and `--open` to a command that shows something and writes it if asked to."""
    parser.add_argument("--csv", type=Path, metavar="FILE", help="write every number in full precision")
    add_out(parser, "write a page, and its tables as CSV in a folder beside it: of page.html in page-tables/")
    add_open(parser)


def check_outputs(options: argparse.Namespace) -> None:
    """Return if the files that `add_page_options` asks for can be written.

    Raises:
        UsageError: one of them cannot, or there is no page to open.
    """
    for option, file, example in (("--csv", options.csv, "numbers.csv"), ("--out", options.out, "page.html")):
        if file is not None:
            files.check_writable(file, example, option)
    if options.open and options.out is None:
        raise UsageError("--open shows the page that --out FILE writes; name one")


def plain_grid(*, expand: bool = False, tight: bool = False) -> Grid:
    """Return an empty table for the terminal in the style of all of them.

    Args:
        expand: Whether it is as wide as the terminal.
        tight: Whether its columns are one space apart instead of two and, by `grid`, as wide as their longest word.
    """
    return Grid(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 0 if tight else 1), expand=expand)


def grid(table: pd.DataFrame, *, tight: bool = False, whole: Collection[str] = ()) -> Grid:
    """Return a table for the terminal: numbers short and flush right, words folded where there is no room.

    The cells of the columns `whole` are never folded.
    """
    found = plain_grid(tight=tight)
    columns = [[cell(value) for value in table.iloc[:, place]] for place in range(table.shape[1])]
    for place, (name, cells) in enumerate(zip(table.columns, columns, strict=True)):
        numeric = pd.api.types.is_numeric_dtype(table.iloc[:, place])
        longest = min(max(len(word) for text in (str(name), *cells) for word in text.split()), _LONG_WORD)
        justify: Literal["left", "right"] = "right" if numeric else "left"
        kept = name in whole
        most = longest if tight and not kept else None
        found.add_column(str(name), overflow="fold", min_width=longest, max_width=most, justify=justify, no_wrap=kept)
    for row in zip(*columns, strict=True):
        found.add_row(*map(Text, row))
    return found


def fits(table: pd.DataFrame, width: int) -> bool:
    """Return whether a tight `grid` of a table, none of its cells folded, has room in so many columns of a terminal."""
    longest = [max(len(str(name)), *(len(cell(value)) for value in table[name])) for name in table]
    return sum(longest) + len(longest) <= width


def write_table(path: Path, table: pd.DataFrame) -> None:
    """Write a table as CSV, numbers in full precision, missing ones empty.

    Raises:
        UsageError: it cannot be written; a file of this name is as it was.
    """
    with _explained(path):
        files.write(path, lambda part: _inert(table).to_csv(part, index=False))


def _inert(table: pd.DataFrame) -> pd.DataFrame:
    """Return a table whose text no spreadsheet takes for a formula: what begins like one gets an apostrophe before it.

    Names of classes and of studies, and reasons, come from outside. Numbers stay numbers.
    """
    columns = [
        values.map(_inert_cell) if values.dtype == object or pd.api.types.is_string_dtype(values) else values
        for _, values in table.items()
    ]
    inert = pd.concat(columns, axis=1) if columns else table.copy()
    return inert.set_axis([_inert_cell(name) for name in table.columns], axis=1)


def _inert_cell(value: object) -> object:
    return f"'{value}" if isinstance(value, str) and value.startswith(("=", "+", "-", "@", "\t", "\r")) else value


def write_page(path: Path, page: Page, *, alone: bool = False) -> None:
    """Write a page as HTML, and the tables that it links to as CSV files: of page.html in page-tables/ beside it.

    Args:
        path: The page's.
        page: What it shows.
        alone: Whether the folder is the page's own: its tables lie in it then, others are of an earlier one, and go.

    Raises:
        UsageError: one of them cannot be written.
    """
    from analysis.page.render import render

    tables = "" if alone else f"{path.stem}-tables/"
    html = render(page, tables)
    for old in path.parent.glob("*.csv") if alone else ():
        old.unlink()
    for table in page.tables:
        write_table(path.parent / f"{tables}{table.file}", table.frame)
    with _explained(path):
        files.write_text(path, html)


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise UsageError(f"'{path}' cannot be written: {error.strerror}; name another place") from error
