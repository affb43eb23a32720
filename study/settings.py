"""The settings of a study: what the command line says, with every default resolved, as the journal keeps it."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Settings:
    """One study's settings; paths are absolute, and `None` means that a limit is not set."""

    space: str
    name: str
    trials: int
    epochs: int
    time_budget_s: float | None
    sampler: str
    scheduler: str
    objectives: tuple[str, ...]
    confirm_top: int
    confirm_seeds: int
    confirm_reported: bool
    max_params: int | None
    data: str
    data_dir: str
    image_size: int | None
    train_size: int | None
    storage: str
    tracking_uri: str
    address: str | None
    cpus_per_trial: float
    gpus_per_trial: float | None  # None: a share of a GPU where there is one
    max_concurrent: int | None
    seed: int
    smoke: bool  # the reported architectures take no part

    @property
    def storage_path(self) -> Path:
        """The path of the storage folder."""
        return Path(self.storage)

    def to_json(self) -> dict[str, Any]:
        """Return the settings as JSON can say them."""
        return {**asdict(self), "objectives": list(self.objectives)}

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> Settings:
        """Return the settings that `to_json` gave; keys of a later version are ignored."""
        known = {field.name for field in fields(cls)}
        kept = {key: value for key, value in values.items() if key in known}
        return cls(**{**kept, "objectives": tuple(values["objectives"])})
