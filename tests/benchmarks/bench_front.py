"""The error at every size of a code: one search of both objectives beside a search for each size, on cifar_ae.

    python tests/benchmarks/bench_front.py [--seeds 3] [--trials 40] [--keep DIR]

- `one study`: `--objective val_mse,latent_size --constraint latent_size<=256`, over codes of 8 to 256 numbers.
- `eight studies`: `--latent-size N` for N = 8, 16, 32, 64, 108, 128, 192 and 256, with an eighth of the trials each.

Every trial has all its epochs (`--scheduler none`), one at a time (`_alone.py`), so that both sides train the same
number of epochs. A side's front is of the last epoch's validation MSE. Its hypervolume is the area that the front
dominates over the logarithms, of the size to the base 2 and of the error to the base 10, up to a reference point that
no search changes: 512 numbers, and the error of the training images' mean, which is PCA's without a component. An
area is given as a share of that of PCA's own front at all sizes from 8 to 256: above 1 it dominates more than PCA.
Besides, at each of the eight sizes: the lowest error with at most so many numbers, over PCA's with as many.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import geometric_mean

import _alone
import _command
import _machine
from _lines import Line

from study.baselines import pca
from study.data import image_data
from study.record.ranking import on_front
from study.record.state import StudyState

PACKAGES = ("optuna", "torch")
SPACE, DATA, METRIC = "cifar_ae", "cifar", "val_mse"
SIZES = (8, 16, 32, 64, 108, 128, 192, 256)
LARGEST = 512  # numbers: of the reference point
CHEAPER = "kernel_size<=3"  # of both sides: kernels of 5 × 5 take most of a search's time

Point = tuple[float, float]
"""(numbers of a code, MSE)."""


def front(points: Sequence[Point]) -> list[Point]:
    """Return the points that no other one dominates, the smallest code first."""
    return sorted({point for point, kept in zip(points, on_front(points), strict=True) if kept})


def hypervolume(points: Sequence[Point], worst: Point) -> float:
    """Return the area that points dominate up to `worst`, smaller being better, over log2 of sizes and log10 of errors.

    Points that are not better than `worst` in both dominate nothing.
    """
    inside = front([(size, error) for size, error in points if size < worst[0] and error < worst[1]])
    ends = [*(size for size, _ in inside), worst[0]][1:]
    return sum(
        math.log2(end / size) * math.log10(worst[1] / error) for (size, error), end in zip(inside, ends, strict=True)
    )


def points_of(state: StudyState) -> list[Point]:
    """Return size and error of the completed trials."""
    return [(run.config["latent_size"], run.last[METRIC]) for run in state.trials if run.status == "completed"]


def best_within(points: Sequence[Point], size: int) -> float:
    """Return the lowest error with at most so many numbers, infinite where there is none."""
    return min((error for mine, error in points if mine <= size), default=math.inf)


def lines(options: argparse.Namespace) -> list[Line]:
    """Search what is not in the folder yet, and compare."""
    if options.quick:
        options.trials, options.epochs, options.seeds, options.train_size, options.val_size = 16, 1, 1, 300, 50
    _command.need_data(DATA, _command.data_dir(options))
    with _alone.storage(options) as folder:
        return measured(options, folder)


def measured(options: argparse.Namespace, storage: Path) -> list[Line]:
    """Search both ways from each seed, and return the lines."""
    data, load = _command.data_dir(options), (_machine.load(),)
    sides: dict[str, list[list[StudyState]]] = {"one study": [], "eight studies": []}
    for seed in range(options.seeds):
        shared = f"--space {SPACE} --seed {seed} --epochs {options.epochs} --train-size {options.train_size} "
        shared += f"--val-size {options.val_size} --max-params {options.max_params} --constraint {CHEAPER}"
        each = f"{shared} --trials {options.trials // len(SIZES)} --latent-size"
        both = f"{shared} --trials {options.trials} --objective {METRIC},latent_size"
        both += f" --constraint latent_size<={SIZES[-1]}"
        sides["one study"].append([_alone.search(storage, f"both-{seed}", both, data)])
        sides["eight studies"].append([_alone.search(storage, f"of-{n}-{seed}", f"{each} {n}", data) for n in SIZES])
    linear, worst = of_pca(options)
    what = f"{SPACE}, {options.trials} trials × {options.epochs} epochs, {options.train_size:,} images"
    made = [Line(f"{what}: hypervolume", "PCA", "area", (hypervolume(linear, worst),))]
    at_eight = hypervolume([point for point in linear if point[0] in SIZES], worst) / made[0].values[0]
    made.append(Line(f"{what}: hypervolume", "PCA at the eight sizes", "of PCA's", (at_eight,)))
    for side, runs in sides.items():
        fronts = [[point for state in states for point in points_of(state)] for states in runs]
        shares = tuple(hypervolume(points, worst) / made[0].values[0] for points in fronts)
        made += [
            Line(f"{what}: hypervolume", side, "of PCA's", shares),
            Line(f"{what}: sizes on the front", side, "sizes", tuple(float(len(front(points))) for points in fronts)),
            *_by_size(what, side, fronts, dict(linear)),
            Line(f"{what}: epochs trained", side, "epochs", tuple(map(_epochs, runs))),
            Line(f"{what}: training", side, "s of processor", tuple(map(_seconds, runs)), loads=load),
        ]
    return made


def of_pca(options: argparse.Namespace) -> tuple[list[Point], Point]:
    """Return PCA's validation error at every size from the smallest to the largest, and the reference point."""
    folder = _command.data_dir(options)
    data = image_data.load(DATA, folder, train_size=options.train_size, val_size=options.val_size)
    fitted = pca.fit(data.train.images, SIZES[-1])
    ranks = range(SIZES[0], SIZES[-1] + 1)
    errors = [float(pca.image_errors(fitted, data.val.images, rank).mean()) for rank in ranks]
    spread = data.val.images.reshape(len(data.val), -1) / 255 - fitted.mean
    return list(zip(map(float, ranks), errors, strict=True)), (float(LARGEST), float((spread**2).mean()))


def _by_size(what: str, side: str, fronts: Sequence[Sequence[Point]], linear: Mapping[float, float]) -> list[Line]:
    ratios = {size: [best_within(points, size) / linear[size] for points in fronts] for size in SIZES}
    made = [Line(f"{what}: {size} numbers", side, "of PCA's MSE", tuple(found)) for size, found in ratios.items()]
    means = tuple(geometric_mean(of_seed) for of_seed in zip(*ratios.values(), strict=True))
    return [*made, Line(f"{what}: geometric mean of the eight", side, "of PCA's MSE", means)]


def _epochs(states: Sequence[StudyState]) -> float:
    return float(sum(len(run.epochs) for state in states for run in state.trials))


def _seconds(states: Sequence[StudyState]) -> float:
    return sum(run.seconds for state in states for run in state.trials)


def main() -> None:
    """Run and print the benchmark."""
    options = _alone.parser(__doc__, seeds=3, trials=40, epochs=3, max_params=2_500_000).parse_args()
    _command.run(options, PACKAGES, lambda: lines(options))


if __name__ == "__main__":
    main()
