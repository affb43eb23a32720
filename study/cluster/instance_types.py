"""AWS's instance types in turn: where there is none of one left, the next is asked for.

Ray's autoscaler (2.60) does not do that by itself. It tries the zones of a node type (`SubnetIds`), and where all
refuse, it asks for the same node type again, every few seconds: only a machine that comes up and never runs Ray lowers
a type's place. So the next type is asked for here, below Ray, as the launch of one and the same node type. What Ray and
a study count on of that node type (CPUs, GPUs, memory) has to be true of all its instance types.

cluster.yaml names the class as its provider (`type: external`), which Ray imports at home and on the head.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Any

from ray.autoscaler._private.aws.node_provider import AWSNodeProvider
from ray.autoscaler.node_launch_exception import NodeLaunchException

ALTERNATIVES = "Alternatives"
"""The key of a node_config, ours and not EC2's: changes to it, tried in turn; a value of null takes its key away."""

NONE_TO_BE_HAD = frozenset(
    {
        "InsufficientInstanceCapacity",  # AWS has none in this zone
        "InsufficientCapacity",
        "UnfulfillableCapacity",
        "SpotMaxPriceTooLow",  # none for the price of `SpotOptions`
        "MaxSpotInstanceCountExceeded",  # the account's limits, which are a family's own
        "VcpuLimitExceeded",
        "InstanceLimitExceeded",
        "Unsupported",  # this zone never has that type
    }
)
"""EC2's error codes after which another instance type may be had; after any other one the launch fails at once."""

_log = logging.getLogger(__name__)


class TypesInTurn(AWSNodeProvider):
    """Ray's own provider for AWS, which launches a node's `Alternatives` where its first instance type is not had."""

    def create_node(self, node_config: Mapping[str, Any], tags: Mapping[str, str], count: int) -> dict[str, Any]:
        """Launch `count` instances, and return those that came, by id; at least one.

        Raises:
            NodeLaunchException: none came; the code and words are of the last type that was asked for.
        """
        launch = super().create_node
        return in_turn(lambda config, most: launch(config, tags, most), node_config, count)

    @classmethod
    def fillout_available_node_types_resources(cls, cluster_config: dict[str, Any]) -> dict[str, Any]:
        """Return the cluster's file with each node type's resources: those of its first instance type.

        But for the GPU's model, which is not the same for all of them; a node finds its own out when it starts.
        """
        filled: dict[str, Any] = super().fillout_available_node_types_resources(cluster_config)
        for kind in filled["available_node_types"].values():
            if kind["node_config"].get(ALTERNATIVES):
                for name in [name for name in kind["resources"] if name.startswith("accelerator_type:")]:
                    del kind["resources"][name]
        return filled


def in_turn(
    launch: Callable[[dict[str, Any], int], dict[str, Any]], node_config: Mapping[str, Any], count: int
) -> dict[str, Any]:
    """Launch `count` instances of the first instance type that is to be had, the rest of the next one, and so on.

    Args:
        launch: Launches instances of a node_config, at most so many, and returns them by id.
        node_config: As the cluster's file has it.
        count: How many are wanted.

    Returns:
        The instances by id; fewer than `count` where no type has more, which Ray asks for again after ten minutes.

    Raises:
        NodeLaunchException: none came, or a type was refused for a reason that no other type would change.
    """
    first = {key: value for key, value in node_config.items() if key != ALTERNATIVES}
    created: dict[str, Any] = {}
    refusal: NodeLaunchException | None = None
    for change in [{}, *node_config.get(ALTERNATIVES, [])]:
        config = {key: value for key, value in {**first, **change}.items() if value is not None}
        try:
            created |= launch(config, count - len(created))
        except NodeLaunchException as error:
            if error.category not in NONE_TO_BE_HAD:
                raise
            _log.warning("%s is not to be had: %s", config.get("InstanceType"), error.description)
            refusal = error
        if len(created) >= count:
            break
    if refusal is not None and not created:
        raise refusal
    return created
