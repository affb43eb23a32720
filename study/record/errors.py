"""Errors that end a command with one readable line instead of a traceback."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator

INTERRUPTED = 130
"""The exit status after Ctrl-C or SIGTERM."""


class StudyError(Exception):
    """The study cannot go on; the message is shown to the user as it is."""

    exit_code = 1


class UsageError(StudyError):
    """Unusable input: the message names the value and what is allowed. Nothing has been written."""

    exit_code = 2


class DataError(UsageError):
    """A data set that is missing, damaged or unreadable; the message says which file and how to mend it."""


def chain(error: BaseException) -> Iterator[BaseException]:
    """Go from an error to what it was raised in answer to, and on to the first of all."""
    seen: BaseException | None = error
    while seen is not None:
        yield seen
        seen = seen.__cause__ or seen.__context__


def first_line(error: BaseException) -> str:
    """Return the first line of an error's message, or its type where it has none."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0]


def one_line(error: BaseException | str) -> str:
    """Return a message with its line breaks as spaces, or the type of an error without one."""
    return " ".join(str(error).split()) or type(error).__name__


def nearest(value: str, allowed: Iterable[str], cutoff: float = 0.5) -> str:
    """Return " (did you mean NEAREST?)", or nothing where none of `allowed` is like `value`."""
    near = difflib.get_close_matches(value, list(allowed), n=1, cutoff=cutoff)
    return f" (did you mean {near[0]}?)" if near else ""


def choose_from(what: str, value: str, allowed: Iterable[str]) -> str:
    """Say that `value` is not one of `allowed`, naming the nearest match: the message of a `UsageError`."""
    choices = sorted(allowed)
    if not choices:
        return f"{what} {value!r} is not known: there is none to choose from"
    return f"{what} {value!r} is not known{nearest(value, choices)}; allowed: {', '.join(choices)}"
