"""After the search: seeds that choose the winner by validation data, then fresh ones that report its test metrics."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

import models
from search_spaces import Context, Space
from study.record import constraints, metrics
from study.record.constraints import Constraint
from study.record.events import Config, Kind, Role, Status
from study.record.intervals import Interval, Layers, Sample, difference, mean_interval
from study.record.ranking import best_trials, confirmed_order
from study.record.settings import Settings
from study.record.state import Run, StudyState
from study.search.budget import SEEDS
from study.search.fronts import by_fronts
from study.search.sampling import derive_seed, reported_budget, searched_budget
from study.settings.resolve import reported_split, selected
from study.training.stages import Budget
from study.worker.job import Job

# These keep seeds apart from those of the trials.
_CONFIRMATION = 0xC0F1
_SPREAD = 0x59EAD


@dataclass(frozen=True)
class Candidate:
    """A config to confirm, and what it is called: its trial's id, or the key of a reported configuration."""

    id: str
    config: Config
    key: str | None
    params: int
    budget: Budget

    @classmethod
    def of(cls, run: Run) -> Candidate:
        """Return a run's config, under the run's id and with its own budget."""
        return cls(run.id, run.config, run.key, run.params, Budget(run.budget, run.pretrain_budget))

    def job(self, settings: Settings, replicate: int, *, test: bool) -> Job:
        """Return the run of one seed; every candidate has the same seeds.

        Args:
            settings: The study's.
            replicate: Which seed, from 1.
            test: Whether the test split is evaluated at the end.
        """
        epochs, seed = self.budget, _seed(settings, replicate)
        return Job(f"{self.id}-s{replicate}", self.config, seed, epochs.epochs, epochs.pretrain_epochs, test=test)


def _seed(settings: Settings, replicate: int) -> int:
    return derive_seed(settings.seed, _CONFIRMATION, replicate)


@dataclass(frozen=True)
class Planned:
    """A run of a known config that has not ended yet: of the confirmation, or a further seed of the default."""

    candidate: Candidate
    job: Job
    role: Role | None
    kind: Kind = "confirm"


def left_of(planned: Iterable[Planned], state: StudyState) -> list[Planned]:
    """Return the planned runs that have not ended."""
    runs = state.runs
    return [one for one in planned if one.job.id not in runs or runs[one.job.id].status == "running"]


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
    best = _best(state, settings, space)
    # Beside bounds that are measured, one that was confirmed before an extension may be the only one to keep them.
    known = {run.confirm_of for run in state.confirmations if run.role == "choose"} if settings.constraints else set()
    chosen = [Candidate.of(run) for place, run in enumerate(best) if place < settings.confirm_top or run.id in known]
    given = _given(state, settings, space, context) if settings.confirm_reported else []
    return list({candidate.id: candidate for candidate in (*chosen, *given)}.values())


def _best(state: StudyState, settings: Settings, space: Space) -> list[Run]:
    """Return the trials from the best one on; with several objectives, those first that cover the front."""
    ranked = best_trials(state, space.metric)
    if len(settings.objectives) == 1 or not ranked:
        return ranked
    known = [run for run in ranked if run.status == "completed"] or ranked
    signs = {name: metrics.sign(metrics.mode(name)) for name in settings.objectives}
    costs = [[factor * run.known.get(name, math.nan) for name, factor in signs.items()] for run in known]
    return [known[place] for place in by_fronts(np.array(costs))]


def runs_at_most(settings: Settings, space: Space, context: Context) -> tuple[int, int]:
    """Return how many runs the confirmation has at most: those that choose the winner, and those that report on it."""
    if not settings.confirm_top:
        return 0, 0
    seeds = settings.confirm_seeds
    if not chooses(settings):
        return 0, settings.reporting_seeds * len(selected(settings.reported or "", space.name))
    if settings.reported:
        several, others = len(selected(settings.reported, space.name)), 0
    else:
        best = min(settings.confirm_top, settings.trials)
        # the first trial is the default: a search of one has nothing to compare with it
        others = len(space.points(context)) if settings.confirm_reported else int(settings.trials > 1)
        several = best + (others if settings.confirm_reported else 0)
    reported = min(settings.confirm_top, settings.trials) if len(settings.objectives) > 1 else 1
    return several * seeds if several > 1 else 0, (reported + others) * settings.reporting_seeds


def networks_at_most(settings: Settings, space: Space, context: Context) -> int:
    """Return how many runs of the confirmation leave their networks until the study's end: those that are tested.

    Runs that choose are, in a study of reported configurations alone.
    """
    choosing, reporting = runs_at_most(settings, space, context)
    return reporting + (choosing if settings.reported else 0)


