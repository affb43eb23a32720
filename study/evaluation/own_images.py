"""What a saved network says about images from anywhere: a classifier their classes, an autoencoder reconstructions."""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch
from numpy.typing import NDArray
from torch import Tensor

import models
from models import Network, Predictive
from models.checkpoint import CONFIG_FILE, Description
from study.data.image_data import Trained
from study.data.tensors import as_bytes, to_bytes, to_pixels
from study.evaluation.pictures import ImageRow, draw_rows
from study.record import files, kept
from study.record.errors import StudyError, UsageError
from study.record.folder import StudyFolder
from study.record.journal import read_state


class NothingToShowError(UsageError):
    """A network gives neither probabilities of classes nor images."""


def load(folder: Path, *, trust: bool = False) -> Network:
    """Return the network that a study or `models.save` left in a folder.

    With `trust` code of its own that lies there may be run.

    Raises:
        UsageError: the folder holds none, or it is damaged.
    """
    try:
        return models.load(folder, trust=trust)
    except FileNotFoundError as error:
        best = folder / "best"
        near = f" (did you mean {best}?)" if best.is_dir() else ""
        raise UsageError(f"{folder} holds no network: there is no {error.filename}{near}") from error
    except OSError as error:
        raise UsageError(f"{folder} cannot be read: {error.strerror}") from error
    except models.ConfigError as error:
        raise UsageError(f"{folder} cannot be loaded: {error}{_made_again(folder)}") from error


def _made_again(folder: Path) -> str:
    """Say what makes a study's best network again, nothing of another one or where its journal finds no fault."""
    study = StudyFolder(folder.absolute().parent)
    if folder.absolute() != study.best or not study.has_begun:
        return ""
    with suppress(StudyError):  # the journal is damaged, too
        damaged = kept.damaged(study, read_state(study.journal))
        if any(Path(name).parent.name == study.best.name for name in damaged):
            return f"; made again by: {study.resume_command()}"
    return ""


def trained_on(folder: Path, described: Description) -> Trained:
    """Return what a network's training images were, with a name for each of its classes.

    A study says so beside the network; an earlier version said so in study.json alone. Where neither does, they were of
    8 bits, and the classes' names are their numbers from 0.

    Args:
        folder: The network's.
        described: What was saved with it there.

    Raises:
        UsageError: a file is damaged, or names another number of classes than the network knows.
    """
    said, file = described.images, folder / CONFIG_FILE
    if said is None:
        file = folder.resolve().parent / "study.json"
        if not file.is_file():
            return Trained(class_names=tuple(f"class {number}" for number in range(described.num_classes)))
    try:
        trained = Trained.from_json(json.loads(file.read_text("utf-8"))["data"] if said is None else said)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, IndexError) as error:
        raise UsageError(f"{file} does not describe the images: it is damaged or no study's") from error
    if len(trained.class_names) != described.num_classes:
        raise UsageError(
            f"{file} names {len(trained.class_names)} classes, and the network knows {described.num_classes}"
        )
    return trained


def check_answers(model: Network, image_shape: tuple[int, int, int], folder: Path) -> None:
    """Refuse a network that says nothing of images that can be shown: neither classes nor images of their shape.

    One of a person's own family need do neither.

    Args:
        model: The network.
        image_shape: (channels, height, width) of the images that it was trained on.
        folder: Where it was left, for the message.

    Raises:
        NothingToShowError: it gives neither.
    """
    if isinstance(model, Predictive):
        return
    images = torch.zeros(1, *image_shape)
    with torch.inference_mode():
        found = model(images)
    if not (isinstance(found, Tensor) and found.shape == images.shape):
        raise NothingToShowError(
            f"{folder} gives neither probabilities of classes nor images: there is nothing to show"
        )


def probabilities(model: Predictive, images: NDArray[Any]) -> Tensor:
    """Return the probabilities of classes, float64 (n, classes), of images (n, channels, height, width)."""
    with torch.inference_mode():
        return model.probabilities(to_pixels(torch.tensor(images))).double()


def reconstructions(model: Network, images: NDArray[Any]) -> tuple[Tensor, Tensor]:
    """Return what an autoencoder makes of images, clipped to [0, 1], and its square error per pixel, (n,).

    Args:
        model: An autoencoder.
        images: (n, channels, height, width).
    """
    with torch.inference_mode():
        pixels = to_pixels(torch.tensor(images))
        clipped = model(pixels).float().clamp(0, 1)
        return clipped, (clipped - pixels).square().mean((1, 2, 3))


def top_classes(model: Predictive, image: NDArray[Any], top: int) -> list[tuple[int, float]]:
    """Return the `top` most probable classes and their probabilities, the likeliest first.

    Args:
        model: A classifier.
        image: (channels, height, width).
        top: How many.
    """
    ordered = probabilities(model, image[None])[0].sort(descending=True, stable=True)
    return list(zip(ordered.indices.tolist(), ordered.values.tolist(), strict=True))[:top]


def draw_reconstruction(model: Network, image: NDArray[Any], file: Path) -> float:
    """Write an image beside its reconstruction, and return the square error per pixel of what is shown.

    Args:
        model: An autoencoder.
        image: (channels, height, width).
        file: The PNG to write.

    Raises:
        UsageError: it cannot be written.
    """
    clipped, errors = reconstructions(model, image[None])
    shown = torch.stack([as_bytes(torch.tensor(image)), to_bytes(clipped[0])]).numpy()
    picture = draw_rows([ImageRow(shown, captions=("original", "reconstruction"))], side=128)
    try:
        files.write(file, lambda part: picture.save(part, format="PNG"))
    except OSError as error:
        raise UsageError(f"'{file}' cannot be written: {error.strerror}; name another folder with --out") from error
    return errors.item()


def picture_files(images: Sequence[Path], folder: Path) -> list[Path]:
    """Return a file in `folder` for the picture of each image; images of one name are numbered."""
    found: list[Path] = []
    for path in images:
        names = (f"{path.stem}-reconstruction{number}.png" for number in ("", *range(2, len(images) + 1)))
        found.append(next(folder / name for name in names if folder / name not in found))
    return found
