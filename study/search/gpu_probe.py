"""What runs take of a GPU: a short probe on a whole one, in a worker process that ends with it.

It trains a few batches of made-up images with the study's shapes and evaluates one, with the space's default and the
largest of a few configs that the space draws. Of the caching allocator the peak counts, of everything else in the
process (CUDA context, kernels that cuDNN and cuBLAS load, their workspaces) what the device says is used at the end.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import torch

import models
from search_spaces import Context, Space
from study.cluster.gpu_share import Measured
from study.cluster.memory import Limits, training_bytes
from study.search.samplers import sampler_for_trial
from study.training.execution import PLAIN, Execution
from study.training.stages import StagedTraining
from study.training.trainer import EVALUATION_BATCH, NonFiniteLossError

SAMPLED = 20
_BATCHES = 3  # the allocator's pools have their size after the second one, when the optimizer has its moments


@dataclass(frozen=True)
class Problem:
    """What a probe trains.

    Attributes:
        configs: The networks, one after the other.
        image_shape: (channels, height, width).
        num_classes: Of the labels.
        data_bytes: Of all splits together, which each process has on its device.
        execution: How the arithmetic is carried out.
    """

    configs: tuple[dict[str, Any], ...]
    image_shape: tuple[int, int, int]
    num_classes: int
    data_bytes: int
    execution: Execution = PLAIN


class Meter(Protocol):
    """Tells how much of a device's memory is used, in bytes."""

    device: torch.device
    name: str

    def total(self) -> int:
        """Return what the device has."""

    def used(self) -> int:
        """Return what is used of it, by whomever."""

    def reserved(self) -> int:
        """Return what PyTorch's allocator holds."""

    def peak_reserved(self) -> int:
        """Return the most that it held since `reset`."""

    def reset(self) -> None:
        """Let the allocator give back what nothing uses, and forget its peak."""


class CudaMeter:
    """The memory of this process's first GPU."""

    def __init__(self) -> None:
        self.device = torch.device("cuda", 0)
        self.name = torch.cuda.get_device_name(self.device)

    def total(self) -> int:
        """Return what the device has."""
        return torch.cuda.mem_get_info(self.device)[1]

    def used(self) -> int:
        """Return what is used of it, by whomever."""
        free, total = torch.cuda.mem_get_info(self.device)
        return total - free

    def reserved(self) -> int:
        """Return what PyTorch's allocator holds."""
        return torch.cuda.memory_reserved(self.device)

    def peak_reserved(self) -> int:
        """Return the most that it held since `reset`."""
        return torch.cuda.max_memory_reserved(self.device)

    def reset(self) -> None:
        """Let the allocator give back what nothing uses, and forget its peak."""
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats(self.device)


def configs_to_measure(space: Space, context: Context, limits: Limits, seed: int) -> tuple[dict[str, Any], ...]:
    """Return the space's default and the largest of `SAMPLED` configs that `limits` lets through.

    The largest is the one that is estimated to take most memory in training. What a space refuses is no measure.
    """
    import optuna

    study = optuna.create_study()
    drawn = []
    for number in range(SAMPLED):
        study.sampler = sampler_for_trial("random", seed, number)
        drawn.append(space.suggest(study.ask(), context))
    default, *_ = space.points(context)
    return (dict(default.config), *largest(drawn, context, limits))


def largest(configs: Sequence[Mapping[str, Any]], context: Context, limits: Limits) -> tuple[dict[str, Any], ...]:
    """Return, of those that `limits` lets through, the config that takes most memory; none if it lets none through."""
    sizes = []
    for config in configs:
        params = models.count_parameters(config, context.image_shape, context.num_classes)
        if limits.refusal(config, context, params) is None:
            sizes.append((training_bytes(config, context, params), config))
    return (dict(max(sizes, key=lambda size: size[0])[1]),) if sizes else ()


def measure(problem: Problem, encoder: Mapping[str, Any] | None = None, meter: Meter | None = None) -> Measured:
    """Train a few batches of each config, and return what they took.

    A config counts at least as what networks are refused by, the estimate of its training: what was let through here
    is then not refused for its part of the GPU.

    Args:
        problem: What to train.
        encoder: The state of an earlier study's encoder, for classifiers on it.
        meter: The device's; by default this process's GPU.
    """
    meter = meter or CudaMeter()
    data = torch.empty(problem.data_bytes, dtype=torch.uint8, device=meter.device)
    peaks: list[int | None] = []
    for config in problem.configs:
        meter.reset()
        try:
            _train(config, problem, encoder, meter.device)
        except torch.OutOfMemoryError:
            peaks.append(None)
        else:
            peaks.append(meter.peak_reserved())
    meter.reset()
    outside = max(0, meter.used() - meter.reserved())
    overhead = outside + data.numel()
    took = tuple(
        None if peak is None else max(outside + peak, overhead + _estimate(config, problem))
        for config, peak in zip(problem.configs, peaks, strict=True)
    )
    return Measured(meter.name, meter.total(), overhead, took)


def gpu_memories() -> list[int]:
    """Return the memory of each GPU of the node that runs this, in bytes."""
    return [torch.cuda.get_device_properties(index).total_memory for index in range(torch.cuda.device_count())]


def _estimate(config: Mapping[str, Any], problem: Problem) -> int:
    context = Context(problem.image_shape, problem.num_classes)
    return training_bytes(config, context, models.count_parameters(config, context.image_shape, context.num_classes))


def _train(
    config: Mapping[str, Any], problem: Problem, encoder: Mapping[str, Any] | None, device: torch.device
) -> None:
    shape, classes = problem.image_shape, problem.num_classes
    generator = torch.Generator().manual_seed(0)

    def split(count: int) -> tuple[torch.Tensor, torch.Tensor]:
        images = torch.randint(0, 256, (count, *shape), dtype=torch.uint8, generator=generator)
        return images.to(device), (torch.arange(count) % classes).to(device)

    data = {"train": split(_BATCHES * config["batch_size"]), "val": split(EVALUATION_BATCH)}
    first = models.pretraining_config(config) is not None
    training = StagedTraining(
        config,
        data,
        num_classes=classes,
        epochs=1,
        pretrain_epochs=int(first),
        seed=0,
        encoder=encoder,
        execution=problem.execution,
    )
    with contextlib.suppress(NonFiniteLossError):  # of a rate that is too high; the memory is the same
        training.pretrain(after_epoch=lambda: None)
        training.epoch()
