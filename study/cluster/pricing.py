"""Which price a machine of the joined Ray has: its type, its GPUs' model, and a run's part of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any

from study.cluster import joining
from study.cluster.resources import Resources, growth_of_cluster, machine
from study.record.errors import UsageError
from study.record.prices import Part, Prices, of_settings
from study.record.settings import Settings

# Labels that Ray gives a node: the name of its type in the cluster's file or of its group in Kubernetes, or what
# `ray start --labels` says; and the model of its GPUs, as the driver of the first one calls it.
_NODE_TYPE, _GPU_MODEL = "ray.io/node-group", "ray.io/accelerator-type"


def part_of(node: Mapping[str, Any], cpus: float, gpus: float) -> Part:
    """Return what a run of these needs has of a node, as `ray.nodes()` tells of it.

    The whole node is divided among the runs that it takes at once, whether so many are there or not.
    """
    labels = node.get("Labels", {})
    at_once = max(1, machine(node["Resources"]).fit(cpus, gpus))
    return Part(labels.get(_NODE_TYPE, ""), labels.get(_GPU_MODEL, ""), gpus, cpus, 1 / at_once)


def parts(resources: Resources) -> Callable[[str], Part]:
    """Return what says what a run has of a node of the joined Ray, by the node's id, also of one that has gone."""

    @cache
    def of(node_id: str) -> Part:
        known = {node["NodeID"]: node for node in joining.nodes(alive=False)}
        return part_of(known[node_id], resources.cpus, resources.gpus)

    return of


def check(settings: Settings, resources: Resources) -> list[str]:
    """See that every machine that can take runs now has a price; return what a person should know of later ones.

    Raises:
        UsageError: a machine has none.
    """
    prices = of_settings(vars(settings))
    if prices is None:
        return []
    cpus, gpus = resources.cpus, resources.gpus
    for node in joining.nodes():
        if machine(node["Resources"]).fit(cpus, gpus) and prices.rate(part := part_of(node, cpus, gpus)) is None:
            where = f"{joining.node_name(node)} has no price"
            raise UsageError(f"--prices {settings.prices_file!r}: {where}; {wanted(part, prices)}")
    growth = growth_of_cluster()
    coming = [kind.name for kind in growth.kinds if kind.fit(cpus, gpus)] if growth else []
    return _warnings(coming, prices, Part(gpus=gpus, cpus=cpus, share=1.0))


def wanted(part: Part, prices: Prices) -> str:
    """Say by which lines of the file a run on such a part of a machine would have a price."""
    return f"a line for one of {', '.join(part.names)} gives it one (the file has {', '.join(prices.hourly)})"


def _warnings(coming: Sequence[str], prices: Prices, of_any_type: Part) -> list[str]:
    """Return a line for each type of node that the autoscaler may bring and that may have no price."""
    unknown = [name for name in coming if name not in prices.hourly] if prices.rate(of_any_type) is None else []
    return [f"prices: nodes of the type {name} may come and have none, unless by their GPU's model" for name in unknown]
