"""Instance types in turn: which are asked for after a refusal, and that Ray alone would ask for the first again."""

import socket
import subprocess
import sys
import time
from pathlib import Path

import boto3
import pytest
from ray.autoscaler.node_launch_exception import NodeLaunchException

from study.cluster.instance_types import TypesInTurn, in_turn

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


REGION = "us-west-2"
SERVER = Path(__file__).with_name("hosts") / "ec2.py"


@pytest.fixture(scope="module")
def ec2(tmp_path_factory):
    """moto's EC2 as a server of its own; the files say what is sold out, and what was refused."""
    folder = tmp_path_factory.mktemp("ec2")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    sold_out, refused = folder / "sold_out", folder / "refused"
    settings = {
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}",
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_EC2_METADATA_DISABLED": "true",
    }
    argv = [sys.executable, str(SERVER), "127.0.0.1", str(port), str(sold_out), str(refused)]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(argv, stdout=log, stderr=log)
    try:
        while True:
            assert process.poll() is None, (folder / "log").read_text()
            try:
                socket.create_connection(("127.0.0.1", port)).close()
                break
            except OSError:
                time.sleep(0.1)
        with pytest.MonkeyPatch.context() as environment:
            for name, value in settings.items():
                environment.setenv(name, value)
            yield sold_out, refused
    finally:
        process.kill()
        process.wait()


@pytest.mark.parametrize(
    ("sold", "came"), [("", "g6.xlarge"), ("g6.xlarge", "g5.xlarge"), ("g6.xlarge g5.xlarge", None)]
)
def test_ec2_is_asked_for_every_zone_of_a_type_before_the_next_type(ec2, sold, came):
    sold_out, refused = ec2
    sold_out.write_text(sold)
    client = boto3.client("ec2", region_name=REGION)
    network = client.create_vpc(CidrBlock="10.0.0.0/24")["Vpc"]["VpcId"]
    subnets = [
        client.create_subnet(VpcId=network, CidrBlock=cidr, AvailabilityZone=REGION + zone)["Subnet"]["SubnetId"]
        for zone, cidr in {"a": "10.0.0.0/25", "b": "10.0.0.128/25"}.items()
    ]
    node_config = {
        "InstanceType": "g6.xlarge",
        "Alternatives": [{"InstanceType": "g5.xlarge"}],
        "ImageId": client.describe_images()["Images"][0]["ImageId"],
        "SubnetIds": subnets,
        "InstanceMarketOptions": {"MarketType": "spot"},
    }
    provider = TypesInTurn({"region": REGION, "cache_stopped_nodes": False}, "study")
    tags = {"ray-node-name": "ray-study-worker", "ray-node-type": "worker", "ray-launch-config": "1"}
    if came is None:
        with pytest.raises(NodeLaunchException) as told:
            provider.create_node(node_config, tags, 1)
        assert told.value.category == "InsufficientInstanceCapacity"
    else:
        provider.create_node(node_config, tags, 1)
    found = client.describe_instances(Filters=[{"Name": "subnet-id", "Values": subnets}])["Reservations"]
    launched = [one for group in found for one in group["Instances"]]
    assert [(one["InstanceType"], one["InstanceLifecycle"]) for one in launched] == ([(came, "spot")] if came else [])
    asked = [line for line in refused.read_text().splitlines() if line.split()[1] in subnets] if sold else []
    assert set(asked) == {f"{kind} {subnet}" for kind in sold.split() for subnet in subnets}
    assert [line.split()[0] for line in asked] == sorted((line.split()[0] for line in asked), key=sold.split().index)
