"""What grows with a study: 1,000 trivial trials of 3 reports, 2 at a time, MLflow on sqlite.

    python tests/benchmarks/bench_thousand_trials.py [--trials 1000] [--reports 3]
    python tests/benchmarks/bench_thousand_trials.py --trials 10000 --reports 1

Prints seconds per trial, the driver's processor time per result, its memory and the size of what it keeps on disk,
tenth by tenth of the study: each tenth adds as much as the one before, or less, if nothing grows beyond linear. A
result is an epoch of a trial. Then the seconds of its report, and those of resuming it: from the command's start to the
start of the first further trial. All are the real commands.
"""

from __future__ import annotations

import argparse
import bisect
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import _command
import _machine
import psutil
from _command import REPOSITORY
from _lines import Line

PACKAGES = ("ray", "optuna", "mlflow", "torch")
NAME = "ours"
CONCURRENT = 2
FURTHER = 4  # trials that the resumed study gets
PARTS = 10
_EVERY_S = 0.5


@dataclass(frozen=True)
class Sample:
    """The driver at one moment."""

    time: float  # time.time(), seconds
    cpu: float  # seconds of processor time since it began
    memory: float  # MiB
    files: dict[str, float]  # MiB


def watched(command: list[str], folder: Path) -> list[Sample]:
    """Run a command, and return its processor time, resident memory and files' sizes, twice a second.

    Raises:
        CalledProcessError: it failed.
    """
    samples = []
    study = folder / "results" / NAME
    files = {"journal": study / "journal.jsonl", "Optuna's log": study / "optuna.log"}
    files["MLflow's file"] = folder / "mlflow.db"
    process = psutil.Popen(command, cwd=folder)
    while process.poll() is None:
        sizes = {name: path.stat().st_size / 2**20 if path.exists() else 0.0 for name, path in files.items()}
        used = process.cpu_times()
        samples.append(Sample(time.time(), used.user + used.system, process.memory_info().rss / 2**20, sizes))
        time.sleep(_EVERY_S)
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, command)
    return samples


def lines(options: argparse.Namespace) -> list[Line]:
    """Run the study, its report and its resumption."""
    from study.record import journal
    from study.record.events import RunEnded, RunStarted

    trials, reports, parts = (4, 1, 2) if options.quick else (options.trials, options.reports, PARTS)
    load = (_machine.load(),)
    run = [sys.executable, str(REPOSITORY / "study" / "run.py")]
    words = f"--name {NAME} --trials {trials} --epochs {reports} --train-size 20 --max-concurrent {CONCURRENT}"
    words += " --scheduler none --confirm 0 --sampler tpe"
    space = ["--space", str(Path(__file__).with_name("trivial_space.py"))]
    with tempfile.TemporaryDirectory(prefix="bench-") as scratch:
        folder = Path(scratch)
        samples = watched([*run, *space, *words.split()], folder)
        file = folder / "results" / NAME / "journal.jsonl"
        events = journal.read(file)
        report = timed([sys.executable, str(REPOSITORY / "analysis" / "report.py"), NAME], folder)
        resumed_at = time.time()
        timed([*run, "--resume", NAME, "--trials", str(trials + FURTHER)], folder)
        further = journal.read(file)[len(events) :]
    resumed = min(event.time for event in further if isinstance(event, RunStarted)) - resumed_at
    began = min(event.time for event in events if isinstance(event, RunStarted))
    times = [began, *(event.time for event in events if isinstance(event, RunEnded))]

    def at(count: int) -> Sample:
        """Return the driver when as many trials had ended."""
        return samples[min(bisect.bisect([sample.time for sample in samples], times[count]), len(samples) - 1)]

    measured = []
    for part in range(1, parts + 1):
        first, last = trials * (part - 1) // parts, trials * part // parts
        seconds = (times[last] - times[first]) / (last - first)
        cpu = (at(last).cpu - at(first).cpu) / ((last - first) * reports)
        which = f"trials {first + 1} to {last} of {trials} × {reports} reports"
        measured.append(Line(which, unit="s a trial", values=(seconds,), loads=load, peak_mib=at(last).memory))
        measured.append(Line(f"{which}: the driver", unit="s of processor a result", values=(cpu,), loads=load))
    for name, size in samples[-1].files.items():
        measured.append(Line(f"{name} after {trials} trials", unit="MiB", values=(size,)))
    measured.append(Line(f"report of {trials} trials", unit="s", values=(report,)))
    measured.append(Line(f"resume of {trials} trials: to the first further trial", unit="s", values=(resumed,)))
    return measured


def timed(command: list[str], folder: Path) -> float:
    """Run a command, and return its wall seconds.

    Raises:
        CalledProcessError: it failed.
    """
    began = time.perf_counter()
    subprocess.run(command, cwd=folder, check=True)
    return time.perf_counter() - began


def main() -> None:
    """Run and print the benchmark."""
    parser = _command.parser(__doc__)
    parser.add_argument("--trials", type=int, default=1000, help="default 1000, at least 10")
    parser.add_argument("--reports", type=int, default=3, help="of a trial (default 3)")
    options = parser.parse_args()
    _command.run(options, PACKAGES, lambda: lines(options))


if __name__ == "__main__":
    main()
