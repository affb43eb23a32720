"""What a study keeps of its winner in best/ and samples/: the files of a run, made again where they are damaged."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import models
from study.data.image_data import ImageData
from study.record import files, kept
from study.record.errors import StudyError
from study.record.folder import StudyFolder
from study.record.state import Run, StudyState
from study.training import checkpoint


def keep_confirmed(folder: StudyFolder, run: Run, train_again: Callable[[Run], None]) -> None:
    """Copy the network and samples of a confirmation run to best/ and samples/.

    Args:
        folder: The study's.
        run: Which has ended.
        train_again: Trains it once more, from its seed, for the files that it left; called where they are damaged.

    Raises:
        StudyError: they are still damaged then.
    """
    found = left(folder, run)
    if found is None:
        train_again(run)
        found = left(folder, run)
    if found is None:
        raise StudyError(f"the network of {run.id} is damaged, and its seed has not made it again")
    promote(folder, found)


def keep_trial(
    folder: StudyFolder, state: StudyState, run: Run, data: ImageData, train_again: Callable[[Run], None]
) -> None:
    """Write the network of a trial's last checkpoint to best/, where nothing has been confirmed.

    Args:
        folder: The study's.
        state: The study.
        run: The trial, which has ended.
        data: What its networks are for.
        train_again: As in `keep_confirmed`.

    Raises:
        StudyError: the checkpoint is still damaged then.
    """
    found = _checkpoint(folder, run)
    said = (state.summary or {}).get("best") or {}
    if found is None and said.get("trial_id") == run.id and not kept.damaged(folder, state):
        return  # an earlier driver has kept it
    if found is None:
        checkpoint.delete(folder.checkpoints, run.id)
        train_again(run)
        found = _checkpoint(folder, run)
    if found is None:
        raise StudyError(f"the checkpoint of the best trial, {run.id}, is damaged, and cannot be made again")
    model = models.build(run.config, data.image_shape, data.num_classes)
    model.load_state_dict(found["model"])
    models.save(model, run.config, data.image_shape, data.num_classes, folder.best, images=data.trained.to_json())


def _checkpoint(folder: StudyFolder, run: Run) -> dict[str, Any] | None:
    """Return a trial's checkpoint, None where it is missing, damaged or not of the trial's last epoch."""
    try:
        state = checkpoint.load(folder.checkpoints, run.id)
    except Exception:  # whatever PyTorch and pickle raise of damaged files
        return None
    return state if state is not None and state["epochs_done"] == len(run.epochs) else None


def left(folder: StudyFolder, run: Run) -> dict[str, Path] | None:
    """Return where the network and samples of a confirmation run are, by file; None where one is damaged or gone.

    They are in the run's own folder, or in best/ and samples/ once they have been promoted. An earlier version has
    not said what they are: its network has to load then.
    """
    source = folder.checkpoints / run.id
    if not run.files:
        try:
            models.load(source)
        except (OSError, models.ConfigError):
            return None
        return {path.name: path for path in (*(source / name for name in kept.NETWORK), *source.glob("*.npz"))}
    found: dict[str, Path] = {}
    for name, expected in run.files.items():
        promoted = folder.best if name in kept.OF_NETWORK else folder.samples
        paths = [path for path in (source / name, promoted / name) if kept.is_intact(path, expected)]
        if not paths:
            return None
        found[name] = paths[0]
    return found


def promote(folder: StudyFolder, found: Mapping[str, Path]) -> None:
    """Copy a network to best/, and its samples to samples/, replacing what was there; the disk has them then."""
    _replace(folder.best, {name: path for name, path in found.items() if name in kept.OF_NETWORK})
    _replace(folder.samples, {name: path for name, path in found.items() if name not in kept.OF_NETWORK})


def _replace(target: Path, found: Mapping[str, Path]) -> None:
    with files.replaced(target) as fresh:
        for name, file in found.items():
            shutil.copyfile(file, fresh / name)
