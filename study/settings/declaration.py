"""The settings of a study: what the command line says, with every default resolved, as the journal keeps it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, Literal

from search_spaces import Context

Fuse = Literal["auto", "on", "off"]


@dataclass(frozen=True)
class Settings:
    """One study's settings; paths are absolute, and `None` means that a limit is not set."""

    space: str
    name: str
    trials: int
    epochs: int  # of a trial's last stage; with `reported`, the most of any stage
    time_budget_s: float | None
    sampler: str
    scheduler: str
    objectives: tuple[str, ...]
    confirm_top: int
    confirm_seeds: int
    confirm_reported: bool
    reported: str | None  # a key or pattern: no search, just these reported configurations
    encoder_from: str | None  # an earlier study, on the encoder of whose best network classifiers are built
    max_params: int | None
    data: str
    data_dir: str
    image_size: int | None
    train_size: int | None
    storage: str
    tracking_uri: str
    address: str | None
    cpus_per_trial: float
    gpus_per_trial: float | None  # None: by measured memory, where there is a GPU
    max_concurrent: int | None
    precision: str  # of the arithmetic: "float32" or "bfloat16"
    compile: bool  # whether training steps are compiled
    retries: int  # how often a run is set up again after its worker died or memory ran out
    fuse: Fuse  # whether replicates of a confirmation are trained together
    seed: int
    smoke: bool  # the reported architectures take no part, and no more images are tested on than trained on

    @property
    def storage_path(self) -> Path:
        """The path of the storage folder."""
        return Path(self.storage)

    def context(
        self, image_shape: tuple[int, int, int], num_classes: int, encoder: Mapping[str, Any] | None = None
    ) -> Context:
        """Return what the space has to know of the data; reported architectures take part where they fit.

        Args:
            image_shape: (channels, height, width), in pixels.
            num_classes: of the data set.
            encoder: The keys of a config that `--encoder-from` fixes.
        """
        return Context(image_shape, num_classes, reported=not self.smoke, encoder=encoder)

    def to_json(self) -> dict[str, Any]:
        """Return the settings as JSON can say them."""
        return {**asdict(self), "objectives": list(self.objectives)}

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> Settings:
        """Return the settings that `to_json` gave, in this version or an earlier one."""
        known = {field.name for field in fields(cls)}
        kept = {key: value for key, value in values.items() if key in known}
        added = {"reported": None, "encoder_from": None, "retries": 3, "fuse": "auto"}
        added |= {"precision": "float32", "compile": False}
        return cls(**{**added, **kept, "objectives": tuple(values["objectives"])})
