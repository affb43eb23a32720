"""The latest checkpoint of a run: one file in the study's folder, replaced after every epoch."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import torch

from study.record import files as atomic


def path(checkpoints: Path, run_id: str) -> Path:
    """Return where the checkpoint of a run lies."""
    return checkpoints / run_id / "checkpoint.pt"


def save(checkpoints: Path, run_id: str, state: dict[str, Any]) -> None:
    """Replace the run's checkpoint by `state`, or leave the one before as it is.

    Raises:
        OSError: the disk is full or the storage folder cannot be reached from this node.
    """

    def produce(part: Path) -> None:
        with part.open("wb") as file:
            torch.save(state, file)
            file.flush()
            os.fsync(file.fileno())

    atomic.write(path(checkpoints, run_id), produce)


def load(checkpoints: Path, run_id: str) -> dict[str, Any] | None:
    """Return the run's checkpoint on the CPU, or None where there is none.

    Raises:
        RuntimeError: the file is there and cannot be read.
    """
    file = path(checkpoints, run_id)
    if not file.is_file():
        return None
    return torch.load(file, map_location="cpu", weights_only=True)


def delete(checkpoints: Path, run_id: str) -> None:
    """Delete all that a run left in its folder."""
    shutil.rmtree(checkpoints / run_id, ignore_errors=True)
