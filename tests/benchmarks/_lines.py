"""What a benchmark has measured, as data: lines of a table, and how they are printed."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

OURS = "ours"
MEMORY, LOAD = "peak_mib", "load"  # what every run says besides its own numbers

Run = Mapping[str, float]
Ratio = tuple[float, float, float]


class UnavailableError(RuntimeError):
    """A benchmark cannot run on this machine; its message says what is missing."""


@dataclass(frozen=True)
class Line:
    """One side of one measurement, or why it could not be made here.

    Attributes:
        what: The measurement; lines with the same one are compared.
        side: "ours", or the peer.
        unit: Of the values, such as "s an epoch".
        values: One for each run.
        ratio: How many times better ours is: the medians', and the smallest and largest of runs with the same number.
        loads: The machine's load average before each run.
        peak_mib: The largest memory of all processes of a run, in MiB.
        reason: Why there are no values.
    """

    what: str
    side: str = OURS
    unit: str = ""
    values: tuple[float, ...] = ()
    ratio: Ratio | None = None
    loads: tuple[float, ...] = ()
    peak_mib: float | None = None
    reason: str | None = None

    def to_json(self) -> dict[str, Any]:
        """Return the line as JSON can say it."""
        return asdict(self)

    @classmethod
    def from_json(cls, fields: Mapping[str, Any]) -> Line:
        """Return the line that `to_json` gave."""
        ratio = fields["ratio"]
        sequences = {"values": tuple(fields["values"]), "loads": tuple(fields["loads"])}
        return cls(**{**fields, **sequences, "ratio": tuple(ratio) if ratio else None})


def lines_of(
    what: str,
    unit: str,
    key: str,
    results: Mapping[str, Sequence[Run]],
    *,
    labels: Mapping[str, str] | None = None,
    more_is_better: bool = False,
) -> list[Line]:
    """Return a line for each side of `results`, with the number `key` of its runs, and the peers' ratios to ours."""
    lines = []
    for side, runs in results.items():
        values = tuple(run[key] for run in runs)
        ratio = None
        if side != OURS and OURS in results:
            mine = [run[key] for run in results[OURS]]
            ratio = ratio_of(mine, values) if more_is_better else ratio_of(values, mine)
        loads = tuple(run[LOAD] for run in runs)
        peak = max(run[MEMORY] for run in runs)
        lines.append(Line(what, (labels or {}).get(side, side), unit, values, ratio, loads, peak))
    return lines


def ratio_of(above: Sequence[float], below: Sequence[float]) -> Ratio | None:
    """Return the ratio of the medians, and the smallest and largest ratio of the runs with the same number.

    None where one of them is by nothing, as an error rate of 0 is.
    """
    if not all(below):
        return None
    pairs = [one / other for one, other in zip(above, below, strict=True)]
    return statistics.median(above) / statistics.median(below), min(pairs), max(pairs)


def mean_difference(differences: Sequence[float]) -> str:
    """Return the mean of differences with its 95 % interval (Student's t)."""
    from study.record.intervals import mean_interval

    found = mean_interval(differences)
    ends = "" if found.low is None or found.high is None else f" ({found.low:+.4f} … {found.high:+.4f})"
    return f"{found.mean:+.4f}{ends}"


def geometric_mean(ratios: Sequence[float]) -> str:
    """Return the geometric mean of ratios with its 95 % interval (Student's t, of the logarithms)."""
    from study.record.intervals import mean_interval

    found = mean_interval([math.log(ratio) for ratio in ratios])
    ends = [] if found.low is None or found.high is None else [math.exp(found.low), math.exp(found.high)]
    return f"{math.exp(found.mean):.3f}" + (f" ({ends[0]:.3f} … {ends[1]:.3f})" if ends else "")


HEADER = ("what", "side", "unit", "n", "median", "min … max", "times better", "peak MiB", "load before")


def cells(line: Line) -> tuple[str, ...]:
    """Return what a table says of a line, in the order of HEADER."""
    if line.reason is not None:
        return (line.what, line.side, line.unit, "0", f"not run: {line.reason}", "", "", "", "")
    ratio = "" if line.ratio is None else f"{line.ratio[0]:.2f} ({line.ratio[1]:.2f} … {line.ratio[2]:.2f})"
    return (
        *(line.what, line.side, line.unit, str(len(line.values))),
        number(statistics.median(line.values)),
        f"{number(min(line.values))} … {number(max(line.values))}" if len(line.values) > 1 else "",
        ratio,
        "" if not line.peak_mib else f"{line.peak_mib:.0f}",
        f"{min(line.loads):.1f} … {max(line.loads):.1f}" if line.loads else "",
    )


def number(value: float) -> str:
    """Return a number with four significant digits, without an exponent."""
    if value == 0 or abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:.4g}" if abs(value) >= 1e-4 else f"{value:.6f}"


def as_text(lines: Sequence[Line]) -> str:
    """Return the lines as a table for a terminal."""
    rows = [HEADER, *(cells(line) for line in lines)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(HEADER))]
    return "\n".join("  ".join(map(str.ljust, row, widths)).rstrip() for row in rows)
