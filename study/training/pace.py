"""How long an epoch of a network takes on this machine, from a few batches of made-up images."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

import models
from study.data.tensors import TensorSplit
from study.training.trainer import Trainer

_BATCHES = 4
_EVALUATED = 200  # images: several of the smallest batches that an evaluation has
_LEAST_SECONDS = 1.0  # of measuring, so that the clock and the first steps count for little
_LONG_SECONDS = 4.0  # of a first pass, beside which what a process does only once is small


def epoch_seconds(
    config: Mapping[str, Any],
    image_shape: tuple[int, int, int],
    num_classes: int,
    sizes: Mapping[str, int],
    device: torch.device,
) -> tuple[float, ...]:
    """Return the seconds of an epoch of each stage: its training, and the evaluation on the validation split.

    Args:
        config: The flat config of the last stage.
        image_shape: (channels, height, width), in pixels.
        num_classes: Of the labels.
        sizes: Images of the splits "train" and "val".
        device: Where training runs.
    """
    first = models.pretraining_config(config)
    stages = [config] if first is None else [first, config]
    return tuple(_stage(stage, image_shape, num_classes, sizes, device) for stage in stages)


def _stage(
    config: Mapping[str, Any],
    image_shape: tuple[int, int, int],
    num_classes: int,
    sizes: Mapping[str, int],
    device: torch.device,
) -> float:
    generator = torch.Generator().manual_seed(0)

    def split(count: int) -> TensorSplit:
        images = torch.randint(0, 256, (count, *image_shape), dtype=torch.uint8, generator=generator)
        return images.to(device), (torch.arange(count) % num_classes).to(device)

    data = {
        "train": split(min(_BATCHES * config["batch_size"], sizes["train"])),
        "val": split(min(_EVALUATED, sizes["val"])),
    }
    trainer = Trainer(config, data, num_classes=num_classes, epochs=1, seed=0)
    passes = [trainer.epoch()]
    if passes[0]["seconds"] < _LONG_SECONDS:
        passes = [trainer.epoch()]
    while sum(one["seconds"] for one in passes) < _LEAST_SECONDS:
        passes.append(trainer.epoch())
    return sum(
        sum(one[f"{name}_seconds"] for one in passes) / len(passes) * sizes[name] / len(images)
        for name, (images, _) in data.items()
    )
