"""The resources of a trial: the joined Ray's machines, what each run gets of them, and which networks fit."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import models
from search_spaces import Context
from study.cluster import gpu_share, joining
from study.cluster.gpu_share import GpuShare, MeasuredGpu, gib
from study.record.constraints import Constraint, of_texts, unmet
from study.record.errors import UsageError
from study.record.metrics import sizes
from study.record.settings import Settings

# Where Ray's launcher leaves the cluster's file on the head, every node type's resources filled in. Ray keeps what a
# cluster may grow to nowhere else: its control store knows the nodes that are alive, and what was asked for.
AUTOSCALING = Path("~/ray_bootstrap_config.yaml")
NAMESPACE = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")  # of the pod, as Kubernetes tells it
_HEAD = "node:__internal_head__"  # the resource by which Ray marks the head

_FLOAT = 4  # bytes
# For each parameter: the weight, its gradient and an optimizer's two moments.
_PER_PARAMETER = 4
# Of one that is trained together with others: stacked as above, and in a network and an optimizer of its own besides.
_PER_FUSED_PARAMETER = 7
# For each value of a layer's output: itself, kept for the backward pass, and its gradient.
_PER_ACTIVATION = 2


@dataclass(frozen=True)
class Machines:
    """Machines of one kind: what each of them has, how many there are or may be, and the type's name in the file."""

    cpus: float
    gpus: float
    memory: int | None  # bytes that Ray lends out; None where only the running machine would tell
    count: int = 1
    name: str = ""

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
        return self.head.fit(cpus, gpus) + self.fit_workers(cpus, gpus)

    def fit_workers(self, cpus: float, gpus: float) -> int:
        """Return how many of these its workers take, without the head, which is there already."""
        left, total = self.most, 0
        for kind in sorted(self.kinds, key=lambda kind: -kind.fit(cpus, gpus)):
            count = min(kind.count, left)
            left -= count
            total += count * kind.fit(cpus, gpus)
        return total


def alive() -> list[Machines]:
    """Return the machines that are in the joined Ray now, one by one."""
    return [machine(node["Resources"]) for node in joining.nodes()]


def growth_of_cluster() -> Growth | None:
    """Return what the autoscaler may make of the joined Ray; None without one, or on another node than the head.

    A Ray of one's own has none, also where it runs on the head of a cluster.

    Raises:
        yaml.YAMLError: the cluster's file, which Ray has written, is damaged.
    """
    import ray

    here = ray.get_runtime_context().get_node_id()
    node = next(node for node in joining.nodes() if node["NodeID"] == here)
    has = node["Resources"]
    config = _autoscaling() if _HEAD in has and not joining.is_own(node) else None
    return growth_of(config, machine(has)) if config else None


def _autoscaling() -> Mapping[str, Any] | None:
    """Return the cluster's file, on its head: the launcher's or, on Kubernetes, KubeRay's; None without either."""
    if name := os.environ.get("KUBERNETES_SERVICE_HOST") and os.environ.get("RAY_CLUSTER_NAME"):
        return _of_kuberay(name)
    return launched()


def launched(file: Path = AUTOSCALING) -> Mapping[str, Any] | None:
    """Return the file of a cluster of `ray up`, which Ray's launcher leaves on its head; None anywhere else."""
    file = file.expanduser()
    if not file.is_file():
        return None
    import yaml

    found: Mapping[str, Any] = yaml.safe_load(file.read_text())
    return found


def _of_kuberay(name: str) -> Mapping[str, Any] | None:
    """Return KubeRay's cluster of this name as Ray's autoscaler reads it; None where this pod may not, or it is fixed.

    The head of a cluster with an autoscaler has an account that may read it.
    """
    from ray.autoscaler._private.kuberay import autoscaling_config, node_provider

    try:
        client = node_provider.KubernetesHttpApiClient(NAMESPACE.read_text().strip())
        cluster = client.get(f"rayclusters/{name}")
    except OSError:  # as those of requests are, too
        return None
    if not cluster["spec"].get("enableInTreeAutoscaling"):
        return None
    found: Mapping[str, Any] = autoscaling_config._derive_autoscaling_config_from_ray_cr(cluster)
    return found


def growth_of(config: Mapping[str, Any], head: Machines) -> Growth:
    """Return what a cluster's file allows.

    Machines that one owns have no resources in the file: they are taken to be like the head until they are there.
    """
    most = config.get("max_workers", 0)
    kinds = []
    for name, kind in config.get("available_node_types", {}).items():
        count = min(kind.get("max_workers", 0), most)
        resources = kind.get("resources") or {}
        like = machine(resources) if resources else head
        if count:
            kinds.append(Machines(like.cpus, like.gpus, like.memory, count, name))
    return Growth(head, kinds, most)


def machine(resources: Mapping[str, float]) -> Machines:
    """Return a machine by its resources, as Ray names them."""
    memory = resources.get("memory")
    return Machines(resources.get("CPU", 0.0), resources.get("GPU", 0.0), None if memory is None else int(memory))


