"""Numbers, counts and times as a person writes them, the same in the terminal and on a page."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence

DIGITS = 4
"""Significant digits of a value in a table or a sentence."""


def number(value: float, digits: int = 3) -> str:
    """Return a number with so many significant digits, thousands with commas, small ones as powers: 0.0123, 1e-5."""
    if not math.isfinite(value):
        return "–"
    if value == 0:
        return "0"
    if abs(value) >= 10 ** (digits - 1):
        return f"{value:,.0f}"
    return f"{value:.{digits}g}".replace("e-0", "e-")


def ratio(value: float) -> str:
    """Return a ratio with three significant digits; one near 1 with so many that it is not 1: 0.582, 0.9997."""
    return next((text for digits in range(3, 7) if (text := number(value, digits)) != "1"), "1")


def shown(text: str) -> str:
    """Return a text as anything can show it: what is not printable is written as escapes, line breaks too."""
    return "".join(
        letter if letter.isprintable() else letter.encode("unicode_escape").decode("ascii") for letter in text
    )


def counted(count: int, word: str) -> str:
    """Return "1 trial", "2 trials"."""
    return f"{count:,} {word}" if count == 1 else f"{count:,} {word}s"


def counted_each(counts: Collection[int], word: str) -> str:
    """Return how many each has, of one count or more: "3 seeds", or "2 to 3 seeds" where they differ."""
    least, most = min(counts), max(counts)
    return f"{least:,} to {counted(most, word)}" if least < most else counted(most, word)


def duration(seconds: float) -> str:
    """Return a time in the unit that it is told in: "90 s", "12 min", "2.5 h", "3,595 h"."""
    if seconds < 120:
        return f"{seconds:.0f} s"
    if seconds < 7200:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h" if seconds < 360_000 else f"{seconds / 3600:,.0f} h"


def clock(seconds: float) -> str:
    """Return a time as hours, minutes and seconds: "0:02:05"."""
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02}:{rest:02}"


def joined(words: Sequence[str]) -> str:
    """Return "a", "a and b", "a, b and c"."""
    if len(words) < 2:
        return "".join(words)
    return f"{', '.join(words[:-1])} and {words[-1]}"
