"""What NVIDIA's management library, which comes with the driver, says of a GPU: its energy, and who uses its memory."""

from __future__ import annotations

import ctypes
from typing import Any

_LIBRARY = "libnvidia-ml.so.1"


class _Memory(ctypes.Structure):
    """`nvmlMemory_v2_t`: unlike the first version it has apart what the driver keeps for itself."""

    _fields_ = (
        ("version", ctypes.c_uint),
        ("total", ctypes.c_ulonglong),
        ("reserved", ctypes.c_ulonglong),
        ("free", ctypes.c_ulonglong),
        ("used", ctypes.c_ulonglong),
    )


class Gpu:
    """A GPU as NVML knows it. Asking makes no CUDA context.

    Args:
        uuid: As `torch.cuda.get_device_properties` says it.
        library: NVML; by default the driver's own.

    Raises:
        OSError: there is no NVML, or it does not know the GPU, as of a MIG slice. Its methods raise it, too, where the
            driver or the GPU does not tell.
    """

    def __init__(self, uuid: str, library: Any = None) -> None:
        self._nvml = library or ctypes.CDLL(_LIBRARY)
        self._device = ctypes.c_void_p()
        _checked(self._nvml.nvmlInit_v2())
        _checked(self._nvml.nvmlDeviceGetHandleByUUID(f"GPU-{uuid}".encode(), ctypes.byref(self._device)))

    def joules(self) -> float:
        """Return the energy that it has taken since the driver was loaded; not told before Volta."""
        millijoules = ctypes.c_ulonglong()
        _checked(self._nvml.nvmlDeviceGetTotalEnergyConsumption(self._device, ctypes.byref(millijoules)))
        return millijoules.value / 1e3

    def used(self) -> int:
        """Return the bytes of its memory that processes use, the one that asks among them."""
        memory = _Memory(version=ctypes.sizeof(_Memory) | 2 << 24)
        _checked(self._nvml.nvmlDeviceGetMemoryInfo_v2(self._device, ctypes.byref(memory)))
        return int(memory.used)


def _checked(status: int) -> None:
    if status != 0:
        raise OSError(f"NVML says {status}")
