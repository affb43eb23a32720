"""How soon and how good a search is, beside what a user would pick instead: same space, same networks, same cores.

    python tests/benchmarks/bench_search.py [--space digits_ae] [--seeds 8] [--side ours --side "optuna hyperband"]
    python tests/benchmarks/bench_search.py --space cifar_ae --trials 16 --epochs 4 --train-size 400 --val-size 200

Each run is a whole command, imports and ends too, without confirmation; a side's seed is the run's number. All sides
draw from the project's own space, train with its `Trainer`, 2 trials at a time with a thread each, have the same data
and the same number of trials, and begin with the space's own first points. The peers:

- `optuna ...`: Optuna's own way to search in parallel, the script twice on one journal file: TPE as it comes, with
  HyperbandPruner, MedianPruner or no pruner, `trial.report` and `trial.should_prune` after each epoch. (Of sqlite, two
  processes that begin together at times get the same one of the first points, and the second fails as it ends.)
- `ray`: Ray Tune's own example of Optuna with ASHA: a function trainable, OptunaSearch with the space as a function.

A side's curve is the best validation value of any epoch so far, by the seconds since its command began. From the curves
of a seed: the seconds until a value within 10, 5 and 1 % of the best that any side found with this seed (infinite where
a side never came so far; of an accuracy, of its error rate), and the best value after the time of the quickest side.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import _command
import _sides
from _lines import Line, lines_of

if TYPE_CHECKING:
    import optuna

    import search_spaces

PACKAGES = ("ray", "optuna", "torch")
CONCURRENT = 2
OURS = {
    "ours": "",
    "ours, random": "--sampler random",
    "ours, gp": "--sampler gp",
    "ours, no stopping": "--scheduler none",
    "ours, random, no stopping": "--sampler random --scheduler none",
    "ours, hyperband": "--scheduler hyperband",
    "ours, median": "--scheduler median",
}
PRUNERS = {"optuna hyperband": "HyperbandPruner", "optuna median": "MedianPruner", "optuna": "NopPruner"}
SIDES = (*OURS, *PRUNERS, "ray")
DEFAULT_SIDES = ("ours", "ours, random, no stopping", *PRUNERS, "ray")
WITHIN = (0.10, 0.05, 0.01)
_CURVES = "curves"

Curve = list[tuple[float, float]]
"""(seconds since the command began, the best loss so far), in the order of time; an accuracy's loss is 1 − accuracy."""


class Task:
    """A space with its data and budget, in the process that trains it."""

    def __init__(self, options: argparse.Namespace) -> None:
        import torch

        import search_spaces
        from study.data import image_data
        from study.training.execution import prepare_process

        prepare_process(1)
        self.space = search_spaces.get(options.space)
        sizes = {"train_size": options.train_size, "val_size": options.val_size}
        data = image_data.load(self.space.dataset, _command.data_dir(options), **sizes)
        self.context = search_spaces.Context(data.image_shape, data.num_classes)
        self._splits = {
            name: (torch.from_numpy(split.images), torch.from_numpy(split.labels))
            for name, split in {"train": data.train, "val": data.val}.items()
        }
        self._epochs: int = options.epochs

    def values(self, config: Mapping[str, Any], seed: int) -> Iterator[float]:
        """Train a config, and yield its validation value after each epoch; none after one that is not finite."""
        from study.search.sampling import searched_budget
        from study.training.stages import StagedTraining
        from study.training.trainer import NonFiniteLossError

        training = StagedTraining(
            config,
            self._splits,
            num_classes=self.context.num_classes,
            budget=searched_budget(config, self.space, self._epochs),
            seed=seed,
        )
        try:
            training.pretrain(lambda: None)
            for _ in range(self._epochs):
                yield training.epoch()[self.space.metric]
        except NonFiniteLossError:
            return


