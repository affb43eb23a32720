"""After the search: the best configs trained again on fresh seeds, and the test split touched once."""

from __future__ import annotations

import math
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

from search_spaces import Context, Space
from study.folder import StudyFolder
from study.ranking import best_trials
from study.samplers import derive_seed
from study.settings import Settings
from study.state import Run, StudyState
from study.trainable import Job

_CONFIRMATION = 0xC0F1  # keeps these seeds apart from those of the trials


@dataclass(frozen=True)
class Candidate:
    """A config to confirm, and what it is called: its trial's id, or the key of a reported configuration."""

    id: str
    config: dict[str, Any]
    key: str | None
    params: int

    def job(self, settings: Settings, replicate: int) -> Job:
        """Return the run of one seed; every candidate has the same seeds, so that they can be compared in pairs."""
        seed = derive_seed(settings.seed, _CONFIRMATION, replicate)
        return Job(f"{self.id}-s{replicate}", self.config, seed, settings.epochs, test=True)


@dataclass(frozen=True)
class Interval:
    """A mean over seeds with the 95 % interval of Student's t; the interval needs two seeds."""

    mean: float
    ci95: tuple[float, float] | None
    n: int

    @classmethod
    def of(cls, values: list[float]) -> Interval:
        """Return the mean of `values` and its interval."""
        mean = fmean(values)
        if len(values) < 2:
            return cls(mean, None, len(values))
        from scipy.stats import t

        half = float(t.ppf(0.975, len(values) - 1)) * stdev(values) / math.sqrt(len(values))
        return cls(mean, (mean - half, mean + half), len(values))

    def to_json(self) -> dict[str, Any]:
        """Return {mean, ci95, n}."""
        return {"mean": self.mean, "ci95": self.ci95 and list(self.ci95), "n": self.n}


def candidates(state: StudyState, settings: Settings, space: Space, context: Context) -> list[Candidate]:
    """Return the configs to confirm: the best trials, then the default and the reported ones if asked for."""
    if not settings.confirm_top:
        return []
    chosen = {
        run.id: Candidate(run.id, run.config, run.key, run.params)
        for run in best_trials(state, space.metric, space.mode)[: settings.confirm_top]
    }
    if settings.confirm_reported:
        import models

        by_key = {run.key: run for run in state.trials if run.key}
        for point in space.points(context):
            run = by_key.get(point.key)
            identity = run.id if run else point.key.replace("/", "_")
            params = models.count_parameters(point.config, context.image_shape, context.num_classes)
            chosen.setdefault(identity, Candidate(identity, point.config, point.key, params))
    return list(chosen.values())


def missing_jobs(state: StudyState, settings: Settings, chosen: list[Candidate]) -> list[tuple[Candidate, Job]]:
    """Return the confirmation runs that have not ended yet, seed by seed."""
    jobs = [
        (candidate, candidate.job(settings, replicate))
        for replicate in range(1, settings.confirm_seeds + 1)
        for candidate in chosen
    ]
    return [(c, job) for c, job in jobs if job.id not in state.runs or state.runs[job.id].status == "running"]


@dataclass(frozen=True)
class Winner:
    """The confirmed config with the best mean validation value, and its best-validation seed."""

    candidate: str
    config: dict[str, Any]
    runs: list[Run]
    model: Run

    def interval(self, metric: str) -> Interval:
        """Return the mean of a metric over the seeds."""
        return Interval.of([(run.last | run.final)[metric] for run in self.runs])


def winner(state: StudyState, chosen: list[Candidate], metric: str, mode: str) -> Winner | None:
    """Return the winner by validation data among the candidates of which a seed was completed."""
    sign = 1 if mode == "min" else -1
    groups: dict[str, list[Run]] = {candidate.id: [] for candidate in chosen}
    for run in state.confirmations:
        if run.status == "completed" and run.confirm_of in groups:
            groups[run.confirm_of].append(run)
    # A config whose seeds partly failed is as good as its worst claim: those with all seeds come first.
    most = max((len(runs) for runs in groups.values()), default=0)
    full = {name: runs for name, runs in groups.items() if runs and len(runs) == most}
    if not full:
        return None

    def value(runs: list[Run]) -> float:
        return sign * fmean(run.last[metric] for run in runs)

    name = min(full, key=lambda candidate: value(full[candidate]))
    model = min(full[name], key=lambda run: sign * run.last[metric])
    return Winner(name, model.config, full[name], model)


def promote(folder: StudyFolder, run_id: str) -> None:
    """Copy the network of a confirmation run to best/, and its samples to samples/, replacing what was there."""
    source = folder.checkpoints / run_id
    _replace(folder.best, {name: source / name for name in ("model.pt", "config.json")})
    _replace(folder.samples, {file.name: file for file in source.glob("*.npz")})


def _replace(target: Path, files: Mapping[str, Path]) -> None:
    fresh = target.with_name(f".{target.name}.part")
    shutil.rmtree(fresh, ignore_errors=True)
    fresh.mkdir(parents=True)
    for name, file in files.items():
        shutil.copyfile(file, fresh / name)
    shutil.rmtree(target, ignore_errors=True)
    fresh.rename(target)