@dataclass(frozen=True)
class Limits:
    """What a network may need: its number of parameters, and the memory of a run in training, in bytes.

    `gpu` says that it is a GPU's memory. Of the study's constraints those count that are known before it trains.
    """

    max_params: int
    memory: int
    gpu: bool = False
    constraints: Sequence[Constraint] = ()

    def refusal(self, config: Mapping[str, Any], context: Context, params: int) -> str | None:
        """Return why a network is too large, or beyond a constraint, None if it is neither."""
        if params > self.max_params:
            return f"{params:,} parameters, more than --max-params {self.max_params:,}"
        needed = training_bytes(config, context, params)
        if needed > self.memory:
            has = f"the {gib(self.memory)} GiB that a run has{' of a GPU' if self.gpu else ''}"
            return f"about {gib(needed)} GiB in training, more than {has}"
        facts = {**config, **sizes(config, params)}
        known = [constraint for constraint in self.constraints if not constraint.is_measured]
        words = [f"{one.name} {facts[one.name]:,.15g}, against --constraint {one}" for one in unmet(known, facts)]
        return " and ".join(words) or None

    def replicates(self, config: Mapping[str, Any], context: Context, params: int) -> int:
        """Return how many replicates of a network can be trained together, at least 1; an estimate as in `refusal`."""
        return max(1, self.memory // training_bytes(config, context, params, per_parameter=_PER_FUSED_PARAMETER))


def training_bytes(
    config: Mapping[str, Any], context: Context, params: int, *, per_parameter: int = _PER_PARAMETER
) -> int:
    """Return the bytes that training takes: weights, gradients, two moments, a batch's outputs of all layers.

    A moving average of the weights takes as much as they do. An estimate: what a library needs besides, and frees in
    between, is not known before.
    """
    values: int = models.count_activations(config, context.image_shape, context.num_classes) * config["batch_size"]
    averaged: bool = config.get("weight_averaging", "none") != "none"
    return _FLOAT * ((per_parameter + averaged) * params + _PER_ACTIVATION * values)


@dataclass(frozen=True)
class Resources:
    """What each run gets, and how many run at once."""

    cpus: float
    gpus: float
    concurrent: int
    memory: int  # bytes of a node's memory for each of the runs that share it
    node_cpus: float  # of the smallest machine that takes runs
    gpu: GpuShare | None = None  # None where runs are on CPUs
    may_grow: bool = False  # an autoscaler may bring machines that take runs

    @property
    def threads(self) -> int:
        """The CPU threads of a run."""
        return max(1, int(self.cpus))

    @property
    def devices(self) -> float:
        """The GPUs of a run, or its processors where it has none."""
        return self.gpus or self.cpus

    @property
    def gpu_json(self) -> dict[str, Any] | None:
        """How runs share a GPU, as JSON can say it; None where runs are on CPUs."""
        return self.gpu.to_json() if self.gpu else None

    def limits(self, max_params: int | None, constraints: Sequence[str] = ()) -> Limits:
        """Return what a network may need: by default, parameters that take half of a run's memory in training.

        A weight, its gradient and two moments are 16 bytes. The other half is for activations and the libraries. On a
        GPU that has been measured it is its memory that bounds a network. The constraints are the study's.
        """
        gpu = self.gpu.memory if self.gpu else None
        # Checkpoints pass through the node's memory, on a GPU too.
        least = self.memory if gpu is None else min(self.memory, gpu)
        memory = self.memory if gpu is None else gpu
        return Limits(max_params or least // 2 // 16, memory, gpu is not None, of_texts(constraints))


def of_each_run(settings: Settings, measured: Sequence[MeasuredGpu] = ()) -> Resources:
    """Divide what the joined Ray has, or its autoscaler may bring, among the runs of a study.

    Args:
        settings: The study's.
        measured: What runs take of each kind of GPU; none where none could be measured.

    Runs that wait for a machine are what the autoscaler goes by: a cluster that has shrunk to its head has as many
    places for runs as one that has grown.

    Raises:
        UsageError: a run asks for more than a machine has.
    """
    here = alive()
    growth = growth_of_cluster()
    known = [*here, *(growth.kinds if growth else [])]
    most_gpus = max(machine.gpus for machine in known)
    most_cpus = max(machine.cpus for machine in known)
    cpus = settings.cpus_per_trial
    gpus = settings.gpus_per_trial
    gpu: GpuShare | None = None
    if gpus is None and most_gpus:
        coming = min((kind.cpus / kind.gpus for kind in known[len(here) :] if kind.gpus), default=math.inf)
        gpu = gpu_share.of_every_kind(measured, coming, cpus) if measured else gpu_share.unmeasured()
    elif gpus:
        gpu = gpu_share.given(gpus, *measured[:1])
    gpus = gpu.fraction if gpu else 0.0
    if gpus > most_gpus:
        has = f"no machine has more than {most_gpus:g}" if most_gpus else "no GPU was found"
        raise UsageError(f"--gpus-per-trial {gpus:g} is more than there is: {has}")
    if gpus > 1 and gpus != int(gpus):
        raise UsageError(f"--gpus-per-trial {gpus:g} is not allowed; above 1 give a whole number")
    if cpus > most_cpus:
        raise UsageError(f"--cpus-per-trial {cpus:g} is more than there is: no machine has more than {most_cpus:g}")
    taking = [machine for machine in known if machine.fit(cpus, gpus)]
    if not taking:
        raise UsageError(f"--cpus-per-trial {cpus:g} with --gpus-per-trial {gpus:g}: no machine has both")
    slots = max(sum(machine.fit(cpus, gpus) for machine in here), growth.fit(cpus, gpus) if growth else 0)
    # A kind whose memory is not known yet is left out; if none is, a run has its part of the smallest machine's here.
    lent = [machine.memory // machine.fit(cpus, gpus) for machine in taking if machine.memory]
    memory = min(lent or [machine.memory // slots for machine in here if machine.memory])
    node_cpus = min(machine.cpus for machine in taking)
    concurrent = min(slots, settings.max_concurrent or slots)
    may_grow = growth is not None and growth.fit_workers(cpus, gpus) > 0
    return Resources(cpus, gpus, concurrent, memory, node_cpus, gpu, may_grow=may_grow)
