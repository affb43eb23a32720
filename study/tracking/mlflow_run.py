"""What MLflow is to be told of one run, as values: from events of the journal to tags, params and metrics."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from study.record.events import Event, RunStarted, StudyStarted
from study.record.state import StudyState


@dataclass
class Pending:
    """What MLflow has not been told of one run yet."""

    started_ms: int
    name: str
    tags: dict[str, str] = field(default_factory=dict)
    params: dict[str, Any] = field(default_factory=dict)
    metrics: list[tuple[str, float, int, int]] = field(default_factory=list)  # key, value, ms, step
    ended: tuple[str, int] | None = None  # status, ms

    def measured(self, metrics: Mapping[str, float | None], ms: int, step: int) -> None:
        """Take in the numbers of a step that are finite; the journal has None for the others."""
        self.metrics += [
            (key, float(value), ms, step)
            for key, value in metrics.items()
            if value is not None and math.isfinite(value)
        ]

    def __bool__(self) -> bool:
        return bool(self.tags or self.params or self.metrics or self.ended)


def undelivered(events: Iterable[Event], state: StudyState) -> list[Event]:
    """Return those of a journal's events that a resumed study cannot be sure that MLflow has, as they are."""
    return [event for event in events if getattr(event, "id", None) not in state.delivered]


def parent_run(event: StudyStarted, ms: int) -> Pending:
    """Return what the study's own run is told at its beginning."""
    settings, data = event.settings, event.data
    params = {key: value for key, value in settings.items() if key not in ("name", "storage", "tracking_uri")}
    params |= {f"data.{key}": value for key, value in data.items() if key in ("digest", "sizes", "image_shape")}
    tags = {"space": settings["space"], **_source(event)}
    return Pending(ms, settings["name"], tags, params)


def _source(about: StudyStarted) -> dict[str, str]:
    """Return the tags that say what made a run; MLflow's UI shows its own two of them as the source."""
    commit = about.environment.get("git_commit") or "unknown"
    return {"git_commit": commit, "mlflow.source.name": "study/run.py", "mlflow.source.type": "LOCAL"}


def child_run(event: RunStarted, ms: int, about: StudyStarted) -> Pending:
    """Return what the run of a trial or of a confirmation is told at its beginning."""
    config = event.config
    latent = f" z{config['latent_size']}" if "latent_size" in config else ""
    tags = {
        "status": "running",
        "architecture": str(config["architecture"]),
        "reported": event.key or "",
        "seed": str(event.seed),
        **_source(about),
    }
    if event.confirm_of is None:
        tags["trial_id"] = event.id
    else:
        tags["confirm_of"] = event.confirm_of
    params = {**config, "params": event.params, "epochs": event.budget}
    if event.pretrain_budget:
        params["pretrain_epochs"] = event.pretrain_budget
    return Pending(ms, f"{event.id} {config['architecture']}{latent}", tags, params)
