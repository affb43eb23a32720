"""A machine that is to go, and one that joins late: runs leave the one after their epoch, and go on upon the other."""

import subprocess
import sys

import psutil
import pytest
import ray
from ray.cluster_utils import Cluster
from study_processes import SMALL, TIMEOUT, environment, start, state_of, wait_for

from study.record import journal
from study.record.events import Placed

# So much work that a run outlives the seconds in which a machine joins and another hears that it is to go: on a fast,
# idle core half a minute and more.
EPOCHS = 600
IMAGES = 1000


@pytest.fixture
def cluster(monkeypatch):
    monkeypatch.setenv("RAY_AUTH_MODE", "disabled")
    found = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False})
    try:
        yield found
    finally:
        found.shutdown()


def drain(cluster, node):
    """Say that a node is to go, as its machine does."""
    command = [sys.executable, "-m", "ray.scripts.scripts", "drain-node", f"--address={cluster.address}"]
    command += [f"--node-id={node.node_id}", "--reason=DRAIN_NODE_REASON_PREEMPTION", "--reason-message=test"]
    subprocess.run([*command, "--deadline-remaining-seconds=600"], check=True, timeout=TIMEOUT)


def test_a_run_leaves_a_machine_that_is_to_go_and_no_retry_is_counted(cluster, tmp_path):
    first = cluster.add_node(num_cpus=1)
    options = [
        "--epochs",
        str(EPOCHS),
        "--train-size",
        str(IMAGES),
        "--trials",
        "1",
        "--confirm",
        "0",
        "--scheduler",
        "none",
        "--retries",
        "0",
    ]
    process = start(tmp_path, *SMALL, *options, "--address", cluster.address, env=environment())
    wait_for(lambda: any(len(run.epochs) > 2 for run in state_of(tmp_path).trials), process)
    second = cluster.add_node(num_cpus=1)
    drain(cluster, first)
    assert process.wait(TIMEOUT) == 0, (tmp_path / "output.txt").read_text()
    (trial,) = state_of(tmp_path).trials
    assert trial.status == "completed"
    assert [epoch["epoch"] for epoch in trial.epochs] == [*range(1, EPOCHS + 1)]
    events = journal.read(tmp_path / "results/night/journal.jsonl")
    placed = [event for event in events if isinstance(event, Placed)]
    assert len(placed) == 2
    assert 2 < placed[1].epoch < EPOCHS
    # The first has ended by itself, with nothing left to do.
    ray.init(address=cluster.address, log_to_driver=False)
    alive = {node["NodeID"] for node in ray.nodes() if node["Alive"]}
    ray.shutdown()
    assert first.node_id not in alive
    assert second.node_id in alive


@pytest.mark.slow
def test_an_idle_process_whose_machine_is_lost_costs_no_run_a_retry(cluster, tmp_path):
    nodes = [cluster.add_node(num_cpus=1) for _ in range(2)]
    options = [
        "--epochs",
        "40",
        "--trials",
        "2",
        "--confirm",
        "1x2",
        "--scheduler",
        "none",
        "--retries",
        "0",
        "--seed",
        "2",
    ]
    process = start(tmp_path, *SMALL, *options, "--address", cluster.address, env=environment())
    wait_for(lambda: sum(len(run.epochs) > 2 for run in state_of(tmp_path).trials) == 2, process)
    events = journal.read(tmp_path / "results/night/journal.jsonl")
    pids = {event.id: event.pid for event in events if isinstance(event, Placed)}
    going_on = psutil.Process(pids["t0001"])
    going_on.suspend()  # until the other's machine is known to be lost
    try:
        wait_for(lambda: state_of(tmp_path).runs["t0000"].status == "completed", process)
        raylet = psutil.Process(pids["t0000"]).ppid()
        (lost,) = (node for node in nodes if node.all_processes["raylet"][0].process.pid == raylet)
        cluster.remove_node(lost, allow_graceful=False)
        ray.init(address=cluster.address, log_to_driver=False)
        wait_for(lambda: lost.node_id in {node["NodeID"] for node in ray.nodes() if not node["Alive"]}, process)
        ray.shutdown()
    finally:
        going_on.resume()
    assert process.wait(TIMEOUT) == 0, (tmp_path / "output.txt").read_text()
    assert [run.status for run in state_of(tmp_path).runs.values()] == ["completed"] * 4
