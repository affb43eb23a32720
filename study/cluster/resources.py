"""The resources of a trial: what each run of a study gets of the joined Ray, and how many run at once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from study.cluster import gpu_share, machines
from study.cluster.gpu_share import GpuShare, Measured
from study.cluster.memory import Limits
from study.record.errors import UsageError
from study.record.settings import Settings


@dataclass(frozen=True)
class Resources:
    """What each run gets, and how many run at once."""

    cpus: float
    gpus: float
    concurrent: int
    memory: int  # bytes of a node's memory for each of the runs that share it
    node_cpus: float  # of the smallest machine that takes runs
    gpu: GpuShare | None = None  # None where runs are on CPUs

    @property
    def threads(self) -> int:
        """The CPU threads of a run."""
        return max(1, int(self.cpus))

    @property
    def gpu_json(self) -> dict[str, Any] | None:
        """How runs share a GPU, as JSON can say it; None where runs are on CPUs."""
        return self.gpu.to_json() if self.gpu else None

    def limits(self, max_params: int | None) -> Limits:
        """Return what a network may need: by default, parameters that take half of a run's memory in training.

        A weight, its gradient and two moments are 16 bytes. The other half is for activations and the libraries. On a
        GPU that has been measured it is its memory that bounds a network.
        """
        gpu = self.gpu.memory if self.gpu else None
        # Checkpoints pass through the node's memory, on a GPU too.
        least = self.memory if gpu is None else min(self.memory, gpu)
        memory = self.memory if gpu is None else gpu
        return Limits(max_params or least // 2 // 16, memory, gpu=gpu is not None)


def of_each_run(settings: Settings, measured: Measured | None = None) -> Resources:
    """Divide what the joined Ray has, or its autoscaler may bring, among the runs of a study.

    Args:
        settings: The study's.
        measured: What runs take of a GPU; None where none could be measured.

    Runs that wait for a machine are what the autoscaler goes by: a cluster that has shrunk to its head has as many
    places for runs as one that has grown.

    Raises:
        UsageError: a run asks for more than a machine has.
    """
    here = machines.alive()
    growth = machines.growth()
    known = [*here, *(growth.kinds if growth else [])]
    most_gpus = max(machine.gpus for machine in known)
    most_cpus = max(machine.cpus for machine in known)
    cpus = settings.cpus_per_trial
    gpus = settings.gpus_per_trial
    gpu: GpuShare | None = None
    if gpus is None and most_gpus:
        cpus_per_gpu = min(machine.cpus / machine.gpus for machine in known if machine.gpus)
        gpu = gpu_share.divided(measured, cpus_per_gpu, cpus) if measured else gpu_share.unmeasured()
    elif gpus:
        gpu = gpu_share.given(gpus, measured)
    gpus = gpu.fraction if gpu else 0.0
    if gpus > most_gpus:
        has = f"no machine has more than {most_gpus:g}" if most_gpus else "no GPU was found"
        raise UsageError(f"--gpus-per-trial {gpus:g} is more than there is: {has}")
    if gpus > 1 and gpus != int(gpus):
        raise UsageError(f"--gpus-per-trial {gpus:g} is not allowed; above 1 give a whole number")
    if cpus > most_cpus:
        raise UsageError(f"--cpus-per-trial {cpus:g} is more than there is: no machine has more than {most_cpus:g}")
    taking = [machine for machine in known if machine.fit(cpus, gpus)]
    if not taking:
        raise UsageError(f"--cpus-per-trial {cpus:g} with --gpus-per-trial {gpus:g}: no machine has both")
    slots = max(sum(machine.fit(cpus, gpus) for machine in here), growth.fit(cpus, gpus) if growth else 0)
    # A kind whose memory is not known yet is left out; if none is, a run has its part of the smallest machine's here.
    lent = [machine.memory // machine.fit(cpus, gpus) for machine in taking if machine.memory]
    memory = min(lent or [machine.memory // slots for machine in here if machine.memory])
    node_cpus = min(machine.cpus for machine in taking)
    return Resources(cpus, gpus, min(slots, settings.max_concurrent or slots), memory, node_cpus, gpu)
