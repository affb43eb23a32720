"""Each claim of the reports beside what this project measured under the same definition.

KEY is a claim's key, a glob such as 'cifar_ae/pca_*', or a report's name; without one every claim is audited, and shown
is how many of each report have which verdict.
Numbers are looked up in the confirmations of the studies in the storage folder, in its baselines/*.csv, which
study/baseline.py writes, and in analysis/reproductions, what the repository keeps of study/reproduce.py. Each number
is shown with its run. Nothing is trained.

Examples:
    python analysis/audit.py
    python analysis/audit.py '*'
    python analysis/audit.py mnist_ae 'cifar_ae/pca_*' --csv audit.csv
"""

from __future__ import annotations

import fnmatch
import sys
from collections.abc import Sequence
from pathlib import Path

if __package__ in (None, ""):
    # Run as a file: import the packages from the checkout, not this folder's modules from the top.
    sys.path[0] = str(Path(__file__).resolve().parents[1])

from rich.console import Console

import search_spaces
from analysis import output
from analysis.audits.evidence import read_evidence
from analysis.audits.verdicts import Audited, audit
from analysis.audits.views import compute_table, page_of, show, show_counts
from search_spaces import Claim
from study.record import commands
from study.record.errors import UsageError, nearest
from study.record.reproductions import KEPT


def compute_audit(
    keys: Sequence[str], storage: Path, kept: Path | None = None
) -> tuple[list[Audited], tuple[str, ...]]:
    """Return the audited claims, and a line on each study that could not be read.

    Args:
        keys: As `select` takes them.
        storage: The folder of the studies.
        kept: The folder of what the repository keeps of reproductions; None for none.

    Raises:
        UsageError: no claim has such a key, or there is no such storage folder.
    """
    claims = select(keys)
    evidence = read_evidence(storage, kept)
    return [audit(claim, evidence) for claim in claims], evidence.skipped


def select(keys: Sequence[str]) -> list[Claim]:
    """Return the claims that any of the keys, globs or reports' names mean, in the reports' order; all without any.

    Raises:
        UsageError: one of them means none; the message names the nearest.
    """
    claims = search_spaces.claims()
    reports = list(dict.fromkeys(claim.key.split("/")[0] for claim in claims))
    chosen: set[str] = set()
    for key in keys:
        pattern = f"{key}/*" if key in reports else key
        found = {claim.key for claim in claims if fnmatch.fnmatchcase(claim.key, pattern)}
        if not found:
            near = nearest(key, [*reports, *(claim.key for claim in claims)], cutoff=0.4)
            raise UsageError(f"claim {key!r} is not known{near}; reports: {', '.join(reports)}")
        chosen |= found
    return [claim for claim in claims if claim.key in chosen or not keys]


def main(argv: Sequence[str] | None = None) -> int:
    """Print the audit; 2 if a key or the storage folder is unknown, or a file cannot be written."""
    return commands.exit_status(lambda: _run(argv))


def _run(argv: Sequence[str] | None) -> None:
    parser = commands.parser("audit", __doc__)
    parser.add_argument("keys", nargs="*", metavar="KEY", help="a claim, a glob or a report; default all")
    commands.add_storage(parser)
    kept = "folder of what is kept of reproductions (default: analysis/reproductions)"
    parser.add_argument("--reproductions", type=Path, default=KEPT, metavar="DIR", help=kept)
    output.add_page_options(parser)
    options = parser.read(argv)
    output.check_outputs(options)
    audited, skipped = compute_audit(options.keys, options.storage, options.reproductions)
    if options.csv:
        output.write_table(options.csv, compute_table(audited))
    if options.out:
        output.write_page(options.out, page_of(audited, skipped))
    for line in skipped:
        print(f"study: {line}", file=sys.stderr)
    (show if options.keys else show_counts)(audited, Console())
    if options.open:
        commands.open_in_browser(options.out)


if __name__ == "__main__":
    sys.exit(main())