def chooses(settings: Settings) -> bool:
    """Return whether there are validation images to choose a winner by; else the test images would choose it."""
    split = reported_split(settings)
    return split is None or split.val > 0


def _untried(key: str, config: Config, context: Context, epochs: Budget) -> Candidate:
    params = models.count_parameters(config, context.image_shape, context.num_classes)
    return Candidate(key.replace("/", "_"), config, key, params, epochs)


def choosing(state: StudyState, settings: Settings, chosen: Sequence[Candidate]) -> list[Planned]:
    """Return what is left of the runs that choose the winner, by validation data, seed by seed.

    There are none of one candidate, and none without validation images.

    The test split is evaluated only of reported configurations without a search, which are there to be measured.
    """
    if not _has_choice(settings, chosen):
        return []
    replicates = range(1, settings.confirm_seeds + 1)
    return _missing(state, settings, chosen, replicates, "choose", test=settings.reported is not None)


def _has_choice(settings: Settings, chosen: Sequence[Candidate]) -> bool:
    return len(chosen) > 1 and chooses(settings)


def newly_choosing(state: StudyState, settings: Settings, chosen: Sequence[Candidate]) -> list[Run]:
    """Return the runs that reported on the only candidate that there was, on the seeds that now choose among several.

    So have those of what it was put beside. All candidates share these seeds, and what has chosen reports no more.
    """
    if not _has_choice(settings, chosen):
        return []
    seeds = {_seed(settings, replicate) for replicate in range(1, settings.confirm_seeds + 1)}
    return [run for run in state.confirmations if run.role == "report" and run.seed in seeds]


def reporting(
    state: StudyState, settings: Settings, chosen: Sequence[Candidate], reported: Sequence[Candidate]
) -> list[Planned]:
    """Return what is left of the runs that report on some configs, by seeds none of which chose anything.

    Without validation images nothing is chosen, and all of `chosen` are reported on.

    Args:
        state: The study.
        settings: Its settings.
        chosen: The candidates among which the winner was chosen.
        reported: The winner and what it is put beside.
    """
    if not chooses(settings):
        return _missing(state, settings, chosen, range(1, settings.reporting_seeds + 1), "report", test=True)
    first = settings.confirm_seeds if len(chosen) > 1 else 0
    replicates = range(first + 1, first + settings.reporting_seeds + 1)
    return _missing(state, settings, reported, replicates, "report", test=True)


def further_seeds(state: StudyState, settings: Settings, space: Space, context: Context) -> list[Planned]:
    """Return what is left of the further seeds of the default, by which `--patience` knows how far seeds differ."""
    if settings.patience is None:
        return []
    default = replace(_given(state, settings, space, context)[0], id="default")
    epochs = default.budget
    planned = []
    for number in range(2, SEEDS + 1):
        seed = derive_seed(settings.seed, _SPREAD, number)
        job = Job(f"again{number}", default.config, seed, epochs.epochs, epochs.pretrain_epochs)
        candidate = replace(default, key=f"default again {number}")
        planned.append(Planned(candidate, job, None, "spread"))
    return left_of(planned, state)


def beside(state: StudyState, settings: Settings, space: Space, context: Context) -> list[Candidate]:
    """Return what the winner is reported with: the space's default and, if asked for, the reported configurations."""
    if settings.reported or not settings.confirm_top:
        return []
    given = _given(state, settings, space, context)
    return given if settings.confirm_reported else given[:1]


def _given(state: StudyState, settings: Settings, space: Space, context: Context) -> list[Candidate]:
    """Return the configurations that a search begins with, the default first, under the ids of their trials if any."""
    tried = {run.key: run.id for run in state.trials if run.key}
    candidates = []
    for point in space.points(context):
        epochs = searched_budget(point.config, space, settings.epochs)
        candidate = _untried(point.key, point.config, context, epochs)
        candidates.append(replace(candidate, id=tried.get(point.key, candidate.id)))
    return candidates


def _missing(
    state: StudyState,
    settings: Settings,
    candidates: Sequence[Candidate],
    replicates: Iterable[int],
    role: Role,
    *,
    test: bool,
) -> list[Planned]:
    planned = [
        Planned(candidate, candidate.job(settings, replicate, test=test), role)
        for replicate in replicates
        for candidate in candidates
    ]
    return left_of(planned, state)


