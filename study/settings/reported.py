"""Which reported configurations `--reported KEY|GLOB` means."""

from __future__ import annotations

from fnmatch import fnmatchcase

import search_spaces
from search_spaces import Reported
from study.record.errors import UsageError, choose_from


def selected(pattern: str, space: str | None = None) -> dict[str, Reported]:
    """Return the reported configurations that a key or a pattern with `*` means, by key.

    Args:
        pattern: such as "flowers/adagrad" or "cifar_cnn/*".
        space: The space that they have to belong to, None for any.

    Raises:
        UsageError: there are none, or they are of several spaces and `space` does not say which.
    """
    known = search_spaces.reported()
    found = {key: entry for key, entry in known.items() if fnmatchcase(key, pattern)}
    if not found:
        raise UsageError(choose_from("--reported", pattern, known))
    spaces = {entry.space: key for key, entry in found.items()}
    if space is None and len(spaces) > 1:
        raise UsageError(f"--reported {pattern!r} means configurations of {' and '.join(spaces)}; choose with --space")
    chosen = {key: entry for key, entry in found.items() if space in (None, entry.space)}
    if not chosen:
        raise UsageError(f"--reported {pattern!r} means configurations of {' and '.join(spaces)}, not of {space}")
    return chosen
