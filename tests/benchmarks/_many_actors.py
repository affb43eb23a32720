"""Hundreds of Tune's actors in a few processes, for what hundreds of GPUs ask of a driver.

What Tune's controller, its searcher, scheduler and callbacks see is what they see of a cluster: it asks for an actor of
each trial, calls `train`, `reset` and `stop` of it, and each answer is one of Ray's, pickled in another process. An
actor here is a place in a `Host`, a process with many of them; its trainable is the project's own, whose worker waits
instead of training. So no process is created for an actor, no placement group, and nothing crosses a network.
"""

from __future__ import annotations

import asyncio
import pickle
import random
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import ray
from ray.air.execution.resources import AcquiredResources, ResourceManager, ResourceRequest

from study.record.events import Metrics
from study.record.metrics import sizes
from study.search.engine import ContextReference, StudyTrainable
from study.worker.job import Job, Report, StepResult

if TYPE_CHECKING:
    from search_spaces import Space
    from study.data.image_data import ImageData

_NOT_CURVES = ("lr", "seconds", "images_per_second")  # ends of names of metrics that are no errors


def first_epoch(space: Space, data: ImageData) -> Metrics:
    """Return the metrics of a real epoch of a space's default network."""
    import torch

    from study.training.trainer import Trainer

    splits = {
        name: (torch.from_numpy(split.images), torch.from_numpy(split.labels)) for name, split in data.splits.items()
    }
    return Trainer(space.default, splits, num_classes=data.num_classes, epochs=1, seed=0).epoch()


class Reporter:
    """In the place of a `Worker`: says of each epoch what a real one said, scaled by a made-up curve of its run.

    Args:
        epoch: The metrics of a real epoch.
        objectives: The study's.
    """

    def __init__(self, epoch: Metrics, objectives: tuple[str, ...]) -> None:
        self._of_epoch, self.objectives = epoch, objectives

    def begin(self, jobs: list[Job]) -> None:
        """Turn to another job."""
        (self._job,) = jobs
        self._epoch = 0
        generator = np.random.default_rng(self._job.seed)
        self._floor, self._slope = generator.lognormal(0.0, 0.3), generator.uniform(0.3, 1.0)

    def step(self) -> StepResult:
        """Return the next epoch's result."""
        self._epoch += 1
        factor = self._floor * (1 + self._epoch**-self._slope)
        metrics = {
            name: value if name.endswith(_NOT_CURVES) else value * factor for name, value in self._of_epoch.items()
        }
        done = self._epoch >= self._job.epochs
        report = Report(self._epoch, metrics, sizes(self._job.config, 100_000), done)
        return StepResult({self._job.id: report})


class ReportingTrainable(StudyTrainable):
    """The project's trainable with a `Reporter` from the first step on."""

    def report(self, reporter: Reporter) -> None:
        """Take the reporter."""
        self._worker = reporter  # type: ignore[assignment]
        reporter.begin(self._jobs)

    def setup(self, config: dict[str, Any], reference: ContextReference | None = None) -> None:
        """Keep the first jobs."""
        super().setup(config, ContextReference(None))  # type: ignore[arg-type]  # which is never asked


@dataclass(frozen=True)
class Wait:
    """How long a place waited, after it had given a result, for the driver to ask for the next one."""

    ended: float  # time.time()
    seconds: float


class Host:
    """A process that many of Tune's actors live in; an actor of Ray's itself.

    Args:
        epoch: The metrics of a real epoch.
        objectives: The study's.
        period: Seconds that an epoch takes, ±20 % each time.
    """

    def __init__(self, epoch: Metrics, objectives: tuple[str, ...], period: float) -> None:
        self._reporter = (epoch, objectives)
        self._period = period
        self._trainables: dict[int, ReportingTrainable] = {}
        self._answered: dict[int, float] = {}  # when a place has given its last result
        self._waits: list[Wait] = []
        self._bytes = 0

    async def open(self, place: int, config: dict[str, Any], storage: Any) -> None:
        """Make the trainable of a place, as Tune has its actors made."""
        trainable = ReportingTrainable(config, storage)
        trainable.report(Reporter(*self._reporter))
        self._trainables[place] = trainable

    async def call(self, place: int, method: str, *arguments: Any, **named: Any) -> Any:
        """Call a method of a place's trainable; `train` takes as long as an epoch."""
        if method == "__ray_ready__":
            return True
        if method == "stop":
            return self._trainables.pop(place).stop()
        if method != "train":
            return getattr(self._trainables[place], method)(*arguments, **named)
        if place in self._answered:
            now = time.time()
            self._waits.append(Wait(now, now - self._answered[place]))
        await asyncio.sleep(self._period * random.uniform(0.8, 1.2))
        result = self._trainables[place].train()
        self._bytes = self._bytes or len(pickle.dumps(result))
        self._answered[place] = time.time()
        return result

    async def told(self) -> tuple[list[Wait], int]:
        """Return all waits, and the bytes of a result."""
        return self._waits, self._bytes


@dataclass(frozen=True)
class _Call:
    host: Any
    place: int
    method: str

    def remote(self, *arguments: Any, **named: Any) -> ray.ObjectRef[Any]:
        """Call the method in the place's process."""
        return self.host.call.remote(self.place, self.method, *arguments, **named)


@dataclass(frozen=True)
class _Place:
    """What Tune takes for the handle of an actor: any attribute is a method that can be called remotely."""

    host: Any
    number: int

    def __getattr__(self, method: str) -> _Call:
        if method.startswith("_") and method != "__ray_ready__":
            raise AttributeError(method)
        return _Call(self.host, self.number, method)


@dataclass
class _Acquired(AcquiredResources):
    """A place that is free, as Tune acquires resources for an actor."""

    host: Any
    number: int

    def annotate_remote_entities(self, entities: list[Any]) -> list[Any]:
        """Return, in the place of an actor's class, what opens the place."""
        return [self]

    def _annotate_remote_entity(self, entity: Any, bundle: dict[str, float], bundle_index: int) -> Any:
        raise NotImplementedError

    def remote(self, *, config: dict[str, Any], storage: Any) -> _Place:
        """Open the place and return it."""
        self.host.open.remote(self.number, config, storage)
        return _Place(self.host, self.number)


class Places(ResourceManager):
    """Lends the places of some hosts in turn, in the place of placement groups.

    Args:
        hosts: Handles of `Host` actors.
        count: How many places there are.
    """

    def __init__(self, hosts: Sequence[Any], count: int) -> None:
        self._hosts, self._free, self._requested = hosts, list(range(count)), 0

    def request_resources(self, resource_request: ResourceRequest) -> None:
        """Take notice that an actor is wanted."""
        self._requested += 1

    def cancel_resource_request(self, resource_request: ResourceRequest) -> None:
        """Take notice that it is no longer."""
        self._requested -= 1

    def has_resources_ready(self, resource_request: ResourceRequest) -> bool:
        """Say whether an actor that is wanted has a place."""
        return bool(self._requested and self._free)

    def acquire_resources(self, resource_request: ResourceRequest) -> _Acquired | None:
        """Lend a place."""
        if not self.has_resources_ready(resource_request):
            return None
        self._requested -= 1
        number = self._free.pop(0)
        return _Acquired(resource_request, self._hosts[number % len(self._hosts)], number)

    def free_resources(self, acquired_resource: AcquiredResources) -> None:
        """Take a place back."""
        assert isinstance(acquired_resource, _Acquired)
        self._free.append(acquired_resource.number)

    def clear(self) -> None:
        """Forget what is wanted."""
        self._requested = 0
