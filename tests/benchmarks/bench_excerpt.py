"""What a search is the worse, or the better, for learning from an excerpt of its trials: TPE on made-up objectives.

    python tests/benchmarks/bench_excerpt.py [--bounds 250] [--trials 750] [--seeds 20] [--only network]
    python tests/benchmarks/bench_excerpt.py --only cost [--marks 100,300,1000,3000,10000]

Each seed is a search with all trials shown to the sampler, one for each bound, and one at random; up to the bound all
but the last are the same, trial by trial. Sampler and storage are the study's own, the objectives are functions with a
little luck, so that nothing is trained. A search's score is the common logarithm of how far the trial that seems best
is from the optimum, which is known, without the luck: of `fronts` the mean of it over the sizes of code. Smaller is
better; 0.1 is a quarter of the distance more. What is printed of a bound is its score less that with all shown, seed by
seed: the mean has its 95 % interval over seeds.

- `bowl`: five numbers of unequal weight. `network`: rate, width, code, one of three architectures, two of which have a
  depth.
- `stopped`: `network`, of which a trial in three goes on at 1 and at 3 of 9 epochs, the others are told as stopped.
- `constrained`: `network`, whose width and code together are bounded. `fronts`: `network`'s error against its code.
- `crowd`: `network`, 256 trials at a time, which end in an order of their own.

`cost` is what one suggestion of `digits_ae`'s search takes of the processor after so many ended trials, three in five
of which were stopped, all shown and some, in turn; no network is built.
"""

from __future__ import annotations

import argparse
import math
import random
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import _command
import _machine
import numpy as np
from _lines import Line, as_text

if TYPE_CHECKING:
    import optuna

PACKAGES = ("optuna", "numpy")
EPOCHS = (1, 3, 9)
CROWD = 256
MOST_SIZE = 2**11  # of width × code, of `constrained`
CODES = range(2, 65)
LUCK = 0.01  # standard deviation of what a trial's value is off by
FLOOR = 1e-6  # distances below are as good as none


def bowl(trial: optuna.Trial) -> float:
    """Return the distance from the optimum of a bowl in five dimensions."""
    return sum(weight * (trial.suggest_float(f"x{weight}", -1, 1) - 0.3) ** 2 for weight in (1, 2, 4, 8, 16))


def network(trial: optuna.Trial) -> float:
    """Return an error as networks have it, by the least there is: 0 is the optimum."""
    rate, width = trial.suggest_float("lr", 1e-5, 1e-1, log=True), trial.suggest_int("width", 16, 512, log=True)
    code, kind = trial.suggest_int("z", 2, 64, log=True), trial.suggest_categorical("arch", ["a", "b", "c"])
    depth = trial.suggest_int("depth", 1, 4) if kind != "c" else 1
    error = {"a": 1.0, "b": 1.05, "c": 1.5}[kind] * (1 + 0.3 * (math.log10(rate) + 2.7) ** 2)
    return error * (1 + 0.05 * abs(depth - 2)) * of_size(width, code) - 1


def of_size(width: int, code: int) -> float:
    """Return the factor that width and code have in the error of `network`, 1 at their best."""
    return (1 + 0.05 * math.log2(width / 128) ** 2) * (1 + 0.1 * math.log2(code / 24) ** 2)


