"""Replay the learning curves of studies that ran with --scheduler none under every scheduler, in virtual time.

Says which scheduler, with which settings and how many workers, reaches the best error soonest and at what cost. The
schedulers are Tune's own, as a study builds them; the intervals are over shuffled orders of the recorded trials.

Examples:
    python study/run.py --space digits_ae --scheduler none --sampler random --confirm 0 --name curves
    python study/simulate.py curves
    python study/simulate.py curves more-curves --workers 8 --grace 1,1/9,1/3 --reduction 2,3,4
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

if __package__ in (None, ""):
    # Run as a file: look for modules in the repository, not in this folder, where they would hide others.
    sys.path[0] = str(Path(__file__).resolve().parents[1])

from study.record import commands
from study.record import files as output
from study.record.errors import UsageError
from study.record.values import distinct, integer, one_of, positive
from study.settings.algorithms import SCHEDULERS

if TYPE_CHECKING:
    from study.simulation.grid import Cell, Variant
    from study.simulation.recorded import RecordedStudy

_WIDTH = 1000  # characters, of the widest table: a terminal that is narrower breaks lines, and no table is cut


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit status: 0, 1 for a damaged study, 2 for unusable input, 130 interrupted."""
    return commands.exit_status(lambda: _run(_parse(argv)), "interrupted: what was not finished was not written")


def _run(options: argparse.Namespace) -> None:
    # Ray and PyTorch take seconds to import, which --help and unknown options need not wait for.
    from rich.console import Console

    from study.simulation import tables
    from study.simulation.grid import means_over_studies, variants
    from study.simulation.measures import BUDGETS
    from study.simulation.recorded import read_recorded

    studies = [read_recorded(options.storage, name) for name in options.names]
    for study in studies:
        if options.sample and options.sample > len(study.trials):
            raise UsageError(f"--sample {options.sample} is more than the {len(study.trials)} trials of {study.name!r}")
    for out in _files(options):
        output.check_writable(out, "means.csv")
    compared = variants(options.schedulers, options.grace, options.reduction, [study.max_epochs for study in studies])
    console = Console(width=_WIDTH, highlight=False)
    found = []
    for study, out in zip(studies, _files(options)[: len(studies)], strict=True):
        cells = _replay(study, compared, options)
        output.write_output(out, tables.csv_rows(study, cells))
        console.print(tables.study_table(cells, options.within, everything=options.all))
        print("\n" + "\n".join(tables.ranking_lines(cells, options.within[-1])) + f"\n{out}\n")
        found.append(cells)
    if len(found) > 1:
        means = means_over_studies(found, options.within[-1])
        print(f"Means over {len(found)} studies")
        console.print(tables.mean_table(means, options.within[-1], everything=options.all))
        print()
        if options.out:
            output.write_output(options.out, tables.csv_rows_of_means(means))
            print(f"{options.out}\n")
    print(tables.NOTE.format(budgets=" and ".join(str(budget) for budget in BUDGETS)))
    print("The intervals are over orders of the recorded trials: they do not cover other trials, seeds or data.")


def _replay(study: RecordedStudy, compared: Sequence[Variant], options: argparse.Namespace) -> list[Cell]:
    from study.simulation.grid import shuffled_orders, simulate

    start = time.perf_counter()
    orders = shuffled_orders(study, options.orders, options.seed, options.sample)
    cells = list(simulate(study, compared, options.workers, orders, options.within))
    replays = len(cells) * options.orders
    best = study.best_of(study.completed)
    print(f"{study.name}: {len(study.trials)} trials × {study.max_epochs} epochs, {study.metric}, best {best:.6g}")
    print(
        f"{len(compared)} schedulers and settings × {len(options.workers)} numbers of workers × {options.orders} orders"
        f"{f' of {options.sample} trials' if options.sample else ''} = {replays:,} studies in "
        f"{time.perf_counter() - start:.1f} s\n"
    )
    if study.sampler != "random":
        print(
            f"{study.name} was sampled by {study.sampler}: its later configs follow from its earlier results, which a "
            "shuffled order does not respect; --sampler random has no such flaw\n"
        )
    return cells


def _parse(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = commands.parser("simulate", __doc__)
    parser.add_argument("names", nargs="+", metavar="NAME", help="a finished study of --scheduler none")
    add = partial(commands.add_value, parser)
    add(
        "--schedulers",
        distinct(one_of(*SCHEDULERS)),
        "S,…",
        f"what to compare; none always is (default: {','.join(SCHEDULERS)})",
        default=tuple(SCHEDULERS),
    )
    add(
        "--grace",
        distinct(_grace),
        "G,…",
        "grace periods, in epochs or as fractions of a study's (default: 1,1/9,1/3 and the project's own)",
        default=(Fraction(1), Fraction(1, 9), Fraction(1, 3)),
    )
    add("--reduction", distinct(integer(2)), "R,…", "reduction factors (default: 2,3,4)", default=(2, 3, 4))
    add("--workers", distinct(integer(1)), "W,…", "numbers of workers (default: 1,2,4,8)", default=(1, 2, 4, 8))
    add("--orders", integer(1), "N", "shuffled orders (default: 20)", default=20)
    sample = "give each order only N of the trials, drawn anew: the intervals then are over draws of configs, too"
    add("--sample", integer(2), "N", sample)
    within = "per cent from the best final value; the smallest one ranks (default: 5,1)"
    add("--within", distinct(positive), "P,…", within, default=(5.0, 1.0))
    add("--seed", integer(0), "N", "of the orders (default: 0)", default=0)
    commands.add_storage(parser)  # each table is DIR/NAME/simulation.csv
    commands.add_out(parser, "CSV file of the means over several studies")
    parser.add_argument(
        "--all", action="store_true", help="print every setting, not only each scheduler's default and best"
    )
    options = parser.read(argv)
    if repeated := [name for name in options.names if options.names.count(name) > 1]:
        raise UsageError(f"NAME {repeated[0]!r} is given twice")
    if options.out and len(options.names) == 1:
        raise UsageError("--out is for the means over several studies; name more than one")
    options.within = sorted(options.within, reverse=True)
    return options


def _grace(option: str, text: str) -> Fraction:
    try:
        value = Fraction(text)
    except (ValueError, ZeroDivisionError):
        value = Fraction(0)
    if value <= 0 or (value > 1 and value.denominator != 1):
        raise UsageError(f"{option} {text!r} is not allowed; give whole epochs, such as 2, or a fraction such as 1/9")
    return value


def _files(options: argparse.Namespace) -> list[Path]:
    """Return the files to write: one of each study, and the means'."""
    return [options.storage / name / "simulation.csv" for name in options.names] + [options.out] * bool(options.out)


if __name__ == "__main__":
    sys.exit(main())
