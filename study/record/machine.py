"""A process on its machine: the memory and cores that it may use, or what limits leave of them, and how it imports."""

from __future__ import annotations

import gc
import os
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_CGROUP = Path("/sys/fs/cgroup")
_LIMITS = ("memory.max", "memory.limit_in_bytes")  # of the second and the first version of control groups


def cores() -> int:
    """Return how many cores this process may run on."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@contextmanager
def importing() -> Iterator[None]:
    """Import without garbage collections, and leave what the imports made, which never goes away, out of later ones.

    Of the seconds that PyTorch and Ray take to import, a third is collections that go through all of it again and
    again; after them, each would take half a second.
    """
    before = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        if before:
            gc.enable()


def memory() -> int:
    """Return the bytes of memory that this process may use at most: of control groups and its own limits the least."""
    found = [os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"), *_of_control_groups()]
    for kind in (resource.RLIMIT_AS, resource.RLIMIT_DATA):
        soft, _ = resource.getrlimit(kind)
        if soft != resource.RLIM_INFINITY:
            found.append(soft)
    return min(found)


def _of_control_groups() -> Iterator[int]:
    """Yield the limits of the control groups that this process is in, and of those around them."""
    try:
        lines = Path("/proc/self/cgroup").read_text(encoding="utf-8").splitlines()
    except OSError:
        return
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if controllers not in ("", "memory"):
            continue
        own = _CGROUP / controllers / path.lstrip("/")
        for folder in (own, *own.parents):
            if not folder.is_relative_to(_CGROUP):
                break
            for name in _LIMITS:
                try:
                    yield int((folder / name).read_text(encoding="utf-8"))
                except (OSError, ValueError):  # "max", or no such group
                    continue
