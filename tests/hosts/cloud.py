"""EC2, played: moto answers the API in the hosts' network, and a host is turned on for every instance of its."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

from hosts.host import WITH_PARENT
from hosts.network import SUBNET, Network

ENDPOINT_IP = f"{SUBNET}.2"
ENDPOINT = f"http://{ENDPOINT_IP}:5000"
ZONES = {"a": f"{SUBNET}.64/27", "b": f"{SUBNET}.96/27"}  # apart from the addresses of the launcher and of the API
PROFILE = "\n".join(
    [
        f"export AWS_ENDPOINT_URL={ENDPOINT} AWS_EC2_METADATA_DISABLED=true AWS_PAGER=",
        "export AWS_ACCESS_KEY_ID=test AWS_SECRET_ACCESS_KEY=test",
    ]
)
_SETUP = """
import boto3, json
from botocore.config import Config
ec2 = boto3.client("ec2", endpoint_url="{endpoint}", region_name="{region}", config=Config(read_timeout=600),
                   aws_access_key_id="test", aws_secret_access_key="test")
vpc = ec2.create_vpc(CidrBlock="{network}.0/24")["Vpc"]["VpcId"]
subnets = [
    ec2.create_subnet(VpcId=vpc, CidrBlock=cidr, AvailabilityZone="{region}" + zone)["Subnet"]["SubnetId"]
    for zone, cidr in {zones}.items()
]
key = ec2.create_key_pair(KeyName="test")["KeyName"]
print(json.dumps({{"subnets": subnets, "key": key, "image": ec2.describe_images()["Images"][0]["ImageId"]}}))
"""


class Cloud:
    """EC2 in one region of two zones; what a user has to choose of it is in `chosen` (subnets, key, image).

    Args:
        network: Where it is plugged in, and where instances appear.
        region: The region.
    """

    def __init__(self, network: Network, region: str) -> None:
        self._network = network
        self._sold_out, self._refused = network.folder / "sold_out", network.folder / "refused"
        self._refused.touch()
        self._api = network.host("aws", ENDPOINT_IP, command="sleep infinity")
        self._server = self._serve()
        wait = f"for i in $(seq 600); do curl -s -o /dev/null {ENDPOINT} && exit 0; sleep 0.2; done; exit 1"
        self._api.shell(wait)
        setup = _SETUP.format(endpoint=ENDPOINT, region=region, network=SUBNET, zones=ZONES)
        self.chosen: dict[str, Any] = json.loads(self._in_network([sys.executable, "-c", setup]).stdout)
        self.instances: dict[str, dict[str, Any]] = {}  # by id, the terminated ones too
        argv = [*WITH_PARENT, *self._argv([sys.executable, _script("instances.py"), ENDPOINT, region])]
        self._watch = subprocess.Popen(argv, stdout=subprocess.PIPE, text=True)
        self._thread = threading.Thread(target=self._follow, name="instances", daemon=True)
        self._thread.start()

    def running(self) -> list[dict[str, Any]]:
        """Return the instances that cost money now."""
        return [instance for instance in self.instances.values() if instance["state"] == "running"]

    def sell_out(self, *types: str) -> None:
        """Let the region have none of these instance types left; of all others there are enough."""
        self._sold_out.write_text(" ".join(types))

    def refused(self) -> list[tuple[str, str]]:
        """Return the launches that were refused so far: instance type and subnet."""
        return [(kind, subnet) for kind, subnet in map(str.split, self._refused.read_text().splitlines())]

    def close(self) -> None:
        """Stop looking at instances, and answering."""
        for process in (self._watch, self._server):
            process.kill()
            process.wait()

    def _serve(self) -> subprocess.Popen[bytes]:
        words = [_script("ec2.py"), ENDPOINT_IP, "5000", str(self._sold_out), str(self._refused)]
        environment = {**os.environ, "MOTO_IAM_LOAD_MANAGED_POLICIES": "true"}
        with (self._network.folder / "ec2.log").open("wb") as log:
            argv = [*WITH_PARENT, *self._argv([sys.executable, *words])]
            return subprocess.Popen(argv, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log)

    def _follow(self) -> None:
        """Turn hosts on and off as instances come and go; the thread lives as long as the process that it reads."""
        assert self._watch.stdout is not None
        for line in self._watch.stdout:
            for instance in json.loads(line):
                host = self._network.hosts.get(instance["id"])
                if instance["state"] == "running" and host is None:
                    self._network.host(instance["id"], instance["ip"])
                elif instance["state"] != "running" and host is not None:
                    host.power_off()
                self.instances[instance["id"]] = instance
        threading.Event().wait()  # the kernel ends a host with the thread that has started it

    def _in_network(self, argv: list[str]) -> subprocess.CompletedProcess[str]:
        return subprocess.run(self._argv(argv), capture_output=True, text=True, check=True)

    def _argv(self, argv: list[str]) -> list[str]:
        return ["nsenter", "-t", str(self._api.init), "-n", *argv]


def _script(name: str) -> str:
    return str(Path(__file__).with_name(name))
