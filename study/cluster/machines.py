"""The machines of the joined Ray: those that are there, and those that its autoscaler may bring."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from study.cluster import every_node

# Where Ray's launcher leaves the cluster's file on the head, every node type's resources filled in. Ray keeps what a
# cluster may grow to nowhere else: its control store knows the nodes that are alive, and what was asked for.
AUTOSCALING = Path("~/ray_bootstrap_config.yaml")
_HEAD = "node:__internal_head__"  # the resource by which Ray marks the head


@dataclass(frozen=True)
class Machines:
    """Machines of one kind: what each of them has, and how many there are or may be."""

    cpus: float
    gpus: float
    memory: int | None  # bytes that Ray lends out; None where only the running machine would tell
    count: int = 1

    def fit(self, cpus: float, gpus: float) -> int:
        """Return how many runs of these needs one machine takes at once."""
        by_cpu = math.floor(self.cpus / cpus)
        return min(by_cpu, math.floor(self.gpus / gpus)) if gpus else by_cpu


@dataclass(frozen=True)
class Growth:
    """What an autoscaler may make of a cluster: its head, kinds of workers, and the most workers in all."""

    head: Machines
    kinds: list[Machines]
    most: int

    def fit(self, cpus: float, gpus: float) -> int:
        """Return how many runs of these needs the grown cluster takes at once, its roomiest workers first."""
        left, total = self.most, self.head.fit(cpus, gpus)
        for kind in sorted(self.kinds, key=lambda kind: -kind.fit(cpus, gpus)):
            count = min(kind.count, left)
            left -= count
            total += count * kind.fit(cpus, gpus)
        return total


def alive() -> list[Machines]:
    """Return the machines that are in the joined Ray now, one by one."""
    return [_machine(node["Resources"]) for node in every_node.nodes()]


def growth() -> Growth | None:
    """Return what the autoscaler may make of the joined Ray; None without one, or on another node than the head.

    Raises:
        yaml.YAMLError: the cluster's file, which Ray has written, is damaged.
    """
    import ray

    here = ray.get_runtime_context().get_node_id()
    own = next(node["Resources"] for node in every_node.nodes() if node["NodeID"] == here)
    file = AUTOSCALING.expanduser()
    if _HEAD not in own or not file.is_file():
        return None
    import yaml

    return growth_of(yaml.safe_load(file.read_text()), _machine(own))


def growth_of(config: Mapping[str, Any], head: Machines) -> Growth:
    """Return what a cluster's file allows.

    Machines that one owns have no resources in the file: they are taken to be like the head until they are there.
    """
    most = config.get("max_workers", 0)
    kinds = []
    for kind in config.get("available_node_types", {}).values():
        count = min(kind.get("max_workers", 0), most)
        resources = kind.get("resources") or {}
        like = _machine(resources) if resources else head
        if count:
            kinds.append(Machines(like.cpus, like.gpus, like.memory, count))
    return Growth(head, kinds, most)


def _machine(resources: Mapping[str, float]) -> Machines:
    memory = resources.get("memory")
    return Machines(resources.get("CPU", 0.0), resources.get("GPU", 0.0), None if memory is None else int(memory))