class Search:
    """A search of a made-up objective.

    Args:
        problem: Its name.
        seed: Of the sampler.
        folder: Of its log.
        sampler: A name of a study's sampler.
        bound: How many ended trials the sampler is shown, None for all.
    """

    def __init__(self, problem: str, seed: int, folder: Path, sampler: str, bound: int | None) -> None:
        import optuna

        from study.search.storages import SearchLog

        self._problem, self._seed, self._sampler = problem, seed, sampler
        directions = [optuna.study.StudyDirection.MINIMIZE] * (1 + (problem == "fronts"))
        log = Path(tempfile.mkdtemp(dir=folder)) / "optuna.log"
        self._study = optuna.create_study(storage=SearchLog(log, bound), directions=directions, study_name="made")
        self._function: Callable[[optuna.Trial], float] = bowl if problem == "bowl" else network
        self._rungs: dict[int, list[float]] = {epoch: [] for epoch in EPOCHS[:-1]}
        self._luck = random.Random(seed)
        self.found: list[tuple[float, float, int]] = []  # of completed trials that keep the constraint: see `_end`

    def run(self, trials: int) -> float:
        """Search for so many trials, and return the score."""
        import optuna

        from study.search.sampling import sampler_for_trial

        optuna.logging.set_verbosity(optuna.logging.ERROR)
        rng, going_on = random.Random(self._seed), []
        for number in range(trials):
            self._study.sampler = sampler_for_trial(self._sampler, self._seed, number)
            trial = self._study.ask()
            going_on.append((trial, self._function(trial)))
            if len(going_on) > (CROWD if self._problem == "crowd" else 0):
                self._end(*going_on.pop(rng.randrange(len(going_on))))
        for trial, value in going_on:
            self._end(trial, value)
        return self._score()

    def _end(self, trial: optuna.Trial, true: float) -> None:
        """Tell Optuna a trial's value, and keep it with the value without luck and the size of code."""
        from optuna.trial import TrialState

        value = true + self._luck.gauss(0, LUCK)
        code = int(trial.params.get("z", 0))
        if self._problem == "constrained":
            excess = trial.params["width"] * code / MOST_SIZE - 1
            trial.set_constraint("size", excess)
            if excess > 0:
                self._study.tell(trial, value)
                return
        if self._problem == "stopped":
            for epoch, others in self._rungs.items():
                others.append(value + (1 + self._luck.gauss(0, 10 * LUCK)) / epoch)
                trial.report(others[-1], epoch)
                if others[-1] > sorted(others)[(len(others) - 1) // 3]:
                    self._study.tell(trial, state=TrialState.PRUNED)
                    return
        self.found.append((value, true, code))
        self._study.tell(trial, [value, code] if self._problem == "fronts" else value)

    def _score(self) -> float:
        if self._problem == "fronts":
            gaps = []
            for size in CODES:
                _, true, _ = min((found for found in self.found if found[-1] <= size), default=(1.0, 1.0, 0))
                gaps.append(distance(true, min(of_size(128, code) for code in CODES if code <= size) - 1))
            return statistics.fmean(gaps)
        optimum = 0.0
        if self._problem == "constrained":
            sizes = ((width, code) for width in range(16, 513) for code in CODES)
            optimum = min(of_size(*size) for size in sizes if math.prod(size) <= MOST_SIZE) - 1
        return distance(min(self.found)[1], optimum)


def distance(value: float, optimum: float) -> float:
    """Return the common logarithm of how far a value is from the optimum."""
    return math.log10(max(value - optimum, FLOOR))


_TIMES = 8
_DRAWN = 400  # different trials, which then come again with other values
PROBLEMS = ("bowl", "network", "stopped", "constrained", "fronts", "crowd")


def lines(options: argparse.Namespace) -> list[Line]:
    """Search every problem with every seed."""
    if options.quick:
        options.trials, options.seeds, options.bounds, options.marks = 30, 2, "20", "20,40"
    sides: dict[str, tuple[str, int | None]] = {"all shown": ("tpe", None)}
    bounds, marks = ([int(word) for word in words.split(",")] for words in (options.bounds, options.marks))
    sides |= {f"{bound} shown": ("tpe", bound) for bound in bounds}
    sides["at random"] = ("random", None)
    chosen = options.only or ("cost", *PROBLEMS)
    measured = costs(marks, bounds) if "cost" in chosen else []
    for problem in (problem for problem in PROBLEMS if problem in chosen):
        load, scores = _machine.load(), {side: list[float]() for side in sides}
        with tempfile.TemporaryDirectory(prefix="bench-") as folder:
            for seed in range(options.seeds):
                for side, (sampler, bound) in sides.items():
                    scores[side].append(Search(problem, seed, Path(folder), sampler, bound).run(options.trials))
        which = f"{problem}, {options.trials} trials"
        whole, *others = scores
        measured.append(Line(f"{which}: {whole}", unit="score", values=tuple(scores[whole]), loads=(load,)))
        for side in others:
            less = tuple(np.subtract(scores[side], scores[whole]).tolist())
            measured.append(Line(f"{which}: {side}, less {whole}, {interval(less)}", unit="score", values=less))
        print(as_text(measured[-len(sides) :]), flush=True)
    return measured


def costs(marks: Sequence[int], bounds: Sequence[int]) -> list[Line]:
    """Measure suggestions after so many ended trials."""
    import optuna
    from optuna.trial import TrialState, create_trial

    import search_spaces
    from study.search.sampling import sampler_for_trial
    from study.search.storages import SearchLog

    space = search_spaces.get("digits_ae")
    context = search_spaces.Context(space.image_shape, 10)
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    source = optuna.create_study(sampler=optuna.samplers.RandomSampler(0))
    for _ in range(_DRAWN):
        space.suggest(source.ask(), context)
    drawn = source.get_trials(deepcopy=False)
    rng, measured, ended = random.Random(0), [], 0
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        studies = {
            bound: optuna.create_study(storage=SearchLog(Path(folder, f"{bound}.log"), bound), study_name="made")
            for bound in (None, *bounds)
        }
        for mark in marks:
            for number in range(ended, mark):
                value, is_stopped, epoch = rng.random(), rng.random() < 0.6, rng.choice(EPOCHS)
                trial = create_trial(
                    state=TrialState.PRUNED if is_stopped else TrialState.COMPLETE,
                    params=drawn[number % _DRAWN].params,
                    distributions=drawn[number % _DRAWN].distributions,
                    value=None if is_stopped else value,
                    intermediate_values={epoch: value},
                )
                for study in studies.values():
                    study.add_trial(trial)
            ended, load = mark, _machine.load()
            taken: dict[int | None, list[float]] = {bound: [] for bound in studies}
            for number in range(_TIMES):
                for bound, study in studies.items():
                    study.sampler = sampler_for_trial("tpe", mark, number)
                    began = time.thread_time()
                    asked = study.ask()
                    space.suggest(asked, context)
                    taken[bound].append(1000 * (time.thread_time() - began))
                    study.tell(asked, state=TrialState.FAIL)
            for bound, values in taken.items():
                what = f"a suggestion after {mark:,} trials, {'all' if bound is None else bound} shown"
                measured.append(Line(what, unit="ms of processor", values=tuple(values), loads=(load,)))
    return measured


def interval(differences: Sequence[float]) -> str:
    """Return the mean of differences and its 95 % interval, in words."""
    from study.record.intervals import mean_interval

    found = mean_interval(differences)
    ends = "" if found.ci95 is None else " ({:.3f} … {:.3f})".format(*found.ci95)
    return f"mean {found.mean:.3f}{ends}"


def main() -> None:
    """Run and print the benchmark."""
    parser = _command.parser(__doc__)
    parser.add_argument("--bounds", default="250", metavar="N,…", help="ended trials that are shown (default 250)")
    parser.add_argument("--trials", type=int, default=750, help="of a search (default 750)")
    parser.add_argument("--seeds", type=int, default=20, help="default 20")
    parser.add_argument("--only", choices=("cost", *PROBLEMS), action="append", help="this; may be repeated")
    parser.add_argument(
        "--marks", default="100,300,1000,3000,10000", metavar="N,…", help="of cost (default %(default)s)"
    )
    options = parser.parse_args()
    _command.run(options, PACKAGES, lambda: lines(options))


if __name__ == "__main__":
    main()
