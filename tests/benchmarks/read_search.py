"""What the curves that `bench_search.py --keep DIR` has kept say, in pairs over the seeds, as rows of a table.

    python tests/benchmarks/read_search.py DIR [DIR]

Each row is a side of a space: the best loss after the quickest side's time over that of `ours`, and in the end, as the
geometric mean over the seeds with its 95 % interval (Student's t, of the logarithms); then in how many seeds the side
came within 1 % of the best that any side found with that seed, the median seconds until then, and the median of the
whole command. Above 1 is worse than `ours`.
"""

from __future__ import annotations

import json
import math
import statistics
import sys
from pathlib import Path
from typing import Any

from _lines import OURS, geometric_mean, number
from bench_search import compared

HEADER = ("space", "seeds", "side", "after equal time", "in the end", "within 1 %", "seconds until", "whole command")


def read(folder: Path) -> dict[str, list[dict[str, dict[str, float]]]]:
    """Return the numbers of each side of each seed, by space."""
    found: dict[str, list[dict[str, dict[str, float]]]] = {}
    for file in sorted(folder.glob("*-*.json")):
        kept: dict[str, Any] = json.loads(file.read_text())
        runs = kept["runs"]
        curves = {side: [tuple(point) for point in curve] for side, curve in kept["curves"].items()}
        more = compared(curves, {side: run["whole"] for side, run in runs.items()})
        numbers = {side: runs[side] | more[side] for side in runs}
        found.setdefault(file.stem.rpartition("-")[0], []).append(numbers)
    return found


def beside(seeds: list[dict[str, dict[str, float]]], side: str, key: str) -> str:
    """Return how many times a side's number is that of `ours`, with its interval over the seeds."""
    if side == OURS:
        return ""
    ratios = [seed[side][key] / seed[OURS][key] for seed in seeds]
    return geometric_mean(ratios) if all(map(math.isfinite, ratios)) else "none yet in some"


def rows(space: str, seeds: list[dict[str, dict[str, float]]]) -> list[tuple[str, ...]]:
    """Return a row for each side."""
    found = []
    for side in seeds[0]:
        until = [seed[side]["1%"] for seed in seeds]
        found.append(
            (
                *(space, str(len(seeds)), side, beside(seeds, side, "equal"), beside(seeds, side, "best")),
                f"{sum(map(math.isfinite, until))} of {len(seeds)}",
                number(statistics.median(until)) if math.isfinite(statistics.median(until)) else "never",
                f"{number(statistics.median(seed[side]['whole'] for seed in seeds))} s",
            )
        )
    return found


def main() -> None:
    """Print the table of each folder."""
    print("| " + " | ".join(HEADER) + " |\n|" + "---|" * len(HEADER))
    for folder in sys.argv[1:]:
        for space, seeds in read(Path(folder)).items():
            for row in rows(space, seeds):
                print("| " + " | ".join(row) + " |")


if __name__ == "__main__":
    main()
