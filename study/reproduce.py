"""Train the reports' own configurations with their own epochs and images: a study for each, the cheapest first.

Says before it starts what is done, what is left, and the hours that it takes here, measured on some batches and
remembered. Each study is one of `study run`: ended at any moment, it is gone on with by the same command, and has lost
an epoch at most, or some where a checkpoint takes long. What does not fit into the time budget is left. PCA of the
reports' data sets has the keys pca/DATA. Where a report speaks of curves on other images than it trained on and held
out none, there is a second study, which holds some out. What the repository keeps of a finished study, its tables and
pictures, goes to analysis/reproductions.

Examples:
    python study/reproduce.py --dry-run
    python study/reproduce.py 'fashion/*' --seeds 1
    python study/reproduce.py --missing --time-budget 150m --max-concurrent 1
    python study/reproduce.py 'flowers/*' --studies 4 --address auto --gpus-per-trial 0.25
"""

from __future__ import annotations

import argparse
import csv
import os
import shutil
import sys
import time
from collections import deque
from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING

if __package__ in (None, ""):
    # Run as a file: import the packages from the checkout, not this folder's modules from the top.
    sys.path[0] = str(Path(__file__).resolve().parents[1])

import search_spaces
from search_spaces import Reported, measured_by
from study import interrupt
from study.interrupt import Interrupted
from study.record import commands, files
from study.record.errors import INTERRUPTED, UsageError, choose_from
from study.record.reproductions import BASELINES, KEPT, LIKE_THE_REPORT, PACES
from study.record.settings import LOCAL, add_option, options, words_of
from study.record.values import duration, integer

if TYPE_CHECKING:
    from study.driver.child import Child
    from study.driver.reproductions import Planned, Reproduction

_MACHINE = tuple(
    name for name, option in options().items() if option.resumable and option.with_reported and option.group != "search"
)
"""Options of `study run` that say where and how a study runs: a resumed one may be given others."""

_GOES_ON = "interrupted; the same command goes on"


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; 0, 1 or 2 as the worst of its studies ended, 2 (unusable input) or 130 (interrupted)."""
    return commands.exit_status(lambda: interrupt.interruptible(lambda: _run(_parse(argv)), _GOES_ON))


def _parse(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = commands.parser("reproduce", __doc__)
    which = "a configuration, or several, such as 'fashion/*' (default: all)"
    parser.add_argument("keys", nargs="*", metavar="GLOB", help=which)
    commands.add_value(parser, "--seeds", integer(1), "N", "of each configuration (default: 5)", default=5)
    budget = "begin no study that does not fit into it, and stop at its end, such as 150m (default: none)"
    commands.add_value(parser, "--time-budget", duration, "TIME", budget)
    several = (
        "so many studies at a time, in one Ray, which --address names; the hours are of one at a time (default: 1)"
    )
    commands.add_value(parser, "--studies", integer(1), "N", several, default=1)
    missing = "leave out what --out keeps already, on as many seeds, such as what this repository does"
    parser.add_argument("--missing", action="store_true", help=missing)
    parser.add_argument("--dry-run", action="store_true", help="say what is left and how long it takes; train nothing")
    commands.add_storage(parser)
    commands.add_out(parser, "folder of what is kept of finished studies (default: analysis/reproductions)", "DIR")
    machines = parser.add_argument_group("machines")
    for name in _MACHINE:
        add_option(machines, name)
    return parser.read(argv)


def selected(patterns: Sequence[str]) -> tuple[dict[str, Reported], dict[str, list[int]]]:
    """Return the reported configurations, and PCA's numbers of components by key, that patterns mean; without any, all.

    Raises:
        UsageError: a pattern means nothing.
    """
    reported, pca = search_spaces.reported(), claimed_components()
    known = [*reported, *pca]
    for pattern in patterns:
        if not any(fnmatchcase(key, pattern) for key in known):
            raise UsageError(choose_from("configuration", pattern, known))
    chosen = {key for key in known if not patterns or any(fnmatchcase(key, pattern) for pattern in patterns)}
    return (
        {key: entry for key, entry in reported.items() if key in chosen},
        {key: components for key, components in pca.items() if key in chosen},
    )


def needs_held_out(key: str, entry: Reported) -> bool:
    """Whether claims on a configuration ask for validation images, of which its report had none."""
    audits = [audit for claim in search_spaces.claims() for audit in claim.audited_by]
    named = search_spaces.same_runs(key)
    asked = {one.metric for audit in audits for one in measured_by(audit) if one.subject in named}
    return entry.split.val == 0 and any(metric.startswith("val_") for metric in asked)


def _distinct(reported: Mapping[str, Reported]) -> dict[str, Reported]:
    """Return the configurations without those that another one runs too, under whose name they are."""
    first = {key: search_spaces.same_runs(key)[0] for key in reported}
    return {first[key]: entry for key, entry in reported.items()}


def claimed_components() -> dict[str, list[int]]:
    """Return the numbers of PCA's components that claims are about, by a key such as "pca/cifar"."""
    found: dict[str, set[int]] = {}
    measured = [one for claim in search_spaces.claims() for audit in claim.audited_by for one in measured_by(audit)]
    for one in measured:
        kind, *rest = one.subject.split("/")
        if kind == "pca":
            found.setdefault(f"pca/{rest[0]}", set()).add(int(rest[1]))
    return {key: sorted(components) for key, components in sorted(found.items())}


