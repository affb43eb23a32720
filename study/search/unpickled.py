"""For what Tune pickles in vain."""

from __future__ import annotations

from typing import Any


class Unpickled:
    """Pickled as an empty object.

    Tune writes searchers, schedulers and callbacks to disk for its own restore. The journal is what a study is
    restored from, and open files, locks and a growing history are not worth writing.
    """

    def __reduce__(self) -> tuple[Any, ...]:
        """Leave everything out."""
        return (object, ())
