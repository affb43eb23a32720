"""The shipped AWS file against a played EC2: workers come when trials wait, go when idle, and nothing is left.

Where no zone has the first instance type, they are of the second.
"""

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
STUDY = "--space digits_classifier --trials 3 --epochs 2 --train-size 200 --max-params 100000 --confirm 0"
IDLE_MINUTES = 0.5


@pytest.fixture(scope="module")
def aws(tmp_path_factory):
    folder = tmp_path_factory.mktemp("aws")
    storage = folder / "storage"
    storage.mkdir()
    with Network(folder / "network", storage, cloud.PROFILE) as network:
        played = cloud.Cloud(network, REGION)
        home = Launcher(network, cluster_files.aws(played.chosen, IDLE_MINUTES))
        home.run("pip install --quiet --no-deps --no-build-isolation --editable .")  # Ray imports its provider
        try:
            yield played, home, storage
        finally:
            played.close()


def kinds(played):
    return sorted(instance["name"] for instance in played.running())


def run_on_a_worker(aws, name, instance_type):
    """Run a study; the workers that come for it have to be of this type, train its trials, and go when idle."""
    played, home, storage = aws
    before = set(played.instances)
    path = "export PATH=/home/ubuntu/.study-venv/bin:$PATH"
    command = f"ray submit {CLUSTER} study/run.py {STUDY} --name {name}"
    with studies.in_background(home.host.inside("bash", "-lc", f"cd ~/checkout && {path} && {command}")) as submitted:
        studies.wait_for(lambda: "gpu_worker" in kinds(played), 900, "a worker is started", submitted)
        submitted.finish(900)
    workers = {key: instance for key, instance in played.instances.items() if key not in before}
    assert {(one["name"], one["type"], one["spot"]) for one in workers.values()} == {
        ("gpu_worker", instance_type, True)
    }
    state = read_state(storage / name / "journal.jsonl")
    assert len(state.trials) == 3
    # A network may diverge by itself, where the scheduler does not stop it before.
    assert [one.reason for one in state.trials if one.status == "failed" and "NonFinite" not in one.reason] == []
    assert {host for steps in studies.places(storage / name).values() for host, _ in steps} <= set(workers)
    studies.wait_for(lambda: kinds(played) == ["head"], 60 * IDLE_MINUTES + 600, "idle workers are terminated")


def test_ray_up_starts_a_head_and_no_worker(aws):
    played, home, _ = aws
    done = home.ray("up {cluster} --yes", check=False, seconds=1200)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    assert kinds(played) == ["head"]
    assert [instance["type"] for instance in played.running()] == ["m7i.large"]


def test_waiting_trials_bring_a_spot_worker_up_and_it_goes_when_idle(aws):
    run_on_a_worker(aws, "night", "g6.xlarge")
    assert aws[0].refused() == []


def test_where_no_zone_has_the_first_type_the_worker_is_of_the_second_and_goes_when_idle(aws):
    played = aws[0]
    played.sell_out("g6.xlarge")
    run_on_a_worker(aws, "second", "g5.xlarge")
    assert set(played.refused()) == {("g6.xlarge", subnet) for subnet in played.chosen["subnets"]}


def test_ray_down_leaves_every_instance_terminated(aws):
    played, home, _ = aws
    home.ray("down {cluster} --yes", seconds=600)
    studies.wait_for(lambda: not played.running(), 60, "every instance is terminated")
    assert {instance["state"] for instance in played.instances.values()} == {"terminated"}
