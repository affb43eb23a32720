"""What a study's runs take of a GPU, measured before it begins, in a worker process that ends with the measurement.

A few batches of made-up images with the study's shapes are trained and one is evaluated, with the space's default and
the largest of a few configs that the space draws. Of the caching allocator the peak counts, of everything else in the
process (CUDA context, kernels that cuDNN and cuBLAS load, their workspaces) what the device says is used at the end.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import ray
import torch

import models
import search_spaces
from models.own import OwnCode, in_use
from search_spaces import Context, Space
from study.cluster import gpu_share, joining, nvml
from study.cluster.gpu_share import MeasuredGpu
from study.cluster.resources import Limits, training_bytes
from study.data.image_data import ImageData
from study.data.tensors import EVALUATION_BATCH
from study.record.errors import StudyError
from study.record.events import Config
from study.record.settings import Settings
from study.search.sampling import sampler_for_trial
from study.settings.resolve import selected, space_context
from study.training.checkpoint import EncoderSource
from study.training.execution import PLAIN, Execution
from study.training.stages import Budget, StagedTraining
from study.training.trainer import Initial, NonFiniteLossError

Kind = tuple[str, int]
"""Of GPU: its name, and its memory in bytes."""

SAMPLED = 20
_ANSWER_SECONDS = 120.0  # that a node may take to start a worker process and import PyTorch
_PROBE_SECONDS = 300.0  # that a probe may take, and wait until another study leaves it a whole GPU
_BATCHES = 3  # the allocator's pools have their size after the second one, when the optimizer has its moments


def survey(settings: Settings, data: ImageData, encoder: EncoderSource | None) -> list[MeasuredGpu]:
    """Measure what the study's runs take of each kind of GPU that is up, on one node of each; none without a GPU.

    GPUs of one model and memory are of one kind; a node counts as its smallest one. Nodes that an autoscaler brings
    later are not waited for. A share that is given is taken as it is: only the memory of the smallest GPU is asked for.

    Raises:
        Interrupted: a signal has come.
        StudyError: no whole GPU has become free in time.
    """
    nodes = {node["NodeID"]: node["Resources"] for node in joining.nodes()}
    if settings.gpus_per_trial == 0 or not any(has.get("GPU") for has in nodes.values()):
        return []
    # Ray hides the GPUs from a task that asks for none, unless it is told not to.
    env = {"RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0"}
    answers = joining.ask_every_node(gpu_kinds, seconds=_ANSWER_SECONDS, env=env)
    kinds: dict[Kind, list[str]] = {}  # the nodes of each; those that Ray lends and PyTorch does not see have none
    for answer in answers:
        if answer.value and nodes[answer.node_id].get("GPU"):
            kinds.setdefault(min(answer.value, key=lambda kind: kind[1]), []).append(answer.node_id)
    if not kinds:
        return []
    smallest = min(memory for _, memory in kinds)
    if settings.gpus_per_trial is not None:
        return [MeasuredGpu("the smallest GPU", smallest, 0, ())]
    problem, state = _problem(settings, data, encoder, smallest)
    found = []
    for (_, memory), ids in sorted(kinds.items(), key=lambda kind: kind[0][1]):
        cpus = min(nodes[node_id].get("CPU", 0.0) / nodes[node_id]["GPU"] for node_id in ids)
        found.append(replace(_probe(problem, state, ids[0]), total=memory, cpus=cpus))
    return found


def _problem(
    settings: Settings, data: ImageData, encoder: EncoderSource | None, gpu_bytes: int
) -> tuple[Problem, ray.ObjectRef[Mapping[str, torch.Tensor]] | None]:
    """Return what the probes train, the same on every kind of GPU, and the encoder's state in Ray's object store."""
    context = space_context(settings, data.image_shape, data.num_classes, encoder.keys if encoder else None)
    configs = _configs(settings, context, gpu_bytes)
    splits = (data.train, data.val, data.test)
    data_bytes = sum(array.nbytes for split in splits for array in (split.images, split.labels))
    problem = Problem(
        configs,
        data.image_shape,
        data.num_classes,
        data_bytes,
        Execution(settings.precision, settings.compile),
        in_use() if settings.space_file else None,
    )
    return problem, None if encoder is None else ray.put(encoder.state)


def _probe(problem: Problem, state: ray.ObjectRef[Mapping[str, torch.Tensor]] | None, node_id: str) -> MeasuredGpu:
    try:
        return joining.run_on_node(measure, problem, state, cpus=0, gpus=1, node_id=node_id, seconds=_PROBE_SECONDS)
    except TimeoutError:
        asked = "--gpus-per-trial 0.25, or another share, begins without measuring"
        raise StudyError(f"no whole GPU was free for a probe within {_PROBE_SECONDS:g} s; {asked}") from None


def _configs(settings: Settings, context: Context, gpu_bytes: int) -> tuple[Config, ...]:
    space = search_spaces.get(settings.space)
    memory = int(gpu_share.GIVEN_OUT * gpu_bytes)
    limits = Limits(settings.max_params or memory // 2 // 16, memory, gpu=True)
    if settings.reported:
        entries = selected(settings.reported, space.name).values()
        return largest([entry.config for entry in entries], context, limits)
    return configs_to_measure(space, context, limits, settings.seed)


@dataclass(frozen=True)
class Problem:
    """What a probe trains.

    Attributes:
        configs: The networks, one after the other.
        image_shape: (channels, height, width).
        num_classes: Of the labels.
        data_bytes: Of all splits together, which each process has on its device.
        execution: How the arithmetic is carried out.
        own: The user's own file that the networks are of.
    """

    configs: tuple[Config, ...]
    image_shape: tuple[int, int, int]
    num_classes: int
    data_bytes: int
    execution: Execution = PLAIN
    own: OwnCode | None = None


class Meter(Protocol):
    """Tells how much of a device's memory is used, in bytes."""

    device: torch.device
    name: str

    def total(self) -> int:
        """Return what the device has."""

    def others(self) -> int:
        """Return what other processes used of it before this one used any; 0 where that is not told."""

    def used(self) -> int:
        """Return what is used of it, by whomever."""

    def reserved(self) -> int:
        """Return what PyTorch's allocator holds."""

    def peak_reserved(self) -> int:
        """Return the most that it held since `reset`."""

    def reset(self) -> None:
        """Let the allocator give back what nothing uses, and forget its peak."""


