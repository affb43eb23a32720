"""After the search: the best configs trained again on fresh seeds, and the test split touched once."""

from __future__ import annotations

import math
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

import models
from search_spaces import Context, Space
from study.records.folder import StudyFolder
from study.records.ranking import best_trials
from study.records.state import Run, StudyState
from study.reported import selected
from study.settings import Settings
from study.tuning import budget
from study.tuning.budget import Budget
from study.tuning.samplers import derive_seed
from study.worker.job import Job

_CONFIRMATION = 0xC0F1  # keeps these seeds apart from those of the trials


@dataclass(frozen=True)
class Candidate:
    """A config to confirm, and what it is called: its trial's id, or the key of a reported configuration."""

    id: str
    config: dict[str, Any]
    key: str | None
    params: int
    budget: Budget

    def job(self, settings: Settings, replicate: int) -> Job:
        """Return the run of one seed; every candidate has the same seeds, so that they can be compared in pairs."""
        seed = derive_seed(settings.seed, _CONFIRMATION, replicate)
        name = f"{self.id}-s{replicate}"
        return Job(name, self.config, seed, self.budget.epochs, self.budget.pretrain_epochs, test=True)


@dataclass(frozen=True)
class Interval:
    """A mean over seeds with the 95 % interval of Student's t; the interval needs two seeds."""

    mean: float
    ci95: tuple[float, float] | None
    n: int

    @classmethod
    def of(cls, values: list[float], least: float = -math.inf, most: float = math.inf) -> Interval:
        """Return the mean of `values` and its interval, cut at the `least` and `most` that a value can be."""
        mean = fmean(values)
        if len(values) < 2:
            return cls(mean, None, len(values))
        from scipy.stats import t

        half = float(t.ppf(0.975, len(values) - 1)) * stdev(values) / math.sqrt(len(values))
        return cls(mean, (max(mean - half, least), min(mean + half, most)), len(values))

    def to_json(self) -> dict[str, Any]:
        """Return {mean, ci95, n}."""
        return {"mean": self.mean, "ci95": self.ci95 and list(self.ci95), "n": self.n}


def candidates(state: StudyState, settings: Settings, space: Space, context: Context) -> list[Candidate]:
    """Return the configs to confirm: the best trials, then the default and the reported ones if asked for.

    In a study of reported configurations, without a search, it is those, each with its own epochs.
    """
    if not settings.confirm_top:
        return []
    if settings.reported:
        return [
            _untried(key, entry.config, context, budget.reported(entry, settings.epochs))
            for key, entry in selected(settings.reported, space.name).items()
        ]
    chosen = {
        run.id: Candidate(run.id, run.config, run.key, run.params, Budget(run.budget, run.pretrain_budget))
        for run in best_trials(state, space.metric, space.mode)[: settings.confirm_top]
    }
    if settings.confirm_reported:
        tried = {run.key: run for run in state.trials if run.key}
        for point in space.points(context):
            epochs = budget.searched(point.config, space, settings.epochs)
            candidate = _untried(point.key, point.config, context, epochs)
            if point.key in tried:
                candidate = replace(candidate, id=tried[point.key].id)
            chosen.setdefault(candidate.id, candidate)
    return list(chosen.values())


def _untried(key: str, config: dict[str, Any], context: Context, epochs: Budget) -> Candidate:
    params = models.count_parameters(config, context.image_shape, context.num_classes)
    return Candidate(key.replace("/", "_"), config, key, params, epochs)


def missing_jobs(state: StudyState, settings: Settings, chosen: list[Candidate]) -> list[tuple[Candidate, Job]]:
    """Return the confirmation runs that have not ended yet, seed by seed."""
    jobs = [
        (candidate, candidate.job(settings, replicate))
        for replicate in range(1, settings.confirm_seeds + 1)
        for candidate in chosen
    ]
    return [(c, job) for c, job in jobs if job.id not in state.runs or state.runs[job.id].status == "running"]


@dataclass(frozen=True)
class Confirmed:
    """A confirmed config: its runs that were completed, and `model`, the one with the best validation value."""

    candidate: str
    key: str | None
    config: dict[str, Any]
    runs: list[Run]
    model: Run

    def interval(self, metric: str) -> Interval:
        """Return the mean of a metric over the seeds."""
        most = 1.0 if metric.endswith("accuracy") else math.inf
        least = -math.inf if metric.endswith("psnr") else 0.0
        return Interval.of([(run.last | run.final)[metric] for run in self.runs], least, most)

    @property
    def test_metrics(self) -> dict[str, Interval]:
        """Every metric of the test split, over the seeds that have it."""
        first, *others = (run.final for run in self.runs)
        names = [name for name in first if name.startswith("test_") and all(name in final for final in others)]
        return {name: self.interval(name) for name in names}


def confirmed(state: StudyState, chosen: list[Candidate], metric: str, mode: str) -> list[Confirmed]:
    """Return the candidates of which a seed was completed, the best mean validation value first.

    A config whose seeds partly failed is as good as its worst claim: those with most seeds come first.
    """
    sign = 1 if mode == "min" else -1
    found = []
    for candidate in chosen:
        runs = [r for r in state.confirmations if r.confirm_of == candidate.id and r.status == "completed"]
        if runs:
            model = min(runs, key=lambda run: sign * run.last[metric])
            found.append(Confirmed(candidate.id, candidate.key, candidate.config, runs, model))
    return sorted(found, key=lambda one: (-len(one.runs), sign * fmean(run.last[metric] for run in one.runs)))


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
