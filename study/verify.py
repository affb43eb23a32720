"""Check a study's archive, NAME.zip of `study report NAME --paper`: every file by its SHA-256, and the journal.

Prints a line for each file that is wrong and one for the whole; the exit status is 0 where all is right, 1 where
something is wrong, 2 for a file that is no archive. Nothing is unpacked and no code is run. It says whether the archive
is what was written, not who wrote it: compare its own SHA-256, which is printed, with the one that its author gives.

Examples:
    python study/verify.py results/night/night.zip
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

if __package__ in (None, ""):
    # Run as a file: import the packages from the checkout, not this folder's modules from the top.
    sys.path[0] = str(Path(__file__).resolve().parents[1])

from study.record import archive, commands
from study.record.errors import StudyError
from study.record.words import counted


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit status: 0, 1 where something is wrong, 2 for unusable input."""
    return commands.exit_status(lambda: _run(argv))


def _run(argv: Sequence[str] | None) -> None:
    parser = commands.parser("verify", __doc__)
    parser.add_argument("archive", type=Path, metavar="ARCHIVE", help="the zip file")
    path = parser.read(argv).archive
    found = archive.read(path)
    faults = found.faults()
    for fault in faults:
        print(fault)
    if faults:
        raise StudyError(f"{path} is not as it was written: {counted(len(faults), 'fault')}")
    state = found.state()
    print(
        f"{path} is as it was written: study {found.study}\n"
        f"{counted(len(found.files), 'file')}, a journal of {counted(len(state.runs), 'run')}\nSHA-256 {found.digest}"
    )


if __name__ == "__main__":
    sys.exit(main())
