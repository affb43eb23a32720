"""The append-only journal of a study: one JSON object per line, the truth that all else is rebuilt from."""

from __future__ import annotations

import json
import os
import threading
import time
from pathlib import Path
from typing import Any

from study.atomic import finite
from study.errors import StudyError

Event = dict[str, Any]

# An epoch that a power cut takes back is trained again from its checkpoint; every other event is worth a disk sync.
_NOT_SYNCED = frozenset({"epoch", "placed", "tracked", "delivered"})


class Journal:
    """An open journal that events are appended to, each in a single write.

    A driver killed in mid-write leaves at most one torn last line; `read` ignores it and opening cuts it off.
    """

    def __init__(self, path: Path) -> None:
        self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        self._lock = threading.Lock()
        os.lseek(self._descriptor, _truncate_torn_line(self._descriptor), os.SEEK_SET)

    def append(self, kind: str, /, **fields: Any) -> Event:
        """Write one event and return it as it can be read back.

        Raises:
            StudyError: the disk is full or gone; the study can be resumed once there is space.
        """
        event = {"event": kind, "time": round(time.time(), 3), **fields}
        line = json.dumps(finite(event), ensure_ascii=False, allow_nan=False).encode() + b"\n"
        with self._lock:
            start = os.lseek(self._descriptor, 0, os.SEEK_CUR)
            try:
                if os.write(self._descriptor, line) != len(line):
                    raise OSError(28, "No space left on device")
                if kind not in _NOT_SYNCED:
                    os.fsync(self._descriptor)
            except OSError as error:
                os.ftruncate(self._descriptor, start)
                os.lseek(self._descriptor, start, os.SEEK_SET)
                raise StudyError(f"the journal cannot be written: {error.strerror}; make space, then resume") from error
        return event

    def close(self) -> None:
        """Close the file; later appends fail."""
        os.close(self._descriptor)


def read(path: Path) -> list[Event]:
    """Return the events of a journal in order, without a torn last line.

    Raises:
        StudyError: a line before the last is no JSON object, so that the file was damaged by something else.
    """
    lines = path.read_bytes().split(b"\n")
    events = []
    for number, line in enumerate(lines[:-1], start=1):  # what follows the last newline is torn or empty
        try:
            events.append(json.loads(line))
        except ValueError:
            raise StudyError(f"{path} is damaged in line {number}: it is no JSON") from None
    return events


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
