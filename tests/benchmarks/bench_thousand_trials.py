"""What grows with a study: 1,000 trivial trials of 3 reports, 2 at a time, MLflow on sqlite.

    python tests/benchmarks/bench_thousand_trials.py [--trials 1000]

Prints seconds per trial, the driver's memory and the size of what it keeps on disk, tenth by tenth of the study: each
tenth adds as much as the one before, or less, if nothing grows beyond linear.
"""

from __future__ import annotations

import argparse
import bisect
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from pathlib import Path

import _machine
import _trivial_study
import psutil

REPOSITORY = Path(__file__).resolve().parents[2]
PACKAGES = ("ray", "optuna", "mlflow", "torch")
EPOCHS = 3
CONCURRENT = 2
PARTS = 10
_EVERY_S = 0.5

Sample = tuple[float, float, dict[str, int]]  # time, MiB of the driver, bytes by file


def sample(folder: Path, samples: list[Sample], stop: threading.Event) -> None:
    """Note down the driver's resident memory and the size of its files, until `stop` is set."""
    process = psutil.Process()
    while not stop.wait(_EVERY_S):
        files = {"journal": folder / "results/ours/journal.jsonl", "optuna.log": folder / "results/ours/optuna.log"}
        files["mlflow.db"] = folder / "mlflow.db"
        sizes = {name: path.stat().st_size if path.exists() else 0 for name, path in files.items()}
        samples.append((time.time(), process.memory_info().rss / 2**20, sizes))


def main() -> None:
    """Run and print the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=1000, help="default 1000")
    options = parser.parse_args()
    sys.path.insert(0, str(REPOSITORY))
    from study.records import journal

    print(_machine.describe(PACKAGES))
    print(f"{options.trials} trials × {EPOCHS} reports, {CONCURRENT} at a time, MLflow on sqlite\n", flush=True)
    samples: list[Sample] = []
    stop = threading.Event()
    with tempfile.TemporaryDirectory(prefix="bench-") as scratch:
        folder = Path(scratch)
        threading.Thread(target=sample, args=(folder, samples, stop), daemon=True).start()
        _, path = _trivial_study.run(folder, folder / "mlflow.db", options.trials, EPOCHS, CONCURRENT)
        stop.set()
        events = journal.read(path)
    ends = [event["time"] for event in events if event["event"] == "end"]
    began = min(event["time"] for event in events if event["event"] == "run")
    widths = (8, 9, 10, 11, 10, 10)
    titles = ("trials", "s a trial", "driver MiB", "journal MiB", "optuna MiB", "mlflow MiB")
    print(_row(titles, widths))
    for part in range(1, PARTS + 1):
        count = options.trials * part // PARTS
        before = options.trials * (part - 1) // PARTS
        seconds = ends[count - 1] - (ends[before - 1] if before else began)
        at = samples[min(bisect.bisect([when for when, *_ in samples], ends[count - 1]), len(samples) - 1)]
        sizes = [f"{size / 2**20:.2f}" for size in at[2].values()]
        print(_row((str(count), f"{seconds / (count - before):.4f}", f"{at[1]:.0f}", *sizes), widths))


def _row(cells: Sequence[str], widths: Sequence[int]) -> str:
    return "  ".join(f"{cell:>{width}}" for cell, width in zip(cells, widths, strict=True))


if __name__ == "__main__":
    main()
