"""What is left of the studies of the reports' own configurations, and how long that takes on this machine."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import search_spaces
from search_spaces import Reported
from study.driver.environment import cpu_model
from study.record import commands, files, journal, tables
from study.record.folder import StudyFolder
from study.record.machine import cores
from study.record.reproductions import name_of
from study.record.settings import reporting_seeds
from study.record.state import Run, StudyState
from study.record.terminal import table, wrapped
from study.record.words import number

Stages = tuple[float, ...]
"""A number for each stage of a configuration's training."""

_AROUND = 40.0  # seconds that a study takes besides its epochs: processes start, the test split is evaluated


@dataclass(frozen=True)
class Reproduction:
    """A study of one reported configuration on some seeds, as far as it is.

    Attributes:
        key: The configuration's.
        entry: The configuration.
        seeds: On how many it is trained.
        storage: The folder of the studies.
        held_out: Whether images are held out for validation, though the report had trained on all: its learning curves
            on images that were not trained on need some, and the test images choose nothing and are asked once.
        began_with: How many seeds its name says, where it began with fewer.
    """

    key: str
    entry: Reported
    seeds: int
    storage: Path
    held_out: bool = False
    began_with: int | None = None

    @classmethod
    def of(cls, key: str, entry: Reported, seeds: int, storage: Path, *, held_out: bool = False) -> Reproduction:
        """Return the study on so many seeds: a finished one on as many or more, or the one that can be gone on with.

        That is the one of this name, else of those on fewer seeds, which go on with more, the one on the most.
        """
        new = cls(key, entry, seeds, storage, held_out)
        fewer = {}
        for seeds_named in new._named_below(storage):
            known = replace(new, began_with=seeds_named)
            if not known.folder.has_begun:
                continue
            if known.finished:
                return replace(known, seeds=known.planned_seeds)
            if known.planned_seeds <= seeds:
                fewer[known.planned_seeds] = known
        return fewer[max(fewer)] if fewer else new

    @property
    def folder(self) -> StudyFolder:
        """The study's folder, which need not be there."""
        return StudyFolder(self.storage / name_of(self.key, self.began_with or self.seeds, held_out=self.held_out))

    @property
    def title(self) -> str:
        """The configuration's key, and that images are held out where the report held out none."""
        return self.key + ", images held out" * self.held_out

    @cached_property
    def state(self) -> StudyState:
        """What the study's journal says, at the first time of asking; of a study that has not begun, nothing."""
        return journal.read_state(self.folder.journal) if self.folder.has_begun else StudyState()

    def kept_seeds(self, kept: Path) -> int:
        """Return on how many seeds the study is kept below a folder, 0 where it is not."""
        files = [folder / tables.ABOUT for folder in self._named_below(kept).values()]
        return max((reporting_seeds(json.loads(file.read_bytes())["settings"]) for file in files), default=0)

    def _named_below(self, parent: Path) -> dict[int, Path]:
        """Return the folders that are named as this configuration's, by the seeds in their names."""
        any_number = name_of(self.key, "*", held_out=self.held_out)
        pattern = re.escape(any_number).replace(r"\*", r"(\d+)")
        named = [re.fullmatch(pattern, folder.name) for folder in sorted(parent.glob(any_number))]
        return {int(found[1]): parent / found[0] for found in named if found}

    @property
    def planned_seeds(self) -> int:
        """The seeds that the study is on so far, once it has begun."""
        return reporting_seeds(self.state.settings)

    @property
    def finished(self) -> bool:
        """Whether nothing is left of the study."""
        return self.state.summary is not None and self.planned_seeds >= self.seeds

    @property
    def done(self) -> list[Stages]:
        """The epochs of each stage that each seed has behind it; the first stage is known of when it is over."""
        runs = {run.id: run for run in self.state.confirmations}
        ids = [f"{self.key.replace('/', '_')}-s{replicate}" for replicate in range(1, self.seeds + 1)]
        return [self._epochs(runs.get(id)) for id in ids]  # noqa: A001

    def _epochs(self, run: Run | None) -> Stages:
        if run is None:
            return tuple(0 for _ in self.entry.epochs)
        if run.status != "running":  # failed, too: it is not trained again
            return self.entry.epochs
        return (len(run.pretraining), len(run.epochs))[-len(self.entry.epochs) :]

    def measured(self, device: str) -> Mapping[int, float]:
        """Return the mean seconds of an epoch that the study has recorded on such a device, by stage.

        Of a run that has moved only the epochs since then count: those before it may be another machine's.
        """
        here = [run for run in self.state.confirmations if (run.part.gpus > 0) == (device == "cuda")]
        pretraining = [epoch["seconds"] for run in here for epoch in run.pretraining[run.elsewhere[0] :]]
        training = [epoch["seconds"] for run in here for epoch in run.epochs[run.elsewhere[1] :]]
        stages = (pretraining, training)[-len(self.entry.epochs) :]
        return {place: sum(seconds) / len(seconds) for place, seconds in enumerate(stages) if seconds}

    def seconds_left(self, pace: Stages, concurrent: int) -> float:
        """Return the seconds until the study is finished; of a finished one, 0.

        Args:
            pace: Seconds of an epoch of each stage.
            concurrent: How many seeds are trained at a time, at their own pace each.
        """
        if self.finished:
            return 0.0
        left = [
            sum((all_ - done) * seconds for all_, done, seconds in zip(self.entry.epochs, behind, pace, strict=True))
            for behind in self.done
        ]
        return max(*left, sum(left) / min(concurrent, self.seeds)) + _AROUND

    @property
    def progress(self) -> str:
        """How far the study is, in words."""
        if self.finished:
            return "finished"
        if not self.folder.has_begun:
            return "not begun"
        behind, whole = sum(map(sum, self.done)), sum(self.entry.epochs) * self.seeds
        return f"{behind} of {whole} epochs" + (", run by another process" if self.folder.is_locked else "")


