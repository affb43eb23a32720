"""A network that leads nowhere: a switch in a namespace of its own, and the hosts that are plugged into it."""

from __future__ import annotations

import itertools
import os
import subprocess
import time
from pathlib import Path

from hosts.host import WITH_PARENT, Host, Image

SUBNET = "10.77.0"
NOWHERE = f"{SUBNET}.254"  # nobody has this address: Ray finds its own by the default route, which leads there


class Network:
    """A switch and its hosts; a context manager that turns all of them off.

    Args:
        folder: For keys and logs.
        storage: The folder that hosts mount by NFS; None gives each of them one of its own.
        profile: Lines for every login shell of a host.
    """

    def __init__(self, folder: Path, storage: Path | None, profile: str = "") -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self.key = folder / "id_ed25519"
        for key in (self.key, folder / "host_key"):
            if not key.exists():
                subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)], check=True)
        (folder / "authorized_keys").write_text(self.key.with_suffix(".pub").read_text())
        self.image = Image(folder, storage, profile)
        self.hosts: dict[str, Host] = {}
        self._ports = itertools.count(1)
        self._switch = subprocess.Popen([*WITH_PARENT, "unshare", "-n", "sleep", "infinity"])
        self._await_namespace(self._switch.pid)
        self._in(self._switch.pid, "ip link add switch type bridge")
        self._in(self._switch.pid, "ip link set switch up")

    def __enter__(self) -> Network:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def host(self, name: str, ip: str, *, image: Image | None = None, command: str = "") -> Host:
        """Turn a host on and plug it in, and wait until it answers to ssh."""
        host = Host(name, ip, image or self.image, self.folder / f"{name}.log", command)
        self._await_namespace(host.process.pid)
        self._plug(host.process.pid, ip)
        self.hosts[name] = host
        deadline = time.monotonic() + 30
        while host.init and not command and b"Server listening" not in host.log.read_bytes():
            assert time.monotonic() < deadline, host.log.read_text()
            time.sleep(0.02)
        return host

    def close(self) -> None:
        """Turn everything off."""
        for host in self.hosts.values():
            host.power_off()
        self._switch.kill()
        self._switch.wait()

    def _plug(self, process: int, ip: str) -> None:
        """Give the network namespace of `process` an interface with this address, and a way out that leads nowhere."""
        port = f"port{next(self._ports)}"
        self._in(self._switch.pid, f"ip link add {port} type veth peer name eth0 netns {process}")
        self._in(self._switch.pid, f"ip link set {port} master switch up")
        for command in ("link set lo up", "link set eth0 up", f"route add default via {NOWHERE} onlink dev eth0"):
            if command.startswith("route"):
                self._in(process, f"ip address add {ip}/24 dev eth0")
            self._in(process, f"ip {command}")

    def _in(self, process: int, command: str) -> None:
        done = subprocess.run(
            ["nsenter", "-t", str(process), "-n", *command.split()], capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, f"{command}: {done.stderr}"

    def _await_namespace(self, process: int) -> None:
        """Wait until `unshare` has left the network of the machine, which nothing here may touch."""
        own = os.readlink("/proc/self/ns/net")
        deadline = time.monotonic() + 10
        while os.readlink(f"/proc/{process}/ns/net") == own:
            assert time.monotonic() < deadline, "no network namespace was made"
            time.sleep(0.005)
