"""What a spot worker does at its cloud's notice: the files' own command, with programs that note their words."""

import os
import subprocess
import time

import pytest
from hosts.cluster_files import shipped

NOTICES = {
    # EC2 answers 404 until there is a notice, and nothing without a token; Compute Engine answers FALSE.
    "cluster.yaml": """
case "$*" in
    *api/token*) echo secret ;;
    *"X-aws-ec2-metadata-token: secret"*spot/instance-action*) [ -e {notice} ] || exit 22 ;;
    *) exit 22 ;;
esac""",
    "cluster-gcp.yaml": """
case "$*" in
    *"Metadata-Flavor: Google"*instance/preempted*) [ -e {notice} ] && echo TRUE || echo FALSE ;;
    *) exit 22 ;;
esac""",
}


@pytest.mark.parametrize("name", NOTICES)
def test_a_spot_worker_is_drained_at_its_notice_and_not_before(name, tmp_path):
    notice, drained = tmp_path / "notice", tmp_path / "drained"
    programs = {
        "curl": f'echo "$*" >> {tmp_path}/asked\n{NOTICES[name].format(notice=notice)}',
        "ray": f'echo "$*" > {drained}',
        "sleep": f"[ -e {tmp_path}/end ] && kill $PPID; exec /bin/sleep 0.1",
    }
    for program, text in programs.items():
        file = tmp_path / program
        file.write_text(f"#!/bin/bash\n{text}\n")
        file.chmod(0o755)
    command = shipped(name)["worker_start_ray_commands"][-1]
    path = f"{tmp_path}{os.pathsep}{os.environ['PATH']}"
    environment = {"PATH": path, "HOME": str(tmp_path), "RAY_HEAD_IP": "10.0.0.1"}
    try:
        # The command returns at once, as Ray's launcher waits for it.
        subprocess.run(["bash", "-c", command], env=environment, check=True, timeout=60)
        wait_for(lambda: (tmp_path / "asked").exists() and len((tmp_path / "asked").read_text().splitlines()) > 4)
        assert not drained.exists()
        notice.touch()
        wait_for(drained.exists)
    finally:
        (tmp_path / "end").touch()
    words = drained.read_text()
    assert words.startswith("drain-node --address=10.0.0.1:6379 --reason=DRAIN_NODE_REASON_PREEMPTION ")
    assert "--deadline-remaining-seconds=" in words


def wait_for(condition):
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)
