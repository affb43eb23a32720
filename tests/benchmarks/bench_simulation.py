"""How fast a simulation is, and whether it says what real runs say.

Examples:
    python tests/benchmarks/bench_simulation.py                              # speed, on made-up curves
    python tests/benchmarks/bench_simulation.py --recorded curves --rerun asha-run median-run --storage results

`--recorded` is a study of --scheduler none --sampler random --max-concurrent 1; each `--rerun` is the same command with
another scheduler and the same seed. Printed: how many trials ended at the same epoch as in the replay with one worker
in the recorded order, and both sides' numbers, from the first trial's start to the best trial's end.
"""

from __future__ import annotations

import time
from fractions import Fraction
from pathlib import Path

import _command
import _machine
import numpy as np
from _lines import Line

from study.record.journal import read_state
from study.record.state import Run, StudyState
from study.search.schedulers import default_settings
from study.simulation.grid import Variant, shuffled_orders, simulate
from study.simulation.recorded import RecordedStudy, RecordedTrial, read_recorded
from study.simulation.replay import Ended, Replay
from study.worker.job import EPOCH

PACKAGES = ("ray", "numpy")
TRIALS, EPOCHS = 64, 30
# Three settings of each scheduler that has any, so that "4 schedulers x 3 settings" are ten.
VARIANTS = [
    Variant("none"),
    *(Variant(scheduler, reduction=reduction) for scheduler in ("asha", "hyperband") for reduction in (2, 3, 4)),
    *(Variant("median", grace=Fraction(grace)) for grace in (2, 6, 10)),
]


def made_up(trials: int, epochs: int) -> RecordedStudy:
    """Return falling curves with noise."""
    generator = np.random.default_rng(0)
    recorded = []
    for number in range(trials):
        floor, height = generator.uniform(0.01, 0.1), generator.uniform(0.05, 0.3)
        values = [float(floor + height / epoch + generator.normal(0, 0.001)) for epoch in range(1, epochs + 1)]
        run = Run(f"t{number:04d}", "trial", number, {}, number, epochs, 1, None, 0.0, status="completed")
        run.epochs = [{EPOCH: epoch, "val_mse": value, "seconds": 1.0} for epoch, value in enumerate(values, start=1)]
        recorded.append(RecordedTrial(run, tuple(run.epochs), (1.0,) * epochs, values[-1]))
    return RecordedStudy("made-up", "val_mse", "min", epochs, "random", tuple(recorded))


def speed(quick: bool) -> list[Line]:
    """Return the seconds of a whole simulation, scheduler by scheduler."""
    trials, epochs, count = (8, 9, 2) if quick else (TRIALS, EPOCHS, 20)
    study = made_up(trials, epochs)
    orders, workers = shuffled_orders(study, count, seed=0), (1, 2, 4, 8)
    lines = []
    for scheduler in ("none", "asha", "hyperband", "median"):
        chosen = [variant for variant in VARIANTS if variant.scheduler == scheduler]
        compared = chosen if scheduler == "none" else [VARIANTS[0], *chosen]
        load, wall, processor = _machine.load(), time.perf_counter(), time.process_time()
        cells = list(simulate(study, compared, workers, orders, (5.0, 1.0)))
        wall, processor = time.perf_counter() - wall, time.process_time() - processor
        what = (
            f"{scheduler}: {len(compared)} settings × {len(workers)} numbers of workers × {len(orders)} orders = "
            f"{len(cells) * len(orders)} studies of {trials} trials × {epochs} epochs"
        )
        lines.append(Line(what, unit="s", values=(wall,), loads=(load,)))
        lines.append(Line(what, unit="s of processor", values=(processor,), loads=(load,)))
    return lines


def real_ends(state: StudyState) -> list[Ended]:
    """Return the ends of a real study's trials, in the order of time."""
    start = min(run.started for run in state.trials)
    ends = [
        Ended(run.id, run.status, len(run.epochs), run.last.get(metric_of(state), np.nan), at - start, run.seconds)
        for run in state.trials
        for at in [run.last.get("time", run.started)]
    ]
    return sorted(ends, key=lambda end: end.time)


def metric_of(state: StudyState) -> str:
    """Return the objective."""
    return state.settings["objectives"][0]


def against(storage: Path, recorded: str, reruns: list[str]) -> None:
    """Print real and simulated studies side by side."""
    study = read_recorded(storage, recorded)
    replay = Replay(study)
    best = study.best_of(study.completed)
    print("study, scheduler, trials that end alike; of each side: regret, epochs and seconds until it, and in all")
    for name in [recorded, *reruns]:
        state = read_state(storage / name / "journal.jsonl")
        scheduler = state.settings["scheduler"]
        settings = default_settings(scheduler, study.max_epochs)
        simulated, real = replay.run(scheduler, settings, 1, range(len(study.trials))), real_ends(state)
        ended = [{end.id: (end.status, end.epochs) for end in side} for side in (simulated, real)]
        alike = sum(ended[0][run_id] == ended[1][run_id] for run_id in ended[0])
        print(f"{name}  {scheduler}  {alike} of {len(study.trials)}")
        for side, ends in (("simulated", simulated), ("real", real)):
            completed = [
                (study.regret(end.value, best), at) for at, end in enumerate(ends) if end.status == "completed"
            ]
            regret, at = min(completed)
            until, epochs = (sum(end.epochs for end in some) for some in (ends[: at + 1], ends))
            seconds = sum(end.seconds for end in ends)
            print(
                f"    {side:>9}: {regret:6.2f} %, {until:4d} epochs {ends[at].time:7.1f} s, "
                f"{epochs:4d} epochs {seconds:7.1f} s"
            )


def main() -> None:
    """Measure the speed, or print the comparison."""
    parser = _command.parser(__doc__)
    parser.add_argument("--recorded", metavar="NAME", help="a study without a scheduler")
    parser.add_argument("--rerun", nargs="+", default=[], metavar="NAME", help="the same with schedulers")
    parser.add_argument("--storage", type=Path, default=Path("results"))
    options = parser.parse_args()
    if options.recorded:
        print(_machine.describe(PACKAGES))
        against(options.storage, options.recorded, options.rerun)
    else:
        _command.run(options, PACKAGES, lambda: speed(options.quick))


if __name__ == "__main__":
    main()
