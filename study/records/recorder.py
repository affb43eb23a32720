"""Where every event of a study passes: into the journal, then into the state, then to whoever listens."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from study.records.journal import Event, Journal
from study.records.state import StudyState


class Recorder:
    """The one writer of a study's journal; listeners (tracking, display) hear of an event once it is on disk.

    The tracker's thread records too, so one event is taken in at a time.
    """

    def __init__(self, journal: Journal, state: StudyState) -> None:
        self._journal = journal
        self.state = state
        self._listeners: list[Callable[[Event], None]] = []
        self._lock = threading.RLock()

    def listen(self, listener: Callable[[Event], None]) -> None:
        """Call `listener` with every later event."""
        self._listeners.append(listener)

    def record(self, kind: str, /, **fields: Any) -> None:
        """Write an event and pass it on."""
        with self._lock:
            event = self._journal.append(kind, **fields)
            self.state.apply(event)
            for listener in self._listeners:
                listener(event)
