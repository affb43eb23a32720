"""Calls of functions on the study's images in a process of their own."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TypeVar

import numpy as np

from study.cluster import joining
from study.data.image_data import ImageData
from study.data.mapped import MappedFile
from study.worker.shared_data import SharedData

T = TypeVar("T")

_QUICK = 2e10  # multiplications: a second, which a process takes to start


class NodeCall:
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
        """Return `function(*arguments)`; raises what it raises."""
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
