"""What all runs of a study share in its workers: images and PCA's axes in Ray's store, and how they are trained."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

import numpy as np
import ray

import search_spaces
from study.baselines.baseline import PcaBaseline, baseline_of
from study.cluster import joining
from study.cluster.resources import Resources
from study.data.image_data import ImageData
from study.data.mapped import MappedFile
from study.driver import own_space
from study.record.folder import StudyFolder
from study.record.settings import Settings
from study.training.checkpoint import EncoderSource
from study.training.execution import Execution
from study.worker.run import WorkerContext
from study.worker.shared_data import SharedData

T = TypeVar("T")

_QUICK = 1e9  # multiplications, a tenth of a second


@dataclass(frozen=True)
class Setup:
    """What a driver has at hand when it begins to run a study.

    Attributes:
        settings: the study's.
        folder: its folder, locked.
        data: its data set.
        resources: what each run gets of the joined Ray.
        encoder: the earlier study's encoder that classifiers are built on, None without one.
        probe_file: by which nodes that join later tell whether they share the folder, None on one machine.
    """

    settings: Settings
    folder: StudyFolder
    data: ImageData
    resources: Resources
    encoder: EncoderSource | None
    probe_file: Path | None


def shared(setup: Setup, say: Callable[[str], None], *, axes: bool) -> tuple[WorkerContext, PcaBaseline]:
    """Put what a study's runs share into the joined Ray; return it with the baseline, which is fitted when asked.

    Args:
        setup: What the driver has at hand.
        say: Called before something takes long.
        axes: Whether there are networks that start from PCA.
    """
    settings, data, encoder, resources = setup.settings, setup.data, setup.encoder, setup.resources
    put = SharedData.put(data, encoder.state if encoder else None)
    elsewhere = _NodeCall(data, put, resources.node_cpus)
    baselines = baseline_of(search_spaces.get(settings.space).family)(data.splits, elsewhere, say)
    context = WorkerContext(
        data=replace(put, axes=ray.put(baselines.axes())) if axes else put,
        checkpoints=setup.folder.checkpoints.absolute(),
        errors=setup.folder.errors.absolute(),
        objectives=settings.objectives,
        threads=resources.threads,
        retries=settings.retries,
        execution=Execution(settings.precision, settings.compile),
        gpu=resources.gpus > 0,
        probe_file=setup.probe_file,
        own=own_space.kept(setup.folder) if settings.space_file else None,
        measures_fusing=settings.fuse == "auto",
    )
    return context, baselines


class _NodeCall:
    """Calls functions in a worker process; arrays of the study's data are passed as their references.

    What takes less time than a process takes to start is called in this one: the baseline of few small images.
    """

    def __init__(self, data: ImageData, shared: SharedData, cpus: float) -> None:
        self._cpus = cpus
        self._references = {
            id(array): reference
            for name, split in data.splits.items()
            for array, reference in zip((split.images, split.labels), shared.splits[name], strict=True)
        }

    def __call__(self, function: Callable[..., T], /, *arguments: object) -> T:
        if _is_quick(arguments):
            return function(*arguments)
        passed = (self._references.get(id(argument), argument) for argument in arguments)
        result: T = joining.run_on_node(_with_files, function, *passed, cpus=self._cpus)
        return result


def _is_quick(arguments: Sequence[object]) -> bool:
    """Say whether a covariance of the images among the arguments, and its eigenvectors, take a fraction of a second."""
    if any(isinstance(argument, MappedFile) for argument in arguments):
        return False
    images = [argument.shape for argument in arguments if isinstance(argument, np.ndarray) and argument.ndim > 1]
    return all(shape[0] * math.prod(shape[1:]) ** 2 + math.prod(shape[1:]) ** 3 < _QUICK for shape in images)


def _with_files(function: Callable[..., T], *arguments: object) -> T:
    """Call a function with the arrays that files among the arguments hold."""
    return function(*(argument.open() if isinstance(argument, MappedFile) else argument for argument in arguments))
