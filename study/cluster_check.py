"""Preflight of a running cluster: `python study/cluster_check.py` on its head says, line by line, what is in order.

Every line begins with "ok" or "FAIL"; the exit code is 1 if any fails, 2 if there is no cluster to look at.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

if __package__ in (None, ""):
    # Run as a file: import the packages from the checkout, not this folder's modules from the top.
    sys.path[0] = str(Path(__file__).resolve().parents[1])

from study.record.errors import StudyError, UsageError

DEFAULT_URI = "sqlite:///mlflow.db"


def main(argv: list[str] | None = None) -> int:
    """Run the command and return its exit code: 0, 1 (a check failed) or 2 (no cluster, unusable input)."""
    try:
        return _main(argv)
    except StudyError as error:
        print(f"cluster_check: {' '.join(str(error).split())}", file=sys.stderr)
        return error.exit_code


def _main(argv: list[str] | None) -> int:
    from study.settings.values import Parser, integer

    parser = Parser(prog="study/cluster_check.py", description="Check a running Ray cluster.", allow_abbrev=False)
    parser.add_argument("--address", metavar="ADDR", help="a Ray cluster; default $RAY_ADDRESS, else auto")
    parser.add_argument("--storage", metavar="DIR", default="results", help="default results")
    parser.add_argument("--tracking-uri", metavar="URI", help=f"default $MLFLOW_TRACKING_URI, else {DEFAULT_URI}")
    parser.add_argument("--nodes", type=integer("--nodes", 1), metavar="N", help="how many nodes there have to be")
    options = parser.parse_args(argv)
    from study.cluster import joining, preflight

    storage = Path(os.path.abspath(os.path.expanduser(options.storage)))
    if not storage.is_dir():
        raise UsageError(f"--storage {options.storage!r} is no folder here; name the one that studies are written to")
    uri = options.tracking_uri or os.environ.get("MLFLOW_TRACKING_URI", DEFAULT_URI)
    address = options.address or os.environ.get("RAY_ADDRESS") or "auto"
    with joining.joined(address):
        findings = preflight.findings(storage, uri, options.nodes)
    for finding in findings:
        print(finding)
    return 0 if all(finding.ok for finding in findings) else 1


if __name__ == "__main__":
    sys.exit(main())
