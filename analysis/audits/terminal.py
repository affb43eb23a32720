"""An audit in the terminal: a table where there is room, else a block of lines per claim."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import groupby

from rich import box
from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from analysis.audits.table import claimed_words, our_lines
from analysis.audits.verdicts import Audited, Verdict

_ROOM = 110  # columns below which four cells side by side are too narrow to read
_MOST_LINES = 6  # numbers of ours per claim; the CSV file has them all
_STYLES = {Verdict.HOLDS: "green", Verdict.FAILS: "red", Verdict.UNDECIDED: "yellow"}


def show(audited: Sequence[Audited], console: Console) -> None:
    """Print the claims report by report, and at the end how many have which verdict."""
    for report, group in groupby(audited, key=lambda one: one.claim.key.split("/")[0]):
        claims = list(group)
        console.print(Text(f"\n{report}", style="bold"))
        if console.width >= _ROOM:
            console.print(_table(claims))
        else:
            for one in claims:
                console.print(_block(one))
    counts = Counter(one.verdict for one in audited)
    found = ", ".join(f"{verdict}: {counts[verdict]}" for verdict in Verdict if counts[verdict])
    console.print(Text(f"\n{len(audited)} claims; {found}"))


def _table(claims: Sequence[Audited]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, expand=True, show_lines=False, pad_edge=False)
    table.add_column("what the report says", ratio=4)
    table.add_column("the report's number", ratio=2)
    table.add_column("measured by this project", ratio=5)
    table.add_column("verdict", ratio=3)
    for one in claims:
        says = Group(Text(one.claim.key, style="bold"), Text(one.claim.statement), _measures(one), Text(""))
        table.add_row(says, Text(claimed_words(one)), _ours(one), _verdict(one))
    return table


def _block(one: Audited) -> RenderableType:
    lines: list[RenderableType] = [
        Text(one.claim.statement),
        Text.assemble(("the report    ", "bold"), claimed_words(one)),
        Text("this project", style="bold"),
        Padding(_ours(one), (0, 0, 0, 2)),
        Text.assemble(("verdict       ", "bold"), _verdict(one)),
        _measures(one),
    ]
    return Group(Text(one.claim.key, style="bold"), Padding(Group(*lines), (0, 0, 1, 2)))


def _measures(one: Audited) -> Text:
    return Text(f"It measures: {one.claim.measures}", style="dim")


def _ours(one: Audited) -> Text:
    lines = our_lines(one)
    if len(lines) > _MOST_LINES:
        lines = [*lines[:_MOST_LINES], f"and {len(lines) - _MOST_LINES} more, see --csv"]
    return Text("\n".join(lines) or "nothing")


def _verdict(one: Audited) -> Text:
    return Text(one.words, style=_STYLES.get(one.verdict, ""))
