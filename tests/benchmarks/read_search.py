"""What the curves that `bench_search.py --keep DIR` has kept say, in pairs over the seeds, as rows of a table.

    python tests/benchmarks/read_search.py [--from-first] DIR [DIR]

Times are from the command's start, or, `--from-first`, from a side's first value, which is after an epoch of its first
trial: of studies that take under a minute.

Each row is a side of a space: the best loss after the quickest side's time over that of `ours`, and in the end, as the
geometric mean over the seeds with its 95 % interval (Student's t, of the logarithms); then in how many seeds the side
came within 1 % of the best that any side found with that seed, the median seconds until then, and the median of the
whole command. Above 1 is worse than `ours`. Where a side has an error rate of 0, by which nothing can be divided, the
mean difference stands instead, with its sign; above 0 is worse.
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
from pathlib import Path
from typing import Any

from _lines import OURS, geometric_mean, mean_difference, number
from bench_search import compared

HEADER = ("space", "seeds", "side", "after equal time", "in the end", "within 1 %", "seconds until", "whole command")


def read(folder: Path, from_first: bool) -> dict[str, list[dict[str, dict[str, float]]]]:
    """Return the numbers of each side of each seed, by space; its times may begin with each side's first value."""
    found: dict[str, list[dict[str, dict[str, float]]]] = {}
    for file in sorted(folder.glob("*-*.json")):
        kept: dict[str, Any] = json.loads(file.read_text())
        runs = kept["runs"]
        curves = {side: [tuple(point) for point in curve] for side, curve in kept["curves"].items()}
        begun = {side: curve[0][0] if from_first else 0.0 for side, curve in curves.items()}
        curves = {side: [(at - begun[side], loss) for at, loss in curve] for side, curve in curves.items()}
        more = compared(curves, {side: run["whole"] - begun[side] for side, run in runs.items()})
        numbers = {side: runs[side] | more[side] for side in runs}
        found.setdefault(file.stem.rpartition("-")[0], []).append(numbers)
    return found


def beside(seeds: list[dict[str, dict[str, float]]], side: str, key: str) -> str:
    """Return how many times a side's number is that of `ours`, or by how much it is more, with the interval."""
    if side == OURS:
        return ""
    pairs = [(seed[side][key], seed[OURS][key]) for seed in seeds]
    if not all(math.isfinite(value) for pair in pairs for value in pair):
        return "none yet in some"
    if not all(value for pair in pairs for value in pair):
        return mean_difference([theirs - mine for theirs, mine in pairs])
    return geometric_mean([theirs / mine for theirs, mine in pairs])


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
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--from-first", action="store_true", help="times begin with a side's first value")
    parser.add_argument("folders", nargs="+", type=Path, metavar="DIR")
    options = parser.parse_args()
    print("| " + " | ".join(HEADER) + " |\n|" + "---|" * len(HEADER))
    for folder in options.folders:
        for space, seeds in read(folder, options.from_first).items():
            for row in rows(space, seeds):
                print("| " + " | ".join(row) + " |")


if __name__ == "__main__":
    main()
