"""What has to be said of the seeds that a number is of: that others failed, or that some came after a verdict was seen.

A seed that fails by a config's own doing leaves its numbers to those that ended; one that the machine failed says
nothing of the config, and is not counted. Seeds that are added since a verdict was not wanted give chance another try.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from study.record.words import counted, joined

_MISSED = 5  # per cent of cases in which a 95 % interval that is looked at once misses


def failed_of(summary: Mapping[str, Any], config: str) -> str:
    """Return of how many of its seeds a confirmed config's numbers are: "2 of 3 seeds (1 failed: REASON)".

    Args:
        summary: The content of summary.json.
        config: The config's id.

    Returns:
        "" where no seed failed, and where an earlier version has not counted them.
    """
    failed = next((one.get("failed") for one in _configs(summary) if one.get("id") == config), None)
    if not failed:
        return ""
    first = ", the first" if failed["seeds"] > 1 else ""
    why = f"{failed['seeds']} failed{first}: {failed['why'].rstrip('.')}"
    return f"{failed['of'] - failed['seeds']} of {counted(failed['of'], 'seed')} ({why})"


def failed_of_best(summary: Mapping[str, Any]) -> str:
    """Return the same of the best config."""
    return failed_of(summary, summary["best"]["trial_id"]) if summary.get("best") else ""


def with_failed(summary: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield the id of each confirmed config that has such seeds, and the words; last those of which none ended well."""
    for one in _configs(summary):
        if words := failed_of(summary, one["id"]):
            yield one["id"], words


def _configs(summary: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return [*summary.get("confirmed", ()), *summary.get("all_failed", ())]  # the latter not of an earlier version


def added(seen_with: Sequence[int]) -> str:
    """Return that seeds were added after verdicts were seen, and how often one of these verdicts is wrong at most.

    Each interval misses in 5 % of cases, so that one of n does in n times that at most, whatever they share.

    Args:
        seen_with: The seeds that each earlier verdict was by; the `seen_with` of summary.json.

    Returns:
        "" where there was none.
    """
    if not seen_with:
        return ""
    several, most = "s" * (len(seen_with) > 1), _MISSED * (len(seen_with) + 1)
    before = f"seeds were added after the verdict{several} by {joined([str(many) for many in seen_with])}"
    return f"{before}: one of the intervals misses in up to {most} % of cases, not {_MISSED} %"


def added_to(summary: Mapping[str, Any]) -> str:
    """Return the same of a study's verdict."""
    return added(summary.get("seen_with", ()))  # not of an earlier version


def sentences(summary: Mapping[str, Any]) -> str:
    """Return a sentence on each of these, a space before it."""
    words = [f"Of {config}, {failed}" for config, failed in with_failed(summary)]
    if more := added_to(summary):
        words.append(more[0].upper() + more[1:])
    return "".join(f" {sentence}." for sentence in words)
