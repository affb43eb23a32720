"""Ctrl-C, SIGTERM and SIGHUP: the first one unwinds the driver, the second one ends it at once; ten seconds, always.

All are safe for a study: its journal is written one whole event at a time, its checkpoints are renamed into place.
"""

from __future__ import annotations

import os
import signal
import socket
import sys
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Event, Thread, Timer
from types import FrameType
from typing import ClassVar, NoReturn

from study.record.errors import INTERRUPTED

NOTHING_WRITTEN = "interrupted before the study began; nothing was written"
"""What is said at first, until `farewell` says otherwise."""

_TELL_SECONDS = 0.8  # that what is told of the end may take, within the ten
LEAVE_SECONDS = 9.0
"""That the driver may take to leave; then it is gone, whatever it waits for."""


class Interrupted(BaseException):
    """The user or the machine asked the study to leave; not an Exception, so that nothing on the way catches it."""


_NUMBERS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class _Signals:
    handled = False
    seen = False
    deferred = False
    failed: str | None = None
    farewell = ""
    tell: Callable[[str], object] | None = None
    spared: ClassVar[set[int]] = set()


_signals = _Signals()


@contextmanager
def handled() -> Iterator[None]:
    """Turn the first signal into `Interrupted`; at a second one, or where that takes too long, the process is gone.

    Python runs a signal's handler between two steps of its own, and not while a library waits for an answer. So a
    thread hears of the signal, too, and counts the seconds.
    """
    _signals.seen = _signals.deferred = False
    _signals.failed = None
    _signals.handled = True
    _signals.farewell = NOTHING_WRITTEN
    ours, heard = socket.socketpair()
    heard.setblocking(False)
    left = Event()
    Thread(target=_leave_in_time, args=(ours, left), name="signals", daemon=True).start()
    before_descriptor = signal.set_wakeup_fd(heard.fileno(), warn_on_full_buffer=False)
    before = {number: signal.getsignal(number) for number in _NUMBERS}
    _take()
    try:
        yield
    finally:
        left.set()
        _signals.handled = False
        for number, handler in before.items():
            signal.signal(number, handler)
        signal.set_wakeup_fd(before_descriptor, warn_on_full_buffer=False)
        heard.close()


def interruptible(run: Callable[[], int], message: str = NOTHING_WRITTEN) -> int:
    """Run a command with its signals handled; return its exit status, 130 and a line after a signal, 1 after `fail`.

    The line is `message`, until `farewell` says otherwise.
    """
    try:
        with handled():
            farewell(message)
            return run()
    except Interrupted:
        if _signals.farewell:
            print(f"study: {_signals.farewell}", file=sys.stderr)
        return _status()


def keep_handling() -> None:
    """Take the signals back from a library that has taken them.

    Ray's core, when a process joins, lets SIGTERM write a stack and abort.
    """
    if _signals.handled:
        _take()


def _take() -> None:
    for number in _NUMBERS:
        if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN:  # as nohup asks
            signal.signal(number, _on_signal)


def farewell(message: str, tell: Callable[[str], object] | None = None) -> None:
    """Set what is said where the process does not leave in time after a signal; "" once it has been said.

    Wherever the process is ended, `tell` is called with what becomes of the study: "interrupted" or "failed".
    """
    _signals.farewell, _signals.tell = message, tell


def spare(pid: int) -> None:
    """Let a process that this one has started outlive it, however it ends."""
    _signals.spared.add(pid)


@contextmanager
def within(seconds: float, message: str, status: int) -> Iterator[None]:
    """End the process with a message and an exit status where a call of a library does not return in time."""
    timer = Timer(seconds, end, (message, status))
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


@contextmanager
def deferred() -> Iterator[None]:
    """Hold the first signal back until `check` is called: an exception inside Ray's core comes out as another one."""
    _signals.deferred = True
    try:
        yield
    finally:
        _signals.deferred = False


def check() -> None:
    """Raise `Interrupted` if a signal has come."""
    if _signals.seen:
        raise Interrupted


def seen() -> bool:
    """Say whether a signal has come."""
    return _signals.seen


def fail(message: str) -> None:
    """Let the main thread leave as after a signal, within the same time, but say why now, and exit with 1.

    From any thread, where a library may end the process before it has left.
    """
    if not _signals.handled:
        end(message, 1)
    _signals.failed, _signals.farewell = message, ""
    _say(message)
    signal.raise_signal(signal.SIGTERM)


def failed() -> str | None:
    """Return why `fail` asked the process to leave, which has been said; None where it did not."""
    return _signals.failed


def _status() -> int:
    return INTERRUPTED if _signals.failed is None else 1


def _on_signal(number: int, frame: FrameType | None) -> None:
    if _signals.seen:
        return  # the thread, which hears of each signal, ends the process
    _signals.seen = True
    if not _signals.deferred:
        raise Interrupted


def _leave_in_time(ours: socket.socket, left: Event) -> None:
    """Wait for a signal, and end the process where it has not left some seconds later, or at a second signal."""
    with ours:
        while (number := ours.recv(1)) and number[0] not in _NUMBERS:
            pass
        if not number:
            return
        ends = time.monotonic() + LEAVE_SECONDS
        while (rest := ends - time.monotonic()) > 0:
            ours.settimeout(rest)
            try:
                again = ours.recv(1)
            except TimeoutError:
                break
            if not again or left.is_set():
                return
            if again[0] in _NUMBERS:
                break
    if not left.is_set():
        end(_signals.farewell, _status())


def end(message: str, status: int) -> NoReturn:
    """End the process from any thread, with a line on the standard error output, and the processes that it started."""
    if message:
        _say(message)
    end_children()  # Ray's, one of which may have hung
    if _signals.tell is not None:
        said = "interrupted" if status == INTERRUPTED else "failed"
        telling = Thread(target=_signals.tell, args=(said,), daemon=True)  # it may wait for what has hung
        telling.start()
        telling.join(_TELL_SECONDS)
    os._exit(status)


def _say(message: str) -> None:
    with suppress(OSError):  # not through sys.stderr, whose lock the main thread may hold
        os.write(2, f"study: {message}\n".encode(errors="replace"))


def end_children(*, but: Collection[int] = ()) -> None:
    """Kill the processes that this one has started, but for some and those that are spared."""
    for child in children() - set(but) - _signals.spared:
        with suppress(OSError):
            os.kill(child, signal.SIGKILL)


def children() -> set[int]:
    """Return the processes that this one has started, where the system lists them."""
    lists = Path("/proc/self/task").glob("*/children")
    try:
        return {int(pid) for file in lists for pid in file.read_text().split()}
    except OSError:
        return set()
