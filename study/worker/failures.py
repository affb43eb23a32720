"""What went wrong in a worker, in one line."""

from __future__ import annotations

import contextlib
from pathlib import Path
from traceback import format_exception

import torch

from study.record import files as atomic


def explained(error: Exception, errors: Path, run_id: str) -> str:
    """Return the reason, and leave the traceback in the study's errors/ for who has to mend it."""
    with contextlib.suppress(OSError):
        atomic.write_text(errors / f"{run_id}.txt", "".join(format_exception(error)))
    return reason(error)


def reason(error: Exception) -> str:
    """Say in one line what ended a run."""
    kind = "out of memory" if out_of_memory(error) else type(error).__name__
    return f"{kind}: {_first_line(error)}".rstrip(": ")


def out_of_memory(error: Exception) -> bool:
    """Return whether memory ran out, of the GPU or of the machine."""
    return isinstance(error, torch.OutOfMemoryError | MemoryError) or "can't allocate memory" in _first_line(error)


def _first_line(error: Exception) -> str:
    return next(iter(str(error).strip().splitlines()), "")
