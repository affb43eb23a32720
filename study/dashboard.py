"""All studies of a folder in one optuna-dashboard, as their searches are now, on this machine alone.

Each study's Optuna log is read and copied into memory: what is written in the dashboard goes when it ends, and what a
running study does later is shown when it is started again. Ctrl-C ends it.

Examples:
    python study/dashboard.py
    python study/dashboard.py results --port 8081
"""

from __future__ import annotations

import argparse
import os
import signal
import socket
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if __package__ in (None, ""):
    # Run as a file: import the packages from the checkout, not this folder's modules from the top.
    sys.path[0] = str(Path(__file__).resolve().parents[1])

from study.record import commands
from study.record.commands import STORAGE
from study.record.errors import UsageError
from study.record.folder import StudyFolder
from study.record.values import integer

if TYPE_CHECKING:
    from optuna.storages import BaseStorage

_HOST = "127.0.0.1"
_PORT = 8080


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit status: 0 after Ctrl-C, or 2 where there is nothing to show, or no way to."""
    return commands.exit_status(lambda: _run(_parse(argv)))


def _run(options: argparse.Namespace) -> None:
    try:
        from optuna_dashboard import run_server
    except ImportError:
        needed = "pip install -e '.[dashboard]' -c constraints.txt"
        raise UsageError(f"optuna-dashboard is not installed: {needed}") from None
    storage = storage_of(options.folder)
    _check_port(options.port)
    print(f"http://{_HOST}:{options.port} shows {options.folder}; Ctrl-C ends it", flush=True)
    signal.signal(signal.SIGINT, signal.default_int_handler)  # what a shell begins in the background ignores it
    try:
        run_server(storage, host=_HOST, port=options.port)  # which takes Ctrl-C for its end
    except KeyboardInterrupt:
        pass  # one that came while it was ending
    finally:
        signal.signal(signal.SIGINT, signal.SIG_IGN)


def storage_of(folder: Path) -> BaseStorage:
    """Return the searches of all studies below a storage folder as one storage in memory; say which are left out.

    Raises:
        UsageError: there is no search that can be shown.
    """
    from study.record.terminal import wrapped
    from study.search.storages import together

    if not folder.is_dir():
        raise UsageError(f"'{folder}' is no folder; give the one that your studies are in: study dashboard FOLDER")
    studies = [StudyFolder(path) for path in sorted(folder.iterdir())]
    searches = [study for study in studies if study.optuna_log.is_file()]
    storage, skipped = together(searches)
    for line in skipped:
        commands.say_progress(f"study: {line}")
    shown = storage.get_all_studies()
    if not shown:
        begin = commands.hint("run", "--space", "NAME")
        raise UsageError(f"'{folder}' has no study with a search that can be shown; begin one with: {begin}")
    print(wrapped(f"Searches: {', '.join(study.study_name for study in shown)}", 4))
    return storage


def _check_port(port: int) -> None:
    try:
        socket.create_server((_HOST, port)).close()
    except (OSError, OverflowError) as error:  # above 65535
        reason = os.strerror(error.errno) if isinstance(error, OSError) and error.errno else error
        raise UsageError(f"--port {port} cannot be used ({reason}); give another one") from None


def _parse(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = commands.parser("dashboard", __doc__)
    parser.add_argument(
        "folder",
        type=Path,
        nargs="?",
        default=Path(STORAGE),
        metavar="FOLDER",
        help=f"{commands.STORAGE_HELP} (default: {STORAGE})",
    )
    commands.add_value(
        parser, "--port", integer(1), "N", f"where it is shown, on {_HOST} (default: {_PORT})", default=_PORT
    )
    return parser.read(argv)


if __name__ == "__main__":
    sys.exit(main())
