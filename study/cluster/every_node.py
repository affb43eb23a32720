"""One question to every node of the joined Ray, answered by a worker process there."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Answer:
    """What a node said; `problem` is why it said nothing."""

    node: str  # host name and address
    node_id: str
    value: Any = None
    problem: str | None = None


def nodes() -> list[dict[str, Any]]:
    """Return what Ray knows of each node that is alive."""
    import ray

    return [node for node in ray.nodes() if node["Alive"]]


def name(node: Mapping[str, Any]) -> str:
    """Return a node's host name and address."""
    return f"{node['NodeManagerHostname']} ({node['NodeManagerAddress']})"


def ask(
    function: Callable[..., Any], *arguments: Any, seconds: float, env: Mapping[str, str] | None = None
) -> list[Answer]:
    """Call `function` on every node, CPUs free or not, and return the answers; nodes lost meanwhile give none.

    Args:
        function: Importable on the nodes.
        arguments: What it is given.
        seconds: How long to wait for all of them.
        env: Environment variables of the worker processes.
    """
    import ray
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    remote = ray.remote(num_cpus=0, max_retries=0, runtime_env={"env_vars": dict(env)} if env else None)(function)
    asked = {
        remote.options(scheduling_strategy=NodeAffinitySchedulingStrategy(node["NodeID"], soft=False)).remote(
            *arguments
        ): node
        for node in nodes()
    }
    answered, silent = ray.wait(list(asked), num_returns=len(asked), timeout=seconds)
    answers = {node["NodeID"]: Answer(name(node), node["NodeID"]) for node in asked.values()}
    for reference in answered:
        node = asked[reference]
        try:
            answers[node["NodeID"]] = Answer(name(node), node["NodeID"], ray.get(reference))
        except ray.exceptions.RayError as error:
            last = (str(error).strip().splitlines() or [type(error).__name__])[-1]
            answers[node["NodeID"]] = Answer(name(node), node["NodeID"], problem=last)
    for reference in silent:
        node = asked[reference]
        problem = f"no answer within {seconds:g} s"
        answers[node["NodeID"]] = Answer(name(node), node["NodeID"], problem=problem)
    still = {node["NodeID"] for node in nodes()}
    return [answer for node_id, answer in answers.items() if node_id in still]
