"""The report of a study as one HTML file with its tables as CSV beside it.

With --reproductions, instead, the page of the five reports beside what this project measured, in Markdown.

Examples:
    python analysis/report.py night --open
    python analysis/report.py night --paper
    python analysis/report.py --reproductions
    python analysis/report.py night --tracking-uri http://host:5000 --out night/index.html
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Sequence
from itertools import count
from pathlib import Path

if __package__ in (None, ""):
    # Run as a file: import the packages from the checkout, not this folder's modules from the top.
    sys.path[0] = str(Path(__file__).resolve().parents[1])

from analysis.output import write_page
from analysis.page.parts import Page
from analysis.study_files import NoStudyError, StudyFiles, read_study
from study.record import archive, commands, files
from study.record.errors import UsageError
from study.record.folder import StudyFolder, is_trusted
from study.record.reproductions import KEPT
from study.record.tracking_uri import MASK, masked, usable

LIMIT = 15 * 2**20
"""Bytes above which a report is said to be large: mail and MLflow's viewer take so much."""


_PAGE = Path(__file__).resolve().parents[1] / "docs" / "reproductions.md"


def build(study: StudyFiles) -> Page:
    """Return the report of a study, with every figure that it has something for."""
    from analysis.page import pictures
    from analysis.page.sections import report_page

    return report_page(study, pictures.drawings(pictures.MODULES))


def main(argv: Sequence[str] | None = None) -> int:
    """Write a study's report; 2 if there is no such study or the report cannot be written."""
    return commands.exit_status(lambda: _run(argv))


def _run(argv: Sequence[str] | None) -> None:
    parser = commands.parser("report", __doc__)
    parser.add_argument("name", nargs="?", metavar="NAME", help="the study's name")
    kept = "write the page of the reports, docs/reproductions.md unless --out names another, from what is kept in DIR"
    parser.add_argument(
        "--reproductions", type=Path, nargs="?", const=KEPT, metavar="DIR", help=f"{kept} (analysis/reproductions)"
    )
    commands.add_storage(parser)
    commands.add_out(
        parser, "the page to write, its tables in a folder beside it; default report/index.html in the study's folder"
    )
    parser.add_argument("--tracking-uri", metavar="URI", help="read the study from MLflow alone, not from its files")
    parser.add_argument("--no-mlflow", action="store_true", help="do not store the report with the study's MLflow run")
    paper = (
        "write paper/ in the study's folder: LaTeX tables, a protocol, figures, references, a checklist; "
        "and NAME.zip: that, the study's journal and tables, and the SHA-256 of each"
    )
    parser.add_argument("--paper", action="store_true", help=paper)
    commands.add_open(parser)
    options = parser.read(argv)
    if options.reproductions is not None:
        _write_reproductions(options)
        return
    if options.name is None:
        raise UsageError("NAME is missing: the study's name; or give --reproductions")
    if options.paper and (options.out or options.open):
        raise UsageError("--paper writes a folder into the study's own: it takes no --out and no --open")
    with tempfile.TemporaryDirectory(prefix="study-report-") as scratch:
        study = _read(options, Path(scratch))
        if options.paper:
            _write_paper(study, StudyFolder(options.storage / study.name), with_archive=options.tracking_uri is None)
            return
        path: Path = options.out or StudyFolder(options.storage / study.name).report / "index.html"
        files.check_writable(path, "report.html")
        write_page(path, build(study), alone=options.out is None)
    if study.partial:
        print(f"study: {study.partial}", file=sys.stderr)
    size = path.stat().st_size
    if size > LIMIT:
        print(
            f"study: a report of more than {LIMIT / 2**20:.0f} MiB; large pictures in samples/ are what to take away",
            file=sys.stderr,
        )
    print(f"{path} ({size / 2**20:.1f} MiB)")
    if options.tracking_uri is None and options.out is None and not options.no_mlflow:
        _store(study, path.parent)
    if options.open:
        commands.open_in_browser(path)


def _write_paper(study: StudyFiles, folder: StudyFolder, *, with_archive: bool) -> None:
    from analysis.page import pictures
    from analysis.page.paper import write_paper

    if study.summary is None:
        raise UsageError(f"--paper is of a finished study, and {study.name!r} is not: {study.partial}")
    if folder.paper.exists() and not archive.has_paper(folder):
        numbered = (folder.path / f"{folder.paper.name}-{number}" for number in count(1))
        aside = next(path for path in numbered if not path.exists())
        folder.paper.rename(aside)
        print(f"study: {folder.paper} has changed since it was written; that is {aside} now", file=sys.stderr)
    write_paper(study, pictures.drawings(pictures.MODULES), folder.paper)
    print(folder.paper / "main.tex")
    if with_archive:
        print(archive.write(folder))
    else:
        print("study: no archive is written: it needs the study's journal, which MLflow does not have", file=sys.stderr)


def _write_reproductions(options: argparse.Namespace) -> None:
    from analysis.page.reproductions import write_reproductions

    kept: Path = options.reproductions
    if options.name is not None or options.open:
        raise UsageError("--reproductions is a Markdown page of all that is kept: it takes no NAME and no --open")
    if not kept.is_dir():
        raise UsageError(f"--reproductions {str(kept)!r} is no folder; study reproduce writes one")
    page: Path = options.out or _PAGE
    files.check_writable(page, "reproductions.md")
    write_reproductions(kept, page)
    print(page)


def _store(study: StudyFiles, folder: Path) -> None:
    """Put a report where the study's runs are; one that MLflow does not take is a report all the same."""
    from analysis.mlflow_files import log_report

    recorded = study.settings.get("tracking_uri")
    if not recorded:
        return
    uri = usable(recorded, trusted=is_trusted(study.paths, study.about.get("place")))
    if MASK in uri:
        print(f"study: the report is not in MLflow: set MLFLOW_TRACKING_URI to {uri} with its secret", file=sys.stderr)
        return
    try:
        log_report(study.name, uri, folder, study.about.get("uuid"))
    except NoStudyError as error:
        print(f"study: the report is not in MLflow: {error}", file=sys.stderr)
    else:
        print(f"in MLflow: {masked(uri)}, run {study.name}, artifact report/index.html")


def _read(options: argparse.Namespace, scratch: Path) -> StudyFiles:
    if options.tracking_uri is None:
        return read_study(options.name, options.storage)
    from analysis.mlflow_files import read_study_from_mlflow

    return read_study_from_mlflow(options.name, options.tracking_uri, scratch)


if __name__ == "__main__":
    sys.exit(main())