class Log:
    """A file with a line for each value: when it was known, and it."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("a")

    def add(self, value: float) -> None:
        """Write a value down at once."""
        self._file.write(json.dumps([time.time(), value]) + "\n")
        self._file.flush()


def read(folder: Path) -> list[tuple[float, float]]:
    """Return what all logs in a folder say."""
    return [tuple(json.loads(line)) for log in folder.glob("*.jsonl") for line in log.read_text().splitlines()]


def ours(side: str, options: argparse.Namespace, folder: Path) -> list[tuple[float, float]]:
    """Run `study/run.py`, and return (time, value) of every epoch of its journal."""
    from study.record import journal
    from study.record.events import EpochEnded

    words = f"--space {options.space} --name ours --confirm 0 --seed {options.seed} --trials {options.trials}"
    words += f" --epochs {options.epochs} --max-concurrent {CONCURRENT} {OURS[side]}"
    command = [sys.executable, str(_command.REPOSITORY / "study" / "run.py"), *words.split(), *sizes_of(options)]
    subprocess.run([*command, "--data-dir", str(_command.data_dir(options))], cwd=folder, check=True)
    import search_spaces

    metric = search_spaces.get(options.space).metric
    events = journal.read(folder / "results" / "ours" / "journal.jsonl")
    return [(event.time, event.metrics[metric]) for event in events if isinstance(event, EpochEnded)]


def optuna_alone(side: str, options: argparse.Namespace, folder: Path) -> list[tuple[float, float]]:
    """Run two processes on one Optuna study, and return (time, value) of every epoch."""
    import optuna

    import search_spaces

    space = search_spaces.get(options.space)
    storage = folder / "optuna.log"
    directions = {"min": optuna.study.StudyDirection.MINIMIZE, "max": optuna.study.StudyDirection.MAXIMIZE}
    direction = directions[mode_of(options.space)]
    study = optuna.create_study(study_name="peer", storage=journal_storage(storage), direction=direction)
    for point in space.points(context_of(space)):
        study.enqueue_trial(point.params)
    logs = [folder / f"{number}.jsonl" for number in range(CONCURRENT)]
    arguments = [*arguments_of(options), "--seed", str(options.seed)]
    workers = {}
    for log in logs:
        with log.with_suffix(".txt").open("w") as output:
            command = [sys.executable, __file__, "--worker", side, str(storage), str(log), *arguments]
            workers[output.name] = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT)
    statuses = {name: worker.wait() for name, worker in workers.items()}
    for name, status in statuses.items():
        if status:
            sys.exit(f"{Path(name).read_text()}\n{side}: a worker ended with status {status}")
    return read(folder)


def journal_storage(file: Path) -> optuna.storages.JournalStorage:
    """Return Optuna's storage of several processes on one machine."""
    from optuna.storages import JournalStorage
    from optuna.storages.journal import JournalFileBackend

    return JournalStorage(JournalFileBackend(str(file)))


def optuna_worker(side: str, storage: Path, log: Path, options: argparse.Namespace) -> None:
    """Be one of the processes of `optuna_alone`."""
    import optuna

    task, values = Task(options), Log(log)
    pruner = getattr(optuna.pruners, PRUNERS[side])
    made = pruner(max_resource=options.epochs) if "Hyperband" in PRUNERS[side] else pruner()
    number = int(log.stem)
    sampler = optuna.samplers.TPESampler(seed=CONCURRENT * options.seed + number)
    study = optuna.load_study(study_name="peer", storage=journal_storage(storage), sampler=sampler, pruner=made)

    def objective(trial: optuna.Trial) -> float:
        value = math.nan
        config = task.space.suggest(trial, task.context)
        for epoch, value in enumerate(task.values(config, trial.number)):
            values.add(value)
            trial.report(value, epoch)
            if trial.should_prune():
                raise optuna.TrialPruned
        return value

    most = optuna.study.MaxTrialsCallback(options.trials, states=None)
    study.optimize(objective, n_trials=options.trials, callbacks=[most])


def context_of(space: search_spaces.Space) -> search_spaces.Context:
    """Return what a space has to know of its own data."""
    import search_spaces

    return search_spaces.Context(space.image_shape, len(space.data.class_names))


