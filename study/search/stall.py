"""Watches whether a search or a confirmation goes on: a study that can only wait says so, and ends to be resumed."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Event as Flag
from threading import Thread

from study import interrupt
from study.record.errors import StudyError
from study.record.events import Event, TrackingChanged
from study.record.terminal import wrapped
from study.record.words import counted

SAID_AFTER = 60.0
"""Seconds of waiting after which a study says what it waits for."""

DEFAULT = 600.0
"""Seconds of waiting after which a study ends, where no autoscaler may bring a machine."""

_LOOKS_EVERY = 1.0  # seconds


class StallWatch:
    """Tells a study that trains, however long an epoch takes, from one that waits for a process to train in.

    The driver's loop comes by several times in a second and says how many runs have a process (`look`). Where none has
    and nothing has happened for `seconds`, it is told to leave. Where it comes by no more, since Ray does not answer
    it, a thread ends the process; the journal has everything by then.

    Where an autoscaler may bring a machine, a study waits as long as that takes, unless it was told how long: spot
    machines can be sold out for hours, and a night's study is to go on with the first that comes.

    Args:
        seconds: How long the study may wait; None: not told, `DEFAULT` unless `may_grow`.
        say: Shows a line to the user.
        resume: How to go on, for the user.
        may_grow: Whether an autoscaler may bring a machine that takes runs.
    """

    def __init__(
        self, seconds: float | None, say: Callable[[str], None], resume: str, *, may_grow: bool = False
    ) -> None:
        self._waits = may_grow and seconds is None
        self._seconds, self._say, self._resume = DEFAULT if seconds is None else seconds, say, resume
        self._said = False
        self._progress = self._seen = time.monotonic()

    def event(self, event: Event) -> None:
        """Take notice of something that happened in the study."""
        if not isinstance(event, TrackingChanged):
            self._go_on()

    def look(self, running: int, waiting: int) -> None:
        """Take notice of how many runs have a process to train in, and how many wait for one.

        Raises:
            StudyError: there have been none for too long.
        """
        now = self._seen = time.monotonic()
        if running or not waiting:
            self._go_on()
            return
        idle = now - self._progress
        waits = f"{counted(waiting, 'run')} wait{'s' * (waiting == 1)} for a process"
        what = f"{waits}: no machine has room for one, or none answers"
        if idle >= self._seconds and not self._waits:
            raise StudyError(f"nothing has gone on for {idle:.0f} s: {what}; go on with: {self._resume}")
        if idle >= SAID_AFTER and not self._said:
            self._said = True
            ends = f"the study ends, to be resumed, {self._seconds:.0f} s after the last event"
            asked = "the autoscaler has been asked for one, and the study goes on once it comes"
            self._say(wrapped(f"waiting   {what}; {asked if self._waits else ends}", 10))

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Watch over the driver's loop while it runs."""
        self._go_on()
        self._seen = time.monotonic()
        over = Flag()
        thread = Thread(target=self._watch, args=(over,), name="stall", daemon=True)
        thread.start()
        try:
            yield
        finally:
            over.set()

    def _go_on(self) -> None:
        self._progress, self._said = time.monotonic(), False

    def _watch(self, over: Flag) -> None:
        while not over.wait(min(_LOOKS_EVERY, self._seconds / 4)):
            silent = time.monotonic() - max(self._seen, self._progress)
            if silent >= self._seconds:
                interrupt.end(f"Ray has not answered for {silent:.0f} s; go on with: {self._resume}", 1)
