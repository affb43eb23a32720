"""Ctrl-C and SIGTERM: the first one unwinds the driver, the second one ends it at once.

Both are safe for a study: its journal is written one whole event at a time, its checkpoints are renamed into place.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from study.record.errors import INTERRUPTED


class Interrupted(BaseException):
    """The user or the machine asked the study to leave; not an Exception, so that nothing on the way catches it."""


_NUMBERS = (signal.SIGINT, signal.SIGTERM)


class _Signals:
    handled = False
    seen = False
    deferred = False


_signals = _Signals()


@contextmanager
def handled() -> Iterator[None]:
    """Turn the first SIGINT or SIGTERM into `Interrupted`; at a second one the process is gone."""
    _signals.seen = _signals.deferred = False
    _signals.handled = True
    before = {number: signal.signal(number, _on_signal) for number in _NUMBERS}
    try:
        yield
    finally:
        _signals.handled = False
        for number, handler in before.items():
            signal.signal(number, handler)


def keep_handling() -> None:
    """Take the signals back from a library that has taken them.

    Ray's core, when a process joins, lets SIGTERM write a stack and abort.
    """
    if _signals.handled:
        for number in _NUMBERS:
            signal.signal(number, _on_signal)


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


def _on_signal(number: int, frame: FrameType | None) -> None:
    if _signals.seen:
        os._exit(INTERRUPTED)
    _signals.seen = True
    if not _signals.deferred:
        raise Interrupted