def suggested(name: str, trial: Any) -> dict[str, Any]:
    """Return what an Optuna trial of a space draws, as Tune takes it: the config, beside the trial's own parameters."""
    import search_spaces

    space = search_spaces.get(name)
    return {"config": space.suggest(trial, context_of(space))}


def ray_alone(side: str, options: argparse.Namespace, folder: Path) -> list[tuple[float, float]]:
    """Run Ray Tune as its example of Optuna with ASHA does, and return (time, value) of every epoch."""
    import ray
    from ray import tune
    from ray.tune.schedulers import ASHAScheduler
    from ray.tune.search import ConcurrencyLimiter
    from ray.tune.search.optuna import OptunaSearch

    import search_spaces

    space = search_spaces.get(options.space)
    points = [point.params for point in space.points(context_of(space))]

    def trainable(config: dict[str, Any]) -> None:
        values = Log(folder / f"{os.getpid()}.jsonl")
        known = []
        for value in Task(options).values(config["config"], options.seed):
            known.append(value)
            values.add(value)
            tune.report({"value": value})
        if len(known) < options.epochs:  # its loss is not a number; Tune and Optuna take no trial without a value
            tune.report({"value": math.inf if mode == "min" else -math.inf})

    mode = mode_of(options.space)
    drawn = partial(suggested, options.space)
    search = OptunaSearch(space=drawn, metric="value", mode=mode, points_to_evaluate=points, seed=options.seed)
    # Its workers import what this file does.
    os.environ["PYTHONPATH"] = os.pathsep.join([str(Path(__file__).parent), str(_command.REPOSITORY)])
    ray.init(num_cpus=CONCURRENT, address="local", include_dashboard=False)
    results = tune.Tuner(
        tune.with_resources(trainable, {"cpu": 1}),
        tune_config=tune.TuneConfig(
            search_alg=ConcurrencyLimiter(search, CONCURRENT),
            scheduler=ASHAScheduler(metric="value", mode=mode, max_t=options.epochs),
            num_samples=options.trials,
        ),
        run_config=tune.RunConfig(storage_path=str(folder), verbose=0),
    ).fit()
    for error in results.errors:
        raise error
    return read(folder)


def measure(side: str, options: argparse.Namespace) -> tuple[dict[str, float], Curve]:
    """Run one side once, and return its numbers and its curve."""
    began = time.time()
    run = ours if side in OURS else ray_alone if side == "ray" else optuna_alone
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        epochs = run(side, options, Path(folder))
    whole = time.time() - began
    higher = mode_of(options.space) == "max"
    curve: Curve = []
    best = math.inf
    for at, value in sorted(epochs):
        loss = 1 - value if higher else value
        if loss < best:
            best = loss
            curve.append((at - began, best))
    return {"whole": whole, "epochs": float(len(epochs)), "best": best}, curve


def mode_of(space: str) -> Literal["min", "max"]:
    """Return the direction of a space's objective."""
    import search_spaces
    from study.record.metrics import mode

    return mode(search_spaces.get(space).metric)


def after(curve: Curve, seconds: float) -> float:
    """Return the best loss after so many seconds, infinite before the first one."""
    return min((loss for at, loss in curve if at <= seconds), default=math.inf)


def until(curve: Curve, loss: float) -> float:
    """Return the seconds until a loss that is as low, infinite where there never was one."""
    return next((at for at, best in curve if best <= loss), math.inf)


def compared(curves: Mapping[str, Curve], wholes: Mapping[str, float]) -> dict[str, dict[str, float]]:
    """Return the numbers of each side that are of a seed's curves together."""
    best = min(curve[-1][1] for curve in curves.values() if curve)
    equal = min(wholes.values())
    return {
        side: {"equal": after(curve, equal)} | {f"{share:.0%}": until(curve, best * (1 + share)) for share in WITHIN}
        for side, curve in curves.items()
    }


