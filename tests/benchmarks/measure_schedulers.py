"""Which scheduler finds the best of the recorded trials, and at what cost: eight recorded studies of four data sets.

    python tests/benchmarks/measure_schedulers.py --keep DIR

Recorded is what `study run SPACE --sampler random --scheduler none --seed 0 --confirm 0` would record, one trial at a
time (`_alone.py`); what is in DIR already is not recorded again, and `study simulate NAME --storage DIR` reads it too.
Printed is a Markdown table: for each setting the share of orders in which the best trial is found and the cost over
that of no scheduler, in the mean over the studies that choose, over those that show, and over all; the smallest share
of any study; and in how many studies both limits hold. docs/schedulers.md has the rule by which a default is chosen.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Mapping, Sequence
from fractions import Fraction
from pathlib import Path
from statistics import fmean

import _alone
import _command
import _machine

from study.simulation.grid import Cell, Variant, shuffled_orders, simulate, variants
from study.simulation.recorded import read_recorded

FOUND, COST = 0.85, 0.75
CHOOSING = ("digits_ae", "fashion_classifier", "mnist_vae", "cifar_ae")
SHOWING = ("digits_classifier", "digits_vae", "mnist_ae", "fashion_ae")
TRIALS, EPOCHS = 20, 12
SUBSET = "--train-size 500 --val-size 500 --max-params 1000000"
WORKERS, ORDERS, SAMPLE = 2, 60, 16
GRACES = tuple(Fraction(1, part) for part in (9, 6, 4, 3, 2))
REDUCTIONS = (2, 3, 4)

Cells = Mapping[str, Sequence[Cell]]
"""By study, the same variants in the same order."""


def record(storage: Path, space: str, options: argparse.Namespace) -> None:
    """Record one study, where it is not there yet."""
    words = f"--space {space} --sampler random --seed 0 --confirm 0 --trials {options.trials} --epochs {EPOCHS} "
    words += "" if space.startswith("digits") and not options.quick else SUBSET
    _alone.search(storage, space, words, _command.data_dir(options))


def replayed(storage: Path, space: str, compared: Sequence[Variant], options: argparse.Namespace) -> list[Cell]:
    """Replay one study in all settings."""
    study = read_recorded(storage, space)
    orders = shuffled_orders(study, options.orders, seed=0, sample=min(SAMPLE, len(study.trials) - 1))
    return list(simulate(study, compared, (WORKERS,), orders, (1.0,)))


def found_and_cost(cells: Sequence[Cell]) -> tuple[float, float]:
    """Return the mean over studies of one setting's share of orders that find the best, and of its cost."""
    found = fmean(cell.summary.found.middle for cell in cells)
    return found, fmean(cell.summary.cost_of_none.middle for cell in cells)


def good_enough(found: float, cost: float) -> bool:
    """Return whether both limits hold."""
    return found >= FOUND and cost <= COST


def rows(cells: Cells) -> list[list[str]]:
    """Return the table's rows, the cheapest over all studies first."""
    spaces = list(cells)
    found = []
    for same in zip(*cells.values(), strict=True):
        by_space = dict(zip(spaces, same, strict=True))
        parts = [[by_space[space] for space in half if space in by_space] for half in (CHOOSING, SHOWING, spaces)]
        means = [found_and_cost(part) for part in parts]
        alone = [found_and_cost([cell]) for cell in same]
        texts = [f"{share:.0%} at {cost:.2f}{' ✓' if good_enough(share, cost) else ''}" for share, cost in means]
        ended = [*texts, f"{min(share for share, _ in alone):.0%}", str(sum(good_enough(*one) for one in alone))]
        found.append((means[-1][1], [name(same[0]), *ended]))
    return [row for _, row in sorted(found, key=lambda pair: pair[0])]


def name(cell: Cell) -> str:
    """Return what a setting is called, with its grace period in epochs."""
    settings, default = cell.settings, " (the default)" * (cell.variant.is_default and cell.variant.scheduler != "none")
    grace = f", grace {settings.grace_period}" if settings.grace_period else ""
    return f"{cell.variant.scheduler}{default}{grace}" + (
        f", 1 in {settings.reduction_factor}" if settings.reduction_factor else ""
    )


def defaults(cells: Cells) -> list[list[str]]:
    """Return a row per study: how often each scheduler's default finds the best, with its interval, and its cost."""
    found = []
    for space, mine in cells.items():
        shown = [cell for cell in mine if cell.variant.is_default and cell.variant.scheduler != "none"]
        shares = [(cell.summary.found, cell.summary.cost_of_none.middle) for cell in shown]
        texts = [f"{one.middle:.0%} ({one.low:.0%} … {one.high:.0%}) at {cost:.2f}" for one, cost in shares]
        found.append([space, *texts])
    return [["study", *(cell.variant.scheduler for cell in shown)], ["---"] * (len(shown) + 1), *found]


def chosen(cells: Cells) -> str:
    """Return what the rule of docs/schedulers.md says: the default's own numbers, or by the studies that choose."""
    settings = [dict(zip(cells, same, strict=True)) for same in zip(*cells.values(), strict=True)]
    today = next(by for by in settings if is_default(by[CHOOSING[0]].variant))
    if good_enough(*found_and_cost(list(today.values()))):
        return f"{name(today[CHOOSING[0]])} is good enough on all: it stays"
    half = [(found_and_cost([by[space] for space in CHOOSING]), by) for by in settings]
    fit = sorted((cost, -found, at) for at, ((found, cost), _) in enumerate(half) if good_enough(found, cost))
    if not fit:
        return "no setting is good enough on the studies that choose: the default stays"
    by_space = half[fit[0][2]][1]
    found, cost = found_and_cost([by_space[space] for space in SHOWING])
    verdict = "good enough" if good_enough(found, cost) else "not good enough: the default stays"
    return f"chosen: {name(by_space[CHOOSING[0]])}; on the others it finds {found:.0%} at {cost:.2f}, {verdict}"


def is_default(variant: Variant) -> bool:
    """Return whether this is what a study has that names no scheduler."""
    return variant.is_default and variant.scheduler == "asha"


def main() -> None:
    """Record what is missing, and print the table."""
    parser = _command.parser(__doc__)
    parser.add_argument("--trials", type=int, default=TRIALS, help=f"of a recorded study (default {TRIALS})")
    parser.add_argument("--orders", type=int, default=ORDERS, help=f"default {ORDERS}")
    parser.add_argument("--keep", type=Path, metavar="DIR", help="keep the studies there, and go on with them")
    parser.add_argument("--record-only", action="store_true", help="replay nothing")
    options = parser.parse_args()
    if options.quick:
        options.trials, options.orders = 4, 4
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        storage = options.keep or Path(folder)
        for space in (*CHOOSING, *SHOWING):
            record(storage, space, options)
        if options.record_only:
            return
        print(_machine.describe(("ray", "torch")) + "\n")
        schedulers = ("asha", "hyperband", "median", "none")
        compared = variants(schedulers, GRACES, REDUCTIONS, [EPOCHS])
        cells = {space: replayed(storage, space, compared, options) for space in (*CHOOSING, *SHOWING)}
    headings = ["setting", "studies that choose", "that show", "all eight", "least of any", "both limits hold in"]
    for table in ([headings, ["---"] * len(headings), *rows(cells)], defaults(cells)):
        print("\n".join("| " + " | ".join(row) + " |" for row in table) + "\n")
    print(chosen(cells))


if __name__ == "__main__":
    main()
