"""The command: `python study/run.py --space cifar_ae` runs a whole study; `--help` names its options."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import NoReturn

if __package__ in (None, ""):
    # Run as a file: import the packages from the checkout, not this folder's modules from the top.
    sys.path[0] = str(Path(__file__).resolve().parents[1])

from study import interrupt
from study.interrupt import Interrupted
from study.record.commands import exit_status
from study.record.errors import INTERRUPTED


def main(argv: list[str] | None = None) -> int:
    """Run the command and return its exit status: 0, 1 (the study failed), 2 (unusable input) or 130 (interrupted)."""
    try:
        with interrupt.handled():
            return exit_status(lambda: _main(argv))
    except Interrupted:
        print("study: interrupted before the study began; nothing was written", file=sys.stderr)
        return INTERRUPTED


def command() -> NoReturn:
    """Run the command as a process of its own."""
    code = main()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)  # nothing is left to be cleaned up, and to take PyTorch and MLflow apart takes two seconds


def _main(argv: list[str] | None) -> int:
    from study.settings import command_line

    options = command_line.parse(argv)
    if options.list:
        from study.driver.listing import list_spaces

        print(list_spaces())
        return 0
    if options.resume is not None:
        from study.driver import launch
        from study.settings.resumption import resumed_settings

        storage = Path(options.storage or "results").expanduser().absolute()
        return launch.resume(options.resume, storage, lambda recorded: resumed_settings(options, recorded))
    settings = command_line.settings_of(options)
    if options.dry_run:
        from study.driver.listing import dry_run

        print(dry_run(settings, trials=options.trials))
        return 0
    from study.driver import launch

    return launch.start(settings)


if __name__ == "__main__":
    command()
