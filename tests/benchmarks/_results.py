"""A machine's results: a JSON file that benchmarks are merged into, and the Markdown table that is made of it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from _lines import HEADER, Line, cells


@dataclass(frozen=True)
class Entry:
    """What one benchmark came to on a machine.

    Attributes:
        lines: Its table.
        date: When it was run, such as "2026-01-31 12:00 UTC".
        commit: Of the code, with "+changes" where it differed.
        versions: Of Python and the packages that it measures.
        quick: Whether it was only tried, in small sizes.
    """

    lines: tuple[Line, ...]
    date: str
    commit: str | None
    versions: Mapping[str, str]
    quick: bool = False

    @property
    def measured(self) -> bool:
        """Whether there is a number in it."""
        return any(line.values for line in self.lines)


@dataclass
class Results:
    """All that is known of one machine."""

    machine: dict[str, str]
    entries: dict[str, Entry] = field(default_factory=dict)

    def merge(self, name: str, entry: Entry) -> None:
        """Replace what is known of a benchmark; one that could not run never takes the place of one that did."""
        before = self.entries.get(name)
        if entry.measured or before is None or not before.measured:
            self.entries[name] = entry

    @classmethod
    def read(cls, path: Path, machine: Mapping[str, str]) -> Results:
        """Return the results of a JSON file, none where there is no file.

        Args:
            path: The file.
            machine: The facts of this machine, which replace those of the file (its system may be newer).
        """
        if not path.exists():
            return cls(dict(machine))
        entries = {}
        for name, fields in json.loads(path.read_text())["benchmarks"].items():
            lines = tuple(Line.from_json(line) for line in fields["lines"])
            entries[name] = Entry(**{**fields, "lines": lines})
        return cls(dict(machine), entries)

    def write(self, path: Path, order: Sequence[str]) -> None:
        """Write the JSON file, and the table beside it with the suffix .md.

        Args:
            path: The JSON file.
            order: The names of all benchmarks; one without results stands in the table too, as not run yet.
        """
        path.parent.mkdir(parents=True, exist_ok=True)
        benchmarks = {name: _to_json(self.entries[name]) for name in order if name in self.entries}
        document = {"machine": self.machine, "benchmarks": benchmarks}
        path.write_text(json.dumps(document, indent=1, ensure_ascii=False) + "\n")
        path.with_suffix(".md").write_text(self.markdown(order))

    def markdown(self, order: Sequence[str]) -> str:
        """Return the machine, the table of all numbers, and when and with what they were measured."""
        parts = ["# Benchmarks", "", *(f"- {key}: {value}" for key, value in self.machine.items()), "", _LEGEND, ""]
        parts += [_row(("benchmark", *HEADER)), _row(["---"] * (len(HEADER) + 1))]
        for name in order:
            if name not in self.entries:
                parts.append(_row((name, *cells(Line("all of it", reason="not yet on this machine")))))
                continue
            shown = f"{name} (quick)" if self.entries[name].quick else name
            parts += [_row((shown, *cells(line))) for line in self.entries[name].lines]
        parts += ["", _row(("benchmark", "measured", "commit", "versions")), _row(["---"] * 4)]
        for name in order:
            if name in self.entries:
                entry = self.entries[name]
                versions = ", ".join(f"{package} {number}" for package, number in entry.versions.items())
                parts.append(_row((name, entry.date, entry.commit or "unknown", versions)))
        return "\n".join(parts) + "\n"


_LEGEND = """Written by `make bench`; each benchmark is a file of `tests/benchmarks/` that says what it does and what
its peers are. *Times better* is this project's advantage over a peer: the ratio of the medians, and in brackets the
smallest and the largest of the runs with the same number, which followed each other. *Peak MiB* is the memory of all
processes of a run, pages that they share counted once. *Load before* is the machine's load average of the last minute
before each run: with more than its cores, seconds say little and ratios more."""


def _row(texts: Sequence[str]) -> str:
    return "| " + " | ".join(text.replace("|", "\\|") for text in texts) + " |"


def _to_json(entry: Entry) -> dict[str, Any]:
    lines = [line.to_json() for line in entry.lines]
    return {**vars(entry), "lines": lines, "versions": dict(entry.versions)}
