"""What passes between the driver and its workers: jobs on the way there, reports on the way back.

Tune carries both as dicts. They are made and read here and nowhere else: `job_config` and `jobs_of`, `tune_result` and
`step_of`. Nothing heavy is imported, since a worker process is up only once this is.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from study.record.events import Config, Files, Metrics, Status

EPOCH = "epoch"
"""Where the number of epochs lies in a result of Tune's, by which its schedulers count."""

_STEP = "step"
_NODE = "node"


@dataclass(frozen=True)
class Job:
    """One run to train."""

    id: str
    config: Config
    seed: int
    epochs: int
    pretrain_epochs: int = 0
    until: int = 0  # the epoch after which it is left, as an earlier one was; 0 for the last
    pca: Metrics | None = None  # PCA's error by split at the size of its code, where its own is to be put over that
    test: bool = False  # a confirmation: evaluate the test split once, at the end, and keep model and samples


@dataclass(frozen=True)
class Report:
    """How a run stands after a step.

    Attributes:
        epoch: The epochs of the last stage that are done.
        metrics: Those of that epoch; empty where the run has failed.
        sizes: Of the network, by the names of objectives (`study.record.metrics.sizes`).
        done: Whether this is the run's last report.
        pretraining: The metrics of the first stage's epochs, with a worker's first report of the run.
        earlier: The metrics of the epochs before this one, with a worker's first report of the run.
        final: A confirmation's metrics of the test split, with its last report.
        files: The network and samples that it has left, with its last report.
        failed: Why the run has failed.
        by_machine: Whether that is the machine's doing, such as too little memory, so that it may do better later.
        note: What the user should know of a run that goes on.
    """

    epoch: int
    metrics: Metrics = field(default_factory=dict)
    sizes: Mapping[str, float] = field(default_factory=dict)
    done: bool = False
    pretraining: Sequence[Metrics] = ()
    earlier: Sequence[Metrics] = ()
    final: Metrics = field(default_factory=dict)
    files: Files = field(default_factory=dict)
    failed: str | None = None
    by_machine: bool = False
    note: str | None = None

    def value(self, objective: str) -> float:
        """Return the value of an objective, NaN where the run has failed or there are no validation images."""
        return math.nan if self.failed else {**self.metrics, **self.sizes}.get(objective, math.nan)


@dataclass(frozen=True)
class EnergyReading:
    """What the energy counters of a machine said at a moment.

    Attributes:
        host: The machine's name.
        at: Seconds of the machine's own clock, which only goes forward and is the same for all of its processes.
        counters: By name, which begins with the kind ("processor", "memory", "GPU"): joules, and the joules after which
            the counter begins again at 0, infinite of one that does not. Empty where the machine does not tell.
    """

    host: str
    at: float
    counters: Mapping[str, tuple[float, float]]


@dataclass(frozen=True)
class StepResult:
    """What a worker says after a step.

    Attributes:
        reports: One of each run that it trains, by the run's id.
        declined: Why several runs have not been trained together.
        too_large: Of runs that were declined, whether fewer of them might have been trained together.
        storage_problem: Why the study's folder cannot be used from the worker.
        energy: What the machine's counters said since the worker's last step, in order.
    """

    reports: Mapping[str, Report] = field(default_factory=dict)
    declined: str | None = None
    too_large: bool = False
    storage_problem: str | None = None
    energy: Sequence[EnergyReading] = ()

    @property
    def done(self) -> bool:
        """Whether no step follows."""
        return all(report.done for report in self.reports.values())


def job_config(*jobs: Job) -> dict[str, Any]:
    """Return `jobs`, to be trained together where they are several, as the config that a Tune searcher suggests."""
    return {"jobs": [dict(vars(job)) for job in jobs]}


def jobs_of(config: Mapping[str, Any]) -> list[Job]:
    """Return the jobs of a Tune trial's config."""
    return [Job(**job) for job in config["jobs"]]


def job_of(config: Mapping[str, Any]) -> Job:
    """Return the job of a Tune trial that has one."""
    (job,) = jobs_of(config)
    return job


def tune_result(step: StepResult, objectives: Sequence[str], node: str = "") -> dict[str, Any]:
    """Return a step as Tune takes it: with the number of epochs and the objectives at the top.

    Tune's schedulers and searchers look for them there, in every result; several runs have none in common.

    Args:
        step: What the worker says.
        objectives: The study's.
        node: Ray's id of the node that the worker is on; "" where there is no Ray.
    """
    reports = list(step.reports.values())
    alone = reports[0] if len(reports) == 1 else None
    return {
        _STEP: step,
        _NODE: node,
        EPOCH: max((report.epoch for report in reports), default=0),
        "done": step.done,
        **{name: alone.value(name) if alone else math.nan for name in objectives},
    }


def step_of(result: Mapping[str, Any] | None) -> StepResult:
    """Return the step that `tune_result` made a result of; an empty one of a run that ended before its first result."""
    step = (result or {}).get(_STEP, StepResult())
    assert isinstance(step, StepResult)
    return step


def node_of(result: Mapping[str, Any]) -> str:
    """Return Ray's id of the node that a result is from, "" of one that is no worker's, as before a run's first."""
    return str(result.get(_NODE, ""))


def ending(report: Report | None, budget: int) -> tuple[Status, str | None]:
    """Return how a run ended by its last report: completed its `budget` of epochs, or stopped, or failed and why."""
    if report is None:
        return "failed", "the run ended before its first result"
    if report.failed:
        return "failed", report.failed
    return ("completed" if report.epoch >= budget else "stopped"), None
