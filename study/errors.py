"""Errors that end the command with one readable line instead of a traceback."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator


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


def choose_from(what: str, value: str, allowed: Iterable[str]) -> str:
    """Say that `value` is not one of `allowed`, naming the nearest match: the message of a `UsageError`."""
    choices = sorted(allowed)
    near = difflib.get_close_matches(value, choices, n=1, cutoff=0.5)
    hint = f" (did you mean {near[0]}?)" if near else ""
    return f"{what} {value!r} is not known{hint}; allowed: {', '.join(choices)}"