Probe = Callable[[Reported], Stages]
"""Measures the seconds of an epoch of each stage of a configuration."""


class Paces:
    """Seconds of an epoch of each configuration on this machine, measured once and remembered in a file.

    Args:
        file: Where they are remembered, by machine.
        machine: What a measurement is of: device and threads.
        probe: Measures what is not known.
    """

    def __init__(self, file: Path, machine: str, probe: Probe) -> None:
        self._file, self._machine, self._probe = file, machine, probe
        self._known = _read(file)

    def known(self, key: str, entry: Reported) -> Stages | None:
        """Return the remembered pace of a configuration, None where it is unknown or the configuration has changed."""
        found = self._known.get(self._machine, {}).get(key, {})
        return tuple(found["seconds"]) if found.get("digest") == _digest(entry) else None

    def of(self, key: str, entry: Reported) -> Stages:
        """Return the pace of a configuration, and measure and remember it if it is not known."""
        known = self.known(key, entry)
        if known is None:
            commands.say_progress(f"measuring {key} on some batches")
            known = self._probe(entry)
            mine = self._known.setdefault(self._machine, {})
            mine[key] = {"digest": _digest(entry), "seconds": list(known)}
            files.write_json(self._file, self._known)
        return known

    def write_to(self, file: Path) -> None:
        """Add what is known to another file of paces."""
        known = _read(file)
        for machine, paces in self._known.items():
            known[machine] = known.get(machine, {}) | paces
        if known:
            files.write_json(file, known)


@dataclass(frozen=True)
class Machine:
    """What the studies run on, for their estimates; of a cluster, the machine that asks.

    Attributes:
        name: Of the GPU, or of the processor and a run's threads.
        device: "cuda" or "cpu".
        threads: Of a run.
        concurrent: How many run at a time.
    """

    name: str
    device: str
    threads: int
    concurrent: int

    @classmethod
    def here(cls, cpus: float, gpus: float | None, most: int | None) -> Machine:
        """Return this machine, from the options of a study: cores and GPUs of a run, and the most runs at a time."""
        import torch

        threads = max(1, int(cpus))
        if gpus != 0 and torch.cuda.is_available():
            room = max(1, int(torch.cuda.device_count() / (gpus or 1.0)))
            return cls(torch.cuda.get_device_name(0), "cuda", threads, min(room, most or room))
        room = max(1, int(cores() / cpus))
        name = f"{cpu_model()}, {threads} thread{'s' * (threads > 1)} a run"
        return cls(name, "cpu", threads, min(room, most or room))


def probe_on(machine: Machine) -> Probe:
    """Return a probe that trains in this process."""

    def probe(entry: Reported) -> Stages:
        import torch

        from study.training.execution import prepare_process
        from study.training.pace import epoch_seconds

        prepare_process(machine.threads)
        sizes = search_spaces.get(entry.space).data.sizes
        device = torch.device(machine.device)
        return epoch_seconds(entry.config, entry.image_shape, entry.num_classes, sizes, device)

    return probe


@dataclass(frozen=True)
class Planned:
    """A study with its estimate: seconds of an epoch of each stage, and the seconds until it is finished."""

    study: Reproduction
    pace: Stages
    seconds: float


def planned(studies: Iterable[Reproduction], paces: Paces, machine: Machine) -> list[Planned]:
    """Return the studies with their estimates, that of which least is left first.

    What a study has recorded itself on such a device says more of its pace than a probe.
    """
    found = []
    for study in studies:
        pace: Stages = ()
        if not study.finished:
            probed, recorded = paces.of(study.key, study.entry), study.measured(machine.device)
            pace = tuple(recorded.get(place, seconds) for place, seconds in enumerate(probed))
        found.append(Planned(study, pace, study.seconds_left(pace, machine.concurrent)))
    return sorted(found, key=lambda one: one.seconds)


def plan_text(plan: Sequence[Planned], machine: Machine, budget: float | None) -> str:
    """Return the plan as a table: how far each study is, the hours that it still needs, and whether they fit.

    Args:
        plan: The studies in their order.
        machine: What the hours are of.
        budget: Seconds that there are for all; None without a limit.
    """
    rows = [("configuration", "epochs", "seeds", "so far", "s an epoch", "hours left", "")]
    taken = 0.0
    for one in plan:
        fits = budget is None or taken + one.seconds <= budget
        taken += one.seconds if fits else 0.0
        rows.append(
            (
                one.study.title,
                " + ".join(map(str, one.study.entry.epochs)),
                str(one.study.seeds),
                one.study.progress,
                " + ".join(map(number, one.pace)),
                "" if one.study.finished else hours(one.seconds),
                "" if fits else "no time",
            )
        )
    whole = sum(one.seconds for one in plan)
    of_budget = "" if budget is None else f", {hours(taken)} of them within the time budget of {hours(budget)}"
    said = (
        f"{hours(whole)} hours are left{of_budget}; estimated from some batches and what is recorded, on "
        f"{machine.name}, {machine.concurrent} at a time"
    )
    return f"{table(rows, cut=0)}\n{wrapped(said)}"


def hours(seconds: float) -> str:
    """Return seconds as hours, with three significant digits."""
    return number(seconds / 3600)


def _digest(entry: Reported) -> str:
    told = json.dumps([entry.config, entry.space], sort_keys=True)
    return hashlib.sha256(told.encode()).hexdigest()[:12]


def _read(file: Path) -> dict[str, dict[str, dict[str, Any]]]:
    try:
        known = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}  # not there yet, or damaged: measured again
    return known if isinstance(known, dict) else {}
