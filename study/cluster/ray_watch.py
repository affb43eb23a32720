"""Watches the processes of a Ray of one's own: where one dies, Ray ends its driver a while later, without a word."""

from __future__ import annotations

import os
import select
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Thread

from study import interrupt

_NAMES = ("gcs_server", "raylet")
_FOR_A_SIGNAL = 0.1
"""Seconds in which the driver hears of a signal that was sent to its whole group, and leaves because of that. With half
a second Ray had ended the driver first, where it was waiting for an answer."""
_AFTER_ITS_SOCKETS = 0.1  # seconds in which the kernel tells of a death that an error came of


@contextmanager
def watching(resume: str) -> Iterator[None]:
    """Leave as after a signal, but as failed and with a line that says why, where a process of this driver's Ray dies.

    Of a cluster that was joined, and where the system has no descriptors of processes (Linux has), nothing is watched.

    Args:
        resume: How to go on, for the user.
    """
    watched = _processes()
    if not watched:
        yield
        return
    over = os.eventfd(0)
    thread = Thread(target=_watch, args=(watched, over, resume), name="ray", daemon=True)
    thread.start()
    try:
        yield
    except Exception:
        if _ready(watched, _AFTER_ITS_SOCKETS):
            thread.join()  # it says what this error came of
        raise
    finally:
        os.eventfd_write(over, 1)
        thread.join()
        for descriptor in (over, *watched):
            os.close(descriptor)


def _processes() -> dict[int, str]:
    """Return those of Ray's processes that this one has started: descriptors that tell of an end, and names."""
    found = {}
    for pid in interrupt.children() if hasattr(os, "pidfd_open") else ():
        with suppress(OSError):
            name = Path(f"/proc/{pid}/comm").read_text(encoding="utf-8").strip()
            if name in _NAMES:
                found[os.pidfd_open(pid)] = name
    return found


def _ready(descriptors: Iterable[int], seconds: float | None = None) -> set[int]:
    poll = select.poll()
    for descriptor in descriptors:
        poll.register(descriptor, select.POLLIN)
    return {descriptor for descriptor, _ in poll.poll(None if seconds is None else 1000 * seconds)}


def _watch(watched: Mapping[int, str], over: int, resume: str) -> None:
    ready = _ready((over, *watched))
    if over in ready or _ready([over], _FOR_A_SIGNAL) or interrupt.seen():
        return
    name = watched[min(ready)]
    interrupt.fail(f"Ray's {name} has died (the machine's memory may have run out); go on with: {resume}")
