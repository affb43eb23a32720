"""A network on disk: `config.json` says what to build, `model.pt` holds its state dict, `space.py` one's own code."""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from models import own
from models._config import ConfigError
from models.network import ImageShape, Network
from models.registry import build, is_built_in

CONFIG_FILE = "config.json"
STATE_FILE = "model.pt"


@dataclass(frozen=True)
class Description:
    """A saved network's config, its images' shape (channels, height, width) and their number of classes.

    `code` is the SHA-256 of the file that its layers are in, None for a network of this package; `images` says what
    else was known of the images that it was trained on, None where nothing was.
    """

    config: dict[str, Any]
    image_shape: ImageShape
    num_classes: int
    code: str | None = None
    images: dict[str, Any] | None = None


def save(
    model: nn.Module,
    config: Mapping[str, Any],
    image_shape: ImageShape,
    num_classes: int,
    directory: str | os.PathLike[str],
    *,
    images: Mapping[str, Any] | None = None,
) -> None:
    """Write what `load` needs into `directory`, which is created; each file is on the disk, whole, or is not there.

    `images`, which JSON can express, is what else is known of the images that it was trained on.

    Tensors are written from the CPU, so that a network trained on a GPU loads on any machine. Of a network whose layers
    are in a person's own file, that file is copied.
    """
    folder = Path(directory)
    folder.mkdir(parents=True, exist_ok=True)
    code = None if is_built_in(config) else own.in_use()
    state = {name: tensor.detach().cpu() for name, tensor in model.state_dict().items()}
    described: dict[str, Any] = {
        "config": dict(config),
        "image_shape": list(image_shape),
        "num_classes": num_classes,
    }
    if images is not None:
        described["images"] = dict(images)
    if code is None:
        (folder / own.CODE_FILE).unlink(missing_ok=True)
    else:
        described["code"] = code.digest
        source = code.content
        _replace(folder / own.CODE_FILE, lambda path: path.write_bytes(source))
    text = json.dumps(described, indent=2, allow_nan=False) + "\n"
    _replace(folder / STATE_FILE, lambda path: _save_state(state, path))
    _replace(folder / CONFIG_FILE, lambda path: path.write_text(text, encoding="utf-8"))


def load(directory: str | os.PathLike[str], *, trust: bool = False) -> Network:
    """Give back the network that `save` wrote, on the CPU and in evaluation mode.

    Args:
        directory: where it lies.
        trust: whether code that lies there may be run, where the network's layers are in a person's own file.

    Raises:
        FileNotFoundError: one of its files is missing.
        UntrustedCodeError: it has code of its own, and nobody said that it may run.
        ConfigError: one of them is damaged, or they do not belong together; the message names the file.
    """
    config_path, state_path = Path(directory) / CONFIG_FILE, Path(directory) / STATE_FILE
    described = describe(directory)
    if described.code is not None:
        own.use_trusted(Path(directory), described.code, trust=trust)
    try:
        model = build(described.config, described.image_shape, described.num_classes)
    except (ValueError, TypeError, AttributeError) as error:
        raise ConfigError(f"{config_path} describes no network: {error}") from error
    with state_path.open("rb") as file:
        try:
            state = torch.load(file, map_location="cpu", weights_only=True)
        except Exception as error:  # a damaged file sends PyTorch's readers anywhere; one that is cut off, to EINVAL
            cut_off = isinstance(error, OSError) and error.errno == errno.EINVAL
            why = "it is cut off" if cut_off else _first_line(error)
            raise ConfigError(f"{state_path} is damaged or no state dict: {why}") from error
    try:
        model.load_state_dict(state)
    except (RuntimeError, TypeError, AttributeError) as error:
        raise ConfigError(f"{state_path} does not fit {config_path}: {_first_line(error)}") from error
    return model.eval()


def describe(directory: str | os.PathLike[str]) -> Description:
    """Return what `save` wrote about the network in `directory`, without building it.

    Raises:
        FileNotFoundError: there is no such file.
        ConfigError: it is damaged; the message names it.
    """
    path = Path(directory) / CONFIG_FILE
    try:
        described = json.loads(path.read_text(encoding="utf-8"))
        channels, height, width = described["image_shape"]
        shape = (channels, height, width)
        return Description(
            described["config"], shape, described["num_classes"], described.get("code"), described.get("images")
        )
    except KeyError as error:
        raise ConfigError(f"{path} lacks the entry {error}") from error
    except (ValueError, TypeError, AttributeError) as error:
        raise ConfigError(f"{path} describes no network: {error}") from error


def _save_state(state: dict[str, torch.Tensor], path: Path) -> None:
    # To an open file: to a path PyTorch's own writer hides that the disk is full.
    with path.open("wb") as file:
        torch.save(state, file)


def _replace(path: Path, write: Callable[[Path], object]) -> None:
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        write(temporary)
        _sync(temporary)
        temporary.replace(path)
        _sync(path.parent)
    finally:
        temporary.unlink(missing_ok=True)


def _sync(path: Path) -> None:
    """Wait until the disk has a file's content, or the names of the files in a folder."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
