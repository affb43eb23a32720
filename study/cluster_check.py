"""Say where a running cluster is, and check it, on its head, line by line: each begins with "ok" or "FAIL".

The exit status is 1 if any check fails, 2 if there is no cluster to look at.

Examples:
    python study/cluster_check.py
    python study/cluster_check.py --nodes 3 --wait 5m --storage /efs/results
    python study/cluster_check.py --data cifar --data-dir /mnt/study/data
    python study/cluster_check.py --address auto --tracking-uri http://127.0.0.1:5000
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

if __package__ in (None, ""):
    # Run as a file: import the packages from the checkout, not this folder's modules from the top.
    sys.path[0] = str(Path(__file__).resolve().parents[1])

from study.record import commands, tracking_uri
from study.record.errors import UsageError
from study.record.settings import add_option
from study.record.values import duration, integer


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit status: 0, 1 (a check failed), 2 (no cluster, unusable input) or 130."""
    return commands.exit_status(lambda: _run(_parse(argv)))


def _run(options: argparse.Namespace) -> int:
    # Ray takes seconds to import, which --help and unknown options need not wait for.
    from study.cluster import joining, place, preflight

    storage = Path(os.path.abspath(options.storage.expanduser()))
    if not storage.is_dir():
        raise UsageError(
            f"--storage {str(options.storage)!r} is no folder here; name the one that studies are written to"
        )
    address = options.address or os.environ.get("RAY_ADDRESS") or "auto"
    with joining.joined(address, patience=options.wait):
        if options.wait:
            joining.await_nodes(options.nodes, options.wait)
        where = place.here(len(joining.nodes()))
        findings = preflight.check(
            where,
            storage,
            options.tracking_uri or tracking_uri.default(),
            nodes=options.nodes,
            data=options.data,
            data_dir=options.data_dir,
        )
    print(f"place: {where.words}")
    for finding in findings:
        print(finding)
    return 0 if all(finding.ok for finding in findings) else 1


def _parse(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = commands.parser("check", __doc__)
    parser.add_argument("--address", metavar="ADDR", help="a Ray cluster (default: $RAY_ADDRESS, else auto)")
    commands.add_storage(parser)
    add_option(parser, "tracking-uri")
    parser.add_argument(
        "--data", metavar="NAME|PATH", help="a data set, or images, that have to be here (default: any)"
    )
    parser.add_argument(
        "--data-dir",
        type=Path,
        metavar="DIR",
        help="where data sets lie (default: $STUDY_DATA, else ~/.cache/study-data)",
    )
    commands.add_value(parser, "--nodes", integer(1), "N", "how many nodes there have to be (default: any number)")
    wait = "how long the cluster and its N nodes may take to be there, such as 5m (default: not at all)"
    commands.add_value(parser, "--wait", duration, "TIME", wait, default=0.0)
    options = parser.read(argv)
    if options.wait and options.nodes is None:
        raise UsageError("--wait goes with --nodes N, how many nodes to wait for")
    return options


if __name__ == "__main__":
    sys.exit(main())
