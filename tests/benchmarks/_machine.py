"""What a benchmark ran on: every number stands beside these facts."""

from __future__ import annotations

import os
import platform
import re
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path


def facts() -> dict[str, str]:
    """Return the hardware and the system, in words."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return {
        "processor": _processor(),
        "cores": str(len(os.sched_getaffinity(0))),
        "memory": f"{memory:.0f} GiB",
        "GPU": _gpus(),
        "system": f"{platform.system()} {platform.release()}",
    }


def name() -> str:
    """Return the name of the machine's file: its hardware, and not what somebody calls it."""
    hardware = facts()
    gpu = "no gpu" if hardware["GPU"] == "none" else hardware["GPU"]
    words = f"{hardware['processor']} {hardware['cores']} cores {hardware['memory']} {gpu}"
    return re.sub(r"[^a-z0-9]+", "-", words.lower()).strip("-")


def versions(packages: Sequence[str]) -> dict[str, str]:
    """Return the versions of Python and of `packages`."""
    return {"Python": platform.python_version(), **{package: version(package) for package in packages}}


def load() -> float:
    """Return the load average of the last minute: two OpenMP threads beside another program can be ten times slower."""
    return os.getloadavg()[0]


def describe(packages: Sequence[str]) -> str:
    """Return the machine and the versions of `packages`, two lines."""
    said = facts()
    said |= {"cores": f"{said['cores']} cores", "GPU": "no GPU" if said["GPU"] == "none" else said["GPU"]}
    hardware = ", ".join(said.values())
    numbers = ", ".join(f"{key} {value}" for key, value in versions(packages).items())
    return f"machine: {hardware}; load average {load():.1f} before the first run\nversions: {numbers}"


def _processor() -> str:
    information = Path("/proc/cpuinfo")
    lines = information.read_text().splitlines() if information.exists() else []
    fields = dict(line.split(":", 1) for line in lines if ":" in line)
    named = {key.strip(): value.strip() for key, value in fields.items()}
    if "model name" not in named:
        return platform.processor() or platform.machine()
    # Virtual machines leave the name general; family and model say which generation it is.
    return f"{named['model name']} (family {named.get('cpu family')}, model {named.get('model')})"


def _gpus() -> str:
    import torch

    names = [torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count())]
    return ", ".join(f"{names.count(one)} × {one}" for one in dict.fromkeys(names)) or "none"
