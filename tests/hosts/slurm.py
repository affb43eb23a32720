"""Debian's SLURM on isolated hosts: munge and slurmctld on the one that jobs are sent from, slurmd on the others."""

from __future__ import annotations

import re
import secrets
import shutil

from hosts.host import Host

PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "srun", "scontrol")
_MUNGE = "/run/munge/munge.socket.2"
# Nothing of the machine outside is asked: no accounts, no control groups. A node that is silent is given up after ten
# seconds instead of five minutes, and a job that is queued again may start after five instead of two minutes.
_CONFIG = """
ClusterName=test
SlurmctldHost={control}({control_ip})
SlurmUser=root
AuthInfo=cred_expire=5,socket={munge}
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
SlurmdParameters=config_overrides
SlurmdTimeout=10
KillWait=20
ReturnToService=2
SchedulerParameters=bf_interval=5
StateSaveLocation=/var/spool/slurmctld
SlurmdSpoolDir=/var/spool/slurmd
SlurmctldPidFile=/run/slurmctld.pid
SlurmdPidFile=/run/slurmd.pid
SlurmctldLogFile=/var/log/slurmctld.log
SlurmdLogFile=/var/log/slurmd.log
PartitionName=all Nodes=ALL Default=YES
{nodes}
"""


def missing() -> str | None:
    """Return which programs of SLURM this machine lacks; None if it has them."""
    path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
    absent = [program for program in PROGRAMS if shutil.which(program, path=path) is None]
    return f"this test needs {', '.join(absent)} (Debian's packages slurm-wlm and munge)" if absent else None


class Slurm:
    """SLURM on `nodes`, to which jobs are sent from `control`.

    Args:
        control: The host of slurmctld.
        nodes: Those that run jobs, of one processor each.
    """

    def __init__(self, control: Host, nodes: list[Host]) -> None:
        self.control = control
        lines = [f"NodeName={node.name} NodeAddr={node.ip} CPUs=1 State=UNKNOWN" for node in nodes]
        config = _CONFIG.format(control=control.name, control_ip=control.ip, munge=_MUNGE, nodes="\n".join(lines))
        names = "\n".join(f"{host.ip} {host.name}" for host in (control, *nodes))
        key = secrets.token_hex(64)
        for host, daemon in ((control, "slurmctld"), *((node, "slurmd") for node in nodes)):
            host.shell(f"printf '%s\n' '{names}' >> /etc/hosts; printf '%s' '{config}' > /etc/slurm/slurm.conf")
            host.shell(
                "echo CgroupPlugin=cgroup/v1 > /etc/slurm/cgroup.conf"
            )  # never used; without it slurmd looks for one
            host.shell(
                "mkdir -p -m 755 /run/munge /var/spool/slurmctld /var/spool/slurmd /var/lib/munge /var/log/munge"
            )
            host.shell(f"umask 077; rm -f /etc/munge/munge.key; printf %s {key} > /etc/munge/munge.key")
            host.shell("chown -R root:root /etc/munge /run/munge /var/lib/munge /var/log/munge && munged")
            host.shell(daemon)

    def submit(self, words: str, folder: str) -> str:
        """Send a job from a folder of the control host and return its number."""
        said = self.control.shell(f"cd {folder} && sbatch --parsable {words}").stdout
        return said.strip().split(";")[0]

    def job(self, number: str) -> dict[str, str]:
        """Return what `scontrol show job` says of a job, by its keys."""
        said = self.control.shell(f"scontrol show job {number} --oneliner").stdout
        return dict(re.findall(r"(\S+?)=(\S*)", said))

    def logs(self) -> str:
        """Return the ends of the daemons' logs, of the hosts that are on."""
        return self.control.shell("tail -n 40 /var/log/slurmctld.log", check=False).stdout
