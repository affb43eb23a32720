"""After the search: the best configs trained again on fresh seeds, and the test split touched once."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import models
from search_spaces import Context, Space
from study.record import metrics
from study.record.folder import StudyFolder
from study.record.intervals import Interval, mean_interval
from study.record.ranking import best_trials, confirmed_order
from study.record.settings import Settings
from study.record.state import Run, StudyState
from study.search.sampling import derive_seed, reported_budget, searched_budget
from study.settings.resolve import selected
from study.training.stages import Budget
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


def candidates(state: StudyState, settings: Settings, space: Space, context: Context) -> list[Candidate]:
    """Return the configs to confirm: the best trials, then the default and the reported ones if asked for.

    In a study of reported configurations, without a search, it is those, each with its own epochs.
    """
    if not settings.confirm_top:
        return []
    if settings.reported:
        return [
            _untried(key, entry.config, context, reported_budget(entry, settings.epochs))
            for key, entry in selected(settings.reported, space.name).items()
        ]
    chosen = {
        run.id: Candidate(run.id, run.config, run.key, run.params, Budget(run.budget, run.pretrain_budget))
        for run in best_trials(state, space.metric)[: settings.confirm_top]
    }
    if settings.confirm_reported:
        tried = {run.key: run for run in state.trials if run.key}
        for point in space.points(context):
            epochs = searched_budget(point.config, space, settings.epochs)
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
        return mean_interval([run.known[metric] for run in self.runs], *metrics.limits(metric))

    @property
    def test_metrics(self) -> dict[str, Interval]:
        """Every metric of the test split, over the seeds that have it."""
        first, *others = (run.final for run in self.runs)
        names = [name for name in first if name.startswith("test_") and all(name in final for final in others)]
        return {name: self.interval(name) for name in names}


def confirmed(state: StudyState, chosen: list[Candidate], metric: str) -> list[Confirmed]:
    """Return the candidates of which a seed was completed, the winner first."""
    mode = metrics.mode(metric)
    completed = [run for run in state.confirmations if run.status == "completed"]
    runs = {candidate.id: [run for run in completed if run.confirm_of == candidate.id] for candidate in chosen}
    values = {name: [run.last[metric] for run in mine] for name, mine in runs.items()}
    by_id = {candidate.id: candidate for candidate in chosen}
    found = []
    for name in confirmed_order(values, mode):
        model = min(runs[name], key=lambda run: metrics.sign(mode) * run.last[metric])
        found.append(Confirmed(name, by_id[name].key, by_id[name].config, runs[name], model))
    return found


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
