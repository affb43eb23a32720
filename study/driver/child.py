"""Commands of this project as processes of their own, which are asked to leave when the one that waits leaves."""

from __future__ import annotations

import ctypes
import math
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from typing import IO

from study.record.commands import script

OUT_OF_TIME = -1
"""In place of an exit status."""

LOOKS_EVERY = 0.1
"""Seconds between two questions for the status of what runs."""

_LEAVE_SECONDS = 30.0  # a study leaves within 10 s; on a busy machine it may take longer
_PR_SET_PDEATHSIG = 1  # prctl(2)


class Child:
    """A command that has been started.

    It has a session of its own, so that Ctrl-C reaches it once, through this process: a second signal would end it
    without waiting. On Linux it is asked to leave, too, where this process is killed.

    Args:
        verb: The command.
        words: What it is given.
        seconds: It is asked to leave after so many; None: never.
        output: A file, or `subprocess.PIPE`, for what it says; by default that goes where this process's output goes.
    """

    def __init__(
        self, verb: str, words: Sequence[str], *, seconds: float | None = None, output: IO[bytes] | int | None = None
    ) -> None:
        sys.stdout.flush()
        self._process = subprocess.Popen(
            [sys.executable, str(script(verb)), *words],
            start_new_session=True,
            preexec_fn=_leaving_with_parent(),  # noqa: PLW1509  (one system call, which takes no lock)
            stdout=output,
            stderr=None if output is None else subprocess.STDOUT,
        )
        self._ends = math.inf if seconds is None else time.monotonic() + seconds
        self._killed_at = math.inf

    def lines(self) -> Iterator[str]:
        """Yield what it says, line by line, until it has ended; its output is a pipe."""
        for line in self._process.stdout or ():
            yield line.decode(errors="replace").rstrip("\n")

    def status(self) -> int | None:
        """Return its exit status, `OUT_OF_TIME` where its time was over first, None while it runs.

        Of a command that was killed the status is 1, and a line says by what. To be asked for again and again: that is
        when it is told that its time is over.
        """
        status, now = self._process.poll(), time.monotonic()
        if status is None:
            if now >= self._ends and self._killed_at == math.inf:
                self.ask_to_leave()
            if now >= self._killed_at:
                self._process.kill()
            return None
        if status and now >= self._ends:
            return OUT_OF_TIME
        if status < 0:
            print(f"study: the process was ended by {signal.Signals(-status).name}", file=sys.stderr)
            return 1
        return status

    def wait(self) -> int:
        """Return its exit status once it has ended."""
        while (status := self.status()) is None:
            time.sleep(LOOKS_EVERY)
        return status

    def ask_to_leave(self) -> None:
        """Send it SIGTERM, and give it some seconds until it is killed."""
        self._killed_at = time.monotonic() + _LEAVE_SECONDS
        with suppress(ProcessLookupError):
            self._process.send_signal(signal.SIGTERM)


def leave(children: Iterable[Child]) -> None:
    """Ask commands to leave, and wait until they have."""
    children = list(children)
    for child in children:
        child.ask_to_leave()
    for child in children:
        child.wait()


def run_to_end(verb: str, words: Sequence[str], say: Callable[[str], None] | None = None) -> int:
    """Run a command and return its exit status, as `Child.status` says it.

    What it says goes where this process's output goes, or, line by line, to `say`, as a notebook wants it.
    """
    child = Child(verb, words, output=subprocess.PIPE if say else None)
    try:
        for line in child.lines():
            assert say is not None
            say(line)
        return child.wait()
    except BaseException:
        leave([child])
        raise


def _leaving_with_parent() -> Callable[[], object] | None:
    if sys.platform != "linux":
        return None
    prctl = ctypes.CDLL(None).prctl
    return lambda: prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
