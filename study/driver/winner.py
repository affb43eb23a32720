"""What a study keeps of its winner in best/ and samples/: the files of a run, made again where they are damaged."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

import models
from study.data.image_data import ImageData
from study.driver.confirmation import Confirmed
from study.evaluation import image_errors
from study.evaluation.image_errors import Errors
from study.evaluation.samples import Beside, save
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


def beside(folder: StudyFolder, confirmed: Sequence[Confirmed], metric: str) -> Beside | None:
    """Return the network that the winner's reconstructions are shown with: of the default, or of a report.

    Of those that were reported on it is one with a code of the winner's size where there is one; of several a report's.
    None where there is none but the winner, where none has a code, as a CNN has none, or what its run left is gone.

    Args:
        folder: The study's.
        confirmed: The confirmed configs, the winner first.
        metric: The validation metric by which one of its seeds is taken.
    """
    size = confirmed[0].config.get("latent_size")
    others = [one for one in confirmed[1:] if one.key and one.reported and "latent_size" in one.config]
    if size is None or not others:
        return None
    other = min(others, key=lambda one: (one.config["latent_size"] != size, one.key == "default"))
    found = left(folder, other.model(metric))
    if found is None:
        return None
    return Beside(f"{other.key}, code of {other.config['latent_size']}", models.load(found[kept.NETWORK[0]].parent))


def keep_errors(
    folder: StudyFolder, runs: Sequence[Run], classes: int, baseline: Callable[[], tuple[int, Errors]]
) -> bool:
    """Write per_class.npz and over_images.npz to samples/: the errors of a config's networks beside the baseline's.

    Both say besides with how many `components` the baseline is. Return whether every network's errors are there; else
    nothing is written: an earlier version kept none, and folders of runs that have ended may be deleted.

    Args:
        folder: The study's.
        runs: The confirmation runs that report on the config.
        classes: How many there are.
        baseline: Measures the errors of the baseline, if there is one: its components, 0 without one, and the errors.
    """
    name = f"{image_errors.FILE}.npz"
    paths = [_intact(folder, run, name) for run in runs]
    found = [path for path in paths if path is not None]
    if not found or len(found) < len(runs):
        return False
    networks = [image_errors.read(path) for path in found]
    components, beside = baseline()
    about = {"components": np.array(components), "seeds": np.array([run.seed for run in runs])}
    by_class = image_errors.per_class(networks, beside, classes)
    save(folder.samples / f"{image_errors.PER_CLASS}.npz", by_class | about)
    save(folder.samples / f"{image_errors.OVER_IMAGES}.npz", image_errors.over_images(networks, beside) | about)
    return True


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
    for name in run.files:
        path = _intact(folder, run, name)
        if path is None:
            return None
        found[name] = path
    return found


def _intact(folder: StudyFolder, run: Run, name: str) -> Path | None:
    """Return where a file of a confirmation run is as the run left it, None if nowhere."""
    if name not in run.files:
        return None
    promoted = folder.best if name in kept.OF_NETWORK else folder.samples
    paths = (folder.checkpoints / run.id / name, promoted / name)
    return next((path for path in paths if kept.is_intact(path, run.files[name])), None)


def promote(folder: StudyFolder, found: Mapping[str, Path]) -> None:
    """Copy a network to best/, and its samples to samples/, replacing what was there; the disk has them then."""
    _replace(folder.best, {name: path for name, path in found.items() if name in kept.OF_NETWORK})
    _replace(folder.samples, {name: path for name, path in found.items() if name not in kept.OF_NETWORK})


def keep_none(folder: StudyFolder) -> None:
    """Delete best/ and samples/, where an earlier end of the study had a winner and this one has none."""
    for place in (folder.best, folder.samples):
        shutil.rmtree(place, ignore_errors=True)


def _replace(target: Path, found: Mapping[str, Path]) -> None:
    with files.replaced(target) as fresh:
        for name, file in found.items():
            shutil.copyfile(file, fresh / name)
