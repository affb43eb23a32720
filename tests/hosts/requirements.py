"""What isolated hosts need of the machine that runs the tests."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys

PROGRAMS = ("unshare", "nsenter", "setpriv", "ip", "sshd", "ssh", "ssh-keygen", "rsync", "git", "make", "curl")
_TRIAL = (
    "mount -t tmpfs tmpfs /mnt && mkdir /mnt/upper /mnt/work /mnt/root && "
    "mount -t overlay -o lowerdir=/,upperdir=/mnt/upper,workdir=/mnt/work overlay /mnt/root"
)


def missing(*modules: str) -> str | None:
    """Return why isolated hosts are not to be had here; None where they are.

    Args:
        modules: Packages that the test needs besides.
    """
    if os.geteuid() != 0:
        return "isolated hosts need root"
    # sshd insists on an absolute path, and is seldom on the path of who may not administer the machine.
    path = os.pathsep.join([os.environ["PATH"], "/usr/sbin", "/sbin"])
    absent = [program for program in PROGRAMS if shutil.which(program, path=path) is None]
    if absent:
        return f"isolated hosts need {', '.join(absent)}"
    if sys.prefix == sys.base_prefix:
        return "isolated hosts need a virtual environment, of which each has a copy of its own"
    if absent := [name for name in modules if importlib.util.find_spec(name) is None]:
        return f"this test needs {', '.join(absent)}"
    trial = ["unshare", "-n", "-m", "-p", "-u", "-i", "-f", "--mount-proc", "bash", "-c", _TRIAL]
    done = subprocess.run(trial, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        return f"namespaces with overlay file systems are not to be had here: {done.stderr.strip()}"
    return None
