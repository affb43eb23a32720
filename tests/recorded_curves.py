"""Made-up studies with chosen learning curves, as the simulator reads them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import isnan
from pathlib import Path
from typing import Any

import recorded_studies
from recorded_studies import OBJECTIVES, made_up_trial

from study.record.folder import StudyFolder
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
    """Write a study and return its folder.

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
    metric, _ = OBJECTIVES[space.rpartition("_")[2]]
    budget = max(len(curve) for curve in values)
    runs = []
    for number, curve in enumerate(values):
        status = (statuses or {}).get(number, "failed" if curve and isnan(curve[-1]) else "completed")
        first = [{"seconds": pretraining[number]}] if number in (pretraining or {}) else []
        epochs = [{metric: value} for value in curve if not isnan(value)]
        about = {"seed": 1000 + number, "params": 1, "budget": budget, "pretraining": first}
        each = seconds[number] if seconds else 1.0
        runs.append(made_up_trial(number, epochs=epochs, status=status, seconds=each, **about))
    base = {"scheduler": "none", "sampler": "random", "epochs": budget, "objectives": [metric]} | dict(settings or {})
    return recorded_studies.write_study(storage, name, runs, space=space, settings=base, search_end=search_end)


def study_of(tmp_path: Path, values: Sequence[Sequence[float]], **options: Any) -> RecordedStudy:
    """Return a made-up study as the simulator reads it."""
    return recorded(StudyFolder(write_study(tmp_path, "made-up", values, **options)))
