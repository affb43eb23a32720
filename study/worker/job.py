"""What Tune passes between the driver and its workers: jobs on the way there, reports on the way back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

# Where a report of a run lies in what Tune passes around.
METRICS, PRETRAINING, FINAL, FAILED, STORAGE_FAILED = "metrics", "pretraining", "final", "failed", "storage_failed"
NOTE = "note"  # what the user should know of a run that goes on
EPOCH = "epoch"
REPORTS = "reports"  # of several runs that are trained together, one each, by id
DECLINED = "declined"  # why several runs have not been trained together
TOO_LARGE = "too_large"  # whether fewer of them might have been


@dataclass(frozen=True)
class Job:
    """One run to train."""

    id: str
    config: dict[str, Any]
    seed: int
    epochs: int
    pretrain_epochs: int = 0
    test: bool = False  # a confirmation: evaluate the test split once, at the end, and keep model and samples


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
