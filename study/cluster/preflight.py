"""The checks of a running cluster: nodes, versions, GPUs, clocks, storage, tracking, and what its place can lack."""

from __future__ import annotations

import hashlib
import os
import platform
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory

import search_spaces
from study.cluster import findings, joining, place, resources, shared_storage
from study.cluster.findings import Finding
from study.cluster.joining import ROOT
from study.cluster.place import PASSING, Kind, Mount, Place, Spot
from study.data import built_in, image_data
from study.record.errors import DataError, StudyError, UsageError
from study.record.tracking_uri import masked, sqlite_file, tensorboard_dir
from study.tracking.implementations import check as check_tracking

VERSIONS = ("project", "python", "torch", "ray")
_PROGRAM = ("study", "models", "search_spaces")
ANSWER_SECONDS = 120.0  # that a node may take to start a worker process and import PyTorch


@dataclass(frozen=True)
class NodeFacts:
    """What a node says of itself.

    Attributes:
        versions: By name.
        gpus: How many PyTorch sees there.
        asks_for_token: Whether its Ray does.
        mount: That the storage lies on; None where the kernel does not say.
        spot: What the machine says of its end; None in a place where none does.
    """

    versions: Mapping[str, str]
    gpus: int
    asks_for_token: bool
    mount: Mount | None
    spot: Spot | None


def node_facts(storage: Path, kind: Kind) -> NodeFacts:
    """Return the facts of the node that runs this, in a place of this kind."""
    import torch

    versions = {
        "project": f"{version('ray-tune-study')}, code {code_digest(ROOT)}",
        "python": platform.python_version(),
        "torch": version("torch"),
        "ray": version("ray"),
    }
    # A worker process has the environment of the Ray that started it.
    asks = os.environ.get("RAY_AUTH_MODE", "").lower() == "token"
    return NodeFacts(versions, torch.cuda.device_count(), asks, place.mount_of(storage), place.spot_of(kind))


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


def check(
    where: Place,
    storage: Path,
    tracking_uri: str,
    *,
    nodes: int | None = None,
    data: str | None = None,
    data_dir: Path | None = None,
) -> list[Finding]:
    """Check the joined Ray and return one finding for each thing.

    Args:
        where: The place of this process.
        storage: The folder that studies are written to.
        tracking_uri: Where studies are tracked; it is reached from this process, as by a study's driver.
        nodes: How many nodes there have to be; None for as many as there are.
        data: The data set, or the images, that a study needs; None for any.
        data_dir: Where data sets lie; None for the usual folder.
    """
    alive = joining.nodes()
    lent = {joining.node_name(node): node["Resources"].get("GPU", 0.0) for node in alive}
    # Ray hides the GPUs from a task that asks for none, unless it is told not to.
    env = {"RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0"}
    answers = joining.ask_every_node(node_facts, storage, where.kind, seconds=ANSWER_SECONDS, env=env)
    facts = {answer.node: answer.value for answer in answers if answer.value is not None}
    found = [findings.nodes(answers, nodes), _places()]
    found += [
        findings.same_everywhere(key, {name: fact.versions[key] for name, fact in facts.items()}) for key in VERSIONS
    ]
    found.append(findings.gpus({name: (lent[name], fact.gpus) for name, fact in facts.items() if name in lent}))
    found.append(findings.clocks(_skews(env)))
    loopback = all(node["NodeManagerAddress"].startswith("127.") for node in alive)
    found.append(findings.token({name: fact.asks_for_token for name, fact in facts.items()}, loopback=loopback))
    found.append(_attempt("storage", lambda: _storage(storage), f"{storage}: every node reads and writes it"))
    found.append(_attempt("data", lambda: data_here(where.kind, data, data_dir)))
    found.append(_attempt("mlflow", lambda: _tracking(where.kind, tracking_uri), f"{masked(tracking_uri)} answers"))
    if where.kind in PASSING:
        found.append(findings.volume({name: fact.mount for name, fact in facts.items()}))
    if spots := {name: fact.spot for name, fact in facts.items() if fact.spot is not None}:
        found.append(findings.spot(spots))
    if where.kind == "SLURM":
        found += slurm(os.environ["SLURM_JOB_ID"])
    return found


def slurm(number: str) -> list[Finding]:
    """Find out whether a SLURM job can leave before its wall limit and be queued again."""
    try:
        job = place.slurm_job(number)
    except StudyError as error:
        return [Finding(False, "slurm", str(error))]
    return [findings.requeue(job), findings.signal(job)]


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


def _places() -> Finding:
    now = sum(machine.fit(1, 0) for machine in resources.alive())
    growth = resources.growth_of_cluster()
    return findings.places(now, growth.fit(1, 0) if growth else 0)


def _storage(storage: Path) -> None:
    with (
        TemporaryDirectory(prefix=".check-", dir=storage) as folder,
        shared_storage.verified(Path(folder), cluster=True),
    ):
        pass


def data_here(kind: Kind, data: str | None, folder: Path | None) -> str:
    """See that the images that a study needs are here, from where its nodes get them, and return what there is.

    Args:
        kind: Of place.
        data: The name of a data set, or a path; None for any.
        folder: Where data sets lie; None for the usual one.

    Raises:
        DataError, UsageError: they are not, or the folder cannot be used.
    """
    folder = (folder or image_data.default_data_dir()).expanduser()
    built_in.check_data_dir(folder)
    known = search_spaces.datasets()
    if data is not None and data not in known:
        return f"{image_data.own_source(data)} is here"
    there = [name for name, spec in known.items() if built_in.is_there(spec, folder)]
    here = f"{folder} has {', '.join(there)}"
    if data is None or data in there:
        return here
    if kind == "SLURM":
        mend = f"on a login node run: study run --data {data} --data-dir {folder} --dry-run"
        raise DataError(f"{here}, not {data}, and compute nodes seldom can download; {mend}")
    return f"{here}; a study downloads {data}, which has not been tried"


def _tracking(kind: Kind, uri: str) -> None:
    """See that a study can be tracked there, and that what is tracked stays.

    Raises:
        UsageError: it cannot, or goes with the machine.
    """
    check_tracking(uri)
    file = sqlite_file(uri) or tensorboard_dir(uri)
    if kind in PASSING and file is not None and (mount := place.mount_of(file)) and mount.is_own_disk:
        lies = f"{masked(uri)} lies on this machine's own disk ({mount}) and goes with it"
        raise UsageError(f"{lies}; set MLFLOW_TRACKING_URI to a server, or to a file on the shared storage")


def _attempt(about: str, check: Callable[[], str | None], fine: str = "") -> Finding:
    try:
        said = check()
    except (StudyError, OSError) as error:
        return Finding(False, about, " ".join(str(error).split()))
    return Finding(True, about, said or fine)
