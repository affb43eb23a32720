"""What `--warm-start` gains from a source that helps, and costs with one that misleads: mnist_ae after fashion_ae.

The helpful source is a search of fashion_ae. The misleading one is the same journal with the trials' curves dealt out
anew: the best trial has the worst one's values, the second best the second worst's, and so on, so that the configs
that it gives are the source's worst. From each seed mnist_ae is searched three times, with as many trials and epochs,
every trial to its end, one at a time (`_alone.py`): from scratch, with the helpful and with the misleading source.

    python tests/benchmarks/bench_warm_start.py [--seeds 5] [--trials 24] [--latent-size N] [--keep DIR]

Compared is the best validation MSE of any epoch so far, after as many epochs of training on each side, seed by seed:
the geometric mean of the ratios with its 95 % interval (Student's t of their logarithms). What is to be checked is
that a misleading source costs no more than the trials that it gave: with it, all trials come at least as far as a
search from scratch does with so many trials fewer. The intervals are over seeds of the search, with one source.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import _alone
import _command
import _machine
from _lines import Line, geometric_mean

from study.record.events import EpochEnded
from study.record.folder import StudyFolder
from study.record.journal import Journal, read, read_state
from study.record.ranking import best_trials
from study.record.state import StudyState

PACKAGES = ("optuna", "torch")
SOURCE, TARGET, METRIC = "fashion_ae", "mnist_ae", "val_mse"
SIDES = ("scratch", "helpful", "misleading")


def mislead(storage: Path, source: str, name: str) -> None:
    """Write a study that says of the source's best trial what was measured of its worst, and so on to the middle."""
    best = [run.id for run in best_trials(read_state(StudyFolder(storage / source).journal), METRIC)]
    mirrored = dict(zip(best, reversed(best), strict=True))
    events = read(StudyFolder(storage / source).journal)
    measured = {(event.id, event.epoch): event.metrics for event in events if isinstance(event, EpochEnded)}
    folder = StudyFolder(storage / name)
    folder.path.mkdir()
    journal = Journal(folder.journal)
    for event in events:
        if isinstance(event, EpochEnded) and event.id in mirrored:
            event = replace(event, metrics=measured[mirrored[event.id], event.epoch])  # noqa: PLW2901
        journal.append(event)
    journal.close()


def lines(options: argparse.Namespace) -> list[Line]:
    """Search, and return the lines."""
    if options.quick:
        options.trials, options.epochs, options.seeds, options.train_size, options.val_size = 6, 1, 2, 200, 100
    for space in (SOURCE, TARGET):
        _command.need_data(space.partition("_")[0], _command.data_dir(options))
    with _alone.storage(options) as folder:
        return measured(options, folder)


def measured(options: argparse.Namespace, storage: Path) -> list[Line]:
    """Search what is not in the folder yet, and compare."""
    data, load = _command.data_dir(options), (_machine.load(),)
    shared = f"--epochs {options.epochs} --train-size {options.train_size} --val-size {options.val_size}"
    shared += f" --max-params {options.max_params}"
    shared += f" --latent-size {options.latent_size}" * (options.latent_size is not None)
    _alone.search(storage, "helpful", f"--space {SOURCE} --seed 1000 --trials {options.source_trials} {shared}", data)
    if not StudyFolder(storage / "misleading").has_begun:
        mislead(storage, "helpful", "misleading")
    states: dict[str, list[StudyState]] = {side: [] for side in SIDES}
    for seed in range(options.seeds):
        for side in SIDES:
            words = f"--space {TARGET} --seed {seed} --trials {options.trials} {shared}"
            words += f" --warm-start {side}" * (side != "scratch")
            states[side].append(_alone.search(storage, f"{side}-{seed}", words, data))
    found = {side: [_alone.best_by_trial(state, METRIC) for state in mine] for side, mine in states.items()}
    given = max(_given(state) for side in SIDES[1:] for state in states[side])
    return [*_ends(options, found, load), *_ratios(options, found, given), *_alike(states)]


def _given(state: StudyState) -> int:
    """Return how many trials came from the source."""
    return sum((run.key or "").partition("/")[0] in SIDES for run in state.trials)


def _alike(states: Mapping[str, Sequence[StudyState]]) -> list[Line]:
    """Return how many sampled trials have the same number, config and seed as from scratch: those drawn at random."""
    drawn = [
        [{(run.number, run.seed, str(run.config)) for run in state.trials if run.key is None} for state in states[side]]
        for side in SIDES
    ]
    what = "sampled trials that are the same as from scratch"
    pairs = {
        side: [len(a & b) for a, b in zip(drawn[0], mine, strict=True)] for side, mine in zip(SIDES, drawn, strict=True)
    }
    return [Line(what, side, "trials", tuple(map(float, pairs[side]))) for side in SIDES[1:]]


def _ends(
    options: argparse.Namespace, found: Mapping[str, Sequence[Sequence[float]]], load: tuple[float]
) -> list[Line]:
    what = f"{TARGET}, {options.trials} trials × {options.epochs} epochs: best in the end"
    ends = {side: tuple(curve[-1] for curve in curves) for side, curves in found.items()}
    return [Line(what, side, METRIC, values, loads=load) for side, values in ends.items()]


def _ratios(options: argparse.Namespace, found: Mapping[str, Sequence[Sequence[float]]], given: int) -> list[Line]:
    half, whole = options.trials // 2, options.trials
    asked = [(side, at, at) for side in SIDES[1:] for at in (half, whole)] + [("misleading", whole, whole - given)]
    made = []
    for side, mine, scratch in asked:
        pairs = zip(found[side], found["scratch"], strict=True)
        ratios = [one[mine - 1] / other[scratch - 1] for one, other in pairs]
        of_scratch = "as many" if scratch == mine else str(scratch * options.epochs)
        what = f"{side} source ({given} trials given) after {mine * options.epochs} epochs, over scratch after "
        what += f"{of_scratch}: mean {geometric_mean(ratios)}, no worse in {sum(ratio <= 1 for ratio in ratios)}"
        made.append(Line(what, side, f"ratio of {METRIC}", tuple(ratios)))
    return made


def main() -> None:
    """Run and print the benchmark."""
    parser = _alone.parser(__doc__, seeds=5, trials=24, epochs=4, max_params=1_500_000)
    parser.add_argument("--source-trials", type=int, default=12, help="default 12")
    parser.add_argument("--latent-size", type=int, metavar="N", help="of every network (default: searched)")
    options = parser.parse_args()
    _command.run(options, PACKAGES, lambda: lines(options))


if __name__ == "__main__":
    main()
