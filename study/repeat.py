"""Train a recorded run again, from a study's archive or its folder, and compare its values with the recorded ones.

Config, seed, epochs and split are the journal's, and the digest of the images has to be the same. The exit status is 0
where every number is the same to the last digit, 1 where one differs. With the same versions and processor that is
to be expected; where something else has changed, or a GPU trained, it is said, and nothing is promised. No study is
written; a data set may be downloaded or decoded to where data sets lie.

Examples:
    python study/repeat.py results/night/night.zip t0012
    python study/repeat.py night t0003-s4
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if __package__ in (None, ""):
    # Run as a file: import the packages from the checkout, not this folder's modules from the top.
    sys.path[0] = str(Path(__file__).resolve().parents[1])

from study import interrupt
from study.record import commands
from study.record.settings import add_option, chosen
from study.record.words import counted, number, shown

if TYPE_CHECKING:
    from study.driver.repeating import Value

_INTERRUPTED = "interrupted; no study was written"
_PLACES = ("data", "data-dir", "labels", "cache-dir", "cpus-per-trial", "gpus-per-trial")
"""Options of `study run` that say where the images lie, and what of the machine the run gets."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit status: 0, 1 where a value differs, 2 for unusable input, 130."""
    return commands.exit_status(lambda: interrupt.interruptible(lambda: _run(_parse(argv)), _INTERRUPTED))


def _parse(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = commands.parser("repeat", __doc__)
    parser.add_argument("study", metavar="ARCHIVE|NAME", help="the zip file of study report --paper, or a study's name")
    parser.add_argument("run", metavar="RUN", help="a trial, such as t0012, or a run of the confirmation, t0003-s4")
    commands.add_storage(parser)
    for name in _PLACES:
        add_option(parser, name)
    commands.add_trust(parser)
    return parser.read(argv)


def _run(options: argparse.Namespace) -> int:
    from study.driver import repeating

    storage = options.storage.expanduser().absolute()
    with repeating.opened(options.study, storage) as source:
        run = repeating.chosen(source, options.run)
        repeating.use_code(source, trust=options.trust)
        settings = repeating.settings_of(source, {**chosen(options, _PLACES), "storage": str(storage)})
        unlike = repeating.unlike(source, run, settings)
        if unlike:
            print("the same digits are not promised:", *map(shown, unlike), sep="\n  ")
        else:
            print("versions, commit and processor are those that are recorded: the digits should be the same")
        again = repeating.train(source, run, settings, trust=options.trust)
        values = repeating.compared(run, *again)
        print(compared_table(values))
    print(shown(verdict(run.id, values)))
    return 0 if all(value.same for value in values) else 1


def compared_table(values: Sequence[Value]) -> str:
    """Return the values of a run's last epoch and of its end as a table, in full precision."""
    from study.record.terminal import table

    last = [value.place for value in values if value.place != "end"][-1:]
    rows = [("metric", "recorded", "again", "apart by")]
    for value in values:
        if value.place in (*last, "end"):
            apart = "" if value.same else number(value.apart)
            rows.append((shown(value.metric), _digits(value.recorded), _digits(value.again), apart))
    return table(rows)


def verdict(run_id: str, values: Sequence[Value]) -> str:
    """Return in a line how many numbers are the same, which is the first that is not, and which is furthest apart."""
    differing = [value for value in values if not value.same]
    if not differing:
        return f"{run_id}: all {counted(len(values), 'number')} of all its epochs are the same to the last digit"
    first, worst = differing[0], max(differing, key=lambda value: value.apart)
    return (
        f"{run_id}: {len(differing)} of {counted(len(values), 'number')} differ, the first one {first.metric} of "
        f"{first.place}, the most {worst.metric} of {worst.place}, by a part of {number(worst.apart)}"
    )


def _digits(value: float | None) -> str:
    return "–" if value is None else repr(value)


if __name__ == "__main__":
    commands.end_process(main())
