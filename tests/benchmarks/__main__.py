"""All benchmarks, one after the other, into this machine's table.

    make bench                                          # everything, in the sizes that are published: hours
    make bench ARGS="--only study_throughput --only epoch"
    make bench ARGS=--quick                             # a small size of each, printed and not kept

Each is a process of its own (`bench_NAME.py`, which also runs alone and has more options). Their numbers are merged
into tests/benchmarks/results/MACHINE.json and .md, where a benchmark's new numbers replace its old ones, so that the
table can be made in parts. What cannot run here stands in the table with its reason.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path

import _command
import _machine
from _lines import Line, as_text
from _results import Entry, Results

HERE = Path(__file__).resolve().parent
BENCHMARKS = (
    "epoch",
    "trial_overhead",
    "study_throughput",
    "fused",
    "memory",
    "thousand_trials",
    "many_runs",
    "driver_rate",
    "report",
    "simulation",
    "search",
    "excerpt",
    "warm_start",
    "front",
    "against_pca",
)


def run(name: str, quick: bool, data_dir: Path) -> Entry:
    """Run one benchmark and return what it came to; a failure is a line of it."""
    from study.driver.environment import git_commit

    command = [sys.executable, str(HERE / f"bench_{name}.py"), "--data-dir", str(data_dir), *["--quick"] * quick]
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        file = Path(folder, "lines.json")
        status = subprocess.run([*command, "--json", str(file)], check=False, cwd=folder).returncode
        document = json.loads(file.read_text()) if file.exists() else {"versions": {}, "lines": []}
    lines = tuple(Line.from_json(line) for line in document["lines"])
    if status != 0:
        lines = (*lines, Line("all of it", reason=f"failed with status {status}"))
    return Entry(lines, f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC", git_commit(), document["versions"], quick)


def main() -> int:
    """Run what was chosen; 1 if one of them failed."""
    parser = _command.parser(__doc__)
    parser.add_argument("--only", choices=BENCHMARKS, action="append", help="this one; may be repeated")
    parser.add_argument("--machine", default=_machine.name(), help="name of the table (default: the hardware)")
    parser.add_argument("--results", type=Path, help="folder of the tables; --quick without it keeps nothing")
    options = parser.parse_args()
    folder = options.results or (None if options.quick else HERE / "results")
    failed = []
    for name in [name for name in BENCHMARKS if name in (options.only or BENCHMARKS)]:
        print(f"\n== {name} ==", flush=True)
        entry = run(name, options.quick, _command.data_dir(options))
        if any((line.reason or "").startswith("failed") for line in entry.lines):
            failed.append(name)
        if not entry.measured:
            print(as_text(entry.lines))
        if folder is not None:
            # Read anew each time: the next one takes an hour, and another process may have added to the file.
            results = Results.read(folder / f"{options.machine}.json", _machine.facts())
            results.merge(name, entry)
            results.write(folder / f"{options.machine}.json", BENCHMARKS)
            print(f"in {folder / options.machine}.md", flush=True)
    if failed:
        print(f"failed: {', '.join(failed)}", file=sys.stderr)
    return int(bool(failed))


if __name__ == "__main__":
    sys.exit(main())
