"""Where a cluster is: in a SLURM job, on Kubernetes, in a cloud, on machines of one's own; and what only that can tell.

Facts alone: `preflight` judges them.
"""

from __future__ import annotations

import os
import re
import subprocess
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path
from typing import Literal

from study.cluster.resources import AUTOSCALING, launched
from study.record.errors import StudyError

Kind = Literal["SLURM", "Kubernetes", "AWS", "Google Cloud", "own machines", "one machine"]

PASSING: frozenset[Kind] = frozenset({"Kubernetes", "AWS", "Google Cloud"})
"""Places whose machines come and go, the head too: what lies on a machine's own disk goes with it."""

_PROVIDERS: Mapping[str, Kind] = {"aws": "AWS", "external": "AWS", "gcp": "Google Cloud"}
"""By the provider's type in the cluster's file; the external one of cluster.yaml is `instance_types.TypesInTurn`."""

_METADATA: Mapping[Kind, str] = {"AWS": "http://169.254.169.254", "Google Cloud": "http://metadata.google.internal"}
"""Where a machine asks about itself; anywhere else nobody gives a notice."""

_METADATA_SECONDS = 2.0  # that it may take to answer; it is on the machine's own link
_SCONTROL_SECONDS = 30.0
_DRAINS = b"drain-node"  # in the command line of what waits for a notice in the shipped cluster files
_IN_MEMORY = ("overlay", "tmpfs", "ramfs")


@dataclass(frozen=True)
class Place:
    """Where the process is that asks; `words` say it to a person."""

    kind: Kind
    words: str


def here(nodes: int, environ: Mapping[str, str] = os.environ, file: Path = AUTOSCALING) -> Place:
    """Return where this process is.

    Args:
        nodes: How many the joined Ray has.
        environ: By which SLURM's jobs and Kubernetes' pods are known.
        file: By which the head of a cluster of `ray up` is known.
    """
    if job := environ.get("SLURM_JOB_ID"):
        return Place("SLURM", f"SLURM job {job}")
    if environ.get("KUBERNETES_SERVICE_HOST"):
        cluster = environ.get("RAY_CLUSTER_NAME")  # which KubeRay sets in its pods
        of = f"KubeRay's cluster {cluster}" if cluster else "a pod that KubeRay has not started"
        return Place("Kubernetes", f"Kubernetes, {of}")
    if config := launched(file):
        kind = _PROVIDERS.get(str(config["provider"]["type"]), "own machines")
        return Place(kind, f"{kind}, on the head of a cluster of `ray up`")
    return Place("own machines", "machines of one's own") if nodes > 1 else Place("one machine", "one machine")


@dataclass(frozen=True)
class Mount:
    """The mount that a path lies on: where, of which type of file system, and which folder of that is mounted."""

    point: str
    type: str
    root: str = "/"

    @property
    def is_own_disk(self) -> bool:
        """Whether it goes with the machine or the pod: the root, memory, a container's layer, an emptyDir."""
        return self.point == "/" or self.type in _IN_MEMORY or "kubernetes.io~empty-dir" in self.root

    def __str__(self) -> str:
        return f"{self.type} at {self.point}"


def mount_of(path: Path, table: Path = Path("/proc/self/mountinfo")) -> Mount | None:
    """Return the mount that a path lies on, links followed; None where the kernel does not say.

    Args:
        path: It need not exist.
        table: The mounts as Linux lists them (proc(5), mountinfo).
    """
    try:
        lines = table.read_text().splitlines()
    except OSError:
        return None
    real, found = os.path.realpath(path), None
    for line in lines:
        before, _, after = line.partition(" - ")
        root, point = (_unescaped(word) for word in before.split()[3:5])
        within = os.path.commonpath([real, point]) == point
        if within and (found is None or len(point) >= len(found.point)):  # of two at one place the later one is seen
            found = Mount(point, after.split()[0], root)
    return found


def _unescaped(word: str) -> str:
    return re.sub(r"\\([0-7]{3})", lambda octal: chr(int(octal[1], 8)), word)


@dataclass(frozen=True)
class Spot:
    """Whether a machine may be taken away at short notice, None where it does not say; whether that is waited for."""

    is_spot: bool | None
    is_heard: bool


def spot_of(kind: Kind, metadata: str | None = None, processes: Path = Path("/proc")) -> Spot | None:
    """Return what the machine that runs this says of its end; None in a place where nobody gives a notice by it.

    Args:
        kind: Of place.
        metadata: The address of the machine's metadata service, where it is not the usual one.
        processes: The kernel's list of processes.
    """
    if kind not in _METADATA:
        return None
    try:
        answer = _life_cycle(kind, metadata or _METADATA[kind])
    except (OSError, HTTPException):
        answer = None
    return Spot(None if answer is None else answer in ("spot", "TRUE"), _waits_for_notice(processes))


def _life_cycle(kind: Kind, address: str) -> str:
    if kind == "AWS":
        lasts = {"X-aws-ec2-metadata-token-ttl-seconds": "60"}
        token = _ask(f"{address}/latest/api/token", lasts, "PUT")
        return _ask(f"{address}/latest/meta-data/instance-life-cycle", {"X-aws-ec2-metadata-token": token})
    return _ask(f"{address}/computeMetadata/v1/instance/scheduling/preemptible", {"Metadata-Flavor": "Google"})


def _ask(url: str, headers: Mapping[str, str], method: str = "GET") -> str:
    request = urllib.request.Request(url, headers=dict(headers), method=method)
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # a proxy would answer for another machine
    with direct.open(request, timeout=_METADATA_SECONDS) as answer:
        said: bytes = answer.read(100)
    return said.decode(errors="replace").strip()


def _waits_for_notice(processes: Path) -> bool:
    for file in processes.glob("[0-9]*/cmdline"):
        try:
            if _DRAINS in file.read_bytes():
                return True
        except OSError:
            continue  # it has ended
    return False


@dataclass(frozen=True)
class SlurmJob:
    """What SLURM knows of a job: whether it may queue it again, its wall limit, and its script; "" without one."""

    requeues: bool
    limit: str
    script: str


def slurm_job(number: str) -> SlurmJob:
    """Ask SLURM about a job.

    Raises:
        StudyError: it does not answer.
    """
    said = dict(re.findall(r"(\S+?)=(\S*)", _scontrol("show", "job", number, "--oneliner")))
    script = _scontrol("write", "batch_script", number, "-") if said.get("BatchFlag") == "1" else ""
    return SlurmJob(said.get("Requeue") == "1", said.get("TimeLimit", ""), script)


def _scontrol(*words: str) -> str:
    command = f"scontrol {' '.join(words[:2])}"
    try:
        done = subprocess.run(
            ["scontrol", *words], capture_output=True, text=True, timeout=_SCONTROL_SECONDS, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise StudyError(f"{command} does not answer ({error})") from None
    if done.returncode:
        raise StudyError(f"{command} fails ({done.stderr.strip() or done.returncode})")
    return done.stdout
