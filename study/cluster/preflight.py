"""The checks of a running cluster: nodes, versions, GPUs, clocks, storage, tracking."""

from __future__ import annotations

import hashlib
import platform
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory

from study.cluster import joining, shared_storage
from study.cluster.joining import ROOT, Answer
from study.record.errors import UsageError
from study.record.tracking_uri import masked
from study.tracking.implementations import check as check_tracking

VERSIONS = ("project", "python", "torch", "ray")
_PROGRAM = ("study", "models", "search_spaces")
SKEW_SECONDS = 2.0  # a network file system orders files by its clients' clocks, MLflow orders metrics
ANSWER_SECONDS = 120.0  # that a node may take to start a worker process and import PyTorch


@dataclass(frozen=True)
class NodeFacts:
    """What a node says of itself: versions by name, and how many GPUs PyTorch sees there."""

    versions: Mapping[str, str]
    gpus: int


def node_facts() -> NodeFacts:
    """Return the facts of the node that runs this."""
    import torch

    versions = {
        "project": f"{version('ray-tune-study')}, code {code_digest(ROOT)}",
        "python": platform.python_version(),
        "torch": version("torch"),
        "ray": version("ray"),
    }
    return NodeFacts(versions, torch.cuda.device_count())


def node_clock() -> float:
    """Return the time of the node that runs this, in seconds since 1970."""
    return time.time()


def code_digest(root: Path) -> str:
    """Return eight hex digits that are equal where the program's source files are; a commit would miss an edit."""
    digest = hashlib.sha256()
    for package in _PROGRAM:
        for file in sorted((root / package).rglob("*.py")):
            digest.update(f"{file.relative_to(root)}\0".encode() + file.read_bytes() + b"\0")
    return digest.hexdigest()[:8]


@dataclass(frozen=True)
class Finding:
    """One line of the preflight."""

    ok: bool
    about: str
    text: str

    def __str__(self) -> str:
        return f"{'ok' if self.ok else 'FAIL':4}  {self.about:8}  {self.text}"


def findings(storage: Path, tracking_uri: str, nodes: int | None = None) -> list[Finding]:
    """Check the joined Ray and return one finding for each thing.

    Args:
        storage: The folder that studies are written to.
        tracking_uri: Where studies are tracked; it is reached from this process, as by a study's driver.
        nodes: How many nodes there have to be; None for as many as there are.
    """
    lent = {joining.node_name(node): node["Resources"].get("GPU", 0.0) for node in joining.nodes()}
    # Ray hides the GPUs from a task that asks for none, unless it is told not to.
    env = {"RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0"}
    answers = joining.ask_every_node(node_facts, seconds=ANSWER_SECONDS, env=env)
    facts = {answer.node: answer.value for answer in answers if answer.value is not None}
    found = [_nodes(answers, nodes)]
    found += [same_everywhere(key, {name: fact.versions[key] for name, fact in facts.items()}) for key in VERSIONS]
    found.append(gpus({name: (lent[name], fact.gpus) for name, fact in facts.items() if name in lent}))
    found.append(clocks(_skews(env)))
    found.append(_attempt("storage", lambda: _storage(storage), f"{storage}: every node reads and writes it"))
    found.append(_attempt("mlflow", lambda: check_tracking(tracking_uri), f"{masked(tracking_uri)} answers"))
    return found


def same_everywhere(what: str, values: Mapping[str, str]) -> Finding:
    """Find out whether all nodes have the same value, and name those that have another one than most."""
    counts = Counter(values.values()).most_common()
    if len(counts) <= 1:
        return Finding(bool(counts), what, counts[0][0] if counts else "no node answers")
    usual = counts[0][0]
    others = [f"{node} has {value}" for node, value in values.items() if value != usual]
    return Finding(False, what, f"{usual}, but {'; '.join(others)}")


def gpus(seen: Mapping[str, tuple[float, int]]) -> Finding:
    """Find out whether PyTorch sees as many GPUs on each node as Ray lends out there: (Ray's, PyTorch's) by node."""
    wrong = [
        f"on {node} Ray has {lent:g} and PyTorch sees {count}" for node, (lent, count) in seen.items() if lent != count
    ]
    if wrong:
        return Finding(False, "gpus", "; ".join(wrong))
    total = sum(count for _, count in seen.values())
    return Finding(True, "gpus", f"{total} seen by Ray and by PyTorch" if total else "none: trials run on CPUs")


def clocks(skews: Mapping[str, float]) -> Finding:
    """Find out whether the nodes' clocks agree with this one's, in seconds."""
    late = [f"{node} by {skew:+.1f} s" for node, skew in skews.items() if abs(skew) > SKEW_SECONDS]
    if late:
        return Finding(False, "clocks", f"differ from this node's: {', '.join(late)}; set the time by NTP")
    return Finding(True, "clocks", f"within {SKEW_SECONDS:g} s of this node's")


def _nodes(answers: list[Answer[NodeFacts]], expected: int | None) -> Finding:
    names = ", ".join(answer.node for answer in answers)
    if silent := [f"{answer.node}: {answer.problem}" for answer in answers if answer.problem]:
        return Finding(False, "nodes", f"{len(answers)}: {names}; {'; '.join(silent)}")
    if expected not in (None, len(answers)):
        return Finding(False, "nodes", f"{len(answers)} instead of {expected}: {names}")
    return Finding(True, "nodes", f"{len(answers)}: {names}")


def _skews(env: Mapping[str, str]) -> dict[str, float]:
    """Return by how many seconds each node's clock is certainly ahead; the ways there and back blur the rest."""
    skews = {}
    before = time.time()
    answers = joining.ask_every_node(node_clock, seconds=ANSWER_SECONDS, env=env)  # the worker processes are up now
    after = time.time()
    for answer in answers:
        if answer.value is not None:
            skews[answer.node] = answer.value - min(max(answer.value, before), after)
    return skews


def _storage(storage: Path) -> None:
    with (
        TemporaryDirectory(prefix=".check-", dir=storage) as folder,
        shared_storage.verified(Path(folder), cluster=True),
    ):
        pass


def _attempt(about: str, check: Callable[[], None], fine: str) -> Finding:
    try:
        check()
    except (UsageError, OSError) as error:
        return Finding(False, about, " ".join(str(error).split()))
    return Finding(True, about, fine)
