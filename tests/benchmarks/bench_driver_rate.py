"""What a driver takes of hundreds of GPUs: 512 trials at a time, each of which reports every few seconds.

    python tests/benchmarks/bench_driver_rate.py [--rates 50,100,200] [--minutes 10] [--trials 10000]

The study is `digits_ae`'s search as `study run` runs it: session, searcher with the space's own parameters, networks
that are built to be counted, ASHA, Tune's controller, journal, Optuna's log, tables, display (lines, as into a file),
MLflow on sqlite. What is made up is what the GPUs would do: Tune's actors are places in two processes
(`_many_actors.py`), an epoch there is a wait, and its numbers are those of one real epoch, scaled. *Not measured:* how
long 512 processes take to start, placement groups, checkpoints, and the network between machines.

Each rate is a study in a process of its own: 512 places, an epoch of 512 / rate seconds; `max` is an epoch of no time
at all, with which the driver is always behind. What is counted begins when every place has reported once, and ends when
the last trial begins: then the time (or the trials) are used up. A place waits from a result until it is asked for the
next one, a new trial's included: that is what a GPU would lose.
"""

from __future__ import annotations

import argparse
import bisect
import json
import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import _command
import _driver_profile
import _own_study
import _sides
import numpy as np
from _lines import LOAD, MEMORY, Line

from study.record.events import Delivered, EpochEnded, Event, RunEnded, RunStarted

PACKAGES = ("ray", "optuna", "mlflow", "torch")
SPACE = "digits_ae"
PLACES, QUICK_PLACES = 512, 4
EPOCHS = 50  # of which ASHA leaves about 12 to a trial
HOSTS = 2
RATES = "25,50,100,200,max"
_DELIVERED_S = 900.0  # that MLflow may take for what is left at the end


def give_places(count: int, period: float, epoch: dict[str, float]) -> Callable[[], list[Any]]:
    """Let studies of this process have `count` places, of a few processes, for their runs; return what made these."""
    import ray
    from _many_actors import Host, Places

    from study.cluster import resources
    from study.driver import winner
    from study.search import controller

    winner.keep_trial = lambda *arguments: None  # the made-up workers leave no network
    found = resources.of_each_run
    resources.of_each_run = lambda settings, measured=(): replace(found(settings, measured), concurrent=count)
    hosts: list[Any] = []

    def places() -> Places:
        remote: Any = ray.remote(num_cpus=0, max_concurrency=2 * count)(Host)
        hosts.extend(remote.remote(epoch, ("val_mse",), period) for _ in range(HOSTS))
        return Places(hosts, count)

    # `controlled` puts it in the place of Tune's own by this name.
    controller.StudyController = partial(controller.StudyController, resource_manager_factory=places)
    return lambda: [ray.get(host.told.remote()) for host in hosts]


def window(events: Sequence[Event], places: int) -> tuple[float, float]:
    """Return when every place had reported once, and when the last trial began, in seconds since 1970."""
    first: dict[str, float] = {}
    for event in events:
        if isinstance(event, EpochEnded):
            first.setdefault(event.id, event.time)
    began = sorted(first.values())[min(places, len(first)) - 1]
    return began, max(event.time for event in events if isinstance(event, RunStarted))


def measure(asked: str, options: argparse.Namespace) -> _sides.Run:
    """Run a study at a rate, of `max` or results a second, in the current folder, and return its numbers."""
    from _many_actors import first_epoch

    import search_spaces
    from study.data import image_data
    from study.record import journal
    from study.search import engine

    folder = Path.cwd()
    here = Path(__file__).resolve().parent
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [str(here), os.environ.get("PYTHONPATH")]))
    period = 0.0 if asked == "max" else options.places / float(asked)
    data = image_data.load("digits", image_data.default_data_dir())
    told = give_places(options.places, period, first_epoch(search_spaces.get(SPACE), data))
    waits: list[Any] = []
    run = engine.run

    def then_ask(*arguments: Any, **named: Any) -> None:
        run(*arguments, **named)
        waits.extend(told())

    engine.run = then_ask  # the hosts end with Ray
    words = f"--scheduler asha --sampler {options.sampler} --epochs {options.epochs} --trials {options.trials}"
    words += f" --time-budget {60 * options.minutes:g}s"
    space = search_spaces.get(SPACE)
    with _driver_profile.Profile() as profile:
        _, path = _own_study.run(folder, folder / "mlflow.db", space, lambda: data, words, deliver_s=_DELIVERED_S)
    events = journal.read(path)
    if options.functions:
        for function, seconds in profile.functions.most_common(options.functions):
            print(f"{seconds:9.2f} s  {function}")
    numbers = counted(events, profile.looks, waits, window(events, options.places))
    sizes = {"journal": path, "Optuna's log": path.with_name("optuna.log"), "MLflow's file": folder / "mlflow.db"}
    return numbers | {f"size:{name}": file.stat().st_size / 2**20 for name, file in sizes.items()}


