"""How often a data set is in memory: two trials at once on CIFAR-10, against two on the digits.

    python tests/benchmarks/bench_memory.py [--data-dir DIR]

The same small network is trained on both. What a worker holds for itself (`Private_Clean` + `Private_Dirty` of
/proc/PID/smaps_rollup) may grow by its batches, but not by the data set; what it shares with the node's object store
shows as `Shared`. Linux only.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import _machine
import psutil

RUN = Path(__file__).resolve().parents[2] / "study" / "run.py"
PACKAGES = ("ray", "torch")
OPTIONS = (
    "--space digits_ae --trials 2 --epochs 3 --max-concurrent 2 --confirm 0 --scheduler none --seed 4 --name memory"
)


def worker_memory(root: int) -> dict[int, dict[str, float]]:
    """Return the private and shared memory, in MiB, of each worker that trains below the process `root`."""
    found = {}
    for child in psutil.Process(root).children(recursive=True):
        try:
            if "Trainable" not in "".join(child.cmdline()[:1]):
                continue
            fields = {}
            for line in Path(f"/proc/{child.pid}/smaps_rollup").read_text().splitlines()[1:]:
                name, value, *_ = line.split()
                fields[name.rstrip(":")] = int(value) / 1024
        except (OSError, psutil.Error):
            continue  # it ended meanwhile
        found[child.pid] = {
            "private": fields["Private_Clean"] + fields["Private_Dirty"],
            "shared": fields["Shared_Clean"] + fields["Shared_Dirty"],
        }
    return found


def peaks(data: str, data_dir: Path) -> list[dict[str, float]]:
    """Run a study on `data` and return the peak private and shared memory of each of its workers, in MiB."""
    with tempfile.TemporaryDirectory(prefix="bench-") as folder, Path(folder, "log").open("w") as log:
        command = [sys.executable, str(RUN), *OPTIONS.split(), "--data", data, "--data-dir", str(data_dir)]
        study = subprocess.Popen(command, cwd=folder, stdout=log, stderr=subprocess.STDOUT)
        peak: dict[int, dict[str, float]] = {}
        while study.poll() is None:
            for pid, memory in worker_memory(study.pid).items():
                before = peak.get(pid, {"private": 0.0, "shared": 0.0})
                peak[pid] = {kind: max(value, before[kind]) for kind, value in memory.items()}
            time.sleep(0.2)
        if study.returncode:
            sys.exit(f"the study on {data} failed:\n{Path(folder, 'log').read_text()[-2000:]}")
    return list(peak.values())


def main() -> None:
    """Run and print the benchmark."""
    parser = argparse.ArgumentParser(description="Memory of two workers on CIFAR-10 and on the digits.")
    parser.add_argument("--data-dir", type=Path, default=os.environ.get("STUDY_DATA") or "~/.cache/study-data")
    data_dir = parser.parse_args().data_dir.expanduser().resolve()
    print(_machine.describe(PACKAGES))
    sizes = {"digits": 1797 * 64 / 2**20, "cifar": 60_000 * 3072 / 2**20}
    medians = {}
    for data, size in sizes.items():
        workers = peaks(data, data_dir)
        for worker in workers:
            print(f"{data:7} ({size:6.1f} MiB of images): private {worker['private']:6.0f} MiB, "
                  f"shared {worker['shared']:6.0f} MiB")  # fmt: skip
        medians[data] = sum(worker["private"] for worker in workers) / len(workers)
    print(f"mean private memory of a worker: {medians['cifar'] - medians['digits']:+.0f} MiB on CIFAR-10")


if __name__ == "__main__":
    main()
