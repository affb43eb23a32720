"""The report of a study as one HTML file: `python analysis/report.py NAME`."""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import webbrowser
from pathlib import Path

if __package__ in (None, ""):
    # Run as a file: import the packages from the checkout, not this folder's modules from the top.
    sys.path[0] = str(Path(__file__).resolve().parents[1])

from analysis.page.parts import Page
from analysis.study_files import NoStudyError, StudyFiles, read_study

LIMIT = 15 * 2**20
"""Bytes above which a report is said to be large: mail and MLflow's viewer take so much."""


def build(study: StudyFiles) -> Page:
    """Return the report of a study, with every figure that it has something for."""
    from analysis.page.registry import DRAWINGS
    from analysis.page.sections import report_page

    return report_page(study, DRAWINGS)


def write(page: Page, folder: Path) -> Path:
    """Write a page as index.html, and its tables as CSV files beside it, and return where.

    Tables of an earlier report are removed. The page is replaced whole or not at all.

    Raises:
        OSError: the folder cannot be written.
    """
    from analysis.page.render import render

    html = render(page).encode()
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.glob("*.csv"):
        old.unlink()
    for table in page.tables:
        table.frame.to_csv(folder / f"{table.name}.csv", index=False)
    part = folder / ".index.html.part"
    part.write_bytes(html)
    os.replace(part, folder / "index.html")
    return folder / "index.html"


def main(argv: list[str] | None = None) -> int:
    """Write a study's report; 2 if there is no such study or the report cannot be written."""
    parser = argparse.ArgumentParser(prog="analysis/report.py", description=__doc__)
    parser.add_argument("name", help="the study's name")
    parser.add_argument("--storage", default="results", type=Path, metavar="DIR", help="default results")
    parser.add_argument("--tracking-uri", metavar="URI", help="read the study from MLflow alone, not from its files")
    parser.add_argument("--no-mlflow", action="store_true", help="do not store the report with the study's MLflow run")
    parser.add_argument("--open", action="store_true", help="and open it in the browser")
    options = parser.parse_args(argv)
    try:
        with tempfile.TemporaryDirectory(prefix="study-report-") as scratch:
            study = _read(options, Path(scratch))
            path = write(build(study), options.storage / study.name / "report")
    except NoStudyError as error:
        print(f"report: {error}", file=sys.stderr)
        return 2
    except OSError as error:
        print(f"report: {error.filename or options.storage} cannot be written: {error.strerror}", file=sys.stderr)
        return 2
    if study.partial:
        print(f"report: {study.partial}", file=sys.stderr)
    size = path.stat().st_size
    if size > LIMIT:
        print(
            f"report: more than {LIMIT / 2**20:.0f} MiB; large pictures in samples/ are what to take away",
            file=sys.stderr,
        )
    print(f"{path} ({size / 2**20:.1f} MiB)")
    if options.tracking_uri is None and not options.no_mlflow:
        _store(study, path.parent)
    if options.open:
        webbrowser.open(path.resolve().as_uri())
    return 0


def _store(study: StudyFiles, folder: Path) -> None:
    """Put a report where the study's runs are; one that MLflow does not take is a report all the same."""
    from analysis.mlflow_files import log_report

    uri = study.about.get("settings", {}).get("tracking_uri")
    if not uri:
        return
    try:
        log_report(study.name, uri, folder)
    except NoStudyError as error:
        print(f"report: not in MLflow: {error}", file=sys.stderr)
    else:
        print(f"in MLflow: {uri}, run {study.name}, artifact report/index.html")


def _read(options: argparse.Namespace, scratch: Path) -> StudyFiles:
    if options.tracking_uri is None:
        return read_study(options.name, options.storage)
    from analysis.mlflow_files import read_study_from_mlflow

    return read_study_from_mlflow(options.name, options.tracking_uri, scratch)


if __name__ == "__main__":
    sys.exit(main())
