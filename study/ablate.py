"""Say what earned a finished study's gain: from the space's default to the confirmed winner, a parameter at a time.

Each step takes the winner's value of one parameter, with what only the winner has and what comes with it, such as the
layers of another architecture. Greedy takes the parameter whose mean is best on the seeds that choose, and of D that
differ asks for D (D + 1) / 2 - 1 configs at most; ranked takes all in the order of their gains from the default alone,
and asks for D. Every step is reported on as many other seeds, which chose nothing. All of it is validation data; the
test split is not read. What has been trained is kept in the study's folder: the same command goes on, and one with more
seeds or the other path trains what is new. The status is 0 also where nothing can be told from noise.

Examples:
    python study/ablate.py night --dry-run
    python study/ablate.py night --seeds 5
    python study/ablate.py night --path ranked --most-runs 60
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

if __package__ in (None, ""):
    # Run as a file: import the packages from the checkout, not this folder's modules from the top.
    sys.path[0] = str(Path(__file__).resolve().parents[1])

from study import interrupt
from study.record import ablation, commands
from study.record.errors import UsageError
from study.record.folder import StudyFolder
from study.record.intervals import LEAST_SEEDS
from study.record.settings import add_option, chosen, words_of
from study.record.tables import Row
from study.record.values import duration, integer, one_of
from study.record.words import DIGITS, number

_MACHINE = (
    *("data", "data-dir", "labels", "cache-dir"),
    *("address", "cpus-per-trial", "gpus-per-trial", "max-concurrent"),
)
"""Options of `study run` that say where the images lie, and what of which machine the runs get."""
_GOES_ON = "interrupted; the same command goes on"


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit status: 0, 1 where the runs fail, 2 for unusable input, 130."""
    return commands.exit_status(lambda: interrupt.interruptible(lambda: _run(_parse(argv)), _GOES_ON))


def _parse(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = commands.parser("ablate", __doc__)
    parser.add_argument("study", metavar="NAME", help="a finished study with a confirmed winner")
    seeds = "that choose a step, and as many others that report on it (default: 3)"
    commands.add_value(parser, "--seeds", integer(LEAST_SEEDS), "R", seeds, default=LEAST_SEEDS)
    which = "the best of those that are left, or all by their gains from the default alone (default: greedy)"
    commands.add_value(parser, "--path", one_of("greedy", "ranked"), "greedy|ranked", which, default="greedy")
    most = "of the whole ablation; what it leaves no room to choose is the last step, together (default: none)"
    commands.add_value(parser, "--most-runs", integer(1), "N", most)
    budget = "begin no step that does not fit into it, such as 2h; what is left is one step (default: none)"
    commands.add_value(parser, "--time-budget", duration, "TIME", budget)
    parser.add_argument("--dry-run", action="store_true", help="say what differs, and how many runs that is")
    commands.add_storage(parser)
    machines = parser.add_argument_group("machines")
    for name in _MACHINE:
        add_option(machines, name)
    commands.add_trust(machines)
    return parser.read(argv)


def _run(options: argparse.Namespace) -> int:
    from study.driver import ablating
    from study.driver.ablation_path import Asked

    storage = options.storage.expanduser().absolute()
    subject = ablating.opened(options.study, storage, chosen(options, _MACHINE), trust=options.trust)
    asked = Asked(options.seeds, options.path, options.most_runs)
    least = asked.least_runs(len(subject.between.parameters))
    if asked.most_runs is not None and asked.most_runs < least:
        raise UsageError(
            f"--most-runs {asked.most_runs} is too few to choose and report a step; allowed: {least} or more"
        )
    print(ablating.plan_text(subject, asked), flush=True)
    if options.dry_run:
        return 0
    from study.driver import ablation_session

    table, notes = ablation_session.run(subject, asked, _words(options), options.time_budget, trust=options.trust)
    print(shown(table, subject.between.space.metric, [*notes, *ablating.flattered(subject)], subject.source.folder))
    return 0


def _words(options: argparse.Namespace) -> list[str]:
    """Return the words by which the same command goes on, without the study's name and the storage folder."""
    words = words_of(options, ("seeds", "path", "most-runs", *_MACHINE))
    if options.time_budget is not None:
        words += ["--time-budget", f"{options.time_budget:g}s"]
    return [*words, *(["--trust"] if options.trust else [])]


def shown(table: Sequence[Row], metric: str, notes: Sequence[str], folder: StudyFolder) -> str:
    """Return an ablation as a table and sentences, in lines of at most 80 columns."""
    from study.record import terminal

    lines = [("step", "parameter", "gain", "95 % interval", "p (Holm)", "alone")]
    for row in table:
        low, high = row["gain_low"], row["gain_high"]
        lines.append(
            (
                str(row["step"] or ""),
                str(row["parameter"]),
                _number(row["gain"]) + " *" * bool(row["told_apart"]),
                "–" if low is None else f"{_number(low)} to {_number(high)}",
                "–" if row["p_holm"] is None else number(row["p_holm"], 2),
                _number(row["alone"]),
            )
        )
    return "\n".join(
        [
            terminal.table(lines, cut=1),
            "* told from noise; alone: the gain of the same change from the default",
            *map(terminal.wrapped, [*ablation.sentences(table, metric), *notes]),
            f"table   {folder.path / ablation.FILE}",
            f"report  {commands.hint('report', folder.name, *commands.storage_words(folder.path.parent))}",
        ]
    )


def _number(value: float | None) -> str:
    return "–" if value is None else number(value, DIGITS)


if __name__ == "__main__":
    commands.end_process(main())
