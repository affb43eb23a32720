"""Random numbers for networks: layers and losses ask here, and whoever trains says where they come from.

    with drawn_from(generator):        # a run's own: its noise depends on nothing else in the process
        network.training_loss(images, labels)

Outside of such a block the numbers come from PyTorch's global random state, as those of its own layers do.
An evaluation's noise is a function of the image's position in its split (`of_images`), whatever the batch.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from enum import IntEnum
from typing import Any, NamedTuple

import torch
from torch import Tensor

_GAMMA = 0x9E3779B97F4A7C15  # the odd number next to 2^64 over the golden ratio, by which SplitMix64 counts
_POSITIONS = 32  # bits of the counter for a number's place in its image; the others are for the image's in its split
_BITS = 2**16  # what the probability of a dropout is counted in


class Draw(NamedTuple):
    """What a layer or a loss asked for; every generator can make it, and one in the same state makes the same.

    No frozen dataclass: `torch.compile` of PyTorch 2.11 loses the attributes of one that is made in compiled code.
    """

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
    """Draw a tensor of `shape` on `device` from N(0, 1).

    With a `generator` the numbers are drawn where it lives; without one they come from where the block says.
    """
    if generator is None:
        return _source.get()(Draw(_normal, (shape, device)))
    return torch.randn(shape, generator=generator, device=generator.device).to(device)


class Stream(IntEnum):
    """What an evaluation's noise is for; two streams have nothing in common."""

    CODES = 1
    CORRUPTION = 2
    IMPORTANCE = 3


def of_images(stream: Stream, indices: Tensor, shape: tuple[int, ...], *, first: int = 0, seed: int = 0) -> Tensor:
    """Return numbers from N(0, 1) for each image, float32 (batch, *shape), on the device of `indices`.

    A number is a function of (seed, stream, image, position) and of nothing else: neither of the batch nor of the
    device, up to the rounding of its arithmetic. It is a hash of a 64-bit counter, SplitMix64's finaliser (Steele, Lea
    and Flood, "Fast splittable pseudorandom number generators", 2014, figure 17), read as a uniform number in the
    middle of one of 2^52 cells of (0, 1), which double precision holds exactly, of which Φ⁻¹ is taken.

    Args:
        stream: What the numbers are for.
        indices: int64 (batch,), the images' positions in their split, below 2^31.
        shape: What an image needs.
        first: The position of the first number among those of an image: what is drawn in parts goes on there.
        seed: Of the run, where the draws are to differ between runs.
    """
    positions = torch.arange(first, first + math.prod(shape), device=indices.device)
    start = _mixed(_mixed(seed) + _GAMMA * stream)
    counter = _signed(start) + ((indices[:, None] << _POSITIONS) | positions) * _signed(_GAMMA)
    uniform = ((_hash(counter) >> 12 & (1 << 52) - 1).double() + 0.5) * 2.0**-52
    numbers: Tensor = torch.special.ndtri(uniform).float()
    return numbers.reshape(len(indices), *shape)


def _hash(values: Tensor) -> Tensor:
    """Return SplitMix64's finaliser of int64 values, whose products wrap around: a bijection of 64 bits."""
    # a shift of a signed number fills in its sign, which the masks take away
    values = (values ^ (values >> 30 & (1 << 34) - 1)) * _signed(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> 27 & (1 << 37) - 1)) * _signed(0x94D049BB133111EB)
    return values ^ (values >> 31 & (1 << 33) - 1)


def _mixed(value: int) -> int:
    """Return the same of one number, as an unsigned one."""
    value = (value ^ (value & 2**64 - 1) >> 30) * 0xBF58476D1CE4E5B9 & 2**64 - 1
    value = (value ^ value >> 27) * 0x94D049BB133111EB & 2**64 - 1
    return value ^ value >> 31


def _signed(value: int) -> int:
    """Return the 64 bits of an unsigned number as those of a signed one."""
    value &= 2**64 - 1
    return value - 2**64 if value >= 2**63 else value


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
