"""The shipped AWS file against a played EC2: workers come when trials wait, go when idle, and nothing is left."""

import pytest
from hosts import cloud, cluster_files, requirements, studies
from hosts.launcher import CLUSTER, Launcher
from hosts.network import Network

from study.record.journal import read_state

pytestmark = [
    pytest.mark.cluster,
    pytest.mark.skipif(
        bool(reason := requirements.missing("moto", "boto3")), reason=reason or "hosts and moto are to be had"
    ),
]

REGION = cluster_files.shipped("cluster.yaml")["provider"]["region"]
# Its baseline comes last, so that what asks for the first worker is a trial.
STUDY = "--space digits_classifier --trials 3 --epochs 2 --train-size 200 --max-params 100000 --confirm 0 --name night"
IDLE_MINUTES = 0.5


@pytest.fixture(scope="module")
def aws(tmp_path_factory):
    folder = tmp_path_factory.mktemp("aws")
    storage = folder / "storage"
    storage.mkdir()
    with Network(folder / "network", storage, cloud.PROFILE) as network:
        played = cloud.Cloud(network, REGION)
        home = Launcher(network, cluster_files.aws(played.chosen, IDLE_MINUTES))
        try:
            yield played, home, storage
        finally:
            played.close()


def kinds(played):
    return sorted(instance["name"] for instance in played.running())


def test_ray_up_starts_a_head_and_no_worker(aws):
    played, home, _ = aws
    done = home.ray("up {cluster} --yes", check=False, seconds=1200)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    assert kinds(played) == ["head"]
    assert [instance["type"] for instance in played.running()] == ["m7i.large"]


def test_waiting_trials_bring_a_spot_worker_up_and_it_goes_when_idle(aws):
    played, home, storage = aws
    path = "export PATH=/home/ubuntu/.study-venv/bin:$PATH"
    argv = home.host.inside("bash", "-lc", f"cd ~/checkout && {path} && ray submit {CLUSTER} study/run.py {STUDY}")
    with studies.in_background(argv) as command:
        studies.wait_for(lambda: "gpu_worker" in kinds(played), 900, "a worker is started", command)
        command.finish(900)
    assert all(instance["spot"] for instance in played.instances.values() if instance["name"] == "gpu_worker")
    state = read_state(storage / "night" / "journal.jsonl")
    assert len(state.trials) == 3
    assert {trial.status for trial in state.trials} <= {"completed", "stopped"}
    workers = {instance["id"] for instance in played.instances.values() if instance["name"] == "gpu_worker"}
    assert {host for steps in studies.places(storage / "night").values() for host, _ in steps} <= workers
    studies.wait_for(lambda: kinds(played) == ["head"], 60 * IDLE_MINUTES + 600, "idle workers are terminated")


def test_ray_down_leaves_every_instance_terminated(aws):
    played, home, _ = aws
    home.ray("down {cluster} --yes", seconds=600)
    studies.wait_for(lambda: not played.running(), 60, "every instance is terminated")
    assert {instance["state"] for instance in played.instances.values()} == {"terminated"}
