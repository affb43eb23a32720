"""How long a report takes: `analysis/report.py` on a made-up study of 500 trials × 20 epochs, in a process of its own.

    python tests/benchmarks/bench_report.py [--runs 3] [--trials 500] [--epochs 20]

The study has everything that a real one has but pictures: configs drawn from cifar_ae, learning curves, stopped and
failed trials, three configs confirmed on three seeds, PCA.
"""

from __future__ import annotations

import argparse
import os
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import _command
import _machine
from _command import REPOSITORY
from _lines import Line

PACKAGES = ("pandas", "matplotlib", "seaborn", "optuna")
SPACE = "cifar_ae"
SHAPE = (3, 32, 32)


def events(settings: Any, trials: int, epochs: int) -> list[tuple[str, dict[str, Any]]]:
    """Return what happens in the made-up study, as a recorder takes it."""
    import optuna

    import search_spaces
    from search_spaces import Context
    from study.record.metrics import mode

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    draw = random.Random(0)
    space = search_spaces.get(SPACE)
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    sizes = {"train": 45_000, "val": 5_000, "test": 10_000}
    data = {"name": "cifar", "digest": "0123", "sizes": sizes, "image_shape": list(SHAPE), "notes": []}
    data |= {"class_names": [str(number) for number in range(10)], "split": "made up"}
    about = {
        "settings": settings.to_json(),
        "objective": {"metric": space.metric, "mode": mode(space.metric)},
        "data": data,
    }
    about["environment"] = {"git_commit": None, "cpu": "none", "cpus": 2, "gpus": [], "versions": {}}
    happened: list[tuple[str, dict[str, Any]]] = [("study", about)]

    def run(name: str, config: dict[str, Any], *, number: int, until: int, status: str, **more: Any) -> None:
        numbers = {"number": number, "seed": number, "budget": epochs, "params": draw.randint(10**4, 10**7)}
        happened.append(("run", {"id": name, "config": config, "key": None, **numbers, **more}))
        error = draw.uniform(0.005, 0.03) + 0.5 / config["latent_size"]
        for epoch in range(1, until + 1):
            value = error * (1 + 1 / epoch) * draw.uniform(0.98, 1.02)
            metrics = {"seconds": 1.0, "train_mse": value, "train_loss": value, "val_mse": value, "val_psnr": 20.0}
            happened.append(("epoch", {"id": name, "epoch": epoch, "metrics": metrics}))
        final = {"test_mse": error, "test_psnr": 20.0} if "confirm_of" in more else {}
        reason = "out of memory" if status == "failed" else None
        happened.append(("end", {"id": name, "status": status, "reason": reason, "final": final}))

    for number in range(trials):
        config = space.suggest(study.ask(), Context(SHAPE, 10))
        status = "failed" if number % 25 == 24 else "completed" if number % 3 == 0 else "stopped"
        until = {"failed": 1, "completed": epochs, "stopped": min(epochs, draw.randint(2, max(2, epochs - 1)))}[status]
        run(f"t{number:04d}", config, number=number, until=until, status=status, kind="trial")
    configs = {fields["id"]: fields["config"] for kind, fields in happened if kind == "run"}
    for of in ("t0000", "t0003", "t0006"):
        for seed in (1, 2, 3):
            more = {"number": seed, "until": epochs, "status": "completed", "kind": "confirm", "confirm_of": of}
            run(f"{of}-s{seed}", configs[of], **more)
    ranks = sorted({config["latent_size"] for config in configs.values()})
    rows = [{"n_components": rank, "train_mse": 1 / rank, "val_mse": 1 / rank, "test_mse": 1 / rank} for rank in ranks]
    happened.append(("baseline", {"rows": rows}))
    return happened


def make(storage: Path, trials: int, epochs: int) -> None:
    """Write the made-up study's files."""
    from study.record import tables
    from study.record.events import EVENTS
    from study.record.folder import created
    from study.record.journal import Journal, Recorder
    from study.record.state import StudyState
    from study.settings.command_line import parse
    from study.settings.resolve import settings_of

    options = f"--space {SPACE} --trials {trials} --epochs {epochs} --name made-up --storage {storage}"
    settings = settings_of(parse([*options.split(), "--tracking-uri", f"sqlite:///{storage}/none.db"]).given)
    with created(storage, "made-up") as folder:
        recorder = Recorder(Journal(folder.journal), StudyState())
        for kind, fields in events(settings, trials, epochs):
            recorder.record(EVENTS[kind](**fields))
        tables.write(folder, recorder.state)


def measure(storage: Path) -> tuple[float, float]:
    """Return the wall seconds and the peak memory, in MiB, of one report."""
    command = [sys.executable, "analysis/report.py", "made-up", "--storage", str(storage), "--no-mlflow"]
    started = time.perf_counter()
    process = subprocess.Popen(command, cwd=REPOSITORY, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        sys.exit(f"{' '.join(command)} ended with status {status}")
    return time.perf_counter() - started, usage.ru_maxrss / 1024


def lines(options: argparse.Namespace) -> list[Line]:
    """Write the made-up study, and its report as often as asked for."""
    trials, epochs, runs = (30, 3, 1) if options.quick else (options.trials, options.epochs, options.runs)
    with tempfile.TemporaryDirectory(prefix="bench-") as scratch:
        storage = Path(scratch)
        make(storage, trials, epochs)
        loads, seconds, memory = zip(*((_machine.load(), *measure(storage)) for _ in range(runs)), strict=True)
        size = (storage / "made-up" / "report" / "index.html").stat().st_size
    what = f"{trials} trials × {epochs} epochs"
    return [
        Line(f"a report of {what}", unit="s", values=seconds, loads=loads, peak_mib=max(memory)),
        Line(f"the page of {what}", unit="MiB", values=(size / 2**20,)),
    ]


def main() -> None:
    """Run and print the benchmark."""
    parser = _command.parser(__doc__)
    parser.add_argument("--runs", type=int, default=3, help="default 3")
    parser.add_argument("--trials", type=int, default=500, help="default 500")
    parser.add_argument("--epochs", type=int, default=20, help="default 20")
    options = parser.parse_args()
    _command.run(options, PACKAGES, lambda: lines(options))


if __name__ == "__main__":
    main()
