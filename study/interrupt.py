"""Ctrl-C and SIGTERM: the first one unwinds the driver, the second one ends it at once."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

EXIT_CODE = 130


class Interrupted(BaseException):
    """The user or the machine asked the study to leave; not an Exception, so that nothing on the way catches it."""


@contextmanager
def handled() -> Iterator[None]:
    """Turn the first SIGINT or SIGTERM into `Interrupted`; at a second one the process is gone.

    Both are safe for the study: the journal is written one whole event at a time, checkpoints are renamed into place.
    """
    seen = False

    def on_signal(number: int, frame: FrameType | None) -> None:
        nonlocal seen
        if seen:
            os._exit(EXIT_CODE)
        seen = True
        raise Interrupted

    before = {number: signal.signal(number, on_signal) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
