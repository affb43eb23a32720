"""The shipped cluster files, with what a user has to choose chosen for the hosts of a test."""

from __future__ import annotations

from typing import Any

import yaml

from hosts.host import REPOSITORY, USER

KEY = f"/home/{USER}/.ssh/id_ed25519"


def shipped(name: str) -> dict[str, Any]:
    """Return a cluster file as it is in the repository."""
    return yaml.safe_load((REPOSITORY / name).read_text())


def local(head: str, workers: list[str]) -> dict[str, Any]:
    """Return cluster-local.yaml for these addresses."""
    config = shipped("cluster-local.yaml")
    config["provider"] |= {"head_ip": head, "worker_ips": workers}
    config["auth"]["ssh_private_key"] = KEY
    return config


def aws(chosen: dict[str, Any], idle_minutes: float) -> dict[str, Any]:
    """Return cluster.yaml with subnets, image and key of the cloud, reached from inside, and little patience."""
    config = shipped("cluster.yaml")
    config["idle_timeout_minutes"] = idle_minutes
    config["provider"]["use_internal_ips"] = True
    config["auth"]["ssh_private_key"] = KEY
    for kind in config["available_node_types"].values():
        kind["node_config"] |= {
            "SubnetIds": chosen["subnets"],
            "ImageId": chosen["image"],
            "KeyName": chosen["key"],
        }
    return config
