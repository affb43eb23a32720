"""How many runs share a GPU, by what a probe has measured of its memory. No GPU is needed to decide it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

MOST = 16  # runs on a GPU: more wait for each other's kernels, and each process has a CUDA context of its own
GIVEN_OUT = 0.9  # of a GPU's memory: a driver's needs and what the allocator cannot join together are the rest
UNMEASURED = 0.25  # of a GPU for a run, where none is up yet that could be measured
_RESOLUTION = 10_000  # Ray counts a GPU in parts of 1e-4


@dataclass(frozen=True)
class MeasuredGpu:
    """What a probe has found out about a GPU, in bytes.

    Attributes:
        gpu: Its name.
        total: Its memory.
        overhead: What each process needs before it has a network: the CUDA context, libraries, its copy of the data.
        peaks: What each config took at most, overhead included; None for one that did not fit.
        cpus: CPU cores, a count and no bytes, for each GPU on the machine of its kind that has fewest.
        others: What processes that are none of this study's used of it as the probe began.
    """

    gpu: str
    total: int
    overhead: int
    peaks: tuple[int | None, ...]
    cpus: float = math.inf
    others: int = 0

    @property
    def given_out(self) -> float:
        """The bytes that are divided among the runs."""
        return max(0.0, GIVEN_OUT * self.total - self.others)

    @property
    def largest(self) -> int | None:
        """The most that a config that fits took; None where none was tried or none fits."""
        return max((peak for peak in self.peaks if peak is not None and peak <= self.given_out), default=None)


@dataclass(frozen=True)
class GpuShare:
    """What a run gets of a GPU.

    Attributes:
        fraction: Of a GPU, as Ray takes it; above 1, so many GPUs.
        runs: How many share one.
        reason: What that number comes from.
        measured: What that is based on; None where nothing could be measured.
        roomier: What was measured of other kinds of GPU, and how many runs would share one of these by that.
    """

    fraction: float
    runs: int
    reason: str
    measured: MeasuredGpu | None = None
    roomier: tuple[tuple[MeasuredGpu, int], ...] = ()

    @property
    def memory(self) -> int | None:
        """The bytes that a network may take in training: a run's part without its overhead; None if not measured.

        Of several kinds of GPU it is the least, as a run may be trained on any.
        """
        if self.measured is None:
            return None
        kinds = (self.measured, *(measured for measured, _ in self.roomier))
        return min(max(0, int(kind.given_out / self.runs) - kind.overhead) for kind in kinds)

    def to_json(self) -> dict[str, Any]:
        """Return the share and what was measured as JSON can say it."""
        return {**asdict(self), "memory": self.memory}

    def __str__(self) -> str:
        share = f"{self.runs} runs share a GPU" if self.runs > 1 else "a run has a GPU to itself"
        if self.measured is None:
            return f"{share}: {self.reason}"
        measured = self.measured
        if not measured.peaks:
            return f"{share}: {self.reason}, of {measured.gpu}'s {gib(measured.total)} GiB"
        most = f"{gib(measured.largest)} GiB at most" if measured.largest else "nothing that fits"
        taken = f", of which others use {gib(measured.others)}" if measured.others else ""
        return (
            f"{share}: {self.reason}; measured on {measured.gpu}, {gib(measured.total)} GiB{taken}: "
            f"a run takes {most}, {gib(measured.overhead)} of it before it has a network{self._unused}"
        )

    @property
    def _unused(self) -> str:
        """What follows where GPUs differ: which of them would have room for more."""
        rooms = [f"{one.gpu}, {gib(one.total)} GiB, would take {runs}" for one, runs in self.roomier]
        return f"; {'; '.join(rooms)}, but a run asks for the same part of every GPU" if rooms else ""


def of_every_kind(measured: Sequence[MeasuredGpu], cpus_per_gpu: float, cpus_per_run: float) -> GpuShare:
    """Return the share by which as many runs are on a GPU as every kind of it has room for.

    Ray gives a run what it asks for on whichever machine is free, so that it asks for the same of every GPU.

    Args:
        measured: By a probe on each kind of GPU; at least one.
        cpus_per_gpu: CPU cores for each GPU of machines that are still to come, infinite where none is.
        cpus_per_run: CPU cores that each run asks for.
    """
    shares = [divided(one, min(one.cpus, cpus_per_gpu), cpus_per_run) for one in measured]
    fewest = min(shares, key=lambda share: share.runs)
    others = [(one, share.runs) for one, share in zip(measured, shares, strict=True) if share is not fewest]
    return replace(fewest, roomier=tuple(others))


def divided(measured: MeasuredGpu, cpus_per_gpu: float, cpus_per_run: float) -> GpuShare:
    """Return as many runs on a GPU as fit in its memory, but no more than there are CPUs for, nor than MOST.

    Args:
        measured: By the probe.
        cpus_per_gpu: CPU cores that there are for each GPU, on the machine that has fewest.
        cpus_per_run: CPU cores that each run asks for.
    """
    by_memory = 1 if measured.largest is None else int(measured.given_out // measured.largest)
    limits = {
        "by memory": max(1, by_memory),
        f"by {cpus_per_gpu:g} CPUs for each GPU": max(1, math.floor(cpus_per_gpu / cpus_per_run)),
        "the most that is useful": MOST,
    }
    reason, runs = min(limits.items(), key=lambda limit: limit[1])
    # Rounded down to what Ray can count: a third is 0.3333, and three of them fit.
    return GpuShare(math.floor(_RESOLUTION / runs) / _RESOLUTION, runs, reason, measured)


def given(fraction: float, measured: MeasuredGpu | None = None) -> GpuShare:
    """Return the share that `--gpus-per-trial` asks for."""
    runs = 1 if fraction >= 1 else math.floor(1 / fraction)
    return GpuShare(fraction, runs, f"--gpus-per-trial {fraction:g}", measured)


def unmeasured() -> GpuShare:
    """Return the share of GPUs of which none could be measured."""
    reason = "not measured, as no machine with a GPU is up yet or PyTorch sees none there"
    return GpuShare(UNMEASURED, math.floor(1 / UNMEASURED), reason)


def gib(size: float) -> str:
    """Return a size in bytes as GiB."""
    return f"{size / 2**30:.1f}"
