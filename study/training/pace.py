"""How long an epoch of a network takes on this machine, from a few batches of made-up images."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from typing import Any

import torch

import models
from study.baselines.baseline import PcaAxes
from study.data.tensors import TensorSplit
from study.training.execution import PLAIN, Execution
from study.training.trainer import Initial, Trainer

_BATCHES = 64  # at most, after a first one that also pays for what a process does once
_EVALUATED = 100  # images: several of the smallest batches that an evaluation has
_LEAST_SECONDS = 1.0  # of measuring, where a batch does not take longer


def epoch_seconds(
    config: Mapping[str, Any],
    image_shape: tuple[int, int, int],
    num_classes: int,
    sizes: Mapping[str, int],
    device: torch.device,
    *,
    execution: Execution = PLAIN,
) -> tuple[float, ...]:
    """Return the seconds of an epoch of each stage: its training, and the evaluation on the validation split.

    Args:
        config: The flat config of the last stage.
        image_shape: (channels, height, width), in pixels.
        num_classes: Of the labels.
        sizes: Images of the splits "train" and "val".
        device: Where training runs.
        execution: How the arithmetic is carried out.
    """
    first = models.pretraining_config(config)
    stages = [config] if first is None else [first, config]
    return tuple(_stage(stage, image_shape, num_classes, sizes, device, execution=execution) for stage in stages)


def _stage(
    config: Mapping[str, Any],
    image_shape: tuple[int, int, int],
    num_classes: int,
    sizes: Mapping[str, int],
    device: torch.device,
    *,
    execution: Execution,
) -> float:
    generator = torch.Generator().manual_seed(0)

    def split(count: int) -> TensorSplit:
        images = torch.randint(0, 256, (count, *image_shape), dtype=torch.uint8, generator=generator)
        return images.to(device), (torch.arange(count) % num_classes).to(device)

    whole = math.ceil(sizes["train"] / config["batch_size"])
    data = {
        "train": split(min(_BATCHES * config["batch_size"], sizes["train"])),
        "val": split(min(_EVALUATED, sizes["val"])),
    }
    made_up = Initial(_any_axes(config, image_shape) if models.starts_from_pca(config) else None)
    trainer = Trainer(config, data, num_classes=num_classes, epochs=1, seed=0, initial=made_up, execution=execution)
    first = _seconds(lambda: trainer.train(1))
    batches = max(1, min(_BATCHES, whole, int(_LEAST_SECONDS / first)))
    training = float(_seconds(lambda: trainer.train(batches)) / batches * whole)
    if not sizes["val"]:  # a report that had no validation images
        return training
    first = _seconds(lambda: trainer.evaluate("val"))
    evaluating = first if first > _LEAST_SECONDS else _seconds(lambda: trainer.evaluate("val"))
    return training + evaluating * sizes["val"] / len(data["val"][0])


def _any_axes(config: Mapping[str, Any], image_shape: tuple[int, int, int]) -> PcaAxes:
    """Return axes to start from: a study fits PCA once, and not for each network."""
    pixels = math.prod(image_shape)
    return torch.zeros(pixels), torch.eye(config["latent_size"], pixels)


def _seconds(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start
