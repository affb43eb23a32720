"""How often a data set is in memory: two trials at once on CIFAR-10, against two on the digits.

    python tests/benchmarks/bench_memory.py [--data-dir DIR]

The same small network is trained on both. What a worker holds for itself (`Private_Clean` + `Private_Dirty` of
/proc/PID/smaps_rollup) may grow by its batches, but not by the data set; what it shares with the node's object store
shows as `Shared`. What a node needs beside its workers (Ray, driver) is the peak of all processes together. Linux only.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import _command
import _machine
import _sides
import psutil
from _lines import Line, UnavailableError

RUN = _command.REPOSITORY / "study" / "run.py"
PACKAGES = ("ray", "torch")
OPTIONS = "--space digits_ae --trials 2 --max-concurrent 2 --confirm 0 --scheduler none --seed 4 --name memory"
EPOCHS = 3
SIZES = {"digits": 1797 * 64 / 2**20, "cifar": 60_000 * 3072 / 2**20}  # MiB of images


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


def peaks(data: str, data_dir: Path, quick: bool) -> tuple[list[dict[str, float]], float]:
    """Run a study on `data`: the peak private and shared memory of each of its workers, and of the node, in MiB."""
    with tempfile.TemporaryDirectory(prefix="bench-") as folder, Path(folder, "log").open("w") as log:
        size = ["--epochs", "1", "--train-size", "1000"] if quick else ["--epochs", str(EPOCHS)]
        command = [sys.executable, str(RUN), *OPTIONS.split(), *size, "--data", data, "--data-dir", str(data_dir)]
        study = subprocess.Popen(command, cwd=folder, stdout=log, stderr=subprocess.STDOUT)
        peak: dict[int, dict[str, float]] = {}
        node = 0.0
        while study.poll() is None:
            for pid, memory in worker_memory(study.pid).items():
                before = peak.get(pid, {"private": 0.0, "shared": 0.0})
                peak[pid] = {kind: max(value, before[kind]) for kind, value in memory.items()}
            node = max(node, _sides.memory_of(study.pid))
            time.sleep(0.2)
        if study.returncode:
            sys.exit(f"the study on {data} failed:\n{Path(folder, 'log').read_text()[-2000:]}")
    return list(peak.values()), node


def lines(options: argparse.Namespace) -> list[Line]:
    """Run both studies.

    Raises:
        UnavailableError: this system does not say what a process holds for itself.
    """
    if not Path("/proc/self/smaps_rollup").exists():
        raise UnavailableError("/proc/PID/smaps_rollup is missing: Linux only")
    folder = _command.data_dir(options)
    _command.need_data("cifar", folder)
    measured = []
    for data, size in SIZES.items():
        load = (_machine.load(),)
        workers, node = peaks(data, folder, options.quick)
        on = f"2 workers on {data}, {size:.1f} MiB of images"
        for kind in ("private", "shared"):
            values = tuple(worker[kind] for worker in workers)
            measured.append(Line(f"{on}: {kind} memory of a worker", unit="MiB", values=values, loads=load))
        measured.append(Line(f"{on}: all processes of the node", unit="MiB", values=(node,), loads=load))
    return measured


def main() -> None:
    """Run and print the benchmark."""
    options = _command.parser(__doc__).parse_args()
    _command.run(options, PACKAGES, lambda: lines(options))


if __name__ == "__main__":
    main()
