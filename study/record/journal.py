"""The append-only journal of a study: one event on each line, the truth that all other files are made from."""

from __future__ import annotations

import json
import os
import re
import threading
import time
import zlib
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from study.record import files
from study.record.errors import StudyError
from study.record.events import Event, StudyStarted
from study.record.files import finite
from study.record.lines import from_json
from study.record.state import StudyState

_TAIL = 64  # bytes that a line's checksum takes at most
_SUM = re.compile(rb', "crc": "([0-9a-f]{8})"\}$')


class Journal:
    """An open journal that events are appended to, each in a single write.

    A driver killed in mid-write leaves at most one torn last line; `read` ignores it and opening cuts it off. Each line
    ends with a checksum of all lines up to it.
    """

    def __init__(self, path: Path) -> None:
        self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        self._lock = threading.Lock()
        self._opened = time.monotonic()
        end = _truncate_torn_line(self._descriptor)
        self._crc = _last_crc(self._descriptor, end)
        os.lseek(self._descriptor, end, os.SEEK_SET)
        if not end:  # or a power cut takes the file itself back
            for folder in (path.parent, path.parent.parent):
                files.sync(folder)

    def append(self, event: Event) -> Event:
        """Write one event and return it with the time that has elapsed.

        Raises:
            StudyError: the disk is full or gone, so that the study can be resumed once there is space; or it is closed.
        """
        event = replace(event, elapsed=round(time.monotonic() - self._opened, 3))
        said = json.dumps(finite(event.to_json()), ensure_ascii=False, allow_nan=False).encode()[:-1]
        with self._lock:
            if self._descriptor < 0:
                raise StudyError("the journal is closed")
            crc = zlib.crc32(said, self._crc)
            line = said + f', "crc": "{crc:08x}"}}\n'.encode()
            start = os.lseek(self._descriptor, 0, os.SEEK_CUR)
            try:
                if os.write(self._descriptor, line) != len(line):
                    raise OSError(28, "No space left on device")
                if event.synced:
                    os.fsync(self._descriptor)
            except OSError as error:
                os.ftruncate(self._descriptor, start)
                os.lseek(self._descriptor, start, os.SEEK_SET)
                raise StudyError(f"the journal cannot be written: {error.strerror}; make space, then resume") from error
            self._crc = crc
        return event

    def close(self) -> None:
        """Close the file; later appends fail, as of a tracker's thread that is not yet done."""
        with self._lock:
            descriptor, self._descriptor = self._descriptor, -1  # whose number is the next file's
        os.close(descriptor)


def read(path: Path) -> list[Event]:
    """Return the events of a journal in order, without a torn last line.

    Raises:
        StudyError: a line before the last is no event, so that the file was damaged by something else, or a later
            version of the project wrote it.
    """
    return parse(path.read_bytes(), path)


def parse(content: bytes, path: Path) -> list[Event]:
    """Return the events of a journal's content, as `read` does; `path` is what messages call it."""
    lines = content.split(b"\n")
    events = []
    crc = None  # an earlier version wrote none
    for number, line in enumerate(lines[:-1], start=1):  # what follows the last newline is torn or empty
        try:
            crc = _checked(line, crc)
            said = json.loads(line)
            if not isinstance(said, dict):
                raise ValueError("it is no JSON object")
            events.append(from_json(said))
        except ValueError as error:
            reason = "it is no JSON" if isinstance(error, json.JSONDecodeError | UnicodeDecodeError) else error
            raise StudyError(f"{path} is damaged in line {number}: {reason}") from None
    return events


class Recorder:
    """The one writer of a study's journal; listeners (tracker, display) hear of an event once it is on disk.

    The tracker's thread records too, so one event is taken in at a time.

    Args:
        journal: Where events are written.
        state: What the journal says already; it is kept up to date.
    """

    def __init__(self, journal: Journal, state: StudyState) -> None:
        self._journal = journal
        self.state = state
        self._listeners: list[Callable[[Event], None]] = []
        self._lock = threading.RLock()

    def listen(self, listener: Callable[[Event], None]) -> None:
        """Call `listener` with every later event."""
        self._listeners.append(listener)

    def record(self, event: Event) -> None:
        """Write an event and pass it on."""
        with self._lock:
            event = self._journal.append(event)
            self.state.apply(event)
            for listener in self._listeners:
                listener(event)


def read_state(path: Path) -> StudyState:
    """Return what the journal at `path` says of its study.

    Raises:
        StudyError: it is damaged, or does not begin with the beginning of a study.
    """
    return fold(path, read(path))


def fold(path: Path, events: Sequence[Event]) -> StudyState:
    """Return what the events of the journal at `path` amount to.

    Raises:
        StudyError: they are not those of a study, in an order in which they can have happened.
    """
    state = StudyState()
    for number, event in enumerate(events, start=1):
        if number == 1 and not isinstance(event, StudyStarted):
            raise StudyError(f"{path} is damaged: it begins with {event.name!r} instead of the beginning of a study")
        try:
            state.apply(event)
        except KeyError as error:
            missing = f"run {error} has not begun" if error.args == (getattr(event, "id", None),) else f"no {error}"
            raise StudyError(f"{path} is damaged in line {number}: {missing}") from None
        except (TypeError, ValueError, AttributeError) as error:
            raise StudyError(f"{path} is damaged in line {number}: {error}") from None
    return state


def _checked(line: bytes, before: int | None) -> int | None:
    """Return the checksum of a line, which follows on `before`; None for one of an earlier version.

    Raises:
        ValueError: it is not what was written there.
    """
    found = _SUM.search(line)
    if found is None:
        if before is None:
            return None
        raise ValueError("it is torn or changed")
    crc = zlib.crc32(line[: found.start()], before or 0)
    if crc != int(found[1], 16):
        raise ValueError("it was changed, or lines before it were")
    return crc


def _last_crc(descriptor: int, end: int) -> int:
    """Return the checksum of the last of the whole lines that end there, 0 where there is none."""
    tail = os.pread(descriptor, min(end, _TAIL), max(0, end - _TAIL)).removesuffix(b"\n")
    found = _SUM.search(tail)
    return int(found[1], 16) if found else 0


def _truncate_torn_line(descriptor: int) -> int:
    """Cut off what follows the last newline, and return the length that is left, in bytes."""
    size = os.fstat(descriptor).st_size
    end = size
    while end > 0:
        start = max(0, end - 65536)
        newline = os.pread(descriptor, end - start, start).rfind(b"\n")
        if newline >= 0:
            end = start + newline + 1
            break
        end = start
    if end < size:
        os.ftruncate(descriptor, end)
    return end
