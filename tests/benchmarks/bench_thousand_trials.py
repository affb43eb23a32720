"""What grows with a study: 1,000 trivial trials of 3 reports, 2 at a time, MLflow on sqlite.

    python tests/benchmarks/bench_thousand_trials.py [--trials 1000]

Prints seconds per trial, the driver's processor time per result, its memory and the size of what it keeps on disk,
tenth by tenth of the study: each tenth adds as much as the one before, or less, if nothing grows beyond linear. A
result is an epoch of a trial.
"""

from __future__ import annotations

import argparse
import bisect
import tempfile
import threading
import time
from dataclasses import dataclass
from pathlib import Path

import _command
import _machine
import _own_study
import psutil
from _lines import Line

from study.record.events import RunEnded, RunStarted

PACKAGES = ("ray", "optuna", "mlflow", "torch")
EPOCHS = 3
CONCURRENT = 2
PARTS = 10
_EVERY_S = 0.5


@dataclass(frozen=True)
class Sample:
    """The driver at one moment."""

    time: float  # time.time(), seconds
    cpu: float  # seconds of processor time since it began
    memory: float  # MiB
    files: dict[str, float]  # MiB


def watch(folder: Path, samples: list[Sample], stop: threading.Event) -> None:
    """Note down the driver's processor time, its resident memory and the size of its files, until `stop` is set."""
    process = psutil.Process()
    files = {"journal": folder / "results/ours/journal.jsonl", "Optuna's log": folder / "results/ours/optuna.log"}
    files["MLflow's file"] = folder / "mlflow.db"
    while not stop.wait(_EVERY_S):
        sizes = {name: path.stat().st_size / 2**20 if path.exists() else 0.0 for name, path in files.items()}
        used = process.cpu_times()
        samples.append(Sample(time.time(), used.user + used.system, process.memory_info().rss / 2**20, sizes))


def lines(options: argparse.Namespace) -> list[Line]:
    """Run the study."""
    from study.record import journal

    trials, parts = (4, 2) if options.quick else (options.trials, PARTS)
    load = (_machine.load(),)
    samples: list[Sample] = []
    stop = threading.Event()
    with tempfile.TemporaryDirectory(prefix="bench-") as scratch:
        folder = Path(scratch)
        watcher = threading.Thread(target=watch, args=(folder, samples, stop), daemon=True)
        watcher.start()
        _, path = _own_study.run_trivial(folder, folder / "mlflow.db", trials, EPOCHS, CONCURRENT)
        stop.set()
        watcher.join()
        events = journal.read(path)
    began = min(event.time for event in events if isinstance(event, RunStarted))
    times = [began, *(event.time for event in events if isinstance(event, RunEnded))]

    def at(count: int) -> Sample:
        """Return the driver when as many trials had ended."""
        return samples[min(bisect.bisect([sample.time for sample in samples], times[count]), len(samples) - 1)]

    measured = []
    for part in range(1, parts + 1):
        first, last = trials * (part - 1) // parts, trials * part // parts
        seconds = (times[last] - times[first]) / (last - first)
        cpu = (at(last).cpu - at(first).cpu) / ((last - first) * EPOCHS)
        which = f"trials {first + 1} to {last} of {trials} × {EPOCHS} reports"
        measured.append(Line(which, unit="s a trial", values=(seconds,), loads=load, peak_mib=at(last).memory))
        measured.append(Line(f"{which}: the driver", unit="s of processor a result", values=(cpu,), loads=load))
    for name, size in at(trials).files.items():
        measured.append(Line(f"{name} after {trials} trials", unit="MiB", values=(size,)))
    return measured


def main() -> None:
    """Run and print the benchmark."""
    parser = _command.parser(__doc__)
    parser.add_argument("--trials", type=int, default=1000, help="default 1000, at least 10")
    options = parser.parse_args()
    _command.run(options, PACKAGES, lambda: lines(options))


if __name__ == "__main__":
    main()
