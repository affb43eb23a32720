"""Instance types in turn: which are asked for after a refusal, and that Ray alone would ask for the first again."""

import pytest

pytest.importorskip("boto3")

from ray.autoscaler.node_launch_exception import NodeLaunchException

from study.cluster.instance_types import in_turn

FIRST = {"InstanceType": "small", "InstanceMarketOptions": {"MarketType": "spot"}, "ImageId": "ami-1"}
NODE = {**FIRST, "Alternatives": [{"InstanceType": "large"}, {"InstanceMarketOptions": None}]}


class Zone:
    """A zone that has so many instances of each type left, and says `code` where it has none."""

    def __init__(self, code="InsufficientInstanceCapacity", **left):
        self.code, self.left, self.asked = code, left, []

    def launch(self, config, count):
        self.asked.append((config, count))
        kind = config["InstanceType"] if "InstanceMarketOptions" in config else "on_demand"
        number = min(count, self.left.get(kind, 0))
        if number == 0:
            raise NodeLaunchException(self.code, f"no {kind}", None)
        self.left[kind] -= number
        return {f"{kind}{left}": None for left in range(number)}


def test_the_first_type_is_asked_for_alone_where_it_is_to_be_had():
    zone = Zone(small=2, large=2)
    assert set(in_turn(zone.launch, NODE, 2)) == {"small0", "small1"}
    assert zone.asked == [(FIRST, 2)]


@pytest.mark.parametrize("code", ["InsufficientInstanceCapacity", "SpotMaxPriceTooLow", "VcpuLimitExceeded"])
def test_the_next_type_is_asked_for_where_there_is_none_of_one(code):
    zone = Zone(code, large=1)
    assert set(in_turn(zone.launch, NODE, 1)) == {"large0"}
    assert zone.asked == [(FIRST, 1), ({**FIRST, "InstanceType": "large"}, 1)]


def test_null_takes_a_key_away():
    zone = Zone(on_demand=1)
    assert set(in_turn(zone.launch, NODE, 1)) == {"on_demand0"}
    assert zone.asked[-1] == ({"InstanceType": "small", "ImageId": "ami-1"}, 1)


def test_the_rest_is_of_the_next_type_where_one_has_too_few():
    zone = Zone(small=1, large=5)
    assert set(in_turn(zone.launch, NODE, 3)) == {"small0", "large0", "large1"}
    assert [count for _, count in zone.asked] == [3, 2]


def test_what_came_is_returned_where_no_type_has_more():
    assert set(in_turn(Zone(small=1).launch, NODE, 3)) == {"small0"}


def test_the_last_refusal_is_raised_where_none_comes():
    with pytest.raises(NodeLaunchException, match="no on_demand"):
        in_turn(Zone().launch, NODE, 1)


def test_what_no_other_type_would_change_is_raised_at_once():
    zone = Zone("UnauthorizedOperation", large=1)
    with pytest.raises(NodeLaunchException, match="no small"):
        in_turn(zone.launch, NODE, 1)
    assert len(zone.asked) == 1


def test_a_node_without_alternatives_is_asked_for_once():
    zone = Zone()
    with pytest.raises(NodeLaunchException):
        in_turn(zone.launch, FIRST, 1)
    assert zone.asked == [(FIRST, 1)]


def test_ray_itself_does_not_hear_of_a_launch_that_fails():
    """Why all this is here. Once this fails, several node types in cluster.yaml may do in its place."""
    from ray.autoscaler.v2.instance_manager.subscribers.cloud_resource_monitor import CloudResourceMonitor
    from ray.core.generated.instance_manager_pb2 import Instance, InstanceUpdateEvent

    def heard(status):
        monitor = CloudResourceMonitor()
        monitor.notify([InstanceUpdateEvent(instance_id="1", instance_type="small", new_instance_status=status)])
        return set(monitor.get_recoverable_resource_availabilities())

    assert heard(Instance.ALLOCATION_TIMEOUT) == {"small"}  # a machine that came and never ran Ray
    assert heard(Instance.ALLOCATION_FAILED) == set()
