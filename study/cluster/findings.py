"""The lines of the preflight: each judges one thing that the nodes, or their place, have said."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from study.cluster.joining import Answer
from study.cluster.place import Mount, SlurmJob, Spot
from study.record.words import counted

SKEW_SECONDS = 2.0  # a network file system orders files by its clients' clocks, MLflow orders metrics


@dataclass(frozen=True)
class Finding:
    """One line of the preflight."""

    ok: bool
    about: str
    text: str

    def __str__(self) -> str:
        return f"{'ok' if self.ok else 'FAIL':4}  {self.about:8}  {self.text}"


def nodes(answers: Sequence[Answer[Any]], expected: int | None) -> Finding:
    """Find out whether all nodes answer, and are as many as there have to be; None for as many as there are."""
    names = ", ".join(answer.node for answer in answers)
    if silent := [f"{answer.node}: {answer.problem}" for answer in answers if answer.problem]:
        return Finding(False, "nodes", f"{len(answers)}: {names}; {'; '.join(silent)}")
    if expected not in (None, len(answers)):
        return Finding(False, "nodes", f"{len(answers)} instead of {expected}: {names}")
    return Finding(True, "nodes", f"{len(answers)}: {names}")


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
    if wrong or not seen:
        return Finding(False, "gpus", "; ".join(wrong) or "no node answers")
    total = sum(count for _, count in seen.values())
    return Finding(True, "gpus", f"{total} seen by Ray and by PyTorch" if total else "none: trials run on CPUs")


def clocks(skews: Mapping[str, float]) -> Finding:
    """Find out whether the nodes' clocks agree with this one's, in seconds."""
    late = [f"{node} by {skew:+.1f} s" for node, skew in skews.items() if abs(skew) > SKEW_SECONDS]
    if not skews:
        return Finding(False, "clocks", "no node answers")
    if late:
        return Finding(False, "clocks", f"differ from this node's: {', '.join(late)}; set the time by NTP")
    return Finding(True, "clocks", f"within {SKEW_SECONDS:g} s of this node's")


def places(now: int, grown: int) -> Finding:
    """Find out whether a trial of one CPU has a place: how many have one now, and when the autoscaler has grown."""
    if not max(now, grown):
        lacks = "no machine that is here, or may come as far as this node knows, has a CPU for a trial"
        return Finding(False, "places", f"{lacks}; start a worker")
    later = f", {grown} once the autoscaler has brought its machines" if grown > now else ""
    return Finding(True, "places", f"{counted(now, 'trial')} of one CPU at a time{later}")


def token(asking: Mapping[str, bool], *, loopback: bool) -> Finding:
    """Find out whether every node's Ray asks for a token: who reaches one that does not runs programs there.

    Args:
        asking: Whether it does, by node.
        loopback: Whether Ray listens to its own machine alone.
    """
    open_to_all = [name for name, asks in asking.items() if not asks]
    if not asking:
        return Finding(False, "token", "no node answers")
    if not open_to_all:
        return Finding(True, "token", "every node asks for Ray's token")
    if loopback:
        return Finding(True, "token", "none, but Ray listens to this machine alone")
    mend = "run `ray get-auth-token --generate`, and set RAY_AUTH_MODE=token before every `ray start`"
    return Finding(False, "token", f"who reaches {', '.join(open_to_all)} may run programs there; {mend}")


def volume(mounts: Mapping[str, Mount | None]) -> Finding:
    """Find out whether the storage stays where machines go: by node, the mount that it lies on."""
    going = [f"on {name} the storage is the machine's own ({m})" for name, m in mounts.items() if m and m.is_own_disk]
    unknown = [f"{name} does not say what the storage lies on" for name, mount in mounts.items() if mount is None]
    if going or unknown or not mounts:
        what = "; ".join(going + unknown) or "no node answers"
        return Finding(False, "volume", f"{what}; mount the shared file system there, as what is on no mount is lost")
    return Finding(True, "volume", f"{', '.join(sorted(set(map(str, mounts.values()))))}: no machine's own disk")


def spot(machines: Mapping[str, Spot]) -> Finding:
    """Find out whether every machine that may be taken away waits for the notice, by node."""
    silent = [f"{name} cannot ask its metadata service" for name, one in machines.items() if one.is_spot is None]
    deaf = [f"nothing on {name} waits for it" for name, one in machines.items() if one.is_spot and not one.is_heard]
    if silent or deaf:
        mend = "start what worker_start_ray_commands of the shipped cluster file starts"
        return Finding(False, "spot", f"the notice of a spot machine: {'; '.join(silent + deaf)}; {mend}")
    count = sum(bool(one.is_spot) for one in machines.values())
    of_all = f"{count} of {counted(len(machines), 'machine')} may be taken away"
    return Finding(True, "spot", f"{of_all}; each of them waits for its notice")


def requeue(job: SlurmJob) -> Finding:
    """Find out whether SLURM may queue the job again, which then goes on with its study."""
    if not job.script:
        text = "the job has no script, so that it ends at its limit: send cluster-slurm.sh with sbatch"
    elif not job.requeues:
        text = "SLURM may not queue this job again: give #SBATCH --requeue; where the site forbids it, send it again"
    else:
        return Finding(True, "requeue", "SLURM may queue this job again")
    return Finding(False, "requeue", text)


def signal(job: SlurmJob) -> Finding:
    """Find out whether the job hears of its wall limit before it is reached, so that the study leaves in order."""
    if job.limit == "UNLIMITED":
        return Finding(True, "signal", "none is needed: the job has no wall limit")
    asked = re.search(r"^#SBATCH\s+(?:\S.*\s)?--signal[= ](\S+)", job.script, re.MULTILINE)
    if asked and asked[1].startswith("B:"):
        return Finding(True, "signal", f"the script asks for {asked[1]} before its wall limit of {job.limit}")
    has = f"asks for --signal={asked[1]}, which it does not get itself" if asked else "asks for no signal"
    cut = f"the script {has} (sbatch's own words are not seen here): at {job.limit} the epochs in flight are lost"
    return Finding(False, "signal", f"{cut}; give #SBATCH --signal=B:USR1@60, as cluster-slurm.sh has it")