def _run(asked: argparse.Namespace) -> int:
    from study.driver.reproductions import Machine, Paces, Reproduction, plan_text, planned, probe_on
    from study.settings.resolve import default_address

    if asked.studies > 1 and (asked.address or default_address()) in LOCAL:
        words = "needs --address: one Ray that divides the machine among them; `ray start --head` begins one"
        raise UsageError(f"--studies {asked.studies} {words}")
    began = time.monotonic()
    reported, pca = selected(asked.keys)
    storage, kept = (Path(os.path.abspath(path.expanduser())) for path in (asked.storage, asked.out or KEPT))
    for folder in (storage, kept):
        files.check_writable(folder / PACES, PACES)
    machine = Machine.here(asked.cpus_per_trial or 1.0, asked.gpus_per_trial, asked.max_concurrent)
    paces = Paces(storage / PACES, machine.name, probe_on(machine))
    studies = [
        Reproduction.of(key, entry, asked.seeds, storage, held_out=held_out)
        for key, entry in _distinct(reported).items()
        for held_out in ((False, True) if needs_held_out(key, entry) else (False,))
    ]
    if asked.missing:
        everything = len(studies) + len(pca)
        studies = [one for one in studies if one.kept_seeds(kept) < asked.seeds]
        pca = {key: components for key, components in pca.items() if not _has_pca(_pca_file(kept, key), components)}
        print(f"{everything - len(studies) - len(pca)} of {everything} are kept in {os.path.relpath(kept)}")
    plan = planned(studies, paces, machine)
    if plan:
        print(plan_text(plan, machine, asked.time_budget))
    for key, components in pca.items():
        ended = "finished" if _has_pca(_pca_file(storage, key), components) else "not begun"
        print(f"{key} with {', '.join(map(str, components))} components: {ended}")
    if asked.dry_run:
        return 0
    paces.write_to(kept / PACES)
    fitted = [_fit_pca(key, components, storage, kept, asked) for key, components in pca.items()]
    trained, left = _train(plan, kept, began, asked)
    for line in left:
        print(f"left: {line}")
    print(f"{commands.hint('audit')} says what it means for the reports' claims")
    return max([0, *fitted, *trained])


