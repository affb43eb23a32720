"""What a saved network says about images from anywhere: a classifier their classes, an autoencoder reconstructions."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

import models
from models import Network, Predictive
from study.data.input_image import Trained
from study.data.tensors import as_bytes, to_bytes, to_pixels
from study.evaluation.pictures import ImageRow, draw_rows
from study.record import files
from study.record.errors import UsageError


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
        raise UsageError(f"--model {folder} holds no network: there is no {error.filename}{near}") from error
    except OSError as error:
        raise UsageError(f"--model {folder} cannot be read: {error.strerror}") from error
    except models.ConfigError as error:
        raise UsageError(f"--model {folder} cannot be loaded: {error}") from error
    except Exception as error:  # a damaged model.pt can send PyTorch's unpickler anywhere
        raise UsageError(f"--model {folder} cannot be loaded: model.pt is damaged ({error})") from error


def class_names(folder: Path, num_classes: int) -> list[str]:
    """Return the names of the classes from the study that the network is of, else their numbers from 0.

    Raises:
        UsageError: the study's file is damaged, or names another number of classes.
    """
    file = folder.resolve().parent / "study.json"
    if not file.is_file():
        return [f"class {number}" for number in range(num_classes)]
    try:
        names = [str(name) for name in json.loads(file.read_text(encoding="utf-8"))["data"]["class_names"]]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UsageError(f"{file} does not name the classes: it is damaged or no study's") from error
    if len(names) != num_classes:
        raise UsageError(f"{file} names {len(names)} classes, and the network knows {num_classes}")
    return names


def trained_on(folder: Path) -> Trained:
    """Return what the study that the network is of says of its images; without a study, they were of 8 bits.

    Raises:
        UsageError: the study's file is damaged.
    """
    file = folder.resolve().parent / "study.json"
    if not file.is_file():
        return Trained()
    try:
        data = json.loads(file.read_text(encoding="utf-8"))["data"]
        ends = data.get("value_range")
        return Trained(np.dtype(data.get("pixels", "uint8")), ends and (float(ends[0]), float(ends[1])))
    except (OSError, ValueError, KeyError, TypeError, AttributeError, IndexError) as error:
        raise UsageError(f"{file} does not describe the images: it is damaged or no study's") from error


def top_classes(model: Predictive, image: NDArray[Any], top: int) -> list[tuple[int, float]]:
    """Return the `top` most probable classes and their probabilities, the likeliest first.

    Args:
        model: A classifier.
        image: (channels, height, width).
        top: How many.
    """
    with torch.inference_mode():
        probabilities = model.probabilities(to_pixels(torch.tensor(image)[None]))[0]
    ordered = probabilities.double().sort(descending=True, stable=True)
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
    with torch.inference_mode():
        given = torch.tensor(image)[None]
        pixels = to_pixels(given)
        reconstruction = model(pixels).float()
        mse = (reconstruction.clamp(0, 1) - pixels).square().mean().item()
        shown = torch.stack([as_bytes(given[0]), to_bytes(reconstruction[0])]).numpy()
    picture = draw_rows([ImageRow(shown, captions=("original", "reconstruction"))], side=128)
    try:
        files.write(file, lambda part: picture.save(part, format="PNG"))
    except OSError as error:
        raise UsageError(f"'{file}' cannot be written: {error.strerror}; name another folder with --out") from error
    return float(mse)


def picture_files(images: Sequence[Path], folder: Path) -> list[Path]:
    """Return a file in `folder` for the picture of each image; images of one name are numbered."""
    found: list[Path] = []
    for path in images:
        names = (f"{path.stem}-reconstruction{number}.png" for number in ("", *range(2, len(images) + 1)))
        found.append(next(folder / name for name in names if folder / name not in found))
    return found
