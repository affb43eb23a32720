"""Each claim of the reports beside what this project measured under the same definition.

KEY is a claim's key, a glob such as 'cifar_ae/pca_*', or a report's name; without one every claim is audited.
Numbers are looked up in the confirmations of the studies in the storage folder and in results/baselines/*.csv, which
study/baseline.py writes. Nothing is trained.

Examples:
    python analysis/audit.py
    python analysis/audit.py mnist_ae 'cifar_ae/pca_*' --csv audit.csv
"""

from __future__ import annotations

import argparse
import difflib
import fnmatch
import sys
from collections.abc import Sequence
from pathlib import Path

if __package__ in (None, ""):
    # Run as a file: import the packages from the checkout, not this folder's modules from the top.
    sys.path[0] = str(Path(__file__).resolve().parents[1])

from rich.console import Console

import search_spaces
from analysis.audits.document import page_of
from analysis.audits.evidence import read_evidence
from analysis.audits.table import compute_table
from analysis.audits.terminal import show
from analysis.audits.verdicts import Audited, audit
from analysis.page.render import render
from search_spaces import Claim


def compute_audit(keys: Sequence[str], storage: Path) -> tuple[list[Audited], tuple[str, ...]]:
    """Return the audited claims, and a line on each study that could not be read.

    Raises:
        LookupError: no claim has such a key; the message names the nearest.
        FileNotFoundError: there is no such storage folder.
    """
    claims = select(keys)
    evidence = read_evidence(storage)
    return [audit(claim, evidence) for claim in claims], evidence.skipped


def select(keys: Sequence[str]) -> list[Claim]:
    """Return the claims that any of the keys, globs or reports' names mean, in the reports' order; all without any.

    Raises:
        LookupError: one of them means none.
    """
    claims = search_spaces.claims()
    reports = list(dict.fromkeys(claim.key.split("/")[0] for claim in claims))
    chosen: set[str] = set()
    for key in keys:
        pattern = f"{key}/*" if key in reports else key
        found = {claim.key for claim in claims if fnmatch.fnmatchcase(claim.key, pattern)}
        if not found:
            near = difflib.get_close_matches(key, [*reports, *(claim.key for claim in claims)], n=1, cutoff=0.4)
            hint = f" (did you mean {near[0]}?)" if near else ""
            raise LookupError(f"no claim has the key {key!r}{hint}; reports: {', '.join(reports)}")
        chosen |= found
    return [claim for claim in claims if claim.key in chosen or not keys]


def main(argv: Sequence[str] | None = None) -> int:
    """Print the audit; 2 if a key or the storage folder is unknown, or a file cannot be written."""
    parser = argparse.ArgumentParser(
        prog="analysis/audit.py", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("keys", nargs="*", metavar="KEY", help="a claim, a glob or a report; default all")
    parser.add_argument("--storage", default="results", type=Path, metavar="DIR", help="default results")
    parser.add_argument("--csv", type=Path, metavar="FILE", help="write every number in full precision")
    parser.add_argument("--html", type=Path, metavar="FILE", help="write a page")
    options = parser.parse_args(argv)
    try:
        audited, skipped = compute_audit(options.keys, options.storage)
        if options.csv:
            compute_table(audited).to_csv(options.csv, index=False)
        if options.html:
            options.html.write_text(render(page_of(audited, skipped)), encoding="utf-8")
    except (LookupError, OSError) as error:
        print(f"audit: {error}", file=sys.stderr)
        return 2
    for line in skipped:
        print(f"audit: {line}", file=sys.stderr)
    show(audited, Console())
    return 0


if __name__ == "__main__":
    sys.exit(main())
