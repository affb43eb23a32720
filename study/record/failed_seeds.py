"""Seeds that failed by a config's own doing: its numbers are of those that ended, and whoever reads them has to know.

A seed that the machine failed says nothing of the config, and is not counted.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from study.record.words import counted


def of_config(summary: Mapping[str, Any], config: str) -> str:
    """Return of how many of its seeds a confirmed config's numbers are: "2 of 3 seeds (1 failed: REASON)".

    Args:
        summary: The content of summary.json.
        config: The config's id.

    Returns:
        "" where no seed failed, and where an earlier version has not counted them.
    """
    failed = next((one.get("failed") for one in summary.get("confirmed", ()) if one.get("id") == config), None)
    if not failed:
        return ""
    first = ", the first" if failed["seeds"] > 1 else ""
    why = f"{failed['seeds']} failed{first}: {failed['why'].rstrip('.')}"
    return f"{failed['of'] - failed['seeds']} of {counted(failed['of'], 'seed')} ({why})"


def of_best(summary: Mapping[str, Any]) -> str:
    """Return the same of the best config."""
    return of_config(summary, summary["best"]["trial_id"]) if summary.get("best") else ""


def sentences(summary: Mapping[str, Any]) -> str:
    """Return a sentence on each of them, a space before it."""
    return "".join(f" Of {config}, {words}." for config, words in of_all(summary))


def of_all(summary: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield the id of each confirmed config that has such seeds, and the words."""
    for one in summary.get("confirmed", ()):
        if words := of_config(summary, one["id"]):
            yield one["id"], words
