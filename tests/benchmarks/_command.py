"""What the commands of all benchmarks have in common: their options, and where their lines go.

Each benchmark is a file of its own, which runs alone, or as a child of `python tests/benchmarks`, which takes its lines
as JSON. A package that a benchmark changes for its measurement (`search_spaces.get`, `models.build`) is changed in that
process alone.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import _machine
from _lines import Line, UnavailableError, as_text

REPOSITORY = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(REPOSITORY))


def parser(description: str | None) -> argparse.ArgumentParser:
    """Return a parser with the options of every benchmark."""
    made = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument(
        "--quick", action="store_true", help="small sizes, to see that it works; the numbers mean nothing"
    )
    made.add_argument(
        "--data-dir", type=Path, help="where the data sets lie (default $STUDY_DATA, ~/.cache/study-data)"
    )
    made.add_argument("--json", type=Path, metavar="FILE", help="write the lines there too, for the table")
    return made


def run(options: argparse.Namespace, packages: Sequence[str], measure: Callable[[], Sequence[Line]]) -> None:
    """Measure, print the machine and the lines, and write them where `--json` says.

    Raises:
        SystemExit: the benchmark cannot run here, and nobody asked for JSON, in which that is a line too.
    """
    print(_machine.describe(packages), flush=True)
    try:
        lines = list(measure())
    except UnavailableError as error:
        if options.json is None:
            sys.exit(f"cannot run here: {error}")
        lines = [Line("all of it", reason=str(error))]
    print("\n" + as_text(lines))
    if options.json is not None:
        document = {"versions": _machine.versions(packages), "lines": [line.to_json() for line in lines]}
        options.json.write_text(json.dumps(document))


def data_dir(options: argparse.Namespace) -> Path:
    """Return the absolute folder of the data sets."""
    from study.data.image_data import default_data_dir

    return (options.data_dir or default_data_dir()).expanduser().resolve()


def need_data(name: str, folder: Path) -> None:
    """See that a data set's files lie in `folder`: a benchmark downloads nothing.

    Raises:
        UnavailableError: they do not.
    """
    import search_spaces

    spec = search_spaces.datasets()[name]
    if missing := [file for file in spec.md5 if not (folder / spec.folder / file).exists()]:
        raise UnavailableError(f"{spec.title} is not in {folder}: {missing[0]} is missing; see --data-dir")
