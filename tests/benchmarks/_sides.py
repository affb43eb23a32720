"""Run the sides of a benchmark one after the other, A B C, B C A, …, each run in a process of its own.

The benchmark's file is its own child: `bench_x.py --child SIDE RESULT …` measures one run of one side and writes
its numbers to RESULT as JSON. Imports, caches and thread pools of one side so never reach the other.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import _machine
from _lines import LOAD, MEMORY

Run = dict[str, float]

_SAMPLE_SECONDS = 1.0


def interleave(script: str, sides: Sequence[str], runs: int, arguments: Sequence[str]) -> dict[str, list[Run]]:
    """Return the runs of each side, as its child reported them, with the peak memory of its processes in MiB
    and the machine's load average before it.

    Raises:
        SystemExit: a child failed; its last lines are in the message.
    """
    results: dict[str, list[Run]] = {side: [] for side in sides}
    for number in range(runs):
        shift = number % len(sides)
        for side in (*sides[shift:], *sides[:shift]):
            busy = _machine.load()
            results[side].append(_run_child(script, side, arguments) | {LOAD: busy})
            numbers = ", ".join(f"{key} {value:.4g}" for key, value in results[side][-1].items())
            print(f"run {number + 1} of {runs}, {side}: {numbers}", file=sys.stderr, flush=True)
    return results


def _run_child(script: str, side: str, arguments: Sequence[str]) -> Run:
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        result, log = Path(folder, "result.json"), Path(folder, "log.txt")
        command = [sys.executable, str(Path(script).resolve()), "--child", side, str(result), *arguments]
        peak = 0.0
        with log.open("w") as output:
            child = subprocess.Popen(command, cwd=folder, stdout=output, stderr=subprocess.STDOUT)
            while True:
                try:
                    status = child.wait(timeout=_SAMPLE_SECONDS)
                    break
                except subprocess.TimeoutExpired:
                    peak = max(peak, memory_of(child.pid))
        if status != 0:
            tail = "\n".join(log.read_text(errors="replace").splitlines()[-25:])
            sys.exit(f"{side} ended with status {status}:\n{tail}")
        numbers: Run = json.loads(result.read_text())
        return numbers | {MEMORY: peak}


def memory_of(root: int) -> float:
    """Return the memory of a process and all below it, in MiB; what they share counts once."""
    return sum(_memory_mib(process) for process in _tree(root))


def _tree(root: int) -> Iterator[int]:
    """Yield `root` and all its living descendants; only `root` where there is no /proc."""
    parents = {}
    for entry in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = entry.read_text().rpartition(")")[2].split()
        except OSError:
            continue  # it ended meanwhile
        parents[int(entry.parent.name)] = int(fields[1])
    found = {root}
    while more := {pid for pid, parent in parents.items() if parent in found} - found:
        found |= more
    yield from found


def _memory_mib(process: int) -> float:
    """Return a process's proportional set size: a page that k processes share counts 1/k for each of them."""
    try:
        lines = Path(f"/proc/{process}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0.0
    return next((int(line.split()[1]) / 2**10 for line in lines if line.startswith("Pss:")), 0.0)
