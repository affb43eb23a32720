"""What a machine has taken in energy, by the counters of its processors, its memory and the GPU of a process."""

from __future__ import annotations

import math
import socket
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from study.cluster import nvml
from study.worker.job import EnergyReading

POWERCAP = Path("/sys/class/powercap")
"""Where Linux shows the energy counters (RAPL) of Intel's and AMD's processors; root alone may read them."""

_EVERY_S = 60.0  # a package's counter begins again after some 2**18 J: 17 minutes at 250 W
_KINDS = {"package": "processor", "dram": "memory"}  # of RAPL's zones; cores are parts of a package

Counter = Callable[[], tuple[float, float]]
"""Reads joules, and the joules after which they begin again at 0; raises `OSError` where it cannot be read any more."""


class EnergyLog:
    """A process's readings of its machine's counters: one a minute, and one whenever they are taken.

    Args:
        counters: By name, which begins with the kind: "processor", "memory" or "GPU". Of a machine that tells nothing
            there are none; its readings are empty.
    """

    def __init__(self, counters: Mapping[str, Counter]) -> None:
        self._counters = dict(counters)
        self._readings: deque[EnergyReading] = deque()
        self._host = socket.gethostname()
        self.read()
        if self._counters:
            threading.Thread(target=self._keep_reading, name="energy", daemon=True).start()

    def read(self) -> None:
        """Read every counter once."""
        found = {}
        for name, counter in self._counters.items():
            with suppress(OSError, ValueError):
                found[name] = counter()
        self._readings.append(EnergyReading(self._host, time.monotonic(), found))

    def take(self) -> Sequence[EnergyReading]:
        """Return what has been read since it was last asked, in order, and now."""
        self.read()
        return [self._readings.popleft() for _ in range(len(self._readings))]

    def _keep_reading(self) -> None:
        while True:
            time.sleep(_EVERY_S)
            self.read()


def processor_counters(powercap: Path = POWERCAP) -> dict[str, Counter]:
    """Return the counters of a machine's processor packages and of their memory, as far as they can be read."""
    found = {}
    for zone in sorted(powercap.glob("intel-rapl:*")):  # AMD's, too; intel-rapl-mmio would be the same packages again
        with suppress(OSError, ValueError):
            kind = _KINDS.get((zone / "name").read_text().strip().split("-")[0])
            counter = _zone(zone)
            counter()
            if kind:
                found[f"{kind} {zone.name}"] = counter
    return found


def _zone(zone: Path) -> Counter:
    most = int((zone / "max_energy_range_uj").read_text()) / 1e6
    return lambda: (int((zone / "energy_uj").read_text()) / 1e6, most)


def gpu_counters(uuid: str | None, library: Any = None) -> dict[str, Counter]:
    """Return the counter of a GPU, as NVML has it since the driver was loaded: none before Volta, none of a MIG slice.

    Args:
        uuid: As `torch.cuda.get_device_properties` says it; None without a GPU.
        library: NVML; by default the driver's own.
    """
    if uuid is None:
        return {}
    with suppress(OSError):
        gpu = nvml.Gpu(uuid, library)
        gpu.joules()
        return {f"GPU {uuid}": lambda: (gpu.joules(), math.inf)}
    return {}
