"""What a page is made of, as values: the template decides how each looks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, TypeAlias

import pandas as pd


@dataclass(frozen=True)
class Paragraph:
    """A paragraph; a note stands apart from the text around it."""

    text: str
    note: bool = False
    kind: ClassVar[str] = "paragraph"


@dataclass(frozen=True)
class Fact:
    """A term, what is the case, and, smaller, what has to be known about it."""

    term: str
    value: str
    detail: str = ""


@dataclass(frozen=True)
class Facts:
    """Terms and values; as cards if they are the first thing to see."""

    facts: Sequence[Fact]
    cards: bool = False
    kind: ClassVar[str] = "facts"


@dataclass(frozen=True)
class Commands:
    """Lines for a terminal."""

    lines: Sequence[str]
    kind: ClassVar[str] = "commands"


@dataclass(frozen=True, eq=False)
class Table:
    """A table; all of it is written to `file`, and the first rows are shown.

    Attributes:
        name: of the file, without its ending.
        caption: what the table holds.
        frame: a header and rows; the first column names the row.
        rows: the most that are shown.
        folded: whether it is shown only when asked for.
    """

    name: str
    caption: str
    frame: pd.DataFrame
    rows: int = 25
    folded: bool = False
    kind: ClassVar[str] = "table"

    @property
    def file(self) -> str:
        """The name of its file."""
        return f"{self.name}.csv"


@dataclass(frozen=True)
class Picture:
    """An image.

    Attributes:
        title: its name, for who sees it and, as its alternative text, for who does not.
        caption: what is seen.
        media_type: such as "image/png".
        data: the file.
        width: pixels of CSS that it wants at most.
        drawn: whether it is a drawing on white paper, not a photograph.
        landscape: whether it is so much wider than high that two beside each other on paper could not be read.
        narrow: the same for a phone and for paper, where the letters of a wide one are too small.
    """

    title: str
    caption: str
    media_type: str
    data: bytes
    width: int
    drawn: bool = True
    landscape: bool = False
    narrow: Picture | None = None
    kind: ClassVar[str] = "picture"


Item: TypeAlias = Paragraph | Facts | Commands | Table | Picture


@dataclass(frozen=True)
class Section:
    """A part of the page with its heading.

    Attributes:
        id: its address on the page.
        title: its heading.
        items: what it holds, in order.
        intro: what the items are about.
    """

    id: str
    title: str
    items: Sequence[Item]
    intro: str = ""


@dataclass(frozen=True)
class Page:
    """A report: a heading, what it is about, what has to be said before all else, the answer, and sections."""

    title: str
    lead: str
    sections: Sequence[Section]
    warning: str | None = None
    verdict: str | None = None

    @property
    def tables(self) -> list[Table]:
        """Every table, in order."""
        return [item for section in self.sections for item in section.items if isinstance(item, Table)]
