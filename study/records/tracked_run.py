"""What MLflow is to be told of one run, as values: from events of the journal to tags, params and metrics."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from study.records.journal import Event
from study.records.state import StudyState


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


# What happened to a run, told by events of its own.
_HAPPENED = frozenset({"pretraining", "epochs", "status", "reason", "final"})


def undelivered(state: StudyState) -> list[Event]:
    """Return, as events, what a resumed study cannot be sure that MLflow has."""
    if not state.about:
        return []
    events = [state.about]
    for run in state.runs.values():
        if run.id in state.delivered:
            continue
        about = {key: value for key, value in vars(run).items() if key not in _HAPPENED}
        events.append({"event": "run", "time": run.started, **about})
        time_s = run.started
        if run.pretraining:
            time_s = run.pretraining[0]["time"]
            first_stage = [_metrics(epoch) for epoch in run.pretraining]
            events.append({"event": "pretrained", "time": time_s, "id": run.id, "epochs": first_stage})
        for epoch in run.epochs:
            time_s = epoch["time"]
            numbers = {"epoch": epoch["epoch"], "metrics": _metrics(epoch)}
            events.append({"event": "epoch", "time": time_s, "id": run.id, **numbers})
        if run.status != "running":
            end = {"id": run.id, "status": run.status, "reason": run.reason, "final": run.final}
            events.append({"event": "end", "time": time_s, **end})
    return events


def _metrics(epoch: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in epoch.items() if key not in ("epoch", "time")}


def parent_run(event: Event, ms: int) -> Pending:
    """Return what a `study` event tells of the study's own run."""
    settings, data = event["settings"], event["data"]
    params = {key: value for key, value in settings.items() if key not in ("name", "storage", "tracking_uri")}
    params |= {f"data.{key}": value for key, value in data.items() if key in ("digest", "sizes", "image_shape")}
    tags = {"space": settings["space"], **_source(event)}
    return Pending(ms, settings["name"], tags, params)


def _source(about: Mapping[str, Any]) -> dict[str, str]:
    """Return the tags that say what made a run; MLflow's UI shows its own two of them as the source."""
    commit = about["environment"]["git_commit"] or "unknown"
    return {"git_commit": commit, "mlflow.source.name": "study/run.py", "mlflow.source.type": "LOCAL"}


def child_run(event: Event, ms: int, about: Mapping[str, Any]) -> Pending:
    """Return what a `run` event tells of a trial or a confirmation; `about` is the study's own event."""
    config = event["config"]
    latent = f" z{config['latent_size']}" if "latent_size" in config else ""
    tags = {
        "status": "running",
        "architecture": str(config["architecture"]),
        "reported": event["key"] or "",
        "seed": str(event["seed"]),
        **_source(about),
    }
    if event["kind"] == "trial":
        tags["trial_id"] = event["id"]
    else:
        tags["confirm_of"] = event["confirm_of"]
    params = {**config, "params": event["params"], "epochs": event["budget"]}
    if event.get("pretrain_budget"):
        params["pretrain_epochs"] = event["pretrain_budget"]
    return Pending(ms, f"{event['id']} {config['architecture']}{latent}", tags, params)