def _train(plan: Sequence[Planned], kept: Path, began: float, asked: argparse.Namespace) -> tuple[list[int], list[str]]:
    """Train what is left of a plan, `--studies` at a time.

    Returns:
        The exit status of each study, and a line for each that is left.
    """
    from study.driver.child import LOOKS_EVERY, leave
    from study.driver.reproductions import hours

    running: list[tuple[Reproduction, Child]] = []
    waiting = deque(plan)
    statuses, left = [], []
    try:
        while waiting or running:
            while waiting and len(running) < asked.studies:
                one = waiting.popleft()
                remaining = None if asked.time_budget is None else asked.time_budget - (time.monotonic() - began)
                if one.study.finished:
                    _keep(one.study, kept, again=False)
                elif remaining is not None and one.seconds > remaining:
                    left.append(f"{one.study.title}, {hours(one.seconds)} hours")
                elif one.study.folder.is_locked:
                    left.append(f"{one.study.title}, which another process runs")
                else:
                    running.append((one.study, _begin(one.study, remaining, asked)))
            for study, process in list(running):
                if (status := process.status()) is not None:
                    running.remove((study, process))
                    statuses.append(_ended(study, status, kept, asked))
            if running:
                time.sleep(LOOKS_EVERY)
    finally:
        leave(process for _, process in running)
    return statuses, left


def _begin(study: Reproduction, seconds: float | None, asked: argparse.Namespace) -> Child:
    """Begin a study or go on with it, for so long at most; beside others what it says goes to a file."""
    from study.driver.child import Child

    name, storage = study.folder.name, str(study.storage)
    if study.folder.has_begun:
        more = ["--report-seeds", str(study.seeds)] if study.planned_seeds < study.seeds else []
        words = ["--resume", name, "--storage", storage, *more]
    else:
        images = () if study.held_out else LIKE_THE_REPORT
        asks = ["--reported", study.key, "--confirm", f"1x{study.seeds}", *images]
        words = [*asks, "--name", name, "--storage", storage]
    words += words_of(asked, _MACHINE)
    if asked.studies == 1:
        print(f"\n{study.title}: {study.progress}", flush=True)
        return Child("run", words, seconds=seconds)
    print(f"{study.title}: {study.progress}; what it says is in {os.path.relpath(_log_of(study))}", flush=True)
    study.storage.mkdir(parents=True, exist_ok=True)
    with _log_of(study).open("ab") as output:
        return Child("run", words, seconds=seconds, output=output)


def _log_of(study: Reproduction) -> Path:
    return study.storage / f"{study.folder.name}.log"


def _ended(study: Reproduction, status: int, kept: Path, asked: argparse.Namespace) -> int:
    """Keep what a study leaves, if it came to its end, and return the exit status that it deserves."""
    from study.driver.child import OUT_OF_TIME

    if status == OUT_OF_TIME:
        print(f"{study.title}: the time budget is used up; the same command goes on")
        return 0
    if status == INTERRUPTED:  # somebody asked the study itself to leave
        raise Interrupted
    if asked.studies > 1:
        how = "finished" if status == 0 else f"ended with {status}; {os.path.relpath(_log_of(study))} says why"
        print(f"{study.title}: {how}", flush=True)
    if status == 0:
        _keep(study, kept, again=True)
    return status


def _keep(study: Reproduction, kept: Path, *, again: bool) -> None:
    """Write what is kept of a finished study, where it is not there yet or is to be written again."""
    from study.driver.keeping import compared, keep

    if again or not (kept / study.folder.name).is_dir():
        for line in compared(study.folder, kept):
            print(line)
        print(f"kept in {os.path.relpath(keep(study.folder, kept))}")


def _fit_pca(key: str, components: Sequence[int], storage: Path, kept: Path, asked: argparse.Namespace) -> int:
    """Fit PCA to all training images of a data set, unless that is done, keep its table, and return the exit status."""
    from study.driver.child import run_to_end

    file = _pca_file(storage, key)
    if not _has_pca(file, components):
        words = ["--data", file.stem, "--components", ",".join(map(str, components)), "--out", str(file)]
        if status := run_to_end("baseline", [*words, *words_of(asked, ["data-dir"])]):
            return status
    copy = _pca_file(kept, key)
    copy.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(file, copy)
    return 0


def _pca_file(folder: Path, key: str) -> Path:
    return folder / BASELINES / f"{key.removeprefix('pca/')}.csv"


def _has_pca(file: Path, components: Sequence[int]) -> bool:
    if not file.is_file():
        return False
    with file.open(newline="", encoding="utf-8") as lines:
        return {str(count) for count in components} <= {row["n_components"] for row in csv.DictReader(lines)}


if __name__ == "__main__":
    commands.end_process(main())
