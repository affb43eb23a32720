"""A host: namespaces of its own (processes, mounts, network, host name), an ssh server, a switch to turn it off."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

BOOT = Path(__file__).with_name("boot.sh")
REPOSITORY = Path(__file__).resolve().parents[2]
USER = "ubuntu"
BOOTED = "/run/host_key"  # is there, and process 1 has it below its root, when a host is up
# Whatever ends the tests, even a kill, turns the hosts off: nothing of them is left behind.
WITH_PARENT = ("setpriv", "--pdeathsig", "KILL")
_UNSHARE = (*WITH_PARENT, "unshare", "-n", "-m", "-p", "-u", "-i", "-f", "--mount-proc", "--kill-child")


@dataclass(frozen=True)
class Image:
    """What the hosts of a test have in common."""

    keys: Path  # a folder with host_key and authorized_keys
    storage: Path | None  # what NFS mounts; None: every host mounts a folder that no other has
    profile: str = ""  # lines for every login shell


@dataclass
class Host:
    """A running host; `power_off` is sudden, and `command` takes the place of the ssh server."""

    name: str
    ip: str
    image: Image
    log: Path
    command: str = ""
    process: subprocess.Popen[bytes] = field(init=False)

    def __post_init__(self) -> None:
        environment = {
            "PATH": os.environ["PATH"],
            "HOST_NAME": self.name,
            "HOST_IP": self.ip,
            "HOST_KEYS": str(self.image.keys),
            "HOST_USER": USER,
            "HOST_EXPORT": str(self.image.storage or ""),
            "HOST_HIDE": f"{REPOSITORY}:{Path(sys.prefix).parent}",
            "HOST_VENV": sys.prefix,
            "HOST_PYTHON": sys.base_prefix,
            "HOST_PROFILE": self.image.profile,
            "HOST_COMMAND": self.command,
        }
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [*_UNSHARE, "bash", str(BOOT)], env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )

    @property
    def init(self) -> int:
        """The host's process 1, as the machine outside numbers it, once the host has booted.

        Before that its root is still the machine's own, which nothing here may touch.
        """
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline and self.process.poll() is None:
            found = children.read_text().split()
            if found and Path(f"/proc/{found[0]}/root{BOOTED}").exists():
                return int(found[0])
            time.sleep(0.01)
        raise RuntimeError(f"{self.name} did not start: {self.log.read_text()}")

    def inside(self, *argv: str) -> list[str]:
        """Return the command that runs `argv` inside the host, as its user."""
        path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
        environment = ["env", "-i", f"--chdir=/home/{USER}", f"HOME=/home/{USER}", f"PATH={path}"]
        return ["nsenter", "-t", str(self.init), "-a", "--root", "--wd=/", *environment, *argv]

    def shell(self, script: str, *, check: bool = True, seconds: float = 900) -> subprocess.CompletedProcess[str]:
        """Run a script in a login shell of the host, as ssh does."""
        argv = self.inside("bash", "-lc", f"cd && . ~/.bashrc && {script}")
        done = subprocess.run(argv, capture_output=True, text=True, timeout=seconds, check=False)
        assert not check or done.returncode == 0, f"{self.name}: {script}\n{done.stdout}\n{done.stderr}"
        return done

    def receive(self, archive: bytes, folder: str) -> None:
        """Unpack a tar archive into a folder below the user's home."""
        script = f"mkdir -p ~/{folder} && tar -x -C ~/{folder}"
        subprocess.run(self.inside("bash", "-c", script), input=archive, check=True)

    def processes(self, words: str) -> list[int]:
        """Return the processes of this host, as the machine outside numbers them, whose command line has `words`."""
        space = os.readlink(f"/proc/{self.init}/ns/pid")
        found = []
        for entry in Path("/proc").glob("[0-9]*"):
            try:
                if os.readlink(entry / "ns" / "pid") == space:
                    command = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode()
                    if words in command:
                        found.append(int(entry.name))
            except OSError:  # ended meanwhile
                continue
        return found

    def kill(self, words: str) -> int:
        """Kill those processes and return how many there were."""
        found = self.processes(words)
        for process in found:
            os.kill(process, signal.SIGKILL)
        return len(found)

    @property
    def is_on(self) -> bool:
        """Whether the host runs."""
        return self.process.poll() is None

    def power_off(self) -> None:
        """End every process at once, without a word to anybody: the network is cut first."""
        if self.is_on:
            init = self.init
            kept = Path(f"/proc/{init}/root/home/{USER}/mlflow.log")
            if kept.exists():  # nothing else of its file system outlives it
                self.log.with_suffix(".mlflow.log").write_bytes(kept.read_bytes())
            subprocess.run(["nsenter", "-t", str(init), "-n", "ip", "link", "set", "eth0", "down"], check=False)
            os.kill(init, signal.SIGKILL)
            self.process.wait(30)
