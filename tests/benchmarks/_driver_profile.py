"""Where a driver's processor time goes, while it runs: its main thread by part, its threads, and Ray's processes.

Every ten milliseconds a signal interrupts the main thread; what it has used of the processor since the signal before
goes to the innermost frame that belongs to a part. So a wait costs nothing, and code that runs longer is seen oftener.
"""

from __future__ import annotations

import signal
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from types import FrameType, TracebackType
from typing import Any

import psutil

PARTS = {
    "journal": ("study/record/journal.py",),
    "tables": ("study/record/tables.py",),
    "display": ("study/driver/display.py",),
    "searcher": ("study/search/searcher.py",),
    "scheduler": ("study/search/schedulers.py", "ray/tune/schedulers/"),
    "budget": ("study/search/budget.py",),
    "recording": ("study/search/recording.py",),
    "Ray: calls, answers, waits": ("ray/_private/worker.py", "ray/actor.py"),
    "Tune": ("ray/tune/", "ray/air/"),
}
"""Ends of paths of source files, or folders in them, of each part of the main thread."""
OTHER = "the rest"

_EVERY_S = 0.01
_LOOK_EVERY_S = 1.0
_FUNCTIONS = ("/study/", "/ray/", "/optuna/", "/models/", "/search_spaces/")


@dataclass(frozen=True)
class Look:
    """What had been used of the processor at one moment, in seconds, and what the driver's memory was, in MiB."""

    time: float  # time.time()
    process: float  # all threads of the driver but the one that looks
    loop: float  # the driver's main thread
    mlflow: float
    hosts: float  # the processes of made-up workers
    ray: float  # raylet, control store and what else Ray starts
    memory: float
    parts: Counter[str] = field(default_factory=Counter)  # of the main thread


class Profile:
    """Looks at this process until it is left; a context manager for the main thread.

    Attributes:
        looks: One for each second.
        functions: The main thread's seconds in each function, with what it calls.
    """

    def __init__(self) -> None:
        self.looks: list[Look] = []
        self.functions: Counter[str] = Counter()
        self._parts: Counter[str] = Counter()
        self._part_of: dict[str, str | None] = {}
        self._last = 0.0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> Profile:
        self._last = time.thread_time()
        signal.signal(signal.SIGALRM, self._interrupt)
        signal.setitimer(signal.ITIMER_REAL, _EVERY_S, _EVERY_S)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        signal.setitimer(signal.ITIMER_REAL, 0)
        self._stop.set()
        self._thread.join()

    def _interrupt(self, number: int, frame: FrameType | None) -> None:
        now = time.thread_time()
        used, self._last = now - self._last, now
        part, seen = None, set()
        while frame is not None:
            code = frame.f_code
            part = part or self._part(code.co_filename)
            if any(folder in code.co_filename for folder in _FUNCTIONS):
                seen.add(f"{'/'.join(code.co_filename.split('/')[-3:])}:{code.co_name}")
            frame = frame.f_back
        self._parts[part or OTHER] += used
        for function in seen:
            self.functions[function] += used

    def _part(self, file: str) -> str | None:
        if file not in self._part_of:
            found = (part for part, ends in PARTS.items() if any(end in file for end in ends))
            self._part_of[file] = next(found, None)
        return self._part_of[file]

    def _watch(self) -> None:
        process = psutil.Process()
        clocks: dict[str, int] = {}
        children: dict[int, Any] = {}
        while not self._stop.wait(_LOOK_EVERY_S):
            for thread in threading.enumerate():
                if thread.name in ("MainThread", "mlflow") and thread.ident is not None:
                    clocks[thread.name] = time.pthread_getcpuclockid(thread.ident)
            children |= {child.pid: child for child in process.children(recursive=True) if child.pid not in children}
            used = Counter[str]()
            for child in children.values():
                try:
                    kind = "hosts" if "Host" in "".join(child.cmdline()[:1]) else "ray"
                    used[kind] += child.cpu_times().user + child.cpu_times().system
                except psutil.Error:
                    continue  # it has ended
            self.looks.append(
                Look(
                    time=time.time(),
                    process=time.process_time() - time.thread_time(),
                    loop=time.clock_gettime(clocks["MainThread"]),
                    mlflow=_clock(clocks, "mlflow"),
                    hosts=used["hosts"],
                    ray=used["ray"],
                    memory=process.memory_info().rss / 2**20,
                    parts=self._parts.copy(),
                )
            )


def _clock(clocks: dict[str, int], name: str) -> float:
    """Return what a thread has used of the processor, 0 where there is none of that name, or no longer."""
    try:
        return time.clock_gettime(clocks[name]) if name in clocks else 0.0
    except OSError:
        clocks.pop(name)
        return 0.0
