"""A study on the hosts, watched from outside: the shared storage is a folder of the machine that runs the tests."""

from __future__ import annotations

import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, TypeVar

from hosts.host import Host
from study.record import journal
from study.record.events import Placed
from study.record.state import StudyState

T = TypeVar("T")


@dataclass(frozen=True)
class Command:
    """A command that runs beside the test; its output goes to a file, as nobody reads a pipe meanwhile."""

    process: subprocess.Popen[bytes]
    log: IO[bytes]

    @property
    def output(self) -> str:
        """What it has written so far."""
        return Path(self.log.name).read_text(errors="replace")

    def finish(self, seconds: float) -> None:
        """Wait for its end, which must be a success."""
        assert self.process.wait(seconds) == 0, self.output[-3000:]


def wait_for(condition: Callable[[], T], seconds: float, what: str, command: Command | None = None) -> T:
    """Wait until `condition` returns something true and return that; the study's `command` must not end before."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if value := condition():
            return value
        if command is not None and command.process.poll() is not None:
            raise AssertionError(f"the study ended before: {what}\n{command.output[-3000:]}")
        time.sleep(0.2)
    raise AssertionError(f"not within {seconds:g} s: {what}\n{command.output[-3000:] if command else ''}")


@contextmanager
def in_background(argv: list[str]) -> Iterator[Command]:
    """Run a command beside the test, and end it with the test."""
    with tempfile.NamedTemporaryFile() as log:
        process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT)
        try:
            yield Command(process, log)
        finally:
            if process.poll() is None:
                process.kill()
            process.wait()


def events(study: Path) -> list[dict[str, Any]]:
    """Return the events of a study so far."""
    file = study / "journal.jsonl"
    return journal.read(file) if file.exists() else []


def places(study: Path) -> dict[str, list[tuple[str, int]]]:
    """Return where each run was trained: hosts, each with the first epoch that its worker reported."""
    found: dict[str, list[tuple[str, int]]] = {}
    for event in events(study):
        if isinstance(event, Placed):
            found.setdefault(event.id, []).append((event.host, event.epoch))
    return found


def busy_hosts(study: Path, least_epochs: int) -> set[str]:
    """Return the hosts that train a trial which has had at least so many epochs."""
    state = StudyState.fold(events(study))
    running = {run.id for run in state.trials if run.status == "running" and len(run.epochs) >= least_epochs}
    return {steps[-1][0] for run_id, steps in places(study).items() if run_id in running}


def alive_nodes(head: Host, expected: list[str] | None = None, seconds: float = 0) -> list[str]:
    """Return the host names of the nodes that Ray on `head` takes for alive, once they are the expected ones.

    One process looks again and again: starting Python and Ray for each look costs more than a cluster at rest.
    """
    script = f"""
import time, ray
ray.init(logging_level=50, log_to_driver=False)
ends = time.monotonic() + {seconds}
while True:
    nodes = sorted(node["NodeManagerHostname"] for node in ray.nodes() if node["Alive"])
    if nodes == {expected} or time.monotonic() >= ends:
        break
    time.sleep(0.5)
print(*nodes)
"""
    return head.shell(f"python -c '{script.replace(chr(39), chr(34))}'", seconds=seconds + 300).stdout.split()


def nodes_become(head: Host, expected: list[str], seconds: float = 600) -> None:
    """Wait until exactly these nodes are alive."""
    found = alive_nodes(head, expected, seconds)
    assert found == expected, f"not within {seconds:g} s"