def counted(
    events: Sequence[Event], looks: Sequence[_driver_profile.Look], told: Sequence[Any], during: tuple[float, float]
) -> _sides.Run:
    """Return the numbers of what happened between two moments."""
    began, ended = during
    seconds = ended - began

    def happened(kind: type[Event]) -> list[Event]:
        return [event for event in events if isinstance(event, kind) and began < event.time <= ended]

    results, trials = len(happened(EpochEnded)), len(happened(RunStarted))
    times = [look.time for look in looks]
    first, last = (looks[min(bisect.bisect(times, moment), len(looks) - 1)] for moment in during)
    waits = np.array([wait.seconds for of_host, _ in told for wait in of_host if began < wait.ended <= ended])
    ends = {event.id: event.time for event in events if isinstance(event, RunEnded)}
    behind = [event.time - ends[event.id] for event in events if isinstance(event, Delivered)]
    start = min(event.time for event in events if isinstance(event, RunStarted))
    between = last.time - first.time  # looks are a second apart at most

    def each(used: float) -> float:
        """Return milliseconds a result of what was used between the two looks."""
        return 1000 * used / between / (results / seconds)

    def used(name: str) -> float:
        return each(getattr(last, name) - getattr(first, name))

    rest = last.process - last.loop - last.mlflow - (first.process - first.loop - first.mlflow)
    parts = {name: each(last.parts[name] - first.parts[name]) for name in (*_driver_profile.PARTS, "the rest")}
    return {
        "seconds": seconds,
        "start": began - start,
        "results": results,
        "trials": trials,
        "rate": results / seconds,
        "wait": float(np.median(waits)),
        "wait 95": float(np.quantile(waits, 0.95)),
        "loop busy": 100 * (last.loop - first.loop) / between,
        "process": used("process"),
        "loop": used("loop"),
        "mlflow": used("mlflow"),
        "threads": each(rest),
        "hosts": used("hosts"),
        "ray": used("ray"),
        "memory": last.memory,
        "grown": 1024 * (last.memory - first.memory) / results,
        "behind": max(behind),
        "bytes": max(size for _, size in told) / 1024,
    } | {f"part:{name}": value for name, value in parts.items()}


WHAT = {
    "rate": ("taken", "results a second"),
    "wait": ("a place waits for the driver, median", "s a result"),
    "wait 95": ("a place waits for the driver, 95 % wait less than", "s a result"),
    "loop busy": ("the driver's main thread works", "% of the time"),
    "process": ("the driver, all of it", "ms of processor a result"),
    "loop": ("its main thread", "ms of processor a result"),
    "mlflow": ("its thread for MLflow", "ms of processor a result"),
    "threads": ("its other threads, Ray's", "ms of processor a result"),
    "ray": ("Ray's raylet and control store", "ms of processor a result"),
    "hosts": ("the processes of the made-up workers", "ms of processor a result"),
    "memory": ("the driver's memory at the end", "MiB"),
    "grown": ("the driver's memory grows by", "KiB a result"),
    "behind": ("MLflow has a run's end later by, at most", "s"),
    "bytes": ("a result, pickled", "KiB"),
    "start": ("from the first trial's start until every place has reported", "s"),
}
"""Of each number, what it says and its unit."""


def lines(options: argparse.Namespace) -> list[Line]:
    """Run a study at each rate."""
    size = ("places", "minutes", "trials", "epochs", "sampler", "functions")
    words = [word for name in size for word in (f"--{name}", str(getattr(options, name)))]
    measured: list[Line] = []
    for asked, (run,) in _sides.interleave(__file__, options.rates.split(","), 1, words).items():
        which = f"{options.places} places, {asked} results a second"
        about = f"{which}, {run['seconds']:.0f} s, {run['trials']:.0f} trials, {run['results']:.0f} results"
        named = {key: (f"{about}: {what}", unit) for key, (what, unit) in WHAT.items()}
        for kind, unit in (("part", "ms of processor a result"), ("size", "MiB")):
            named |= {key: (f"{which}: {key.removeprefix(f'{kind}:')}", unit) for key in _of(run, kind)}
        for number, (key, (what, unit)) in enumerate(named.items()):
            beside = {"loads": (run[LOAD],), "peak_mib": run[MEMORY]} if number == 0 else {}
            measured.append(Line(what, unit=unit, values=(run[key],), **beside))
    return measured


def _of(run: _sides.Run, kind: str) -> list[str]:
    """Return the names of a kind of number, the largest one first."""
    return sorted((key for key in run if key.startswith(f"{kind}:")), key=lambda key: -run[key])


def main() -> None:
    """Run and print the benchmark."""
    parser = _command.parser(__doc__)
    parser.add_argument("--rates", default=RATES, help=f"results a second, or max (default {RATES})")
    parser.add_argument("--minutes", type=float, default=3, help="of each study's search, with its start (default 3)")
    parser.add_argument("--trials", type=int, default=100_000, help="at most (default 100000)")
    parser.add_argument("--epochs", type=int, default=EPOCHS, help=f"of a trial at most (default {EPOCHS})")
    parser.add_argument("--places", type=int, default=PLACES, help=f"trials at a time (default {PLACES})")
    parser.add_argument("--sampler", default="tpe", help="Optuna's (default tpe)")
    parser.add_argument("--functions", type=int, default=0, help="the main thread's heaviest functions to list")
    parser.add_argument("--child", nargs=2, metavar=("SIDE", "RESULT"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.quick:
        options.rates, options.trials, options.places, options.epochs = "16", 16, QUICK_PLACES, 9
    if options.child:
        side, result = options.child
        Path(result).write_text(json.dumps(measure(side, options)))
    else:
        _command.run(options, PACKAGES, lambda: lines(options))


if __name__ == "__main__":
    main()
