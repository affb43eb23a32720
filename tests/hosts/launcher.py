"""The machine at home: a host without an ssh server, a checkout of the project, and Ray's launcher."""

from __future__ import annotations

import io
import subprocess
import tarfile
from typing import Any

import yaml

from hosts.host import REPOSITORY, USER
from hosts.network import SUBNET, Network

CLUSTER = "cluster-test.yaml"


class Launcher:
    """Runs `ray up` and its like from a checkout, against the hosts of a network and nothing else.

    Args:
        network: Where it is plugged in.
        config: The cluster's file.
        token: Whether Ray's token is made, as the cluster's file asks for.
    """

    def __init__(self, network: Network, config: dict[str, Any], *, token: bool = True) -> None:
        self.host = network.host("home", f"{SUBNET}.5", command="sleep infinity")
        self.host.receive(_archive(_tracked()), "checkout")
        self.host.receive(_archive({"id_ed25519": network.key.read_bytes()}), ".ssh")
        self.configure(config)
        self.run("git init -q . && git add -A && git -c user.name=t -c user.email=t@example.org commit -qm all")
        if token:
            self.run("ray get-auth-token --generate > /dev/null && test -s ~/.ray/auth_token")

    def configure(self, config: dict[str, Any]) -> None:
        """Write the cluster's file anew."""
        self.host.receive(_archive({CLUSTER: yaml.safe_dump(config, sort_keys=False).encode()}), "checkout")

    def run(self, script: str, *, check: bool = True, seconds: float = 900) -> subprocess.CompletedProcess[str]:
        """Run a script in the checkout."""
        path = f"export PATH=/home/{USER}/.study-venv/bin:$PATH RAY_USAGE_STATS_ENABLED=0"
        return self.host.shell(f"cd checkout && {path} && {script}", check=check, seconds=seconds)

    def ray(self, command: str, *, check: bool = True, seconds: float = 900) -> subprocess.CompletedProcess[str]:
        """Run `ray COMMAND`; `{cluster}` in it stands for the cluster's file."""
        return self.run(f"ray {command.format(cluster=CLUSTER)} < /dev/null", check=check, seconds=seconds)


def _tracked() -> dict[str, bytes]:
    """Return the files of the checkout under test, as they are on disk."""
    command = ["git", "-C", str(REPOSITORY), "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split("\0")
    return {name: (REPOSITORY / name).read_bytes() for name in names if name and (REPOSITORY / name).is_file()}


def _archive(files: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(content), 0o600 if name.startswith("id_") else 0o755
            archive.addfile(entry, io.BytesIO(content))
    return buffer.getvalue()
