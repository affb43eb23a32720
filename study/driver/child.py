"""A command of this project as a process of its own, which is asked to leave when the one that waits for it leaves."""

from __future__ import annotations

import ctypes
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence

from study.record.commands import script

OUT_OF_TIME = -1
"""In place of an exit status."""
_LEAVE_SECONDS = 30.0  # a study leaves within 10 s; on a busy machine it may take longer
_PR_SET_PDEATHSIG = 1  # prctl(2)


def run_to_end(
    verb: str, words: Sequence[str], seconds: float | None = None, say: Callable[[str], None] | None = None
) -> int:
    """Run a command and return its exit status, or `OUT_OF_TIME` where it was asked to leave after so many seconds.

    What it says goes where this process's output goes, or, line by line, to `say`, as a notebook wants it.

    It has a session of its own, so that Ctrl-C reaches it once, through this process: a second signal would end it
    without waiting. On Linux it is asked to leave, too, where this process is killed. Of a command that was killed
    itself the status is 1.
    """
    sys.stdout.flush()
    process = subprocess.Popen(
        [sys.executable, str(script(verb)), *words],
        start_new_session=True,
        preexec_fn=_leaving_with_parent(),  # noqa: PLW1509  (one system call, which takes no lock)
        stdout=subprocess.PIPE if say else None,
        stderr=subprocess.STDOUT if say else None,
    )
    try:
        for line in process.stdout or ():
            assert say is not None
            say(line.decode(errors="replace").rstrip("\n"))
        status = process.wait(seconds)
    except subprocess.TimeoutExpired:
        _ask_to_leave(process)
        return OUT_OF_TIME
    except BaseException:
        _ask_to_leave(process)
        raise
    if status < 0:
        print(f"study: the process was ended by {signal.Signals(-status).name}", file=sys.stderr)
        return 1
    return status


def _ask_to_leave(process: subprocess.Popen[bytes]) -> None:
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(_LEAVE_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _leaving_with_parent() -> Callable[[], object] | None:
    if sys.platform != "linux":
        return None
    prctl = ctypes.CDLL(None).prctl
    return lambda: prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
