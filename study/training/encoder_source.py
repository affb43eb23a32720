"""The encoder of an earlier study's best network, for `--encoder-from NAME`."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

import models
from study.record import folder as folders
from study.record.errors import UsageError


@dataclass(frozen=True, eq=False)
class EncoderSource:
    """A trained encoder.

    Attributes:
        study: The study whose best network it is part of.
        keys: The keys of a classifier's config that it fixes.
        state: Its state dict.
        digest: 16 hexadecimal digits of a SHA-256 of the network's file.
    """

    study: str
    keys: dict[str, Any]
    state: dict[str, Tensor]
    digest: str

    def to_json(self) -> dict[str, Any]:
        """Return what study.json says of it."""
        return {"study": self.study, "config": self.keys, "digest": self.digest}


def load(storage: Path, name: str, image_shape: tuple[int, int, int]) -> EncoderSource:
    """Return the encoder of the best network of the study `name` in the folder `storage`.

    Raises:
        UsageError: there is no such study, it has no best network yet, its family has no encoder, or its images have
            another shape than `image_shape`.
    """
    best = folders.existing(storage, name, option="--encoder-from").best
    try:
        model = models.load(best)
    except FileNotFoundError:
        raise UsageError(f"--encoder-from {name!r} has no best network yet: {best} is missing") from None
    except models.ConfigError as error:
        raise UsageError(f"--encoder-from {name!r} cannot be read: {error}") from None
    described = models.describe(best)
    shape = described.image_shape
    if shape != image_shape:
        needed, given = ("×".join(map(str, size)) for size in (shape, image_shape))
        raise UsageError(f"--encoder-from {name!r} is for images of {needed}, not {given}")
    try:
        keys = models.classifier_keys(described.config)
    except models.ConfigError as error:
        raise UsageError(f"--encoder-from {name!r}: {error}") from None
    digest = hashlib.sha256((best / "model.pt").read_bytes()).hexdigest()[:16]
    return EncoderSource(name, keys, model.encoder_state(), digest)
