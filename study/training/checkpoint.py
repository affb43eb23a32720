"""What training goes on from: a run's latest checkpoint, and the encoder of an earlier study's best network."""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

import models
from study.record import files
from study.record import folder as folders
from study.record.errors import UsageError


def path(checkpoints: Path, run_id: str) -> Path:
    """Return the file of a run's checkpoint, which later ones replace."""
    return checkpoints / run_id / "checkpoint.pt"


def save(checkpoints: Path, run_id: str, state: dict[str, Any]) -> None:
    """Replace the run's checkpoint by `state`, or leave the one before as it is.

    Raises:
        OSError: the disk is full or the storage folder cannot be reached from this node.
    """
    if not checkpoints.parent.is_dir():  # it has gone: what is written to the place where it was mounted is lost
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(checkpoints.parent))

    def produce(part: Path) -> None:
        with part.open("wb") as file:  # to a path, PyTorch's own writer hides that the disk is full
            torch.save(state, file)

    files.write(path(checkpoints, run_id), produce)


def load(checkpoints: Path, run_id: str) -> dict[str, Any] | None:
    """Return the run's checkpoint on the CPU, or None where there is none.

    Raises:
        RuntimeError: the file is there and cannot be read.
    """
    file = path(checkpoints, run_id)
    if not file.is_file():
        return None
    state: dict[str, Any] = torch.load(file, map_location="cpu", weights_only=True)
    return state


def delete(checkpoints: Path, run_id: str) -> None:
    """Delete all that a run left in its folder."""
    shutil.rmtree(checkpoints / run_id, ignore_errors=True)


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


def load_encoder(storage: Path, name: str, image_shape: tuple[int, int, int], *, trust: bool = False) -> EncoderSource:
    """Return the encoder of the best network of the study `name` in the folder `storage`.

    With `trust` code of its own that lies there may be run.

    Raises:
        UsageError: there is no such study, it has no best network yet, its family has no encoder, its images have
            another shape than `image_shape`; or its network cannot be read.
    """
    best = folders.existing(storage, name, option="--encoder-from").best
    try:
        model = models.load(best, trust=trust)
    except FileNotFoundError:
        raise UsageError(f"--encoder-from {name!r} has no best network yet: {best} is missing") from None
    except (OSError, models.ConfigError) as error:
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