def lines(options: argparse.Namespace) -> Sequence[Line]:
    """Run the sides on each seed, and return the lines."""
    import search_spaces

    if options.quick:
        options.trials, options.epochs, options.seeds = 4, 2, 1
    if options.space.partition("_")[0] != "digits":
        _command.need_data(options.space.partition("_")[0], _command.data_dir(options))
    sides = tuple(options.side or DEFAULT_SIDES)
    results: dict[str, list[dict[str, float]]] = {side: [] for side in sides}
    for seed in range(options.first_seed, options.first_seed + options.seeds):
        shift = seed % len(sides)
        with tempfile.TemporaryDirectory(prefix="bench-") as folder:
            arguments = [*arguments_of(options), "--seed", str(seed), f"--{_CURVES}", folder]
            order = (*sides[shift:], *sides[:shift])
            runs = {side: runs[0] for side, runs in _sides.interleave(__file__, order, 1, arguments).items()}
            curves = {side: json.loads(Path(folder, f"{side}.json").read_text()) for side in sides}
        if options.keep:
            options.keep.mkdir(parents=True, exist_ok=True)
            (options.keep / f"{options.space}-{seed}.json").write_text(json.dumps({"runs": runs, "curves": curves}))
        for side, more in compared(curves, {side: run["whole"] for side, run in runs.items()}).items():
            results[side].append(runs[side] | more)
    what = f"{options.space}, {options.trials} trials × {options.epochs} epochs"
    unit = "error rate" if mode_of(options.space) == "max" else search_spaces.get(options.space).metric
    return [
        *lines_of(f"{what}: best in the end", unit, "best", results),
        *lines_of(f"{what}: best after the quickest side's time", unit, "equal", results),
        *[
            line
            for share in WITHIN
            for line in lines_of(f"{what}: until within {share:.0%} of the best", "s", f"{share:.0%}", results)
        ],
        *lines_of(f"{what}: whole command", "s", "whole", results),
        *lines_of(f"{what}: epochs trained", "epochs", "epochs", results),
    ]


def arguments_of(options: argparse.Namespace) -> list[str]:
    """Return the options that say what is searched."""
    words = ["--space", options.space, "--trials", options.trials, "--epochs", options.epochs]
    words += ["--data-dir", _command.data_dir(options), *sizes_of(options)]
    return [str(word) for word in words]


def sizes_of(options: argparse.Namespace) -> list[str]:
    """Return the options that say how many of the images are used."""
    sizes = {"--train-size": options.train_size, "--val-size": options.val_size}
    return [word for name, size in sizes.items() if size is not None for word in (name, str(size))]


def main() -> None:
    """Run and print the benchmark."""
    parser = _command.parser(__doc__)
    parser.add_argument("--space", default="digits_ae", help="default digits_ae")
    parser.add_argument("--trials", type=int, default=32, help="default 32")
    parser.add_argument("--epochs", type=int, default=30, help="of a trial (default 30)")
    parser.add_argument("--train-size", type=int, help="a subset of the training images")
    parser.add_argument("--val-size", type=int, help="a subset of the validation images")
    parser.add_argument("--seeds", type=int, default=8, help="default 8")
    parser.add_argument("--first-seed", type=int, default=0, help="default 0")
    parser.add_argument("--side", choices=SIDES, action="append", help="this side alone; may be repeated")
    parser.add_argument("--keep", type=Path, metavar="DIR", help="write each seed's curves there")
    parser.add_argument("--seed", type=int, default=0, help=argparse.SUPPRESS)
    parser.add_argument(f"--{_CURVES}", help=argparse.SUPPRESS)
    parser.add_argument("--child", nargs=2, metavar=("SIDE", "RESULT"), help=argparse.SUPPRESS)
    parser.add_argument("--worker", nargs=3, metavar=("SIDE", "STORAGE", "LOG"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.worker:
        side, storage, log = options.worker
        optuna_worker(side, Path(storage), Path(log), options)
    elif options.child:
        side, result = options.child
        numbers, curve = measure(side, options)
        Path(options.curves, f"{side}.json").write_text(json.dumps(curve))
        Path(result).write_text(json.dumps(numbers))
    else:
        _command.run(options, PACKAGES, lambda: lines(options))


if __name__ == "__main__":
    # Threads of the libraries below PyTorch: two trials at once have a core each, on every side.
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    main()
