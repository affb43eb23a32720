"""How a command ends: its exit status, and one line where something went wrong."""

from __future__ import annotations

import sys
from collections.abc import Callable

from study.errors import StudyError
from study.interrupt import EXIT_CODE


def exit_status(run: Callable[[], None], interrupted: str = "interrupted") -> int:
    """Run a command and return its exit status: 0, 1 or 2 by the error's kind, 130 for Ctrl-C.

    Args:
        run: The command.
        interrupted: What to say after Ctrl-C.
    """
    try:
        run()
    except StudyError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print(interrupted, file=sys.stderr)
        return EXIT_CODE
    return 0
