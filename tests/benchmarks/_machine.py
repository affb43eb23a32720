"""What a benchmark ran on: every number is printed below these lines."""

from __future__ import annotations

import os
import platform
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path


def describe(packages: Sequence[str]) -> str:
    """Return the machine (processor, cores, memory, system) and the versions of `packages`, two lines."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    versions = ", ".join(f"{name} {version(name)}" for name in packages)
    load = os.getloadavg()[0]
    return (
        f"machine: {_processor()}, {len(os.sched_getaffinity(0))} cores, {memory:.0f} GiB, {platform.system()} "
        f"{platform.release()}; load average {load:.1f} before the first run\n"
        f"versions: Python {platform.python_version()}, {versions}"
    )


def _processor() -> str:
    facts = Path("/proc/cpuinfo")
    lines = facts.read_text().splitlines() if facts.exists() else []
    fields = dict(line.split(":", 1) for line in lines if ":" in line)
    named = {key.strip(): value.strip() for key, value in fields.items()}
    if "model name" not in named:
        return platform.processor() or platform.machine()
    # Virtual machines leave the name general; family and model say which generation it is.
    return f"{named['model name']} (family {named.get('cpu family')}, model {named.get('model')})"
