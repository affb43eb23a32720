"""Made-up studies with chosen learning curves, as journals on disk."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import isnan
from pathlib import Path
from typing import Any

from study.record.events import EpochEnded, Pretrained, RunEnded, RunStarted, SearchEnded, StudyStarted
from study.record.journal import Journal, read_state
from study.simulation.recorded import RecordedStudy, recorded


def curves(trials: int = 8, epochs: int = 9, spread: float = 0.1) -> list[list[float]]:
    """Return falling validation errors; trials with a higher number are worse, by `spread`."""
    return [[spread * number + 1 / epoch for epoch in range(1, epochs + 1)] for number in range(trials)]


def write_study(
    storage: Path,
    name: str,
    values: Sequence[Sequence[float]],
    *,
    settings: Mapping[str, Any] | None = None,
    statuses: Mapping[int, str] | None = None,
    seconds: Sequence[float] | None = None,
    pretraining: Mapping[int, float] | None = None,
    search_end: bool = True,
    space: str = "digits_ae",
) -> Path:
    """Write the journal of a study and return its folder.

    Args:
        storage: Where studies lie.
        name: The study's name.
        values: The objective by trial and epoch; a trial that ends in NaN failed there.
        settings: What differs from a random search without a scheduler.
        statuses: How trials ended, by number, that neither completed nor failed by NaN.
        seconds: Of an epoch, by trial; one second each by default.
        pretraining: Seconds of a first stage, by trial.
        search_end: Whether the search came to its end.
        space: Its space.
    """
    folder = storage / name
    folder.mkdir(parents=True)
    journal = Journal(folder / "journal.jsonl")
    metric, mode = ("val_accuracy", "max") if space.endswith("classifier") else ("val_mse", "min")
    budget = max(len(curve) for curve in values)
    base = {"space": space, "scheduler": "none", "sampler": "random", "epochs": budget, "objectives": [metric]}
    journal.append(StudyStarted(base | dict(settings or {}), {"metric": metric, "mode": mode}))
    for number, curve in enumerate(values):
        run_id, each = f"t{number:04d}", seconds[number] if seconds else 1.0
        about = {"kind": "trial", "number": number, "config": {}, "seed": 1000 + number, "budget": budget}
        journal.append(RunStarted(id=run_id, params=1, key=None, **about))
        if number in (pretraining or {}):
            journal.append(Pretrained(run_id, [{"seconds": pretraining[number]}]))
        for epoch, value in enumerate(curve, start=1):
            if not isnan(value):
                journal.append(EpochEnded(run_id, epoch, {metric: value, "seconds": each}))
        status = (statuses or {}).get(number, "failed" if curve and isnan(curve[-1]) else "completed")
        if status != "running":
            journal.append(RunEnded(run_id, status, None, {}))
    if search_end:
        journal.append(SearchEnded("trials"))
    journal.close()
    return folder


def study_of(tmp_path: Path, values: Sequence[Sequence[float]], **options: Any) -> RecordedStudy:
    """Return a made-up study as the simulator reads it."""
    return recorded("made-up", read_state(write_study(tmp_path, "made-up", values, **options) / "journal.jsonl"))
