"""Whether every node reads and writes the same storage folder, found out before anything is trained."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from study.cluster import joining
from study.record.errors import UsageError

ANSWER_SECONDS = 120.0  # that a node may take to start a worker process and reach the storage
_PROBE_FILE = ".reached-by-"


@contextmanager
def verified(folder: Path, *, cluster: bool) -> Iterator[Path | None]:
    """Verify that every node of the joined Ray shares `folder` with this process.

    The driver writes a file that each node has to find, and each node one that the driver has to find: a folder that
    merely exists everywhere under the same name is told apart from one that is shared. Names are new each time, since
    network file systems remember for a while that a file was not there.

    Args:
        folder: The study's folder, which exists.
        cluster: Whether there may be other nodes; without them nothing is written.

    Yields:
        A file by which a node that joins later can tell (`missing`); None without a cluster. It is deleted at the end.

    Raises:
        UsageError: a node does not share the folder; the message names it and says what to set.
    """
    if not cluster:
        yield None
        return
    for left in folder.glob(f"{_PROBE_FILE}*"):
        left.unlink(missing_ok=True)  # of a driver that was killed
    token = secrets.token_hex(8)
    probe_file = folder / f"{_PROBE_FILE}{token}"
    try:
        probe_file.write_text(token)
        _ask_every_node(folder, probe_file, token)
        yield probe_file
    finally:
        for file in folder.glob(f"{_PROBE_FILE}{token}*"):
            file.unlink(missing_ok=True)


def missing(probe_file: Path) -> str | None:
    """Return, in a process of any node, why the study's storage is not the driver's; None if it is."""
    try:
        if probe_file.read_text() == probe_file.name.removeprefix(_PROBE_FILE):
            return None
    except OSError:
        pass
    return f"what the driver writes to {probe_file.parent} is not seen there"


def _ask_every_node(folder: Path, probe_file: Path, token: str) -> None:
    for answer in joining.ask_every_node(_answer, probe_file, seconds=ANSWER_SECONDS):
        problem = answer.problem or answer.value
        if problem is None and not _arrived(probe_file, answer.node_id, token):
            problem = "the driver does not see what this node writes there"
        if problem is not None:
            raise UsageError(
                f"--storage {str(folder.parent)!r} is not shared by the cluster: {answer.node}: {problem}; "
                "set --storage to a folder that every node mounts at the same path (NFS, EFS)"
            )


def _answer(probe_file: Path) -> str | None:
    """Look for the driver's file and write one beside it, on the node that runs this; return what went wrong."""
    import ray

    problem = missing(probe_file)
    if problem is None:
        try:
            node_id = ray.get_runtime_context().get_node_id()
            probe_file.with_name(f"{probe_file.name}-{node_id}").write_text(probe_file.read_text())
        except OSError as error:
            problem = f"{probe_file.parent} cannot be written ({error.strerror})"
    return problem


def _arrived(probe_file: Path, node_id: str, token: str) -> bool:
    try:
        return probe_file.with_name(f"{probe_file.name}-{node_id}").read_text() == token
    except OSError:
        return False
