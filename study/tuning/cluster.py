"""Ray, started locally or joined: what it offers, and how much of it a run gets."""

from __future__ import annotations

import logging
import math
import os
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from study import interrupt
from study.data.image_data import ImageData
from study.errors import StudyError, UsageError
from study.settings import Settings
from study.tuning import gpu_share, machines
from study.tuning.gpu_share import GpuShare, Measured
from study.tuning.memory import Limits

T = TypeVar("T")

ROOT = Path(__file__).resolve().parents[2]

_PROBE_SECONDS = 3.0

# What Tune does by itself and this project does in its own way, or not at all.
_ENVIRONMENT = {
    "RAY_USAGE_STATS_ENABLED": "0",  # asks the network at every start
    "RAY_CHDIR_TO_TRIAL_DIR": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",  # the behaviour to come; unset, Ray prints a warning about it
    "RAY_AIR_NEW_OUTPUT": "0",
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",  # result.json, progress.csv and TensorBoard files for each trial
    "TUNE_DISABLE_SIGINT_HANDLER": "1",  # it returns from an interrupted search as if it had finished
    "TUNE_GLOBAL_CHECKPOINT_S": "1000000000",  # rewrites the whole search state; the journal is ours
    "TUNE_PRINT_ALL_TRIAL_ERRORS": "0",
    "TUNE_WARN_THRESHOLD_S": "30",
}


@dataclass(frozen=True)
class Share:
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


@contextmanager
def joined(address: str | None, data: ImageData | None = None) -> Iterator[None]:
    """Start a Ray of one's own, with room for `data`, or join the cluster at `address`, and leave it at the end.

    Raises:
        UsageError: there is no cluster at `address`.
        StudyError: a Ray of one's own does not start.
    """
    os.environ.update({key: os.environ.get(key, value) for key, value in _ENVIRONMENT.items()})
    # Workers of a local Ray inherit this, so that the packages are found where nothing is installed.
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    import ray

    own = address in (None, "local")
    if not own and address != "auto":
        _probe(str(address))
    quiet = {"log_to_driver": False, "logging_level": logging.ERROR, "include_dashboard": False}
    logging.getLogger("ray").setLevel(logging.ERROR)
    try:
        if own:
            # "local" and not a CPU count alone, with which ray.init joins another Ray that happens to run.
            ray.init(
                address="local",
                num_cpus=len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
                object_store_memory=_object_store_bytes(data) if data else None,
                **quiet,
            )
        else:
            quiet.pop("include_dashboard")
            ray.init(address=address, **quiet)
    except Exception as error:  # of a Ray that does not start in time it is a plain one
        first = (str(error).strip().splitlines() or [type(error).__name__])[0].split(". ")[0]
        if own:
            raise StudyError(f"Ray does not start on this machine ({first}); if it is busy, try again") from error
        raise UsageError(f"--address {address!r}: no Ray cluster can be joined there ({first})") from error
    interrupt.keep_handling()
    try:
        yield
    finally:
        ray.shutdown()


def share(settings: Settings, measured: Measured | None = None) -> Share:
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
    return Share(cpus, gpus, min(slots, settings.max_concurrent or slots), memory, node_cpus, gpu)


def run_on_node(
    function: Callable[..., T],
    *arguments: Any,
    cpus: float,
    gpus: float = 0.0,
    node_id: str | None = None,
    seconds: float | None = None,
) -> T:
    """Call `function` in a worker process and return its result; a signal ends the wait at once.

    For what computes long inside one call of a library, where Python cannot interrupt its own process. References to
    objects in the object store are passed as the objects. A process with a GPU ends with its call.

    Args:
        function: Importable on the nodes.
        arguments: What it is given.
        cpus: CPU cores that it takes.
        gpus: GPUs that it takes.
        node_id: The node that it has to run on; any by default.
        seconds: That it may take, the wait for what it takes included.

    Raises:
        Interrupted: a signal has come.
        TimeoutError: it has taken longer than `seconds`.
        Exception: whatever the function raises.
    """
    import ray
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    options: dict[str, Any] = {"num_cpus": cpus, "num_gpus": gpus}
    if node_id is not None:
        options["scheduling_strategy"] = NodeAffinitySchedulingStrategy(node_id, soft=False)
    result = ray.remote(**options)(function).remote(*arguments)
    ends = time.monotonic() + (math.inf if seconds is None else seconds)
    with interrupt.deferred():
        while not ray.wait([result], timeout=0.2)[0]:
            interrupt.check()
            if time.monotonic() > ends:
                ray.cancel(result, force=True)
                raise TimeoutError
    return ray.get(result)


def _probe(address: str) -> None:
    """Find out within three seconds whether anything listens at `address`; Ray itself waits for minutes."""
    host, _, port = address.removeprefix("ray://").rpartition(":")
    try:
        with socket.create_connection((host.strip("[]"), int(port)), timeout=_PROBE_SECONDS):
            pass
    except (OSError, ValueError) as error:
        raise UsageError(f"--address {address!r}: no Ray cluster can be reached there ({error})") from None


def _object_store_bytes(data: ImageData) -> int:
    """Return the size of a local object store: the data set and room for Ray's own messages, in bytes."""
    arrays = [array for split in (data.train, data.val, data.test) for array in (split.images, split.labels)]
    return int(1.1 * sum(array.nbytes for array in arrays)) + 256 * 2**20
