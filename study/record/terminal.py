"""Tables and lines that fit a terminal."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

_LEAST = 8  # columns that words keep
WIDTH = 80
"""Columns of a terminal, which every table fits."""


def wrapped(text: str, indent: int = 0) -> str:
    """Return a text in lines of at most 80 columns, the later ones indented; a long word stays whole."""
    return textwrap.fill(text, WIDTH, subsequent_indent=" " * indent, break_long_words=False, break_on_hyphens=False)


def short(value: object) -> str:
    """Return a value of a config, a float with three significant digits."""
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def table(rows: Sequence[tuple[str, ...]], cut: int | None = None) -> str:
    """Return rows, the first of them the heading, as lines of at most 80 columns, what belongs together below it.

    Where they are too long, the words of the column `cut` lose their ends; without one, a first cell that is too long
    stands whole in a line of its own, above the rest of its row.
    """
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    narrow = 0 if cut is None else cut
    widths[narrow] = max(_LEAST, min(widths[narrow], WIDTH - sum(width + 2 for width in widths) + 2 + widths[narrow]))
    lines = []
    for first, *others in rows:
        alone = cut is None and len(first) > widths[0]
        lines += [first] if alone else []
        row = ("" if alone else first, *others)
        cells = [_shortened(cell, width).ljust(width) for cell, width in zip(row, widths, strict=True)]
        lines.append("  ".join(cells).rstrip())
    return "\n".join(lines)


def _shortened(text: str, width: int) -> str:
    return text if len(text) <= width else f"{text[: width - 1]}…"
