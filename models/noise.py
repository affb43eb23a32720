"""Random numbers for networks: layers and losses ask here, and whoever trains says where they come from.

    with drawn_from(generator):        # a run's own: its noise depends on nothing else in the process
        network.training_loss(images, labels)

Outside of such a block the numbers come from PyTorch's global random state, as those of its own layers do.
Evaluations have noise of their own, with a fixed seed.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

_SEED = 20_240
_BLOCK = 16  # PyTorch's CPU generator makes normal numbers in blocks of 16; a last, partial one changes the one before
_BITS = 2**16  # what the probability of a dropout is counted in


@dataclass(frozen=True)
class Draw:
    """What a layer or a loss asked for; every generator can make it, and one in the same state makes the same."""

    function: Callable[..., Tensor]
    arguments: tuple[Any, ...]

    def __call__(self, generator: torch.Generator | None) -> Tensor:
        """Return the numbers from `generator`, on whose device they are to be; None is the global random state."""
        return self.function(*self.arguments, generator)


Source = Callable[[Draw], Tensor]
_source: ContextVar[Source] = ContextVar("source", default=lambda draw: draw(None))


@contextmanager
def drawn_from(generator: torch.Generator) -> Iterator[None]:
    """Take the numbers that are asked for in this block from `generator`."""
    with _drawn_by(lambda draw: draw(generator)):
        yield


@contextmanager
def recorded(generator: torch.Generator) -> Iterator[list[Draw]]:
    """Give the list that each `Draw` of this block, whose numbers come from `generator`, is added to."""
    draws: list[Draw] = []

    def source(draw: Draw) -> Tensor:
        draws.append(draw)
        return draw(generator)

    with _drawn_by(source):
        yield draws


@contextmanager
def played_back(draws: Iterable[tuple[Draw, Tensor]]) -> Iterator[None]:
    """Give numbers that were drawn before, in the order in which they are asked for in this block.

    Raises:
        RuntimeError: something else, more or less is asked for.
    """
    left = iter(draws)

    def source(draw: Draw) -> Tensor:
        expected, numbers = next(left, (None, None))
        if numbers is None or draw != expected:
            raise RuntimeError(f"{draw} was asked for where {expected} was drawn before")
        return numbers

    with _drawn_by(source):
        yield
    if (unused := next(left, None)) is not None:
        raise RuntimeError(f"{unused[0]} was drawn before and not asked for")


def uniform(shape: tuple[int, ...], device: torch.device) -> Tensor:
    """Draw a tensor of `shape` from the uniform distribution on [0, 1)."""
    return _source.get()(Draw(_uniform, (shape, device)))


def integers(low: int, high: int, shape: tuple[int, ...], device: torch.device) -> Tensor:
    """Draw int64 numbers of `shape`, `low` … `high`, both included and each as likely as any other."""
    return _source.get()(Draw(_integers, (low, high, shape, device)))


def kept(probability: float, shape: tuple[int, ...], device: torch.device) -> tuple[Tensor, float]:
    """Draw what a dropout of this probability leaves: a bool mask of `shape`, and the exact share that it expects.

    A probability is rounded to 1/65,536: masks are made of 16 random bits, four to a number of the generator. On a CPU
    this takes a sixth of the time of `bernoulli_`, which is most of a dropout's.
    """
    dropped = min(round(probability * _BITS), _BITS - 1)
    return _source.get()(Draw(_at_least, (dropped, shape, device))), 1 - dropped / _BITS


def normal(shape: tuple[int, ...], device: torch.device, generator: torch.Generator | None = None) -> Tensor:
    """Draw a tensor of `shape` (batch, ...) on `device` from N(0, 1).

    With a `generator`, as evaluations have one, the numbers are drawn where it lives, and row i does not depend on how
    many rows follow; without one they come from where the block says.
    """
    if generator is None:
        return _source.get()(Draw(_normal, (shape, device)))
    rows, size = shape[0], math.prod(shape[1:])
    padded = torch.randn(rows, math.ceil(size / _BLOCK) * _BLOCK, generator=generator, device=generator.device)
    return padded[:, :size].reshape(shape).to(device)


def evaluation_generator() -> torch.Generator:
    """Return a generator that starts the same draws again at every call; the state of every other one stays."""
    return torch.Generator().manual_seed(_SEED)


@contextmanager
def _drawn_by(source: Source) -> Iterator[None]:
    token = _source.set(source)
    try:
        yield
    finally:
        _source.reset(token)


def _uniform(shape: tuple[int, ...], device: torch.device, generator: torch.Generator | None) -> Tensor:
    return torch.rand(shape, device=device, generator=generator)


def _normal(shape: tuple[int, ...], device: torch.device, generator: torch.Generator | None) -> Tensor:
    return torch.randn(shape, device=device, generator=generator)


def _integers(
    low: int, high: int, shape: tuple[int, ...], device: torch.device, generator: torch.Generator | None
) -> Tensor:
    return torch.randint(low, high + 1, shape, device=device, generator=generator)


def _at_least(dropped: int, shape: tuple[int, ...], device: torch.device, generator: torch.Generator | None) -> Tensor:
    """Return where 16 random bits, read as 0 … 65,535, are at least `dropped`."""
    size = math.prod(shape)
    words = torch.empty(math.ceil(size / 4), dtype=torch.int64, device=device)
    words.random_(-(2**63), None, generator=generator)  # all of the 64 bits
    bits = words.view(torch.int16)[:size]
    return (bits >= dropped - _BITS // 2).view(shape)