@dataclass(frozen=True)
class Confirmed:
    """A confirmed config with its completed runs.

    Attributes:
        candidate: what it is called.
        key: "default", a reported key, or None for a sampled config.
        config: its settings.
        chose: the runs on the seeds that chose the winner, by validation data; those of an earlier version did both.
        reported: the runs on seeds that chose nothing.
        unmet: the constraints that it does not keep in the mean over `chose`, or over `reported` where there are none.
        failed: the runs on the seeds of `runs` that failed by the config's own doing, and not by the machine's.
    """

    candidate: str
    key: str | None
    config: Config
    chose: list[Run]
    reported: list[Run]
    unmet: Sequence[Constraint] = ()
    failed: Sequence[Run] = ()

    @property
    def runs(self) -> list[Run]:
        """The runs that say how good it is on the test split: of fresh seeds, where there are any."""
        return self.reported or self.chose

    def mean(self, metric: str) -> Interval:
        """Return the mean of a metric: on the test split of `runs`, on validation data of the seeds that chose.

        Raises:
            KeyError: a test metric of a config that was not reported on, or there were no validation images.
        """
        runs = self.runs if metric.startswith("test_") else self.chose or self.reported
        return mean_interval([run.known[metric] for run in runs], *metrics.limits(metric))

    def value(self, metric: str) -> dict[str, Any]:
        """Return the mean of a validation metric by its name, as summary.json has it; nothing without such images."""
        return {metric: self.mean(metric).to_json()} if self.is_valued(metric) else {}

    def is_valued(self, metric: str) -> bool:
        """Whether there were validation images, so that its seeds have this metric of them."""
        return all(metric in run.last for run in self.chose or self.reported)

    def model(self, metric: str) -> Run:
        """Return the run with the best value of a validation metric among those whose networks are kept.

        Without validation images it is the first seed: nothing else may choose.
        """
        if not self.is_valued(metric):
            return self.runs[0]
        sign = metrics.sign(metrics.mode(metric))
        return min(self.runs, key=lambda run: sign * run.last[metric])

    @property
    def test_metrics(self) -> dict[str, Interval]:
        """Every metric of the test split, over the seeds that have it."""
        first, *others = (run.final for run in self.runs)
        names = [name for name in first if name.startswith("test_") and all(name in final for final in others)]
        return {name: self.mean(name) for name in names}


def confirmed(state: StudyState, candidates: Sequence[Candidate], metric: str) -> list[Confirmed]:
    """Return the candidates of which a seed was completed: by their choosing seeds, the winner first.

    Those that do not keep the study's constraints come last. Without validation images they keep their order, and the
    first one stands for the study.
    """
    by_id = {candidate.id: candidate for candidate in candidates}
    runs, failed = _by_role(state, by_id, "completed"), _by_role(state, by_id, "failed")
    several = any(mine[False] for mine in runs.values())
    values = {
        name: [run.last[metric] for run in mine[not several] if metric in run.last] for name, mine in runs.items()
    }
    asked = constraints.of_settings(state.settings)
    unmet = {
        name: constraints.unmet_by_mean(asked, [run.facts for run in mine[False] or mine[True]])
        for name, mine in runs.items()
        if mine[False] or mine[True]
    }
    ranked = confirmed_order(values, metrics.mode(metric), [name for name, beyond in unmet.items() if beyond])
    ranked += [name for name in runs if name not in ranked and (runs[name][True] or runs[name][False])]
    return [
        Confirmed(
            name,
            by_id[name].key,
            by_id[name].config,
            runs[name][False],
            runs[name][True],
            unmet[name],
            failed[name][True] + (failed[name][False] if not runs[name][True] else []),
        )
        for name in ranked
    ]


def _by_role(state: StudyState, names: Iterable[str], status: Status) -> dict[str, dict[bool, list[Run]]]:
    """Return the confirmation runs of some configs by whether they report, without those that the machine failed."""
    runs: dict[str, dict[bool, list[Run]]] = {name: {True: [], False: []} for name in names}
    for run in state.confirmations:
        if run.status == status and not run.by_machine and run.confirm_of in runs:
            runs[run.confirm_of][run.role == "report"].append(run)
    return runs


def gain(winner: Confirmed, default: Confirmed, metric: str) -> Interval:
    """Return how much better the winner is than the default in a test metric, over the seeds that report on both.

    Positive is better, whatever the metric's direction. In pairs where both have the same layers, else by Welch's test.
    """
    samples = [
        Sample.of(
            metric,
            {run.seed: run.final[metric] for run in one.reported},
            Layers(one.config["architecture"], one.reported[0].params),
        )
        for one in (default, winner)
    ]
    return difference(*samples).scaled(metrics.sign(metrics.mode(metric)))