class CudaMeter:
    """The memory of this process's first GPU, of which it uses none yet."""

    def __init__(self) -> None:
        self.device = torch.device("cuda", 0)
        self.name = torch.cuda.get_device_name(self.device)
        self._others = 0
        # Its properties need no CUDA context; the first question for its memory makes one, of some hundred MiB.
        with contextlib.suppress(OSError):
            self._others = nvml.Gpu(str(torch.cuda.get_device_properties(self.device).uuid)).used()

    def total(self) -> int:
        """Return what the device has."""
        return torch.cuda.mem_get_info(self.device)[1]

    def others(self) -> int:
        """Return what other processes used of it before this one used any; 0 where that is not told."""
        return self._others

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


def configs_to_measure(space: Space, context: Context, limits: Limits, seed: int) -> tuple[Config, ...]:
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


def largest(configs: Sequence[Config], context: Context, limits: Limits) -> tuple[Config, ...]:
    """Return, of those that `limits` lets through, the config that takes most memory; none if it lets none through."""
    sizes = []
    for config in configs:
        params = models.count_parameters(config, context.image_shape, context.num_classes)
        if limits.refusal(config, context, params) is None:
            sizes.append((training_bytes(config, context, params), config))
    return (dict(max(sizes, key=lambda size: size[0])[1]),) if sizes else ()


def measure(
    problem: Problem, encoder: Mapping[str, torch.Tensor] | None = None, meter: Meter | None = None
) -> MeasuredGpu:
    """Train a few batches of each config, and return what they take of the device.

    A config counts at least as what networks are refused by, the estimate of its training: what was let through here
    is then not refused for its part of the GPU.

    Args:
        problem: What to train.
        encoder: The state of an earlier study's encoder, for classifiers on it.
        meter: The device's; by default this process's GPU.
    """
    if problem.own is not None:
        problem.own.use()
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
    outside = max(0, meter.used() - meter.reserved() - meter.others())
    overhead = outside + data.numel()
    needs = tuple(
        None if peak is None else max(outside + peak, overhead + _estimate(config, problem))
        for config, peak in zip(problem.configs, peaks, strict=True)
    )
    return MeasuredGpu(meter.name, meter.total(), overhead, needs, others=meter.others())


def gpu_kinds() -> list[Kind]:
    """Return the name and the memory, in bytes, of each GPU of the node that runs this."""
    all_of_it = map(torch.cuda.get_device_properties, range(torch.cuda.device_count()))
    return [(gpu.name, gpu.total_memory) for gpu in all_of_it]


def _estimate(config: Config, problem: Problem) -> int:
    context = Context(problem.image_shape, problem.num_classes)
    return training_bytes(config, context, models.count_parameters(config, context.image_shape, context.num_classes))


def _train(config: Config, problem: Problem, encoder: Mapping[str, torch.Tensor] | None, device: torch.device) -> None:
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
        budget=Budget(1, int(first)),
        seed=0,
        initial=Initial(encoder=encoder),
        execution=problem.execution,
    )
    with contextlib.suppress(NonFiniteLossError):  # of a rate that is too high; the memory is the same
        training.pretrain(after_epoch=lambda: None)
        training.epoch()
